"""The demo's dtype by the processor's flags: bfloat16 only where AMX is there and may be used."""

import pytest

from pipelines.demo.dtype import CAPS, choose_dtype
from schemas.errors import UserError

AVX2 = 'fpu sse2 avx f16c avx2 fma'
AVX512 = f'{AVX2} avx512f avx512bw avx512_bf16 avx512_vnni'
AMX = f'{AVX512} amx_bf16 amx_tile amx_int8'


@pytest.fixture
def choose(tmp_path, monkeypatch):
    for variable in CAPS:
        monkeypatch.delenv(variable, raising=False)

    def choose(flags: str, asked: str = 'auto') -> tuple[str, str]:
        cpuinfo = tmp_path / 'cpuinfo'
        cpuinfo.write_text(f'processor\t: 0\nmodel name\t: Some CPU with amx_tile and amx_bf16\nflags\t\t: {flags}\nbugs\t\t: many\n\n' * 2)
        return choose_dtype(asked, cpuinfo=cpuinfo)

    return choose


@pytest.mark.parametrize(
    ('flags', 'dtype'),
    [(AMX, 'bfloat16'), (AVX512, 'float32'), (AVX2, 'float32'), (f'{AVX512} amx_tile amx_int8', 'float32'), (f'{AVX512} amx_bf16', 'float32'), ('', 'float32')],
)
def test_only_amx_gains_from_bfloat16(choose, flags, dtype):
    found, why = choose(flags)
    assert found == dtype
    assert ('has no AMX' in why) == (dtype == 'float32')


@pytest.mark.parametrize('variable', CAPS)
@pytest.mark.parametrize(
    ('isa', 'dtype'),
    [
        ('AVX2', 'float32'), ('avx2_vnni', 'float32'), ('AVX512_CORE_BF16', 'float32'), ('AVX512_CORE_FP16', 'float32'), ('SSE41', 'float32'),
        ('AVX10_1_512', 'float32'), ('AVX512_CORE_AMX', 'bfloat16'), ('avx512_core_amx_fp16', 'bfloat16'), ('AVX10_1_512_AMX', 'bfloat16'),
        ('DEFAULT', 'bfloat16'), ('ALL', 'bfloat16'), ('', 'bfloat16'),
    ],
)
def test_an_amx_that_onednn_may_not_use_counts_as_none(choose, monkeypatch, variable, isa, dtype):
    monkeypatch.setenv(variable, isa)
    found, why = choose(AMX)
    assert found == dtype
    assert (variable in why) == (dtype == 'float32')


def test_a_platform_that_does_not_tell_its_flags_gets_float32(tmp_path):
    assert choose_dtype(cpuinfo=tmp_path / 'none')[0] == 'float32'
    (tmp_path / 'arm').write_text('processor\t: 0\nFeatures\t: fp asimd bf16 amx_bf16 amx_tile\n')
    assert choose_dtype(cpuinfo=tmp_path / 'arm')[0] == 'float32'


@pytest.mark.parametrize('asked', ['float32', 'bfloat16'])
@pytest.mark.parametrize('flags', [AMX, AVX2])
def test_what_is_asked_for_is_given_on_any_processor(choose, flags, asked):
    assert choose(flags, asked) == (asked, 'as asked')


def test_another_dtype_is_refused_in_one_message(choose):
    with pytest.raises(UserError, match="expected --dtype auto, float32 or bfloat16, found 'float16'"):
        choose(AMX, 'float16')
