"""A benchmark that is not whole stops a build, and validate says so before: each thing it may lack, for every way it may be lacking."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from curation.pictures.images import ImageLimits
from pipelines.benches.compared import KINDS, Compared
from pipelines.benches.items import read_items, stamp_benchmark
from pipelines.benches.layouts.layouts import LAYOUTS
from pipelines.engine.step import make_here
from pipelines.look.benchmarks import look_at_benchmark
from pipelines.look.validate import validate_sources
from pipelines.mix.contamination import check_complete, compared_of, read_benchmarks
from pipelines.snapshot.card import mix_card
from pipelines.snapshot.compared import print_compared
from schemas.errors import UserError
from schemas.recipe import Recipe
from tests.pipelines.benches.test_items import PUBLISHED, put


def noise(seed=0, side=64):
    out = io.BytesIO()
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8)).save(out, 'PNG')
    return out.getvalue()


POINTER = b'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n'
PAGE = b'<!DOCTYPE html><html><body>Log in</body></html>'
MATHVERSE = {'sample_index': '1', 'problem_index': '1', 'problem_version': 'Text Dominant', 'question': 'Find x.\nChoices:\nA:1\nB:2', 'answer': 'A'}
CHART = {'imgname': '1.png', 'query': 'What is the maximum?', 'label': '12'}


@pytest.fixture(autouse=True)
def of_few_items(monkeypatch, request):
    """Let the few rows of these tests be whole copies."""
    if 'as_published' not in request.fixturenames:
        for name, layout in LAYOUTS.items():
            monkeypatch.setitem(LAYOUTS, name, replace(layout, fewest=1))


@pytest.fixture
def as_published():
    pass


def rows_of(**more):
    return [{'question': f'Question {i}?', 'answer': f'answer {i}', **more} for i in range(24)]


def pictured(content):
    return {'a.json': [{**row, 'image': f'{i}.png'} for i, row in enumerate(rows_of())]} | {f'{i}.png': content for i in range(24)}


def left(layout, *gone):
    """Return the files of a published layout without those whose name holds one of these words."""
    return {name: content for name, content in PUBLISHED[layout][0].items() if not any(word in name for word in gone)}


MATHVERSE_PICTURES = {'testmini.json': [{**MATHVERSE, 'sample_index': str(i), 'image': f'{i}.png'} for i in range(24)],
                      'testmini_text_only.json': [MATHVERSE]}
# name -> layout, files, kind that lacks, words of the message
LACKING = {
    'pointers for pictures': ('mathverse', MATHVERSE_PICTURES | {f'images/{i}.png': POINTER for i in range(24)}, 'pictures', '24 of 24 .*Git LFS pointer'),
    'pointers in Parquet': ('folder', {'a.parquet': [{**row, 'image': {'bytes': POINTER, 'path': None}} for row in rows_of()]}, 'pictures', '24 of 24'),
    'pictures cut short': ('folder', pictured(noise()[:-2000]), 'pictures', '24 of 24 .*IMAGE_TRUNCATED'),
    'web pages for pictures': ('folder', pictured(PAGE), 'pictures', '24 of 24'),
    'empty pictures': ('folder', pictured(b''), 'pictures', '24 of 24'),
    'text for pictures': ('folder', pictured(b'nothing to see'), 'pictures', '24 of 24 .*IMAGE_UNDECODABLE'),
    'one picture of many': ('folder', pictured(noise()) | {'7.png': POINTER}, 'pictures', '1 of 24 .*item 7'),
    'no pictures at all': ('folder', {'a.json': [{**row, 'image': 'gone.png'} for row in rows_of()]}, 'pictures', '24 of 24 .*no file.*looked for in ., images, '),
    'addresses of pictures': ('folder', {'a.json': [{**row, 'image': 'https://example.org/1.png'} for row in rows_of()]}, 'pictures', '24 of 24'),
    'pictures under a name nobody knows': ('folder', {'a.json': rows_of(image_hash='00ff')}, 'pictures', 'image_hash'),
    'pictures that no row names': ('folder', {'a.json': rows_of()} | {f'MMVP Images/{i}.jpg': noise() for i in range(24)}, 'pictures',
                                  'MMVP Images/0.jpg, which no item names'),
    'answers of no known form': ('folder', {'a.json': [{'question': f'{i}?', 'answer': {'zahl': i}} for i in range(24)]}, 'answers', '24 of 24'),
    'null written as a word': ('folder', {'a.csv': 'question,answer\n' + ''.join(f'{i}?,None\n' for i in range(24))}, 'answers', 'None, nan, hidden'),
    'answers kept back by a word': ('folder', {'a.json': [{'question': f'{i}?', 'answer': 'hidden'} for i in range(24)]}, 'answers', 'a word for none'),
    'a word for null in a benchmark of its own layout': ('mathvista', {'data/testmini.json': {str(i): {
        'pid': str(i), 'question': f'{i}?', 'image': '0.png', 'answer': 'nan'} for i in range(3)}, 'data/0.png': noise()}, 'answers', 'a word for none'),
    'answers kept back by a sign': ('folder', {'a.json': [{'question': f'{i}?', 'answer': '?'} for i in range(24)]}, 'answers', 'null in their field'),
    'null for pictures': ('chartqa', {f'test/test_{part}.json': [{**CHART, 'imgname': None}] for part in ('human', 'augmented')}, 'pictures', '2 of 2'),
    'only the text file of MathVerse': ('mathverse', {'testmini_text_only.json': [MATHVERSE]}, 'parts', 'such as testmini'),
    'only the human split of ChartQA': ('chartqa', left('chartqa', 'augmented'), 'parts', '1 of 2 missing, such as augmented'),
    'one of three splits of POPE': ('pope', left('pope', 'random', 'popular'), 'parts', '2 of 3 missing, such as random'),
    'two tasks of MME': ('mme', left('mme', 'artwork', 'OCR'), 'parts', '2 of 14 missing, such as artwork'),
    'a task of BLINK': ('blink', left('blink', 'Jigsaw'), 'parts', 'such as Jigsaw'),
    'a task of VisualWebBench': ('visualwebbench', left('visualwebbench', 'webqa'), 'parts', 'such as webqa'),
    'only the 2D half of CV-Bench': ('cv-bench', {'test_2d.parquet': PUBLISHED['cv-bench'][0]['test.parquet'][:1]}, 'parts', 'such as 3D'),
    'only testmini of MathVision': ('mathvision', {'data/testmini-00000-of-00001.parquet': PUBLISHED['mathvision'][0]['data/test-00000-of-00001.parquet']},
                                    'parts', 'such as test'),
    'one of four shards': ('folder', {'test-00001-of-00004.parquet': rows_of()}, 'parts', 'expected 4 files'),
    'one of two shards of MathVista': ('mathvista', {'data/testmini-00000-of-00002.parquet': next(iter(PUBLISHED['mathvista'][0].values()))}, 'parts',
                                       'expected 2 files'),
    'nothing but questions': ('folder', {'a.json': [{'question': f'{i}?'} for i in range(24)]}, 'answers', '24 of 24'),
    'answers under a name nobody knows': ('folder', {'a.json': [{'question': f'{i}?', 'sol_txt': 'x'} for i in range(24)]}, 'answers', 'columns: .*`sol_txt`'),
    'null in every answer': ('folder', {'a.parquet': [{'question': f'{i}?', 'answer': None, 'n': i} for i in range(24)]}, 'answers', '24 of 24'),
    'a null answer of MathVision': ('mathvision', {'test-00000-of-00001.parquet': [
        {**PUBLISHED['mathvision'][0]['data/test-00000-of-00001.parquet'][0], 'answer': answer} for answer in ('B', None)]}, 'answers', '1 of 2'),
    'a null answer of ScienceQA': ('sqa', PUBLISHED['sqa'][0] | {'problems.json': {
        '3': {'question': 'Which?', 'choices': ['a', 'b'], 'answer': None, 'image': 'image.png'}}, 'pid_splits.json': {'test': ['3']}}, 'answers', '1 of 1'),
    'null in most answers': ('folder', {'a.json': [{**row, 'answer': row['answer'] if i == 3 else None} for i, row in enumerate(rows_of())]}, 'answers',
                             '23 of 24 .*null in their field'),
    'null in most pictures': ('folder', {'a.json': [{**row, 'image': None if i else '0.png'} for i, row in enumerate(rows_of()[:10])], '0.png': noise()}, 'pictures',
                              '9 of 10 .*null in their fields'),
    'four letters of ten without options': ('folder', {'a.json': [{'question': f'{i}?', 'answer': 'B' if i < 4 else 'blue'} for i in range(10)]}, 'options', '4 of 10'),
    'a letter without options where others have some': ('folder', {'a.json': [
        {'question': f'{i}?', 'answer': 'B', 'options': ['red', 'blue'] if i else None} for i in range(100)]}, 'options', '1 of 100'),
    'letters without options': ('folder', {'a.json': [{'question': f'{i}?', 'answer': 'B'} for i in range(24)]}, 'options', '24 of 24'),
}


def recipe(layout, **more):
    bench = {'name': 'b', 'path': 'bench', 'format': layout, 'get_it': 'example.org/b', **more}
    return Recipe.model_validate({'name': 'r', 'sources': {'s': {'format': 'llava', 'licence': 'MIT', 'annotations': ['a']}}, 'contamination': {'benchmarks': [bench]}})


def built(asked, root):
    """Return what a build does with the benchmark of a recipe: its table, and what goes into the manifest."""
    [bench] = asked.contamination.benchmarks
    [step] = read_benchmarks(asked, root, {'b': stamp_benchmark('b', root / 'bench', bench.format)})
    table = make_here(step, root / 'work')
    return table, check_complete(asked, [table])['b']


def looked(asked, root):
    return look_at_benchmark(asked.contamination.benchmarks[0], root, ImageLimits(**asked.images.model_dump()))


@pytest.mark.parametrize('case', LACKING)
def test_what_lacks_stops_the_build_with_the_word_that_accepts_it_and_validate_says_the_same(tmp_path, case):
    layout, files, kind, words = LACKING[case]
    put(tmp_path / 'bench', files)
    wanted = rf'benchmark b: .*{words}(.|\n)*accept: \[{kind}\](.|\n)*get it: example.org/b'
    with pytest.raises(UserError, match=wanted):
        built(recipe(layout), tmp_path)
    found = looked(recipe(layout), tmp_path)
    assert found.state == 'fault'
    assert any(f'accept: [{kind}]' in fault for fault in found.faults)


@pytest.mark.parametrize('case', LACKING)
def test_what_the_recipe_accepts_by_name_is_built_counted_and_told(tmp_path, case):
    layout, files, kind, _ = LACKING[case]
    put(tmp_path / 'bench', files)
    _, told = built(recipe(layout, accept=[kind]), tmp_path)
    assert (list(told['lacking']), told['accepted']) == ([kind], [kind])
    assert told['lacking'][kind] > 0
    found = looked(recipe(layout, accept=[kind]), tmp_path)
    assert found.faults == []
    assert any(line.startswith('accepted: expected') for line in found.remarks)


def test_an_answer_that_is_the_word_none_among_others_is_one(tmp_path):
    put(tmp_path / 'bench', {'a.json': [*rows_of(), {'question': 'Which of them?', 'answer': 'None'}]})
    assert looked(recipe('folder'), tmp_path).faults == []


def test_a_logo_beside_a_benchmark_of_text_is_no_picture_of_it(tmp_path):
    put(tmp_path / 'bench', {'a.json': rows_of(), 'assets/logo.png': noise()})
    assert looked(recipe('folder'), tmp_path).faults == []
@pytest.mark.parametrize(('layout', 'told_as'), [('mathvista', '2 of 1,000'), ('pope', '3 of 9,000')])
def test_fewer_items_than_a_whole_copy_has_stop_the_build_unless_that_is_accepted(tmp_path, as_published, layout, told_as):
    put(tmp_path / 'bench', PUBLISHED[layout][0])
    with pytest.raises(UserError, match=rf'expected all of its items, found {told_as}; .*accept: \[parts\]'):
        built(recipe(layout), tmp_path)
    assert looked(recipe(layout), tmp_path).state == 'fault'
    assert built(recipe(layout, accept=['parts']), tmp_path)[1]['accepted'] == ['parts']
    assert looked(recipe(layout, accept=['parts']), tmp_path).state == 'differs'


@pytest.mark.parametrize(('n', 'faulty'), [(8909, True), (8910, False), (9000, False), (9001, False)])
def test_a_copy_of_pope_that_was_published_before_is_whole(tmp_path, as_published, n, faulty):
    compared = Compared('pope', items=n, parts={'random', 'popular', 'adversarial'})
    compared.finish(tmp_path)
    assert bool(compared.lacking['parts']) == faulty


def test_pictures_that_are_there_are_compared_beside_nulls_and_one_letter_of_many_answers_is_one(tmp_path):
    put(tmp_path / 'bench', {'a.json': [{**row, 'answer': 'B' if i == 5 else 'blue', 'image': None if i else '0.png'} for i, row in enumerate(rows_of())], '0.png': noise()})
    _, told = built(recipe('folder', accept=['pictures']), tmp_path)
    assert (told['pictures'], told['pictures_compared'], told['lacking']) == (1, 1, {'pictures': 23})


def test_a_few_nulls_for_pictures_are_told_and_stop_nothing(tmp_path):
    put(tmp_path / 'bench', {'a.json': [{**row, 'image': '0.png' if i % 2 else None} for i, row in enumerate(rows_of())], '0.png': noise()})
    assert built(recipe('folder'), tmp_path)[1]['lacking'] == {}
    assert '12 of 24 items have null for a picture: they are found by their texts' in looked(recipe('folder'), tmp_path).remarks


def test_to_accept_one_lack_accepts_no_other(tmp_path):
    put(tmp_path / 'bench', {'testmini_text_only.json': [{**MATHVERSE, 'answer': None}]})
    with pytest.raises(UserError) as told:
        built(recipe('mathverse', accept=['parts']), tmp_path)
    assert 'accept: [parts, answers]' in str(told.value)
    assert 'missing' not in str(told.value)


@pytest.mark.parametrize('layout', PUBLISHED)
def test_a_whole_benchmark_lacks_nothing(tmp_path, layout):
    put(tmp_path / 'bench', PUBLISHED[layout][0])
    _, told = built(recipe(layout), tmp_path)
    assert told['lacking'] == {}
    assert told['items'] == len(PUBLISHED[layout][1])
    found = looked(recipe(layout), tmp_path)
    assert found.state == ('ok' if told['expected_items'] is None else 'differs')
    assert found.compared.as_json() | {'left_out': 0} == compared_of(built(recipe(layout), tmp_path)[0]).as_json() | {'left_out': 0}


@pytest.mark.parametrize(('layout', 'files', 'answers'), [
    ('mmbench', {'mmbench_test_20230712.tsv': 'index\tquestion\tA\tB\timage\n1\tWhich?\tred\tblue\t' + PUBLISHED['mmbench'][0]['mmbench_dev_20230712.tsv'].split('\t')[22]
                 + '\n'}, 0),
    ('llava-w', left('llava-w', 'answers_gpt4'), 0),
])
def test_answers_that_are_kept_back_by_design_are_no_lack_but_counted(tmp_path, layout, files, answers):
    put(tmp_path / 'bench', files)
    _, told = built(recipe(layout), tmp_path)
    assert (told['answers'], told['lacking']) == (answers, {})
    assert any('publish no answer' in line for line in looked(recipe(layout), tmp_path).remarks)


@pytest.mark.parametrize('files', [{'a.json': []}, {'a.jsonl': [], 'b.csv': 'question,answer\n'}])
def test_a_benchmark_without_items_stops_whatever_is_accepted(tmp_path, files):
    put(tmp_path / 'bench', files)
    asked = recipe('folder', accept=['parts', 'pictures', 'answers', 'options'])
    assert looked(asked, tmp_path).state == 'fault'
    with pytest.raises(UserError, match=r'expected .*found'):
        built(asked, tmp_path)


def test_pictures_that_no_mix_may_hold_are_counted_apart(tmp_path):
    small = io.BytesIO()
    Image.new('RGB', (4, 4)).save(small, 'PNG')
    put(tmp_path / 'bench', pictured(noise()) | {'0.png': small.getvalue()})
    table, told = built(recipe('folder'), tmp_path)
    assert (told['pictures'], told['pictures_compared'], told['lacking']) == (24, 23, {})
    assert compared_of(table).left_out == 1


def test_a_word_that_accepts_what_is_there_is_told_to_be_needless(tmp_path):
    put(tmp_path / 'bench', {'a.json': rows_of()})
    assert 'accept: pictures is not needed' in looked(recipe('folder', accept=['pictures']), tmp_path).remarks


def test_a_picture_too_large_to_be_compared_is_a_lack(tmp_path):
    put(tmp_path / 'bench', pictured(noise(side=200)))
    asked = recipe('folder').model_copy(update={'images': recipe('folder').images.model_copy(update={'max_pixels': 10_000})})
    with pytest.raises(UserError, match='IMAGE_TOO_LARGE'):
        built(asked, tmp_path)
    assert looked(asked, tmp_path).state == 'fault'


def test_a_cut_that_only_decoding_shows_is_found_among_many_by_a_build(tmp_path):
    put(tmp_path / 'bench', pictured(noise()) | {'7.png': noise()[:-2000]})
    with pytest.raises(UserError, match='1 of 24 .*item 7: IMAGE_TRUNCATED'):
        built(recipe('folder'), tmp_path)


def test_files_that_may_hold_rows_and_are_not_read_are_told(tmp_path):
    put(tmp_path / 'bench', {'a.json': rows_of(), 'more/b.jsonl': rows_of(), 'c.jsonl.gz': b'x', 'README.md': '#', '1.png': noise()})
    assert '2 file(s) that may hold rows are not read, such as c.jsonl.gz' in looked(recipe('folder'), tmp_path).remarks


def test_validate_looks_at_the_first_bytes_of_every_picture(tmp_path):
    put(tmp_path / 'bench', {'a.json': [{'question': f'{i}?', 'answer': 'x', 'image': f'{i}.png'} for i in range(300)]} | {
        f'{i}.png': POINTER if i == 151 else noise(side=16) for i in range(300)})
    found = looked(recipe('folder'), tmp_path)
    assert found.compared.examples['pictures'].startswith('item 151: a Git LFS pointer')
    assert int(found.pictures.partition(' ')[0]) < 200


def test_a_null_question_of_a_published_layout_is_told_with_its_item(tmp_path):
    put(tmp_path / 'bench', {'data/test.jsonl': [{'id': '7', 'question': None, 'options': [], 'image': '1.png', 'answer': '2'}]})
    with pytest.raises(UserError, match=r'data/test.jsonl#0: expected a question, found null|item 7: expected a question, found NoneType'):
        built(recipe('mathvision'), tmp_path)
    put(tmp_path / 'pope', PUBLISHED['pope'][0] | {'coco_pope_random.json': '{"question_id": 1, "image": "COCO_val2014_1.jpg", "text": null, "label": "no"}\n'})
    with pytest.raises(UserError, match='item random/1: expected a question, found NoneType'):
        list(read_items('b', 'pope', tmp_path / 'pope'))


def test_what_is_compared_is_json_that_comes_back(tmp_path):
    put(tmp_path / 'bench', pictured(noise()))
    found = compared_of(built(recipe('folder'), tmp_path)[0])
    assert type(found).from_json(json.loads(json.dumps(found.as_json()))) == found


def test_the_documentation_tells_every_layout_its_number_and_its_words(tmp_path):
    told = (Path(__file__).parents[3] / 'docs/benchmarks.md').read_text(encoding='utf-8')
    for name, layout in LAYOUTS.items():
        assert f'`{name}`' in told
        assert layout.n_items is None or name == 'mathverse' or f'{layout.n_items:,}' in told
    assert all(f'| `{kind}` |' in told for kind in KINDS)


def test_the_card_and_what_a_build_prints_say_what_was_compared(tmp_path, capsys):
    put(tmp_path / 'bench', pictured(noise()) | {'7.png': POINTER})
    asked = recipe('folder', accept=['pictures'])
    compared = {'b': built(asked, tmp_path)[1]}
    card = mix_card(asked, ['train'], [], {'samples_per_benchmark': {}, 'compared': compared}, '')
    assert '| b | 24 | - | 24 | 0 | 24 | 23 | pictures 1 (accepted) |' in card
    print_compared('r', compared)
    assert 'pictures 1 (accepted)' in capsys.readouterr().out
    assert 'compared' not in mix_card(asked, ['train'], [], {'samples_per_benchmark': {}, 'compared': {}}, '')


def test_validate_reads_every_row_and_counts_them_for_people_and_as_json(tmp_path, capsys):
    put(tmp_path, {'a.jsonl': [{'id': '1', 'conversations': [{'from': 'human', 'value': 'Hello?'}, {'from': 'gpt', 'value': 'Hello there.'}]}], 'bench/a.json': rows_of(level=3)})
    asked = recipe('folder').model_dump(mode='json')
    asked['sources']['s']['annotations'] = ['a.jsonl']
    asked['contamination']['benchmarks'].append({'name': 'pope', 'path': 'pope', 'format': 'pope'})
    put(tmp_path / 'pope', PUBLISHED['pope'][0])
    assert validate_sources(Recipe.model_validate(asked), tmp_path)
    told = ' '.join(capsys.readouterr().out.split())
    assert 'b │ folder │ bench │ 24 │ - │ - │ 24 │ 0 │ none │ ok' in told
    assert 'pope │ pope │ pope │ 3 │ 9,000 │ -8,997 │ 3 │ 0 │ 3 of 3 │ differs' in told
    assert 'note b: ignored: `level` in 24' in told
    validate_sources(Recipe.model_validate(asked), tmp_path, as_json=True)
    compared = [bench['compared'] for bench in json.loads(capsys.readouterr().out)['benchmarks']]
    assert compared[0] == {'items': 24, 'expected_items': None, 'questions': 24, 'answers': 24, 'options': 0, 'pictures': 0, 'pictures_compared': 0, 'lacking': {}}
    assert (compared[1]['items'], compared[1]['pictures']) == (3, 3)


def test_an_answer_that_is_kept_back_among_others_is_told_and_stops_nothing(tmp_path):
    put(tmp_path / 'bench', {'a.json': [*rows_of(), {'question': 'Last?', 'answer': None}]})
    assert built(recipe('folder'), tmp_path)[1]['lacking'] == {}
