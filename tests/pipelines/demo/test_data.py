"""The demo data parse as the formats they imitate, and everything planted among them really is what its entry claims."""

import hashlib
import io
import json
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from pipelines.demo import DemoSummary, write, write_demo_data
from pipelines.demo.bokeh_charts import bokeh_tables
from pipelines.demo.chart_questions import questions, value_question
from pipelines.demo.chart_table import ChartTable
from pipelines.demo.parts import ranked, seed_of
from pipelines.demo.pictures import phash, recoloured
from pipelines.demo.vega_charts import vega_tables
from schemas.errors import UserError
from schemas.records import Reason

# the project's near-duplicate threshold, of 64 bits (curation/selection/hamming.py)
NEAR_BITS = 7
# easy-vqa counts as a small picture source; everything else in the data is text or at least this wide
MIN_SIDE_PX = 48


@pytest.fixture(scope='module')
def summary(tmp_path_factory: pytest.TempPathFactory) -> DemoSummary:
    return write_demo_data(tmp_path_factory.mktemp('demo') / 'data')


@pytest.fixture(scope='module')
def root(summary: DemoSummary) -> Path:
    return summary.root


@pytest.fixture(scope='module')
def records(root: Path) -> dict[str, list[dict]]:
    emoji = pq.read_table(root / 'emoji/train-00000-of-00001.parquet').to_pylist()
    return {
        'shapes/shapes.json': json.loads((root / 'shapes/shapes.json').read_text('utf-8')),
        'charts/train.jsonl': _lines(root / 'charts/train.jsonl'),
        'emoji/train-00000-of-00001.parquet': emoji,
        'math/champ.json': json.loads((root / 'math/champ.json').read_text('utf-8')),
        'facts/facts.jsonl': _lines(root / 'facts/facts.jsonl'),
    }


@pytest.fixture(scope='module')
def planted(root: Path) -> list[dict]:
    return json.loads((root / 'planted.json').read_text('utf-8'))


def _lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text('utf-8').splitlines()]


def _record(records: dict[str, list[dict]], address: str) -> dict:
    file, ordinal = address.split('#')
    return records[file][int(ordinal)]


def _pair(record: dict) -> tuple[str, str]:
    """Return question and answer of a record of any source, without its image token."""
    if 'conversations' in record:
        texts = [turn['value'] for turn in record['conversations']]
    elif 'messages' in record:
        texts = [turn['content'] for turn in record['messages']]
    elif 'instruction' in record:
        texts = [record['instruction'], record['output']]
    else:
        texts = [record['question'], record['answer']]
    question, answer = texts
    return question.replace('<image>', '').replace('<|image|>', '').strip(), answer


def _bytes(root: Path, record: dict) -> bytes:
    """Return the bytes of the one picture of a record."""
    if 'conversations' in record:
        return (root / 'shapes' / record['image']).read_bytes()
    if 'messages' in record:
        return (root / 'charts' / record['image'][0]).read_bytes()
    return record['image']['bytes']


def _decoded(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert('RGB')


def _distance(one: bytes, other: bytes) -> int:
    return int((phash(_decoded(one)) != phash(_decoded(other))).sum())


def _of_kind(planted: list[dict], kind: str) -> list[dict]:
    return [case for case in planted if case['kind'] == kind]


def test_there_are_enough_records_over_five_sources_and_formats(summary, records):
    assert summary.records == sum(map(len, records.values())) >= 1500
    assert {source.name: len(records[source.annotation]) for source in summary.sources} == {
        source.name: source.records for source in summary.sources
    }
    assert len({source.form for source in summary.sources}) == 5
    assert all(source.licence for source in summary.sources)


def test_shapes_are_a_llava_list_with_images_by_relative_path(root, records):
    rows = records['shapes/shapes.json']
    assert len({row['id'] for row in rows}) == len(rows)
    for row in rows:
        assert set(row) == {'id', 'image', 'conversations'}
        human, gpt = row['conversations']
        assert (human['from'], gpt['from']) == ('human', 'gpt')
        assert human['value'].startswith('<image>\n') or human['value'].endswith('\n<image>')
        assert (root / 'shapes' / row['image']).exists() or row['image'] == 'images/not_there.png'
    # both places of the token occur, as in ShareGPT4V
    assert 0 < sum(row['conversations'][0]['value'].endswith('<image>') for row in rows) < len(rows) / 10


def test_charts_are_docowl_lines_with_a_list_of_image_paths(root, records):
    for row in records['charts/train.jsonl']:
        assert set(row) == {'image', 'messages', 'task_name', 'dataset_name'}
        assert [turn['role'] for turn in row['messages']] == ['user', 'assistant']
        assert row['messages'][0]['content'].startswith('<|image|>')
        assert row['messages'][0]['content'].count('<|image|>') == len(row['image']) == 1
        assert row['image'][0].startswith('./imgs/')
        assert (root / 'charts' / row['image'][0]).is_file()
    distinct = {hashlib.sha256(path.read_bytes()).hexdigest() for path in (root / 'charts').rglob('*.png')}
    assert len(distinct) >= 60


def test_emoji_open_as_a_datasets_image_column(root, records):
    schema = pq.read_schema(root / 'emoji/train-00000-of-00001.parquet')
    features = json.loads(schema.metadata[b'huggingface'])['info']['features']
    assert features['image'] == {'_type': 'Image'}
    formats = Counter(Image.open(io.BytesIO(row['image']['bytes'])).format for row in records['emoji/train-00000-of-00001.parquet'])
    assert formats['PNG'] > formats['JPEG'] > 20
    assert set(formats) == {'PNG', 'JPEG'}


def test_text_sources_have_whole_and_distinct_questions(records):
    maths = records['math/champ.json']
    assert all(set(row) == {'source', 'instruction', 'output'} for row in maths)
    assert all('@@' not in row['instruction'] + row['output'] and 'The answer is: ' in row['output'] for row in maths)
    facts = records['facts/facts.jsonl']
    assert all(set(row) == {'id', 'messages'} and 1 <= len(row['messages'][1]['content'].split()) <= 4 for row in facts)
    for rows in (maths, facts):
        questions = [_pair(row)[0] for row in rows]
        assert len(set(questions)) == len(questions)


def test_known_facts_are_right(records):
    known = dict(_pair(row) for row in records['facts/facts.jsonl'])
    assert known['What is the chemical symbol for gold?'] == 'Au'
    assert known['On which continent is the Netherlands?'] == 'Europe'
    assert known['Which country has the two-letter code GB?'] == 'United Kingdom'
    assert known['What is the two-letter country code of Switzerland?'] == 'CH'
    assert known['In which US state is the city of Chicago?'] == 'Illinois'
    assert known['Which company makes the car called Civic?'] == 'Honda'
    assert known['In which month is Independence Day in the United States?'] == 'July'


def test_exactly_fifty_twins_differ_in_the_picture_and_the_answer_but_not_in_the_question(root, records, planted):
    twins = _of_kind(planted, 'twin')
    assert len(twins) == 50
    assert Counter(case['source'] for case in twins) == {'shapes': 35, 'charts': 15}
    for case in twins:
        one, other = (_record(records, address) for address in case['records'])
        assert case['expected'] == 'keep_all'
        assert _pair(one)[0] == _pair(other)[0]
        assert _pair(one)[1] != _pair(other)[1]
        assert _decoded(_bytes(root, one)).tobytes() != _decoded(_bytes(root, other)).tobytes()
        # this is why they are planted: a perceptual hash takes most of them for one picture
    near = [_distance(*(_bytes(root, _record(records, address)) for address in case['records'])) <= NEAR_BITS for case in twins]
    assert sum(near) >= 45


def test_shape_twins_differ_in_the_colour_of_the_shape_only(root, records, planted):
    for case in _of_kind(planted, 'twin'):
        if case['source'] != 'shapes':
            continue
        one, other = (np.asarray(_decoded(_bytes(root, _record(records, address)))) for address in case['records'])
        ground = one[0, 0] if (one[0, 0] == one[-1, -1]).all() else one[0, -1]
        changed = (one != other).any(axis=-1)
        assert changed.any()
        assert ((one != ground).any(axis=-1) >= changed).all()


def test_chart_twins_differ_by_one_digit(records, planted):
    for case in _of_kind(planted, 'twin'):
        if case['source'] == 'charts':
            one, other = (_pair(_record(records, address))[1] for address in case['records'])
            assert len(one) == len(other)
            assert sum(a != b for a, b in zip(one, other, strict=True)) == 1


def test_no_other_shape_is_near_a_shape_twin(root, records, planted):
    """A twin may be dropped for its likeness to a third picture; none is alike enough for that to be right."""
    twins = {address for case in _of_kind(planted, 'twin') if case['source'] == 'shapes' for address in case['records']}
    hashes = {}
    for ordinal, row in enumerate(records['shapes/shapes.json']):
        if row['image'] != 'images/not_there.png':
            hashes[f'shapes/shapes.json#{ordinal}'] = (row['image'], phash(_decoded(_bytes(root, row))))
    pairs = {address: case['records'] for case in _of_kind(planted, 'twin') for address in case['records']}
    for twin in twins:
        for address, (_, bits) in hashes.items():
            if address not in pairs[twin]:
                assert int((bits != hashes[twin][1]).sum()) > NEAR_BITS, (twin, address)


def test_byte_identical_images_have_two_names_and_equal_bytes(root, records, planted):
    cases = _of_kind(planted, 'byte_identical_images')
    assert {case['source'] for case in cases} == {'shapes', 'charts', 'emoji'}
    for case in cases:
        one, other = (_record(records, address) for address in case['records'])
        assert case['files'][0] != case['files'][1]
        assert _bytes(root, one) == _bytes(root, other)
        assert (_pair(one) == _pair(other)) == (case['expected'] == 'keep_one')


def test_near_duplicates_have_other_bytes_and_are_near(root, records, planted):
    cases = _of_kind(planted, 'near_duplicate')
    assert {case['source'] for case in cases} == {'shapes', 'charts', 'emoji'}
    assert {case['expected'] for case in cases} == {'keep_one', 'keep_all'}
    for case in cases:
        one, other = (_record(records, address) for address in case['records'])
        assert _bytes(root, one) != _bytes(root, other)
        assert _distance(_bytes(root, one), _bytes(root, other)) <= NEAR_BITS, case
        assert (_pair(one) == _pair(other)) == (case['expected'] == 'keep_one')


def test_repeated_records_share_picture_question_and_answer(root, records, planted):
    cases = _of_kind(planted, 'repeated_record')
    assert {case['source'] for case in cases} == {'shapes', 'charts', 'emoji'}
    for case in cases:
        one, other = (_record(records, address) for address in case['records'])
        assert (_bytes(root, one), _pair(one)) == (_bytes(root, other), _pair(other))


def test_the_broken_records_are_broken_as_claimed_and_no_others_are(root, records, planted):
    broken = {case['kind']: case for case in planted if case['expected'] == 'reject' and case['kind'] != 'contaminated'}
    assert set(broken) == {'missing_image', 'wrong_image_count', 'truncated_image', 'empty_answer'}
    assert not (root / broken['missing_image']['files'][0]).exists()
    doubled = _record(records, broken['wrong_image_count']['records'][0])
    assert doubled['conversations'][0]['value'].count('<image>') == 2
    cut = (root / broken['truncated_image']['files'][0]).read_bytes()
    with pytest.raises(OSError, match='truncated'):
        _decoded(cut)
    assert _pair(_record(records, broken['empty_answer']['records'][0]))[1] == ''
    addresses = {address for case in broken.values() for address in case['records']}
    for file, rows in records.items():
        for ordinal, row in enumerate(rows):
            if f'{file}#{ordinal}' in addresses:
                continue
            assert all(_pair(row))
            if file.split('/')[0] in ('shapes', 'charts', 'emoji'):
                assert min(_decoded(_bytes(root, row)).size) >= MIN_SIDE_PX


def test_reasons_are_of_the_closed_list(planted):
    assert {reason for case in planted for reason in case['reasons']} <= {reason.value for reason in Reason}


def test_twenty_records_stand_in_the_benchmark_folder_and_the_other_items_do_not(root, records, planted):
    items = {item['id']: item for item in _lines(root / 'benchmark/items.jsonl')}
    leaks = _of_kind(planted, 'contaminated')
    clean = _of_kind(planted, 'clean_benchmark')
    assert len(leaks) == 20
    assert len({case['records'][0] for case in leaks}) == 20
    assert {case['benchmark_item'] for case in leaks + clean} == set(items)
    assert len(clean) == len(items) - 20 == 15
    assert {case['note'] for case in leaks} == {'same bytes', 'resized', 'JPEG', 'same text'}
    for case in leaks:
        item, row = items[case['benchmark_item']], _record(records, case['records'][0])
        assert (item['question'].lower(), item['answer']) == (_pair(row)[0].lower(), _pair(row)[1])
        if item['image']:
            assert _distance((root / 'benchmark' / item['image']).read_bytes(), _bytes(root, row)) <= NEAR_BITS
    texts = {_pair(row)[0] for row in records['math/champ.json']}
    hashes = _hashes(root, records)
    for case in leaks + clean:
        item = items[case['benchmark_item']]
        if item['image']:
            bits = phash(_decoded((root / 'benchmark' / item['image']).read_bytes()))
            near = [address for address, other in hashes.items() if int((bits != other).sum()) <= NEAR_BITS]
            # no other record is like a benchmark picture, in its own source or another
            assert near == case['records']
        else:
            assert (item['question'] in texts) == (case['kind'] == 'contaminated')


def _hashes(root: Path, records: dict[str, list[dict]]) -> dict[str, np.ndarray]:
    """Return the perceptual hash of every picture that decodes, by the address of its record."""
    found = {}
    for file, rows in records.items():
        for ordinal, row in enumerate(rows if file.split('/')[0] in ('shapes', 'charts', 'emoji') else []):
            broken = row.get('image') == 'images/not_there.png' or '_cut' in str(row['image'])
            if not broken:
                found[f'{file}#{ordinal}'] = phash(_decoded(_bytes(root, row)))
    return found


def test_no_record_is_planted_in_two_ways(planted):
    addresses = Counter(address for case in planted for address in case['records'])
    assert max(addresses.values()) == 1


def test_answers_about_charts_can_be_computed_again_from_the_table():
    """Each kind of question is answered here in another way than in the source."""
    table = ChartTable(
        name='t', origin='vega/t', kind='bar', title='T', measure='the price', label_word='year', labels_word='years',
        preposition='in', labels=('1990', '1991', '1992', '1993'), series=(('', (3.0, 1.5, 2.5, 9.0)),), decimals=1,
    )  # fmt: skip
    found = dict(questions(table, 99))
    assert found['what is the price in 1991?'] == '1.5'
    assert found['which year has the highest price?'] == '1993'
    assert found['which year has the lowest price?'] == '1991'
    assert len(found) == 9
    for question, answer in found.items():
        words = question.rstrip('?').split()
        if question.startswith('is '):
            values = dict(zip(table.labels, table.series[0][1], strict=True))
            assert answer == ('Yes' if values[words[4]] > values[words[-1]] else 'No')
        if question.startswith('for how many'):
            assert answer == str(sum(value > float(words[-1]) for value in (3.0, 1.5, 2.5, 9.0)))
        if question.startswith('by how much'):
            values = dict(zip(table.labels, table.series[0][1], strict=True))
            assert float(answer) == values[words[7]] - values[words[-1]] > 0


def test_every_chart_table_asks_value_questions_whose_answers_it_prints():
    tables = vega_tables() + bokeh_tables()
    assert len({table.name for table in tables}) == len(tables) >= 60
    for table in tables:
        for number, (_, values) in enumerate(table.series):
            assert value_question(table, number, table.labels[0])[1] == f'{values[0]:.{table.decimals}f}'
        assert all(answer for _, answer in questions(table, 4))


def test_recolouring_leaves_the_ground_and_mixes_the_edge():
    """Ground 200, shape 0, edge pixel halfway (100); the shape becomes 50, so the edge becomes (200 + 50) / 2 = 125."""
    image = Image.fromarray(np.array([[[200] * 3, [100] * 3, [0] * 3]], dtype=np.uint8))
    changed = recoloured(image, (200, 200, 200), (0, 0, 0), new=(50, 50, 50))
    assert np.asarray(changed)[0, :, 0].tolist() == [200, 125, 50]


def test_seeds_depend_on_words_only():
    """The first 8 bytes of sha256 of 'a', 0x1f, '1'."""
    assert seed_of('a', 1) == int.from_bytes(hashlib.sha256(b'a\x1f1').digest()[:8], 'big')
    assert ranked('abcdef', 'salt') == ranked('fedcba', 'salt') != list('abcdef')


def test_a_second_call_does_nothing_and_says_so(summary, root, monkeypatch):
    before = _tree(root)
    monkeypatch.setattr(write, '_write_all', _must_not_run)
    again = write_demo_data(root)
    assert not again.written
    assert again.sources == summary.sources
    assert 'complete already' in again.lines()[0]
    assert _tree(root) == before


def _must_not_run(folder: Path) -> dict:
    raise AssertionError(f'written again: {folder}')


def _tree(root: Path) -> dict[str, str]:
    files = sorted(path for path in root.rglob('*') if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.integration
def test_two_runs_give_the_same_bytes(root, tmp_path):
    assert _tree(write_demo_data(tmp_path / 'again').root) == _tree(root)


def test_a_folder_of_somebody_else_is_refused_untouched(tmp_path):
    (tmp_path / 'theirs.txt').write_text('x')
    with pytest.raises(UserError, match='expected a new or empty folder'):
        write_demo_data(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ['theirs.txt']


def test_a_partial_folder_of_somebody_else_is_refused_untouched(tmp_path):
    (tmp_path / 'data.partial').mkdir()
    (tmp_path / 'data.partial/theirs.txt').write_text('x')
    with pytest.raises(UserError, match='unfinished folder of ours'):
        write_demo_data(tmp_path / 'data')
    assert (tmp_path / 'data.partial/theirs.txt').exists()


def test_another_version_is_refused(tmp_path):
    (tmp_path / 'demo.json').write_text('{"version": 0}')
    with pytest.raises(UserError, match='expected version 1'):
        write_demo_data(tmp_path)


def test_a_kill_half_way_leaves_nothing_under_the_name_and_the_next_run_finishes(tmp_path, monkeypatch):
    monkeypatch.setattr(write, '_write_all', _dies)
    with pytest.raises(KeyboardInterrupt):
        write_demo_data(tmp_path / 'data')
    assert not (tmp_path / 'data').exists()
    monkeypatch.setattr(write, '_write_all', _writes_little)
    assert write_demo_data(tmp_path / 'data').written
    assert {path.name for path in (tmp_path / 'data').iterdir()} == {'demo.json'}
    assert not (tmp_path / 'data.partial').exists()


def _dies(folder: Path) -> dict:
    (folder / 'half').write_text('x')
    raise KeyboardInterrupt


def _writes_little(folder: Path) -> dict:
    return {'version': write.VERSION, 'sources': [], 'planted': {'cases': 0}, 'benchmark': {'items': 0}}


def test_a_missing_package_is_one_message_that_names_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'resvg_py', None)
    monkeypatch.delitem(sys.modules, 'pipelines.demo.emoji_drawings', raising=False)
    with pytest.raises(UserError, match=r"expected the package 'resvg_py'.*\[demo\]"):
        write_demo_data(tmp_path / 'data')


def test_a_disk_without_room_is_one_message(tmp_path, monkeypatch):
    monkeypatch.setattr(write, 'NEEDED_BYTES', 2**62)
    with pytest.raises(UserError, match='MB free'):
        write_demo_data(tmp_path / 'data')
    assert list(tmp_path.iterdir()) == []
