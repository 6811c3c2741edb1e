"""The ordinary row of a chat, read in a few steps: questions and answers in turn, `<image>` their only mark, pictures named by plain paths.

Most rows are. Whatever is not is None here, and `formats.read_record` says what it is; of what is ordinary it would say the same.
"""

import re
from dataclasses import dataclass

from curation.rows.chats import ROLES
from curation.rows.conversation import IMAGE, Talk, alternates
from curation.rows.fields import METADATA, fields_that_tell
from curation.rows.formats import MAX_TURNS
from schemas.recipe import Source

_SPELLINGS = {
    'llava': ('conversations', 'from', 'value', ['human', 'gpt']), 'messages': ('messages', 'role', 'content', ['user', 'assistant']),
}  # fmt: skip
_PICTURES = ('image', 'images')
_PATH = re.compile(r"\w[\w/ .,()+=@#&'-]{0,1000}")  # relative, without a drive, a scheme, base64 of a picture; `..` is looked for as well


@dataclass(frozen=True, slots=True)
class Ordinary:
    """How a source's ordinary rows are spelt; made once a file."""

    chat: str  # field of the messages; role and text: their keys
    role: str
    text: str
    pair: list[str]  # the usual roles of a question and its answer
    known: frozenset[str]  # fields that are read, or passed over in silence
    telling: frozenset[str]  # others with which a row is not ordinary
    folder: str  # put before each path

    @classmethod
    def of(cls, source: Source) -> 'Ordinary | None':
        """Return how a source's ordinary rows are spelt, None where it has none: another format, or paths that are judged by their prefix."""
        if source.format not in _SPELLINGS or source.strip_prefix or source.image_prefix or source.drop_image_prefix:
            return None
        chat, role, text, pair = _SPELLINGS[source.format]
        telling = fields_that_tell(source) - {chat, *_PICTURES}
        folder = source.image_subfolder.rstrip('/') + '/' if source.image_subfolder else ''
        return cls(chat, role, text, pair, (METADATA | {chat, *_PICTURES}) - telling, telling, folder)

    def read(self, row: dict) -> Talk | None:
        """Return what an ordinary row says, None for any other row."""
        if not row.keys() <= self.known and not row.keys().isdisjoint(self.telling):
            return None
        try:
            messages = row[self.chat]
            said = [message[self.role] for message in messages]
            texts = [message[self.text] for message in messages]
            whole = ''.join(texts)
            n_before = 0 if said and said == self.pair * (len(said) // 2) else _n_before([ROLES[role] for role in said])
        except (KeyError, TypeError):
            return None
        n = len(texts)
        if n_before is None or n > MAX_TURNS or sum(map(len, messages)) != 2 * n or not (whole.isascii() or _can_be_written(whole)):
            return None
        if n_before and not texts[0].strip():
            return None
        images = self._images(row)
        marks = texts[n_before].count(IMAGE)
        if images is None or not len(images) == marks <= MAX_TURNS or whole.count('<') != marks:
            return None
        return Talk(texts, images, n_before)

    def _images(self, row: dict) -> list[str] | None:
        """Return the paths of a row's pictures, None where they are not ordinary."""
        if 'images' in row:
            images = row['images']
            if 'image' in row or not isinstance(images, list) or not images:
                return None
        elif 'image' in row:
            images = [row['image']]
        else:
            return []
        for image in images:
            if not isinstance(image, str) or '..' in image or not _PATH.fullmatch(image):
                return None
        return [self.folder + image for image in images] if self.folder else images


def _n_before(roles: list[str]) -> int | None:
    """Return how many turns stand before the first question, None where roles do not alternate."""
    return int(roles[0] == 'system') if alternates(roles) else None


def _can_be_written(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
