"""Where pictures stand in a text: the marks that published data and tools use, and which picture each of them means.

`<image>` is LLaVA's, ms-swift's and LLaMA-Factory's. The others, with their sources: `<|image|>` (mPLUG-DocOwl, Llama 3.2),
`<image_00>` with a mapping (MiniCPM-V), `<image 1>` (MMMU), `<image1>` (MATH-Vision), `<|image_1|>` (Phi-3-vision), `<img>path</img>`
(Qwen-VL), `<|vision_start|><|image_pad|><|vision_end|>` (Qwen2-VL), `<ImageHere>` (XComposer, MiniGPT-4), `<IMG_CONTEXT>` (InternVL),
`<image_placeholder>` (DeepSeek-VL), `<start_of_image>` (Gemma 3), `<|media_pad|>` (Kimi-VL), `<__media__>` (llama.cpp).
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from curation.rows.conversation import IMAGE, RefusedError
from schemas.records import Reason

Picture = str | bytes

_MARK = re.compile(
    r'<(?:(?P<plain>image>(?:\./)?(?:</image>)?|im_start><image><im_end>'
    r'|\|image\|>|\|vision_start\|>(?:<\|image_pad\|>)+<\|vision_end\|>|\|image_pad\|>(?:<\|image_pad\|>)*'
    r'|Img><ImageHere></Img>|ImageHere>|img>(?:<IMG_CONTEXT>)+</img>|IMG_CONTEXT>(?:<IMG_CONTEXT>)*'
    r'|image_placeholder>|image_soft_token>|start_of_image>|image_here>|image_token>|__media__>'
    r'|\|media_begin\|>image<\|media_content\|>(?:<\|media_pad\|>)+<\|media_end\|>|\|media_pad\|>)'
    r'|\|?image[ _-]?(?P<number>\d{1,3})\|?/?>'
    r'|img>(?P<path>[^<>\n]{1,4096}+)</img>)')
_LOOSE = re.compile(r'\[IMG\]|<(?:Image|IMAGE|img|IMG|picture)>')  # marks only in a row that has pictures and no other mark
_TAGS = r'(?:video|audio|speech|sound)'
_MEDIA = re.compile(
    rf'<\|(?:{_TAGS}(?:_pad|_bos)?|AUDIO|VIDEO|vision_start\|><\|video_pad)\|>|<{_TAGS}[ _-]?\d+>')
_MEDIA_PATH = re.compile(rf'<({_TAGS})>([^<>\n]{{1,4096}}+)</\1>')
_EXTENSION = re.compile(r'\.\w{2,4}$')
_MEDIA_TAG = re.compile(rf'<({_TAGS})>')
_ABOUT_TAGS = re.compile(r'`|\b(?:x?html5?|xml|css|tags?|elements?|attributes?|browsers?|javascript)\b', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Mark:
    """A place for a picture: one of its own, the one with a number (as the text counts, or from 0), or simply the next."""

    own: Picture | None = None
    number: int | None = None
    from_zero: bool = False


Piece = str | Mark


def has_foreign(text: str) -> bool:
    """Return whether a text holds another mark than `<image>`, or might; quick for text without `<`."""
    return text.count('<') != text.count(IMAGE) and any(match[0] != IMAGE for match in _MARK.finditer(text))


def answer_mark(text: str) -> str:
    """Return the first image mark in a text where none may stand, '' for none; `<img>` there is markup that is talked about."""
    if '<' not in text:
        return ''
    return next((match[0] for match in _MARK.finditer(text) if match['path'] is None), '')


def media_mark(text: str) -> str:
    """Return a mark for a video or a sound, '' for none; a text about the HTML element of that name has none."""
    if '<' not in text:
        return ''
    if found := _MEDIA.search(text):
        return found[0][:80]
    if path := next((found for found in _MEDIA_PATH.finditer(text) if _EXTENSION.search(found[2].strip()[-8:])), None):
        return path[0][:80]
    found = _MEDIA_TAG.search(text)
    return found[0] if found and f'</{found[1]}' not in text and not _ABOUT_TAGS.search(text) else ''


def pieces_of(text: str) -> list[Piece]:
    """Return a user's text cut at its marks."""
    pieces: list[Piece] = []
    at = 0
    text = text.replace('(<image>./</image>)', IMAGE)
    for match in _MARK.finditer(text):
        number, path = match['number'], match['path'] and match['path'].strip()
        pieces += [text[at:match.start()], Mark(own=path, number=int(number) if number else None)]
        at = match.end()
    return [*pieces, text[at:]]


def loose_pieces(pieces: Iterable[Piece]) -> list[Piece]:
    """Return the pieces with marks taken from their texts that are none elsewhere: `[IMG]`, `<Image>`."""
    found: list[Piece] = []
    for piece in pieces:
        if isinstance(piece, Mark):
            found.append(piece)
            continue
        for i, text in enumerate(_LOOSE.split(piece)):
            found += [Mark(), text] if i else [text]
    return found


def named_pieces(text: str, names: Sequence[str]) -> list[Piece]:
    """Return a text cut at marks that the row itself names (MiniCPM-V's mapping); each means the picture of its place in the mapping."""
    pieces: list[Piece] = []
    for part in re.split(f'({"|".join(map(re.escape, names))})', text):
        pieces.append(Mark(number=names.index(part), from_zero=True) if part in names else part)
    return pieces


def place(pieces: Iterable[Piece], listed: tuple[Picture, ...]) -> tuple[Picture, ...]:
    """Return the picture of each mark in `pieces`, all of a row in order; raises RefusedError where marks and listed pictures don't agree."""
    marks = [piece for piece in pieces if isinstance(piece, Mark)]
    owned = [mark.own for mark in marks if mark.own is not None]
    if owned and len(owned) == len(marks) and listed:
        return _either(tuple(owned), listed)
    numbers = [mark.number for mark in marks if mark.number is not None and not mark.from_zero]
    base = 0 if 0 in numbers else 1
    found: list[Picture] = []
    used: set[int] = set()
    following = iter(range(len(listed)))
    for mark in marks:
        if mark.own is not None:
            found.append(mark.own)
            continue
        at = next(following, len(listed)) if mark.number is None else mark.number - (0 if mark.from_zero else base)
        if not 0 <= at < len(listed):
            raise _mismatch(len(marks) - len(owned), len(listed))
        used.add(at)
        found.append(listed[at])
    if len(used) != len(listed):
        raise _mismatch(len(used), len(listed))
    return tuple(found)


def _either(owned: tuple[Picture, ...], listed: tuple[Picture, ...]) -> tuple[Picture, ...]:
    """Return the pictures that the messages name and the row lists as well."""
    if owned == listed:
        return owned
    if len(owned) == len(listed) and all(isinstance(image, bytes) for image in listed) and all(isinstance(image, str) for image in owned):
        return listed
    raise RefusedError(Reason.IMAGE_COUNT_MISMATCH, f'the messages name {len(owned)} image(s), the row lists {len(listed)}, others')


def _mismatch(marks: int, images: int) -> RefusedError:
    return RefusedError(Reason.IMAGE_COUNT_MISMATCH, f'{marks} {IMAGE} mark(s), {images} image(s)')


def joined(pieces: Iterable[Piece]) -> str:
    """Return the text of pieces, `<image>` for each mark."""
    return ''.join(piece if isinstance(piece, str) else IMAGE for piece in pieces)
