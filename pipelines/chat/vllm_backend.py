"""Replies from vLLM inside this process: the engine starts with the first request and is gone after `close`."""

import gc
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pipelines.chat.protocol import ALL_NEEDS, IMAGES, refuse_missing
from pipelines.chat.requests import wire_body
from pipelines.chat.responses import failure, read_response
from schemas.errors import UserError
from schemas.recipe import Model
from schemas.replies import ChatRequest, Failure, Outcome

WINDOW = 256  # requests handed to the engine at once; it batches them itself
COMPACT_JSON = {'backend': 'xgrammar', 'disable_any_whitespace': True}  # small models fill JSON with blanks (reference/stack.md)
RENAMED = {'max_completion_tokens': 'max_tokens'}
PLAIN = ('temperature', 'seed', 'top_p', 'prompt_logprobs')


class VllmBackend:
    """A chat backend without HTTP. Make it in `DoFn.setup`, where the accelerator is."""

    window = WINDOW

    def __init__(self, settings: Model, engine: dict[str, Any] | None = None):
        self._settings = settings
        self._engine_options = engine or {}
        self._llm: Any = None
        self.capabilities = ALL_NEEDS if settings.images else ALL_NEEDS - {IMAGES}

    def check(self, needs: frozenset[str] = frozenset()) -> None:
        """Raise UserError unless the engine starts with this model and is declared to do what `needs` names."""
        refuse_missing(needs, self.capabilities, where=f'model {self._settings.model!r} in this process')
        self._engine()

    def complete(self, requests: Iterable[ChatRequest]) -> Iterator[Outcome]:
        """Yield outcomes window by window; a request the engine refuses fails alone."""
        for window in batched(requests, WINDOW):
            yield from self._answer(window)

    def close(self) -> None:
        """End the engine and give its memory back."""
        if self._llm is None:
            return
        from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

        self._llm.llm_engine.engine_core.shutdown()
        self._llm = None
        gc.collect()
        cleanup_dist_env_and_memory()

    def _engine(self) -> Any:
        if self._llm is None:
            # without it the engine is a process of its own, which outlives a killed worker
            os.environ.setdefault('VLLM_ENABLE_V1_MULTIPROCESSING', '0')
            try:
                from vllm import LLM
            except ImportError as e:
                raise UserError(
                    f'model {self._settings.model!r}: expected vLLM in this environment, found none ({e}); '
                    "install it (`pip install 'phantom-curation[vllm]'`) or use backend: openai with a server"
                ) from e
            try:
                options = {'structured_outputs_config': COMPACT_JSON, 'disable_log_stats': True, **self._engine_options}
                self._llm = LLM(model=self._settings.model, **options)
            except (OSError, ValueError, RuntimeError) as e:
                raise UserError(f'model {self._settings.model!r}: expected vLLM to load it, found: {e}') from e
        return self._llm

    def _answer(self, window: Sequence[ChatRequest]) -> Iterator[Outcome]:
        llm = self._engine()
        waiting: dict[str, ChatRequest] = {}
        for request in window:
            refused = self._enqueue(llm, request, waiting)
            if refused is not None:
                yield refused
        for output in llm.wait_for_completion(use_tqdm=False):
            request = waiting.pop(output.request_id)
            yield read_response(request, as_payload(output, self._settings.model))

    def _enqueue(self, llm: Any, request: ChatRequest, waiting: dict[str, ChatRequest]) -> Failure | None:
        from vllm.exceptions import VLLMClientError, VLLMError

        body = wire_body(request, self._settings.model)
        try:
            (number,) = llm.enqueue_chat(
                body['messages'], sampling_params(body), use_tqdm=False, add_generation_prompt=body.get('add_generation_prompt', True),
                continue_final_message=body.get('continue_final_message', False),
            )
        except (VLLMClientError, ValueError, OSError) as e:  # too long, a broken picture, a bad schema
            return failure(request, 'rejected', str(e), retryable=False)
        except VLLMError as e:  # a full queue and the like: not the request's fault
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
