"""Every benchmark in its published layout, a few hand-made items each."""

import base64
import io
import json
import os
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.benches.items import read_bench, stamp_benchmark, write_bench
from pipelines.benches.layouts.choices import BLINK_TASKS
from pipelines.benches.layouts.layouts import LAYOUTS
from pipelines.benches.layouts.yes_no import MME_TASKS
from pipelines.sources.digests import Digests
from schemas.errors import UserError
from schemas.recipe import Benchmark
from schemas.records import BENCH_ITEMS
from schemas.snapshot import file_sha256

MB = 1_000_000


def png(shade=0):
    out = io.BytesIO()
    Image.new('L', (4, 4), shade).save(out, 'PNG')
    return out.getvalue()


PNG = png()
STRUCT = {'bytes': PNG, 'path': None}


def put(folder, files):
    """Write {path: bytes | text | rows of .jsonl or .parquet | JSON} below a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes | str):
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        elif path.suffix == '.parquet':
            pq.write_table(pa.Table.from_pylist(content), path)
        elif path.suffix == '.jsonl':
            path.write_text(''.join(json.dumps(row) + '\n' for row in content))
        else:
            path.write_text(json.dumps(content))
    return folder


def items(layout, folder):
    return [{**row, 'images': [image['bytes'] for image in row['images']], 'meta': json.loads(row['meta'])} for row in read_bench('b', layout, folder, MB)]


def brief(row):
    return row['item_id'], row['question'], row['options'], row['answer'], row['images']


SEED = {'choice_a': 'One', 'choice_b': 'Two', 'choice_c': 'Three', 'choice_d': 'Four', 'answer': 'B', 'question': 'How many?'}
MMVET = {'question': 'What is x?', 'answer': '-1<AND>-5', 'capability': ['ocr', 'math'], 'imagesource': 'url'}
TSV = 'index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\timage\tsource\tl2-category\tcomment\tsplit\n'
B64 = base64.b64encode(PNG).decode()
BLINK = {'idx': 'val_Counting_1', 'question': 'How many?', 'sub_task': 'Counting', 'prompt': 'How many?\n(A) 1\n(B) 2', 'choices': ['1', '2'], 'answer': '(B)',
         'image_1': STRUCT, 'image_2': STRUCT, 'image_3': None, 'image_4': None}
WEB = {'website': 'x.org', 'image': STRUCT, 'image_size': [4, 4]}
MATHVERSE = {'sample_index': '1', 'problem_index': '1', 'problem_version': 'Text Dominant', 'question': 'Find x.\nChoices:\nA:1\nB:2', 'answer': 'A',
             'question_type': 'multi-choice', 'metadata': {'subject': 'Plane Geometry'}, 'query_wo': 'Please answer. Find x.', 'query_cot': 'Think. Find x.'}

# layout -> (files, what is read, keys of the first item's meta)
PUBLISHED = {
    'sqa': ({'problems.json': {'3': {'question': 'Which?', 'choices': ['red', 'blue'], 'answer': 1, 'hint': 'Look.', 'image': 'image.png', 'subject': 'natural science'},
                               '4': {'question': 'Why?', 'choices': ['a', 'b'], 'answer': 0, 'hint': '', 'image': None, 'subject': 'x'},
                               '5': {'question': 'Who?', 'choices': ['a', 'b'], 'answer': 0, 'hint': '', 'image': 'image.png', 'subject': 'x'}},
             'pid_splits.json': {'test': ['3', '4'], 'train': ['5']}, 'images/test/3/image.png': PNG},
            [('3', 'Which?', ['red', 'blue'], 'B', [PNG])], {'hint', 'subject'}),
    'ai2d': ({'ai2d_test.json': [
        {'imageName': '1.png', 'question': 'What is A?', 'metadata': {'answerTexts': ['sun', 'moon'], 'correctAnswer': 1, 'abcLabel': False, 'questionId': '1.png-0'}},
        {'imageName': '1.png', 'question': 'Which?', 'metadata': {'answerTexts': ['A', 'B'], 'correctAnswer': 0, 'abcLabel': True, 'questionId': '1.png-1'}}],
        'images/1.png': PNG, 'abc_images/1.png': png(9)},
        [('1.png-0', 'What is A?', ['sun', 'moon'], 'B', [PNG]), ('1.png-1', 'Which?', ['A', 'B'], 'A', [png(9)])], {'abcLabel'}),
    'chartqa': ({'test/test_human.json': [{'imgname': '1.png', 'query': 'Max?', 'label': '12'}],
                 'test/test_augmented.json': [{'imgname': '1.png', 'query': 'Min?', 'label': '3'}], 'test/png/1.png': PNG},
                [('augmented/0', 'Min?', [], '3', [PNG]), ('human/0', 'Max?', [], '12', [PNG])], {'split'}),
    'seed': ({'SEED-Bench.json': {'questions': [{**SEED, 'question_id': '101', 'data_id': '10_1', 'data_type': 'image', 'question_type_id': 1},
                                                {**SEED, 'question_id': '102', 'data_id': 'v.mp4', 'data_type': 'video', 'question_type_id': 10, 'segment': [0, 1]}],
                                  'question_type': {'Scene Understanding': 1}}, 'SEED-Bench-image/10_1': PNG},
             [('101', 'How many?', ['One', 'Two', 'Three', 'Four'], 'B', [PNG])], {'question_type'}),
    'seed-2-plus': ({'SEED-Bench-2-plus-text-rich.json': {'questions': [{**SEED, 'question_id': '7', 'data_id': 'chart/1.png', 'question_image_type': 'chart'}]},
                     'chart/1.png': PNG}, [('7', 'How many?', ['One', 'Two', 'Three', 'Four'], 'B', [PNG])], {'question_image_type'}),
    'pope': ({f'coco_pope_{split}.json': json.dumps({'question_id': 1, 'image': 'COCO_val2014_1.jpg', 'text': 'Is there a dog?', 'label': label}) + '\n'
              for split, label in (('random', 'yes'), ('popular', 'no'), ('adversarial', 'no'))} | {'val2014/COCO_val2014_1.jpg': PNG},
             [('random/1', 'Is there a dog?', [], 'Yes', [PNG]), ('popular/1', 'Is there a dog?', [], 'No', [PNG]),
              ('adversarial/1', 'Is there a dog?', [], 'No', [PNG])], {'category'}),
    'hallusionbench': ({'HallusionBench.json': [
        {'category': 'VS', 'subcategory': 'chart', 'visual_input': '1', 'set_id': '0', 'figure_id': '1', 'sample_note': '', 'question_id': '0', 'question': 'Is it?',
         'gt_answer_details': 'It is.', 'gt_answer': '1', 'filename': './VS/chart/0_1.png'},
        {'category': 'VS', 'subcategory': 'chart', 'visual_input': '0', 'set_id': '0', 'figure_id': '0', 'sample_note': '', 'question_id': '0', 'question': 'Is it?',
         'gt_answer_details': '', 'gt_answer': '0', 'filename': None}], 'hallusion_bench/VS/chart/0_1.png': PNG},
        [('VS_chart_1_0_1_0', 'Is it?', [], 'Yes', [PNG]), ('VS_chart_0_0_0_0', 'Is it?', [], 'No', [])], {'category', 'subcategory', 'set_id', 'figure_id'}),
    'mme': ({f'{task}/{inner}0001.{end}': content for task in MME_TASKS for inner, end, content in (
        [('questions_answers_YN/', 'txt', 'Is it A?\tYes\nIs it B?\tNo\n\n'), ('images/', 'jpg', PNG)] if task in ('artwork', 'scene') else
        [('', 'txt', 'Is it A?\tYes\r\nIs it B?\tNo'), ('', 'png', PNG)])} | {'eval_tool/Your_Results/OCR.txt': '0001.jpg\tQ\tYes'},
        [(f'{task}/0001/{n}', f'Is it {"AB"[n]}?', [], ('Yes', 'No')[n], [PNG]) for task in MME_TASKS for n in range(2)], {'category'}),
    'mathvista': ({'data/testmini-00000-of-00001-725687bf7a18d64b.parquet': [
        {'pid': '1', 'question': 'Which?', 'image': 'images/1.jpg', 'decoded_image': STRUCT, 'choices': ['x', 'y'], 'unit': None, 'precision': None, 'answer': 'y',
         'question_type': 'multi_choice', 'answer_type': 'text', 'metadata': {'skills': ['algebra']}, 'query': 'Hint: ... Which?'},
        {'pid': '2', 'question': 'How much?', 'image': 'images/2.jpg', 'decoded_image': STRUCT, 'choices': None, 'unit': 'g', 'precision': 1.0, 'answer': '1.2',
         'question_type': 'free_form', 'answer_type': 'float', 'metadata': {'skills': []}, 'query': 'How much?'}]},
        [('1', 'Which?', ['x', 'y'], 'B', [PNG]), ('2', 'How much?', [], '1.2', [PNG])], {'answer_text', 'question_type', 'answer_type', 'query', 'metadata'}),
    'mmbench': ({'mmbench_dev_20230712.tsv': TSV + f'241\t"Which ""one""?"\tLook.\tred\tblue\t\t\tB\tcolour\t{B64}\tsrc\tl2\t\tdev\n'
                 f'1000241\tWhich?\t\tblue\tred\tgreen\tgrey\tA\tcolour\t241\tsrc\tl2\t\tdev\n'},
                [('mmbench_dev_20230712/241', 'Which "one"?', ['red', 'blue'], 'B', [PNG]),
                 ('mmbench_dev_20230712/1000241', 'Which?', ['blue', 'red', 'green', 'grey'], 'A', [PNG])], {'file', 'hint', 'category', 'l2-category', 'split'}),
    'mm-vet': ({'mm-vet.json': {'v1_0': {**MMVET, 'imagename': 'v1_0.png'}}, 'images/v1_0.png': PNG}, [('v1_0', 'What is x?', [], '-1<AND>-5', [PNG])], {'capability'}),
    'mm-vet-v2': ({'mm-vet-v2.json': {'v2_0': {**MMVET, 'question': 'What is<IMG>a.png<IMG>and<IMG>b.jpg'}}, 'images/a.png': PNG, 'images/b.jpg': png(9)},
                  [('v2_0', 'What is\n<image>\nand\n<image>', [], '-1<AND>-5', [PNG, png(9)])], {'capability'}),
    'llava-w': ({'questions.jsonl': [{'question_id': 0, 'image': '001.jpg', 'text': 'What?', 'category': 'conv'}],
                 'answers_gpt4.jsonl': [{'question_id': 0, 'text': 'A dog.', 'answer_id': 'x'}], 'context.jsonl': [{'id': '001', 'image': '001.jpg', 'caption': 'A dog.'}],
                 'images/001.jpg': PNG}, [('0', 'What?', [], 'A dog.', [PNG])], {'category', 'context'}),
    'llava-wilder': ({'small/test-00000-of-00001.parquet': [{'Question': 'What?', 'Answer': 'A dog.', 'Category': 'x', 'image': STRUCT, 'image_name': '1.png'}]},
                     [('1.png', 'What?', [], 'A dog.', [PNG])], {'Category'}),
    'blink': ({f'{task}/val-00000-of-00001.parquet': [{**BLINK, 'idx': f'val_{task}_1', 'sub_task': task}] for task in BLINK_TASKS} | {
        'Counting/test-00000-of-00001.parquet': [{**BLINK, 'answer': 'hidden'}]},
              [(f'val_{task}_1', 'How many?', ['1', '2'], 'B', [PNG, PNG]) for task in BLINK_TASKS], {'sub_task', 'prompt'}),
    'cv-bench': ({'test.parquet': [{'idx': 0, 'type': '2D', 'task': 'Count', 'image': STRUCT, 'question': 'How many?', 'choices': ['1', '2'], 'answer': '(A)',
                                    'prompt': 'How many? (A) 1 (B) 2', 'filename': 'x.png', 'source': 'ADE20K'},
                                   {'idx': 1, 'type': '3D', 'task': 'Depth', 'image': STRUCT, 'question': 'Which is near?', 'choices': ['x', 'y'], 'answer': '(B)',
                                    'prompt': 'Which is near? (A) x (B) y', 'filename': 'y.png', 'source': 'Omni3D'}]},
                 [('0', 'How many?', ['1', '2'], 'A', [PNG]), ('1', 'Which is near?', ['x', 'y'], 'B', [PNG])], {'type', 'task', 'prompt', 'source'}),
    'visualwebbench': ({f'{task}/test-00000-of-00001.parquet': [{**WEB, 'id': f'{task}_0', 'task_type': task, 'instruction': 'Read it.', 'answer': 'Sale'}]
                        for task in ('action_ground', 'element_ocr', 'heading_ocr')} | {
                        'action_prediction/test-00000-of-00001.parquet': [{**WEB, 'id': 'p0', 'task_type': 'action_prediction', 'options': ['Home', 'Shop'],
                                                                           'bbox': [0.1, 0.2], 'elem_desc': 'a button', 'answer': 1}],
                        'element_ground/test-00000-of-00001.parquet': [{**WEB, 'id': 'g0', 'task_type': 'element_ground', 'options': [[0.1, 0.2], [0.3, 0.4]],
                                                                        'elem_desc': 'a link', 'answer': 0}],
                        'web_caption/test-00000-of-00001.parquet': [{**WEB, 'id': 'c0', 'task_type': 'web_caption', 'answer': 'A shop.'}],
                        'webqa/test-00000-of-00001.parquet': [{**WEB, 'id': 'q0', 'task_type': 'webqa', 'question': 'Who?', 'answer': ['Ann', 'Anne']}]},
                       [('action_ground_0', 'Read it.', [], 'Sale', [PNG]), ('p0', 'a button', ['Home', 'Shop'], 'B', [PNG]), ('g0', 'a link', ['[0.1, 0.2]', '[0.3, 0.4]'], 'A', [PNG]), ('element_ocr_0', 'Read it.', [], 'Sale', [PNG]),
                        ('heading_ocr_0', 'Read it.', [], 'Sale', [PNG]), ('c0', '', [], 'A shop.', [PNG]),
                        ('q0', 'Who?', [], 'Ann', [PNG])], {'task_type', 'task', 'website'}),
    'mmstar': ({'mmstar.parquet': [{'index': 0, 'question': 'Which one?\nOptions: A: red, or so, B: blue, C: green, D: 3', 'image': PNG, 'answer': 'A', 'category': 'c',
                                    'l2_category': 'l', 'meta_info': {'source': 'x'}}]},
               [('0', 'Which one?', ['red, or so', 'blue', 'green', '3'], 'A', [PNG])], {'query', 'category', 'l2_category'}),
    'mathverse': ({'testmini.json': [{**MATHVERSE, 'image': 'images_version_1-4/image_1.png'}], 'testmini_text_only.json': [{**MATHVERSE, 'image': ''}],
                   'images/images_version_1-4/image_1.png': PNG},
                  [('testmini/1', MATHVERSE['question'], [], 'A', [PNG]), ('testmini_text_only/1', MATHVERSE['question'], [], 'A', [])],
                  {'problem_version', 'question_type', 'query_wo', 'query_cot'}),
    'mathvision': ({'data/test-00000-of-00001.parquet': [
        {'id': '4', 'question': 'Which of\n<image1>?', 'options': ['1', '2'], 'image': 'images/4.jpg', 'decoded_image': STRUCT, 'answer': 'B', 'solution': None,
         'level': 2, 'subject': 'algebra'}]}, [('4', 'Which of ?', ['1', '2'], 'B', [PNG])], {'level', 'subject'}),
    'folder': ({'a.jsonl': [{'question': 'What?', 'answer': 'Red', 'image': 'x/1.png'}, {'id': 'q', 'question': 'Who?', 'answer': 3, 'options': [1, 3]}], 'x/1.png': PNG,
                'README.md': 'about'}, [('0', 'What?', [], 'Red', [PNG]), ('q', 'Who?', ['1', '3'], 'B', [])], set()),
}


def test_every_layout_a_recipe_may_name_is_read_and_tested():
    named = set(get_args(Benchmark.model_fields['format'].annotation))
    assert named == set(LAYOUTS) == set(PUBLISHED)


@pytest.mark.parametrize('layout', PUBLISHED)
def test_a_published_layout_becomes_items(tmp_path, layout):
    files, expected, meta = PUBLISHED[layout]
    found = items(layout, put(tmp_path, files))
    assert [brief(row) for row in found] == expected
    assert meta <= found[0]['meta'].keys()


@pytest.mark.parametrize('layout', PUBLISHED)
def test_an_empty_folder_is_told_with_what_was_expected(tmp_path, layout):
    with pytest.raises(UserError, match=r'benchmark b: expected .* in .*, found none'):
        items(layout, tmp_path)


@pytest.mark.parametrize('layout', PUBLISHED)
def test_a_benchmark_fetched_without_lfs_is_told_so(tmp_path, layout):
    files = PUBLISHED[layout][0]
    read = {name: 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n' for name in files if name.endswith(('.json', '.jsonl', '.parquet', '.tsv'))}
    if read:  # MME is text files and pictures
        with pytest.raises(UserError, match=r'benchmark b: expected data in .*, found a Git LFS pointer; fetch the file itself: git lfs pull'):
            items(layout, put(tmp_path, files | read))


def test_the_original_ai2d_and_hub_chartqa_are_read_too(tmp_path):
    about = {'abcLabel': False, 'answerTexts': ['sun', 'moon'], 'correctAnswer': 0, 'questionId': '7.png-0'}
    ai2d = put(tmp_path / 'ai2d', {'questions/7.png.json': {'imageName': '7.png', 'questions': {'What?': about}}, 'images/7.png': PNG, 'ai2d_test_ids.csv': '7\n',
                                   'questions/8.png.json': {'imageName': '8.png', 'questions': {'What?': about}}})
    assert [brief(row) for row in items('ai2d', ai2d)] == [('7.png-0', 'What?', ['sun', 'moon'], 'A', [PNG])]
    chartqa = put(tmp_path / 'chartqa', {'data/test-00000-of-00001.parquet': [{'image': STRUCT, 'query': 'Max?', 'label': ['3'], 'human_or_machine': 0}]})
    assert [(row['answer'], row['meta']['split']) for row in items('chartqa', chartqa)] == [('3', 'human')]


def test_hallusionbench_finds_figures_whose_ending_differs_in_case(tmp_path):
    files = PUBLISHED['hallusionbench'][0]
    folder = put(tmp_path, {name.replace('.png', '.PNG'): content for name, content in files.items()})
    assert [row['images'] for row in items('hallusionbench', folder)] == [[PNG], []]


def test_pope_finds_its_pictures_beside_its_folder_and_they_are_stamped(tmp_path):
    files = PUBLISHED['pope'][0]
    folder = put(tmp_path / 'POPE', {f'output/coco/{name}': content for name, content in files.items() if name.endswith('.json')})
    put(tmp_path / 'coco2014', {name: content for name, content in files.items() if not name.endswith('.json')})
    assert len(items('pope', folder)) == 3
    before = stamp_benchmark('b', folder, 'pope')
    (tmp_path / 'coco2014/val2014/COCO_val2014_1.jpg').write_bytes(PNG + b'x')
    assert stamp_benchmark('b', folder, 'pope') != before


def test_an_id_used_twice_stays_distinct(tmp_path):
    put(tmp_path, {'a.jsonl': [{'id': 'q', 'question': 'One?'}, {'id': 'q', 'question': 'Two?'}]})
    assert [row['item_id'] for row in items('folder', tmp_path)] == ['q', 'q~2']


@pytest.mark.parametrize(('rows', 'message'), [
    ([{'question': 'x', 'image': '../../etc/passwd'}], 'inside the benchmark folder'),
    ([{'question': 'x', 'image': 'gone.png'}], 'a benchmark must be complete'),
    ([{'question': 'x', 'image': 7}], r'found after 0 item\(s\): ValueError expected a picture'),
    ([{'question': 'ok'}, {'wording': 'x'}], r'a.jsonl#1: expected a question \(.*\), found the fields `wording`; name its field'),
    ([{'question': '\ud83d'}], 'UnicodeEncodeError'),
])
def test_an_item_that_cannot_be_read_stops_the_reading(tmp_path, rows, message):
    put(tmp_path, {'a.jsonl': rows})
    with pytest.raises(UserError, match=message):
        items('folder', tmp_path)


def test_hostile_json_is_told(tmp_path):
    put(tmp_path, {'mm-vet.json': '[' * 100_000 + ']' * 100_000})
    with pytest.raises(UserError, match='expected JSON'):
        items('mm-vet', tmp_path)
    put(tmp_path, {'mm-vet.json': {'v1_0': 'not an object'}})
    with pytest.raises(UserError, match='mm-vet.json#v1_0: expected an object, found str'):
        items('mm-vet', tmp_path)


def test_a_benchmark_is_written_as_one_parquet_file_or_not_at_all(tmp_path):
    folder = put(tmp_path / 'bench', PUBLISHED['sqa'][0])
    assert write_bench('sqa-img', 'sqa', folder, tmp_path / 'sqa.parquet') == 1
    table = pq.read_table(tmp_path / 'sqa.parquet')
    assert table.schema.equals(BENCH_ITEMS)
    assert table['bench'].to_pylist() == ['sqa-img']
    (folder / 'images/test/3/image.png').unlink()
    with pytest.raises(UserError):
        write_bench('sqa-img', 'sqa', folder, tmp_path / 'again.parquet')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['bench', 'sqa.parquet']
    with pytest.raises(UserError, match='expected a file that can be written'):
        write_bench('sqa-img', 'sqa', put(tmp_path / 'b', PUBLISHED['sqa'][0]), tmp_path / 'none' / 'sqa.parquet')


def test_what_an_evaluation_lacks_is_told(tmp_path, capsys):
    files = {name: content for name, content in PUBLISHED['pope'][0].items() if 'random' not in name}
    assert write_bench('pope', 'pope', put(tmp_path / 'bench', files), tmp_path / 'pope.parquet') == 2
    assert 'benchmark pope: expected all of its parts, found 1 of 3 missing, such as random' in capsys.readouterr().err
    assert write_bench('pope', 'pope', put(tmp_path / 'whole', PUBLISHED['pope'][0]), tmp_path / 'all.parquet') == 3
    assert 'expected all of its items, found 3 of 9,000' in capsys.readouterr().err
    assert write_bench('own', 'folder', put(tmp_path / 'own', {'a.json': [{'question': 'What?', 'answer': 'x'}]}), tmp_path / 'own.parquet') == 1
    assert capsys.readouterr().err == ''


def test_the_stamp_follows_the_bytes_of_annotations_and_pictures_and_reads_no_picture_twice(tmp_path, monkeypatch):
    folder = put(tmp_path / 'b', PUBLISHED['folder'][0])
    known = tmp_path / 'known.npy'
    before = stamp_benchmark('b', folder)
    assert before == stamp_benchmark('b', folder, digests=Digests(known))
    with monkeypatch.context() as patched:
        patched.setattr('pipelines.benches.items.file_sha256', lambda path: file_sha256(path) if path.suffix == '.jsonl' else pytest.fail('read again'))
        assert stamp_benchmark('b', folder, digests=Digests(known)) == before
    path = folder / 'x/1.png'
    about = path.stat()
    path.write_bytes(PNG[:-1] + bytes([PNG[-1] ^ 1]))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))  # as tar -x and rsync -t leave it
    assert path.stat().st_size == about.st_size
    assert stamp_benchmark('b', folder, digests=Digests(known)) != before
    path.write_bytes(PNG)
    assert stamp_benchmark('b', folder, digests=Digests(known)) == before, 'equal bytes at another time'
    with pytest.raises(UserError, match='check `path`'):
        stamp_benchmark('b', tmp_path / 'none')


def test_an_archive_of_pictures_however_large_is_stamped_by_its_bytes_and_read_once(tmp_path, monkeypatch):
    folder = put(tmp_path / 'b', PUBLISHED['folder'][0])
    path, known = folder / 'images.zip', tmp_path / 'known.npy'
    path.write_bytes(b'')
    os.truncate(path, 51 * MB)
    before, about = stamp_benchmark('b', folder, digests=Digests(known)), path.stat()
    monkeypatch.setattr('pipelines.benches.items.file_sha256', lambda one: file_sha256(one) if one.suffix == '.jsonl' else pytest.fail('read again'))
    assert stamp_benchmark('b', folder, digests=Digests(known)) == before
    monkeypatch.undo()
    with open(path, 'r+b') as archive:
        archive.write(b'another')
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert stamp_benchmark('b', folder, digests=Digests(known)) != before
