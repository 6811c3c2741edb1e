"""What the documents tell a reader to type: the commands of their blocks and sentences, taken apart as a shell takes them."""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = (*(ROOT / name for name in ('README.md', 'CONTRIBUTING.md', 'model/README.md', 'benchmarks/README.md')), *sorted((ROOT / 'docs').glob('*.md')))
NOT_RUN = re.compile('not run (here|by a test)')  # in a comment: of this line; of a line of its own: of what follows in the block
SHELL = ('bash', 'sh', 'console')
OPERATORS = '();<>|&'
INLINE = re.compile(r'(?<!`)`((?:phantom|python -m|make) [^`]+)`(?!`)')
EXPANSIONS = re.compile(r'\$\(\(.*?\)\)|\$\([^()]*\)|\$\w+')  # a shell puts something there; here it is 1


@dataclass(frozen=True, slots=True)
class Typed:
    """One command and where it stands; `quoted`: within a sentence, which may leave arguments out."""

    words: tuple[str, ...]
    page: str
    line: int
    quoted: bool = False
    not_run: bool = False

    def __str__(self) -> str:
        return f'{self.page}:{self.line}: {shlex.join(self.words)}'


def blocks(text: str) -> Iterator[tuple[int, str, list[str]]]:
    """Yield the fenced blocks: line of the first line inside, language, lines with continuations joined."""
    for fence in re.finditer(r'^```(\w*)\n(.*?)^```$', text, re.M | re.S):
        lines = re.sub(r'\\\n\s*', lambda cut: ' ' + '\0' * cut[0].count('\n'), fence[2]).split('\n')  # \0: a line that was joined
        yield text[: fence.start(2)].count('\n') + 1, fence[1], lines[:-1]


def typed(page: Path) -> Iterator[Typed]:
    """Yield the commands of a page: of its shell blocks all, of its sentences those of ours."""
    text, name = page.read_text('utf-8'), str(page.relative_to(ROOT))
    for first, language, lines in blocks(text):
        if language in SHELL:
            yield from typed_in_block(lines, name, first)
    for number, line in enumerate(outside_blocks(text), 1):
        for quoted in INLINE.findall(line):
            yield from (Typed(words, name, number, quoted=True) for words in commands(re.sub(r'\[.*?\]|\.\.\.', '', quoted)))


def typed_in_block(lines: list[str], page: str, first: int) -> Iterator[Typed]:
    """Yield the commands of one shell block."""
    rest, joined = False, 0
    for number, line in enumerate(lines, first):
        comment = line.partition('#')[2]
        rest = rest or (line.startswith('# ') and bool(NOT_RUN.search(comment)))
        yield from (Typed(words, page, number + joined, not_run=rest or bool(NOT_RUN.search(comment))) for words in commands(line.replace('\0', '')))
        joined += line.count('\0')


def outside_blocks(text: str) -> list[str]:
    """Return the lines of a page, those of fenced blocks empty."""
    return re.sub(r'^```.*?^```$', lambda block: '\n' * block[0].count('\n'), text, flags=re.M | re.S).split('\n')


def commands(line: str) -> Iterator[tuple[str, ...]]:
    """Yield the commands of a line: what stands between ; | & and before a redirection, those behind `bash -c` instead of it."""
    lexer = shlex.shlex(EXPANSIONS.sub('1', line), posix=True, punctuation_chars=OPERATORS)
    lexer.whitespace_split = True
    segment: list[str] = []
    for word in (*lexer, ';'):
        if set(word) <= set(OPERATORS) and set(word) & set(';|&') and '>' not in word:
            yield from ours_in(segment)
            segment = []
        else:
            segment.append(word)


def ours_in(segment: list[str]) -> Iterator[tuple[str, ...]]:
    """Yield the command of a segment, from `phantom` on where that is what is started in the end: behind until, srun, a crontab's time."""
    ends = [at for at, word in enumerate(segment) if word[:1] in '<>']
    segment = segment[: ends[0]] if ends else segment
    if 'bash' in segment and '-c' in segment:
        yield from commands(segment[segment.index('-c') + 1])
    elif 'phantom' in segment:
        yield tuple(segment[segment.index('phantom'):])
    elif segment:
        yield tuple(segment)


def all_typed() -> list[Typed]:
    """Return the commands of all pages."""
    return [command for page in PAGES for command in typed(page)]
