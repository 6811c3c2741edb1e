"""The requests by which an answer is rated: one guided token of each question, or the likelihood of the answer itself."""

from collections.abc import Iterable, Sequence

from curation.verdicts.prompts import spared_of
from curation.verdicts.ratings import needs_picture_messages, rating_messages
from pipelines.chat import protocol
from pipelines.chat.requests import choice, likelihood, make_request
from schemas.errors import UserError
from schemas.rating import NEEDS_PICTURE, OwnQuestion, name_of, words_of
from schemas.recipe import Model
from schemas.records import Turn
from schemas.replies import ChatRequest, SentImage

Ask = str | OwnQuestion


def rating_request(ask: Ask, model: Model, turns: Sequence[Turn], answer: str, images: Sequence[SentImage]) -> ChatRequest:
    """Return the request of one question about one answer; `images` are shown if the model sees."""
    try:
        messages = rating_messages(ask, turns, answer, len(images), control_tokens=model.control_tokens)
    except ValueError as e:
        raise UserError(f'rate.ask: {name_of(ask)}: {e}; the question was {turns[-1].text[:200]!r}') from e
    settings = choice(words_of(ask), thinking_tokens=model.thinking_tokens)
    spared = spared_of(ask.prompt, model.control_tokens) if isinstance(ask, OwnQuestion) else ()
    return make_request(
        messages, model=model.model, revision=model.revision, settings=settings, images=tuple(images), control_tokens=model.control_tokens,
        spared=spared,
    )


def needs_picture_requests(model: Model, turns: Sequence[Turn], answer: str, images: Sequence[SentImage]) -> tuple[ChatRequest, ...]:
    """Return the requests that tell how likely an answer is with its pictures and question, with the question alone, with the pictures alone."""
    return tuple(
        make_request(messages, model=model.model, revision=model.revision, settings=likelihood(), images=tuple(images) if shown else (),
                     control_tokens=model.control_tokens)
        for messages, shown in needs_picture_messages(turns, answer, len(images))
    )


def needs_of_rating(asks: Iterable[Ask], model: Model) -> frozenset[str]:
    """Return what the questions need of the model they are asked of."""
    needs = {protocol.IMAGES} if model.images else set()
    for ask in asks:
        needs |= {protocol.PROMPT_LOGPROBS} if ask == NEEDS_PICTURE else {protocol.CHOICE, protocol.LOGPROBS}
    return frozenset(needs)
