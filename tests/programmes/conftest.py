"""The small project and one finished build of it, shared by the tests of a session that change neither."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.programmes.project import Project, knowing_server, run, write_project


@dataclass
class Built:
    """A finished build: its folder, what the command printed, and the address of the server, which goes on listening."""

    out: Path
    told: subprocess.CompletedProcess
    url: str


@pytest.fixture(scope='session')
def project(tmp_path_factory) -> Project:
    return write_project(tmp_path_factory.mktemp('little'))


@pytest.fixture(scope='session')
def server():
    """A model that knows; other tests may have asked it before."""
    with knowing_server() as running:
        yield running


@pytest.fixture(scope='session')
def built(project, server, tmp_path_factory) -> Built:
    """The project built by a user's command, without interruption."""
    out = tmp_path_factory.mktemp('built') / 'out'
    told = run(project.command(out, url=server.url))
    assert told.returncode == 0, told.stdout + told.stderr
    return Built(out, told, server.url)
