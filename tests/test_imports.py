"""The direction of imports is part of the design: schemas <- curation <- pipelines, schemas <- model; nobody imports pipelines or model."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
OURS = {'schemas', 'curation', 'pipelines', 'model'}
ALLOWED = {'schemas': {'schemas'}, 'curation': {'schemas', 'curation'}, 'pipelines': {'schemas', 'curation', 'pipelines'}, 'model': {'schemas', 'model'}}
FOREIGN = {  # packages a folder must not know
    'schemas': {'apache_beam', 'torch', 'vllm', 'openai', 'transformers', 'datasets'},
    'curation': {'apache_beam', 'torch', 'vllm', 'openai', 'transformers', 'requests', 'httpx', 'urllib'},
    'pipelines': {'torch', 'transformers'},
    'model': {'apache_beam', 'vllm', 'openai'},
}
# The demo server converts a packaged model once, in a process of its own.
EXCEPTIONS = {('pipelines', 'serve_demo.py'), ('pipelines', 'convert_demo_model.py')}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield node.module.partition('.')[0]


@pytest.mark.parametrize('folder', sorted(OURS))
def test_a_folder_imports_only_what_lies_before_it(folder):
    files = sorted((ROOT / folder).rglob('*.py'))
    assert files
    for path in files:
        found = set(imported(path))
        assert found & OURS <= ALLOWED[folder], path
        if (folder, path.name) not in EXCEPTIONS:
            assert not found & FOREIGN[folder], path


def test_the_front_door_shows_its_help_without_importing_anything_heavy():
    code = "import sys, phantom; print(' '.join(sorted({'apache_beam', 'torch', 'pyarrow', 'pandas', 'datasets', 'openai'} & set(sys.modules))))"
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ''), done.stderr
