"""Sources that can be used as they are: what was guessed of a file is tried with the reader that a build uses, and kept where it finds no fault."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from curation.pictures.images import ImageLimits
from curation.rows.conversation import Conversation, RefusedError
from curation.rows.formats import read_record
from curation.rows.named_pictures import FIELDS, named_paths
from curation.rows.webdataset import tar_record
from pipelines.look.begin.found import Found
from pipelines.look.begin.guesses import Guess, guesses, lacking
from pipelines.look.begin.roots import Roots, roots_of
from pipelines.sources.containers import ARROW, CSV
from pipelines.sources.files import annotation_files
from pipelines.sources.malformed import Malformed
from pipelines.sources.peek import Row, peek
from pipelines.sources.splits import TRAIN, split_of_file
from pipelines.sources.usable import Finding, look_at_source
from schemas.disk import is_folder
from schemas.errors import UserError
from schemas.mix_rules import ImageRules
from schemas.source import Source

_ROWS = 60  # looked at to guess
_FILES = 4  # of an entry
_LIMITS = ImageLimits(**ImageRules().model_dump())
_SAYS_NOTHING = ('data', 'annotations', 'labels', 'items', 'questions', 'index', 'records', 'rows', 'metadata', 'part', 'shard')
UNSTATED = 'unstated'


@dataclass(frozen=True, slots=True)
class Proposal:
    """A source without faults, what was seen of it, and remarks on what was guessed, by key."""

    source: Source
    finding: Finding
    remarks: dict[str, str] = field(default_factory=dict)
    most_turns: int = 1


def propose(entry: str, found: Found) -> Proposal:
    """Return the source that one entry of `annotations` is; raises UserError saying why it is none."""
    files = annotation_files(entry, found.root)
    seen = peek('init', found.root, files[:_FILES], _ROWS, glance=True)
    if not (rows := seen.between):
        raise UserError('expected records whose values have names ({"image": ..., "question": ..., "answer": ...}), found '
                        f'{_strange(seen.first)}; write each record so')
    suffix = PurePosixPath(files[0]).suffix.lower()
    shown = list(_records(rows)) if suffix == '.tar' else rows
    tried = guesses(shown, table=suffix in (*ARROW, *CSV), tar=suffix == '.tar')
    if not tried:
        raise UserError(lacking(shown))
    faults = list[str]()
    for guess in tried:
        source, roots = _source(entry, guess, rows, found)
        finding = look_at_source('init', source, found.root, _LIMITS, glance=True)
        if not finding.faults:
            return _proposal(source, finding, guess, roots=roots, rows=rows)
        faults = faults or [fault.removeprefix('source init: ') for fault in finding.faults]
    raise UserError(f'read as {tried[0].format}: {faults[0]}')


def _records(rows: list[dict]) -> Iterator[dict]:
    """Yield what samples of a tar say, without those that hold a film or the like."""
    for row in rows:
        with suppress(RefusedError):
            yield tar_record(row)


def _strange(row: Row) -> str:
    return row.found[:200] if isinstance(row, Malformed) else 'none'


def is_held_out(entry: str) -> str:
    """Return the split that an entry's name says, where it is not to be trained on, or `benchmark`; else ''."""
    path = PurePosixPath(entry.replace('*', '0'))
    named = split_of_file(path)
    if any(part.lower().startswith('bench') for part in path.parts):
        return 'benchmark'
    return named.meaning if named and named.meaning != TRAIN else ''


def _source(entry: str, guess: Guess, rows: list[dict], found: Found) -> tuple[Source, Roots]:
    plain = Source.model_validate({'format': guess.format, 'annotations': [entry], 'columns': guess.columns, 'licence': UNSTATED})
    roots = roots_of(list(dict.fromkeys(_references(rows, guess)))[:_ROWS], found.pictures)
    update: dict[str, object] = {'images': roots.images} if roots.images else {}
    update |= {'strip_prefix': roots.strip_prefix} if roots.strip_prefix else {}
    update |= {'other_extensions': True} if roots.other_extensions else {}
    source = Source.model_validate({**plain.model_dump(exclude_unset=True), **update})
    return source.model_copy(update={'turns': 'each'}) if _most_pairs(rows, source) > 1 else source, roots


def _most_pairs(rows: list[dict], source: Source) -> int:
    """Return how many questions a record has at the most."""
    return max((len(one.turns) // 2 for row in rows if isinstance(one := read_record(row, source), Conversation)), default=1)


def _references(rows: list[dict], guess: Guess) -> list[str]:
    """Return the names of pictures in the rows, as they stand there."""
    named = guess.columns.get('image', ())
    fields = ([named] if isinstance(named, str) else list(named)) if guess.format == 'columns' else list(FIELDS)
    return [path for row in rows for name in fields for path in named_paths(row.get(name)) if not path.startswith(('http://', 'https://'))]


def _proposal(source: Source, finding: Finding, guess: Guess, *, roots: Roots, rows: list[dict]) -> Proposal:
    remarks = {}
    if guess.by_value:
        remarks['columns'] = f'by what stands there, since no name told: {" and ".join(guess.by_value)}'
    elif guess.columns:
        remarks['columns'] = 'by the names of the columns'
    if source.images:
        remarks['images'] = f'{roots.n_found} of {roots.n} names of pictures looked at lie there'
    if source.strip_prefix:
        remarks['strip_prefix'] = 'taken off the names of pictures, which lie elsewhere here'
    if source.other_extensions:
        remarks['other_extensions'] = 'the records say another ending than the files have'
    return Proposal(source, finding, remarks, _most_pairs(rows, source))


def title_of(entry: str, root: Path) -> str:
    """Return the words that name an entry: its file's, or its folder's where that says more than `train-00000-of-00001`."""
    path = PurePosixPath(entry)
    words = path.name if is_folder(root / entry) else path.name.split('.')[0]
    if entry in ('.', '') or words.lower() in _SAYS_NOTHING or split_of_file(PurePosixPath(path.name.replace('*', '00000'))):
        return (path.parent.name if entry != '.' else '') or root.name
    return words.replace('*', '')
