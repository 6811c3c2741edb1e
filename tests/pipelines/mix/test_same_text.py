"""Which texts are the same to a whole build: only those that no reader could tell apart; and text that no reader sees is counted."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from pipelines.engine.engine import Engine
from pipelines.engine.step import make_here
from pipelines.look.gallery.beside import _COPY_OF
from pipelines.mix.benchmark_texts import TextRules
from pipelines.mix.description import DescribeSamples
from pipelines.mix.index import IndexReferences
from pipelines.mix.programme import Folders, build_mix
from pipelines.sources.files import resolve
from schemas.recipe import Recipe
from schemas.records import IMAGE_FACTS, SAMPLES
from schemas.snapshot import Snapshot
from tests.curation.text_pairs import BASES, different, equal
from tests.pipelines.mix.mixes import table_of
from tests.programmes.project import rows_of

STRICT = 'same question and answer in strict form (but for blanks, line ends or Unicode composition)'


def picture(seed: int, side: int = 96) -> bytes:
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 256, (9, 11, 3), np.uint8))
    out = io.BytesIO()
    small.resize((96, 96), Image.Resampling.BICUBIC).resize((side, side), Image.Resampling.BICUBIC).save(out, 'PNG')
    return out.getvalue()


def built(folder, pairs: list[tuple[str, str]], talks: tuple[tuple[str, str, str], ...] = (), **text) -> Snapshot:
    """Return the mix of (question, answer) pairs, and of (picture, question, answer) ones."""
    (folder / 'in').mkdir(parents=True)
    for name, data in {'one': picture(1), 'half': picture(1, 48), 'other': picture(2)}.items():
        (folder / f'in/{name}.png').write_bytes(data)
    (folder / 'in/texts.json').write_text(json.dumps([{'instruction': question, 'output': answer} for question, answer in pairs]), encoding='utf-8')
    rows = [{'image': f'{name}.png', 'conversations': [{'from': 'human', 'value': question}, {'from': 'gpt', 'value': answer}]} for name, question, answer in talks]
    (folder / 'in/talks.json').write_text(json.dumps(rows), encoding='utf-8')
    sources = {'texts': {'format': 'instruction', 'licence': 'MIT', 'annotations': ['texts.json']}}
    if talks:
        sources['talks'] = {'format': 'llava', 'licence': 'MIT', 'annotations': ['talks.json'], 'images': ['.']}
    recipe = resolve(Recipe.model_validate({'name': 'r', 'sources': sources, 'text': text}), folder / 'in')
    return build_mix(recipe, Folders(folder / 'in', folder / 'out'), Engine(folder / 'work'))


def left_out(folder) -> dict[str, tuple[str, str]]:
    return {row['id']: (row['reason'], row['detail']) for row in rows_of(folder / 'out/mix', 'rejections')}


def test_no_sample_is_dropped_that_differs_in_one_sign_and_every_copy_is(tmp_path):
    texts = list(dict.fromkeys(text for _, *pair in different() for text in pair))
    copies = [(text, other) for _, text, other in equal()]
    rows = [(text, 'Yes') for text in texts] + [('Which of them is it ?', text) for text in texts]
    first = len(rows)
    rows += [(text, text) for text in BASES] + [(other, other) for _, other in copies]
    mix = built(tmp_path, rows)
    assert len(rows_of(mix.path)) == first + len(BASES)
    out = left_out(tmp_path)
    of_base = {text: f'texts/texts.json#{first + at}/0' for at, text in enumerate(BASES)}
    start = first + len(BASES)
    assert out == {f'texts/texts.json#{start + at}/0': ('DUPLICATE_SAMPLE', f'{STRICT} as {of_base[text]}') for at, (text, _) in enumerate(copies)}


def test_why_a_copy_is_out_is_true_of_its_text_and_of_its_pictures(tmp_path):
    talks = [('one', '<image>\nWhat is 5 > 3 ?', 'Yes'), ('one', '<image> What is 5 > 3 ?\n', 'Yes'), ('one', '<image>\nWhat is 5 > 3 ?', 'Yes'),
             ('half', '<image>\nWhat is 5 > 3 ?', 'Yes'), ('one', '<image>\nWhat is 5 < 3 ?', 'Yes'), ('other', '<image>\nWhat is 5 > 3 ?', 'Yes'),
             ('one', 'What is 5 > 3 ?\n<image>', 'Yes')]  # fmt: skip
    built(tmp_path, [('A', 'B'), ('A', 'B'), ('A', 'B ')], tuple(talks))
    first, near = 'talks/talks.json#0/0', f'{STRICT} and the same or near-duplicate pictures'
    assert left_out(tmp_path) == {
        'texts/texts.json#1/0': ('DUPLICATE_SAMPLE', 'same question, answer and pictures as texts/texts.json#0/0'),
        'texts/texts.json#2/0': ('DUPLICATE_SAMPLE', f'{STRICT} as texts/texts.json#0/0'),
        'talks/talks.json#1/0': ('DUPLICATE_SAMPLE', f'{near} as {first}'),
        'talks/talks.json#2/0': ('DUPLICATE_SAMPLE', f'same question, answer and pictures as {first}'),
        'talks/talks.json#3/0': ('DUPLICATE_SAMPLE', f'{near} as {first}'),
    }
    for _, detail in left_out(tmp_path).values():
        assert _COPY_OF.fullmatch(detail)[1].endswith('#0/0'), 'the gallery finds the kept one by it'


def test_who_says_it_is_part_of_what_is_said(tmp_path):
    said = [('system', 'Be brief.'), ('user', 'Hi'), ('assistant', 'Yes')], [('user', 'Be brief.'), ('assistant', 'Hi'), ('assistant', 'Yes')]
    rows = [{'sample_id': f's/{at}', 'source': 's', 'turns': [{'role': role, 'text': text} for role, text in turns], 'images': []} for at, turns in enumerate(said)]
    references = make_here(IndexReferences(table_of(tmp_path / 'facts', IMAGE_FACTS.empty_table())), tmp_path / 'references')
    samples = table_of(tmp_path / 'samples', pa.Table.from_pylist(rows, SAMPLES))
    described = make_here(DescribeSamples(samples, references, (), TextRules(8, 0.8), 'seed'), tmp_path / 'described').read().to_pylist()
    assert described[0]['words'] != described[1]['words']


@pytest.mark.parametrize(('bound', 'kept'), [(None, 5), (2, 4), (0, 2)])
def test_samples_with_invisible_characters_are_counted_and_bounded(tmp_path, capsys, bound: int | None, kept: int):
    rows = [('Plain?', 'Yes'), ('❤️?', '👩‍💻'), ('Co\u00adop?', 'No'), ('Which\u200b one\u00ad?', 'This'), ('What?', 'no\U000e0068\U000e0069\U000e0070thing')]
    mix = built(tmp_path, rows, **({} if bound is None else {'max_invisible_chars': bound}))
    assert len(rows_of(mix.path)) == kept
    assert [reason for reason, _ in left_out(tmp_path).values()] == ['INVISIBLE_TEXT'] * (5 - kept)
    expected = {None: {'U+00AD': 2, 'U+200B': 1, 'U+E0068': 1, 'U+E0069': 1, 'U+E0070': 1}, 2: {'U+00AD': 2, 'U+200B': 1}, 0: {}}[bound]
    assert mix.manifest['invisible'] == ({'texts': {'samples': kept - 2, 'characters': expected}} if expected else {})
    card = (mix.path / 'README.md').read_text(encoding='utf-8')
    assert ('## Invisible text' in card) == bool(expected)
    if expected:
        assert f'| texts | {kept - 2} | U+00AD in 2, U+200B in 1' in card
        assert f'source texts: {kept - 2} sample(s) with invisible characters (U+00AD in 2, U+200B in 1' in capsys.readouterr().err
