"""The demo's real data, mixed: everything planted in them gets what its entry expects, and no row changes its picture."""

import hashlib
import json
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines.demo import write_demo_data
from schemas.snapshot import open_snapshot
from tests.programmes.project import REPOSITORY, phantom, rows_of, run

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('demo_mix')]


@pytest.fixture(scope='session')
def data(tmp_path_factory) -> Path:
    return write_demo_data(tmp_path_factory.mktemp('demo') / 'data').root


@pytest.fixture(scope='session')
def mix(data, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('demo-mix') / 'out'
    told = run([phantom(), 'build', str(REPOSITORY / 'recipes/demo.yaml'), '--out', str(out), '--root', str(data), '--mix-only', '--set', 'rate=null'])  # no server
    assert told.returncode == 0, told.stdout + told.stderr
    return out / 'mix'


@pytest.fixture(scope='session')
def kept(mix) -> dict[str, list[dict]]:
    """Record id -> its rows."""
    rows = defaultdict(list)
    for row in rows_of(mix):
        rows[row['sample_id'].rpartition('/')[0]].append(row)
    return rows


@pytest.fixture(scope='session')
def reasons(mix) -> dict[str, set[str]]:
    """Record id, or picture reference -> the reasons it, its samples or its picture were rejected for."""
    found = defaultdict(set)
    for row in rows_of(mix, 'rejections'):
        found[row['id'].rpartition('/')[0] if row['unit'] == 'sample' else row['id']].add(row['reason'])
    return found


def record_id(address: str) -> str:
    """Return the id of a record of planted.json: `shapes/shapes.json#3` -> `shapes/shapes/shapes.json#3`."""
    return f'{address.partition("/")[0]}/{address}'


def cases(data: Path, kind: str = '') -> list[dict]:
    return [case for case in json.loads((data / 'planted.json').read_text()) if not kind or case['kind'] == kind]


def test_every_planted_case_ends_as_its_entry_says(data, kept, reasons):
    wrong = []
    for case in cases(data):
        ids = [record_id(address) for address in case['records']]
        n_kept = sum(record in kept for record in ids)
        expected = {'keep_all': len(ids), 'keep_one': 1, 'reject': 0}[case['expected']]
        told = set().union(*(reasons[record] for record in ids if record not in kept), set())
        if n_kept != expected or (n_kept < len(ids) and not told <= set(case['reasons'])) or (n_kept < len(ids) and not told):
            wrong.append(f'{case["kind"]} {ids}: expected {case["expected"]} {case["reasons"]}, found {n_kept} kept, {told or "no reason"}')
    assert wrong == []


def test_all_fifty_twins_survive_each_with_its_own_picture(data, kept):
    twins = cases(data, 'twin')
    assert len(twins) == 50
    for case in twins:
        rows = [kept[record_id(address)] for address in case['records']]
        assert all(len(some) == 1 for some in rows), case['note']
        pictures = [tuple(some[0]['image_ids']) for some in rows]
        answers = [some[0]['messages'][-1]['content'][0]['text'] for some in rows]
        assert len(set(pictures)) == len(pictures) == 2, case['note']
        assert len(set(answers)) == 2, case['note']


def test_all_twenty_leaks_are_found_with_their_benchmark_item(data, mix):
    found = {row['id'].rpartition('/')[0]: row['detail'] for row in rows_of(mix, 'rejections') if row['reason'] == 'CONTAMINATED'}
    leaks = {record_id(case['records'][0]): case['benchmark_item'] for case in cases(data, 'contaminated')}
    assert len(leaks) == 20
    assert leaks == {record: json.loads(found[record])['item_id'] for record in leaks}
    assert set(found) == set(leaks), 'nothing else is called contaminated'


def test_no_sample_ever_changes_its_picture(data, mix, kept):
    emoji = pq.read_table(data / 'emoji/train-00000-of-00001.parquet').to_pylist()
    shapes = json.loads((data / 'shapes/shapes.json').read_text())
    charts = [json.loads(line) for line in (data / 'charts/train.jsonl').read_text().splitlines()]
    seen = 0
    for record, rows in kept.items():
        source, number = record.partition('/')[0], int(record.rpartition('#')[2])
        match source:
            case 'emoji':
                expected = [emoji[number]['image']['bytes']]
            case 'shapes':
                expected = [(data / 'shapes' / shapes[number]['image']).read_bytes()]
            case 'charts':
                expected = [(data / 'charts' / name).read_bytes() for name in charts[number]['image']]
            case _:
                expected = []
        for row in rows:
            assert row['image_ids'] == [hashlib.sha256(image).hexdigest() for image in expected], record
            assert [image['bytes'] for image in row['images']] == expected, record
            seen += len(expected)
    assert seen > 1000


def test_the_books_cover_every_record_of_the_five_sources(data, mix):
    booked = {entry['source']: entry for entry in open_snapshot(mix).manifest['yield'] if entry['unit'] == 'record'}
    written = {entry['name']: entry['records'] for entry in json.loads((data / 'demo.json').read_text())['sources']}
    assert {source: entry['n_in'] for source, entry in booked.items()} == written
    assert sum(written.values()) >= 1500
