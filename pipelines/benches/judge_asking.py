"""A judge asked until what it writes can be read; what it was not paid or not there for waits for the next run."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeGuard

from pipelines.benches.judge_reading import CUT
from pipelines.benches.judge_rules import Unread
from pipelines.chat.breaker import is_proven
from pipelines.chat.requests import greedy, make_request, sampled
from schemas.recipe import Model
from schemas.replies import ChatRequest, Failure, Outcome, Reply

ATTEMPTS = 5  # times a judge is asked when its reply cannot be read, as in MM-Vet's code
TEMPERATURE = 0.5  # of the second and later attempts: at 0 the same reply would come again
PAID = ('length', 'refused')  # ways to fail that another sample may not; the others would be repeated


class JudgeAsker:
    """What one model was asked about a benchmark: `outcomes` are the replies that were used, `pending` the failures that wait, by item id."""

    def __init__(self, model: Model, ask_model: Callable[[Sequence[ChatRequest]], Mapping[str, Outcome]], max_tokens: int):
        self._model = model
        self._ask_model = ask_model
        self._max_tokens = max_tokens
        self.outcomes: dict[str, Outcome] = {}
        self.pending: dict[str, Failure] = {}

    def ask_all(self, texts: dict[str, str], read: Callable[[str], Any]) -> dict[str, Any]:
        """Return what `read` made of the replies to `texts`; what cannot be read is asked again, ATTEMPTS times in all, and is Unread then.

        An item whose call is pending is Unread, too, and stands in `pending`: no score may be made of it.
        """
        values: dict[str, Any] = {}
        waiting = list(texts)
        for attempt in range(ATTEMPTS):
            requests = {name: self._request(texts[name], attempt) for name in waiting}
            outcomes = self._ask_model(list(requests.values()))
            for name, request in requests.items():
                values[name] = self._take(name, outcomes[request.key], read)
            waiting = [name for name, request in requests.items() if isinstance(values[name], Unread) and may_be_better(outcomes[request.key])]
            if not waiting:
                break
        return values

    def _request(self, text: str, attempt: int) -> ChatRequest:
        settings = sampled(self._max_tokens, TEMPERATURE, attempt=attempt) if attempt else greedy(self._max_tokens)
        messages = [{'role': 'user', 'content': text}]
        return make_request(messages, model=self._model.model, revision=self._model.revision, settings=settings, attempt=attempt)

    def _take(self, name: str, outcome: Outcome, read: Callable[[str], Any]) -> Any:
        if is_pending(outcome):
            self.pending[name] = outcome
        else:
            self.outcomes[outcome.key] = outcome
        return read_outcome(outcome, read)


def is_pending(outcome: Outcome) -> TypeGuard[Failure]:
    """Return whether a call is still to be made: it failed, and not provably for what was asked."""
    return not is_proven(outcome)


def may_be_better(outcome: Outcome) -> bool:
    """Return whether another sample may be readable: not where the call waits, nor where it would fail in the same way."""
    return isinstance(outcome, Reply) or (not is_pending(outcome) and outcome.kind in PAID)


def read_outcome(outcome: Outcome, read: Callable[[str], Any]) -> Any:
    """Return what `read` makes of a reply, be it cut off by the limit, or Unread with the words or the failure."""
    if isinstance(outcome, Failure) and outcome.kind != 'length':
        return Unread(f'[{outcome.kind}: {outcome.detail}]')
    if isinstance(outcome, Failure) and outcome.reasoning and not outcome.text:
        return Unread('[length: cut while it was thinking; --judge-max-tokens gives it more room]')
    text = outcome.text if isinstance(outcome, Reply) else outcome.text + CUT
    found = read(text)
    return Unread(text) if found is None else found
