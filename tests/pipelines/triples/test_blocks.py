"""A shard of thousands of samples, asked in blocks: what is held at once, what a stop keeps, and what a killed one asks again."""

import hashlib
import json
from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.chat import blocks
from pipelines.chat.asker import Asker
from pipelines.chat.blocks import in_blocks
from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.triples.calibration import JudgePlanted
from pipelines.triples.candidates import ProposeCandidates
from pipelines.triples.picks import PICKS
from pipelines.triples.verdicts import JudgeCandidates
from schemas.errors import BudgetExceeded, PendingWork
from schemas.recipe import Budget, Generator, Judge, Model
from schemas.replies import Failure, Reply, TokenLogprob
from tests.programmes.project import picture
from tests.promises import promise

N, BLOCK = 20, 6  # samples of a shard, and requests of a block here
SEEING = Model.model_validate({'model': 'm', 'revision': '1', 'images': True})


@dataclass
class FakeAsker:
    """Answers all it is asked; remembers the sizes of the blocks, in requests and in bytes of pictures."""

    models: dict = field(default_factory=lambda: {'m': SEEING})
    sizes: list = field(default_factory=list)
    served: Counter = field(default_factory=Counter)
    pending: tuple = ()  # blocks that fail

    def begin(self, step):
        self.served.clear()

    def close(self):
        pass

    def ask(self, model, by_source, *, give_up):
        requests = [request for some in by_source.values() for request in some]
        self.sizes.append((len(requests), sum(len(image.data) for request in requests for image in request.images)))
        if len(self.sizes) - 1 in self.pending:
            raise PendingWork(f'block {len(self.sizes) - 1}: no reply')
        return {request.key: reply(request) for request in requests}


def reply(request):
    text = json.dumps({'incorrect': f'no boat {request.key[:6]}', 'ambiguous': 'perhaps'})
    top = (('Yes', -0.5), ('No', -1.0))
    return Reply(request.key, 'm', '1', 'Yes' if 'structured_outputs' in request.body else text, 'stop', 1, 1, logprobs=(TokenLogprob('Yes', -0.5, top),))


@pytest.fixture(scope='module')
def shard(tmp_path_factory):
    """Return (picks, mix) of one shard of N samples, each with a picture of its own."""
    folder = tmp_path_factory.mktemp('shard')
    shown = [picture(f'p{at}') for at in range(N)]
    rows = [
        {'sample_id': f's/a#{at}/0', 'source': 's', 'answers': 'open', 'image_ids': [hashlib.sha256(data).hexdigest()],
         'images': [{'bytes': data, 'path': 'x.png'}], 'messages': [
            {'role': 'user', 'content': [{'type': 'image', 'text': None}, {'type': 'text', 'text': f'What is at {at}?'}]},
            {'role': 'assistant', 'content': [{'type': 'image', 'text': None}, {'type': 'text', 'text': f'boat {at}'}][1:]}]}
        for at, data in enumerate(shown)]
    pq.write_table(pa.Table.from_pylist(rows), folder / 'mix.parquet')
    picks = Table(folder / 'picks')
    picks.path.mkdir()
    chosen = [{'sample_id': f's/a#{at}/0', 'source': 's', 'split': 'train', 'file': 0, 'row': at, 'n_bytes': 1, 'prompts': ['0']} for at in range(N)]
    pq.write_table(pa.Table.from_pylist(chosen, PICKS), picks.path / 'part-00000.parquet')
    (picks.path / 'pool.json').write_text('{}')
    return picks, (str(folder / 'mix.parquet'),)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, 'BLOCK_CALLS', BLOCK)


def proposing(shard, asker):
    return ProposeCandidates(shard[0], (0,), (Generator.model_validate({'prompt': 'grounded', 'model': 'm'}),), {'m': SEEING}, False, shard[1], asker)


def judging(shard, candidates, asker):
    return JudgeCandidates(candidates, shard[0], Judge.model_validate({'model': 'm', 'mode': 'yes_no'}), {'m': SEEING}, False, (), shard[1], asker)


def test_candidates_and_verdicts_are_the_same_in_one_block_and_in_many(shard, tmp_path, monkeypatch):
    made = {}
    for name, size in (('many', BLOCK), ('one', 1000)):
        monkeypatch.setattr(blocks, 'BLOCK_CALLS', size)
        asker = FakeAsker()
        candidates = make_here(proposing(shard, asker), tmp_path / name)
        verdicts = make_here(judging(shard, candidates, asker), tmp_path / name)
        planted = make_here(JudgePlanted(shard[0], ('s',), 9, 0.0, judging(shard, candidates, asker).judge, {'m': SEEING}, False, shard[1], asker), tmp_path / name)
        made[name] = [table.read().to_pylist() for table in (candidates, verdicts, planted)]
    assert made['many'] == made['one']
    assert [row['candidate_id'] for row in made['one'][1]] == [row['candidate_id'] for row in made['one'][0]]
    assert len(made['one'][0]) == 2 * N


def test_no_more_pictures_are_held_than_a_block_has_room_for(shard, tmp_path, monkeypatch):
    """A picture's bytes are held in the request that shows it and nowhere else; a block is full with the one that reaches the bound."""
    sizes = [len(picture(f'p{at}')) for at in range(N)]
    monkeypatch.setattr(blocks, 'BLOCK_BYTES', sum(sizes) // 6)
    monkeypatch.setattr(blocks, 'BLOCK_CALLS', 1000)
    asker = FakeAsker()
    candidates = make_here(proposing(shard, asker), tmp_path)
    assert len(asker.sizes) >= 5
    assert max(n_bytes for _, n_bytes in asker.sizes) < sum(sizes) // 6 + max(sizes)
    asker.sizes.clear()
    make_here(judging(shard, candidates, asker), tmp_path)
    assert max(n for n, _ in asker.sizes) < N, 'several requests show one picture, and each counts'


def test_items_are_read_no_further_than_a_block():
    read = []
    items = (read.append(at) or at for at in range(10 * BLOCK))
    found = in_blocks(items, lambda item: ())
    assert next(found) == list(range(BLOCK))
    assert len(read) == BLOCK


def test_a_block_that_waits_keeps_no_other_from_being_asked(shard, tmp_path):
    asker = FakeAsker(pending=(1,))
    with pytest.raises(PendingWork, match='block 1'):
        make_here(proposing(shard, asker), tmp_path)
    assert [n for n, _ in asker.sizes] == [6, 6, 6, 2]


def test_only_one_process_asks_a_server_and_rules_ask_none(shard):
    asker = FakeAsker()
    assert proposing(shard, asker).at_once() == 1
    assert judging(shard, shard[0], asker).at_once() == 1
    assert ProposeCandidates(shard[0], (0,), (Generator(prompt='rules'),), {}, False, shard[1], asker).at_once() is None
    assert JudgeCandidates(shard[0], shard[0], Judge(), {}, False, (), shard[1], asker).at_once() is None


def test_who_asks_a_model_in_its_own_process_says_so(shard, tmp_path):
    here = SEEING.model_copy(update={'backend': 'vllm', 'base_urls': []})
    of = {backend: Asker({'m': model}, Budget(), str(tmp_path), str(tmp_path)) for backend, model in (('vllm', here), ('openai', SEEING))}
    assert [proposing(shard, of[backend]).holds_model() for backend in of] == [True, False]
    assert [judging(shard, shard[0], of[backend]).holds_model() for backend in of] == [True, False]


@dataclass
class Server:
    """A chat backend that answers `lives` requests and then ends its process, or fails."""

    lives: int
    how: BaseException | None = None
    asked: list = field(default_factory=list)
    capabilities: frozenset = frozenset()

    def complete(self, requests, hear):
        for request in requests:
            if len(self.asked) == self.lives and self.how is not None:
                raise self.how
            failing = len(self.asked) >= self.lives
            self.asked.append(request.key)
            outcome = Failure(request.key, 'transport', 'HTTP 503', True, 'm', '1', status=503) if failing else reply(request)
            hear(outcome)
            yield outcome

    def close(self):
        pass


def asked_by(tmp_path, server, **budget):
    asker = Asker({'m': SEEING}, Budget(**budget), str(tmp_path / 'replies'), str(tmp_path / 'ledger'))
    asker._backends['m'] = server
    return asker


@promise('Power cuts and kills', 'A shard of thousands of samples that is killed asks nothing again that was stored.', samples=N)
def test_a_killed_shard_asks_again_only_what_was_not_stored(shard, tmp_path, monkeypatch):
    monkeypatch.setattr('pipelines.chat.ask.STORE_EVERY', 4)
    killed = Server(15, KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        make_here(proposing(shard, asked_by(tmp_path, killed)), tmp_path)
    again = Server(10**6)
    table = make_here(proposing(shard, asked_by(tmp_path, again)), tmp_path)
    assert len(killed.asked) == 15
    assert len(again.asked) == N - 15, 'what came back before the kill lies in the store'
    assert not set(again.asked) & set(killed.asked)
    assert table.read().num_rows == 2 * N


def test_what_came_before_the_budget_was_spent_is_kept(shard, tmp_path):
    with pytest.raises(BudgetExceeded):
        make_here(proposing(shard, asked_by(tmp_path, Server(10**6), requests=8)), tmp_path)
    again = Server(10**6)
    make_here(proposing(shard, asked_by(tmp_path, again)), tmp_path)
    assert len(again.asked) == N - 8


def test_what_came_while_other_calls_failed_is_kept(shard, tmp_path):
    with pytest.raises(PendingWork):
        make_here(proposing(shard, asked_by(tmp_path, Server(9))), tmp_path)
    again = Server(10**6)
    make_here(proposing(shard, asked_by(tmp_path, again)), tmp_path)
    assert len(again.asked) == N - 9
