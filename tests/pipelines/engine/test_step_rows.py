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
PINNED: dict[str, tuple[int, str, str]] = {
    'samples': (3, '5b7fd55745109a82', 'a07d0d7060d80f52'),
    'bench': (3, 'df133efe9f08c15f', 'df133efe9f08c15f'),
    'refs': (5, '08f14b01586cc28b', 'd4fcf81b72860640'),
    'image_facts': (5, '56ee6a6261329aa8', '30fe4fd3d3ad0763'),
    'references': (1, '7669db576fdd08fe', '8082f6e050156495'),
    'index': (3, '70288ba13c8b0031', '31ff9c2294693eeb'),
    'hashes': (4, '2da03eb07a9a4c10', '9a10dcbdbd589933'),
    'pairs': (4, '88f59c5ac7c5e3fb', '70f2f46583966b1c'),
    'stars': (4, '693b2c3e74dbf0dd', '0b7dd83442e3505d'),
    'bench_hits': (3, 'b93b24f87f4abb60', 'f8bd5b68381bb6de'),
    'canaries': (3, '30265a20e4158329', '0f087a1a627c8f7a'),
    'canary_hits': (3, '22ef1711d9fde383', '6b6989fb89cd391d'),
    'canary_recall': (3, '084902739c0ddc06', '4cca954d0cc6ff68'),
    'described': (4, 'd645b726809d13f7', 'a7782e1ee770aad4'),
    'features': (4, 'bfff7281739b1ba7', '5bdf209b9d137dd3'),
    'plan': (4, '65d81ea3071b4525', '0dac412e6573c3c6'),
    'rejected': (1, '08193739cf6f2bae', '8d6352dd68670fc5'),
    'mix_rows': (1, '8bd00dc00c0a90ff', '47b76961127f39eb'),
    'rejections': (1, '1d2200b7baafc525', '7549db351bafbb39'),
    'digests': (1, '49cd83df4cc9fd7c', '6eaf2fb671d4f3d8'),
    'picks': (5, 'e6f5ca105d2bc032', '99b6ff86020cf7c4'),
    'candidates': (4, 'b86117d6655734ab', '236a94470f720190'),
    'calibration': (2, 'fa61adfd6fa42b58', 'f3ce4c857023898a'),
    'verdicts': (3, '6040d5c57e0274b4', '9b8b4293d4645a76'),
    'unasked': (4, '96f8cd4fa8e1f402', 'b43f10049c6c1670'),
    'triple_plan': (3, 'ef580f56afeadc3b', '66b9e08b0d72371c'),
    'triple_rows': (1, '3fa909fc7139a6bf', '52b02323a97a029d'),
    'shortcuts': (1, '914512af7ff72142', 'b3b2aeb604c9ac8c'),
}


def test_rows_change_only_with_the_version_of_their_step(plain, other):
    found = {name: (version, *digests) for name, (version, *digests) in _found(plain.steps, other.steps).items()}
    wrong = [f'{name}: {_told(PINNED.get(name), now)}' for name, now in found.items() if PINNED.get(name) != now]
    literal = '\n'.join(f'    {name!r}: {now!r},' for name, now in found.items())
    assert not wrong, '\n'.join([*wrong, '', 'if that is meant, these lines stand in PINNED:', literal])
    assert PINNED.keys() == found.keys() == {step.TABLE for step in all_steps() if step.__module__.startswith('pipelines.')}


def test_every_step_makes_rows_here(plain, other):
    empty = {step.TABLE: True for step, _ in plain.steps}
    for step, table in (*plain.steps, *other.steps):
        empty[step.TABLE] &= not any(content(table).values())
    assert not [name for name, is_empty in empty.items() if is_empty]


def _told(pinned: tuple[int, str, str] | None, now: tuple[int, str, str]) -> str:
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
