"""A vLLM of ours from its start to its end: it answers, or it is gone."""

import base64
import ctypes
import json
import mimetypes
import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

from model.serving.front import Server
from schemas.errors import UserError
from schemas.pixels import BadImage, read_rgb

POLL_S = 0.25
STOP_S = 10.0  # between asking it to end and killing it; vLLM itself waits for no request by default
STDERR = 2  # where what vLLM says goes: standard output has what was asked for
QUIET, NO_ACCESS_LOG = {'VLLM_LOGGING_LEVEL': 'ERROR'}, ('--uvicorn-log-level', 'error')
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # no proxy between us and our own machine


def tell(line: str) -> None:
    """Prints a line that is seen at once, in a pipe or a file too."""
    print(line, flush=True)


def serve_until_stopped(server: Server, say: Callable[[str], None] = tell) -> None:
    """Runs the server, says where it answers and how to ask, and goes on until Ctrl-C or SIGTERM; raises UserError if it ends by itself."""
    with suppress(KeyboardInterrupt), running(server) as child:
        say(f'{server.name} answers at {server.url}; Ctrl-C stops it. For example:\n{example(server)}')
        code = child.wait()
        raise UserError(f'vLLM: expected it to go on, found that it ended ({ending(code)}); what it said last stands above')


def ask_once(server: Server, question: str, image: Path | None, say: Callable[[str], None] = tell) -> None:
    """Runs the server, says its answer to one question over HTTP, and ends it."""
    content = content_of(question, image)
    hushed = replace(server, command=[*server.command, *NO_ACCESS_LOG], environment={**QUIET, **server.environment})
    with running(hushed):
        body = {'model': server.name, 'temperature': 0, 'max_completion_tokens': 128, 'messages': [{'role': 'user', 'content': content}]}
        reply = post(f'{server.url}/chat/completions', body)
        say(f'{server.url} was asked: {question}\n{server.name} answered: {reply["choices"][0]["message"]["content"].strip()}')


@contextmanager
def running(server: Server) -> Iterator[subprocess.Popen]:
    """The process of a server that answers; it and all its children are gone when the block ends, however it ends."""
    child = subprocess.Popen(
        server.command, stdin=subprocess.DEVNULL, stdout=STDERR, env={**os.environ, **server.environment},
        start_new_session=True, preexec_fn=end_with_us,
    )
    try:
        while not answers(server):
            if (code := child.poll()) is not None:
                raise UserError(f'vLLM: expected it to start, found that it ended ({ending(code)}); what it said last stands above')
            time.sleep(POLL_S)
        yield child
    finally:
        end(child)


def end(child: subprocess.Popen) -> None:
    """Asks it to end, which it tells its own processes, and kills what is left of them all."""
    child.terminate()
    with suppress(subprocess.TimeoutExpired):
        child.wait(STOP_S)
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def end_with_us() -> None:
    """In the child: ends when we are killed without a word (Linux only)."""
    if sys.platform == 'linux':
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def answers(server: Server) -> bool:
    """Whether the server at the address has our model, or wants a key (--api-key) before it says so."""
    try:
        with LOCAL.open(f'{server.url}/models', timeout=5) as reply:
            return server.name in [model['id'] for model in json.load(reply)['data']]
    except urllib.error.HTTPError as e:
        return e.code == HTTPStatus.UNAUTHORIZED
    except (OSError, ValueError, KeyError, TypeError):
        return False


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    """The JSON that comes back; raises UserError with the server's words where it refuses."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {'Content-Type': 'application/json'})
    try:
        with LOCAL.open(request) as reply:
            return json.load(reply)
    except (OSError, ValueError) as e:
        said = f'HTTP {e.code}: {" ".join(e.read(2000).decode("utf-8", "replace").split())}' if isinstance(e, urllib.error.HTTPError) else e
        raise UserError(f'{url}: expected an answer, found: {said}') from e


def content_of(question: str, image: Path | None) -> list[dict[str, Any]]:
    """A user's message in OpenAI's form: the picture, then the question; raises UserError for what is no picture."""
    text = {'type': 'text', 'text': question}
    if image is None:
        return [text]
    try:
        data = image.read_bytes()
        read_rgb(data)
    except (OSError, BadImage) as e:
        raise UserError(f'image {image}: expected a PNG or JPEG picture, found: {e}') from e
    kind = mimetypes.guess_type(image)[0] or 'image/png'
    return [{'type': 'image_url', 'image_url': {'url': f'data:{kind};base64,{base64.b64encode(data).decode()}'}}, text]


def example(server: Server) -> str:
    """A call that works in a shell as it stands."""
    body = {'model': server.name, 'messages': [{'role': 'user', 'content': 'What is a circle?'}]}
    return f"curl {shlex.quote(f'{server.url}/chat/completions')} -H 'Content-Type: application/json' -d {shlex.quote(json.dumps(body))}"


def ending(code: int) -> str:
    """How a process ended, for people."""
    return f'exit code {code}' if code >= 0 else f'killed by {signal.Signals(-code).name}'
