"""The layout `folder`: rows under the names that benchmarks really use, what is said of them, and the row that cannot be read."""

import base64

import pytest

from pipelines.benches.items import read_items
from schemas.errors import UserError
from schemas.recipe import Benchmark
from tests.pipelines.benches.test_items import PNG, STRUCT, png, put


def read(folder, files, columns=None):
    return list(read_items('b', 'folder', put(folder, files), columns))


def brief(item):
    return item.question, item.answer, item.options, item.images


# what a public benchmark's row looks like -> question, answer, options, pictures
ROWS = {
    'own words': ({'question': 'How sharp is the photo?', 'img_path': '1.png', 'candidates': ['sharp', 'soft'], 'correct_ans': 'soft'},
                  ('How sharp is the photo?', 'B', ('sharp', 'soft'), ('1.png',))),
    'MMMU': ({'id': 'validation_1', 'question': 'Which <image 1>?', 'options': "['$6', '$7']", 'explanation': '', 'image_1': STRUCT, 'image_2': None, 'answer': 'B',
              'question_type': 'multiple-choice'}, ('Which <image 1>?', 'B', ('$6', '$7'), (PNG,))),
    'MMVP': ({'Index': 1, 'Question': 'Are the doors open?', 'Options': '(a) Open (b) Closed', 'Correct Answer': '(a)'},
             ('Are the doors open?', 'A', ('Open', 'Closed'), ())),
    'MMBench': ({'index': 1, 'question': 'Which?', 'A': 'red', 'B': 'blue', 'C': None, 'answer': 'A', 'image': base64.b64encode(PNG * 3).decode()},
                ('Which?', 'A', ('red', 'blue'), (PNG * 3,))),
    'SEED-Bench': ({'question': 'Which?', 'choice_a': 'one', 'choice_b': 'two', 'answer': 'B', 'data_id': '1_0', 'image': [STRUCT]}, ('Which?', 'B', ('one', 'two'), (PNG,))),
    'ARC': ({'id': 'x', 'question': 'Which?', 'choices': {'text': ['sun', 'moon'], 'label': ['A', 'B']}, 'answerKey': 'B'}, ('Which?', 'B', ('sun', 'moon'), ())),
    'MMLU': ({'question': 'Which?', 'subject': 'x', 'choices': ['0', '4', '2'], 'answer': 1}, ('Which?', 'B', ('0', '4', '2'), ())),
    'Winogrande': ({'sentence': 'Ann told Eve that _ won.', 'option1': 'Ann', 'option2': 'Eve', 'answer': '1'}, ('Ann told Eve that _ won.', 'A', ('Ann', 'Eve'), ())),
    'MedMCQA': ({'question': 'Which?', 'opa': 'x', 'opb': 'y', 'cop': 1}, ('Which?', 'B', ('x', 'y'), ())),
    'MathQA': ({'Problem': 'How much?', 'Rationale': 'So.', 'options': 'a ) 38 , b ) 27.675', 'correct': 'a'}, ('How much?', 'A', ('38', '27.675'), ())),
    'MATH': ({'problem': 'How much?', 'level': 'Level 5', 'type': 'Algebra', 'solution': 'So $2$.'}, ('How much?', 'So $2$.', (), ())),
    'HellaSwag': ({'ctx': 'She opens', 'endings': ['a door', 'an egg'], 'label': '1'}, ('She opens', 'B', ('a door', 'an egg'), ())),
    'GQA': ({'question': 'Is it red?', 'answer': 'no', 'fullAnswer': 'No, it is not.', 'imageId': '7'}, ('Is it red?', 'no', (), ())),
    'VQAv2': ({'question': 'What?', 'multiple_choice_answer': 'net', 'image': {'bytes': PNG, 'path': 'x.jpg'}}, ('What?', 'net', (), (PNG,))),
    'DocVQA': ({'questionId': '1', 'question': 'What?', 'answers': ['12/1/93', '12/1/1993'], 'image': STRUCT}, ('What?', '12/1/93', (), (PNG,))),
    'POPE': ({'question_id': 1, 'image': 'COCO_1.jpg', 'text': 'Is there a dog?', 'label': 'yes'}, ('Is there a dog?', 'yes', (), ('COCO_1.jpg',))),
    'ChartQA': ({'query': 'What?', 'label': ['3'], 'image': STRUCT}, ('What?', '3', (), (PNG,))),
    'BoolQ': ({'question': 'is it', 'passage': 'x', 'answer': True}, ('is it', 'True', (), ())),
    'RealWorldQA': ({'question': 'What?', 'answer': 'A', 'image': STRUCT, 'image_path': '1.webp', 'options': ['x', 'y']}, ('What?', 'A', ('x', 'y'), (PNG,))),
    'options in the question': ({'question': 'Find x.\nA. 1\nB. 2', 'answer': 'B'}, ('Find x.', 'B', ('1', '2'), ())),
    'messages': ({'prompt': [{'role': 'user', 'content': 'What is 1 + 1?'}], 'ground_truth': 2}, ('What is 1 + 1?', '2', (), ())),
    'SVAMP': ({'Body': 'Each pack has ten.', 'Question': 'How many?', 'Answer': 5.0}, ('Each pack has ten.\nHow many?', '5', (), ())),
    'NumGLUE': ({'question': 'How many?', 'answer': {'number': '4', 'date': {'day': '', 'month': '', 'year': ''}, 'spans': []}}, ('How many?', '4', (), ())),
    'DROP, a date': ({'question': 'When?', 'answer': {'number': '', 'date': {'day': '3', 'month': 'May', 'year': '1862'}, 'spans': []}},
                     ('When?', '3 May 1862', (), ())),
    'TheoremQA': ({'Question': 'Which vector?', 'Answer': [1, 2.5], 'Picture': None}, ('Which vector?', '[1, 2.5]', (), ())),
    'TruthfulQA': ({'Question': 'What?', 'Best Answer': 'nothing', 'Correct Answers': 'nothing; not much'}, ('What?', 'nothing', (), ())),
    'CommonsenseQA': ({'answerKey': 'B', 'id': '1', 'question': {'question_concept': 'x', 'stem': 'Which?', 'choices': [
        {'label': 'A', 'text': 'sun'}, {'label': 'B', 'text': 'moon'}]}}, ('Which?', 'B', ('sun', 'moon'), ())),
    'MMMU, test': ({'question': 'Which?', 'options': "['x', 'y']", 'answer': '?'}, ('Which?', '', ('x', 'y'), ())),
    'a test split of the Hub': ({'question': 'Which?', 'choices': ['x', 'y'], 'label': -1}, ('Which?', '', ('x', 'y'), ())),
    'RealWorldQA, with what to do': ({'question': 'How?\nA. 1\nB. 2\nPlease answer with the letter.', 'answer': 'B'}, ('How?', 'B', ('1', '2'), ())),
    'a printed list of pictures': ({'question': 'What?', 'answer': 'x', 'images': "['1.png', '2.png']"}, ('What?', 'x', (), ('1.png', '2.png'))),
    'a file name that is no picture': ({'question': 'What?', 'answer': 'x', 'file_name': 'notes.txt'}, ('What?', 'x', (), ())),
    'a picture by its file name': ({'question': 'What?', 'answer': 'x', 'file_name': 'x/1.JPG'}, ('What?', 'x', (), ('x/1.JPG',))),
}


@pytest.mark.parametrize('name', ROWS)
def test_a_row_is_read_under_the_names_its_benchmark_uses(tmp_path, name):
    row, expected = ROWS[name]
    held = any(isinstance(value, dict | list) and STRUCT in (value, *value) for value in row.values() if not isinstance(value, str)) or name == 'VQAv2'
    [item] = read(tmp_path, {'a.parquet' if held else 'a.json': [row]})
    assert brief(item) == expected


@pytest.mark.parametrize(('content', 'found'), [
    ({'version': '1.1', 'data': [{'title': 'T', 'paragraphs': [{'context': 'c', 'qas': [{'id': '1', 'question': 'What?', 'answers': [{'text': 'x', 'answer_start': 0}]},
                                                                                     {'id': '2', 'question': 'Who?', 'answers': []}]}, {'context': 'd', 'qas': []}]}]},
     [('1', 'What?', 'x'), ('2', 'Who?', '')]),
    ({'nfl_1': {'passage': 'p', 'qa_pairs': [{'query_id': 'a', 'question': 'What?', 'answer': {'number': '3', 'spans': []}}]}}, [('nfl_1', 'What?', '3')]),
    ([{'id': 7, 'question': ['What?', 'And who?'], 'answer': ['x', 'y']}], [('7', 'What?', 'x'), ('7~2', 'And who?', 'y')]),
    ({}, []),
])
def test_each_question_of_a_row_that_holds_several_is_an_item(tmp_path, content, found):
    assert [(item.item_id, item.question, item.answer) for item in read(tmp_path, {'a.json': content})] == found


def test_fields_that_were_taken_and_those_that_were_not_are_named(tmp_path):
    [item] = read(tmp_path, {'a.json': [ROWS['own words'][0] | {'level': 3}]})
    assert set(item.read) == {'question: question', 'answer: correct_ans', 'options: candidates', 'image: img_path'}
    assert item.unread == ('level',)


def test_the_recipe_may_name_the_fields(tmp_path):
    row = {'question': 'An essay.', 'frage': 'Was?', 'loesung': 'zwei', 'wahl': 'eins\nzwei', 'bild': 'x.png', 'nr': 7, 'answer': 'no'}
    [item] = read(tmp_path, {'a.json': [row]}, {'question': 'frage', 'answer': 'loesung', 'options': 'wahl', 'image': 'bild', 'id': 'nr'})
    assert (item.item_id, *brief(item)) == ('7', 'Was?', 'B', ('eins', 'zwei'), ('x.png',))
    with pytest.raises(UserError, match=r'columns: expected the name of a field, found answer: fort; the fields are question, frage'):
        read(tmp_path, {'a.json': [row]}, {'answer': 'fort'})
    with pytest.raises(ValueError, match="expected format 'folder' beside it"):
        Benchmark.model_validate({'name': 'b', 'path': 'x', 'format': 'pope', 'columns': {'question': 'q'}})


@pytest.mark.parametrize('content', [
    {'data': [{'question': 'What?', 'answer': 'x'}], 'version': 1}, {'q1': {'question': 'What?', 'answer': 'x'}}, {'question': 'What?', 'answer': 'x'},
    [{'question': 'What?', 'answer': 'x'}], '{"question": "What?", "answer": "x"}\n', '\ufeff{\n "q1": {\n  "question": "What?",\n  "answer": "x"}}',
    {'question': ['What?'], 'answer': ['x']}, {'info': {}, 'images': [{'id': 1}], 'questions': [{'question': 'What?', 'answer': 'x'}]},
])
def test_rows_are_found_in_whatever_json_wraps_them(tmp_path, content):
    assert [brief(item)[:2] for item in read(tmp_path, {'a.json': content})] == [('What?', 'x')]


@pytest.mark.parametrize(('name', 'content'), [
    ('a.csv', 'question,answer,image\n"What, now?",x,\n'), ('a.tsv', 'question\tanswer\n"What, now?"\tx\n'), ('data/test.jsonl', '{"question": "What, now?", "answer": "x"}\n'),
])
def test_tables_and_files_in_folders_are_read(tmp_path, name, content):
    files = {name: content, 'dataset_infos.json': {'default': {}}, '.ipynb_checkpoints/b.json': [{'question': 'Old?'}], '__MACOSX/._a.json': 'x'}
    assert [brief(item)[:2] for item in read(tmp_path, files)] == [('What, now?', 'x')]


def test_columns_of_json_are_rows(tmp_path):
    assert [brief(item)[:2] for item in read(tmp_path, {'a.json': {'question': ['1?', '2?'], 'answer': ['x', None]}})] == [('1?', 'x'), ('2?', '')]


def test_all_accepted_answers_are_kept(tmp_path):
    [item] = read(tmp_path, {'a.json': [{'question': 'What?', 'answer': ['The east bridge', 'East bridge']}]})
    assert item.meta == {'answers': ['The east bridge', 'East bridge']}


def test_pictures_in_the_row_win_over_their_paths_and_each_counts_once(tmp_path):
    [item] = read(tmp_path, {'a.parquet': [{'question': 'What?', 'answer': 'x', 'image': 'images/1.jpg', 'decoded_image': STRUCT, 'image_1': STRUCT,
                                            'image_2': {'bytes': png(9), 'path': None}}]})
    assert item.images == (PNG, png(9))


@pytest.mark.parametrize(('row', 'words'), [
    ({'question': None, 'answer': 'x'}, 'found nothing in `question`'), ({'question': ' ', 'answer': 'x'}, 'found nothing in `question`'),
    ({'wording': 'What?', 'answer': 'x'}, 'found the fields `wording`, `answer`; name its field in the recipe: columns'),
])
def test_a_row_without_a_question_stops_with_its_place_and_its_fields(tmp_path, row, words):
    with pytest.raises(UserError, match=rf'a.json#1: expected a question .*{words}'):
        read(tmp_path, {'a.json': [{'question': 'Fine?', 'answer': 'x'}, row]})


def test_cells_beyond_the_head_of_a_table_are_told(tmp_path):
    with pytest.raises(UserError, match=r'a.csv#0: expected a row, found 3 field.s. where the header has 2'):
        read(tmp_path, {'a.csv': 'question,answer\nWhat, now?,x\n'})


@pytest.mark.parametrize(('name', 'text', 'told'), [
    ('a.tsv', 'question\tanswer\nWhat?\tx\nWhere?\n', '1 field.* where the header has 2'),
    ('a.csv', 'question,answer,answer\nWhat?,x,y\n', "found 'answer' twice"),
])
def test_a_table_of_text_with_a_cell_too_few_or_a_name_twice_is_told(tmp_path, name, text, told):
    with pytest.raises(UserError, match=told):
        read(tmp_path, {name: text})


def test_every_list_of_questions_in_an_object_is_read(tmp_path):
    rows = {split: [{'question': f'{split} {i}?', 'answer': 'x'} for i in range(2)] for split in ('train', 'test')}
    found = read(tmp_path, {'a.json': {**rows, 'images': [{'id': 1}], 'info': {}}})
    assert [item.question for item in found] == ['train 0?', 'train 1?', 'test 0?', 'test 1?']
