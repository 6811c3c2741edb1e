"""The asker of a preview: it remembers what was asked and answered, and a stop is no end: what came back is shown first."""

from dataclasses import dataclass, field

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

    def ask(self, model: str, requests: dict[str, list[ChatRequest]], *, give_up: bool = False) -> dict[str, Outcome]:
        """Ask as the build does, and remember; what is not answered comes back as a failure that says retryable."""
        try:
            outcomes = super().ask(model, requests, give_up=give_up)
        except (BudgetExceeded, PendingWork) as e:
            self.stopped = self.stopped or e
            stored = self._store.get_many({request.key for some in requests.values() for request in some})
            outcomes = {request.key: stored.get(request.key) or _not_answered(request, e) for some in requests.values() for request in some}
        pending = [outcome for outcome in outcomes.values() if isinstance(outcome, Failure) and outcome.retryable]
        if pending and not self.stopped:
            self.stopped = PendingWork(f'{len(pending)} of {len(outcomes)} call(s) to {model} failed, the first with {pending[0].kind}: '
                                       f'{pending[0].detail}; what came back is stored and shown, run the same command again later')
        for source, some in requests.items():
            for request in dict.fromkeys(some):
                outcome = outcomes[request.key]
                self.answered.append(Answered(self.purpose, source, model, request, outcome, len(encode_line(outcome))))
        return outcomes


def _not_answered(request: ChatRequest, why: UserError) -> Failure:
    return Failure(request.key, 'transport', f'not asked, or not answered: {why}', True, request.model, request.revision)
