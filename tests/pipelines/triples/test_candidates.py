"""What becomes of a model's proposals: which are the same again, and where each first differs from the right answer."""

import json
from collections import Counter
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.triples.candidates import ProposeCandidates
from pipelines.triples.picks import PICKS
from schemas.recipe import Generator, Model
from schemas.replies import Reply


@dataclass
class FakeAsker:
    """Gives the same two answers to every request."""

    said: tuple[str, str]
    served: Counter = field(default_factory=Counter)

    def begin(self, step):
        self.served.clear()

    def close(self):
        pass

    def ask(self, model, by_source, *, give_up):
        text = json.dumps(dict(zip(('incorrect', 'ambiguous'), self.said)))
        return {request.key: Reply(request.key, 'm', '1', text, 'stop', 1, 1) for some in by_source.values() for request in some}


@pytest.fixture
def propose(tmp_path):
    def ask(answer, *said):
        messages = [{'role': role, 'content': [{'type': 'text', 'text': text}]} for role, text in (('user', 'Which language is it?'), ('assistant', answer))]
        row = {'sample_id': 's/a#0/0', 'source': 's', 'answers': 'open', 'messages': messages, 'image_ids': pa.scalar([], pa.list_(pa.string())).as_py(), 'images': []}
        pq.write_table(pa.Table.from_pylist([row]), tmp_path / 'mix.parquet')
        picks = Table(tmp_path / 'picks')
        picks.path.mkdir()
        pick = {'sample_id': 's/a#0/0', 'source': 's', 'split': 'train', 'file': 0, 'row': 0, 'n_bytes': 1, 'prompts': ['0']}
        pq.write_table(pa.Table.from_pylist([pick], PICKS), picks.path / 'part-00000.parquet')
        models = {'m': Model.model_validate({'model': 'm', 'revision': '1'})}
        generate = (Generator.model_validate({'prompt': 'grounded', 'model': 'm'}),)
        step = ProposeCandidates(picks, (0,), generate, models, False, (str(tmp_path / 'mix.parquet'),), FakeAsker(said))
        table = make_here(step, tmp_path / 'made')
        return table.read().to_pylist(), table.read('rejections').to_pylist()

    return ask


@pytest.mark.parametrize(('one', 'other'), [('C#', 'C++'), ('5 > 3', '5 != 3'), ('10²', '102'), ('x + a', 'x − a'), ('😀', '🎉')])
def test_proposals_that_differ_in_a_sign_are_two(propose, one, other):
    rows, rejected = propose('Java', one, other)
    assert ([row['rejected'] for row in rows], rejected) == ([one, other], [])


@pytest.mark.parametrize(('one', 'other'), [('Python', 'python.'), ('Python', '**Python**'), ('x − a', 'x - a'), ('the first one', 'first one')])
def test_the_same_words_again_are_one(propose, one, other):
    rows, rejected = propose('Java', one, other)
    assert [row['rejected'] for row in rows] == [one]
    assert [row['reason'] for row in rejected] == ['DUPLICATE_CANDIDATE']


def test_a_candidate_says_where_it_first_differs_from_the_right_answer(propose):
    rows, _ = propose('a language with classes', 'a language with macros', 'no language')
    assert [row['differs_at'] for row in rows] == [3, 0]
