"""The model equals the released inference code: every tensor of tests/golden (trimmed copies of its recorded runs)."""

from pathlib import Path

import pytest

from model.exactness import verify
from model.exactness.verify import verify_cases, verify_model
from schemas.errors import UserError

GOLDEN = Path(__file__).parents[2] / 'golden'
CASES = {'text', 'image', 'batch', 'imgbatch'}


@pytest.mark.parametrize('arch', ['arch_0_5b', 'arch_1_8b', 'arch_3_8b'])
def test_every_golden_case_is_within_tolerance(arch):
    checks = list(verify_cases(GOLDEN / arch))
    assert [check for check in checks if not check.ok] == []
    names = {check.case for check in checks}
    assert names >= {f'{variant}.{case}.greedy' for variant in ('eta1', 'eta1e-4', 'off') for case in CASES}
    assert names >= {'eta1.text.forward', 'eta1.image.forward', 'eta1.image.beam3', 'eta1.train.gradients'}
    assert sum(name.startswith('extra.') for name in names) >= 4


def test_a_wrong_eta_is_found(monkeypatch):
    monkeypatch.setitem(verify.VARIANTS, 'eta1', 1.001)
    monkeypatch.delitem(verify.VARIANTS, 'eta1e-4')
    monkeypatch.delitem(verify.VARIANTS, 'off')
    monkeypatch.setattr(verify, 'CASES', ('text',))
    lines: list[str] = []
    assert verify_model(GOLDEN / 'arch_0_5b', say=lines.append) == 1
    assert any(line.startswith('FAIL eta1.text.forward') for line in lines)
    assert lines[-1].endswith('beyond tolerance')


def test_a_folder_without_goldens_is_refused(tmp_path):
    with pytest.raises(UserError, match='golden folder'):
        verify_model(tmp_path)
