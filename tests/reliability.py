"""`python -m tests.reliability`: writes docs/reliability.md from the `promise` marks of the tests; runs none of them."""

import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / 'docs/reliability.md'
COMMAND = 'python -m tests.reliability'
SECTIONS = ('Power cuts and kills', 'Processes', 'Clusters', 'Disks', 'Damaged files', 'Hostile files', 'Snapshots', 'Text that speaks to the judge', 'Gallery', 'Keys')
HEAD = f"""# What is promised for bad days, and how it is tested

Made by `{COMMAND}` from the marks of the tests; a test fails when it is out of date. Do not edit it by hand.

A build, an export and a training run may be stopped at any moment, by a signal, a full disk or a power cut: what was finished is kept, what was
not is made again, the result is the same, and no reply that was stored is paid twice. Files that come from elsewhere are read with bounds, and what
is wrong with one is said in one line.

Not promised: a disk that says it has written what it has not (fsync that lies, a cache without battery) loses what it lost; checksums show
accidents, but who can change a snapshot can change its checksums too: tampering needs the signature (`phantom seal --sign`,
`phantom verify --signature`). The tests cut the power in a model of the disk: what no fsync covers is lost, emptied, zeroed or torn.

`make test` runs on each change; `make long` has the tests of more than half a minute. Counts are those that the tests use.
"""


@dataclass(frozen=True, slots=True)
class Shown:
    """One promise that one test shows."""

    section: str
    sentence: str
    test: str
    counts: tuple[tuple[str, int], ...]
    suite: str


class Collected:
    """A plugin that keeps the promises of what pytest collects: each with the number of its cases."""

    def __init__(self) -> None:
        self.cases: dict[Shown, int] = defaultdict(int)

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            test = item.nodeid.partition('[')[0]
            suite = 'make long' if item.get_closest_marker('long') else 'make test'
            for mark in item.iter_markers('promise'):
                section, sentence = mark.args
                self.cases[Shown(section, sentence, test, tuple(mark.kwargs.items()), suite)] += 1


def page_of(cases: dict[Shown, int]) -> str:
    """Return the page: a table for each section, a row for each promise, in the order of its tests; raises ValueError for an unknown section."""
    if unknown := sorted({shown.section for shown in cases} - {*SECTIONS}):
        raise ValueError(f'promise(...): expected a section of {", ".join(SECTIONS)}; found {", ".join(unknown)}')
    parts = [HEAD]
    for section in SECTIONS:
        if rows := _rows(section, cases):
            parts.append(f'## {section}\n\n| promise | shown by | counts | runs in |\n|---|---|---|---|\n' + ''.join(rows))
    return '\n'.join(parts)


def _rows(section: str, cases: dict[Shown, int]) -> list[str]:
    by_sentence: dict[str, list[tuple[Shown, int]]] = defaultdict(list)
    for shown, n in cases.items():
        if shown.section == section:
            by_sentence[shown.sentence].append((shown, n))
    return [_row(sentence, tests) for sentence, tests in by_sentence.items()]


def _row(sentence: str, tests: list[tuple[Shown, int]]) -> str:
    tests = sorted(tests, key=_by_test)
    columns = (
        [sentence.replace('|', r'\|')],
        [f'`{shown.test}`' for shown, _ in tests],
        [_counted(shown, n) for shown, n in tests],
        list(dict.fromkeys(f'`{shown.suite}`' for shown, _ in tests)),
    )
    return f'| {" | ".join("<br>".join(column) for column in columns)} |\n'


def _by_test(shown_and_cases: tuple[Shown, int]) -> str:
    return shown_and_cases[0].test


def _counted(shown: Shown, n: int) -> str:
    told = [f'{count:,} {name.replace("_", " ")}' for name, count in shown.counts]
    return ', '.join(told or [f'{n:,} case{"s" if n > 1 else ""}'])


def files_that_promise() -> list[str]:
    """Return the test files with such marks: only these are collected, which takes seconds where the whole suite takes a minute."""
    found = sorted((REPOSITORY / 'tests').rglob('test_*.py'))
    return [str(path.relative_to(REPOSITORY)) for path in found if 'tests.promises' in path.read_text('utf-8')]


def main() -> None:
    """Write the page, or with --print show it."""
    collected = Collected()
    quiet = ['-o', 'addopts=', '-p', 'no:cacheprovider', '-p', 'no:terminal']
    ended = pytest.main(['--collect-only', *quiet, *files_that_promise()], plugins=[collected])
    if ended != pytest.ExitCode.OK:
        sys.exit(f'{COMMAND}: expected tests that can be collected; run: pytest --collect-only -q')
    page = page_of(collected.cases)
    if sys.argv[1:] == ['--print']:
        print(page, end='')
    else:
        PAGE.write_text(page, encoding='utf-8')


def page_now() -> str:
    """Return the page as the marks have it now, made by a process of its own, since pytest is not made to run inside itself."""
    command = [sys.executable, '-m', 'tests.reliability', '--print']
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True, encoding='utf-8').stdout


if __name__ == '__main__':
    main()
