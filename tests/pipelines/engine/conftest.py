"""One small project and two builds of it, shared by the tests of a session that change neither."""

import pytest

from tests.pipelines.engine.builds import OTHER_SETTINGS, Build, build_rated, build_whole, write_steady_project
from tests.programmes.project import Project


@pytest.fixture(scope='session')
def project(tmp_path_factory) -> Project:
    return write_steady_project(tmp_path_factory.mktemp('steady'))


@pytest.fixture(scope='session')
def plain(project, tmp_path_factory) -> Build:
    """The project built with default settings."""
    return build_whole(project, tmp_path_factory.mktemp('plain'))


@pytest.fixture(scope='session')
def other(project, tmp_path_factory) -> Build:
    """The project built with settings that take the other branches."""
    return build_whole(project, tmp_path_factory.mktemp('other'), sets=OTHER_SETTINGS)


@pytest.fixture(scope='session')
def rated(project, tmp_path_factory) -> Build:
    """A mix of two of the sources whose samples are rated."""
    return build_rated(project, tmp_path_factory.mktemp('rated'))
