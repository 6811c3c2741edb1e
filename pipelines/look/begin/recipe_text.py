"""The YAML of a first recipe: what was found, with comments that say what was guessed and what only its owner knows."""

import os
import re
from pathlib import Path, PurePosixPath

from pipelines.look.begin.proposals import UNSTATED, Proposal
from schemas.recipe_keys import plain_yaml
from schemas.shipped import MODELINE, SCHEMA

_LICENCE = re.compile(r'^licen[sc]e:[ \t]*["\']?([A-Za-z0-9][\w.+-]{0,40})["\']?[ \t]*$', re.MULTILINE)
_CARD_BYTES = 8_000
_MOST_UP = 2  # `..` in a root; further away it is absolute
_MOST_LEFT_OUT = 40
_KEYS = ('format', 'annotations', 'columns', 'images', 'strip_prefix', 'other_extensions', 'turns')
_TAIL = '''
# What stands in benchmarks can be found and left out: phantom help contamination.benchmarks

# Wrong answers that are proposed and judged make triples; without `generate` a build ends with the mix. With a server that speaks OpenAI's protocol:
# models:
#   judge: {base_urls: ['http://localhost:8000/v1'], model: NAME, revision: main, images: true}
# generate:
#   - {prompt: rules}
#   - {prompt: grounded, model: judge}
# judge: {model: judge, mode: yes_no}
'''


def recipe_text(name: str, root: Path, out: Path, sources: dict[str, Proposal], left_out: dict[str, str]) -> str:
    """Return the recipe that is to lie at `out`."""
    head = [f'{MODELINE}{SCHEMA}',
            '# Written by `phantom init`. GUESS: seen in the files, look at it; QUESTION: only you know. Every key: phantom help KEY',
            f'name: {plain_yaml(name)}', f'root: {plain_yaml(_root(root, out))}   # where the files lie, seen from this one', '', 'sources:']
    parts = [line for at, (key, one) in enumerate(sources.items()) for line in ([''] if at else []) + _source(key, one, root, first=not at)]
    told = [f'# - {comment(f"{file}: {why}")}' for file, why in list(left_out.items())[:_MOST_LEFT_OUT]]
    more = [f'# - and {len(left_out) - _MOST_LEFT_OUT:,} more'] if len(left_out) > _MOST_LEFT_OUT else []
    return '\n'.join([*head, *parts, *(['', '# Not used:', *told, *more] if told else [])]) + '\n' + _TAIL


def _source(key: str, one: Proposal, root: Path, *, first: bool) -> list[str]:
    given = one.source.model_dump(exclude_unset=True)
    lines = [f'  {plain_yaml(key)}:']
    for name in _KEYS:
        if name in given and given[name] not in ({}, []):
            remark = one.remarks.get(name)
            lines.append(f'    {name}: {plain_yaml(given[name])}' + (f'   # GUESS: {remark}' if remark else _turns(one) if name == 'turns' else ''))
    licence = licence_near(one.source.annotations[0], root)
    asks = (f'    licence: {UNSTATED}   # QUESTION: under which licence do you have it (MIT, CC-BY-4.0, ...)? Every row and the card say it',
            '    # revision: ...   # QUESTION: which version, date or commit of it is this?')
    stated = f'    licence: {plain_yaml(licence)}   # GUESS: the README.md beside it says so'
    lines += [stated] if licence else asks if first else [f'    licence: {UNSTATED}   # QUESTION: as above']
    return lines + [f'    # {comment(remark)}' for remark in one.finding.remarks]


def _turns(one: Proposal) -> str:
    return f'   # GUESS: up to {one.most_turns} questions a record, each a sample with what stood before it. all: one sample; first: the rest goes'


def licence_near(entry: str, root: Path) -> str:
    """Return the licence that a card (README.md) in the folder of an entry states in its front matter, else ''."""
    folder = root / entry if (root / entry).is_dir() else (root / entry).parent
    card = folder / 'README.md'
    if card.is_symlink() or not card.is_file():
        return ''
    with open(card, 'rb') as file:
        text = file.read(_CARD_BYTES).decode('utf-8', 'replace')
    found = _LICENCE.search(text.partition('---\n')[2].partition('\n---')[0]) if text.startswith('---\n') else None
    return found[1] if found else ''


def _root(root: Path, out: Path) -> str:
    near = os.path.relpath(root, out.resolve().parent)
    return near if PurePosixPath(near).parts[:_MOST_UP + 1].count('..') <= _MOST_UP else str(root)


def comment(text: str) -> str:
    """Return text of one printable line: what files are called, and what stands in them, is no YAML of ours."""
    return ''.join(char if char.isprintable() else ' ' for char in text)[:600]
