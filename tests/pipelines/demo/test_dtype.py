"""The demo's dtype by what this processor multiplies faster."""

import math

import pytest

from pipelines.demo.dtype import choose_dtype, measure_gain, refuse_unknown
from schemas.errors import UserError


@pytest.mark.parametrize(('gain', 'dtype'), [(3.3, 'bfloat16'), (1.7, 'bfloat16'), (1.1, 'bfloat16'), (1.09, 'float32'), (0.84, 'float32'), (0.06, 'float32')])
def test_bfloat16_is_taken_only_where_it_gains(gain, dtype):
    found, why = choose_dtype(measure=lambda: gain)
    assert found == dtype
    assert f'{gain:.1f} times as fast in bfloat16' in why


def test_the_gain_is_measured_under_the_environment_that_the_server_gets(monkeypatch):
    """Which of the two is faster is the processor's affair: no test depends on it."""
    monkeypatch.setenv('ONEDNN_MAX_CPU_ISA', 'AVX2')
    gain = measure_gain()
    assert 0 < gain < math.inf


def test_a_measurement_that_fails_says_how_to_go_on(monkeypatch):
    monkeypatch.setattr('pipelines.demo.dtype.MEASURE', 'raise SystemExit("no torch in this box")')
    with pytest.raises(UserError, match='(?s)no torch in this box.*--dtype float32'):
        choose_dtype()


@pytest.mark.parametrize('asked', ['float32', 'bfloat16'])
def test_what_is_asked_for_is_given_without_measuring(asked):
    assert choose_dtype(asked, measure=None) == (asked, 'as asked')


def test_another_dtype_is_refused_in_one_message():
    with pytest.raises(UserError, match="expected --dtype auto, float32 or bfloat16, found 'float16'"):
        refuse_unknown('float16')
