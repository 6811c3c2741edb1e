"""Replies by file: OpenAI's Batch API (half the price, within a day), or any runner that reads its files, such as vLLM's.

For each set of requests the folder gets `NAME.jsonl` (what is asked), `NAME.batch.json` (the batch it became) and
`NAME.output.jsonl` (what came back), NAME being the hash of the reply keys. A killed or impatient run finds them again.
"""

import hashlib
import json
import os
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import openai

from pipelines.chat.keys import read_key
from pipelines.chat.openai_backend import OPENAI_URL, OpenAIBackend
from pipelines.chat.protocol import ALL_NEEDS, IMAGES, refuse_missing, unheard
from pipelines.chat.requests import wire_body
from pipelines.chat.responses import decode_body, failure, read_response
from schemas.errors import UserError
from schemas.recipe import Model
from schemas.replies import ChatRequest, Failure, Outcome

MAX_LINES = 50_000  # of one file, the service's limit
MAX_BYTES = 200_000_000  # of one file, the service's limit
POLL_S = 15.0
URL: Literal['/v1/chat/completions'] = '/v1/chat/completions'
OVER = frozenset({'completed', 'failed', 'expired', 'cancelled'})
RETRIED_STATUS = frozenset({408, 409, 429})


class OpenAIBatch:
    """A chat backend that writes files, has them answered elsewhere, and reads the answers; what is not back yet is pending."""

    window = MAX_LINES

    def __init__(self, settings: Model, folder: Path, *, wait_s: float | None = None, poll_s: float = POLL_S):
        self._settings = settings
        self._folder = folder
        self._wait_s = settings.timeout_s if wait_s is None else wait_s
        self._poll_s = poll_s
        self._key = read_key(settings.api_key_env)
        # without a service to send them to, files are written for somebody to run
        self._url = settings.base_urls[0] if settings.base_urls else OPENAI_URL if self._key.value else ''
        self.capabilities = ALL_NEEDS if settings.images else ALL_NEEDS - {IMAGES}

    def check(self, needs: frozenset[str] = frozenset()) -> None:
        """Raise UserError unless the service serves this model and does what `needs` names; without a service there is nothing to ask."""
        refuse_missing(needs, self.capabilities, where=f'model {self._settings.model!r} by batch files')
        if self._url:
            online = OpenAIBackend(self._settings)
            try:
                online.check(needs)  # tried online: a batch that lacks them is found out after it was paid
            finally:
                online.close()

    def complete(self, requests: Iterable[ChatRequest], arrive: Callable[[Outcome], None] = unheard) -> Iterator[Outcome]:
        """Yield an outcome for every request: what came back, or a pending failure that says what is awaited."""
        self._folder.mkdir(parents=True, exist_ok=True)
        asked = {request.key: request for request in requests}
        files = list(write_files(list(asked.values()), self._folder, self._settings.model, image_files=self._settings.image_files))
        started = time.monotonic()
        for path, _ in files:
            self._submit(path)
        for path, keys in files:
            waiting = {key: asked[key] for key in keys}
            for outcome in self._collect(path, waiting, started):
                arrive(outcome)
                yield outcome

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _collect(self, path: Path, waiting: dict[str, ChatRequest], started: float) -> Iterator[Outcome]:
        awaited = self._wait(path, started)
        outcomes = list(read_output(output_path(path), waiting))
        if not awaited and all(isinstance(o, Failure) and o.retryable for o in outcomes):
            # kept, it would answer the same requests the same way for ever
            output_path(path).unlink()
            _discard_batch(path)
        for outcome in outcomes:
            waiting.pop(outcome.key)
            yield outcome
        for request in waiting.values():
            yield failure(request, 'transport', awaited or f'the answers to {path} hold no line for it', retryable=True)

    def _submit(self, path: Path) -> None:
        """Hand the file to the service unless that was done before, by this run or by one that was killed."""
        note = _read_note(path)
        if not self._url or output_path(path).exists() or note['id']:
            return
        client = self._client()
        try:
            ours = (b for b in client.batches.list(limit=100) if (b.metadata or {}).get('phantom') == path.stem)
            found = next((b for b in ours if b.id not in note['spent']), None)  # submitted by a run that was killed before it noted so
            if found is None:
                with open(path, 'rb') as file:
                    uploaded = client.files.create(file=file, purpose='batch')
                found = client.batches.create(
                    input_file_id=uploaded.id, endpoint=URL, completion_window='24h', metadata={'phantom': path.stem}
                )
        except openai.APIError as e:
            raise UserError(
                f'batch service {self._url}: expected to take {path}, found: {self._key.hide(str(e))}; run the same command again to go on'
            ) from None  # the cause may quote the key
        finally:
            client.close()
        _write(batch_path(path), json.dumps({**note, 'id': found.id}).encode())

    def _wait(self, path: Path, started: float) -> str:
        """Return '' once the output lies in the folder, or what is still awaited."""
        if output_path(path).exists():
            return ''
        if not self._url:
            return f'answers to {path} are awaited: run `{self._runner(path)}` and then the same build again'
        number = _read_note(path)['id']
        client = self._client()
        try:
            while True:
                batch = client.batches.retrieve(number)
                if batch.status in OVER:
                    return self._fetch(client, batch, path)
                if time.monotonic() - started > self._wait_s:
                    return f'batch {number} is {batch.status}; run the same command again later'
                time.sleep(self._poll_s)
        except openai.APIError as e:
            return f'batch {number}: {self._key.hide(str(e))}'
        finally:
            client.close()

    def _fetch(self, client: openai.OpenAI, batch: Any, path: Path) -> str:
        parts = [client.files.content(number).content for number in (batch.output_file_id, batch.error_file_id) if number]
        if parts:
            whole = b''.join(part if part.endswith(b'\n') else part + b'\n' for part in parts)
            _write(output_path(path), self._key.hide_bytes(whole))
        else:
            _discard_batch(path)
        return '' if parts else f'batch {batch.id} ended as {batch.status}; run the same command again to submit it anew'

    def _runner(self, path: Path) -> str:
        """Return the command that answers a file on this machine."""
        words = ['python', '-m', 'vllm.entrypoints.openai.run_batch', '-i', str(path), '-o', str(output_path(path)), '--model', self._settings.model]
        if self._settings.image_files:
            words += ['--allowed-local-media-path', self._settings.image_files]
        return shlex.join(words)

    def _client(self) -> openai.OpenAI:
        retries = self._settings.max_retries
        return openai.OpenAI(base_url=self._url, api_key=self._key.value or 'none', max_retries=retries, timeout=self._settings.timeout_s)


def write_files(
    requests: Sequence[ChatRequest], folder: Path, model: str, *, image_files: str = '', max_lines: int = MAX_LINES, max_bytes: int = MAX_BYTES
) -> Iterator[tuple[Path, list[str]]]:
    """Write `requests` as batch files within both limits; yield each path with its reply keys. The same requests, the same files."""
    temporary = folder / f'.writing.{os.getpid()}'
    keys: list[str] = []
    n_bytes = 0
    out = open(temporary, 'wb')  # noqa: SIM115  closed and opened anew at each limit
    try:
        for request in requests:
            line = batch_line(request, model, image_files)
            if len(line) > max_bytes:
                raise UserError(
                    f'request {request.key}: expected a line of at most {max_bytes} bytes, found {len(line)}; lower models.*.max_image_px'
                )
            if keys and (len(keys) == max_lines or n_bytes + len(line) > max_bytes):
                out.close()
                yield _named(temporary, keys), keys
                out = open(temporary, 'wb')  # noqa: SIM115
                keys, n_bytes = [], 0
            out.write(line)
            keys.append(request.key)
            n_bytes += len(line)
        out.close()
        if keys:
            yield _named(temporary, keys), keys
    finally:
        out.close()
        temporary.unlink(missing_ok=True)


def batch_line(request: ChatRequest, model: str, image_files: str = '') -> bytes:
    """Return the line that asks `request`; its custom_id is the reply key."""
    line = {'custom_id': request.key, 'method': 'POST', 'url': URL, 'body': wire_body(request, model, image_files)}
    return json.dumps(line, ensure_ascii=False).encode() + b'\n'


def read_output(path: Path, waiting: dict[str, ChatRequest]) -> Iterator[Outcome]:
    """Yield the first outcome for each request of `waiting` that the output file answers; lines of others are passed over."""
    seen: set[str] = set()
    if not path.exists():
        return
    with open(path, 'rb') as file:
        for line in file:
            answer = decode_body(line)
            try:
                request = waiting.get(answer['custom_id'])
            except (KeyError, TypeError):
                continue  # a torn or foreign line answers nothing: its request stays pending
            if request is not None and request.key not in seen:
                seen.add(request.key)
                yield _outcome(request, answer)


def _outcome(request: ChatRequest, answer: dict) -> Outcome:
    response = answer.get('response') or {}
    status = response.get('status_code') or 0
    if status == 200:
        return read_response(request, response.get('body'))
    detail = f'HTTP {status}: {json.dumps(answer.get("error") or response.get("body"), ensure_ascii=False)}'
    pending = status in RETRIED_STATUS or status >= 500 or not status
    return failure(request, 'transport' if pending else 'rejected', detail, retryable=pending)


def output_path(path: Path) -> Path:
    """Return where the answers to a batch file lie."""
    return path.with_suffix('.output.jsonl')


def batch_path(path: Path) -> Path:
    """Return where the service's name of a submitted file is kept."""
    return path.with_suffix('.batch.json')


def _read_note(path: Path) -> dict[str, Any]:
    """Return the batch a file became (`id`, or None) and those that came to nothing (`spent`)."""
    if not batch_path(path).exists():
        return {'id': None, 'spent': []}
    return json.loads(batch_path(path).read_text())


def _discard_batch(path: Path) -> None:
    note = _read_note(path)
    if note['id']:  # the next run submits the file anew
        _write(batch_path(path), json.dumps({'id': None, 'spent': [*note['spent'], note['id']]}).encode())


def _named(temporary: Path, keys: Sequence[str]) -> Path:
    path = temporary.with_name(f'batch-{hashlib.sha256("".join(keys).encode()).hexdigest()[:16]}.jsonl')
    os.replace(temporary, path)
    return path


def _write(path: Path, data: bytes) -> None:
    temporary = path.with_name(f'.{path.name}.{os.getpid()}')
    temporary.write_bytes(data)
    os.replace(temporary, path)
