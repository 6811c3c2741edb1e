"""The pictures a row names: a path, bytes, a data URL, a struct of either, or a list of them."""

import base64
import binascii
import math
from collections.abc import Iterator

from curation.rows.conversation import RefusedError
from curation.rows.values import plain_text
from schemas.records import Reason

# the first of these that has a picture is the one that is read
FIELDS = ('images', 'image', 'image_paths', 'image_path', 'img_paths', 'img_path', 'img', 'image_urls', 'image_url', 'image_file')
MAX_DATA_URL = 64_000_000  # characters: as long as a whole record may be
_BASE64_PICTURES = ('/9j/', 'iVBORw0KGgo', 'R0lGOD', 'UklGR', 'Qk0')  # what JPEG, PNG, GIF, WebP and BMP begin with
_LONGEST_PATH = 4096
_NAMES = ('path', 'url', 'source', 'data')  # in a struct that names a picture
Picture = str | bytes


def read_images(value: object) -> tuple[Picture, ...]:
    """Return the pictures of a value, () for none; a list with a null among its pictures is refused."""
    if is_null(value):
        return ()
    if isinstance(value, list):
        if any(is_null(item) for item in value):
            raise RefusedError(Reason.IMAGE_REFERENCE_NULL, f'a null among the {len(value)} images')
        return tuple(image for item in value for image in read_images(item))
    if isinstance(value, dict):
        return _of_struct(value)
    if isinstance(value, bytes):
        return (value,)
    return (reference(plain_text(value)),)


def _of_struct(value: dict) -> tuple[Picture, ...]:
    data = value.get('bytes')
    if data is not None:
        if not isinstance(data, bytes):
            raise TypeError(f'expected the bytes of an image, found {type(data).__name__}')
        return (data,)
    inner = next((value[key] for key in _NAMES if value.get(key) is not None), None)
    if inner is None:
        raise ValueError(f'expected the bytes or the path of an image, found keys {sorted(map(str, value))[:6]}')
    if isinstance(inner, str) and value.get('type') == 'base64':  # Anthropic's {type: base64, media_type, data}
        return (_decoded(inner),)
    return read_images(inner)


def reference(text: str) -> Picture:
    """Return the bytes of a data URL (or of bare base64 of a picture), else the path without a leading `./`."""
    if text[:5].lower() == 'data:':
        head, comma, body = text.partition(',')
        if not comma or not head.lower().endswith(';base64'):
            raise RefusedError(Reason.IMAGE_REFERENCE_UNSAFE, f'expected a data URL in base64, found {text[:60]!r}')
        return _decoded(body)
    if len(text) > _LONGEST_PATH and text.startswith(_BASE64_PICTURES):
        return _decoded(text)
    return text.removeprefix('./')


def _decoded(text: str) -> bytes:
    if len(text) > MAX_DATA_URL:
        raise RefusedError(Reason.IMAGE_TOO_LARGE, f'an embedded image of {len(text)} characters')
    try:
        return base64.b64decode(''.join(text.split()), validate=True)
    except (binascii.Error, ValueError) as e:
        raise ValueError(f'expected base64, found {text[:40]!r} ({e})') from e


def is_null(value: object) -> bool:
    """Return whether a value names no picture: null, an empty text, list or struct, or the NaN that pandas writes for null."""
    if value is None or value == '' or value == []:
        return True
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, list):
        return all(is_null(item) for item in value)
    return isinstance(value, dict) and all(item is None or item in ('', b'') for item in value.values())


def named_paths(value: object) -> Iterator[str]:
    """Yield the paths that a value names, as far as they can be read: nothing for nulls, bytes and what is no picture's name."""
    if isinstance(value, str) and value.strip() and value[:5].lower() != 'data:':
        yield value.removeprefix('./')
    elif isinstance(value, list):
        for item in value:
            yield from named_paths(item)
    elif isinstance(value, dict):
        yield from named_paths(next((value[key] for key in _NAMES if value.get(key) is not None), None))


def listed(row: dict) -> object:
    """Return the value of the field in which a row lists its pictures, None where none has any.

    Of `images` and `image`, where both have pictures, the longer one must hold the other.
    """
    given = [field for field in FIELDS if field in row]
    if len(given) < 2 or is_null(images := row.get('images')) or is_null(image := row.get('image')):
        return next((row[field] for field in given if not is_null(row[field])), None)
    longer, shorter = sorted((read_images(images), read_images(image)), key=len, reverse=True)
    if not set(shorter) <= set(longer):
        raise RefusedError(Reason.IMAGE_COUNT_MISMATCH, f'`images` ({len(read_images(images))}) and `image` ({len(read_images(image))}) differ')
    return list(longer)
