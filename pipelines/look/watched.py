"""The asker of a preview: it remembers what was asked and answered, and a stop is no end: what came back is shown first."""

from dataclasses import dataclass, field
from time import monotonic

from pipelines.chat.asker import Asker
from pipelines.look.cost import Answered
from pipelines.replies.segments import encode_line
from schemas.errors import BudgetExceeded, PendingWork, UserError
from schemas.replies import ChatRequest, Failure, Outcome


@dataclass
class WatchedAsker(Asker):
    """An asker that remembers. `stopped` is why not all was answered, as the build would have ended there."""

    answered: list[Answered] = field(default_factory=list)
    purpose: str = ''
    stopped: UserError | None = None
    took: dict[str, tuple[int, float]] = field(default_factory=dict)  # purpose -> calls that were made here, none of them stored, and their seconds

    def ask(self, model: str, requests: dict[str, list[ChatRequest]], *, give_up: bool = False) -> dict[str, Outcome]:
        """Ask as the build does, and remember; what is not answered comes back as a failure that says retryable.

        `give_up` is what the steps are made with, so that they leave places empty; the calls stop as early as a build's, in the same words.
        """
        keys = {request.key for some in requests.values() for request in some}
        n_stored, started = len(self._store.get_many(keys)), monotonic()
        try:
            outcomes = super().ask(model, requests)
            self._count(len(keys) - n_stored, monotonic() - started)
        except (BudgetExceeded, PendingWork) as e:
            self.stopped = self.stopped or _shown(e)
            stored = self._store.get_many(keys)
            outcomes = {request.key: stored.get(request.key) or _not_answered(request, e) for some in requests.values() for request in some}
        for source, some in requests.items():
            for request in dict.fromkeys(some):
                outcome = outcomes[request.key]
                self.answered.append(Answered(self.purpose, source, model, request, outcome, len(encode_line(outcome))))
        return outcomes

    def _count(self, n: int, seconds: float) -> None:
        if n:
            calls, before = self.took.get(self.purpose, (0, 0.0))
            self.took[self.purpose] = calls + n, before + seconds


def _shown(stop: UserError) -> UserError:
    if isinstance(stop, PendingWork):
        return PendingWork(f'{stop}\nwhat came back is stored and shown; mend that and run the same command again')
    return stop


def _not_answered(request: ChatRequest, why: UserError) -> Failure:
    return Failure(request.key, 'transport', f'not asked, or not answered: {" ".join(str(why).split())[:300]}', True, request.model, request.revision)
