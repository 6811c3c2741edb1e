"""Replies by file: OpenAI's Batch API (half the price, within a day), or any runner that reads its files, such as vLLM's."""

import shlex
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import openai

from pipelines.chat.batch_files import (
    MAX_LINES,
    URL,
    batch_path,
    discard_batch,
    drop_lost,
    output_path,
    read_note,
    read_output,
    under_way,
    write_files,
    write_note,
)
from pipelines.chat.clients import open_blocking_client
from pipelines.chat.first_look import OPENAI_URL, check_servers
from pipelines.chat.keys import read_key
from pipelines.chat.leaks import without_leaks
from pipelines.chat.manners import Manners
from pipelines.chat.no_completion import form_of
from pipelines.chat.protocol import ALL_NEEDS, IMAGES, refuse_missing, unheard
from pipelines.chat.remedies import AWAITED, BATCH, UNKNOWN
from pipelines.chat.responses import UNSEEN, failure
from pipelines.chat.server_words import server_words
from pipelines.chat.trials import Trial
from schemas.publish import publish_bytes
from schemas.recipe import Model
from schemas.replies import ChatRequest, Failure, Outcome

POLL_S = 15.0
SHOWN_CHARS = 200  # of an answer that is none
SHOWN_FAULTS = 3  # of a file that a service does not take
OVER = frozenset({'completed', 'failed', 'expired', 'cancelled'})


class OpenAIBatch:
    """A chat backend that writes files, has them answered elsewhere, and reads the answers; what is not back yet is pending."""

    window = MAX_LINES

    def __init__(self, settings: Model, folder: Path, *, wait_s: float | None = None, poll_s: float = POLL_S, manners: Manners = UNSEEN):
        self._settings = settings
        self._manners = manners
        self._folder = folder
        self._wait_s = settings.timeout_s if wait_s is None else wait_s
        self._poll_s = poll_s
        self._key = read_key(settings.api_key_env)
        # without a service to send them to, files are written for somebody to run
        self._url = settings.base_urls[0] if settings.base_urls else OPENAI_URL if self._key.value else ''
        self.capabilities = ALL_NEEDS if settings.images else ALL_NEEDS - {IMAGES}
        self._in_vain = False  # whether the last batch was waited for in vain: the next ones are submitted, and waited for when this is run again
        self._earlier: dict[str, Path] | None = None  # by reply key, the files that were under way when this was first asked

    def check(self, needs: frozenset[str] = frozenset(), trials: Sequence[Trial] = ()) -> Manners:
        """Return how the service answers; raises UserError unless it serves this model and does what is needed. Without one nobody is asked."""
        refuse_missing(needs, self.capabilities, where=f'model {self._settings.model!r} by batch files')
        if not self._url:
            return Manners()
        # tried online: a batch that lacks it is found out after it was paid
        return check_servers(self._settings, [self._url], self._key, needs=needs, trials=trials)

    def complete(self, requests: Iterable[ChatRequest], hear: Callable[[Outcome], bool] = unheard) -> Iterator[Outcome]:
        """Yield an outcome for every request: what came back, or a pending failure that says what is awaited."""
        self._folder.mkdir(parents=True, exist_ok=True)
        asked = {request.key: request for request in requests}
        files, in_part = self._files(asked)
        for path, _ in files if self._url else ():
            drop_lost(path)
        started = time.monotonic()
        refused = {path: fault for path, keys in files if (fault := self._submit(path, keys))}
        for path, keys in files:
            waiting = {key: asked[key] for key in keys}
            outcomes = _not_taken(waiting, refused[path]) if path in refused else self._collect(path, waiting, started, whole=path not in in_part)
            for outcome in outcomes:
                hear(outcome)
                yield outcome

    def close(self) -> None:
        """Nothing stays open between calls."""

    def _files(self, asked: dict[str, ChatRequest]) -> tuple[list[tuple[Path, list[str]]], set[Path]]:
        """Return the files of some requests, each with their keys, and which of them ask others, too.

        What is under way is not asked again, in whatever set it stands: a budget may have ended in the middle of one, or a recipe have grown.
        """
        if self._earlier is None:
            self._earlier = under_way(self._folder) if self._url else {}
        found: dict[Path, list[str]] = {}
        for key in asked.keys() & self._earlier.keys():
            found.setdefault(self._earlier[key], []).append(key)
        found = {path: sorted(keys) for path, keys in sorted(found.items()) if read_note(path)['id']}
        known = {key for keys in found.values() for key in keys}
        rest = [request for key, request in asked.items() if key not in known]
        sizes = Counter(self._earlier.values()) if found else {}
        written = write_files(rest, self._folder, self._settings.model, image_files=self._settings.image_files)
        return [*found.items(), *written], {path for path, keys in found.items() if len(keys) < sizes[path]}

    def _collect(self, path: Path, waiting: dict[str, ChatRequest], started: float, *, whole: bool) -> Iterator[Outcome]:
        kind, told = self._wait(path, started)
        outcomes = list(read_output(output_path(path), waiting, self._manners))
        if whole and not told and all(isinstance(o, Failure) for o in outcomes):
            # kept, it would answer the same requests the same way for ever
            output_path(path).unlink()
            discard_batch(path)
        for outcome in outcomes:
            waiting.pop(outcome.key)
            yield outcome
        for request in waiting.values():
            yield failure(request, kind, told or f'the answers to {path} hold no line for it', retryable=True)

    def _submit(self, path: Path, keys: list[str]) -> tuple[str, int] | None:
        """Hand the file to the service unless that was done before, by this run or by one that was killed; return what it says against it."""
        note = read_note(path)
        if not self._url or output_path(path).exists() or note['id']:
            return None
        client = self._client()
        try:
            ours = (b for b in _listed(client) if (b.metadata or {}).get('phantom') == path.stem)
            found = next((b for b in ours if b.id not in note['spent']), None)  # submitted by a run that was killed before it noted so
            if found is None:
                with open(path, 'rb') as file:
                    uploaded = _whole(client.files.create(file=file, purpose='batch'))
                found = _whole(client.batches.create(
                    input_file_id=uploaded.id, endpoint=URL, completion_window='24h', metadata={'phantom': path.stem}
                ))
            if self._key.leaked_in(found.id):  # it would be noted beside the file
                raise ValueError('expected the id of a batch, found one that quotes the API key')
        except (openai.APIError, ValueError) as e:
            said = f'batch service {self._url}: expected to take {path}, found: {server_words(str(e)) or e}; run the same command again to go on'
            return self._key.hide(said), getattr(e, 'status_code', 0)
        finally:
            client.close()
        write_note(path, {**note, 'id': found.id, 'keys': keys})
        return None

    def _wait(self, path: Path, started: float) -> tuple[str, str]:
        """Return the kind of failure of what has no answer, and what is awaited or went wrong; '' once the output lies in the folder."""
        if output_path(path).exists():
            return 'transport', ''
        if not self._url:
            return AWAITED, f'answers to {path} are awaited: run `{self._runner(path)}` and then the same build again'
        number = read_note(path)['id']
        client = self._client()
        try:
            while True:
                batch = _whole(client.batches.retrieve(number))
                if batch.status in OVER:
                    self._in_vain = False
                    return self._fetch(client, batch, path)
                if self._in_vain or time.monotonic() - started > self._wait_s:
                    self._in_vain = True
                    return AWAITED, self._key.hide(f'batch {number} is {batch.status}; run the same command again later')
                time.sleep(self._poll_s)
        except openai.NotFoundError as e:
            said = f'batch {number} {UNKNOWN}, says {self._url}: {server_words(str(e)) or e}; it is named in {batch_path(path)}'
            return 'transport', self._key.hide(said)
        except (openai.APIError, ValueError) as e:
            return 'transport', self._key.hide(f'batch {number}: {e}')
        finally:
            client.close()

    def _fetch(self, client: openai.OpenAI, batch: Any, path: Path) -> tuple[str, str]:
        parts = [client.files.content(number).content for number in (batch.output_file_id, batch.error_file_id) if number]
        if parts:
            whole = b''.join(part if part.endswith(b'\n') else part + b'\n' for part in parts)
            publish_bytes(output_path(path), without_leaks(whole, self._key))
            return 'transport', ''
        discard_batch(path)
        ended = self._key.hide(f'batch {batch.id} of {path} ended as {batch.status}')
        again = 'run the same command again to submit it anew'
        if batch.status != 'failed':  # expired or cancelled before anything was run
            return AWAITED, f'{ended}; {again}'
        return BATCH, self._key.hide(f'{ended}: {_faults_of(batch)}; mend what it names, then {again}')

    def _runner(self, path: Path) -> str:
        """Return the command that answers a file on this machine."""
        words = ['python', '-m', 'vllm.entrypoints.openai.run_batch', '-i', str(path), '-o', str(output_path(path)), '--model', self._settings.model]
        if self._settings.image_files:
            words += ['--allowed-local-media-path', self._settings.image_files]
        return shlex.join(words)

    def _client(self) -> openai.OpenAI:
        return open_blocking_client(self._url, self._key, timeout=self._settings.timeout_s, max_retries=self._settings.max_retries)


def _not_taken(waiting: dict[str, ChatRequest], fault: tuple[str, int]) -> Iterator[Outcome]:
    said, status = fault
    for request in waiting.values():
        yield failure(request, BATCH, said, retryable=True, status=status)


def _listed(client: openai.OpenAI) -> Iterator[Any]:
    try:
        yield from client.batches.list(limit=100)
    except (AttributeError, TypeError) as e:  # what the client stumbles over where a page or another JSON comes
        raise ValueError(f'expected a list of batches, found what is none ({e})') from e


def _whole(found: Any) -> Any:
    """Return what a service answered; raises ValueError for a page or whatever else it may be: the client hands that on."""
    if not isinstance(getattr(found, 'id', None), str):
        raise ValueError(f'expected an answer of a batch service, found {form_of(found)}: {repr(found)[:SHOWN_CHARS]}')
    return found


def _faults_of(batch: Any) -> str:
    """Return what a batch says is wrong with its file: code, message and line of each fault, the first three."""
    faults = (batch.errors.data if batch.errors else None) or []
    said = [f'{fault.code}: {fault.message}' + (f' (line {fault.line})' if fault.line else '') for fault in faults[:SHOWN_FAULTS]]
    more = [f'and {len(faults) - SHOWN_FAULTS} more'] if len(faults) > SHOWN_FAULTS else []
    return ', '.join([*said, *more]) or 'it does not say why'
