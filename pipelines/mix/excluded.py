"""Rows that a user left out by hand: lists of tagged ids, as the gallery saves them, which the recipe names in `exclude`."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines.engine.step import Place, Step
from pipelines.engine.tables import ShardWriter, Table
from pipelines.engine.uses import all_uses
from pipelines.snapshot.plain import plain
from schemas.disk import readable
from schemas.errors import UserError, refuse
from schemas.json_text import strict
from schemas.regular import read_regular
from schemas.snapshot import file_sha256
from schemas.telling import tell_news

MOST_BYTES = 200_000_000  # of a list: two million ids
MOST_TAG_CHARS = 60
SHOWN = 3  # ids in a message
EXCLUDED = pa.schema([('id', pa.string()), ('tag', pa.string())])
UNKNOWN = pa.schema([('id', pa.string())])
_FORM = '{"snapshot_id": "...", "tags": {"blurry": ["an id", ...]}}, as the gallery saves it'


@dataclass(frozen=True, slots=True)
class TagList:
    """One list: of which snapshot ('' where it does not say), and the ids of each tag."""

    snapshot_id: str
    tags: dict[str, list[str]]


@dataclass(frozen=True)
class ReadExcluded(Step):
    """Writes `part` (EXCLUDED): each id of all lists once, with its tags. One shard."""

    TABLE = 'excluded'
    VERSION = 1

    sha256: tuple[str, ...]  # of the files
    files: Place[tuple[str, ...]]

    def process(self, shard: int, writer: ShardWriter) -> None:
        tags: dict[str, dict[str, None]] = {}
        for path, sha256 in zip(self.files, self.sha256, strict=True):
            for tag, ids in read_tags(path).tags.items():
                for each in ids:
                    tags.setdefault(each, {})[tag] = None
            if file_sha256(Path(path)) != sha256:
                raise UserError(f'exclude: {path}: it changed while it was read; build again')
        rows = [{'id': each, 'tag': ', '.join(of)} for each, of in sorted(tags.items())]
        writer.write('part', pa.Table.from_pylist(rows, EXCLUDED))


def read_tags(path: str) -> TagList:
    """Return what a list says; raises UserError for a file that is none."""
    try:
        with readable(path):
            told: Any = strict(json.loads(read_regular(Path(path), MOST_BYTES).decode('utf-8-sig')))
    except (OSError, ValueError, RecursionError) as e:
        raise UserError(f'exclude: {path}: expected {_FORM}, found: {str(e)[:200]}') from e
    tags = told.get('tags') if isinstance(told, dict) else None
    if not isinstance(tags, dict) or not all(isinstance(ids, list) and all(isinstance(each, str) for each in ids) for ids in tags.values()):
        raise UserError(f'exclude: {path}: expected {_FORM}, found something else')
    if strange := [tag for tag in tags if not 0 < len(tag) <= MOST_TAG_CHARS or not tag.isprintable()]:
        raise UserError(f'exclude: {path}: expected tags of 1 to {MOST_TAG_CHARS} letters that can be printed, found {strange[0][:80]!r}')
    if not any(tags.values()):
        raise UserError(f'exclude: {path}: expected at least one id, found none')
    return TagList(str(told.get('snapshot_id') or '')[:64], tags)


def digests_of(files: Iterable[str]) -> list[str]:
    """Return the sha256 of each list; raises UserError naming all that are none, or are not there any more."""
    faults, found = list[UserError](), list[str]()
    for path in files:
        try:
            read_tags(path)
            found.append(file_sha256(Path(path)))
        except UserError as e:
            faults.append(e)
    refuse(faults)
    return found


def reading(files: list[str], sha256: list[str]) -> list[ReadExcluded]:
    """Return the step that reads the lists, none where there are none."""
    return [ReadExcluded(tuple(sha256), tuple(files))] if files else []


def tags_by_id(excluded: Iterable[Table]) -> dict[str, str]:
    """Return the tags of each id that the lists name."""
    return {each: tag for table in excluded for each, tag in zip(*(table.read()[name].to_pylist() for name in EXCLUDED.names), strict=True)}


def about_excluded(files: list[str], sha256: list[str], plan: Table, unit: str) -> dict[str, dict]:
    """Return what the manifest says of the lists; {} without any. `unit`: what it may have left out."""
    if not files:
        return {}
    lists = [{'file': Path(path).name, 'sha256': digest, 'snapshot_id': told.snapshot_id, 'tags': {tag: len(ids) for tag, ids in told.tags.items()}}
             for path, digest in zip(files, sha256, strict=True) for told in (read_tags(path),)]
    return {'excluded': {'lists': lists, f'{unit}s': plan.counts().get('excluded', 0), 'unknown': len(plan.read('unknown'))}}


def tell_excluded(about: dict, plan: Table, work: Path) -> None:
    """Say which ids of the lists are not known here, and which lists are of snapshots that no build of this working folder sealed."""
    if not about:
        return
    if 'samples' in about['excluded']:
        _tell_foreign(about['excluded']['lists'], work)
    unknown = plan.read('unknown')['id'].to_pylist()
    if unknown:
        named = ', '.join(each[:120] for each in unknown[:SHOWN])
        tell_news(f'exclude: {len(unknown):,} id(s) that name nothing here: {named}{", ..." if len(unknown) > SHOWN else ""}')


def _tell_foreign(lists: list[dict], work: Path) -> None:
    own = {uses.about.get('snapshot_id') for kind in ('mix', 'triples') for uses in all_uses(work, kind)}
    for one in lists:
        if one['snapshot_id'] and one['snapshot_id'] not in own:
            tell_news(f'exclude: {one["file"]}: made from another snapshot, {one["snapshot_id"][:12]}, which no build in {work} sealed last; '
                      'what it names and is here is left out')


def markdown_excluded(about: dict) -> str:
    """Return what the card says of the lists, '' where there are none."""
    if not about:
        return ''
    told = about['excluded']
    out = '; '.join(f'{told[unit]:,} {unit} left out' for unit in ('samples', 'candidates') if unit in told)
    lines = [f'- `{one["sha256"][:12]}`: ' + ', '.join(f'{plain(tag)} {n:,}' for tag, n in one['tags'].items()) for one in told['lists']]
    said = f'By lists of tagged ids (`EXCLUDED`): {out}, {told["unknown"]:,} id(s) name nothing here.'
    return '\n'.join(['## Left out by hand', '', said, '', *lines])
