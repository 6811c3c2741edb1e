"""The source `math`: CHAMP's competition problems with their steps, as a text-only JSON list like MathInstruct's."""

import json
import re
from typing import Any

from pipelines.demo.parts import BenchmarkItem, SourceDraft, ranked
from pipelines.demo.tables import package_file

N_LEAKED = 8
N_CLEAN = 5
# a benchmark problem that shares this many words in a row with one of the data would not be clean
GRAM = 8


def math_source() -> SourceDraft:
    """Return the drafted source: the 270 problems less the five held out for the benchmark folder."""
    draft = SourceDraft('math', 'instruct_json', 'champ.json', licence='MIT')
    found = json.loads(package_file('champ_dataset', 'dataset_files/v0.json').read_bytes())['problems']
    names = ranked(found, 'math')
    clean = _unlike_others(found, names, N_CLEAN)
    for number, name in enumerate(clean):
        question, answer = _plain(found[name]['_raw_text']), _answer(found[name])
        draft.benchmark.append(BenchmarkItem(f'clean_math_{number}', question, answer, source='math'))
    # long answers leak more surely: both texts of a pair must overlap before a text-only row counts as contaminated
    kept = [name for name in names if name not in clean]
    for name in kept:
        draft.add(name, _record(found[name]))
    for number, name in enumerate(name for name in kept if _is_long(found[name])):
        if number == N_LEAKED:
            break
        record = draft.records[name]
        item = BenchmarkItem(
            f'leak_math_{number}', record['instruction'], record['output'], source='math', twin_of=name, how='same text'
        )
        draft.benchmark.append(item)
    return draft


def _record(problem: dict[str, Any]) -> dict[str, str]:
    source = f'CHAMP/{problem["category"]}'
    return {'source': source, 'instruction': _plain(problem['_raw_text']), 'output': _answer(problem)}


def _answer(problem: dict[str, Any]) -> str:
    """Return the steps, one a line, and the final answer in MetaMath's words."""
    steps = [_plain(step['_raw_text']) for step in problem['solution']['steps']]
    return '\n'.join([*steps, f'The answer is: {_plain(problem["_raw_answer"])}'])


def _plain(text: str) -> str:
    # CHAMP sets its formulas between @@
    return text.replace('@@', '').strip()


def _is_long(problem: dict[str, Any]) -> bool:
    return len(_words(_plain(problem['_raw_text']))) >= 2 * GRAM and len(_words(_answer(problem))) >= 2 * GRAM


def _words(text: str) -> list[str]:
    return re.findall(r'\w+', text.lower())


def _grams(text: str) -> set[tuple[str, ...]]:
    words = _words(text)
    return {tuple(words[start : start + GRAM]) for start in range(len(words) - GRAM + 1)}


def _unlike_others(found: dict[str, Any], names: list[str], n: int) -> list[str]:
    """Return the first `n` problems that share no run of words with any other."""
    seen: dict[tuple[str, ...], int] = {}
    grams = {name: _grams(_plain(found[name]['_raw_text'])) | _grams(_answer(found[name])) for name in names}
    for own in grams.values():
        for gram in own:
            seen[gram] = seen.get(gram, 0) + 1
    return [name for name in names if _is_long(found[name]) and all(seen[gram] == 1 for gram in grams[name])][:n]
