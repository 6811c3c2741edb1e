"""A project of a user in small: four sources in four forms, a benchmark, a recipe, and one of each bad record with what must become of it."""

import hashlib
import io
import json
import os
import random
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from PIL import Image

import tests.fakes
from pipelines.build import Way, build_all
from schemas.recipe import load_recipe
from schemas.snapshot import open_snapshot
from tests.fakes import FakeChatServer, Script, likelihood_of

REPOSITORY = Path(tests.fakes.__file__).parents[1]
N_FACTS = 130
PDF = b'%PDF-1.7 not a picture'
COLOURS = ('red', 'green', 'blue', 'yellow', 'brown', 'pink', 'teal', 'white')
RECORDS = {'shapes': 41, 'charts': 22, 'photos': 13, 'facts': N_FACTS}  # as written below, bad ones included
SYLLABLES = ('ba', 'ke', 'li', 'mo', 'ru', 'sa', 'te', 'vi', 'no', 'da', 'fu', 'ge')


@dataclass
class Project:
    """Where the sources lie, the recipe, and the planted records: (unit, id) -> reason of the rejection that explains it."""

    root: Path
    recipe: Path
    planted: dict[tuple[str, str], str] = field(default_factory=dict)

    def build(self, out: Path, *beam: str, url: str = '', sets: tuple[str, ...] = (), work: Path | None = None, **way: int) -> None:
        """Build in this process, as the front door does it; `way`: mix_only, ask_nobody, give_up, workers."""
        recipe = load_recipe(self.recipe, (*_at(url), *sets))
        build_all(recipe, out, Way(work, self.root, beam, **way))

    def words(self, out: Path, *args: str, url: str = '') -> list[str]:
        """Return what a user types behind `phantom` to build this project."""
        sets = [part for value in _at(url) for part in ('--set', value)]
        return ['build', str(self.recipe), '--out', str(out), '--root', str(self.root), *sets, *args]

    def command(self, out: Path, *args: str, url: str = '') -> list[str]:
        """Return the whole command line."""
        return [phantom(), *self.words(out, *args, url=url)]


def _at(url: str) -> tuple[str, ...]:
    return (f"models.fake.base_urls=['{url}']",) if url else ()


def phantom() -> str:
    """Return the console script beside this interpreter."""
    return str(Path(sys.executable).parent / 'phantom')


def run(command: list[str], **env: str) -> subprocess.CompletedProcess:
    """Run a command like a user: its own folder, nothing of ours in the environment but `env`."""
    return subprocess.run(command, capture_output=True, text=True, cwd='/', env=environment(**env))


def environment(**env: str) -> dict[str, str]:
    """Return the environment of a user's shell, in which `phantom` is the checkout under test."""
    return {**os.environ, 'PYTHONPATH': str(REPOSITORY), 'HF_HUB_OFFLINE': '1', 'OMP_NUM_THREADS': '2', **env}


def ids(out: Path) -> tuple[str, ...]:
    """Return the ids of the snapshots sealed in a build's folder, mix first."""
    return tuple(open_snapshot(out / kind).snapshot_id for kind in ('mix', 'triples') if (out / kind).exists())


def rows_of(snapshot: Path, part: str = 'data') -> list[dict]:
    """Return every row of a snapshot's data or rejections, file by file."""
    return [row for path in sorted((snapshot / part).glob('*.parquet')) for row in pq.read_table(path).to_pylist()]


def city(number: int) -> str:
    """Return the made-up capital of land number `number`: one word, different for each."""
    digits = [number % 12, number // 12 % 12, (number * 7 + 3) % 12]
    return ''.join(SYLLABLES[d] for d in digits).capitalize()


def land(number: int) -> str:
    return f'{SYLLABLES[number % 12]}{SYLLABLES[number // 12]}land'.capitalize()


def question(number: int) -> str:
    return f'What is the name of the capital city of the old kingdom of {land(number)}?'


TRUTH = {land(number): city(number) for number in range(N_FACTS)}


def knowing_likelihood(prompt: str, answer: str) -> float:
    """Return a log-probability of a model that knows every capital."""
    named = re.search(r'kingdom of (\w+)', prompt)
    right = named is not None and TRUTH[named[1]] in answer
    return likelihood_of(prompt, answer) / 4 - (0.1 if right else 1.2)


def wrong_city(body: dict) -> str:
    """Return the reply to the paper's prompt: a capital of somewhere else."""
    asked = re.search(r'kingdom of (\w+)', json.dumps(body))
    names = [name for name in TRUTH.values() if not asked or TRUTH[asked[1]] != name]  # a prompt that tries the server names no kingdom
    return random.Random(json.dumps(body, sort_keys=True)).choice(names)


def knowing_server(**script: object) -> FakeChatServer:
    """Return a fake server whose model judges capitals rightly and proposes wrong ones."""
    return FakeChatServer(Script(likelihood=knowing_likelihood, reply_of=wrong_city, **script))


def picture(name: str, side: int = 48, form: str = 'PNG') -> bytes:
    """Return a picture of coloured blocks that depends on `name`; different names look different."""
    blocks = np.random.default_rng(list(name.encode())).integers(0, 256, (8, 8, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(blocks).resize((side, side), Image.Resampling.NEAREST).save(out, form)
    return out.getvalue()


def write_project(folder: Path) -> Project:
    """Write sources, benchmark and recipe below `folder`."""
    project = Project(folder / 'data', folder / 'recipe.yaml')
    shapes = _write_shapes(project)
    _write_charts(project)
    _write_photos(project)
    _write_facts(project)
    _write_benchmark(project.root / 'bench', shapes)
    project.planted['sample', 'shapes/shapes/shapes.json#2/0'] = 'CONTAMINATED'
    project.planted['sample', 'facts/facts/facts.json#5/0'] = 'CONTAMINATED'
    project.recipe.write_text(yaml.safe_dump(RECIPE, sort_keys=False))
    return project


def _llava(name: str, asked: str, answer: str, **other: object) -> dict:
    turns = [{'from': 'human', 'value': f'<image>\n{asked}'}, {'from': 'gpt', 'value': answer}]
    return {'id': name, 'image': f'imgs/{name}.png', 'conversations': turns, **other}


def _write_shapes(project: Project) -> list[dict]:
    folder = project.root / 'shapes/imgs'
    folder.mkdir(parents=True)
    records = []
    for i in range(30):
        (folder / f's{i}.png').write_bytes(picture(f's{i}', side=24 + i))
        records.append(_llava(f's{i}', f'What colour is the block in the corner of drawing {i}?', COLOURS[i % 8]))
    plant = project.planted
    (folder / 'copy.png').write_bytes(picture('s3', side=27))  # the bytes of s3 under another name

    def bad(unit: str, reason: str, record: object) -> None:
        """Append a record that a rejection of `unit` must explain."""
        number = f'shapes/shapes/shapes.json#{len(records)}'
        plant[unit, number if unit == 'record' else f'{number}/0'] = reason
        records.append(record)

    bad('sample', 'DUPLICATE_SAMPLE', _llava('copy', 'What colour is the block in the corner of drawing 3?', COLOURS[3]))
    records.append(_llava('copy', 'Is there a block in this drawing?', 'yes'))  # the same picture, another question: stays
    bad('sample', 'BAD_IMAGE', _llava('missing', 'What is missing?', 'red'))
    plant['image', 'shapes/imgs/missing.png'] = 'IMAGE_MISSING'
    (folder / 'cut.png').write_bytes(picture('cut', side=64)[:150])
    bad('sample', 'BAD_IMAGE', _llava('cut', 'What is cut?', 'red'))
    plant['image', 'shapes/imgs/cut.png'] = 'IMAGE_TRUNCATED'
    (folder / 'tiny.png').write_bytes(picture('tiny', side=8))
    bad('sample', 'BAD_IMAGE', _llava('tiny', 'What is tiny?', 'red'))
    plant['image', 'shapes/imgs/tiny.png'] = 'IMAGE_TOO_SMALL'
    bad('record', 'IMAGE_COUNT_MISMATCH', _llava('s1', '<image> and again?', 'red'))
    bad('sample', 'EMPTY_ANSWER', _llava('s1', 'And?', ' '))
    bad('record', 'ROLES_NOT_ALTERNATING', {**_llava('s1', 'a', 'b'), 'conversations': [{'from': 'gpt', 'value': 'first'}]})
    bad('record', 'IMAGE_REFERENCE_UNSAFE', _llava('s1', 'Where?', 'out', image='../../recipe.yaml'))
    bad('record', 'RECORD_MALFORMED', 17)
    bad('record', 'RECORD_MALFORMED', {'id': 'no conversation'})
    (project.root / 'shapes/shapes.json').write_text(json.dumps(records))
    return records


def _write_charts(project: Project) -> None:
    folder = project.root / 'charts/imgs'
    folder.mkdir(parents=True)
    lines = []
    for i in range(20):
        (folder / f'c{i}.jpg').write_bytes(picture(f'c{i}', side=64, form='JPEG'))
        asked = [f'<|image|>What number stands in cell {i}?', 'And twice that?']
        turns = [turn for j, text in enumerate(asked) for turn in
                 ({'role': 'user', 'content': text}, {'role': 'assistant', 'content': str((i + 7) * (j + 1))})]
        lines.append(json.dumps({'image': [f'./imgs/c{i}.jpg'], 'messages': turns}))
        project.planted['sample', f'charts/charts/train.jsonl#{i}/1'] = 'TURN_NOT_SELECTED'
    lines.append('{"image": ["./imgs/c1.jpg"], "messages": [{"role"')
    project.planted['record', 'charts/charts/train.jsonl#20'] = 'RECORD_MALFORMED'
    says = [{'role': 'user', 'content': 'Describe it.'}, {'role': 'assistant', 'content': 'Your message is empty'}]
    lines.append(json.dumps({'messages': says}))
    project.planted['sample', 'charts/charts/train.jsonl#21/0'] = 'BOILERPLATE_ANSWER'
    (project.root / 'charts/train.jsonl').write_text('\n'.join(lines) + '\n')


def _write_photos(project: Project) -> None:
    (project.root / 'photos').mkdir()
    rows = [{'picture': {'bytes': picture(f'p{i}'), 'path': f'p{i}.png'}, 'q': f'Which colour does photo {i} mostly show?', 'a': COLOURS[i % 8]}
            for i in range(12)]
    rows.append({'picture': {'bytes': PDF, 'path': 'x.png'}, 'q': 'What is it?', 'a': 'red'})
    project.planted['sample', 'photos/photos/photos.parquet#12/0'] = 'BAD_IMAGE'
    project.planted['image', f'photos/sha256:{hashlib.sha256(PDF).hexdigest()}'] = 'IMAGE_FORMAT'
    schema = pa.schema([('picture', pa.struct([('bytes', pa.binary()), ('path', pa.string())])), ('q', pa.string()), ('a', pa.string())])
    pq.write_table(pa.Table.from_pylist(rows, schema), project.root / 'photos/photos.parquet')


def _write_facts(project: Project) -> None:
    (project.root / 'facts').mkdir()
    rows = [{'instruction': question(i), 'output': city(i)} for i in range(N_FACTS)]
    (project.root / 'facts/facts.json').write_text(json.dumps(rows))


def _write_benchmark(folder: Path, shapes: list[dict]) -> None:
    (folder / 'imgs').mkdir(parents=True)
    (folder / 'imgs/b0.png').write_bytes(picture('s2', side=26))
    asked, answer = (turn['value'].replace('<image>\n', '') for turn in shapes[2]['conversations'])
    items = [{'id': 'b0', 'question': asked, 'answer': answer, 'image': 'imgs/b0.png'},
             {'id': 'b1', 'question': question(5), 'answer': city(5), 'image': None},
             {'id': 'b2', 'question': 'Who was never asked about anything at all in this small project?', 'answer': 'nobody', 'image': None}]
    (folder / 'items.jsonl').write_text(''.join(json.dumps(item) + '\n' for item in items))


RECIPE = {
    'name': 'little',
    'sources': {
        'shapes': {'format': 'llava', 'annotations': ['shapes/shapes.json'], 'images': ['shapes'], 'licence': 'MIT', 'answers': 'exact'},
        'charts': {'format': 'messages', 'annotations': ['charts/train.jsonl'], 'images': ['charts'], 'licence': 'MIT', 'answers': 'exact'},
        'photos': {'format': 'columns', 'annotations': ['photos/photos.parquet'], 'licence': 'MIT', 'answers': 'exact',
                   'columns': {'image': 'picture', 'question': 'q', 'answer': 'a'}},
        'facts': {'format': 'instruction', 'annotations': ['facts/facts.json'], 'licence': 'MIT'},
    },
    'contamination': {'benchmarks': [{'name': 'little-bench', 'path': 'bench'}]},
    'mix': {'validation_fraction': 0.1},
    'models': {'fake': {'base_urls': ['http://127.0.0.1:9/v1'], 'model': 'fake-model', 'revision': 'r1', 'concurrency': 4,
                        'timeout_s': 20, 'max_retries': 1}},
    'generate': [{'prompt': 'rules'}, {'prompt': 'paper', 'model': 'fake', 'sources': ['facts'], 'max_samples': 40}],
    'judge': {'model': 'fake', 'mode': 'likelihood', 'margin': 0.0},
    'calibration': {'min_cases': 30},
    'triples': {'max_samples': {'facts': 100}},
}
