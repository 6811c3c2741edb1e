"""Picks of thousands of samples: what is written is read once, and rounds ask as many samples as they always did."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.step import make_here
from pipelines.triples import picks as picks_file
from pipelines.triples.candidates import ProposeCandidates
from pipelines.triples.picks import GROUP_ROWS, DoubtedRoom, LeaveUnasked, MixFile, PickSamples, Room, read_groups, read_pool
from pipelines.triples.wrong_labels import MixNote
from schemas.errors import UserError
from schemas.rating import RATINGS_FILE
from schemas.recipe import Generator

ROWS = 100  # to a shard here
N = 3 * ROWS + 7
FOOTER_BYTES = 2048  # of a group of picks: seven columns, without the first and last values of each


def said(at):
    return [{'role': role, 'content': [{'type': 'text', 'text': text}]} for role, text in (('user', f'How many boats of {at}?'), ('assistant', str(at % 14)))]


@pytest.fixture(scope='module')
def mix(tmp_path_factory):
    """Return the one file of a mix."""
    rows = [{'sample_id': f's/a#{at}/0', 'source': 's', 'n_bytes': 10, 'answers': 'exact', 'messages': said(at), 'image_ids': ['x'][:0]} for at in range(N)]
    schema = pa.Table.from_pylist([rows[0] | {'image_ids': ['x']}]).schema
    path = tmp_path_factory.mktemp('mix') / 'mix.parquet'
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=90)
    return path


def picked(mix, folder, **settings):
    fields = {'rooms': (Room((), None),), 'max_samples': {}, 'exactly': {}, 'sources': ('s',), 'seed': '1', **settings}
    return make_here(PickSamples(files=(MixFile(mix.name, 'train', '0' * 64),), folder=str(mix.parent), **fields), folder)


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(picks_file, 'GROUP_ROWS', ROWS)


@pytest.fixture
def opened(monkeypatch):
    """Return the paths of the Parquet files that are opened to read picks."""
    paths = []

    class Counted(pq.ParquetFile):
        def __init__(self, path, *args, **kwargs):
            paths.append(str(path))
            super().__init__(path, *args, **kwargs)

    monkeypatch.setattr(picks_file.pq, 'ParquetFile', Counted)
    return paths


def test_a_recipe_that_leaves_no_sample_to_ask_about_is_refused(mix, tmp_path):
    with pytest.raises(UserError, match=rf'found none of {N} in the mix; see generate\[\].sources, generate\[\].max_samples and triples.max_samples'):
        picked(mix, tmp_path, max_samples={'s': 0})


def test_only_samples_with_a_known_wrong_label_are_picked_for_it_and_no_other_prompt_takes_that_for_right(mix, tmp_path):
    (mix.parent / 'ratings').mkdir()
    rows = [{'sample_id': f's/a#{at}/0', 'ask': 'correct', 'score': at / 100, 'by': 'x', 'proposed': 'right', 'proposed_p': 1.0} for at in range(9)]
    pq.write_table(pa.Table.from_pylist(rows), mix.parent / RATINGS_FILE)
    doubted = DoubtedRoom(('s',), 2, 0.05, 0.9, (MixNote(RATINGS_FILE, ''),))
    picks = picked(mix, tmp_path, rooms=(Room((), None), doubted))
    prompts = {row['sample_id']: row['prompts'] for row in picks.read().to_pylist()}
    assert sorted(prompts.values()).count(['1']) == 2
    assert {name for name, some in prompts.items() if some == ['1']} < {f's/a#{at}/0' for at in range(5)}
    assert len(prompts) == N - 3, 'of three that are wrong the recipe wants no triples'
    assert set(picks.read('controls')['sample_id'].to_pylist()) == {f's/a#{at}/0' for at in range(5, N)}


def test_picks_are_opened_once_however_many_shards_there_are(mix, tmp_path, opened):
    picks = picked(mix, tmp_path)
    part = str(picks.parts()[0])
    groups = tuple(group.number for group in read_groups(picks))
    assert len(groups) == 4
    opened.clear()
    candidates = make_here(ProposeCandidates(picks, groups, (Generator(prompt='rules'),), {}, False, (str(mix),), Nobody()), tmp_path)
    assert opened.count(part) == 1
    unasked = make_here(LeaveUnasked(picks, groups), tmp_path)
    assert opened.count(part) == 2
    assert candidates.read().num_rows == unasked.read('rejections').num_rows == N
    assert len(candidates.parts()) == len(groups)


class Nobody:
    """An asker of whom nothing is asked."""

    def __init__(self):
        self.served = {}

    def begin(self, step):
        self.served.clear()

    def close(self):
        pass


def test_the_footer_of_picks_grows_by_shards_and_not_by_samples(mix, tmp_path):
    picks = picked(mix, tmp_path)
    with pq.ParquetFile(picks.parts()[0]) as file:
        assert file.num_row_groups == -(-N // ROWS)
        assert file.metadata.serialized_size < file.num_row_groups * FOOTER_BYTES
    assert GROUP_ROWS >= 1000, 'thousands of samples to a shard: at the paper size 220,000 files were made of 64'


def test_a_round_asks_what_it_wants_and_never_fewer_than_64_samples(mix, tmp_path):
    few = picked(mix, tmp_path / 'few', exactly={'s': 3}, max_samples={'s': 200})
    assert [(group.round, group.source) for group in read_groups(few)] == [(0, 's'), (1, 's'), (2, 's'), (3, 's')]
    with pq.ParquetFile(few.parts()[0]) as file:
        assert [file.metadata.row_group(number).num_rows for number in range(4)] == [64, 64, 64, 8]
    many = picked(mix, tmp_path / 'many', exactly={'s': 100})
    with pq.ParquetFile(many.parts()[0]) as file:
        found = [(group.round, file.metadata.row_group(group.number).num_rows) for group in read_groups(many)]
    assert found == [(0, 100), (0, 25), (1, 100), (1, 25), (2, 57)], 'a round of 125 samples is two shards of at most 100'


def test_a_pool_is_drawn_by_lot_whatever_the_files_of_the_mix(mix, tmp_path, monkeypatch):
    monkeypatch.setattr(picks_file, 'POOL', 20)
    pool = read_pool(picked(mix, tmp_path / 'one'))
    halves = pq.read_table(mix)
    for name, half in (('a.parquet', halves.slice(0, 150)), ('b.parquet', halves.slice(150))):
        pq.write_table(half, tmp_path / name)
    files = tuple(MixFile(name, 'train', '0' * 64) for name in ('a.parquet', 'b.parquet'))
    step = PickSamples(files, (Room((), None),), {}, {}, ('s', 'empty'), '1', str(tmp_path))
    other = json.loads((make_here(step, tmp_path / 'two').path / 'pool.json').read_text())
    assert other == pool | {'empty': []}
    assert len(pool['s']) == 20
    assert all(answer == str(int(question.split()[-1][:-1]) % 14) for question, answer in pool['s'])
