"""The order of rows, and what is left out."""

from itertools import islice

import pytest

from model.phantom.build import build_scratch
from model.training.branches import EncodedRow
from model.training.data import Distinct, Drop, RowFilter, batch_shares, encode_row, endless_rows, epoch_rows, list_groups
from model.training.settings import load_preset
from schemas.errors import UserError
from schemas.snapshot import open_snapshot
from tests.model.training.snapshots import make_row, write_snapshot

ROWS = [make_row(index) for index in range(30)]


@pytest.fixture(scope='module')
def groups(tmp_path_factory):
    folder = write_snapshot(tmp_path_factory.mktemp('snap') / 's', ROWS, shards=2, group=4)
    return list_groups(open_snapshot(folder))


@pytest.fixture(scope='module')
def processor():
    return build_scratch(load_preset('tiny').model, seed=0)[1]


def ids(rows) -> list[str]:
    return [row['triple_id'] for row in rows]


def test_an_epoch_holds_every_row_once_in_an_order_of_its_own(groups):
    first, second = (ids(epoch_rows(groups, seed=1, epoch=epoch, window=3)) for epoch in (0, 1))
    assert sorted(first) == sorted(second) == sorted(ids(ROWS))
    assert first != second
    assert first == ids(epoch_rows(groups, seed=1, epoch=0, window=3))
    assert first != ids(epoch_rows(groups, seed=2, epoch=0, window=3))


@pytest.mark.parametrize('start', [0, 1, 11, 29, 30, 47])
def test_a_stream_begun_in_the_middle_goes_on_exactly(groups, start):
    whole = ids(islice(endless_rows(groups, seed=1, window=3), 70))
    assert ids(islice(endless_rows(groups, seed=1, window=3, start=start), 20)) == whole[start : start + 20]


def test_processes_share_each_batch_without_overlap(groups, processor):
    def shares(rank: int, world: int):
        stream = endless_rows(groups, seed=1, window=3)
        return batch_shares(stream, processor, RowFilter(), batch=6, rank=rank, world=world)

    alone, first, second = (next(shares(rank, world)) for rank, world in ((0, 1), (0, 2), (1, 2)))
    names = [row.row for row in alone.rows]
    assert [row.row for row in first.rows] == names[0::2]
    assert [row.row for row in second.rows] == names[1::2]


BAD = {**ROWS[0], 'images': [{'bytes': b'not an image', 'path': None}]}
MANY = {**ROWS[0], 'images': ROWS[0]['images'] * 2}


@pytest.mark.parametrize(
    ('row', 'wanted', 'reason', 'detail'),
    [
        (BAD, RowFilter(), 'BAD_IMAGE', 'not one of'),
        (MANY, RowFilter(), 'IMAGE_PARTS', 'expected 2 image parts, found 1'),
        (ROWS[0], RowFilter(max_length=20), 'TOO_LONG', '> 20'),
        ({**ROWS[1], 'rejected': ROWS[1]['chosen']}, RowFilter(), 'SAME_ANSWERS', 'the same'),
        (ROWS[1], RowFilter(kinds=('ambiguous',)), 'KIND', 'incorrect'),
        (ROWS[3], RowFilter(sources=('squares',)), 'SOURCE', 'sums'),
        (ROWS[1], RowFilter(min_score=0.5), 'SCORE', '0.1 < 0.5'),
        ({**ROWS[1], 'score': float('nan')}, RowFilter(min_score=0.5), 'SCORE', 'nan'),
        ({**ROWS[1], 'score': None}, RowFilter(min_score=0.5), 'SCORE', 'None'),
    ],
    ids=['bad image', 'image parts', 'too long', 'same answers', 'kind', 'source', 'score', 'nan score', 'no score'],
)
def test_a_row_that_is_left_out_says_why(processor, row, wanted, reason, detail):
    drop = encode_row(row, processor, wanted)
    assert isinstance(drop, Drop)
    assert (drop.row, drop.reason) == (row['triple_id'], reason)
    assert detail in drop.detail


def test_a_kept_row_has_prompt_answers_and_tiles(processor):
    row = encode_row(ROWS[0], processor, RowFilter())
    assert isinstance(row, EncodedRow)
    text = processor.tokenizer.decode(row.prompt)
    context = '<IMG_CONTEXT>' * 16
    assert text == f'<|im_start|>user\n<img>{context}</img>What colour?<|im_end|><|im_start|>assistant\n'
    assert [processor.tokenizer.decode(answer) for answer in row.answers] == ['red<|im_end|>', 'green<|im_end|>']
    assert row.tiles.shape == (1, 3, 112, 112)


def test_of_the_triples_of_a_sample_one_stands_for_it_in_any_order(tmp_path):
    twins = [{**row, 'triple_id': row['triple_id'][:-1] + '2'} for row in ROWS[:10]]
    kept = []
    for name, rows in (('a', ROWS + twins), ('b', (ROWS + twins)[::-1])):
        groups = list_groups(open_snapshot(write_snapshot(tmp_path / name, rows, shards=3)))
        distinct = Distinct(groups, RowFilter())
        kept.append({row['triple_id'] for row in rows if row['triple_id'] in distinct})
    assert kept[0] == kept[1]
    assert sorted(name.split(':')[0] for name in kept[0]) == sorted(row['sample_id'] for row in ROWS)


def test_a_sample_stays_when_only_one_of_its_triples_is_wanted(tmp_path):
    rows = [{**ROWS[0], 'triple_id': f't{index}', 'score': float(index)} for index in range(6)]
    groups = list_groups(open_snapshot(write_snapshot(tmp_path / 's', rows)))
    distinct = Distinct(groups, RowFilter(min_score=5.0))
    assert [row['triple_id'] for row in rows if row['triple_id'] in distinct] == ['t5']


def test_a_damaged_shard_is_named(tmp_path):
    folder = write_snapshot(tmp_path / 's', ROWS)
    shard = next((folder / 'data').iterdir())
    shard.write_bytes(shard.read_bytes()[:100])
    with pytest.raises(UserError, match=r'train-00000-of-00001.parquet: expected [\d,]+ bytes, found 100'):
        list_groups(open_snapshot(folder))


def test_one_flipped_bit_stops_the_reading_at_its_shard(tmp_path):
    folder = write_snapshot(tmp_path / 's', ROWS, shards=2, group=4)
    shard = sorted((folder / 'data').iterdir())[1]
    data = bytearray(shard.read_bytes())
    data[data.index(b'What colour?')] ^= 1  # Parquet's own reader notices nothing
    shard.write_bytes(data)
    groups = list_groups(open_snapshot(folder))
    with pytest.raises(UserError, match='train-00001-of-00002.parquet: expected sha256 .* changed since it was sealed'):
        list(islice(endless_rows(groups, seed=0, window=1), len(ROWS)))
