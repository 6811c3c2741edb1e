"""The files of replies by batch: requests written within the service's limits, answers read, and what became of each file.

For each set of requests the folder gets `NAME.jsonl` (what is asked), `NAME.batch.json` (the batch it became, and its keys) and
`NAME.output.jsonl` (what came back), NAME being the hash of the reply keys. A killed or impatient run finds them again, also where it asks for
other sets.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from pipelines.chat.finality import final_kind
from pipelines.chat.leaks import LEAKED, paid_for_leak, without_text
from pipelines.chat.manners import UNSEEN, Manners
from pipelines.chat.remedies import AWAITED
from pipelines.chat.requests import wire_body
from pipelines.chat.responses import decode_body, failure, read_response
from schemas.errors import UserError
from schemas.publish import draft_of, publish_checked, read_checked, sync, sync_names
from schemas.replies import ChatRequest, Outcome

MAX_LINES = 50_000  # of one file, the service's limit
MAX_BYTES = 200_000_000  # of one file, the service's limit
URL: Literal['/v1/chat/completions'] = '/v1/chat/completions'
NOT_DONE = frozenset({'batch_expired', 'batch_cancelled'})  # error codes of lines that were not run: they run with the next batch


def write_files(
    requests: Sequence[ChatRequest], folder: Path, model: str, *, image_files: str = '', max_lines: int = MAX_LINES, max_bytes: int = MAX_BYTES
) -> Iterator[tuple[Path, list[str]]]:
    """Write `requests` as batch files within both limits; yield each path with its reply keys. The same requests, the same files."""
    temporary = draft_of(folder / 'writing')  # what it becomes is known by its last line
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


def read_output(path: Path, waiting: dict[str, ChatRequest], manners: Manners = UNSEEN) -> Iterator[Outcome]:
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
                yield _outcome(request, answer, manners)


def _outcome(request: ChatRequest, answer: dict, manners: Manners) -> Outcome:
    if (usage := paid_for_leak(answer)) is not None:
        return without_text(replace(failure(request, LEAKED, '', retryable=False), prompt_tokens=usage[0], completion_tokens=usage[1]))
    response = answer['response'] if isinstance(answer.get('response'), dict) else {}
    status, body = response.get('status_code'), response.get('body')
    status = status if isinstance(status, int) else 0
    if status == 200 and body is not None:
        return read_response(request, body, manners)
    said = json.dumps(answer.get('error') or body, ensure_ascii=False)
    error = answer.get('error')
    if isinstance(error, dict) and error.get('code') in NOT_DONE:
        return failure(request, AWAITED, said, retryable=True)
    kind = final_kind(status, said)
    return failure(request, kind or 'transport', f'HTTP {status}: {said}' if status else said, retryable=not kind, status=status)


def output_path(path: Path) -> Path:
    """Return where the answers to a batch file lie."""
    return path.with_suffix('.output.jsonl')


def batch_path(path: Path) -> Path:
    """Return where the service's name of a submitted file is kept."""
    return path.with_suffix('.batch.json')


def read_note(path: Path) -> dict[str, Any]:
    """Return the batch a file became (`id`, or None) and those that came to nothing (`spent`).

    A note that a disk damaged says nothing: the service is asked whether it has a batch of this file before it gets another one.
    """
    said = read_checked(batch_path(path)) or {}
    return said if {'id', 'spent'} <= said.keys() else {'id': None, 'spent': []}


def under_way(folder: Path) -> dict[str, Path]:
    """Return, by reply key, the file of each batch that was submitted and of which nothing came back yet."""
    found: dict[str, Path] = {}
    for said in sorted(folder.glob('*.batch.json')):
        path = said.with_name(said.name.replace('.batch.json', '.jsonl'))
        note = read_note(path)
        if note['id'] and not output_path(path).exists():
            found.update(dict.fromkeys(note.get('keys') or _keys_in(path), path))
    return found


def _keys_in(path: Path) -> Iterator[str]:
    """Yield the reply keys of a batch file, whose note, by an earlier version, does not say them."""
    with suppress(FileNotFoundError), open(path, 'rb') as file:
        for line in file:
            yield line.split(b'"', 4)[3].decode()


def write_note(path: Path, note: dict[str, Any]) -> None:
    """Keep the batch that a file became."""
    publish_checked(batch_path(path), note)


def discard_batch(path: Path) -> None:
    """Note that the batch of a file came to nothing, so that the next run submits the file anew."""
    note = read_note(path)
    if note['id']:
        write_note(path, {'id': None, 'spent': [*note['spent'], note['id']]})


def _named(temporary: Path, keys: Sequence[str]) -> Path:
    path = temporary.with_name(f'batch-{hashlib.sha256("".join(keys).encode()).hexdigest()[:16]}.jsonl')
    sync(temporary)
    os.replace(temporary, path)
    sync_names(path.parent)
    return path


def drop_lost(path: Path) -> None:
    """Remove the answers to a batch file of which a disk kept nothing: they are fetched again."""
    with suppress(FileNotFoundError), open(output_path(path), 'rb') as file:
        if file.read(1) != b'{':
            output_path(path).unlink()
