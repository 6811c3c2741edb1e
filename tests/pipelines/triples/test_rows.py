"""The files of the triples: each row is its mix row, its candidate and its verdict, whatever the order and the parts they come from."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import pipelines.snapshot.parquet
from pipelines.engine.step import make_here
from schemas.errors import UserError
from schemas.records import TRIPLE_ROWS
from schemas.snapshot import row_digest
from tests.pipelines.snapshot.sealed import picture, says
from tests.pipelines.triples.few import candidate, few, verdict

PICTURES = {('s', n): [picture(colour) for colour in colours] for n, colours in {2: ['red'], 3: ['red', 'blue'], 30: ['green']}.items()}


def some_triples(folder, parts=3):
    """Two candidates of each of forty samples, three judges of which one gave replies, some with pictures."""
    rows = [candidate(n, f'wrong "{n}"\n', source=source, attempt=attempt) for attempt in range(2) for source in 'st' for n in range(20 + 20 * (source == 's'))]
    verdicts = [verdict(of, number % 7 - 1.5, scores=json.dumps({'second': 1e-7 * number}), reply_keys=['', f'{number:064}'][: number % 3])
                for number, of in enumerate(rows)]  # fmt: skip
    return rows, verdicts, few(folder, rows, verdicts, parts=parts, images=PICTURES)


def expected(some, candidate, verdict):
    """Return the row that a candidate becomes."""
    mix = pq.read_table(some.mix[candidate['file']]).to_pylist()[candidate['row']]
    return {
        **{name: mix[name] for name in TRIPLE_ROWS.names if name in mix},
        'prompt': mix['messages'][:-1], 'chosen': mix['messages'][-1:], 'rejected': [says('assistant', candidate['rejected'])],
        'triple_id': candidate['candidate_id'], 'kind': candidate['kind'], 'generator': candidate['generator'], 'differs_at': candidate['differs_at'],
        **{name: verdict[name] for name in ('judge', 'score', 'scores')},
        'reply_keys': [key for key in [candidate['reply_key'], *verdict['reply_keys']] if key],
    }  # fmt: skip


def test_every_file_holds_its_rows_in_mix_order_with_their_digests(tmp_path, monkeypatch):
    monkeypatch.setattr(pipelines.snapshot.parquet, 'ROW_GROUP_ROWS', 9)
    rows, verdicts, some = some_triples(tmp_path)
    plan = make_here(some.selecting(shard_bytes=250), tmp_path)
    found, digests = [], []
    for number, chosen in enumerate(plan.read('shards')['chosen'].to_pylist()):
        table = make_here(some.writing(plan, chosen), tmp_path / f'file-{number}')
        file = pq.ParquetFile(table.parts()[0])
        assert all(file.metadata.row_group(at).num_rows <= 9 for at in range(file.num_row_groups))
        assert file.schema_arrow == TRIPLE_ROWS
        found += file.read().to_pylist()
        digests += table.read('digests')['digest'].to_pylist()
    kept = [(c, v) for c, v in zip(rows, verdicts, strict=True) if v['score'] > 0]
    wanted = [expected(some, *of) for of in sorted(kept, key=lambda of: (of[0]['file'], of[0]['row'], of[0]['candidate_id']))]
    assert len(found) > 50
    assert found == wanted
    assert digests == [row_digest({name: value for name, value in row.items() if name != 'images'}) for row in wanted]


def test_a_file_says_which_rows_it_holds_and_changes_only_with_them(tmp_path):
    """A threshold that leaves out candidates of one source leaves the files of the other as they are; where files end is decided over all."""
    rows, verdicts, some = some_triples(tmp_path)
    late = [{**of, 'differs_at': 9 if of['source'] == 't' and of['row'] % 2 else 0} for of in rows]
    some = few(tmp_path / 'late', late, verdicts, parts=2)
    all_, early = (make_here(some.selecting(shard_bytes=200, differ_within=within), tmp_path / f'{within}').read('shards')['chosen'].to_pylist()
                   for within in (None, 5))  # fmt: skip
    assert len(all_) == len(early) == 6
    assert [a == b for a, b in zip(all_, early, strict=True)] == [True] * 4 + [False] * 2
    assert len(set(all_)) == 6


def test_a_picture_that_is_not_the_sealed_one_is_told_with_its_row(tmp_path):
    _, _, some = some_triples(tmp_path)
    changed = pq.read_table(some.mix[0])
    ids = changed['image_ids'].to_pylist()
    ids[3][1] = 'f' * 64
    pq.write_table(changed.set_column(changed.schema.get_field_index('image_ids'), 'image_ids', pa.array(ids)), some.mix[0], row_group_size=16)
    plan = make_here(some.selecting(), tmp_path)
    with pytest.raises(UserError, match='mix-0.parquet, row 3: expected a picture with sha256 ffff'):
        make_here(some.writing(plan, plan.read('shards')['chosen'][0].as_py()), tmp_path)
