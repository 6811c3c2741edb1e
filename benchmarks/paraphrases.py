"""Benchmark questions of text alone in other words: recall on made-up rewordings by kind, and false hits among near-misses.

24 items (word problems written here by template with drawn numbers), each reworded in six ways, and three near-misses each: other numbers, another
question about the same facts, other numbers for the same answer. Beside it what runs of eight words find, as every build looks for them.

    python -m benchmarks.paraphrases
"""

import random
from collections import Counter

import numpy as np

from curation.texts.rewording import Rewording
from pipelines.mix.benchmark_texts import BenchmarkTexts, TextRules
from pipelines.mix.flat_turns import turns_of
from pipelines.mix.paraphrases import Paraphrases

NAMES = ('Lena', 'Omar', 'Priya', 'Tomas', 'Aiko', 'Nora', 'Felix', 'Zuri')
GOODS = (('baskets', 'apples'), ('boxes', 'candles'), ('sacks', 'potatoes'))
ITEM = ('{name} sells {a} {box} of {good} at the weekly market for {b} dollars each and pays {c} dollars for the stall. '
        'How many dollars does {name} keep at the end of the day?')  # fmt: skip
REWORDED = {
    'synonyms': '{name} is selling {a} {box} filled with {good} on the weekly market, {b} dollars apiece, and has to pay {c} dollars for a stall. '
                'What sum in dollars is kept when the day ends?',
    'order of clauses': 'At the weekly market a stall costs {c} dollars. There {name} sells {good}, {a} {box} of them, each for {b} dollars. '
                        'At the end of the day, how many dollars does {name} keep?',
    'another name': ITEM.replace('{name}', 'Ruth'),
    'as an exercise': 'Exercise: compute the dollars kept at the end of a day by {name}, who pays {c} dollars for the stall at the weekly market and '
                      'sells {a} {box} of {good} at {b} dollars each.',
    'numbers in words and a sentence more': 'It is a sunny day. ' + ITEM + ' Explain your steps.',
    'translated': '{name} verkauft auf dem Wochenmarkt {a} Kisten für je {b} Dollar und zahlt {c} Dollar Standgebühr. Wie viele Dollar bleiben?',
}  # fmt: skip


def main() -> None:
    rng = random.Random(0)
    facts = [{'name': name, 'box': box, 'good': good, 'a': rng.randint(11, 60), 'b': rng.randint(2, 9), 'c': rng.randint(10, 20)}
             for name in NAMES for box, good in GOODS]  # fmt: skip
    items = [{'bench': 'b', 'item_id': str(at), 'question': ITEM.format(**fact), 'answers': [str(right(fact))], 'pictures': []}
             for at, fact in enumerate(facts)]  # fmt: skip
    reworded, runs = Paraphrases(items), BenchmarkTexts(items, TextRules(8, 0.8))
    print('kind                                   surely found   near   by word runs')
    for kind, template in REWORDED.items():
        asked = [(template.format(**fact), f'The answer is {right(fact)}.') for fact in facts]
        print(f'{kind:38} {told(reworded, runs, asked, len(facts))}')
    others = [{**fact, 'a': fact['a'] + 1, 'c': fact['c'] - 3} for fact in facts]
    misses = {
        'other numbers': [(ITEM.format(**fact), str(right(fact))) for fact in others],
        'other numbers, the same answer': [(ITEM.format(**other), str(right(fact))) for fact, other in zip(facts, others, strict=True)],
        'another question about the same facts': [(ITEM.replace('keep', 'take in').format(**fact), str(fact['a'] * fact['b'])) for fact in facts],
    }  # fmt: skip
    print('near-misses')
    for kind, asked in misses.items():
        print(f'{kind:38} {told(reworded, runs, asked, len(facts))}')


def right(fact: dict) -> int:
    return fact['a'] * fact['b'] - fact['c']


def told(reworded: Paraphrases, runs: BenchmarkTexts, asked: list[tuple[str, str]], n: int) -> str:
    turns = turns_of([[{'role': 'user', 'text': question}, {'role': 'assistant', 'text': answer}] for question, answer in asked])
    shows = np.zeros(len(asked), bool)
    found = Counter(what for _, what, _ in reworded.find(turns, shows))
    by_runs = sum(one.joint is not None or bool(one.equal) for one in runs.find(turns, shows))
    return f'{found[Rewording.SURE]:4} of {n}   {found[Rewording.NEAR]:4}   {by_runs:4}'


if __name__ == '__main__':
    main()
