"""`phantom cost`: what calls cost, by step and model, as the ledger tells it."""

from dataclasses import asdict

import pytest

from pipelines.engine.going import Going
from pipelines.engine.progress import Watching, note_of
from pipelines.look.spent import spent_in
from pipelines.replies.ledger import Ledger, _line, _read_entry
from pipelines.replies.spending import Spending, about_models
from schemas.recipe import Budget, Model
from tests.pipelines.replies.test_store import reply
from tests.test_front_door import build_at, refused, the_object

PRICED = Model(backend='openai', model='m', revision='r1', base_urls=['http://127.0.0.1:1/v1'], price_prompt=2.0, price_completion=10.0)


@pytest.fixture
def build(tmp_path):
    """A working folder in which two steps asked; each reply has 11 prompt tokens and 3 of its own."""
    out, work = tmp_path / 'out', tmp_path / 'out/work'
    work.mkdir(parents=True)
    (work / '.lock-a').touch()
    ledger = Ledger(work / 'ledger', Budget(), [PRICED])
    for step, some in (('candidates', range(4)), ('verdicts', range(3, 10))):  # one reply serves both, and is paid once
        ledger.step = step
        ledger.charge('s', [reply(n) for n in some])
    return out, work


def test_each_step_and_model_has_its_line(build, front):
    out, work = build
    Watching(work, note_of(work, out, 0), about=about_models({'judge': PRICED}))._say()
    found = the_object(front('cost', out, '--json'), 'cost')
    assert [(line['step'], line['model'], line['requests'], line['prompt_tokens'], line['completion_tokens']) for line in found['lines']] == [
        ('candidates', 'm', 4, 44, 12), ('verdicts', 'm', 6, 66, 18)]
    assert [round(line['money'], 9) for line in found['lines']] == [0.000208, 0.000312]
    assert (found['total']['requests'], round(found['total']['money'], 9)) == (10, 0.00052)
    told = front('cost', out)[1]
    assert 'verdicts' in told
    assert '0.0005' in told


def test_money_is_unknown_where_nobody_says_the_prices(build, front):
    assert spent_in(build[0])['total']['money'] is None
    assert 'unknown' in front('cost', build[0])[1]


def test_the_seconds_of_a_step_are_those_of_all_its_runs(build, front):
    out, work = build
    note = note_of(work, out, 0)
    Watching(work, note)._say(now=asdict(Going('verdicts', 1, 4, 10, 60.0, 0.5, calls=7)), making=['verdicts/a'])  # killed
    watching = Watching(work, note)
    watching._add(Going('verdicts', 4, 4, 40, 30.0, 1.0, calls=5))
    watching._say(now=None)
    assert spent_in(out)['steps'] == [{'step': 'verdicts', 'seconds': 90.0, 'rows': 60, 'calls': 12}]
    assert 'verdicts: 2 min, 60 row(s), 12 call(s) answered' in front('cost', out)[1]


def test_lines_of_the_version_before_count_for_no_step(tmp_path):
    before = Ledger(tmp_path / 'a', Budget())
    before.charge('s', [reply(1)])
    [path] = (tmp_path / 'a').glob('*.jsonl')
    entry = _read_entry(path.read_bytes())
    (tmp_path / 'b').mkdir()
    (tmp_path / 'b/x.jsonl').write_text(_line(entry[:-1]))
    assert Ledger(tmp_path / 'b', Budget()).by_step() == {('', 'm', 'r1'): Ledger(tmp_path / 'a', Budget()).spent()}
    (tmp_path / 'b/x.jsonl').write_text(_line(entry[:-1]).replace(' 11,', ' 12,'))
    assert Ledger(tmp_path / 'b', Budget()).by_step() == {}, 'its check sum is looked at'


def test_a_sealed_build_whose_work_is_gone_is_one_message(front, tmp_path):
    out = build_at(tmp_path / 'out', 'triples')
    assert 'expected the working folder of a build, found none' in refused(front('cost', out))


def test_who_watches_sees_what_others_spend(build):
    spending = Spending(build[1] / 'ledger', {'judge': PRICED})
    before = spending()
    Ledger(build[1] / 'ledger', Budget()).charge('s', [reply(20)])
    assert (spending() - before).requests == 1
    assert Spending(build[1] / 'none', {'judge': PRICED})() is None
    assert not (build[1] / 'none').exists()
