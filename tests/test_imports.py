"""The direction of imports is part of the design: schemas <- curation <- pipelines, schemas <- model; nobody imports pipelines or model.

Inside a half each room (folder) stands on a floor and imports rooms of lower floors only, so there is no circle. The tree is written in the
order of the data; the floors, from the ground up, are the order of imports: a mix and triples call `snapshot` to be written, `chat` keeps what
it asked in `replies`, benchmarks are judged by `chat`.
"""

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
MAY = {'model/serving': {'vllm'}}  # rooms that may know what the rest of their folder must not; they import it when vLLM itself loads them
FLOORS = {
    'curation': [{'english', 'pictures', 'selection'}, {'answers'}, {'rows'}, {'texts', 'verdicts'}, {'negatives'}, {'calibration'}],
    'pipelines': [{'engine', 'replies', 'demo'}, {'sources'}, {'chat'}, {'benches', 'snapshot'}, {'mix'}, {'triples'}, {'build'}, {'look'}, {'verbs'}],
    'model': [{'phantom'}, {'training', 'exactness'}, {'evaluation', 'serving'}, {'rating'}],
}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from (f'{node.module}.{alias.name}' for alias in node.names)


def room(path):
    return path.relative_to(ROOT).with_suffix('').parts[1]


@pytest.mark.parametrize('folder', sorted(OURS))
def test_a_folder_imports_only_what_lies_before_it(folder):
    files = sorted((ROOT / folder).rglob('*.py'))
    assert files
    for path in files:
        found = {name.partition('.')[0] for name in imported(path)}
        assert found & OURS <= ALLOWED[folder], path
        assert not found & (FOREIGN[folder] - MAY.get(path.parent.relative_to(ROOT).as_posix(), set())), path


@pytest.mark.parametrize('half', sorted(FLOORS))
def test_a_room_imports_only_rooms_of_lower_floors(half):
    floor = {name: number for number, rooms in enumerate(FLOORS[half]) for name in rooms}
    files = [path for path in sorted((ROOT / half).rglob('*.py')) if path != ROOT / half / '__init__.py']
    assert {room(path) for path in files} == set(floor), 'every room stands on a floor, and no file stands outside a room'
    for path in files:
        for name in imported(path):
            top, _, rest = name.partition('.')
            other = rest.partition('.')[0]
            if top == half and other != room(path):
                assert floor[other] < floor[room(path)], f'{path.relative_to(ROOT)} imports {name}'


def test_the_front_door_shows_its_help_without_importing_anything_heavy():
    code = "import sys, phantom; print(' '.join(sorted({'apache_beam', 'torch', 'pyarrow', 'pandas', 'datasets', 'openai'} & set(sys.modules))))"
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, ''), done.stderr


def test_importing_what_serves_checkpoints_imports_no_vllm():
    """The entry point is found by every vLLM of the environment, and `phantom serve` looks before it starts one."""
    code = "import sys, model.serving, model.serving.front, model.serving.running; print('vllm' in sys.modules)"
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, 'False'), done.stderr
