"""Records made to break a reader, through a whole mix build: each is one rejection with its reason, and the good ones are sealed."""

import json
import os

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.build import Way, build_all
from schemas.recipe import Recipe
from tests.programmes.project import picture, rows_of
from tests.promises import promise

pytestmark = pytest.mark.integration


def talk(question='<image>\nWhat is in the picture?', answer='A block of wood.'):
    return [{'from': 'human', 'value': question}, {'from': 'gpt', 'value': answer}]


def row(image='a.png', **more):
    return json.dumps({'image': image, 'conversations': talk(**more)})


LINES = [  # (line, reason of its rejection or None)
    (row(), None),
    ('{"a":' * 100_000, 'RECORD_MALFORMED'),
    ('[' * 200_000 + ']' * 200_000, 'RECORD_MALFORMED'),
    ('{"deep": ' + '[' * 600 + ']' * 600 + ', "n": NaN, "image": 1}', 'RECORD_MALFORMED'),
    ('{"conversations": NaN, "x": 1e999, "image": Infinity}', 'RECORD_MALFORMED'),
    ('{"image": "../x", "image": "a.png", "conversations": []}', 'ROLES_NOT_ALTERNATING'),
    (row(answer='half \ud83d a pair'), 'RECORD_MALFORMED'),
    (row('\ud83d.png'), 'RECORD_MALFORMED'),
    (json.dumps({'\ud83d': 1}), 'RECORD_MALFORMED'),
    (row('a\0.png'), 'IMAGE_REFERENCE_UNSAFE'),
    (row(question='<image>\nA NUL \0 in the text?'), None),
    (row('C:\\x\\a.png'), 'IMAGE_REFERENCE_UNSAFE'),
    (row('img\\a.png'), 'IMAGE_REFERENCE_UNSAFE'),
    (row('http://169.254.169.254/a.png'), 'IMAGE_REFERENCE_UNSAFE'),
    (row('file:///etc/passwd'), 'IMAGE_REFERENCE_UNSAFE'),
    (row('/etc/passwd'), 'IMAGE_REFERENCE_UNSAFE'),
    (row('x/../../../etc/passwd'), 'IMAGE_REFERENCE_UNSAFE'),
    (row('out.png'), 'BAD_IMAGE'),  # a link that leads out of the root
    (row('pipe.png'), 'BAD_IMAGE'),  # opening it would wait for ever
    (row(['a.png'] * 3000, question='<image>' * 3000), 'RECORD_TOO_LARGE'),
    (row({'bytes': 'zzz', 'path': 'x'}), 'RECORD_MALFORMED'),
    (json.dumps({'image': 'a.png', 'conversations': [{'from': ['human'], 'value': 'x'}] * 2}), 'RECORD_MALFORMED'),
    (row(question='<image>' + 'q' * 300_000), 'RECORD_TOO_LARGE'),
    ('9' * 6000, 'RECORD_MALFORMED'), ('null', 'RECORD_MALFORMED'), ('{"image": 1' + '0' * 5000 + '}', 'RECORD_MALFORMED'),
    (row('n' * 5000 + '.png'), 'BAD_IMAGE'),
    (row('./././a.png', answer='Dots do no harm.'), None),
]


@promise('Hostile files', 'Each hostile record is one rejection; the good ones beside it are sealed.', records=len(LINES))
def test_every_hostile_record_is_one_rejection_and_the_good_ones_are_sealed(tmp_path):
    root = tmp_path / 'data'
    (root / 'img').mkdir(parents=True)
    (root / 'img/a.png').write_bytes(picture('a'))
    (root / 'secret.png').write_bytes(picture('secret'))
    (root / 'img/out.png').symlink_to(root / 'secret.png')
    os.mkfifo(root / 'img/pipe.png')
    text = b'\xef\xbb\xbf' + b'\r\n'.join(line.encode() for line, _ in LINES) + b'\r\n\r\n\xff\xfe{}\r\n'
    (root / 'lines.jsonl').write_bytes(text)
    mixed = pa.array([b'Find x.', b'\xff\xfe', b'Find y.', b'Find z.'], pa.binary()).view(pa.string())
    pq.write_table(pa.table({'instruction': mixed, 'output': ['1', '2', '3', None]}), root / 'rows.parquet')
    recipe = Recipe.model_validate({'name': 'hostile', 'sources': {
        'lines': {'format': 'llava', 'licence': 'MIT', 'annotations': ['lines.jsonl'], 'images': ['img']},
        'rows': {'format': 'instruction', 'licence': 'MIT', 'annotations': ['rows.parquet']}}})
    build_all(recipe, tmp_path / 'out', Way(root=root, mix_only=True))
    expected = {n: reason for n, (_, reason) in enumerate(LINES)} | {len(LINES): 'RECORD_MALFORMED'}
    rejected = {r['id']: r['reason'] for r in rows_of(tmp_path / 'out/mix', 'rejections') if r['unit'] != 'image'}
    assert {n: rejected.get(f'lines/lines.jsonl#{n}', rejected.get(f'lines/lines.jsonl#{n}/0')) for n in expected} == expected
    assert rejected['rows/rows.parquet#1'] == 'RECORD_MALFORMED'
    assert rejected['rows/rows.parquet#3/0'] == 'EMPTY_ANSWER'
    assert len(rows_of(tmp_path / 'out/mix')) == sum(reason is None for reason in expected.values()) + 2
    for content in (r['content'] for r in rows_of(tmp_path / 'out/mix', 'rejections') if r['content']):
        json.loads(content)
