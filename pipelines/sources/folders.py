"""The annotation files of a folder or a glob: what is data by its name and what is not, what `datasets` saved there, and which splits are read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from pipelines.sources.cards import Card, Config, card_of
from pipelines.sources.containers import ARROW, CSV, JSON
from pipelines.sources.splits import DEFAULT, TRAIN, Named, canonical, chosen, split_in, split_of_file
from schemas.disk import globbed, is_file, is_folder, raise_moment
from schemas.errors import UserError

_STATE, _DICT = 'state.json', 'dataset_dict.json'  # written by `datasets.save_to_disk`: the .arrow files of a split in order, and the splits
NO_DATA = ('state.json', 'dataset_dict.json', 'dataset_info.json', 'dataset_infos.json', 'config.json', 'metadata.json', 'croissant.json',
            'manifest.json')
_CACHES = ('cache-*.arrow', 'indices-*', 'tmp*.arrow')  # written by `datasets` beside its data: results of map and filter
_KINDS = (('.parquet',), ('.arrow',), tuple(suffix for suffix in JSON if suffix != '.json'), ('.json',), CSV, ('.tar',))
_NAMED = 3
_MAX_JSON = 50_000_000


@dataclass
class Found:
    """Files in order, relative to the root, and what is to be told of those that are not read."""

    files: list[str]
    remarks: list[str] = field(default_factory=list)


def in_glob(pattern: str, root: Path, splits: tuple[str, ...]) -> Found:
    """Return the files that a glob matches, without hidden ones, caches and other splits than those that are read."""
    parts = PurePosixPath(pattern).parts
    first = next(i for i, part in enumerate(parts) if '*' in part)
    matched = sorted(path.relative_to(root).as_posix() for path in globbed(root, pattern) if is_file(path))
    said = is_junk(pattern.replace('*', 'x'), first)  # a pattern that names hidden files means them
    files = [file for file in matched if said or (not is_junk(file, first) and _is_listed(root / file))]
    found = Found(files, _left_out(sorted(set(matched) - set(files))))
    if any(split_in(part.replace('*', ' ')) for part in parts[first:]):  # and one that names a split
        return found
    return _of_splits(found, first, splits, pattern)


def is_junk(file: str, from_part: int = 0) -> bool:
    """Return whether a file is none of the data by its name, or that of a folder: hidden, temporary, or a cache of `datasets`."""
    parts = PurePosixPath(file).parts[from_part:]
    return any(part.startswith(('.', '_')) for part in parts) or any(fnmatchcase(parts[-1], cache) for cache in _CACHES)


def in_folder(name: str, root: Path, splits: tuple[str, ...]) -> Found:
    """Return the files of a folder: those that `datasets` or a card names, else all of one kind; raises UserError where it holds several."""
    folder = root / name
    name = '' if name in ('', '.') else name.rstrip('/')
    if is_file(folder / _DICT):
        return _of_dict(name, folder, splits)
    if is_file(folder / _STATE):
        return Found(_saved_to_disk(name, folder))
    card = card_of(folder)
    of_card = _of_card(name, root, card, splits)
    if of_card.files:
        return of_card
    below = len(PurePosixPath(name).parts)
    files = sorted(path.relative_to(root).as_posix() for path in globbed(folder, '**/*') if path.suffix.lower() in _suffixes() and is_file(path))
    kept = [file for file in files if not is_junk(file, below) and PurePosixPath(file).name not in NO_DATA and _is_listed(root / file)]
    kinds = [[file for file in kept if PurePosixPath(file).suffix.lower() in kind] for kind in _KINDS]
    several = [kind for kind in kinds if kind]
    if len(several) > 1 and PurePosixPath(several[0][0]).suffix.lower() not in ARROW:
        raise UserError(f'expected files of one kind in {folder}, found {" and ".join(kind[0] for kind in several)}; name those that are meant: '
                        f'{name or "."}/*{PurePosixPath(several[0][0]).suffix}')
    found = Found(several[0] if several else [], of_card.remarks + _left_out(sorted(set(files) - set(kept))))
    return _of_splits(found, below, splits, name or '.')


def _suffixes() -> tuple[str, ...]:
    return tuple(suffix for kind in _KINDS for suffix in kind)


def _left_out(files: list[str]) -> list[str]:
    return [f'not read, since their names say they are no data: {", ".join(files[:_NAMED])}{_more(len(files))}'] if files else []


def _more(n: int) -> str:
    return f' and {n - _NAMED} more' if n > _NAMED else ''


def _is_listed(path: Path) -> bool:
    """Return whether a file is among those that the `state.json` beside it lists; True where there is none."""
    state = path.parent / _STATE
    return path.suffix != '.arrow' or not is_file(state) or path.name in [entry.get('filename') for entry in _state(state)['_data_files']]


def _of_splits(found: Found, from_part: int, splits: tuple[str, ...], where: str) -> Found:
    """Return the files of the splits that are read; where no name says a split, all. A file that says none beside others is training data."""
    named = {file: split_of_file(PurePosixPath(*PurePosixPath(file).parts[from_part:])) for file in found.files}
    if not any(named.values()):
        if splits and set(map(canonical, splits)) != set(DEFAULT):
            raise UserError(f'expected split {" and ".join(splits)} in {where}, found no file whose name says a split')
        return found
    groups: dict[str, list[str]] = {}
    for file, split in _exact(named).items():
        groups.setdefault(split or TRAIN, []).append(file)
    read = chosen(groups, splits, where)
    left = {split: len(files) for split, files in groups.items() if split not in read}
    told = [f'{where}: read split {_listed({split: len(groups[split]) for split in read})}'
            + (f'; not read: {_listed(left)}; to read others: splits: [...]' if left else '')]
    return Found([file for file in found.files if any(file in groups[split] for split in read)], found.remarks + told)


def _listed(counts: dict[str, int]) -> str:
    return ', '.join(f'{split} ({n} file{"s" if n > 1 else ""})' for split, n in counts.items())


def _exact(named: dict[str, Named | None]) -> dict[str, str]:
    """Return the split of each file: train for `my_train-00000-of-00002` too, unless several names say train (`train_sft`, `train_gen`)."""
    stems: dict[str, set[str]] = {}
    for split in named.values():
        if split:
            stems.setdefault(split.meaning, set()).add(split.stem)
    return {file: _read_as(split, len(stems[split.meaning]) > 1) if split else '' for file, split in named.items()}


def _read_as(split: Named, of_several: bool) -> str:
    return split.stem if split.counted and of_several else split.meaning


def _of_card(name: str, root: Path, card: Card, splits: tuple[str, ...]) -> Found:
    """Return the files of the configuration that a data set's card names, none where it names none that is there; of several none is meant."""
    where = name or '.'
    if card.unread:
        return Found([], [f'{where}: its card names configurations and cannot be read, so the names of the files say what they are: {card.unread}'])
    configs, gone = {}, []
    for config in card.configs:
        files, lost = _there(config, name, root)
        gone += lost
        if files:
            configs[config.name] = files
    told_gone = [f'{where}: its card names files that are not there: {", ".join(gone[:_NAMED])}{_more(len(gone))}'] if gone else []
    if not configs:
        return Found([], told_gone)
    if len(configs) > 1:
        example = next(file for files in configs.values() for some in files.values() for file in some)
        raise UserError(f'expected one data set in {root / name}, found the configurations {", ".join(list(configs)[:8])} in its card; '
                        f'name the files of one, such as {example}')
    (files,) = configs.values()
    read = chosen(files, splits, where)
    left = {split: len(some) for split, some in files.items() if split not in read}
    told = f'{where}: its card names the splits; read {_listed({split: len(files[split]) for split in read})}'
    return Found([file for split in read for file in files[split]], [told + (f'; not read: {_listed(left)}' if left else ''), *told_gone])


def _there(config: Config, name: str, root: Path) -> tuple[dict[str, list[str]], list[str]]:
    """Return the files of each split of a configuration, and the patterns of which there is none."""
    files: dict[str, list[str]] = {}
    gone = []
    for split, patterns in config.patterns.items():
        for pattern in patterns:
            if found := list(_matches(f'{name}/{pattern}' if name else pattern, root)):
                files.setdefault(split, []).extend(found)
            else:
                gone.append(pattern)
    return {split: list(dict.fromkeys(some)) for split, some in files.items()}, gone


def _matches(pattern: str, root: Path) -> Iterator[str]:
    path = PurePosixPath(pattern)
    if path.is_absolute() or '..' in path.parts:
        raise UserError(f'expected files below the folder in its card, found {pattern}')
    if is_file(root / pattern):
        return iter([pattern])
    inside = f'{pattern.rstrip("/")}/*' if is_folder(root / pattern) else pattern
    return iter(sorted(file for found in globbed(root, inside) if is_file(found) and not is_junk(file := found.relative_to(root).as_posix())))


def _of_dict(name: str, folder: Path, splits: tuple[str, ...]) -> Found:
    """Return the files of the splits of a saved DatasetDict."""
    found = _json(folder / _DICT).get('splits')
    if not isinstance(found, list) or not found or not all(isinstance(split, str) and split == PurePosixPath(split).name for split in found):
        raise UserError(f'expected the names of splits in {folder / _DICT}, found {str(found)[:80]}')
    read = chosen(found, splits, name or '.')
    left = [split for split in found if split not in read]
    told = f'{name or "."}: read split {", ".join(read)}' + (f'; not read: {", ".join(left)}; to read others: splits: [...]' if left else '')
    return Found([file for split in read for file in _saved_to_disk(f'{name}/{split}' if name else split, folder / split)], [told])


def _saved_to_disk(name: str, path: Path) -> list[str]:
    state = _state(path / _STATE)
    if any(state.get(indices) for indices in ('_indices_data_files', '_indices_files')):
        raise UserError(f'expected rows as they are stored in {path}, found a selection of them (indices); save it anew: python -c '
                        f'"from datasets import load_from_disk as load; load({str(path)!r}).flatten_indices().save_to_disk({str(path) + "-flat"!r})"')
    files = [entry.get('filename') for entry in state['_data_files']]
    bad = [file for file in files if not isinstance(file, str) or file != PurePosixPath(file).name or not is_file(path / file)]
    if bad:
        raise UserError(f'expected the files that {path / _STATE} lists beside it, found no {bad[:3]}')
    return [f'{name}/{file}' if name else str(file) for file in files]


def _state(path: Path) -> dict:
    state = _json(path)
    files = state.get('_data_files')
    if not isinstance(files, list) or not all(isinstance(entry, dict) for entry in files):
        raise UserError(f'expected {path} as datasets.save_to_disk writes it, found no list of files in it')
    return state


def _json(path: Path) -> dict:
    try:
        if path.stat().st_size > _MAX_JSON:
            raise ValueError(f'{path.stat().st_size} bytes')
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as e:
        raise_moment(e)
        raise UserError(f'expected {path} as datasets.save_to_disk writes it, found: {type(e).__name__} {e}') from e
    if not isinstance(found, dict):
        raise UserError(f'expected {path} as datasets.save_to_disk writes it, found {type(found).__name__}')
    return found
