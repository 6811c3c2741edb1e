"""Pictures as they are handed to a processor: opened files, bytes, arrays, paths, addresses, one or many, as one list a prompt."""

import base64
import binascii
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from transformers.image_transforms import to_pil_image
from transformers.image_utils import load_image

Picture = Image.Image | bytes


def picture_rows(images: Any, places: Sequence[int]) -> list[list[Picture]]:
    """One list of pictures for each prompt with `places` image tokens, from one picture, a flat list or one list a prompt.

    Raises ValueError where numbers differ.
    """
    rows = rows_of(images, places)
    if [len(row) for row in rows] != list(places):
        raise ValueError(
            f'images: expected as many as the image tokens of each text, {list(places)}, found {[len(row) for row in rows]}; put '
            'processor.image_token where a picture stands, or pass messages with pictures to apply_chat_template'
        )
    return [[read_picture(image) for image in row] for row in rows]


def rows_of(images: Any, places: Sequence[int]) -> list[list[Any]]:
    """The images as one list a prompt, not yet opened."""
    if images is None:
        return [[] for _ in places]
    if not isinstance(images, list | tuple):
        images = [images]
    if any(isinstance(row, list | tuple) for row in images):
        return [list(row or []) for row in images]
    if len(images) != sum(places):
        return [list(images)] if len(places) == 1 else [[image] for image in images]
    left = iter(images)
    return [[next(left) for _ in range(count)] for count in places]


def read_picture(image: Any) -> Picture:
    """An opened picture or the bytes of a file; raises ValueError. Transparency and EXIF are left to the one way to show it."""
    if isinstance(image, Image.Image | bytes):
        return image
    if isinstance(image, Path):
        return image.read_bytes()
    if isinstance(image, str):
        return fetch(image)
    return to_pil_image(image)


def fetch(source: str) -> Picture:
    """A picture by its path, its http address or its base64, as transformers takes them."""
    if source.startswith(('http://', 'https://')):
        return load_image(source)
    path = Path(source.removeprefix('file://'))
    if len(source) < 4096 and path.is_file():  # longer than any path: data
        return path.read_bytes()
    try:
        return base64.b64decode(source.partition(',')[2] if source.startswith('data:') else source, validate=True)
    except (ValueError, binascii.Error) as e:
        raise ValueError(f'image {source[:80]!r}: expected a path, an http address or base64, found none of them') from e


def pictures_of(messages: Iterable[dict]) -> list[Any]:
    """What the image parts of messages name as their picture, in order; parts that only hold a place have none."""
    found = []
    for message in messages:
        for part in message['content'] if isinstance(message['content'], list | tuple) else ():
            if isinstance(part, dict) and part.get('type') in ('image', 'image_url'):
                sources = (part.get(name) for name in ('image', 'url', 'path', 'base64', 'image_url'))
                source = next((source for source in sources if source is not None), None)
                source = source.get('url') if isinstance(source, dict) and 'url' in source else source
                if source is not None:
                    found.append(source)
    return found
