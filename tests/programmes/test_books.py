"""A build of four small sources by a user's command: nothing is lost, everything left out is explained, the snapshots open."""

import hashlib
import json
from collections import Counter

import duckdb
import pandas as pd
import pytest
from datasets import load_dataset

from pipelines.look.show import show_build
from schemas.snapshot import open_snapshot, row_digest, snapshot_id
from tests.programmes.project import PDF, RECORDS, picture, rows_of

KINDS = ('mix', 'triples')


def columns(snapshot, part='data'):
    """Return the rows without pictures."""
    return [{name: value for name, value in row.items() if name != 'images'} for row in rows_of(snapshot, part)]


def line(snapshot, unit, source):
    found = [entry for entry in open_snapshot(snapshot).manifest['yield'] if (entry['unit'], entry['source']) == (unit, source)]
    assert len(found) == 1, f'{unit} of {source}: {found}'
    return found[0]


@pytest.mark.parametrize('kind', KINDS)
def test_the_books_of_the_manifest_are_those_of_the_rejection_files(built, kind):
    counted = Counter((row['unit'], row['source'], row['reason']) for row in rows_of(built.out / kind, 'rejections'))
    booked = {(entry['unit'], entry['source'], reason): n
              for entry in open_snapshot(built.out / kind).manifest['yield'] for reason, n in entry['rejected'].items()}
    assert counted == booked
    for entry in open_snapshot(built.out / kind).manifest['yield']:
        assert entry['n_in'] == entry['kept'] + sum(entry['rejected'].values()), entry


@pytest.mark.parametrize('source', RECORDS)
def test_every_record_of_the_files_is_kept_or_rejected_once(built, source):
    snapshot = built.out / 'mix'
    rejected = [row['id'] for row in rows_of(snapshot, 'rejections') if (row['unit'], row['source']) == ('record', source)]
    samples = [row['id'] for row in rows_of(snapshot, 'rejections') if (row['unit'], row['source']) == ('sample', source)]
    samples += [row['sample_id'] for row in rows_of(snapshot) if row['source'] == source]
    read = {sample.rpartition('/')[0] for sample in samples}
    assert len(set(rejected)) == len(rejected)
    assert not read & set(rejected)
    assert len(read) + len(rejected) == RECORDS[source]
    assert line(snapshot, 'record', source)['n_in'] == RECORDS[source]
    assert line(snapshot, 'record', source)['kept'] == len(read)


@pytest.mark.parametrize('source', RECORDS)
def test_every_sample_is_a_row_or_a_rejection_and_never_both(built, source):
    snapshot = built.out / 'mix'
    kept = [row['sample_id'] for row in rows_of(snapshot) if row['source'] == source]
    out = [row['id'] for row in rows_of(snapshot, 'rejections') if (row['unit'], row['source']) == ('sample', source)]
    booked = line(snapshot, 'sample', source)
    assert len({*kept, *out}) == len(kept) + len(out) == booked['n_in']
    assert booked['kept'] == len(kept)


@pytest.mark.parametrize(('source', 'n'), [('shapes', 34), ('charts', 20), ('photos', 13)])
def test_every_distinct_picture_is_counted_once(built, source, n):
    assert line(built.out / 'mix', 'image', source)['n_in'] == n


@pytest.mark.parametrize('source', RECORDS)
def test_every_candidate_is_a_triple_or_a_rejection(built, source):
    snapshot = built.out / 'triples'
    kept = [row['triple_id'] for row in columns(snapshot) if row['source'] == source]
    out = [row['id'] for row in rows_of(snapshot, 'rejections') if (row['unit'], row['source']) == ('candidate', source)]
    booked = line(snapshot, 'candidate', source)
    assert len({*kept, *out}) == len(kept) + len(out) == booked['n_in'] > 0
    assert booked['kept'] == len(kept)
    mixed = sum(row['source'] == source for row in columns(built.out / 'mix'))
    assert line(snapshot, 'sample', source)['n_in'] == mixed


def test_every_planted_fault_is_explained_and_nothing_else_was_left_out(built, project):
    explained = {(row['unit'], row['id']): row['reason'] for row in rows_of(built.out / 'mix', 'rejections')}
    assert explained == project.planted


def test_a_rejection_says_enough_to_look_at_it(built):
    for row in rows_of(built.out / 'mix', 'rejections'):
        assert row['detail'], row
        assert str(built.out.parent) not in json.dumps(row), 'a folder of this machine would be part of the id'


def test_a_kept_row_has_the_bytes_of_its_own_source_file(built, project):
    seen = 0
    for row in rows_of(built.out / 'mix'):
        number = row['ordinal']
        match row['source']:
            case 'shapes':
                name = json.loads((project.root / 'shapes/shapes.json').read_text())[number]['image']
                expected = [(project.root / 'shapes' / name).read_bytes()]
            case 'charts':
                expected = [(project.root / f'charts/imgs/c{number}.jpg').read_bytes()]
            case 'photos':
                expected = [picture(f'p{number}')]
            case _:
                expected = []
        assert [image['bytes'] for image in row['images']] == expected, row['sample_id']
        assert row['image_ids'] == [hashlib.sha256(data).hexdigest() for data in expected]
        seen += len(expected)
    assert seen == 62
    assert PDF not in [image['bytes'] for row in rows_of(built.out / 'mix') for image in row['images']]


def test_a_triple_keeps_picture_prompt_and_answer_of_its_mix_row(built):
    mix = {row['sample_id']: row for row in rows_of(built.out / 'mix')}
    triples = rows_of(built.out / 'triples')
    assert len(triples) > 190
    for row in triples:
        of = mix[row['sample_id']]
        assert row['images'] == of['images']
        assert row['prompt'] + row['chosen'] == of['messages']
        assert row['rejected'] != row['chosen']
    assert {row['generator'] for row in triples} == {'rules', 'paper'}


def test_a_picture_is_never_in_two_splits(built):
    clusters = {split: {i for path in open_snapshot(built.out / 'mix').shards(split) for ids in pd.read_parquet(path)['cluster_ids'] for i in ids}
                for split in ('train', 'validation')}
    assert all(clusters.values())
    assert not clusters['train'] & clusters['validation']


@pytest.mark.parametrize('kind', KINDS)
def test_the_id_can_be_computed_from_the_snapshot_alone(built, kind):
    snapshot = open_snapshot(built.out / kind)
    kept = [row_digest(row) for row in reversed(columns(snapshot.path))]
    rejected = [row_digest(row) for row in columns(snapshot.path, 'rejections')]
    assert snapshot_id(kept, rejected) == snapshot.snapshot_id
    assert snapshot_id(kept[1:], rejected) != snapshot.snapshot_id
    assert snapshot_id(kept, rejected[1:]) != snapshot.snapshot_id


@pytest.mark.parametrize('kind', KINDS)
def test_the_manifest_has_the_checksum_rows_and_bytes_of_every_file(built, kind):
    snapshot = open_snapshot(built.out / kind)
    listed = {entry['file']: entry for entry in snapshot.manifest['shards'] + snapshot.manifest['rejections']}
    cases = {'calibration/cases.parquet'} if kind == 'triples' else set()  # no rows: its checksum stands among the extras
    assert {path.relative_to(snapshot.path).as_posix() for path in snapshot.path.rglob('*.parquet')} == set(listed) | cases
    assert cases <= {entry['file'] for entry in snapshot.manifest['extras']}
    for name, entry in listed.items():
        data = (snapshot.path / name).read_bytes()
        assert (entry['sha256'], entry['bytes']) == (hashlib.sha256(data).hexdigest(), len(data))
        assert entry['rows'] == len(pd.read_parquet(snapshot.path / name))


@pytest.mark.parametrize('kind', KINDS)
def test_datasets_pandas_and_duckdb_open_the_snapshot_and_agree(built, kind, tmp_path):
    folder = built.out / kind
    opened = load_dataset(str(folder), cache_dir=str(tmp_path))
    assert set(opened) == {'train', 'validation'}
    rows = [row for split in opened.values() for row in split]
    with_image = [row for row in rows if row['images']]
    assert all(image.size[0] >= 24 and image.convert('RGB') for row in with_image for image in row['images'])
    frame = pd.concat([pd.read_parquet(path) for path in sorted((folder / 'data').glob('*.parquet'))])
    counted = duckdb.sql(f"select source, count(*), sum(len(images)) from '{folder}/data/*.parquet' group by source order by source").fetchall()
    by_source = frame.groupby('source')['images']
    assert counted == [(source, len(images), sum(map(len, images))) for source, images in by_source]
    assert len(rows) == len(frame)
    assert len(with_image) == sum(n for _, _, n in counted)


def test_the_command_prints_the_books_and_both_snapshots(built):
    told = built.told.stdout
    for word in ('little: mix', 'little: triples', 'DUPLICATE_SAMPLE 1', 'IMAGE_TRUNCATED 1', 'mix: sealed', 'triples: sealed', 'better than chance'):
        assert word in told, told
    assert 'mix_rows' in built.told.stderr, 'progress goes to standard error'
    assert 'Traceback' not in built.told.stderr


def test_show_prints_it_all_again_from_the_snapshots_alone(built, capsys):
    show_build(built.out)
    told = capsys.readouterr().out
    for word in ('DUPLICATE_SAMPLE 1', 'IMAGE_TRUNCATED 1', 'the judge on planted cases', 'better than chance', f'phantom gallery {built.out}/triples'):
        assert word in told, told
