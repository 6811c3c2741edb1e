import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from curation.pictures.images import ImageLimits
from curation.pictures.reshaped import SHAPES, reshaped
from pipelines.engine.engine import Engine
from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.mix import copy_canaries
from pipelines.mix.asked import ASKED_PICTURES, PicturedQuestions
from pipelines.mix.benchmark_texts import TextRules
from pipelines.mix.contamination import MatchBenchmark
from pipelines.mix.copies import MatchCopies
from pipelines.mix.copy_canaries import CheckCopies, refuse_missed
from pipelines.mix.duplicates import IndexHashes
from pipelines.mix.flat_turns import turns_of
from pipelines.mix.programme import Folders, build_mix
from pipelines.snapshot.copies import CopyRecall, markdown_copies
from pipelines.sources.files import resolve
from schemas.errors import UserError
from schemas.recipe import Contamination, load_recipe
from tests.curation.drawn import encoded
from tests.curation.pictures.test_copies import page, scene
from tests.pipelines.mix.mixes import LONG, indexed, item, table_of, written

RULES = TextRules(8, 0.8)


def questions(*asked: str, folder: Path) -> PicturedQuestions:
    return PicturedQuestions((written(folder, [item(str(at), text, 'x', encoded(scene(1))) for at, text in enumerate(asked)]),), RULES)


def found(asked: PicturedQuestions, *turns: str) -> list[str]:
    return sorted(question for _, question in asked.find(turns_of([[{'role': 'user', 'text': text} for text in turns]])))


def test_a_question_is_asked_whatever_stands_around_it(tmp_path):
    asked = questions('What is it?', LONG, folder=tmp_path / 'b' / 'x')
    short, long = 'what is it', 'which of the four rivers on the map crosses the border of the northern province'
    for text in ('What is it?', '<image>\nWhat is it', 'Question: what IS it? Answer in one word.', 'Look closely.\nWhat is it?\nA. a cat\nB. a dog'):
        assert found(asked, text) == [short], text
    assert found(asked, f'Context: a map.\n{LONG} Answer briefly.', 'The Ostra') == [long]
    for text in ('What is it made of and why?', 'Is it?', 'Describe it.'):
        assert found(asked, text) == [], text


def test_items_without_a_picture_ask_about_none(tmp_path):
    asked = PicturedQuestions((written(tmp_path / 'b' / 'x', [item('a', LONG, 'x')]),), RULES)
    assert found(asked, LONG) == []


@pytest.fixture(scope='module')
def mix(tmp_path_factory):
    shapes = {name: reshaped(scene(1), name, 'one', [scene(7), scene(8), scene(9)]) for name in ('crop', 'collage')}
    shapes |= {'flip': encoded(ImageOps.mirror(scene(1))), 'same': encoded(scene(1)), 'other': encoded(scene(2)), 'word': encoded(page(3, 'secret'))}
    made = indexed(tmp_path_factory.mktemp('mix'), shapes)
    return made, made.engine.run(IndexHashes(made.index))


def hits(mix, folder: Path, asked: list[tuple[str, str]], *items: dict) -> tuple[set[str], Table]:
    made, hashes = mix
    bench = written(folder / 'bench' / folder.name, list(items))
    known = made.engine.run(MatchBenchmark(bench, made.index, hashes, 7, 64, made.store))
    rows = [{'number': made.number(name), 'question': question} for name, question in asked]
    told = table_of(folder / 'asked_pictures' / folder.name, pa_rows(rows))
    table = made.engine.run(MatchCopies(bench, made.index, hashes, (told,), known, 7, 64, made.store))
    names = [ref.removeprefix('s/') for ref in made.index.read(columns=['ref'])['ref'].to_pylist()]
    return {names[row['number']] for path in table.parts() for row in pq.read_table(path).to_pylist()}, table


def pa_rows(rows: list[dict]):
    return pa.Table.from_pylist(rows, ASKED_PICTURES)


def test_copies_are_found_by_their_forms_and_what_no_form_shows_by_the_question(mix, tmp_path):
    asked = [(name, 'what is it') for name in ('collage', 'other', 'same')]
    by_both, table = hits(mix, tmp_path / 'both', asked, item('i', 'What is it?', 'x', encoded(scene(1))))
    assert by_both == {'crop', 'flip', 'collage'}, 'what the hash alone finds is not found again'
    assert table.counts()['found'] == 3
    alone, _ = hits(mix, tmp_path / 'alone', [], item('i', 'What is it?', 'x', encoded(scene(1))))
    assert alone == {'crop', 'flip'}


def test_a_page_that_says_another_word_is_none(mix, tmp_path):
    none, table = hits(mix, tmp_path, [('word', 'what is it')], item('p', 'What is it?', 'x', encoded(page(3))))
    assert none == set()
    assert table.counts()['asked'] == 1


def test_every_kind_is_planted_found_and_told(tmp_path):
    plain = Image.new('RGB', (80, 80), 'red')
    plain.putpixel((1, 1), (250, 250, 250))
    bench = written(tmp_path / 'bench' / 'b', [item('i', 'What?', 'x', encoded(scene(1))), item('p', 'What?', 'x', encoded(plain))])
    table = make_here(CheckCopies((bench,), 7, 64, 's', ImageLimits()), tmp_path / 'work')
    rows = {(row['id'], row['kind']): row for path in table.parts() for row in pq.read_table(path).to_pylist()}
    assert sorted(kind for _, kind in rows) == sorted(SHAPES), 'a picture of nearly one tone is not planted'
    assert all(row['found'] for row in rows.values())
    assert {kind for (_, kind), row in rows.items() if not row['by_picture']} == {'collage'}
    (told,) = (json.loads(path.read_text())['counts'] for path in table.path.glob('shard-*.json'))
    assert {name: n for name, n in told.items() if name.startswith('passed/')} == {f'passed/{kind}': 1 for kind in SHAPES}


def test_of_each_kind_no_more_are_planted_than_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(copy_canaries, 'PLANTED', 2)
    monkeypatch.setattr(copy_canaries, 'TOGETHER', 3)
    pages = [item(f'p{n}', 'What?', 'x', encoded(page(n))) for n in range(4)]  # a text over one cannot be told
    bench = written(tmp_path / 'bench' / 'b', [*pages, *(item(str(n), 'What?', 'x', encoded(scene(n))) for n in range(4))])
    table = make_here(CheckCopies((bench,), 7, 64, 't', ImageLimits()), tmp_path / 'work')  # a page first, by this seed
    planted = Counter(row['kind'] for path in table.parts() for row in pq.read_table(path).to_pylist())
    assert planted == dict.fromkeys(SHAPES, 2)


@pytest.mark.parametrize(('planted', 'seen', 'fails', 'told'), [
    (64, 64, False, '0.9 reached'), (64, 56, False, 'too few pictures to say'), (64, 48, True, 'too few'), (3, 2, False, 'too few pictures to say'),
    (3, 3, False, '0.9 likely reached'), (12, 0, True, 'too few'), (7, 6, False, 'too few pictures to say'),
    (7, 0, False, 'too few; of fewer than 8 pictures it stops nothing'), (0, 0, False, 'no picture that it can be told of'),
])  # fmt: skip
def test_a_kind_stops_the_build_only_where_the_interval_can_say_so(planted, seen, fails, told):
    recall = CopyRecall('crop', planted, seen, 0, 0, 0.9)
    assert (recall.failed, recall.told()) == (fails, told)
    assert not replace(recall, least=0.0).failed
    assert '| crop |' in markdown_copies([recall])
    if fails:
        with pytest.raises(UserError, match=rf'crop {seen} of {planted}.*min_recall'):
            refuse_missed([recall], Contamination())


@pytest.mark.integration
def test_a_mix_without_copies_and_what_is_said_of_them(tmp_path, capsys):
    root = tmp_path / 'data'
    (root / 'imgs').mkdir(parents=True)
    (root / 'bench').mkdir()
    scene(1).save(root / 'bench/a.png')
    (root / 'bench/items.jsonl').write_text(json.dumps({'id': 'a', 'question': 'What is it?', 'answer': 'a thing', 'image': 'a.png'}))
    collage = reshaped(scene(1), 'collage', 'c', [scene(7), scene(8), scene(9)])
    pictures = {'collage': collage, 'flip': encoded(ImageOps.mirror(scene(1))), 'clean': encoded(scene(2))}
    records = []
    for name, data in pictures.items():
        (root / f'imgs/{name}.png').write_bytes(data)
        question = '<image>\nWhat is it? Answer in a word.' if name != 'flip' else '<image>\nDescribe the picture at length.'
        turns = [{'from': 'human', 'value': question}, {'from': 'gpt', 'value': f'thing {name}'}]
        records.append({'id': name, 'image': f'{name}.png', 'conversations': turns})
    (root / 's.json').write_text(json.dumps(records))
    recipe = tmp_path / 'r.yaml'
    recipe.write_text("name: t\nroot: data\nsources:\n  s: {format: llava, annotations: [s.json], images: [imgs], licence: MIT}\n"
                      'contamination:\n  benchmarks: [{name: b, path: bench}]\n')
    mix = build_mix(resolve(load_recipe(recipe), root), Folders(root, tmp_path / 'out'), Engine(tmp_path / 'work'))
    assert mix.manifest['contamination']['by_rule'] == {'b': {'copy': 1, 'copy+question': 1}}
    rejected = [json.loads(row['detail']) for path in (mix.path / 'rejections').iterdir() for row in pq.read_table(path).to_pylist()]
    assert sorted(hit['copy'] for hit in rejected) == ['0.50 x the size', 'mirrored, 1.00 x the size']
    assert [kind['kind'] for kind in mix.manifest['copies']] == list(SHAPES)
    assert '| collage | 1 | 1 |' in (mix.path / 'README.md').read_text()
    assert 'benchmark pictures in other shapes' in capsys.readouterr().out
