"""What every chat backend offers: a batch of requests in, one Reply or Failure out for each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from pipelines.chat.manners import Manners
from schemas.errors import UserError
from schemas.replies import ChatRequest, Outcome

if TYPE_CHECKING:  # trials are made of what stands here
    from pipelines.chat.trials import Trial

IMAGES = 'images'
CHOICE = 'choice'  # structured_outputs: {choice: [...]}
JSON_SCHEMA = 'json_schema'  # response_format: {type: json_schema}
LOGPROBS = 'logprobs'
PROMPT_LOGPROBS = 'prompt_logprobs'
ALL_NEEDS = frozenset({IMAGES, CHOICE, JSON_SCHEMA, LOGPROBS, PROMPT_LOGPROBS})


def unheard(outcome: Outcome) -> bool:
    """Let everything go on: who asks without a budget need not hear of an outcome before it is yielded."""
    return True


class ChatBackend(Protocol):
    """A language model that can be asked. Made in `DoFn.setup`, closed in `teardown`."""

    capabilities: frozenset[str]
    window: int  # requests worth having in flight at once

    def check(self, needs: frozenset[str] = frozenset(), trials: 'Sequence[Trial]' = ()) -> Manners:
        """Return how the model's server answers, before any call that counts, with each of `trials` tried.

        Raises UserError if it cannot be reached, is another model, lacks a need, or what comes back is not what a build can use.
        """

    def complete(self, requests: Iterable[ChatRequest], hear: Callable[[Outcome], bool] = unheard) -> Iterator[Outcome]:
        """Yield one outcome per request in any order; a bad request never fails its batch.

        `hear` is given what each try brought, those that are made again too, as it comes back, in whatever thread reads `requests` and before
        another one is read. Once it returns False no try is begun any more: what waits for another one ends with the failure it has.
        """

    def close(self) -> None:
        """Release connections, threads and processes; a closed backend may be closed again."""


def refuse_missing(needs: frozenset[str], capabilities: frozenset[str], *, where: str) -> None:
    """Raise UserError if `needs` holds something that the backend at `where` does not offer."""
    missing = sorted(needs - capabilities)
    if missing:
        offered = ', '.join(sorted(capabilities)) or 'plain text only'
        raise UserError(
            f'{where}: expected support for {", ".join(missing)}, found {offered}; '
            'choose another judge mode or prompt, or another backend or server for this model'
        )
