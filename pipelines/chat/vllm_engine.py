"""The vLLM engines of this process: one per model and options, started when first used, ended when nobody holds it any more.

A device has room for one: steps that ask the same model, one after the other or in several threads, share it.
"""

import gc
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from schemas.errors import UserError

# in the worker's own process: an engine process of its own outlives a worker that is killed (seen: it and its worker stayed);
# vLLM looks at a model's class in a `python -m`, which would import from where the user stands first
SETTINGS = {'VLLM_ENABLE_V1_MULTIPROCESSING': '0', 'PYTHONSAFEPATH': '1'}
QUIET = {'VLLM_LOGGING_LEVEL': 'ERROR'}  # unless the user asked for more: on the CPU there is a warning for every request
COMPACT_JSON = {'backend': 'xgrammar', 'disable_any_whitespace': True}  # small models fill JSON with blanks to the token limit
# of weights no pickle is read: reading one may run what its maker wrote into it
DEFAULTS = {'structured_outputs_config': COMPACT_JSON, 'disable_log_stats': True, 'load_format': 'safetensors'}
MISSING = (
    "model {model!r}: expected vLLM in this environment, found none; install it (`pip install 'phantom-curation[vllm]'`) "
    'or use backend: openai with a server'
)
LOAD_ERRORS = (OSError, ValueError, RuntimeError, TypeError, AssertionError)  # what vLLM raises for a model or options it cannot use

_engines: dict[str, 'Engine'] = {}
_lock = threading.Lock()
_kept = 0  # how many `kept` blocks are open


@dataclass
class Engine:
    """One running engine. Whoever uses it holds `turn`: vLLM hands every finished request to whoever waits first."""

    name: str
    llm: Any
    turn: threading.Lock = field(default_factory=threading.Lock)
    holders: int = 0


def hold(model: str, options: dict[str, Any], *, images: bool) -> Engine:
    """Return the engine of a model, started if need be; raises UserError if vLLM cannot load it or it cannot see and must."""
    name = json.dumps([model, options], sort_keys=True)
    with _lock:
        if name not in _engines:
            _engines[name] = Engine(name, _start(model, options, images=images))
        _engines[name].holders += 1
        return _engines[name]


def let_go(engine: Engine, *, broken: bool = False) -> None:
    """Give back what `hold` returned. A broken engine is ended at once, so that the next request starts a new one."""
    with _lock:
        engine.holders -= 1
        if broken or not (engine.holders or _kept):
            _end(engine)


@contextmanager
def kept() -> Iterator[None]:
    """Keep engines that started inside the block until its end, through times when nobody holds them."""
    global _kept
    with _lock:
        _kept += 1
    try:
        yield
    finally:
        with _lock:
            _kept -= 1
            for engine in [engine for engine in _engines.values() if not (engine.holders or _kept)]:
                _end(engine)


def _start(model: str, options: dict[str, Any], *, images: bool) -> Any:
    os.environ.update(SETTINGS)
    for variable, value in QUIET.items():
        os.environ.setdefault(variable, value)
    try:
        from vllm import LLM
    except ImportError as e:
        raise UserError(f'{MISSING.format(model=model)} ({e})') from e
    try:
        llm = LLM(model=model, trust_remote_code=False, **{**DEFAULTS, **{name: options[name] for name in options if name != 'trust_remote_code'}})
    except LOAD_ERRORS as e:
        raise UserError(f'model {model!r}: expected vLLM to load it, found: {e}') from e
    if images and not llm.model_config.is_multimodal_model:
        _shut_down(llm)
        raise UserError(f'model {model!r}: expected a model that sees, since the recipe says images: true, found one for text only')
    return llm


def _end(engine: Engine) -> None:
    if _engines.get(engine.name) is engine:
        del _engines[engine.name]
        llm, engine.llm = engine.llm, None
        _shut_down(llm)


def _shut_down(llm: Any) -> None:
    from vllm.distributed.parallel_state import cleanup_dist_env_and_memory

    llm.llm_engine.engine_core.shutdown()
    del llm
    gc.collect()
    cleanup_dist_env_and_memory()
