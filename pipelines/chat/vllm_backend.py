"""Replies from vLLM inside this process: the engine starts with the first request and is gone after `close`."""

import importlib.metadata
import importlib.util
import itertools
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pipelines.chat import vllm_engine
from pipelines.chat.finality import final_kind
from pipelines.chat.manners import Manners
from pipelines.chat.protocol import ALL_NEEDS, IMAGES, refuse_missing, unheard
from pipelines.chat.requests import wire_body
from pipelines.chat.responses import UNSEEN, failure, read_response
from pipelines.chat.tokenizers import refuse_unknown, unknown_special
from pipelines.chat.trials import Trial
from schemas.errors import UserError
from schemas.recipe import Model
from schemas.replies import ChatRequest, Failure, Outcome

WINDOW = 256  # requests handed to the engine at once; it batches them itself
RENAMED = {'max_completion_tokens': 'max_tokens'}
PLAIN = ('temperature', 'seed', 'top_p', 'prompt_logprobs')
REFUSED_BY_ENGINE = 'engine'  # kind of a failure that the engine names, and no proof that it is about one request
ADDRESS = re.compile(r' at 0x[0-9a-f]+')  # of an object, in a library's message: another one in every process


class VllmBackend:
    """A chat backend without HTTP. Make it in `DoFn.setup`, where the accelerator is."""

    window = WINDOW

    def __init__(self, settings: Model, engine: dict[str, Any] | None = None, *, manners: Manners = UNSEEN):
        self._settings = settings
        self._manners = manners
        self._options = engine or {}
        self._held: vllm_engine.Engine | None = None
        self.capabilities = ALL_NEEDS if settings.images else ALL_NEEDS - {IMAGES}

    def check(self, needs: frozenset[str] = frozenset(), trials: Sequence[Trial] = ()) -> Manners:
        """Return how it answers; raises UserError unless vLLM is installed and the model declared to do what `needs` names. No engine starts.

        The process that checks may be another one than those that ask, and its engine would take their memory.
        """
        refuse_missing(needs, self.capabilities, where=f'model {self._settings.model!r} in this process')
        if importlib.util.find_spec('vllm') is None:
            raise UserError(vllm_engine.MISSING.format(model=self._settings.model))
        try:
            return Manners(served_by=f'vLLM {importlib.metadata.version("vllm")}')
        except importlib.metadata.PackageNotFoundError:  # built in place
            return Manners(served_by='vLLM')

    def complete(self, requests: Iterable[ChatRequest], hear: Callable[[Outcome], bool] = unheard) -> Iterator[Outcome]:
        """Yield outcomes window by window; a request the engine refuses fails alone."""
        for window in batched(requests, WINDOW):
            for outcome in self._answer(window):
                hear(outcome)
                yield outcome

    def close(self) -> None:
        """Let go of the engine; the last to do so ends it and gives its memory back."""
        if self._held is not None:
            engine, self._held = self._held, None
            vllm_engine.let_go(engine)

    def _answer(self, window: Sequence[ChatRequest]) -> list[Outcome]:
        while True:
            if self._held is None:
                self._held = vllm_engine.hold(self._settings.model, self._options, images=self._settings.images)
                self._refuse_unknown_tokens(self._held.llm)
            with self._held.turn:
                if self._held.llm is not None:
                    return self._ask(self._held, window)
            self.close()  # another holder saw it break

    def _refuse_unknown_tokens(self, llm: Any) -> None:
        if (get_tokenizer := getattr(llm, 'get_tokenizer', None)) is not None:
            unknown = unknown_special(get_tokenizer(), self._settings.control_tokens)
            refuse_unknown(unknown, f'model {self._settings.model!r} in this process')

    def _ask(self, engine: vllm_engine.Engine, window: Sequence[ChatRequest]) -> list[Outcome]:
        from vllm.exceptions import VLLMError

        waiting: dict[str, ChatRequest] = {}
        outcomes = [refused for request in window if (refused := self._enqueue(engine.llm, request, waiting)) is not None]
        try:
            outputs = engine.llm.wait_for_completion(use_tqdm=False)
        except (RuntimeError, VLLMError) as e:  # out of memory, a dead worker: no request is answered, another engine may do it
            self._held = None
            vllm_engine.let_go(engine, broken=True)
            return [*outcomes, *(failure(request, 'transport', f'the engine failed: {e}', retryable=True) for request in waiting.values())]
        name = self._settings.model
        return [*outcomes, *(read_response(waiting[output.request_id], as_payload(output, name), self._manners) for output in outputs)]

    def _enqueue(self, llm: Any, request: ChatRequest, waiting: dict[str, ChatRequest]) -> Failure | None:
        from vllm.exceptions import VLLMClientError, VLLMError

        body = wire_body(request, self._settings.model)
        try:
            (number,) = llm.enqueue_chat(
                body['messages'], sampling_params(body), use_tqdm=False, add_generation_prompt=body.get('add_generation_prompt', True),
                continue_final_message=body.get('continue_final_message', False),
            )
        except (VLLMClientError, ValueError, OSError) as e:  # too long, a broken picture; or no chat template, a bad schema
            said = ADDRESS.sub('', str(e))
            kind = final_kind(0, said)
            return failure(request, kind or REFUSED_BY_ENGINE, said, retryable=not kind)
        except VLLMError as e:  # a full queue and the like
            return failure(request, 'transport', str(e), retryable=True)
        waiting[number.partition('-')[0]] = request  # vLLM 0.32 adds a random part inside, outputs carry the number
        return None


def batched(requests: Iterable[ChatRequest], size: int) -> Iterator[tuple[ChatRequest, ...]]:
    """Yield `requests` in tuples of at most `size`, read as they are needed."""
    rest = iter(requests)
    while batch := tuple(itertools.islice(rest, size)):
        yield batch


def sampling_params(body: dict[str, Any]) -> Any:
    """Return vLLM's SamplingParams for a chat body."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    values = {RENAMED.get(name, name): body[name] for name in (*RENAMED, *PLAIN) if name in body}
    if body.get('logprobs'):
        values['logprobs'] = body.get('top_logprobs', 0)
    guide = body.get('structured_outputs')
    if body.get('response_format', {}).get('type') == 'json_schema':
        guide = {'json': body['response_format']['json_schema']['schema']}
    return SamplingParams(**values, structured_outputs=StructuredOutputsParams(**guide) if guide else None)


def as_payload(output: Any, model: str) -> dict[str, Any]:
    """Return vLLM's RequestOutput in the form a server answers with, so that one reader serves both."""
    done = output.outputs[0]
    return {
        'model': model,
        'choices': [{
            'message': {'role': 'assistant', 'content': done.text}, 'finish_reason': done.finish_reason,
            'logprobs': {'content': _generated(done)} if done.logprobs else None,
        }],
        'usage': {'prompt_tokens': len(output.prompt_token_ids), 'completion_tokens': len(done.token_ids)},
        'prompt_logprobs': _prompt(output),
    }


def _generated(done: Any) -> list[dict]:
    tokens = []
    for number, options in zip(done.token_ids, done.logprobs, strict=True):
        top = [{'token': o.decoded_token or '', 'logprob': max(o.logprob, -9999.0)} for o in options.values()]
        chosen = options[number]
        tokens.append({'token': chosen.decoded_token or '', 'logprob': max(chosen.logprob, -9999.0), 'top_logprobs': top})
    return tokens


def _prompt(output: Any) -> list[dict | None] | None:
    if output.prompt_logprobs is None:
        return None
    return [
        options and {str(number): {'logprob': options[number].logprob, 'decoded_token': options[number].decoded_token}}
        for number, options in zip(output.prompt_token_ids, output.prompt_logprobs, strict=True)
    ]
