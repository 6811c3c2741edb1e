"""What the members of one sample of a WebDataset tar are, by their extensions: its record, its pictures, or why it is none.

An extension is what follows the first dot of a name (`seg.png` of `a/0001.seg.png`), in lower case; what stands behind its last dot says the kind.
"""

from curation.rows.conversation import RefusedError
from schemas.records import Reason

NO_PICTURE = '__no_picture__'  # in a row: it has no picture among its members, and other samples of its tar have
HIDDEN = '._*'  # in a row: how many members were passed over by name (`._0001.jpg` and __MACOSX/ of a Mac, and other hidden files)

# every extension that Pillow 12 registers for what it opens or at least knows; and those of pictures that it does not open: they are refused as such
PICTURES = frozenset((
    'apng', 'arw', 'avif', 'avifs', 'blp', 'bmp', 'bufr', 'bw', 'cr2', 'cr3', 'cur', 'dcx', 'dds', 'dib', 'dng', 'emf', 'eps', 'fit', 'fits',
    'flc', 'fli', 'ftc', 'ftu', 'gbr', 'gif', 'grib', 'h5', 'hdf', 'heic', 'heics', 'heif', 'heifs', 'hif', 'icb', 'icns', 'ico', 'iim', 'im',
    'j2c', 'j2k', 'jfif', 'jp2', 'jpc', 'jpe', 'jpeg', 'jpf', 'jpg', 'jpx', 'jxl', 'mpo', 'msp', 'nef', 'orf', 'palm', 'pbm', 'pcd', 'pcx',
    'pdf', 'pfm', 'pgm', 'png', 'pnm', 'ppm', 'ps', 'psd', 'pxr', 'qoi', 'raf', 'ras', 'raw', 'rgb', 'rgba', 'rw2', 'sgi', 'svg', 'svgz', 'tga',
    'tif', 'tiff', 'vda', 'vst', 'webp', 'wmf', 'xbm', 'xpm',
))  # fmt: skip
MEDIA = frozenset((
    'aac', 'aiff', 'avi', 'flac', 'flv', 'm4a', 'm4v', 'mkv', 'mov', 'mp3', 'mp4', 'mpeg', 'mpg', 'ogg', 'ogv', 'opus', 'wav', 'weba', 'webm',
    'wma', 'wmv',
))  # fmt: skip
PACKED = frozenset(['7z', 'bz2', 'gz', 'lz4', 'rar', 'tgz', 'xz', 'zip', 'zst'])
JSON, TEXTS = 'json', frozenset(('txt', 'text', 'cls', 'caption'))


def kind_of(extension: str) -> str:
    """Return what stands behind the last dot of an extension."""
    return extension.rpartition('.')[2]


def is_picture(extension: str) -> bool:
    """Return whether a member of this extension is a picture."""
    return kind_of(extension) in PICTURES


def is_hidden(name: str) -> bool:
    """Return whether a member is none of a sample by its name: hidden, or of the folder that a Mac adds."""
    return name.startswith('__MACOSX/') or '/__MACOSX/' in name or name.rpartition('/')[2].startswith('.')


def tar_record(row: dict) -> dict:
    """Return a sample's record: its JSON, beside it its texts and other members by extension, under `images` its pictures in archive order.

    Raises RefusedError for one that holds video, sound, packed members, or the records of several samples.
    """
    members = [name for name in row if not name.startswith('__') and name != HIDDEN]
    media = [name for name in members if kind_of(name) in MEDIA]
    if media:
        raise RefusedError(Reason.VIDEO_OR_AUDIO, f'members {media[:3]}; pictures and text alone are read')
    packed = [name for name in members if kind_of(name) in PACKED]
    if packed:
        raise RefusedError(Reason.RECORD_MALFORMED, f'members that are packed inside the tar, which is not read: {packed[:3]}')
    record = _json(row, members)
    pictures = [row[name] for name in members if is_picture(name) and isinstance(row[name], bytes)]
    found = {name: row[name] for name in row if name != NO_PICTURE and kind_of(name) != JSON and not is_picture(name)} | record
    found |= {name: row[name] for name in members if kind_of(name) == JSON and row[name] is not record}
    return found if not pictures else {key: value for key, value in found.items() if key not in ('image', 'images')} | {'images': pictures}


def _json(row: dict, members: list[str]) -> dict:
    """Return the object of the member that is the record: `json`, or the only one of a dotted name (`b.json` of `a.b.json`)."""
    dotted = [name for name in members if kind_of(name) == JSON and name != JSON]
    stems = {name.rpartition('.')[0] for name in dotted}
    shared = [name for name in members if is_picture(name) and name.rpartition('.')[0] in stems]
    if len(dotted) + (JSON in row) > 1 and (shared or JSON not in row):
        named = [name for name in members if kind_of(name) == JSON or name in shared]
        key = row.get('__key__', '')
        raise RefusedError(Reason.RECORD_MALFORMED, f'several samples under the key {key!r}, which ends at the first dot of a name: '
                                                    f'{named[:6]}; '
                        'rename the members so that their names have no other dot than the one of the extension')
    name = JSON if JSON in row else dotted[0] if dotted else ''
    found = row[name] if name else {}
    if not isinstance(found, dict):
        raise RefusedError(Reason.RECORD_MALFORMED, f'a {name} member that holds a {type(found).__name__}, not an object')
    return found
