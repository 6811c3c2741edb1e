"""The dtype in which the demo's model is served: the one in which this processor multiplies the model's matrices faster, measured in some seconds.

Flags of the processor do not tell: bfloat16 was 3.3 times float32 on one with AMX, 1.7 times on an AMD EPYC of family 25, model 17 (AVX512-BF16,
no AMX: `python -m benchmarks.demo_dtype`, idle, 16 at once: 154 against 90 tokens/s, 4.0 against 2.2 judged calls/s), slower on another processor
with AVX512-BF16 (147 against 175 tokens/s), and seventeen times slower on one with AVX2 alone (6 against 105). The product measured here is 2.1 times
as fast in bfloat16 on that EPYC, and 0.24 times with ONEDNN_MAX_CPU_ISA=AVX2.
"""

import os
import subprocess
import sys
from collections.abc import Callable

from schemas.errors import UserError

DTYPES = ('auto', 'float32', 'bfloat16')
WORTH = 1.1  # times as fast at least; below, float32, whose replies do not depend on what else is in the batch
MEASURE = """
import statistics, time, torch
torch.set_num_threads(1)
shapes = [(576, 576), (192, 576), (192, 576), (576, 576), (1536, 576), (1536, 576), (576, 1536)]  # one layer of SmolLM2-135M
def seconds(dtype):
    layer = [(torch.randn(137, n).to(dtype), torch.randn(m, n).to(dtype)) for m, n in shapes]  # a judged prompt has about 137 tokens
    started = time.perf_counter()
    for x, weight in layer:
        torch.nn.functional.linear(x, weight)
    return time.perf_counter() - started
for dtype in (torch.float32, torch.bfloat16):
    seconds(dtype)
print(statistics.median(seconds(torch.float32) / seconds(torch.bfloat16) for _ in range(15)))
"""


def measure_gain() -> float:
    """Return how many times as fast as in float32 one thread multiplies the model's matrices in bfloat16, under this environment."""
    # a process of its own: torch is imported nowhere in pipelines
    done = subprocess.run([sys.executable, '-P', '-c', MEASURE], env={**os.environ, 'OMP_NUM_THREADS': '1'}, capture_output=True, text=True)
    if done.returncode:
        raise UserError(f'demo model: expected to measure which dtype is faster, found:\n{done.stderr[-2000:]}\nchoose with --dtype float32')
    return float(done.stdout)


def refuse_unknown(asked: str) -> None:
    """Raise UserError for what is no dtype of the demo's server."""
    if asked not in DTYPES:
        raise UserError(f'demo model: expected --dtype auto, float32 or bfloat16, found {asked!r}; auto is the faster one on this processor')


def choose_dtype(asked: str = 'auto', *, measure: Callable[[], float] = measure_gain) -> tuple[str, str]:
    """Return float32 or bfloat16, and why."""
    if asked != 'auto':
        return asked, 'as asked'
    gain = measure()
    return 'bfloat16' if gain >= WORTH else 'float32', f'since this processor multiplies {gain:.1f} times as fast in bfloat16 as in float32'
