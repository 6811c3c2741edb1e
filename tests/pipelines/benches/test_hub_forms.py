"""Benchmarks in the other forms they are downloaded in: Parquet of the Hub, JSON of the repositories. Rows have the fields published there."""

import io
import zipfile

import pytest

from tests.pipelines.benches.test_items import MATHVERSE, PNG, PUBLISHED, STRUCT, brief, items, png, put

VISTA = {'pid': '1', 'question': 'Which?', 'image': 'images/1.jpg', 'choices': ['x', 'y'], 'unit': None, 'precision': None, 'answer': 'y',
         'question_type': 'multi_choice', 'answer_type': 'text', 'metadata': {'skills': ['algebra']}}
MATHV = {'id': '2786', 'question': 'Which picture follows <image1>?', 'options': ['<image2>', '<image3>'], 'image': 'images/2786.jpg', 'answer': 'B', 'solution': None,
         'level': 2, 'subject': 'logic'}
SEED = {'answer': 'B', 'choice_a': 'One', 'choice_b': 'Two', 'choice_c': '3', 'choice_d': '4', 'data_id': '10_1', 'data_type': 'image', 'image': [STRUCT],
        'question': 'How many?', 'question_id': '101', 'question_type_id': 1, 'segment': ['', '']}
HALLUSION = {'category': 'VS', 'subcategory': 'chart', 'visual_input': '1', 'set_id': '0', 'figure_id': '1', 'sample_note': '', 'question_id': '0', 'question': 'Is it?',
             'gt_answer_details': '', 'gt_answer': '1', 'filename': './VS/chart/0_1.png'}
SCIENCE = {'question': 'Which?', 'choices': ['red', 'blue'], 'answer': 1, 'hint': 'Look.', 'task': 'closed choice', 'subject': 'natural science', 'solution': 'So.'}
FORMS = {
    'MathVista in JSON': ('mathvista', {'annot_testmini.json': {'1': VISTA}, 'images/1.jpg': PNG}, [('1', 'Which?', ['x', 'y'], 'B', [PNG])]),
    'MathVista of the repository': ('mathvista', {'data/testmini.json': {'7': {k: v for k, v in VISTA.items() if k != 'pid'}}, 'images/1.jpg': PNG},
                                    [('7', 'Which?', ['x', 'y'], 'B', [PNG])]),
    'MATH-V of the repository': ('mathvision', {'data/test.jsonl': [MATHV], 'images/2786.jpg': PNG}, [('2786', 'Which picture follows ?', ['', ''], 'B', [PNG])]),
    'MATH-V whole beside its testmini': ('mathvision', {'data/test.jsonl': [MATHV], 'data/testmini.jsonl': [MATHV], 'images/2786.jpg': PNG},
                                         [('2786', 'Which picture follows ?', ['', ''], 'B', [PNG])]),
    'MathVerse in Parquet': ('mathverse', {'testmini.parquet': [{**MATHVERSE, 'image': STRUCT}], 'testmini_text_only.parquet': [{**MATHVERSE, 'image': ''}]},
                             PUBLISHED['mathverse'][1]),
    'ChartQA in Parquet': ('chartqa', {'data/test-00000-of-00001-e2cd0b7a0f9eb20d.parquet': [
        {'image': STRUCT, 'query': 'Max?', 'label': ['3', 'three'], 'human_or_machine': 0}, {'image': STRUCT, 'query': 'Min?', 'label': ['1'], 'human_or_machine': 1}]},
        [('test-00000-of-00001-e2cd0b7a0f9eb20d/0', 'Max?', [], '3', [PNG]), ('test-00000-of-00001-e2cd0b7a0f9eb20d/1', 'Min?', [], '1', [PNG])]),
    'ChartQA of lmms-lab': ('chartqa', {'data/test-00000-of-00001.parquet': [
        {'type': 'human_test', 'question': 'Max?', 'answer': '3', 'image': STRUCT}, {'type': 'augmented_test', 'question': 'Min?', 'answer': '1', 'image': STRUCT}]},
        [('test-00000-of-00001/0', 'Max?', [], '3', [PNG]), ('test-00000-of-00001/1', 'Min?', [], '1', [PNG])]),
    'AI2D of lmms-lab': ('ai2d', {'data/test-00000-of-00001.parquet': [{'question': 'What is A?', 'options': ['2', '1', '0'], 'answer': '2', 'image': STRUCT}]},
                         [('0', 'What is A?', ['2', '1', '0'], 'C', [PNG])]),
    'SEED-Bench of lmms-lab': ('seed', {'data/test-00000-of-00001.parquet': [SEED, {**SEED, 'data_type': 'video', 'question_id': '102'}]},
                               [('101', 'How many?', ['One', 'Two', '3', '4'], 'B', [PNG])]),
    'POPE of lmms-lab': ('pope', {'data/test-00000-of-00001.parquet': [
        {'id': str(i), 'question_id': '1', 'question': 'Is there a dog?', 'answer': 'no', 'image_source': 'COCO_val2014_1', 'image': STRUCT, 'category': split}
        for i, split in enumerate(('adversarial', 'popular', 'random'))]},
        [(f'{split}/1', 'Is there a dog?', [], 'No', [PNG]) for split in ('adversarial', 'popular', 'random')]),
    'MME of lmms-lab': ('mme', {'data/test-00000-of-00001.parquet': [
        {'question_id': 'code_reasoning/0020.png', 'image': STRUCT, 'question': f'{i}?', 'answer': 'Yes', 'category': 'code_reasoning'} for i in range(2)]},
        [('code_reasoning/0020.png', '0?', [], 'Yes', [PNG]), ('code_reasoning/0020.png~2', '1?', [], 'Yes', [PNG])]),
    'HallusionBench of lmms-lab': ('hallusionbench', {
        'data/image-00000-of-00001.parquet': [{**HALLUSION, 'image': STRUCT}],
        'data/non_image-00000-of-00001.parquet': [{**HALLUSION, 'visual_input': '0', 'filename': None, 'image': None}]},
        [('VS_chart_1_0_1_0', 'Is it?', [], 'Yes', [PNG]), ('VS_chart_0_0_1_0', 'Is it?', [], 'Yes', [])]),
    'ScienceQA in Parquet': ('sqa', {'data/test-00000-of-00001.parquet': [{**SCIENCE, 'image': STRUCT}, {**SCIENCE, 'image': None}]},
                             [('0', 'Which?', ['red', 'blue'], 'B', [PNG])]),
    'MM-Vet of lmms-lab': ('mm-vet', {'data/test-00000-of-00001.parquet': [
        {'question_id': 'v1_0', 'image': STRUCT, 'question': 'What is x?', 'answer': '-1', 'image_source': 'url', 'capability': 'ocr,math'}]},
        [('v1_0', 'What is x?', [], '-1', [PNG])]),
    'MMBench of lmms-lab': ('mmbench', {'en/dev-00000-of-00001.parquet': [
        {'index': 241, 'question': 'Which?', 'hint': 'nan', 'answer': 'B', 'A': 'red', 'B': 'blue', 'C': 'nan', 'D': 'nan', 'category': 'c', 'image': STRUCT, 'source': 's',
         'L2-category': 'l', 'comment': 'nan', 'split': 'dev'}]}, [('en_dev/241', 'Which?', ['red', 'blue'], 'B', [PNG])]),
    'CV-Bench in its two halves': ('cv-bench', {f'test_{part}.parquet': [
        {'idx': i, 'type': part.upper(), 'image': STRUCT, 'question': 'How many?', 'choices': ['1', '2'], 'answer': '(B)'}] for i, part in enumerate(('2d', '3d'))},
        [('0', 'How many?', ['1', '2'], 'B', [PNG]), ('1', 'How many?', ['1', '2'], 'B', [PNG])]),
}


@pytest.mark.parametrize('name', FORMS)
def test_a_form_that_is_downloaded_is_read(tmp_path, name):
    layout, files, expected = FORMS[name]
    found = items(layout, put(tmp_path, files))
    assert [brief(row) for row in found] == expected


def test_pictures_in_an_images_zip_need_not_be_unpacked(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, 'w') as archive:
        archive.writestr('images/1.jpg', PNG)
        archive.writestr('2.jpg', png(9))
    files = {'annot_testmini.json': {'1': VISTA, '2': {**VISTA, 'pid': '2', 'image': '2.jpg'}}, 'images.zip': packed.getvalue()}
    assert [row['images'] for row in items('mathvista', put(tmp_path, files))] == [[PNG], [png(9)]]


def test_capabilities_of_mm_vet_are_a_list_in_every_form(tmp_path):
    layout, files, _ = FORMS['MM-Vet of lmms-lab']
    assert items(layout, put(tmp_path, files))[0]['meta']['capability'] == ['ocr', 'math']


def test_every_accepted_label_of_chartqa_is_kept(tmp_path):
    layout, files, _ = FORMS['ChartQA in Parquet']
    assert items(layout, put(tmp_path, files))[0]['meta']['answers'] == ['3', 'three']
