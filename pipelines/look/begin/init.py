"""`phantom init`: a recipe for what lies in some folders, or a copy of one that comes with the package. Nothing is overwritten."""

import re
from pathlib import Path

from pipelines.look.begin.found import Found, look_around
from pipelines.look.begin.proposals import UNSTATED, Proposal, is_held_out, propose, title_of
from pipelines.look.begin.recipe_text import comment, licence_near, recipe_text
from schemas.disk import readable
from schemas.errors import PendingWork, UserError
from schemas.publish import publish_bytes
from schemas.recipe import Recipe
from schemas.shipped import MODELINE, SCHEMA, shipped
from schemas.source import name_from
from schemas.telling import tell_news
from schemas.yaml_text import parse_yaml

_MOST_TOLD = 20


def copy_recipe(name: str, out: Path) -> str:
    """Write a shipped recipe to `out`; return what is to be told. Raises UserError for a name that none has."""
    path = shipped().get(name)
    if path is None:
        raise UserError(f'--from {name}: expected one of {", ".join(shipped())}, found no recipe of that name')
    refuse_taken(out)
    lines = path.read_text('utf-8').split('\n')
    text = '\n'.join([f'{MODELINE}{SCHEMA}', *(line for line in lines if not line.startswith(MODELINE))])
    publish_bytes(out, re.sub(r'^extends: (\w+)\.yaml$', r'extends: \1', text, flags=re.MULTILINE).encode())  # what lies beside it lies with us
    return f'{out}: a copy of {name}; next: phantom validate {out} --root DIR'


def write_recipe(paths: list[Path], out: Path) -> str:
    """Write a recipe for what lies at `paths`; return what is to be told. Raises UserError where nothing there can be used, saying why."""
    refuse_taken(out)
    with readable('init'):
        found = look_around(paths)
    tell_news(f'init: {len(found.units):,} file(s) of data and {found.n_pictures:,} picture(s) below {found.root}')
    sources = dict[str, Proposal]()
    held = {unit: split for unit in found.units if (split := is_held_out(unit))}
    for unit in found.units:
        if unit in held and len(held) < len(found.units):
            found.left_out[unit] = (f'its name says {held[unit]}, which is not to be trained on; to keep what stands in it out: '
                                    'phantom help contamination.benchmarks')
            continue
        try:
            sources[_named(title_of(unit, found.root), sources)] = propose(unit, found)
        except PendingWork:
            raise
        except UserError as e:
            found.left_out[unit] = str(e).split('\n')[0]
    told = [f'not used: {comment(f"{file}: {why}")}' for file, why in list(found.left_out.items())[:_MOST_TOLD]]
    if not sources:
        raise UserError(_nothing(found, told))
    text = recipe_text(_name(found.root.name), found.root, out, sources, found.left_out)
    Recipe.model_validate(parse_yaml(text, str(out)))
    publish_bytes(out, text.encode())
    return '\n'.join([*(_told(name, one) for name, one in sources.items()), *told, *_next(out, found.root, sources)])


def _nothing(found: Found, told: list[str]) -> str:
    """Return what is said where nothing can be used."""
    alone = not found.units and found.n_pictures
    lacks = '; pictures need a file that asks about them and answers: a CSV with image, question, answer' if alone else ''
    head = (f'init: expected questions with answers below {found.root}, found none that can be used ({len(found.units)} file(s) of data, '
            f'{found.n_pictures:,} picture(s)){lacks}; what is read: docs/formats.md')
    return '\n'.join([head, *told])


def refuse_taken(out: Path) -> None:
    """Raise UserError where something lies at `out`, or its folder is not there."""
    if out.exists() or out.is_symlink():
        raise UserError(f'{out}: expected no file of that name, found one, which is not overwritten; choose another: --out other.yaml')
    if not out.parent.is_dir():
        raise UserError(f'{out}: expected a folder {out.parent}, found none; make it first')


def _name(words: str) -> str:
    """Return words as a name that recipes take."""
    return name_from(words, 'mine')[:60]


def _named(words: str, taken: dict[str, Proposal]) -> str:
    name = _name(words)
    return name if name not in taken else next(f'{name}-{n}' for n in range(2, len(taken) + 3) if f'{name}-{n}' not in taken)


def _told(name: str, one: Proposal) -> str:
    records = 'records' if one.finding.taken is None else f'{"" if one.finding.exact else "about "}{one.finding.taken:,} record(s)'
    pictures = f', pictures: {one.finding.pictures} looked at open' if one.finding.pictures not in ('', 'none') else ', no pictures'
    return f'{name}: {one.source.format}, {records}{pictures}'


def _next(out: Path, root: Path, sources: dict[str, Proposal]) -> list[str]:
    asked = [name for name, one in sources.items() if not licence_near(one.source.annotations[0], root)]
    say = [f'licences of {", ".join(asked)}: say them in the recipe ({UNSTATED} now)'] if asked else []
    return [f'{out}: written; lines with GUESS and QUESTION are yours to look at', *say,
            f'next: phantom validate {out}; phantom build {out} --out mine --mix-only; phantom gallery mine']
