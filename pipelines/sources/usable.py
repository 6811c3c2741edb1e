"""Whether a source is of any use, from a few of its records and pictures: before a build, and for `phantom validate`."""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from curation.pictures.images import ImageLimits
from curation.rows.fields import ignored_fields, missing_columns, no_column
from curation.rows.formats import Conversation, Fault, read_record, split_turns
from curation.rows.named_pictures import FIELDS
from pipelines.sources.containers import Malformed
from pipelines.sources.files import get_it, resolve_source, told_of_files
from pipelines.sources.peek import Peek, peek
from pipelines.sources.pictures import look_at_pictures, picture_folders
from pipelines.sources.reading import reading_of
from schemas.disk import readable
from schemas.errors import NothingThere, PendingWork, UserError, refuse
from schemas.recipe import Recipe, Source
from schemas.records import Reason
from schemas.telling import tell_news

LOOKED_AT = 400  # records per source: a collection with one record in a hundred is seen, and of a source taken in part the share
SHOWN_FIELDS = 20  # of those that nobody reads, by name
_SHOWN = 8  # files named
_LIKE_PICTURE = re.compile('(?i)^(?:im(?:age|g)|picture|photo|figure|file)(?:s|_?(?:ids?|names?|paths?|files?))?$')
ENOUGH = 3  # records or pictures, none of them of use, that make a source useless
_ESTIMATE = 0.2  # an estimate within this share of what is expected is no difference


@dataclass(frozen=True, slots=True)
class Weight:
    """Samples that a record taken gives, and mean bytes of a sample's text and pictures; `packed`: of those that lie in the records themselves."""

    samples: float = 0.0
    text: float = 0.0
    pictures: float = 0.0
    packed: float = 0.0


@dataclass
class Finding:
    """One line of the table, and what to do about it."""

    name: str
    records: int | None = None
    taken: int | None = None  # of the records, those that the recipe's prefixes select
    counted: bool = True  # records were counted, not estimated ...
    exact: bool = True  # ... and so were those taken
    differs: bool = False
    ends: str = ''
    pictures: str = ''
    weight: Weight = Weight()
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # ... that a build repeats
    missing: bool = False  # what the recipe names is not there
    useless: bool = False  # nothing that was looked at can be used ...
    pending: bool = False  # ... at the moment

    @property
    def state(self) -> str:
        """Return 'ok', 'differs' from the expected number, 'missing', or 'fault'."""
        if self.faults:
            return 'missing' if self.missing else 'fault'
        return 'differs' if self.differs else 'ok'


def refuse_useless(recipe: Recipe, root: Path, index: str = '') -> None:
    """Raise UserError listing the sources of which nothing looked at can be used: the wrong format, pictures elsewhere, pointers to files.

    Where the members of archives lie is kept in the folder `index`, for the build that follows.
    """
    limits = ImageLimits(**recipe.images.model_dump())
    folders = picture_folders(recipe, root)
    looked = [look_at_source(name, source, root, limits, index, folders) for name, source in recipe.sources.items()]
    refuse([(PendingWork if finding.pending else UserError)(fault) for finding in looked if finding.useless for fault in finding.faults],
           'mend the source, or leave it out: --set sources.NAME=null')
    for finding in looked:
        for note in finding.notes:
            tell_news(f'{finding.name}: {note}')


def look_at_source(
    name: str, source: Source, root: Path, limits: ImageLimits, index: str = '', folders: tuple[str, ...] = (), *, glance: bool = False
) -> Finding:
    """Return what is there of one source; opens some pictures and a few places of its annotations, see `peek`. Links may lead into `folders`."""
    finding = Finding(name)
    try:
        resolved = resolve_source(name, source, root)
        with readable(f'source {name}'):
            source, told = resolved, told_of_files(source, root)
            seen = peek(name, root, source.annotations, LOOKED_AT, reading_of(source), glance=glance)
    except UserError as e:
        finding.faults += str(e).split('\n')
        finding.missing, finding.pending = isinstance(e, NothingThere), isinstance(e, PendingWork)
        finding.useless = not finding.missing  # a build stops there, too
        return finding
    finding.remarks += told
    finding.ends = _ends(finding, source, {'first': seen.first, 'last': seen.last})
    found = [[read_row(row, source) for row in look.rows] for look in seen.looks]
    every = [one for of_file in found for one in of_file]
    conversations = [one for one in every if isinstance(one, Conversation)]
    rows = [row for look in seen.looks for row in look.rows if isinstance(row, dict)]
    if missing := missing_columns(rows, source):
        finding.faults += [f'source {name}: {no_column(column, rows[0])}' for column in missing]
        finding.useless = len(rows) >= ENOUGH
    if every and not conversations:
        finding.faults.append(f'source {name}: none of {len(every)} records looked at is taken: {_why(every)}')
        finding.useless |= len(every) >= ENOUGH
    else:
        finding.faults += _shards_of_no_use(name, seen, found)
        finding.remarks += _left_out(every)
    finding.remarks += _ignored([row for look in seen.looks for row in look.rows], every, source)
    _count(finding, source, (seen.n_records, seen.about), every)
    finding.notes += _empty(seen.empty, len(source.annotations)) + _not_taken(finding, source, conversations)
    finding.remarks += finding.notes
    with readable(f'source {name}'):
        pictures = look_at_pictures(name, source, conversations, root, limits, index, folders)
    finding.pictures = f'{pictures.whole} of {pictures.looked}' if pictures.looked else 'none'
    finding.faults += [f'source {name}: {fault}' for fault in pictures.faults]
    finding.remarks += pictures.remarks
    finding.useless |= pictures.whole == 0 and pictures.looked >= ENOUGH and bool(pictures.faults)
    if finding.faults:
        finding.faults[-1] += get_it(source.get_it)
    if source.images and conversations and not any(one.images for one in conversations):
        unnamed = f'`images` is given, and none of {len(conversations)} records looked at names a picture'
        if (like := _like_pictures(rows)) and not source.optional:
            finding.faults.append(f'source {name}: {unnamed} under a name that is read ({", ".join(FIELDS[:4])}, ...); is it `{like}`? '
                                  f'Rename the field, use format columns (image: {like}), or say optional: true to take the records as text')
            finding.useless |= len(conversations) >= ENOUGH
        else:
            finding.remarks.append(unnamed)
    finding.weight = _weigh(conversations, source, pictures.n_bytes / max(1, pictures.opened))
    return finding


def _like_pictures(rows: list[dict]) -> str:
    """Return the first field, by its name, that may hold pictures and is none that is read, '' where there is none."""
    return next((field for row in rows for field in sorted(map(str, row)) if _LIKE_PICTURE.search(field) and field not in FIELDS and row[field]), '')


def _ignored(rows: list[dict | Malformed], found: list[Conversation | Fault], source: Source) -> list[str]:
    """Return a remark for each field that no reader reads, with how many of the records looked at have it."""
    taken = [(row, one) for row, one in zip(rows, found, strict=True) if isinstance(one, Conversation) and isinstance(row, dict)]
    counted = Counter(field for row, one in taken for field in ignored_fields(row, source, one))
    told = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    more = [f'ignored: {len(told) - SHOWN_FIELDS:,} more fields'] if len(told) > SHOWN_FIELDS else []
    return [f'ignored: `{field}` in {n} of {len(taken)} records looked at' for field, n in told[:SHOWN_FIELDS]] + more


def read_row(row: dict | Malformed, source: Source) -> Conversation | Fault:
    """Return what a row says, as the build reads it, or why it is none."""
    return Fault(Reason.RECORD_MALFORMED, row.found) if isinstance(row, Malformed) else read_record(row, source)


def _why(found: list[Conversation | Fault]) -> str:
    """Return why records are not taken: the first of a reason that is no choice of the recipe, else the first."""
    faults = [one for one in found if isinstance(one, Fault)]
    return next((one for one in faults if one.reason != Reason.RECORD_NOT_SELECTED), faults[0]).detail


def _shards_of_no_use(name: str, seen: Peek, found: list[list[Conversation | Fault]]) -> Iterator[str]:
    """Yield a fault for files of which nothing that was looked at can be used, where that of others can."""
    bad = [(look.file, of_file) for look, of_file in zip(seen.looks, found, strict=True) if len(of_file) >= ENOUGH and all(map(_is_unfit, of_file))]
    for file, of_file in bad[:_SHOWN]:
        yield f'source {name}: {file}: none of {len(of_file)} records looked at is taken: {_why(of_file)}'
    if len(bad) > _SHOWN:
        yield f'source {name}: {len(bad) - _SHOWN} more file(s) of which no record looked at is taken'


def _empty(files: list[str], n: int) -> list[str]:
    """Return a sentence on files that hold no records: shards of a writer that had none left."""
    more = f' and {len(files) - _SHOWN} more' if len(files) > _SHOWN else ''
    return [f'{len(files)} of {n} files hold no records: {", ".join(files[:_SHOWN])}{more}'] if files else []


def _not_taken(finding: Finding, source: Source, conversations: list[Conversation]) -> list[str]:
    """Return a sentence on the turns that the default of `turns` leaves out; who writes `turns: first` means it."""
    further = sum(max(0, len(one.turns) // 2 - 1) for one in conversations)
    if source.turns != 'first' or 'turns' in source.model_fields_set or not further:
        return []
    taken = finding.taken if finding.taken is not None else len(conversations)
    exact = finding.exact and taken == len(conversations)
    told = f'{further:,}' if exact else f'about {round(further / len(conversations) * taken):,}'
    return [f'{told} further turns are not taken: turns: each takes every question of a record as a sample, all its whole talk as one; '
            'turns: first says that this is meant']


def _is_unfit(one: Conversation | Fault) -> bool:
    return isinstance(one, Fault) and one.reason != Reason.RECORD_NOT_SELECTED


def _left_out(found: list[Conversation | Fault]) -> list[str]:
    """Return a remark on the records that a build would reject, with an example of each reason."""
    reasons: dict[str, list[str]] = {}
    for one in found:
        if isinstance(one, Fault) and one.reason != Reason.RECORD_NOT_SELECTED:
            reasons.setdefault(str(one.reason), []).append(one.detail)
    n = sum(map(len, reasons.values()))
    told = ', '.join(f'{reason} {len(details)} ({details[0][:120]})' for reason, details in sorted(reasons.items()))
    return [f'{n} of {len(found)} records looked at would be rejected: {told}'] if n else []


def _count(finding: Finding, source: Source, counted: tuple[int | None, int | None], found: list[Conversation | Fault]) -> None:
    """Fill in the records, those taken, and whether they are other than today's files are said to hold."""
    exact, about = counted
    finding.records = exact if exact is not None else about
    selects = bool(source.image_prefix or source.drop_image_prefix)
    left_out = sum(isinstance(one, Fault) and one.reason == Reason.RECORD_NOT_SELECTED for one in found)
    share = 1 - left_out / len(found) if selects and found else 1.0
    finding.counted = exact is not None
    finding.exact = finding.counted and not selects
    finding.taken = round(finding.records * share) if finding.records is not None else None
    expected = source.expected_today if source.expected_today is not None else source.expected_paper
    if finding.taken is not None and expected is not None:
        finding.differs = abs(finding.taken - expected) > (0 if finding.exact else expected * _ESTIMATE)


def _weigh(conversations: list[Conversation], source: Source, picture_bytes: float) -> Weight:
    samples = [part for one in conversations for _, part in split_turns(one, source.turns) if part is not None]
    if not samples:
        return Weight()
    n = len(samples)
    text = sum(len(turn.text.encode('utf-8', 'replace')) for part in samples for turn in part.turns)
    inside = sum(isinstance(image, bytes) for part in samples for image in part.images)
    pictures = sum(len(part.images) for part in samples)
    return Weight(n / len(conversations), text / n, pictures * picture_bytes / n, inside * picture_bytes / n)


def _ends(finding: Finding, source: Source, ends: dict[str, dict | Malformed]) -> str:
    words = []
    for which, row in ends.items():
        found = read_row(row, source)
        if isinstance(row, Malformed):
            finding.faults.append(f'source {finding.name}: {which} record: {row.found}')
            words.append('no record')
        elif isinstance(found, Conversation):
            words.append('ok')
        elif found.reason == Reason.RECORD_NOT_SELECTED:
            words.append('not selected')
        else:
            finding.remarks.append(f'{which} record would be rejected: {found.reason} ({found.detail})')
            words.append(str(found.reason))
    return words[0] if len(set(words)) == 1 else ' / '.join(words)
