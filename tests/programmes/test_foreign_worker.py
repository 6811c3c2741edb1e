"""Workers import the project that the user runs: by wheel in another virtual environment, and whatever folders lie where the user stands."""

import os
import shutil
import site
import socket
import subprocess
import sys
import sysconfig
import time
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest

import pipelines.engine.boot
from tests.programmes.project import REPOSITORY, environment, ids, knowing_server, run

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('foreign')]
PACKAGES = ('schemas', 'curation', 'pipelines', 'model')
TRACE = """
with open(__import__('os').environ['BOOT_DIR'] + '/imported', 'a') as _log:
    _log.write(f'{__import__("os").getpid()} {__import__("sys").prefix} {__file__}\\n')
"""


@pytest.fixture(scope='module')
def worker_python(tmp_path_factory) -> Path:
    """The Python of a virtual environment that sees this one's packages, but not the project: a .pth inside a folder named by a .pth is not read."""
    folder = tmp_path_factory.mktemp('worker') / 'venv'
    subprocess.run([sys.executable, '-m', 'venv', '--without-pip', str(folder)], check=True)
    packages = folder / Path(sysconfig.get_path('purelib')).relative_to(sys.prefix)
    (packages / 'beam.pth').write_text('\n'.join(site.getsitepackages()))
    return folder / 'bin/python'


@pytest.fixture(scope='module')
def wheel(tmp_path_factory) -> Path:
    """The project's wheel from a clean copy. Its `pipelines` notes where it is imported: the checkout's does not."""
    folder = tmp_path_factory.mktemp('wheel')
    for name in (*PACKAGES, 'recipes'):
        shutil.copytree(REPOSITORY / name, folder / 'copy' / name, ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('phantom.py', 'setup.py', 'pyproject.toml', 'README.md', 'LICENSE'):
        shutil.copy(REPOSITORY / name, folder / 'copy')
    with open(folder / 'copy/pipelines/__init__.py', 'a', encoding='utf-8') as start:
        start.write(TRACE)
    subprocess.run([*pip('wheel'), '--no-build-isolation', '-w', str(folder), str(folder / 'copy')], check=True)
    return next(folder.glob('*.whl'))


def pip(verb: str) -> list[str]:
    return [sys.executable, '-m', 'pip', verb, '-q', '--disable-pip-version-check', '--no-deps', '--no-index']


@pytest.fixture(scope='module')
def pool(worker_python, tmp_path_factory):
    """(address, folder) of a Beam worker pool that starts workers through boot.py."""
    folder = tmp_path_factory.mktemp('pool')
    boot = folder / 'boot'
    boot.write_text(f'#!/bin/sh\nexec {worker_python} {shutil.copy(pipelines.engine.boot.__file__, folder)} "$@"\n')
    boot.chmod(0o755)
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if name not in ('PYTHONPATH', 'VIRTUAL_ENV')}
    command = [str(worker_python), '-m', 'apache_beam.runners.worker.worker_pool_main', f'--service_port={port}', f'--container_executable={boot}']
    with open(folder / 'log', 'w', encoding='utf-8') as log:
        process = subprocess.Popen(command, cwd=folder, env={**clean, 'BOOT_DIR': str(folder)}, stdout=log, stderr=log)
    try:
        _wait_for(port, process, folder / 'log')
        yield f'localhost:{port}', folder
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen, log: Path) -> None:
    while process.poll() is None:
        try:
            socket.create_connection(('localhost', port), 0.2).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError(f'the worker pool did not start: {log.read_text(encoding="utf-8")}')


def test_the_worker_has_beam_and_not_the_project(worker_python):
    for module, wanted in (('apache_beam', 0), ('pipelines', 1), ('schemas', 1), ('phantom', 1)):
        env = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'}
        told = subprocess.run([str(worker_python), '-c', f'import {module}'], cwd='/', env=env, capture_output=True, text=True)
        assert told.returncode == wanted, f'import {module}: {told.stderr}'


def test_both_programmes_on_a_foreign_worker_make_the_same_snapshots(built, project, tmp_path, worker_python, wheel, pool):
    address, folder = pool
    with knowing_server() as server:
        beam = ['--environment_type=EXTERNAL', f'--environment_config={address}', f'--extra_package={wheel}']
        told = run(project.command(tmp_path / 'out', *beam, url=server.url))
        assert told.returncode == 0, told.stderr + (folder / 'log').read_text()[-3000:]
    assert ids(tmp_path / 'out') == ids(built.out)
    imports = imports_of(folder)
    assert len({pid for pid, _, _ in imports}) >= 10, 'each of some fifteen Beam jobs has its own worker; steps of one shard are none'
    assert {prefix for _, prefix, _ in imports} == {str(worker_python.parents[1])}
    assert all(Path(file).is_relative_to(folder) for _, _, file in imports), imports[:3]


def imports_of(folder: Path) -> list[list[str]]:
    """Return [process, its Python's prefix, file] of each import of `pipelines` that was noted in `folder`."""
    return [line.split(' ', 2) for line in (folder / 'imported').read_text().splitlines()]


def test_the_wheel_brings_licence_and_readme(wheel):
    with zipfile.ZipFile(wheel) as archive:
        told = next(name for name in archive.namelist() if name.endswith('.dist-info/METADATA'))
        metadata = message_from_bytes(archive.read(told))
        assert archive.read(told.replace('METADATA', 'licenses/LICENSE')) == (REPOSITORY / 'LICENSE').read_bytes()
    assert metadata['License-Expression'] == 'Apache-2.0'
    assert metadata['Description-Content-Type'] == 'text/markdown'
    assert metadata.get_payload(decode=True).decode().strip() == (REPOSITORY / 'README.md').read_text().strip()


def test_the_workers_of_an_installed_wheel_import_it_and_not_the_users_own_folders(built, project, wheel, tmp_path):
    """It is run by its file: nothing in the environment names its folder, so the workers must be told. Steps that a finished build made are taken from it."""
    installed, home, out = tmp_path / 'installed', tmp_path / 'home', tmp_path / 'out'
    subprocess.run([*pip('install'), '--target', str(installed), str(wheel)], check=True, timeout=60)
    for name in PACKAGES:
        (home / name).mkdir(parents=True)
        (home / name / '__init__.py').touch()
    shutil.copytree(built.out / 'work', out / 'work')
    beam = ('--direct_running_mode=multi_processing', '--direct_num_workers=2')
    words = project.words(out, '--mix-only', '--set', 'mix.validation_fraction=0.2', *beam)
    env = environment(PYTHONPATH='', BOOT_DIR=str(tmp_path))
    told = subprocess.run([sys.executable, str(installed / 'phantom.py'), *words], cwd=home, env=env, capture_output=True, text=True, timeout=240)
    assert told.returncode == 0, told.stderr
    assert len(ids(out)) == 1
    imports = imports_of(tmp_path)
    assert len({pid for pid, _, _ in imports}) > 1, 'the first is the build itself, the others are workers'
    assert {Path(file).parents[1] for _, _, file in imports} == {installed}
