"""Each kind of damage is found, and named by file and row."""

import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.look.verify import verify_snapshot
from pipelines.snapshot.diff import diff_snapshots
from pipelines.snapshot.exports.export import export_snapshot
from pipelines.snapshot.parquet import with_features
from pipelines.snapshot.verify import find_faults
from schemas.errors import UserError
from schemas.records import LATER_COLUMNS, TRIPLE_ROWS
from schemas.snapshot import file_sha256, look_at, open_snapshot
from tests.pipelines.snapshot import sealed
from tests.pipelines.snapshot.sealed import picture, rejection, sample, says, seal_rows, triple, write_rows

SHARD = 'data/train-00000-of-00001.parquet'
RED, BLUE = picture('red'), picture('blue', 'JPEG')


def rows():
    return [triple(0, images=[RED]), triple(1), triple(2, images=[RED, BLUE]), triple(3, images=[BLUE])]


def faults_of(folder):
    return [str(fault) for fault in find_faults(look_at(folder))]


def test_a_whole_snapshot_has_no_fault(tmp_path, capsys):
    mix = seal_rows(tmp_path / 'mix', 'mix', {'train': [[sample(0, images=[RED])], [sample(1)]], 'validation': [[sample(2, images=[BLUE])]]},
                    [rejection(7, 'DUPLICATE_SAMPLE', unit='sample')])
    triples = seal_rows(tmp_path / 'triples', 'triples', rows(), [rejection(9)])
    assert faults_of(mix) == faults_of(triples) == []
    assert verify_snapshot(triples) == 0
    assert '4 rows verified' in capsys.readouterr().out


@pytest.mark.parametrize(('change', 'row', 'told'), [
    ({'rejected': [says('assistant', 'right 1')]}, 1, 'differs from the chosen'),
    ({'chosen': [says('assistant', ' ')]}, 1, 'chosen: expected text, found an empty'),
    ({'rejected': []}, 1, 'rejected: expected one assistant message'),
    ({'prompt': [says('user', '<image>', 'And?')]}, 1, 'found 1, 0, 0 and 0'),
    ({'prompt': [says('user', 'a'), says('assistant', 'b')]}, 1, 'the last user'),
    ({'prompt': []}, 1, 'prompt: expected user and assistant in turn'),
    ({'score': float('nan')}, 1, 'finite score'),
    ({'kind': 'odd'}, 1, "found 'odd'"),
    ({'licence': ''}, 1, 'expected licence'),
    ({'triple_id': rows()[0]['triple_id']}, 1, 'an id of its own'),
    ({'triple_id': rejection(9)['id']}, None, 'rejected once and not kept'),
    ({'images': [{'bytes': BLUE, 'path': 'x'}]}, 0, 'expected bytes with sha256'),
    ({'images': [{'bytes': None, 'path': 'x'}]}, 0, 'expected bytes, found none'),
])
def test_a_bad_row_is_named(tmp_path, change, row, told):
    """The snapshot is sealed over the bad row, so that only the row's own rule can find it."""
    some = rows()
    at = row or (1 if row is None else 0)
    some[at] = {**some[at], **change}
    found = faults_of(seal_rows(tmp_path / 's', 'triples', some, [rejection(9)]))
    assert found
    assert all(told in fault or 'as path' in fault for fault in found)
    place = f'{SHARD}, row {row}:' if row is not None else 'rejections/part-00000.parquet, row 0:'
    assert any(fault.startswith(place) and told in fault for fault in found)


def test_bytes_that_are_no_picture_are_named_with_their_row(tmp_path):
    cut = picture('green', side=64)[:-30]
    found = faults_of(seal_rows(tmp_path / 's', 'triples', [triple(0), triple(1, images=[cut])]))
    assert len(found) == 1
    assert found[0].startswith(f'{SHARD}, row 1:')
    assert 'expected a picture that decodes' in found[0]


def test_one_flipped_byte_of_a_picture_is_found_by_file_and_by_row(tmp_path):
    folder = seal_rows(tmp_path / 's', 'triples', rows())
    data = bytearray((folder / SHARD).read_bytes())
    data[data.index(RED) + len(RED) // 2] ^= 1
    (folder / SHARD).write_bytes(data)
    found = faults_of(folder)
    assert any(fault.startswith(f'{SHARD}: expected sha256') for fault in found)
    assert any(fault.startswith(f'{SHARD}, row 0:') and 'expected bytes with sha256' in fault for fault in found)


def test_a_changed_text_is_found_although_the_file_reads_well(tmp_path):
    folder = seal_rows(tmp_path / 's', 'triples', rows())
    some = rows()
    some[3] = {**some[3], 'rejected': [says('assistant', 'another')]}
    write_rows(folder / SHARD, some, with_features(TRIPLE_ROWS))
    found = faults_of(folder)
    assert any('expected sha256' in fault for fault in found)
    assert any(fault.startswith('manifest.json: expected snapshot id') for fault in found)


def test_a_manifest_made_to_fit_changed_rows_is_found_by_the_identity(tmp_path):
    folder = seal_rows(tmp_path / 's', 'triples', rows())
    write_rows(folder / SHARD, rows()[:3] + [triple(8, images=[BLUE])], with_features(TRIPLE_ROWS))
    manifest = json.loads((folder / 'manifest.json').read_text())
    manifest['shards'][0].update(sha256=file_sha256(folder / SHARD), bytes=(folder / SHARD).stat().st_size)
    (folder / 'manifest.json').write_text(json.dumps(manifest))
    assert [fault.split(' found')[0] for fault in faults_of(folder)] == [f'manifest.json: expected snapshot id {manifest["snapshot_id"]},']


def test_a_truncated_a_missing_and_a_strange_file_are_named(tmp_path):
    whole = seal_rows(tmp_path / 'whole', 'triples', {'train': [rows()[:2], rows()[2:]]})
    for damage, told in (('cut', 'does not open'), ('gone', 'expected a file, found none'), ('more', 'found one more'), ('link', 'found a link')):
        folder = tmp_path / damage
        shutil.copytree(whole, folder)
        shard = folder / 'data/train-00001-of-00002.parquet'
        if damage == 'cut':
            shard.write_bytes(shard.read_bytes()[:-100])
        elif damage == 'gone':
            shard.unlink()
        elif damage == 'link':
            shard.unlink()
            shard.symlink_to(whole / 'data/train-00001-of-00002.parquet')
        else:
            shard = shard.with_name('train-00002-of-00002.parquet')
            shutil.copy(folder / 'data/train-00000-of-00002.parquet', shard)
        assert any(fault.startswith(f'data/{shard.name}: ') and told in fault for fault in faults_of(folder)), damage


def test_a_page_that_cannot_be_read_names_its_rows(tmp_path):
    folder = seal_rows(tmp_path / 's', 'triples', rows())
    column = pq.ParquetFile(folder / SHARD).metadata.row_group(0)
    at = next(column.column(i) for i in range(column.num_columns) if column.column(i).path_in_schema == 'triple_id')
    data = bytearray((folder / SHARD).read_bytes())
    start = at.dictionary_page_offset or at.data_page_offset
    data[start:start + at.total_compressed_size] = b'\xff' * at.total_compressed_size
    (folder / SHARD).write_bytes(data)
    assert any('rows 0 to 3 (row group 0)' in fault for fault in faults_of(folder))


def test_another_schema_and_wrong_counts_are_named(tmp_path):
    folder = seal_rows(tmp_path / 's', 'triples', rows())
    table = pq.read_table(folder / SHARD).drop_columns(['licence']).append_column('extra', [[1, 2, 3, 4]])
    pq.write_table(table, folder / SHARD)
    found = faults_of(folder)
    assert any("expected a column 'licence', found none" in fault for fault in found)
    assert any("expected no column 'extra'" in fault for fault in found)


def test_books_that_do_not_fit_the_rows_are_found(tmp_path):
    folder = seal_rows(tmp_path / 's', 'triples', rows(), [rejection(9)])
    manifest = json.loads((folder / 'manifest.json').read_text())
    line = manifest['yield'][0]
    line['kept'], line['n_in'], line['rejected'] = 5, 7, {'LOW_MARGIN': 1, 'SURPLUS': 1}
    (folder / 'manifest.json').write_text(json.dumps(manifest))
    found = faults_of(folder)
    assert 'manifest.json: expected as many rows as candidates kept in the books (5), found 4' in found
    assert 'manifest.json: expected 1 candidate(s) of shapes rejected for SURPLUS, found 0' in found


def test_a_picture_in_both_splits_is_found(tmp_path):
    folder = seal_rows(tmp_path / 's', 'mix', {'train': [[sample(0, images=[RED])]], 'validation': [[sample(1, images=[RED])]]})
    assert faults_of(folder) == ['manifest.json: expected no picture in both train and validation, found 1 group(s) of near-equal pictures in both']


def test_a_reason_out_of_the_list_and_an_unknown_unit_are_named(tmp_path):
    folder = seal_rows(tmp_path / 's', 'triples', rows(), [rejection(9), rejection(10, 'JUST_SO'), {**rejection(11), 'unit': 'thing'}])
    found = faults_of(folder)
    assert any(fault.startswith('rejections/part-00000.parquet, row 1:') and "found 'JUST_SO'" in fault for fault in found)
    assert any(fault.startswith('rejections/part-00000.parquet, row 2:') and "found 'thing'" in fault for fault in found)


def test_a_manifest_that_names_files_outside_is_refused_unread(tmp_path):
    folder = seal_rows(tmp_path / 's', 'triples', rows())
    manifest = json.loads((folder / 'manifest.json').read_text())
    manifest['shards'][0]['file'] = '../outside.parquet'
    (folder / 'manifest.json').write_text(json.dumps(manifest))
    assert faults_of(folder) == ["manifest.json: expected file names inside the snapshot, found '../outside.parquet'"]


@pytest.mark.parametrize(('change', 'told'), [
    ({'shards': None}, 'manifest.json: shards: expected a list, found None'), ({'kind': 'other'}, "manifest.json: expected kind mix or triples, found 'other'"),
    ({'shards': [{'file': 'a', 'sha256': 'b' * 64, 'bytes': -1, 'split': 'train', 'rows': 1}]}, 'manifest.json: shards[0]: bytes: expected a number from 0 on, found -1'),
    ({'rejections': ['a']}, "manifest.json: rejections[0]: expected file, sha256, bytes, split, rows, found 'a'"),
    ({'yield': [{'unit': 'sample', 'source': 's', 'n_in': 1, 'kept': 1, 'rejected': {'X': 'one'}}]},
     "manifest.json: yield[0]: rejected: expected numbers by name, found {'X': 'one'}"),
    ({'snapshot_id': 7}, 'manifest.json: snapshot_id: expected a text, found 7'),
])  # fmt: skip
def test_a_manifest_of_another_form_is_refused_before_anything_is_read(tmp_path, change, told):
    folder = seal_rows(tmp_path / 's', 'triples', rows())
    manifest = json.loads((folder / 'manifest.json').read_text())
    (folder / 'manifest.json').write_text(json.dumps({**manifest, **change}))
    assert faults_of(folder) == [told]
    (folder / 'manifest.json').write_text('[]')
    assert verify_snapshot(folder) == 1
    with pytest.raises(UserError, match='expected an object'):
        open_snapshot(folder)


def test_a_card_of_another_snapshot_is_named(tmp_path):
    folder = seal_rows(tmp_path / 's', 'triples', rows())
    (folder / 'README.md').write_text('# another')
    assert faults_of(folder)[0].startswith('README.md: expected a card that names snapshot ')
    (folder / 'README.md').unlink()
    assert faults_of(folder)[0].endswith('found none')


def test_damage_ends_with_exit_code_one_and_no_snapshot_with_a_message(tmp_path, capsys):
    folder = seal_rows(tmp_path / 's', 'triples', [triple(0, licence='')])
    assert verify_snapshot(folder) == 1
    assert 'do not train on it' in capsys.readouterr().out
    with pytest.raises(UserError, match=r'expected manifest\.json'):
        verify_snapshot(tmp_path)


def test_a_place_of_the_first_difference_that_is_not_theirs_is_found(tmp_path):
    wrong = {**triple(0), 'chosen': [says('assistant', 'a red car')], 'rejected': [says('assistant', 'a blue car')], 'differs_at': 0}
    assert [fault for fault in faults_of(seal_rows(tmp_path / 's', 'triples', [wrong])) if 'expected differs_at 1, found 0' in fault]


def test_triples_sealed_before_their_answers_were_compared_word_by_word_are_still_whole(tmp_path):
    older = pa.schema([column for column in TRIPLE_ROWS if column.name not in LATER_COLUMNS])
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sealed.SCHEMAS, 'triples', older)
        folder = seal_rows(tmp_path / 's', 'triples', [{name: row[name] for name in older.names} for row in rows()])
    assert 'differs_at' not in pq.read_schema(folder / SHARD).names
    assert faults_of(folder) == []
    for target in ('trl', 'jsonl', 'ms-swift'):
        assert export_snapshot(folder, target, tmp_path / target)['rows'] == len(rows())
    assert diff_snapshots(folder, seal_rows(tmp_path / 'now', 'triples', rows())).changed == 0
