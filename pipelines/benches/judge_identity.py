"""Which server gave a judge's reply: noted with the reply when it comes, read back when it is used, whatever server runs by then."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from pipelines.chat.protocol import ChatBackend, unheard
from pipelines.chat.responses import served_by
from schemas.replies import ChatRequest, Outcome, Reply

NOT_NOTED = 'a server that told nothing of itself'


class Signed:
    """A backend whose outcomes say who gave them: what the reply says of its model, the server's version and its address."""

    def __init__(self, backend: ChatBackend, about: dict[str, Any]):
        self._backend = backend
        self._about = about
        self.capabilities = backend.capabilities
        self.window = backend.window

    def check(self, *args: Any, **kwargs: Any) -> Any:
        """Check the backend."""
        return self._backend.check(*args, **kwargs)

    def complete(self, requests: Iterable[ChatRequest], hear: Callable[[Outcome], bool] = unheard) -> Iterator[Outcome]:
        """Yield the backend's outcomes, signed; a failure that says nothing of its server is left as it is, lest it look like another one's."""
        for outcome in self._backend.complete(requests, hear):
            words = told_by(outcome)
            yield replace(outcome, served_by=signature(words, self._about)) if words or isinstance(outcome, Reply) else outcome

    def close(self) -> None:
        """Close the backend."""
        self._backend.close()


def signature(told: str, about: dict[str, Any]) -> str:
    """Return what a reply says of its server, with the version and the address that `about` has and it lacks."""
    version, server = about.get('version', ''), about.get('server', '')
    words = [told, f'version {version}' if version and version not in told else '', f'at {server}' if server else '']
    return '; '.join(word for word in words if word)


def told_by(outcome: Outcome) -> str:
    """Return what was noted of the server, or what the reply itself says; '' for nothing."""
    return outcome.served_by or (served_by(json.loads(outcome.raw)) if isinstance(outcome, Reply) and outcome.raw else '')


def who_answered(outcomes: Iterable[Outcome], about: dict[str, Any]) -> dict[str, Any]:
    """Return how many of `outcomes` each server gave, and as `not_asked` the server of `about` where none of them is its."""
    counts = Counter(told_by(outcome) or NOT_NOTED for outcome in outcomes if told_by(outcome) or isinstance(outcome, Reply))
    answered = [{'served_by': words, 'replies': n} for words, n in counts.most_common()]
    ours = [word for word in (about.get('version'), about.get('server')) if word]
    mine = any(all(word in words for word in ours) for words in counts)
    return {'answered': answered, **({} if mine or not counts else {'not_asked': signature('', about)})}
