"""Benchmark questions of text alone in other words: recall on made-up rewordings by kind, and false hits among near-misses.

Four templates (two word problems as in GSM8K, two as in MATH; written here) with drawn numbers, 24 items each, every one reworded in five ways: words
changed, order changed, another name and a sentence more, numbers in words, translated (German, French, Spanish, Italian). Three near-misses each:
other numbers, other numbers with the same answer, another question about the same facts. Beside it what runs of eight words find, as every
build looks for them. Then how many of the 270 problems of CHAMP (package champ-dataset) are taken for another of them, and what a sample costs.

    python -m benchmarks.paraphrases
"""

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from curation.answers.number_words import SMALL
from curation.texts.rewording import Rewording
from pipelines.mix.benchmark_texts import BenchmarkTexts, TextRules
from pipelines.mix.flat_turns import turns_of
from pipelines.mix.paraphrases import ROWS_AT_ONCE, Paraphrases

NAMES = ('Lena', 'Omar', 'Priya', 'Tomas', 'Aiko', 'Nora', 'Felix', 'Zuri')
ITEMS = 24
SPELLED = {number: word for word, number in reversed(SMALL.items())}


@dataclass(frozen=True, slots=True)
class Template:
    """A question about {name}, {a}, {b} and {c}, its answer, and the same in other words."""

    asks: str
    right: Callable[[int, int, int], int]
    words: str
    order: str
    translated: str
    other: tuple[str, str]  # what of the question is replaced so that it asks for something else about the same facts
    other_right: Callable[[int, int, int], int]


TEMPLATES = (
    Template(
        '{name} sells {a} baskets of apples at the weekly market for {b} dollars each and pays {c} dollars for the stall. '
        'How many dollars does {name} keep at the end of the day?',
        lambda a, b, c: a * b - c,
        '{name} is selling {a} baskets filled with apples on the weekly market, {b} dollars apiece, and has to pay {c} dollars for a stall. '
        'What sum in dollars is kept when the day ends?',
        'At the weekly market a stall costs {c} dollars. There {name} sells apples, {a} baskets of them, each for {b} dollars. '
        'At the end of the day, how many dollars does {name} keep?',
        '{name} verkauft auf dem Wochenmarkt {a} Körbe Äpfel für je {b} Dollar und zahlt {c} Dollar Standgebühr. Wie viele Dollar bleiben?',
        ('keep', 'take in'), lambda a, b, c: a * b,
    ),
    Template(
        '{name} reads {a} pages of a novel every evening for {b} evenings and finishes it with {c} pages on a Sunday. How many pages has the novel?',
        lambda a, b, c: a * b + c,
        'For {b} evenings {name} got through {a} pages of a novel each evening; another {c} pages on Sunday finished it. '
        'What is its number of pages?',
        'On a Sunday {name} finishes a novel by reading {c} pages. Every evening before, {b} evenings in all, it was {a} pages. '
        'How many pages has the novel?',
        '{name} lit {a} pages du roman chaque soir pendant {b} soirs et le termine dimanche avec {c} pages. Combien de pages compte le roman ?',
        ('How many pages has the novel', 'How many evenings pass before the novel ends'), lambda a, b, c: b,
    ),
    Template(
        'Find the sum of the first {a} terms of an arithmetic sequence whose first term is {b} and whose common difference is {c}.',
        lambda a, b, c: a * b + c * a * (a - 1) // 2,
        'An arithmetic sequence starts with the first term {b} and has the common difference {c}. What do its first {a} terms sum to?',
        'The common difference of an arithmetic sequence is {c} and its first term is {b}; compute the sum of the first {a} terms.',
        'Halla la suma de los primeros {a} términos de una sucesión aritmética cuyo primer término es {b} y cuya diferencia es {c}.',
        ('sum of the first {a} terms', 'last of the first {a} terms'), lambda a, b, c: b + c * (a - 1),
    ),
    Template(
        'A rectangular garden is {a} meters long and {b} meters wide. A gravel path of width {c} meters surrounds it. '
        'What is the area of the path in square meters?',
        lambda a, b, c: (a + 2 * c) * (b + 2 * c) - a * b,
        'Around a rectangular garden of {a} meters length and {b} meters width runs a gravel path that is {c} meters in width. '
        'How large an area, in square meters, does the path have?',
        'What is the area, in square meters, of a gravel path of width {c} meters that surrounds a rectangular garden, {a} meters long, '
        '{b} meters wide?',
        'Un giardino rettangolare è lungo {a} metri e largo {b} metri. Lo circonda un vialetto largo {c} metri. Qual è l\'area del vialetto?',
        ('the area of the path', 'the area of the garden'), lambda a, b, c: a * b,
    ),
)


def facts(rng: random.Random) -> list[dict]:
    return [{'name': NAMES[at % len(NAMES)], 'a': rng.randint(11, 60), 'b': rng.randint(2, 20), 'c': rng.randint(2, 19)} for at in range(ITEMS)]


def numbers(fact: dict) -> tuple[int, int, int]:
    return fact['a'], fact['b'], fact['c']


def rewordings(one: Template, some: list[dict]) -> dict[str, list[tuple[str, str]]]:
    """Return (question, right answer) of each item by kind of rewording."""
    names = [{**fact, 'name': 'Ruth'} for fact in some]
    words = [{**fact, **{key: SPELLED.get(fact[key], fact[key]) for key in 'abc'}} for fact in some]
    told = {'words changed': (one.words, some), 'order changed': (one.order, some),
            'another name, a sentence more': ('It is sunny. ' + one.asks, names), 'numbers in words': (one.asks, words),
            'translated': (one.translated, some)}  # fmt: skip
    return {kind: [(text.format(**said), f'The answer is {one.right(*numbers(fact))}.') for said, fact in zip(of, some, strict=True)]
            for kind, (text, of) in told.items()}  # fmt: skip


def near_misses(one: Template, some: list[dict]) -> dict[str, list[tuple[str, str]]]:
    """Return (question, its answer) of what is not the item, by kind."""
    others = [{**fact, 'a': fact['a'] + 1, 'c': fact['c'] + 2} for fact in some]
    another = one.asks.replace(*one.other)
    return {
        'other numbers': [(one.asks.format(**fact), str(one.right(*numbers(fact)))) for fact in others],
        'other numbers, the same answer': [(one.asks.format(**fact), str(one.right(*numbers(of)))) for of, fact in zip(some, others, strict=True)],
        'another question about the same facts': [(another.format(**fact), str(one.other_right(*numbers(fact)))) for fact in some],
    }  # fmt: skip


def main() -> None:
    rng = random.Random(0)
    drawn = [(one, facts(rng)) for one in TEMPLATES]
    items = [{'bench': 'b', 'item_id': f'{kind}/{at}', 'question': one.asks.format(**fact), 'answers': [str(one.right(*numbers(fact)))],
              'pictures': []} for kind, (one, some) in enumerate(drawn) for at, fact in enumerate(some)]  # fmt: skip
    reworded, runs = Paraphrases(items), BenchmarkTexts(items, TextRules(8, 0.8))
    for title, made in (('kind', rewordings), ('near-misses', near_misses)):
        print(f'{title:38} surely found   near   by word runs')
        of_template = [made(one, some) for one, some in drawn]
        for kind in of_template[0]:
            print(f'{kind:38} {told(reworded, runs, [asked for one in of_template for asked in one[kind]])}')
    champ()
    cost()


def champ() -> None:
    """Print how many problems are taken for another one."""
    folder = Path(find_spec('champ_dataset').origin).parent
    found = [*json.loads((folder / 'dataset_files/v0.json').read_bytes())['problems'].values()]
    items = [{'bench': 'b', 'item_id': str(at), 'question': one['_raw_text'], 'answers': [str(one['_raw_answer'])], 'pictures': []}
             for at, one in enumerate(found)]  # fmt: skip
    turns = turns_of([[{'role': 'user', 'text': item['question']}, {'role': 'assistant', 'text': item['answers'][0]}] for item in items])
    others = Counter(str(what) for at, what, of in Paraphrases(items).find(turns, np.zeros(len(items), bool)) if of['item_id'] != str(at))
    print(f'{len(items)} problems of CHAMP, taken for another one: {dict(others)}')


def cost() -> None:
    """Print what a sample costs beside 1,500 items of one template and 6,000 of random words; three in ten samples are of the template."""
    rng = random.Random(1)

    def drawn(n_words: int, of: int) -> str:
        return ' '.join(f'w{rng.randint(0, of)}' for _ in range(n_words)) + f' {rng.randint(1, 99)} and {rng.randint(1, 99)}?'

    def template() -> str:
        return TEMPLATES[0].asks.format(name='Omar', a=rng.randint(2, 99), b=rng.randint(2, 20), c=rng.randint(2, 20))

    asked = [template() for _ in range(1500)] + [drawn(30, 5000) for _ in range(6000)]
    reworded = Paraphrases([{'bench': 'b', 'item_id': str(at), 'question': text, 'answers': ['57'], 'pictures': []} for at, text in enumerate(asked)])
    samples = [template() if rng.random() < 0.3 else drawn(40, 50_000) for _ in range(10_000)]
    start = time.process_time()
    for at in range(0, len(samples), ROWS_AT_ONCE):
        some = samples[at : at + ROWS_AT_ONCE]
        turns = turns_of([[{'role': 'user', 'text': text}, {'role': 'assistant', 'text': '58'}] for text in some])
        _ = [*reworded.find(turns, np.zeros(len(some), bool))]
    print(f'{(time.process_time() - start) / len(samples) * 1e6:.0f} us a sample')


def told(reworded: Paraphrases, runs: BenchmarkTexts, asked: list[tuple[str, str]]) -> str:
    turns = turns_of([[{'role': 'user', 'text': question}, {'role': 'assistant', 'text': answer}] for question, answer in asked])
    shows = np.zeros(len(asked), bool)
    found = Counter(what for _, what, _ in reworded.find(turns, shows))
    by_runs = sum(one.joint is not None or bool(one.equal) for one in runs.find(turns, shows))
    return f'{found[Rewording.SURE]:4} of {len(asked)}   {found[Rewording.NEAR]:4}   {by_runs:4}'


if __name__ == '__main__':
    main()
