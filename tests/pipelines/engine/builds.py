"""Whole builds of a small project, with every step they were made of, and what a table holds as plain values."""

import hashlib
import io
import itertools
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import scipy.fft
from PIL import Image, ImageDraw

from curation.pictures.phash import FULL, SIDES
from pipelines.engine.engine import Engine
from pipelines.engine.step import Step
from pipelines.engine.tables import Table
from pipelines.mix.programme import Folders, build_mix
from pipelines.sources.files import resolve
from schemas.recipe import load_recipe
from schemas.records import PROPOSALS, RATINGS
from schemas.snapshot import Snapshot
from tests.programmes import project as projects
from tests.programmes.project import Project, knowing_server

OTHER_SETTINGS = (  # the branches that the defaults do not take
    'sources.charts.turns=each',
    'sources.photos.turns=all',
    'sources.photos.language=en',
    'sources.photos.optional=true',
    'sources.facts.subset=120',
    'sources.facts.splits=[train]',
    'sources.shapes.quota=25',
    'sources.shapes.category=drawn',
    'sources.charts.category=drawn',
    'images.matching_extension=true',
    'images.min_side_px=26',
    'text={boilerplate: false, max_question_chars: 100, min_answer_chars: 2, max_invisible_chars: 3}',
    'duplicates={photo_bits: 3, document_bits: 5, photo_bits_256: 40, max_per_near_duplicate: 2, text: drop, text_jaccard: 0.9, max_per_near_text: 2}',
    'contradictions=majority',
    'contamination.action=flag',
    'contamination.benchmarks=[{name: little-bench, path: bench, columns: {question: question, answer: answer, image: image}}]',
    'contamination.image_bits=5',
    'contamination.ngram_words=5',
    'contamination.paraphrases=drop',
    'contamination.min_overlap=0.7',
    'mix={validation_fraction: 0.3, category_quotas: {drawn: 30}, licences: [MIT], seed: other, '
    'weights: {shapes: 1, charts: 1, photos: 1, facts: 8}, total: 100}',
    'generate=[{prompt: rules, per_sample: 2}, {prompt: grounded, model: fake, sources: [facts], max_samples: 20, temperature: 0.5, max_failed: 0.1}, '
    '{prompt: {file: p/vague.jinja, text: "{{ question }}{% if context %}{{ context }}{% endif %} {{ answer }}", answers: json, kinds: [ambiguous], '
    'system: p/s.md, system_text: "Say less."}, model: fake, sources: [facts], max_samples: 5}]',
    'judge={model: fake, mode: yes_no, margin: 0.4, max_failed: 0.2, max_length_ratio: 3.0, '
    'second: {model: fake, mode: pairwise, margin: 0.1, must_agree: true, '
    'prompt: {file: p/two.md, text: "{question} {first} or {second}?", choices: [one, two]}}}',
    'models.fake.thinking_tokens=64',
    'calibration={min_cases: 12, min_auc: 0.0}',
    'sources.facts.accept_uncalibrated=true',
    'triples={exactly: {facts: 4}, per_sample: 1, max_samples: {shapes: 8}, differ_within: 2}',
)


RATED_SETTINGS = (  # what is rated by models and by a file, of two sources
    'sources.charts=null', 'sources.photos=null', 'contamination.benchmarks=[]', 'models.fake.images=true', 'models.fake.thinking_tokens=8',
    'calibration={min_cases: 8, min_auc: 0.0}', 'sources.facts.accept_uncalibrated=true', 'duplicates.transforms=[flip, border]',
)  # fmt: skip
RATE = (
    'rate={{model: fake, ask: [correct, needs_picture, {{name: safe, file: p/safe.md, text: "Is {{answer}} safe?", choices: [safe, unsafe]}}], '
    'from: {file}, max_samples: {{facts: 12, shapes: 12}}, claims: true, drop: {{correct: 0.5, safe: 0.1}}, max_failed: 0.1}}'
)


@dataclass
class Build:
    """A finished build: where it lies, and its steps with their tables in the order they were first asked for."""

    folder: Path
    steps: list[tuple[Step, Table]]
    asked: list[str]  # digests of what the models were asked


@contextmanager
def recorded() -> Iterator[list[tuple[Step, Table]]]:
    """Yield the steps that engines are asked for inside the block, each once."""
    found: dict[str, tuple[Step, Table]] = {}
    steps: list[tuple[Step, Table]] = []
    original = Engine.table

    def table(engine: Engine, step: Step) -> Table:
        made = original(engine, step)
        if made.key not in found:
            found[made.key] = step, made
            steps.append(found[made.key])
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Engine, 'table', table)
        yield steps


def build_whole(project: Project, folder: Path, *, sets: tuple[str, ...] = (), work: str = 'out/work', out: str = 'out') -> Build:
    """Build mix and triples below `folder`, against a server of its own."""
    with recorded() as steps, knowing_server() as server:
        project.build(folder / out, url=server.url, sets=sets, work=folder / work)
        return Build(folder, steps, sorted(server.counts))


def build_rated(project: Project, folder: Path) -> Build:
    """Build a mix below `folder` whose samples a server and a file rate."""
    file = folder / 'given.parquet'
    given = [{'sample_id': f'facts/facts/facts.json#{n}/0', 'ask': 'correct', 'score': n / 4, 'by': 'file'} for n in range(4)]
    given[0] |= {'proposed': 'another city', 'proposed_p': 0.9}
    pq.write_table(pa.Table.from_pylist(given, pa.schema([*RATINGS, *PROPOSALS])), file)
    (folder / 'tags.json').write_text(json.dumps({'tags': {'odd': ['facts/facts/facts.json#5/0', 'facts/facts/facts.json#6/0'], 'nowhere': ['x']}}))
    with recorded() as steps, knowing_server() as server:
        project.build(folder / 'out', url=server.url, sets=(*RATED_SETTINGS, RATE.format(file=file), f'exclude=[{folder}/tags.json]'), mix_only=True)
        return Build(folder, steps, sorted(server.counts))


def mix_of(project: Project, out: Path, *sets: str, work: Path | None = None) -> tuple[Engine, Snapshot]:
    """Build a mix alone; return it with the engine that made it."""
    recipe = resolve(load_recipe(project.recipe, sets), project.root)
    engine = Engine((work or out / 'work').resolve())
    return engine, build_mix(recipe, Folders(project.root.resolve(), out.resolve()), engine)


def write_steady_project(folder: Path) -> Project:
    """Write the small project with pictures whose hashes are the same on every processor, and one near-duplicate of each kind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(projects, 'picture', steady_picture)
        project = projects.write_project(folder)
    records = json.loads((project.root / 'shapes/shapes.json').read_text())
    for name, like, side in (('near', 's5', 44), ('near_drawing', 's6', 45)):
        (project.root / f'shapes/imgs/{name}.png').write_bytes(steady_picture(like, side))
        records.append(projects._llava(name, f'Is {name} like another one?', 'yes'))
    (project.root / 'shapes/shapes.json').write_text(json.dumps(records))
    return project


def steady_picture(name: str, side: int = 48, form: str = 'PNG') -> bytes:
    """Return a picture that depends on `name`: the first of which no frequency lies so near to the median that rounding could move it over."""
    for salt in itertools.count():
        drawn = (_drawing if name[0] == 'c' or name == 's6' else _noise)(np.random.default_rng([salt, *name.encode()]))
        sides = {'s5': (29, 44), 's6': (30, 45)}.get(name, (side,))  # those that have a copy of another size
        if side < 16 or all(_is_steady(_encoded(drawn, a_side, form)) for a_side in sides):  # a smaller one is never hashed
            return _encoded(drawn, side, form)
    raise AssertionError


def _encoded(drawn: Image.Image, side: int, form: str) -> bytes:
    out = io.BytesIO()
    options = {'compress_level': 0} if form == 'PNG' else {'quality': 90}  # how a PNG is packed hangs on the processor
    drawn.resize((side, side), Image.Resampling.BICUBIC).save(out, form, **options)
    return out.getvalue()


def _noise(rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(rng.integers(0, 256, (11, 13, 3), np.uint8)).resize((96, 96), Image.Resampling.BICUBIC)


def _drawing(rng: np.random.Generator) -> Image.Image:
    """Return three polygons on white, which is taken for a document."""
    image = Image.new('RGB', (96, 96), 'white')
    for _ in range(3):
        corners = [tuple(map(int, rng.integers(4, 92, 2))) for _ in range(3)]
        ImageDraw.Draw(image).polygon(corners, fill=tuple(map(int, rng.integers(0, 200, 3))))
    return image


def _is_steady(data: bytes) -> bool:
    grey = Image.open(io.BytesIO(data)).convert('L')
    for side, px in SIDES.items():
        small = np.asarray(grey.resize((px, px), Image.Resampling.LANCZOS), np.float64)
        low = scipy.fft.dct(scipy.fft.dct(small, axis=0), axis=1)[:side, :side]
        if np.abs(low - np.median(low)).min() < FULL.near[side]:
            return False
    return True


def content(table: Table) -> dict[str, object]:
    """Return all that a finished table says, by file: rows, arrays and JSON as plain values, without what only keeps the books of the engine."""
    files = sorted(path for path in table.path.iterdir() if path.name[0] not in '._')
    return {path.name: _comparable(READ[path.suffix](path)) for path in files}


def _comparable(value: object) -> object:
    """Return the value with 'nan' where no number is: one is not equal to another."""
    if isinstance(value, dict):
        return {key: _comparable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_comparable(item) for item in value]
    return 'nan' if isinstance(value, float) and math.isnan(value) else value


def _array(path: Path) -> object:
    array = np.load(path)
    return [str(array.dtype), list(array.shape), hashlib.sha256(array.tobytes()).hexdigest()]


def _rows(path: Path) -> object:
    return pq.read_table(path).to_pylist()


def _json(path: Path) -> object:
    said = json.loads(path.read_text(encoding='utf-8'))
    return said['counts'] if path.name.startswith('shard-') else said  # its check sums are of bytes, which Arrow's version and a place may move


def _batches(path: Path) -> object:
    return pa.ipc.open_file(path).read_all().to_pylist()


READ: dict[str, Callable[[Path], object]] = {'.parquet': _rows, '.arrow': _batches, '.npy': _array, '.json': _json}
