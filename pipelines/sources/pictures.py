"""A sample of a source's pictures, some from every folder that its records name: which open, which are whole, and what to do about the others."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from curation.pictures.images import ImageFault, ImageLimits, extension_agrees, inspect_image
from curation.rows.formats import Conversation
from pipelines.sources.completeness import is_pointer, picture_nearby
from pipelines.sources.images import ImageStore, ImageTooManyBytes, ImageUnavailable, LeadsOut
from schemas.disk import is_folder, readable
from schemas.errors import Unreadable
from schemas.recipe import Recipe, Source

PICTURES = 48  # looked at, per source
_FOLDER_PARTS = 2  # folders of a name that tell collections apart: coco/train2017, vg/VG_100K
_SHOWN = 4  # collections named in a message
_ENOUGH = 3  # pictures looked at in a folder, none of them there: the folder is missing, not a picture


@dataclass
class Pictures:
    """What was seen: how many opened, how many were whole, and the sentences about the rest."""

    looked: int = 0
    opened: int = 0
    n_bytes: int = 0  # of those opened
    whole: int = 0
    faults: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def look_at_pictures(
    name: str, source: Source, conversations: list[Conversation], root: Path, limits: ImageLimits, index: str = '', folders: tuple[str, ...] = ()
) -> Pictures:
    """Return what was seen of at most PICTURES pictures of these records; `source` is resolved, `index` as an ImageStore has it.

    `folders` are those of the other sources, into which links may lead.
    """
    renamed = frozenset([name] if source.other_extensions else ())
    store = ImageStore({name: tuple(str(root / images) for images in source.images)}, '', limits.max_bytes, renamed, index, folders)
    seen = Pictures()
    missing: dict[str, list[str]] = defaultdict(list)
    outside: dict[str, list[str]] = defaultdict(list)
    there: Counter = Counter()
    reasons: Counter = Counter()
    pointers: list[str] = []
    unread: list[Unreadable] = []
    misnamed = 0
    for image in _from_every_folder(conversations):
        seen.looked += 1
        folder = '' if isinstance(image, bytes) else _folder(image)
        try:
            data = image if isinstance(image, bytes) else store.read(f'{name}/{image}')
        except LeadsOut as e:
            outside[e.where].append(str(image))
            continue
        except Unreadable as e:
            unread.append(e)
            continue
        except (ImageUnavailable, ImageTooManyBytes):
            missing[folder].append(str(image))
            continue
        there[folder] += 1
        seen.opened += 1
        seen.n_bytes += len(data)
        try:
            with readable(image if isinstance(image, str) else 'a picture in a record'):
                found = inspect_image(data, limits)
        except Unreadable as e:
            unread.append(e)
            continue
        if isinstance(found, ImageFault):
            reasons[str(found.reason)] += 1
            pointers += [str(image)] if is_pointer(data) else []
        else:
            seen.whole += 1
            misnamed += isinstance(image, str) and not any(extension_agrees(other, found.format) for other in store.names(name, image))
    absent = {folder: names for folder, names in missing.items() if not there[folder] and (len(names) >= _ENOUGH or not (there or unread))}
    if absent:
        seen.faults.append(_say_absent(absent, source, root))
    if outside:
        (seen.remarks if seen.opened else seen.faults).append(_say_outside(outside, seen.looked))
    if unread:
        seen.remarks.append(f'{len(unread)} of {seen.looked} pictures looked at cannot be read at the moment: {Unreadable.together(unread)}')
    if n_some := sum(len(names) for folder, names in missing.items() if folder not in absent):
        seen.remarks.append(f'{n_some} of {seen.looked} pictures looked at are not there; the build leaves their records out (IMAGE_MISSING)')
    if pointers:
        seen.faults.append(f'{len(pointers)} of {seen.looked} pictures looked at are Git LFS pointers, such as {pointers[0]}; '
                           'fetch the files: git lfs pull')
    elif reasons and not seen.whole and not unread:
        seen.faults.append(f'none of {seen.looked} pictures looked at can be used: {_counted(reasons)}')
    elif reasons:
        seen.remarks.append(f'{reasons.total()} of {seen.looked} pictures looked at would be left out: {_counted(reasons)}')
    if misnamed:
        fate = 'left out (images.matching_extension)' if limits.matching_extension else 'kept'
        seen.remarks.append(f'{misnamed} of {seen.looked} pictures looked at hold another format than their name says; they are {fate}')
    return seen


def _folder(image: str) -> str:
    return '/'.join(PurePosixPath(image).parts[:-1][:_FOLDER_PARTS])


def _from_every_folder(conversations: list[Conversation]) -> list[str | bytes]:
    """Return at most PICTURES distinct pictures, of each folder in turn."""
    folders: dict[str, dict[str | bytes, None]] = defaultdict(dict)
    for image in (image for conversation in conversations for image in conversation.images):
        folders['' if isinstance(image, bytes) else _folder(image)][image] = None
    queues = [list(images)[:: max(1, len(images) // PICTURES)] for images in folders.values()]
    turns = (queue[turn] for turn in range(PICTURES) for queue in queues if turn < len(queue))
    return [image for _, image in zip(range(PICTURES), turns, strict=False)]


def _say_absent(absent: dict[str, list[str]], source: Source, root: Path) -> str:
    named = ', '.join(f'{folder or "."} (0 of {len(names)})' for folder, names in list(absent.items())[:_SHOWN])
    more = f' and {len(absent) - _SHOWN} more folder(s)' if len(absent) > _SHOWN else ''
    example = next(iter(absent.values()))[0]
    folders = [root / images for images in source.images if is_folder(root / images)]
    where = ', '.join(source.images) or 'no `images` in the recipe'
    return (f'pictures looked at do not open in {named}{more}, such as {example}; looked for below {root}: {where}'
            + picture_nearby(example, folders, root))


def _say_outside(outside: dict[str, list[str]], looked: int) -> str:
    where, names = max(outside.items(), key=lambda found: len(found[1]))
    return (f'{sum(map(len, outside.values()))} of {looked} pictures looked at are links that lead out of their image root, such as {names[0]} into '
            f'{where}; name that folder under `images` as well, or copy the files: cp -rL')


def picture_folders(recipe: Recipe, root: Path) -> tuple[str, ...]:
    """Return every folder that a recipe names for pictures, under each of its names: where links may lead."""
    return tuple(str(root / name) for source in recipe.sources.values() for images in source.images for name in images.split('|'))


def _counted(reasons: Counter) -> str:
    return ', '.join(f'{reason} {n}' for reason, n in sorted(reasons.items()))
