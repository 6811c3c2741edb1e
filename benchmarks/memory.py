"""Memory of one forward and backward of 512 tokens, and of decoding 64 tokens after 1,024: ours against the released attention.

Each side in a process of its own, which begins with the same weights; the rise of its high-water mark, MB. Run: python -m benchmarks.memory
"""

import resource
from multiprocessing import get_context

import torch

from benchmarks.decode import SIDES, decode, make, step

TOKENS = {'fwd+bwd': 512, 'decode': 1024}


def rise(task: str, name: str, released: bool) -> float:
    """MB by which this process's high-water mark rises."""
    torch.set_num_threads(1)
    architecture, kv_heads, _ = SIDES[name]
    model = make(architecture, kv_heads, released=released)
    ids = torch.randint(1, 4096, (1, TOKENS[task]), generator=torch.Generator().manual_seed(1))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if task == 'decode':
        decode(model, ids, 64)
    else:
        step(model, ids)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024  # KiB on Linux


def main() -> None:
    """Prints one line a decoder and task."""
    context = get_context('spawn')
    for task in TOKENS:
        for name in SIDES:
            with context.Pool(1, maxtasksperchild=1) as pool:  # a process a measurement
                released, ours = (pool.apply(rise, (task, name, side)) for side in (True, False))
            print(f'{name:10} {task:8} released {released:.0f} MB, ours {ours:.0f} MB, ratio {released / ours:.2f}')


if __name__ == '__main__':
    main()
