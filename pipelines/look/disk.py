"""The disk that a mix needs, before it is built: records that are there, times what some of them weigh. Every row embeds its pictures.

An upper bound but for sampling: duplicates, contamination, quotas by category, weights and licences only take away.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.filesize import decimal
from rich.table import Table

from curation.pictures.images import ImageLimits
from pipelines.sources.files import resolve
from pipelines.sources.pictures import picture_folders
from pipelines.sources.usable import Finding, look_at_source
from schemas.errors import UserError
from schemas.recipe import Recipe
from schemas.telling import print_table, tell_news

FACTS_BYTES = 1_000  # of the tables between steps, a record: ids, hashes, colour thumbnails, features; 0.9 kB in a mix of 1,000 records
FIXED_BYTES = 40_000_000  # of the hash index and the canaries, however small the mix


@dataclass(frozen=True, slots=True)
class DiskLine:
    """One source's samples, and bytes of each."""

    source: str
    samples: int
    text_bytes: float
    picture_bytes: float
    packed_bytes: float  # of pictures that lie in Parquet or tar rows: kept once more in the working folder

    @property
    def mix_bytes(self) -> float:
        """Return what the samples take in the snapshot."""
        return self.samples * (self.text_bytes + self.picture_bytes)

    @property
    def work_bytes(self) -> float:
        """Return what they take in the working folder besides the snapshot's own files, which it shares."""
        return self.samples * (self.text_bytes + self.packed_bytes + FACTS_BYTES)


@dataclass(frozen=True, slots=True)
class Size:
    """What a look tells of a source: the records that a build would read, and samples among them."""

    records: float
    samples: float
    counted: bool = True  # the records were counted, not estimated


def look_at_sources(recipe: Recipe, root: Path, index: str = '') -> dict[str, Finding]:
    """Return what is there of each source of a resolved recipe; raises UserError listing everything that is missing or of no use.

    What a build repeats of a source is told. Where the members of archives lie is kept in the folder `index`, for what follows.
    """
    limits, folders = ImageLimits(**recipe.images.model_dump()), picture_folders(recipe, root)
    found = {name: look_at_source(name, source, root, limits, index, folders, glance=True) for name, source in recipe.sources.items()}
    if faults := [fault for finding in found.values() for fault in finding.faults]:
        raise UserError('\n'.join(faults))
    for name, finding in found.items():
        for note in finding.notes:
            tell_news(f'{name}: {note}')
    return found


def disk_lines(recipe: Recipe, found: dict[str, Finding]) -> list[DiskLine]:
    """Return one line per source."""
    lines, sizes = [], sizes_of(recipe, found)
    for name, source in recipe.sources.items():
        weight = found[name].weight
        samples = round(sizes[name].samples)
        lines.append(DiskLine(name, min(samples, source.quota or samples), weight.text, weight.pictures, weight.packed))
    return lines


def sizes_of(recipe: Recipe, found: dict[str, Finding]) -> dict[str, Size]:
    """Return how large each source is, as far as a look tells."""
    sizes = {}
    for name, source in recipe.sources.items():
        seen = found[name]
        records, taken = seen.records or 0, seen.taken or 0
        sizes[name] = Size(min(records, source.subset or records), min(taken, source.subset or taken) * seen.weight.samples, seen.counted)
    return sizes


def tell_disk(recipe: Recipe, root: Path | None, out: Path) -> None:
    """Print what the mix of a recipe will take on disk. Without `root` the recipe says where the sources lie."""
    root = (root or recipe.root_of(out.resolve())).resolve()
    recipe = resolve(recipe, root)
    print_disk(recipe, look_at_sources(recipe, root), out)


def print_disk(recipe: Recipe, found: dict[str, Finding], out: Path) -> None:
    """Print what the mix of a resolved recipe will take on disk, and what is free where it goes."""
    out = out.resolve()
    lines = disk_lines(recipe, found)
    table = Table(title=f'{recipe.name}: disk of the mix, estimated from some records of each source', title_justify='left')
    for name in ('source', 'samples', 'text each', 'pictures each', 'in the mix'):
        table.add_column(name, justify='left' if name == 'source' else 'right')
    for line in lines:
        weights = (line.text_bytes, line.picture_bytes, line.mix_bytes)
        table.add_row(line.source, f'{"" if found[line.source].exact else "~"}{line.samples:,}', *(decimal(round(n_bytes)) for n_bytes in weights))
    table.add_section()
    mix, work = round(sum(line.mix_bytes for line in lines)), FIXED_BYTES + round(sum(line.work_bytes for line in lines))
    table.add_row('(total)', f'{sum(line.samples for line in lines):,}', '', '', decimal(mix))
    print_table(table)
    there = next(path for path in (out, *out.parents) if path.is_dir())
    free = shutil.disk_usage(there).free
    verdict = 'enough' if free > mix + work else 'NOT ENOUGH: choose another --out, or set quotas'
    print(f'a build takes about {decimal(mix + work)} below {out}: the mix {decimal(mix)}, tables and packed pictures {decimal(work)}; '
          f'twice the mix where --work is on another disk. Free: {decimal(free)}, {verdict}. A picture weighs as often as rows show it.')
