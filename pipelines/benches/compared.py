"""What of a benchmark is compared with a mix, counted, and what is lacking of it: nothing is called clean because it was not there to be found."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from pipelines.benches.layouts.folder import files_passed_over, may_be_picture, picture_files
from pipelines.benches.layouts.item import Item
from pipelines.benches.layouts.layouts import LAYOUTS
from pipelines.sources.completeness import check_shards, is_pointer
from pipelines.sources.files import get_it
from schemas.errors import UserError
from schemas.recipe import Benchmark
from schemas.records import Reason

KINDS = ('parts', 'pictures', 'answers', 'options')  # what may be lacking, as `accept` names it
# pictures refused for these may stand in a mix all the same, the others (too small, of one colour, ...) in none
NOT_COMPARED = (Reason.IMAGE_FORMAT, Reason.IMAGE_TRUNCATED, Reason.IMAGE_UNDECODABLE, Reason.IMAGE_TOO_LARGE)
_NO_ANSWER = ('none', 'null', 'nan', 'n/a', 'na', 'hidden', 'unknown', 'unanswerable', 'tbd', '-', '--', '?')  # written for a null, or for a secret
FEW = 20  # one of so many items without options, where others have some by their layout or none has, is no lack
HEAD_BYTES = 64  # of a file, by which it is told to be no picture
_NAMED = 12  # fields that nobody reads, named in a remark
_EXAMPLE_CHARS = 300


@dataclass
class Compared:
    """Counts of one benchmark. `lacking` says of how many items or pictures something is not there, `examples` what the first of each is."""

    layout: str
    items: int = 0
    questions: int = 0
    answers: int = 0  # items that publish one
    no_answers: int = 0  # ... as a word that says there is none
    options: int = 0  # items that have some
    pictures: int = 0  # that items name or hold
    blank: int = 0  # items that should have a picture and have none
    nulls: int = 0  # rows of a `folder` with a field for a picture, and null in it
    left_out: int = 0  # pictures that no mix of the recipe may hold either: too small, of one colour, ...
    lacking: Counter = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)
    read: Counter = field(default_factory=Counter)  # which fields were taken for what, where a layout does not know
    unread: Counter = field(default_factory=Counter)
    parts: set[str] = field(default_factory=set)
    passed_over: list[str] = field(default_factory=list)  # files of a `folder` that may hold rows and are not read

    def add(self, item: Item) -> None:
        """Count an item, and what its row lacks."""
        layout = LAYOUTS[self.layout]
        self.items += 1
        self.questions += bool(item.question.strip())
        self.answers += bool(item.answer)
        self.no_answers += item.answer.strip().casefold() in _NO_ANSWER
        self.options += bool(item.options)
        self.pictures += len(item.images)
        self.read.update(item.read)
        self.unread.update(item.unread)
        self.parts.add(layout.part(item))
        lacks = set(item.lacks)
        lacks |= {'answers'} if layout.answers == 'all' and not item.answer else set()
        lacks |= {'options'} if layout.options and not item.options else set()
        self.nulls += 'pictures' in lacks
        if not item.images and not layout.may_be_blind(item):
            self.blank += 1
            self.lack('pictures', f'item {item.item_id}: no picture')
        for kind in sorted(lacks - {'pictures'}):
            self.lack(kind, f'item {item.item_id}')

    def lack(self, kind: str, example: str) -> None:
        """Count one thing that is lacking."""
        self.lacking[kind] += 1
        self.examples.setdefault(kind, example[:_EXAMPLE_CHARS])

    def finish(self, folder: Path) -> None:
        """Count what shows when all items were read: splits, tasks and shards that are not there, fields that nobody took."""
        layout = LAYOUTS[self.layout]
        for part in layout.parts:
            if part not in self.parts:
                self.lack('parts', part)
        try:
            check_shards(sorted(path.relative_to(folder).as_posix() for path in layout.shards(folder)))
        except UserError as e:
            self.lack('parts', str(e))
        if layout.answers == 'some' and (self.items - self.answers) * 4 > self.items * 3 and not self.lacking['answers']:
            self.lacking['answers'] = self.items - self.answers
            self.examples['answers'] = 'null in their field'
        if self.answers and self.no_answers == self.answers and not self.lacking['answers']:  # one of them alone may be an answer
            self.lacking['answers'] = self.items
            self.examples['answers'] = 'a word for none (None, nan, hidden, ...) in every row'
        if not self.lacking['parts'] and self.items < (layout.fewest or layout.n_items or 0):
            self.lack('parts', _few(self))
        if self.lacking['options'] * FEW < self.items and (layout.options or not self.options):  # a letter may be an answer
            self.lacking.pop('options', None)
        if self.nulls * 4 > self.items * 3:  # else some ask without a picture
            self.blank += self.nulls
            self.lacking['pictures'] += self.nulls
            self.examples.setdefault('pictures', 'null in their fields')
        if layout is LAYOUTS['folder']:
            self.passed_over = [path.relative_to(folder).as_posix() for path in files_passed_over(folder)]
        named = sorted(name for name in self.unread if may_be_picture(name))
        if layout is LAYOUTS['folder'] and named and not self.pictures:
            self.lacking['pictures'] = self.items
            self.examples['pictures'] = f'no field is read as a picture, though there is `{named[0]}`'

        elif layout is LAYOUTS['folder'] and not self.pictures and self.items <= 2 * len(there := picture_files(folder)) > 0:
            self.lacking['pictures'] = len(there)  # fewer may be a logo
            self.examples['pictures'] = f'{there[0].relative_to(folder).as_posix()}, which no item names'

    def as_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        names = ('layout', 'items', 'questions', 'answers', 'options', 'pictures', 'blank', 'nulls', 'left_out', 'examples', 'passed_over')
        plain = {name: getattr(self, name) for name in names}
        return {**plain, 'lacking': dict(self.lacking), 'read': dict(self.read), 'unread': dict(self.unread), 'parts': sorted(self.parts)}

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """Return what `as_json` told."""
        counters = {name: Counter(told[name]) for name in ('lacking', 'read', 'unread')}
        return cls(**{**told, **counters, 'parts': set(told['parts'])})

    @property
    def expected(self) -> int | None:
        """Return how many items a whole copy has, None where no sure number is known."""
        return LAYOUTS[self.layout].n_items

    @property
    def pictures_compared(self) -> int:
        """Return how many pictures were opened and are looked for."""
        return max(0, self.pictures - self.left_out - max(0, self.lacking['pictures'] - self.blank))


def head_fault(head: bytes) -> str:
    """Return why a file cannot be a picture, from its first bytes; '' where it may be one."""
    if not head:
        return 'an empty file'
    if is_pointer(head):
        return 'a Git LFS pointer; fetch the file itself: git lfs pull'
    return 'a web page' if head.lstrip()[:5].lower() in (b'<!doc', b'<html') else ''


def shown(compared: Compared) -> dict[str, Any]:
    """Return the counts that a manifest keeps of a benchmark."""
    return {
        'items': compared.items, 'expected_items': compared.expected, 'questions': compared.questions, 'answers': compared.answers,
        'options': compared.options, 'pictures': compared.pictures, 'pictures_compared': compared.pictures_compared,
        'lacking': {kind: compared.lacking[kind] for kind in KINDS if compared.lacking[kind]},
    }  # fmt: skip


def lacks(compared: Compared) -> list[str]:
    """Return a sentence for each thing that a benchmark lacks."""
    return [_say(compared, kind) for kind in KINDS if compared.lacking[kind]]


def faults(bench: Benchmark, compared: Compared) -> list[str]:
    """Return a sentence for each thing that a benchmark lacks and the recipe does not accept; one without items is never accepted."""
    if compared.items == 0:
        return [f'benchmark {bench.name}: expected items in {bench.path}, found none{get_it(bench.get_it)}']
    return [
        f'benchmark {bench.name}: {_say(compared, kind)}; nothing would be found in what is not there. Mend it{_by(compared, kind)}, or accept it '
        f'in the recipe: {{name: {bench.name}, ..., accept: [{", ".join([*bench.accept, kind])}]}}{get_it(bench.get_it)}'
        for kind in KINDS if compared.lacking[kind] and kind not in bench.accept
    ]  # fmt: skip


def remarks(bench: Benchmark, compared: Compared) -> Iterator[str]:
    """Yield sentences on what is worth knowing of a benchmark: what was accepted, what was read for what, and which fields were not read."""
    for kind in bench.accept:
        yield f'accepted: {_say(compared, kind)}' if compared.lacking[kind] else f'accept: {kind} is not needed'
    if compared.expected is not None and compared.items != compared.expected:
        yield f'{compared.items:,} items, {compared.expected:,} in a whole copy'
    if not_published := compared.items - compared.answers - compared.lacking['answers']:
        yield f'{not_published:,} of {compared.items:,} items publish no answer: they are found by their questions and pictures'
    if compared.nulls:
        yield f'{compared.nulls:,} of {compared.items:,} items have null for a picture: they are found by their texts'
    if compared.read:
        yield 'read as ' + '; '.join(sorted(compared.read))
    if compared.passed_over:
        yield f'{len(compared.passed_over)} file(s) that may hold rows are not read, such as {compared.passed_over[0]}'
    if compared.unread:
        named = [f'`{name}` in {n:,}' for name, n in sorted(compared.unread.items())]
        yield f'ignored: {", ".join(named[:_NAMED])}' + (f' and {len(named) - _NAMED} more' if len(named) > _NAMED else '')


def _say(compared: Compared, kind: str) -> str:
    n, example = compared.lacking[kind], compared.examples.get(kind, '')
    match kind:
        case 'parts':
            parts = len(LAYOUTS[compared.layout].parts)
            if example == _few(compared):
                return f'expected all of its items, found {example}'
            return f'expected all of its parts, found {n}{f" of {parts}" if parts else ""} missing, such as {example}'
        case 'pictures':
            of = max(n, compared.pictures + compared.blank)
            return f'expected pictures that open, found {n:,} of {of:,} that cannot be compared, the first: {example}'
        case 'answers':
            return f'expected answers, found none in {n:,} of {compared.items:,} items, the first: {example}'
    return f'expected options, found none in {n:,} of {compared.items:,} items that need them, the first: {example}'


def _few(compared: Compared) -> str:
    return f'{compared.items:,} of {compared.expected or 0:,}'


def _by(compared: Compared, kind: str) -> str:
    """Return how it may be mended."""
    if compared.layout == 'folder' and kind in ('answers', 'options') and compared.unread:
        fields = ', '.join(f'`{name}`' for name in sorted(compared.unread)[:_NAMED])
        return f' (columns: {{{kind.removesuffix("s") if kind == "answers" else kind}: ...}} names the field; not read so far: {fields})'
    if compared.layout == 'folder' and kind == 'pictures' and not compared.pictures:
        return ' (columns: {image: ...} names their field)'
    if kind == 'pictures' and ': no file' in compared.examples.get(kind, ''):
        return f' (below its folder they are looked for in {", ".join(LAYOUTS[compared.layout].image_roots)}: fetch, move or link them)'
    return ' (fetch it again)' if kind != 'parts' else ' (fetch what is missing)'
