"""The dtype in which the demo's model is served on this processor, by its flags: the same on every start, without measuring.

bfloat16 where there is AMX: it was 3.3 times float32 there (11 against 3.2 likelihood requests/s of 137 tokens, one core). Without AMX float32 is
never far behind, while bfloat16 can be. Seen, tokens/s written in float32 and in bfloat16: an AVX2 machine 105 and 6; one with AVX512-BF16, 32 at
once, 175 and 147. `python -m benchmarks.demo_dtype` on an AMD EPYC of family 25, model 17 (AVX512-BF16) busy with other work, 16 at once, tokens a
second of processor time: 90 and 155 (judged calls 2.2 and 3.8), so `--dtype bfloat16` pays there; with ONEDNN_MAX_CPU_ISA=AVX2 72 and, 4 at once, 22.
"""

import os
from pathlib import Path

from schemas.errors import UserError

DTYPES = ('auto', 'float32', 'bfloat16')
CPUINFO = Path('/proc/cpuinfo')
AMX = frozenset({'amx_tile', 'amx_bf16'})  # both, as Linux names them
SLOW = ', and without it bfloat16 can be many times slower'
CAPS = ('ONEDNN_MAX_CPU_ISA', 'DNNL_MAX_CPU_ISA')  # oneDNN's documented bound on the instructions it may use; the first that is set counts


def choose_dtype(asked: str = 'auto', *, cpuinfo: Path = CPUINFO) -> tuple[str, str]:
    """Return float32 or bfloat16, and why; raises UserError for what is no dtype of the demo's server."""
    if asked not in DTYPES:
        raise UserError(f'demo model: expected --dtype auto, float32 or bfloat16, found {asked!r}; auto is bfloat16 with AMX, else float32')
    if asked != 'auto':
        return asked, 'as asked'
    if not _flags(cpuinfo) >= AMX:
        return 'float32', f'this processor has no AMX{SLOW}'
    variable = next((name for name in CAPS if name in os.environ), '')
    if variable and _forbids_amx(os.environ[variable]):
        return 'float32', f'${variable} leaves the AMX of this processor unused{SLOW}'
    return 'bfloat16', 'this processor has AMX'


def _flags(cpuinfo: Path) -> frozenset[str]:
    """Return the flags of the first processor; none where the platform does not tell them so."""
    try:
        lines = cpuinfo.read_text(errors='replace').splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line.partition(':')[2] for line in lines if line.startswith('flags')), '').split())


def _forbids_amx(isa: str) -> bool:
    # SSE41 ... AVX512_CORE_FP16, AVX10_1_512; with it: AVX512_CORE_AMX ..., DEFAULT, ALL, and words that oneDNN does not know
    return isa.upper().startswith(('SSE', 'AVX')) and 'AMX' not in isa.upper()
