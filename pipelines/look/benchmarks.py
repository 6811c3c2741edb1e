"""What is there of a benchmark and what is lacking, in seconds: every annotation row, the first bytes of every picture, some pictures whole."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from curation.pictures.images import ImageFacts, ImageFault, ImageLimits, inspect_image
from pipelines.benches.compared import HEAD_BYTES, NOT_COMPARED, Compared, faults, head_fault, remarks
from pipelines.benches.items import image_store, read_items
from pipelines.sources.files import get_it
from pipelines.sources.images import ImageStore, ImageTooManyBytes, ImageUnavailable
from pipelines.sources.usable import Finding
from schemas.disk import is_file, readable
from schemas.errors import Unreadable, UserError
from schemas.recipe import Benchmark
from schemas.records import Reason

DECODED = 64  # pictures opened whole, spread over the benchmark


@dataclass
class BenchFinding(Finding):
    """One line of the table of benchmarks, and what to do about it."""

    compared: Compared | None = None


@dataclass
class _Spread:
    """At most DECODED to twice as many things, evenly spread over all that were seen."""

    every: int = 1
    seen: int = 0

    def __post_init__(self) -> None:
        self.kept: list[tuple[str, str | bytes]] = []

    def see(self, item_id: str, image: str | bytes) -> None:
        if self.seen % self.every == 0:
            self.kept.append((item_id, image))
        self.seen += 1
        if len(self.kept) >= 2 * DECODED:
            self.kept, self.every = self.kept[::2], 2 * self.every


def look_at_benchmark(bench: Benchmark, root: Path, limits: ImageLimits) -> BenchFinding:
    """Return what is there of a benchmark: its items, answers and options counted, what it lacks, and whether its pictures open."""
    finding, folder = BenchFinding(bench.name), root / bench.path
    compared, spread = Compared(bench.format), _Spread()
    try:
        store = image_store(bench.name, bench.format, folder, limits.max_bytes)
        heads: dict[str, str] = {}
        for item in read_items(bench.name, bench.format, folder, bench.fields()):
            compared.add(item)
            for image in item.images:
                why = _head_fault(bench.name, image, store, heads)
                if why:
                    compared.lack('pictures', f'item {item.item_id}: {why}')
                else:
                    spread.see(item.item_id, image)
        compared.finish(folder)
    except UserError as e:
        finding.missing = not folder.is_dir()
        finding.ends = '' if finding.missing else 'no item'
        finding.faults.append(str(e) + get_it(bench.get_it))
        return finding
    looked = list(_decoded(bench.name, spread.kept, store, limits, compared))
    finding.pictures = f'{sum(looked)} of {len(looked)}' if looked else 'none'
    finding.compared, finding.ends = compared, 'ok' if compared.items else 'no item'
    finding.faults += faults(bench, compared)
    finding.remarks += remarks(bench, compared)
    finding.differs = compared.expected is not None and compared.items != compared.expected
    return finding


def _decoded(name: str, images: list[tuple[str, str | bytes]], store: ImageStore, limits: ImageLimits, compared: Compared) -> Iterator[bool]:
    """Yield of each picture whether it opens; one that does not is counted as lacking."""
    for item_id, image in images:
        found: ImageFacts | ImageFault
        try:
            found = inspect_image(image if isinstance(image, bytes) else store.read(f'{name}/{image}'), limits)
        except (ImageUnavailable, ImageTooManyBytes, Unreadable) as e:
            found = ImageFault(Reason.IMAGE_UNDECODABLE, str(e))
        if isinstance(found, ImageFault) and found.reason in NOT_COMPARED:
            compared.lack('pictures', f'item {item_id}: {found.reason}: {found.detail}')
            yield False
        else:
            yield True


def _head_fault(name: str, image: str | bytes, store: ImageStore, known: dict[str, str]) -> str:
    """Return why a picture cannot be one, from whether it is there and how it begins; '' where it may be."""
    if isinstance(image, bytes):
        return head_fault(image[:HEAD_BYTES])
    if image not in known:
        known[image] = _file_fault(name, image, store)
    return known[image]


def _file_fault(name: str, image: str, store: ImageStore) -> str:
    if not store.stamp(f'{name}/{image}'):
        return f'no file {image[:200]!r} in {len(store.roots[name])} image root(s)'
    for root in store.roots[name]:
        path = Path(root) / image
        with readable(path):
            if is_file(path):
                with open(path, 'rb') as handle:
                    return head_fault(handle.read(HEAD_BYTES))
    return ''  # in an archive
