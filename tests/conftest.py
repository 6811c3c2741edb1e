"""What every test may ask for."""

import sys

import pytest
from hypothesis import HealthCheck, settings

import phantom

# Hypothesis judges what comes out, not how fast: the machine may be busy
settings.register_profile('any speed', deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile('any speed')


@pytest.fixture
def front(monkeypatch, capsys, caplog):
    """The front door in this process: words in, (exit code, standard output, standard error and what was logged) out."""
    def enter(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, 'argv', ['phantom', *map(str, words)])
        capsys.readouterr()
        caplog.clear()
        with pytest.raises(SystemExit) as ended:
            phantom.main()
        told = capsys.readouterr()
        return ended.value.code or 0, told.out, told.err + caplog.text

    return enter
