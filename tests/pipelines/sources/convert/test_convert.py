"""Files as others publish them become a source: every input row is written or told, `validate` takes what comes out, and a build reads it."""

import io
import json
from pathlib import Path

import datasets
import pytest
import yaml
from PIL import Image


def drawn(colour: str) -> Image.Image:
    """Return a picture that is not blank, its corner of a colour."""
    image = Image.new('RGB', (32, 32), colour)
    image.paste('gray', (8, 8, 24, 24))
    return image


def png(colour: str) -> bytes:
    out = io.BytesIO()
    drawn(colour).save(out, 'PNG')
    return out.getvalue()


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text('utf-8').splitlines()]


def accepted(front, out: Path) -> dict:
    """Return what `validate` says of the only source of a converted folder, which it takes."""
    code, told, err = front('validate', out / 'recipe.yaml', '--json')
    assert code == 0, told + err
    [source] = json.loads(told)['sources']
    return source


def balanced(out: Path, unit: str, n_in: int) -> dict[tuple[str, str], str]:
    """Return (unit, id) -> reason of all that was left out; the books say as much, and that nothing is lost."""
    books, rows, left = json.loads((out / 'books.json').read_text()), lines(out / 'rows.jsonl'), lines(out / 'left_out.jsonl')
    counted = {}
    for one in left:
        counted.setdefault(one['unit'], {}).setdefault(one['reason'], []).append(one['id'])
    assert {kind: {reason: len(ids) for reason, ids in reasons.items()} for kind, reasons in counted.items()} == {
        kind: reasons for kind, reasons in books['left_out'].items() if reasons}
    assert (books['unit'], books['in'], books['written']) == (unit, n_in, len(rows))
    assert len(rows) + sum(one['unit'] == unit for one in left) == n_in
    return {(one['unit'], one['id']): one['reason'] for one in left}


@pytest.fixture
def photos(tmp_path) -> Path:
    folder = tmp_path / 'photos'
    (folder / 'in').mkdir(parents=True)
    for name, colour in (('a.png', 'red'), ('in/b.png', 'green'), ('COCO_val2014_000000000042.png', 'blue'), ('x_000000000007.png', 'white'), ('y_7.png', 'black')):
        (folder / name).write_bytes(png(colour))
    (tmp_path / 'secret.png').write_bytes(png('gold'))
    (folder / 'out.png').symlink_to(tmp_path / 'secret.png')
    return folder


# --- tables ---


TABLE = '''file_name,prompt,label,id
a.png,What colour?,red,one
in\\b.png,"Which one, then?","green, I think",two
missing.png,What?,x,three
out.png,What?,x,four
../secret.png,What?,x,five
https://example.org/a.png,What?,x,six
a.png,,x,seven
a.png,What?, ,eight
,What?,x,nine
a.png,too few
'''


def test_a_table_of_picture_paths(front, tmp_path, photos):
    (tmp_path / 'table.csv').write_text(TABLE, 'utf-8')
    code, told, err = front('convert', tmp_path / 'table.csv', '--images', photos, '--out', tmp_path / 'my source', '--licence', 'MIT')
    assert code == 0, err
    out = tmp_path / 'my source'
    assert lines(out / 'rows.jsonl') == [
        {'id': 'one', 'image': 'a.png', 'question': 'What colour?', 'answer': 'red'},
        {'id': 'two', 'image': 'in/b.png', 'question': 'Which one, then?', 'answer': 'green, I think'},
    ]
    assert balanced(out, 'row', 10) == {
        ('row', 'table.csv#2'): 'IMAGE_MISSING', ('row', 'table.csv#3'): 'IMAGE_REFERENCE_UNSAFE', ('row', 'table.csv#4'): 'IMAGE_REFERENCE_UNSAFE',
        ('row', 'table.csv#5'): 'IMAGE_REFERENCE_UNSAFE', ('row', 'table.csv#6'): 'EMPTY_QUESTION', ('row', 'table.csv#7'): 'EMPTY_ANSWER',
        ('row', 'table.csv#8'): 'IMAGE_REFERENCE_NULL', ('row', 'table.csv#9'): 'RECORD_MALFORMED'}
    assert told.startswith((out / 'recipe.yaml').read_text())
    assert f'{out}: 10 row(s) in, 2 row(s) written, left out: EMPTY_ANSWER 1 (row), EMPTY_QUESTION 1 (row), IMAGE_MISSING 1 (row)' in told
    assert yaml.safe_load((out / 'recipe.yaml').read_text())['sources']['my-source']['licence'] == 'MIT'
    source = accepted(front, out)
    assert (source['records'], source['pictures'], source['faults']) == (2, '2 of 2', [])


def test_a_build_reads_what_was_made(front, tmp_path, photos):
    (tmp_path / 'table.tsv').write_text('image\tquestion\tanswer\n' + ''.join(f'a.png\tWhat colour is number {i}?\tred {i}\n' for i in range(5)), 'utf-8')
    assert front('convert', tmp_path / 'table.tsv', '--images', photos, '--out', tmp_path / 'src')[0] == 0
    code, _, err = front('build', tmp_path / 'src/recipe.yaml', '--out', tmp_path / 'built', '--mix-only', '--workers', 0)
    assert code == 0, err
    rows = datasets.load_dataset(str(tmp_path / 'built/mix'), split='train', cache_dir=str(tmp_path / 'cache'))
    assert sorted(row['messages'][1]['content'][0]['text'] for row in rows) == [f'red {i}' for i in range(5)]
    assert all(row['images'][0].getpixel((0, 0)) == (255, 0, 0) for row in rows)


def test_columns_by_other_names_several_pictures_options_and_no_picture(front, tmp_path, photos):
    (tmp_path / 't.csv').write_text('left,right,asked,said,o1,o2\na.png,in/b.png,Which is red?,left one,left one,right one\n', 'utf-8')
    named = [word for role in ('image=left', 'image=right', 'question=asked', 'answer=said', 'options=o1', 'options=o2') for word in ('--column', role)]
    assert front('convert', tmp_path / 't.csv', '--images', photos, '--out', tmp_path / 'a', *named)[0] == 0
    assert lines(tmp_path / 'a/rows.jsonl') == [
        {'id': 't.csv#0', 'image': ['a.png', 'in/b.png'], 'question': 'Which is red?', 'answer': 'left one', 'options': ['left one', 'right one']}]
    assert accepted(front, tmp_path / 'a')['pictures'] == '2 of 2'
    (tmp_path / 'sums.csv').write_text('question,answer\n1 + 1?,2\n', 'utf-8')
    assert front('convert', tmp_path / 'sums.csv', '--out', tmp_path / 'b')[0] == 0
    assert not (tmp_path / 'b/pictures').exists()
    assert accepted(front, tmp_path / 'b')['pictures'] == 'none'


@pytest.mark.parametrize(
    ('header', 'words', 'told'),
    [
        ('a,b', (), "expected columns for question and answer, found ['a', 'b']; say which: --column question=NAME"),
        ('question,prompt,answer', (), "expected one column for each of ['question']"), ('question,answer', ('--column', 'image=x'), "found ['x']; it has"),
        ('question,answer', ('--column', 'colour=x'), 'expected ROLE=NAME with one of question'), ('question,answer', ('--images', 'nowhere'), ''),
    ],
)
def test_columns_that_do_not_say_enough_are_told(front, tmp_path, header, words, told):
    (tmp_path / 't.csv').write_text(f'{header}\n' + ','.join('x' for _ in header.split(',')) + '\n', 'utf-8')
    code, _, err = front('convert', tmp_path / 't.csv', '--out', tmp_path / 'o', *words)
    assert code == (2 if told else 0), err
    assert told in err
    assert (tmp_path / 'o').exists() is (not told)


# --- COCO and VQA ---


def coco(path: Path, annotations: list[dict]) -> Path:
    images = [{'id': 1, 'file_name': 'a.png', 'license': 3}, {'id': 2, 'file_name': 'in/b.png'}, {'id': 3, 'file_name': 'none.png'}, {'file_name': 'x'}]
    path.write_text(json.dumps({'info': {}, 'licenses': [{'id': 3}], 'images': images, 'annotations': annotations}), 'utf-8')
    return path


def test_coco_captions(front, tmp_path, photos):
    said = [{'id': 10, 'image_id': 1, 'caption': 'A red square.'}, {'id': 11, 'image_id': 1, 'caption': 'All red.\u2028'}, {'id': 12, 'image_id': 2, 'caption': 'Green \ud83d'},
            {'id': 13, 'image_id': 3, 'caption': 'Gone'}, {'id': 14, 'image_id': 99, 'caption': 'Whose?'}, {'id': 15, 'image_id': 1, 'caption': ' '}, 'no object']
    path = coco(tmp_path / 'captions.json', said)
    assert front('convert', path, '--images', photos, '--out', tmp_path / 'coco')[0] == 0
    rows = lines(tmp_path / 'coco/rows.jsonl')
    assert [(row['id'], row['image'], row['answer']) for row in rows] == [('10', 'a.png', 'A red square.'), ('11', 'a.png', 'All red.\u2028'), ('12', 'in/b.png', 'Green \\ud83d')]
    assert {row['question'] for row in rows} == {'Describe the picture in one sentence.'}
    assert balanced(tmp_path / 'coco', 'annotation', 7) == {
        ('image', 'captions.json#images/3'): 'RECORD_MALFORMED', ('annotation', 'captions.json#3'): 'IMAGE_MISSING',
        ('annotation', 'captions.json#4'): 'RECORD_MALFORMED', ('annotation', 'captions.json#5'): 'EMPTY_ANSWER', ('annotation', 'captions.json#6'): 'RECORD_MALFORMED'}
    assert accepted(front, tmp_path / 'coco')['records'] == 3


def test_boxes_ask_nothing(front, tmp_path, photos):
    path = coco(tmp_path / 'instances.json', [{'id': 1, 'image_id': 1, 'category_id': 3, 'bbox': [0, 0, 1, 1]}])
    code, _, err = front('convert', path, '--images', photos, '--out', tmp_path / 'o')
    assert code == 2
    assert "expected captions, found annotations with ['bbox', 'category_id', 'id', 'image_id']; boxes and masks hold no question" in err
    assert not (tmp_path / 'o').exists()


def vqa(folder: Path) -> tuple[Path, Path]:
    asked = [{'question_id': 420, 'image_id': 42, 'question': 'What colour?'}, {'question_id': 421, 'image_id': 42, 'question': 'How many?'},
             {'question_id': 422, 'image_id': 42, 'question': 'Unanswered?'}, {'question_id': 430, 'image_id': 43, 'question': 'No picture?'},
             {'question_id': 70, 'image_id': 7, 'question': 'Two files?'}, {'question_id': 420, 'image_id': 42, 'question': 'Again?'}, {'image_id': 42}]
    said = [{'question_id': 421, 'image_id': 42, 'answers': [{'answer': 'two'}, {'answer': '2'}, {'answer': '2'}]},
            {'question_id': 420, 'image_id': 42, 'multiple_choice_answer': 'blue', 'answers': [{'answer': 'navy'}], 'answer_type': 'other'},
            {'question_id': 430, 'multiple_choice_answer': 'x'}, {'question_id': 70, 'multiple_choice_answer': 'x'}, {'question_id': 999, 'multiple_choice_answer': 'x'},
            {'question_id': 430, 'multiple_choice_answer': 'twice'}]
    questions, annotations = folder / 'q.json', folder / 'a.json'
    questions.write_text(json.dumps({'info': {}, 'task_type': 'Open-Ended', 'data_subtype': 'val2014', 'questions': asked}))
    annotations.write_text(json.dumps({'info': {}, 'annotations': said, 'data_subtype': 'val2014'}))
    return questions, annotations


@pytest.mark.parametrize('turned', [False, True])
def test_vqa_pairs(front, tmp_path, photos, turned):
    both = vqa(tmp_path)[::-1] if turned else vqa(tmp_path)
    assert front('convert', *both, '--images', photos, '--out', tmp_path / 'vqa')[0] == 0
    picture = 'COCO_val2014_000000000042.png'
    assert lines(tmp_path / 'vqa/rows.jsonl') == [{'id': '420', 'image': picture, 'question': 'What colour?', 'answer': 'blue'},
                                                  {'id': '421', 'image': picture, 'question': 'How many?', 'answer': '2'}]
    assert balanced(tmp_path / 'vqa', 'question', 7) == {
        ('question', 'q.json#2'): 'RECORD_MALFORMED', ('question', 'q.json#3'): 'IMAGE_MISSING', ('question', 'q.json#4'): 'IMAGE_MISSING',
        ('question', 'q.json#5'): 'RECORD_MALFORMED', ('question', 'q.json#6'): 'RECORD_MALFORMED', ('annotation', 'a.json#4'): 'RECORD_MALFORMED',
        ('annotation', 'a.json#5'): 'RECORD_MALFORMED'}
    assert accepted(front, tmp_path / 'vqa')['records'] == 2


# --- Parquet from the Hub ---


@pytest.mark.parametrize(
    ('row', 'words', 'wanted'),
    [
        ({'image': 1, 'question': 'What?', 'answer': 'red'}, (), {'format': 'columns', 'columns': {'image': 'image', 'question': 'question', 'answer': 'answer'}}),
        ({'image': 1, 'query': 'What?', 'label': ['red'], 'id': 'x'}, (), {'format': 'columns', 'columns': {'image': 'image', 'question': 'query', 'answer': 'label', 'id': 'id'}}),
        ({'pic': 1, 'q': 'What?', 'a': 'red'}, ('image=pic', 'question=q', 'answer=a'), {'format': 'columns', 'columns': {'image': 'pic', 'question': 'q', 'answer': 'a'}}),
        ({'images': [1], 'texts': [{'user': 'What?', 'assistant': 'red'}]}, (), {'format': 'messages'}),
        ({'images': [1], 'messages': [{'role': 'user', 'content': '<image>What?'}, {'role': 'assistant', 'content': 'red'}]}, (), {'format': 'messages'}),
        ({'image': 1, 'conversations': [{'from': 'human', 'value': '<image>\nWhat?'}, {'from': 'gpt', 'value': 'red'}]}, (), {'format': 'llava'}),
    ],
)
def test_parquet_from_the_hub_is_read_where_it_lies(front, tmp_path, row, words, wanted):
    picture = drawn('red')
    values = {name: picture if value == 1 else [picture] if value == [1] else value for name, value in row.items()}
    data = datasets.Dataset.from_list([values] * 4)
    (tmp_path / 'hub/data').mkdir(parents=True)
    data.to_parquet(str(tmp_path / 'hub/data/train-00000-of-00001.parquet'))
    named = [word for one in words for word in ('--column', one)]
    code, told, err = front('convert', tmp_path / 'hub', '--out', tmp_path / 'o', *named)
    assert code == 0, err
    assert '4 row(s) in 1 file(s), read where they lie' in told
    entry = yaml.safe_load((tmp_path / 'o/recipe.yaml').read_text())['sources']['o']
    assert {name: entry.get(name) for name in wanted} == wanted
    assert json.loads((tmp_path / 'o/books.json').read_text()) == {'in': 4, 'in_place': {'data/train-00000-of-00001.parquet': 4}}
    assert (tmp_path / 'o/data').resolve() == tmp_path / 'hub'
    source = accepted(front, tmp_path / 'o')
    assert (source['records'], source['faults']) == (4, [])
    assert source['pictures'] == '1 of 1', 'one picture, four times'


# --- whole or not there ---


def test_it_never_overwrites_and_leaves_nothing_where_nothing_can_be_used(front, tmp_path, photos):
    (tmp_path / 't.csv').write_text('image,question,answer\nnone.png,What?,x\n' * 4, 'utf-8')
    code, _, err = front('convert', tmp_path / 't.csv', '--images', photos, '--out', tmp_path / 'o')
    assert code == 2
    assert 'IMAGE_MISSING' in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ['photos', 'secret.png', 't.csv']
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full/mine.txt').write_text('mine')
    code, _, err = front('convert', tmp_path / 't.csv', '--images', photos, '--out', tmp_path / 'full')
    assert code == 2
    assert 'found one that holds something' in err
    assert (tmp_path / 'full/mine.txt').read_text() == 'mine'


@pytest.mark.parametrize(('name', 'text'), [('a.json', '{"conversations": []}'), ('a.json', '[]'), ('a.json', ''), ('a.txt', 'x'), ('none.csv', None), ('a.json', '{"images": [')])
def test_what_is_none_of_the_kinds_is_told(front, tmp_path, name, text):
    if text is not None:
        (tmp_path / name).write_text(text)
    code, out, err = front('convert', tmp_path / name, '--out', tmp_path / 'o')
    assert (code, out) == (2, '')
    assert 'expected' in err
    assert 'Traceback' not in err


def test_pictures_must_be_named_for_coco(front, tmp_path, photos):
    code, _, err = front('convert', coco(tmp_path / 'c.json', [{'image_id': 1, 'caption': 'x'}]), '--out', tmp_path / 'o')
    assert code == 2
    assert '--images: expected the folder of the pictures that c.json is about, found none' in err
