"""`phantom clean` without --replies keeps what was paid for, whatever form it lies in."""

import pytest

from pipelines.look.clean import clean_build
from tests.promises import promise


@pytest.mark.parametrize('paid', [
    'replies/segments/a.jsonl', 'replies/packs/a.parquet', 'replies/packs/a.parquet.damaged', 'batches/batch-0.jsonl', 'batches/batch-0.batch.json',
    'ledger/a.jsonl',
])  # fmt: skip
@promise('Disks', 'What was paid for stays when a build is cleaned, also where it cannot be read any more, until --replies is given')
def test_what_was_paid_for_stays_whether_it_can_be_read_or_not(tmp_path, paid):
    work = tmp_path / 'work'
    for name, data in {paid: b'damaged', 'index/0/part-00000.parquet': b'rows', '.lock-a': b''}.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        (work / name).write_bytes(data)
    told = clean_build(tmp_path, work, with_snapshots=False, with_replies=False)
    assert 'kept: ' in told
    assert (work / paid).read_bytes() == b'damaged'
    assert not (work / 'index').exists()
    assert 'kept: ' not in clean_build(tmp_path, work, with_snapshots=False, with_replies=True)
    assert not work.exists()


def test_a_work_folder_without_anything_paid_goes_whole(tmp_path):
    for name in ('replies/segments', 'replies/packs', 'batches', 'ledger'):
        (tmp_path / 'work' / name).mkdir(parents=True)
    (tmp_path / 'work/.lock-a').touch()
    assert clean_build(tmp_path, tmp_path / 'work', with_snapshots=False, with_replies=False) == f'{tmp_path}: removed work'
