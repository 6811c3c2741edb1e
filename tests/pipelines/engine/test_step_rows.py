"""The rows of every step on one small input, pinned beside its version: code that changes rows without raising VERSION turns this red.

Twice: with default settings, and with OTHER_SETTINGS, which take the other branches. After a change that is meant: raise the step's VERSION, run
this, and paste what it prints. The digests are the same on every x86 processor: floats to six digits, pictures that no rounding tips over.
"""

import hashlib
import json
import re
from collections.abc import Iterable

import pytest

from pipelines.engine.step import Step, all_steps
from pipelines.engine.tables import Table
from tests.pipelines.engine.builds import content

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('steps')]

LONG = re.compile(r'(?<!\d)\d+\.\d{7,}(e-?\d+)?')
PINNED: dict[str, tuple[int | str, ...]] = {  # of a step that only one of the builds makes, one digest
    'samples': (7, '5b7fd55745109a82', 'a07d0d7060d80f52'),
    'bench': (7, '5ab6793872877fbb', '5ab6793872877fbb'),
    'refs': (5, '08f14b01586cc28b', 'd4fcf81b72860640'),
    'image_facts': (8, '56ee6a6261329aa8', '30fe4fd3d3ad0763'),
    'references': (2, '6588f9722a6eadbb', '7978b5b7f9446fd2'),
    'index': (3, '70288ba13c8b0031', '31ff9c2294693eeb'),
    'hashes': (4, '2da03eb07a9a4c10', '9a10dcbdbd589933'),
    'copy_recall': (6, 'd352b7f723daa522', 'd352b7f723daa522'),
    'pairs': (4, '88f59c5ac7c5e3fb', '70f2f46583966b1c'),
    'asked_pictures': (1, 'feb19073640e2a95', '82f41937f78768f8'),
    'copy_hits': (6, 'aac291b244ac6394', '6e570fa14ebfaadc'),
    'reshaped_pairs': (4, 'b35dc52a9bef1bc3'),
    'stars': (4, '693b2c3e74dbf0dd', '0b7dd83442e3505d'),
    'bench_hits': (5, 'b93b24f87f4abb60', 'f8bd5b68381bb6de'),
    'canaries': (6, '56410e710418c6ac', '8723ef079a4ece0b'),
    'canary_hits': (5, 'db0e82ea3327a403', '463ea64509bb8672'),
    'canary_recall': (4, '117ab039ac9350c7', '72afa44dce404788'),
    'described': (6, '4f063ac57019fda9', 'c72402744ec312df'),
    'features': (5, '1b88a7bfbc6d0a2b', '86900bbf3fc25669'),
    'plan': (6, '62fb0b72416413f6', '0dac412e6573c3c6'),
    'rejected': (2, 'a72e250463ccf2fd', '282a5bebdb652c25'),
    'spread': (2, '8618b716444bec58', '556b0cc71a645591'),
    'mix_rows': (2, '8bd00dc00c0a90ff', '47b76961127f39eb'),
    'rejections': (2, '15ce44517e679f0b', 'c7168dc1cbf7dc23'),
    'digests': (1, '18dfa40e531efc73', 'fd8793211e7f063e'),
    'picks': (6, '5ee881d09ae0a081', '17093a4e10032828'),
    'candidates': (8, '924e9ae174be305d', 'f078fc877b659956'),
    'calibration': (5, 'bcbf39a4ccea9797', '27a9637d57a19161'),
    'verdicts': (7, 'e8fa770518f9c97e', 'b5b5249cad00ee97'),
    'judged': (1, 'c5ed884cadcc49c7', 'cb845f8d56ea985e'),
    'unasked': (5, '96f8cd4fa8e1f402', 'b43f10049c6c1670'),
    'triple_plan': (5, '6ae34bc3d7235408', '61ec244911c5002e'),
    'triple_rows': (3, '2c949473d432d5d1', 'cc67b341c4a1728b'),
    'shortcuts': (2, 'fe9b80dc8cc5ded8', '5f7c3145f48110bc'),
    # of a mix whose samples are rated, once
    'given_ratings': (2, 'b41c6d24ac54397f'),
    'rated_picks': (1, '7138d81a66c04f9a'),
    'rating_cases': (1, '01ce0042df991488'),
    'ratings': (1, '62b36c9274bcd6ea'),
    'rating_summary': (1, '88646dc6b615830c'),
    'excluded': (1, '19fd64d34ebe4776'),
    'asked': (1, '4115db0d115b58bc'),
    'contradictions': (2, '8f75a78c1392d8f5'),
    'sketches': (1, '0ff16401dcdf3de9'),
    'text_candidates': (1, 'c3dd6b6e2801fa12'),
    'near_texts': (1, 'f0fefb1ab8c394bb'),
    'text_stars': (1, '4d2fd712a7a6f29a'),
    'paraphrases': (3, '3ccf0ddf10decdd4'),
}


def test_rows_change_only_with_the_version_of_their_step(plain, other, rated):
    of_each = _found(rated.steps) | _found(plain.steps, other.steps)  # those that only a rated mix makes have one digest
    found = {name: (version, *digests) for name, (version, *digests) in of_each.items()}
    wrong = [f'{name}: {_told(PINNED.get(name), now)}' for name, now in found.items() if PINNED.get(name) != now]
    literal = '\n'.join(f'    {name!r}: {now!r},' for name, now in found.items())
    assert not wrong, '\n'.join([*wrong, '', 'if that is meant, these lines stand in PINNED:', literal])
    assert PINNED.keys() == found.keys() == {step.TABLE for step in all_steps() if step.__module__.startswith('pipelines.')}


# What is wrong with a mix, of which the small project has nothing: their rows are pinned by tests of their own (tests/pipelines/mix).
FOUND_ELSEWHERE = {'contradictions', 'text_candidates', 'near_texts', 'text_stars', 'paraphrases'}


def test_every_step_makes_rows_here(plain, other, rated):
    steps = (*plain.steps, *other.steps, *rated.steps)
    empty = {step.TABLE: True for step, _ in steps}
    for step, table in steps:
        empty[step.TABLE] &= not any(content(table).values())
    assert {name for name, is_empty in empty.items() if is_empty} <= FOUND_ELSEWHERE


def _told(pinned: tuple[int | str, ...] | None, now: tuple[int | str, ...]) -> str:
    if pinned is None:
        return 'a new step'
    if pinned[0] == now[0]:
        return f"the step's rows changed and its VERSION is still {now[0]}: raise it, so that tables made before are made again"
    return f'VERSION was {pinned[0]}, is {now[0]}; the digests of the rows stand here for the old one'


def _found(*builds: list[tuple[Step, Table]]) -> dict[str, list]:
    """Return version and one digest per build of each step, in the order of the first build."""
    found: dict[str, list] = {}
    for steps in builds:
        of_step: dict[str, list[Table]] = {}
        for step, table in steps:
            of_step.setdefault(step.TABLE, []).append(table)
            found.setdefault(step.TABLE, [step.VERSION])
        for name, tables in of_step.items():
            found[name].append(_digest(tables))
    return found


def _digest(tables: Iterable[Table]) -> str:
    rows = [[table.label, {name: value for name, value in content(table).items() if not name.startswith('info-')}] for table in tables]
    return hashlib.sha256(json.dumps(_rounded(rows), sort_keys=True).encode()).hexdigest()[:16]


def _rounded(value: object) -> object:
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        return f'{value:.6g}'
    if isinstance(value, str):  # a score in the words of a reason, or in JSON
        return LONG.sub(_six_digits, value)
    return value.hex() if isinstance(value, bytes) else value


def _six_digits(number: re.Match) -> str:
    return f'{float(number[0]):.6g}'
