"""Who answers a benchmark's items, and the replies of a model behind a server: the same questions and pictures that a checkpoint is given."""

import io
from collections.abc import Sequence
from typing import Any, Protocol

from PIL import Image

from model.evaluation.rules import BENCHES, make_question
from model.phantom.tiling import decode_image, join_images
from schemas.errors import UserError
from schemas.pixels import BadImage

SERVED_AT_ONCE = 256  # items that are handed over together; how many of them are in flight is up to whoever asks


class Answers(Protocol):
    """What is evaluated."""

    at_once: int  # items that are best asked together; 0: as the caller says

    def reply_all(self, bench: str, items: Sequence[dict]) -> list[str]:
        """The replies to some items, in order."""

    def about(self) -> dict[str, Any]:
        """What score.json says of who answered."""


class Served(Protocol):
    """A model behind a server; the front door has one, since this half knows no protocol."""

    def ask(self, questions: Sequence[str], pictures: Sequence[Sequence[bytes]], max_tokens: int) -> list[str]:
        """The greedy reply to each question about its pictures, '' where the call failed for good; raises PendingWork while one is to be made."""

    def about(self) -> dict[str, Any]:
        """Who answered: `served`, and `failed` calls by their kind."""


class ServedAnswers:
    """Replies of a served model."""

    at_once = SERVED_AT_ONCE

    def __init__(self, served: Served):
        self.served = served

    def reply_all(self, bench: str, items: Sequence[dict]) -> list[str]:
        """The replies to some items, in order."""
        questions, pictures = [make_question(bench, item) for item in items], [one_picture(bench, item) for item in items]
        return [text.strip() for text in self.served.ask(questions, pictures, BENCHES[bench].max_new_tokens)]

    def about(self) -> dict[str, Any]:
        """Who answered; a server decodes greedily."""
        return {'beams': 1, **self.served.about()}


def one_picture(bench: str, item: dict) -> list[bytes]:
    """The stored bytes of an item's picture; of several one PNG, joined side by side as in the released evaluation; none where it has none."""
    pictures = decode_all(bench, item)
    if len(pictures) < 2:
        return [image['bytes'] for image in item['images'] or []]
    joined = io.BytesIO()
    picture: Image.Image = join_images(pictures)
    picture.save(joined, 'PNG')
    return [joined.getvalue()]


def decode_all(bench: str, item: dict) -> list[Any]:
    """An item's pictures; raises a UserError that names the item."""
    try:
        return [decode_image(image['bytes']) for image in item['images'] or []]
    except BadImage as e:
        raise UserError(f'benchmark {bench}, item {item["item_id"]}: its picture {e}; download the benchmark again') from e
