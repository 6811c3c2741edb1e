"""Samples rated by models: what is asked, what is measured, what is left out, and what nobody pays twice."""

import json
import re
import zlib
from dataclasses import dataclass

import pyarrow.parquet as pq
import pytest

from pipelines.build import Way, build_all
from pipelines.look.explain import explain
from pipelines.look.verify import verify_snapshot
from schemas.errors import BudgetExceeded, PendingWork, UserError
from schemas.recipe import load_recipe
from schemas.snapshot import open_snapshot
from tests.fakes import FakeChatServer, Script
from tests.programmes.project import N_FACTS, TRUTH, Project, city, ids, knowing_server, rows_of, write_project

pytestmark = pytest.mark.integration
WRONG = tuple(range(3, N_FACTS, 7))  # facts with the answer to another question
ALONE = ('contamination.benchmarks=[]', 'mix.validation_fraction=0', *(f'sources.{name}=null' for name in ('shapes', 'charts', 'photos')))


def fact(number):
    return f'facts/facts/facts.json#{number}/0'


def knowing(body):
    """Return the log-odds of a judge that knows every capital, and is more or less sure of it."""
    text = json.dumps(body)
    named, said = re.search(r'kingdom of (\w+)', text), re.search(r'Answer: (\w+)', text)
    if not (named and said):
        return 1.0
    unsure = (len(said[1]) * 7 + len(named[1]) * 3) % 10 / 10
    return 3 - unsure if TRUTH[named[1]] in said[1] else -3 + unsure


def tossing(body):
    """Return the log-odds of a judge that knows nothing."""
    return (hash_of(body) % 1000 - 500) / 200


def hash_of(body):
    return zlib.crc32(json.dumps(body, sort_keys=True).encode())


@pytest.fixture(scope='module')
def noisy(tmp_path_factory):
    """A project one in seven of whose facts has the answer to another question, built once without ratings."""
    project = write_project(tmp_path_factory.mktemp('noisy'))
    file = project.root / 'facts/facts.json'
    rows = json.loads(file.read_text())
    for number in WRONG:
        rows[number]['output'] = city((number + 50) % N_FACTS)
    file.write_text(json.dumps(rows))
    project.build(project.root.parent / 'out', sets=ALONE, mix_only=True)
    return project


@dataclass
class Built:
    """Builds of one project, whose tables lie together; each test asks another revision, so that none finds the replies of another."""

    project: Project
    revision: str
    server: FakeChatServer

    def sets(self, rate, *sets):
        return *ALONE, f'rate={{model: fake, {rate}}}', f'models.fake.revision={self.revision}', *sets

    @property
    def work(self):
        return self.project.root.parent / 'out/work'

    def __call__(self, out, rate='', *sets, **way):
        self.project.build(out, url=self.server.url, sets=self.sets(rate, *sets), mix_only=True, work=self.work, **way)
        return open_snapshot(out / 'mix')

    def select(self, out, rate, *sets):
        recipe = load_recipe(self.project.recipe, self.sets(rate, *sets))
        build_all(recipe, out, Way(self.work, self.project.root, mix_only=True, ask_nobody=True))
        return open_snapshot(out / 'mix')

    def asked(self):
        """What was asked, without the looks at what the server can do."""
        return [body for body in self.server.bodies if 'Hello!' not in json.dumps(body)]


@pytest.fixture
def building(noisy, request):
    """Return a way to build against a judge that leans as it is told."""
    with FakeChatServer(Script(lean=knowing)) as server:
        yield Built(noisy, request.node.name[:60].replace('[', '-').replace(']', ''), server)


def out_of(snapshot, reason='WRONG_ANSWER'):
    return {row['id'] for row in rows_of(snapshot.path, 'rejections') if row['reason'] == reason}


def test_wrong_labels_are_found_and_a_threshold_that_the_calibration_chose_leaves_them_out(building, tmp_path):
    mix = building(tmp_path / 'out', 'drop: {correct: {precision: 0.95}}')
    asked = len(building.asked())
    assert out_of(mix) == set(map(fact, WRONG))
    (report,) = mix.manifest['ratings']['reports']
    assert report['fault'] == ''
    assert report['auc'] > 0.85
    assert abs(report['wrong'] - len(WRONG) / N_FACTS) < 0.06
    assert 0.05 < report['chosen'] < 0.9
    card = (mix.path / 'README.md').read_text()
    assert f'| facts | correct | {N_FACTS - len(WRONG)} | 0 |' in card
    assert 'Can they be trusted?' in card
    assert verify_snapshot(mix.path) == 0
    rated = pq.read_table(mix.path / 'ratings/ratings.parquet').to_pylist()
    assert len(rated) == N_FACTS
    assert {row['by'] for row in rated} == {'fake'}
    told = explain(fact(3), building.work, tmp_path / 'a.png', tmp_path / 'out')
    assert told[0].startswith(f'sample {fact(3)} (source facts, licence MIT): out: WRONG_ANSWER: correct 0.0')
    assert '; replies ' in '\n'.join(told)
    building(tmp_path / 'again', 'drop: {correct: 0.5}')
    assert len(building.asked()) == asked, 'no reply is paid twice'
    assert out_of(building.select(tmp_path / 'selected', 'drop: {correct: 0.01}')) == set()
    assert out_of(building.select(tmp_path / 'selected', 'drop: {correct: 0.01}')) == set(), 'again'
    assert len(building.asked()) == asked


def test_select_refuses_what_would_have_to_be_asked(building, tmp_path):
    with pytest.raises(UserError, match='use phantom build'):
        building.select(tmp_path / 'selected', 'ask: [well_formed]')


def test_a_rater_that_tosses_a_coin_may_leave_nothing_out_unless_the_source_accepts_it(building, tmp_path, capsys):
    building.server.script.lean = tossing
    mix = building(tmp_path / 'out', 'drop: {correct: 0.5}')
    assert out_of(mix) == set()
    (refused,) = mix.manifest['ratings']['refused']
    assert refused.startswith("correct on source 'facts', as fake rates it: expected an AUC above 0.55 and surely above chance, found 0.")
    assert refused in (mix.path / 'README.md').read_text()
    assert refused in capsys.readouterr().err
    assert len(out_of(building(tmp_path / 'other', 'drop: {correct: 0.5}', 'sources.facts.accept_uncalibrated=true'))) > 30


def test_a_rater_that_always_says_the_same_may_leave_nothing_out(building, tmp_path):
    building.server.script.lean = lambda body: -2.0
    mix = building(tmp_path / 'out', 'drop: {correct: 0.5}')
    assert out_of(mix) == set()
    assert 'expected different ratings for different cases, found one for 100%' in mix.manifest['ratings']['refused'][0]


def test_no_more_are_rated_than_the_recipe_says_and_the_others_stay_unrated(building, tmp_path):
    mix = building(tmp_path / 'out', 'max_samples: {facts: 40}, drop: {correct: 0.5}')
    rated = {row['sample_id'] for row in pq.read_table(mix.path / 'ratings/ratings.parquet').to_pylist()}
    assert len(rated) == 40
    assert out_of(mix) == rated & set(map(fact, WRONG))
    (row,) = mix.manifest['ratings']['summary']
    assert row['samples'] - row['rated'] == N_FACTS - 40
    more = building(tmp_path / 'more', 'max_samples: {facts: 60}, drop: {correct: 0.5}')
    assert rated < {row['sample_id'] for row in pq.read_table(more.path / 'ratings/ratings.parquet').to_pylist()}, 'lowest lots first'
    asked = len(building.asked())
    assert out_of(building(tmp_path / 'none', 'max_samples: {facts: 0}, drop: {correct: 0.5}')) == set()
    assert len(building.asked()) == asked


PICTURED = ('contamination.benchmarks=[]', 'mix.validation_fraction=0', 'sources.charts=null', 'sources.photos=null', 'models.fake.images=true',
            'calibration.min_cases=12')


def test_pictures_questions_of_our_own_and_two_opinions(noisy, tmp_path):
    (noisy.recipe.parent / 'kind.md').write_text('Is {answer} a kind answer to {question}?')
    rate = ('rate={model: [fake, other], ask: [correct, needs_picture, {name: kind, file: kind.md, choices: [kind, rude]}], '
            'max_samples: {facts: 6, shapes: 10}, drop: {kind: 0.5}}')
    lean = {'seeing': 2.0, 'second': -2.0}
    script = Script(lean=lambda body: lean[body['model']] if 'kind answer' in json.dumps(body) else knowing(body), served=tuple(lean))
    with FakeChatServer(script) as server:
        models = [f"models.{name}={{base_urls: ['{server.url}'], model: {model}, revision: pictured, images: true}}"
                  for name, model in zip(('fake', 'other'), lean, strict=True)]
        noisy.build(tmp_path / 'out', sets=(*PICTURED, rate, *models), mix_only=True)
        mix = open_snapshot(tmp_path / 'out/mix')
        bodies = server.bodies
    rated = pq.read_table(mix.path / 'ratings/ratings.parquet').to_pylist()
    assert {(row['ask'], row['by'], row['sample_id'].split('/')[0]) for row in rated} == {
        *((ask, by, source) for ask in ('correct', 'kind') for by in ('fake', 'other') for source in ('facts', 'shapes')),
        *(('needs_picture', by, 'shapes') for by in ('fake', 'other'))}, 'text alone needs no picture'
    assert len(rated) == 2 * (2 * 16 + 10)
    assert out_of(mix, 'LOW_RATING') == set(), 'one of two says that they are kind'
    summary = {(row['source'], row['ask']): row for row in mix.manifest['ratings']['summary']}
    assert (summary['shapes', 'kind']['several'], summary['shapes', 'kind']['agree']) == (10, 0)
    assert {report['by'] for report in mix.manifest['ratings']['reports']} == {'fake', 'other', 'all'}
    scored = [body for body in bodies if 'prompt_logprobs' in body and 'Hello!' not in json.dumps(body)]
    shown = ['image_url' in json.dumps(body) for body in scored]
    assert 0 < shown.count(False) < shown.count(True), 'the question alone is asked without the picture'
    assert any('image_url' in json.dumps(body) for body in bodies if 'kind answer' in json.dumps(body)), 'pictures stand in front of its words'


def test_calls_that_keep_failing_keep_a_mix_from_being_sealed_and_are_asked_again(building, tmp_path):
    healthy = building.server.script.fault_of
    building.server.script.fault_of = lambda body, nth: '500' if 'Answer: Ba' in json.dumps(body) else ''
    with pytest.raises(PendingWork):
        building(tmp_path / 'out')
    assert not (tmp_path / 'out/mix').exists()
    answered = {json.dumps(body) for body in building.asked() if 'Answer: Ba' not in json.dumps(body)}
    building.server.script.fault_of = healthy
    before = len(building.server.bodies)
    mix = building(tmp_path / 'out')
    again = [json.dumps(body) for body in building.server.bodies[before:]]
    assert not answered & set(again), 'what was answered is not asked again'
    assert len(pq.read_table(mix.path / 'ratings/ratings.parquet')) == N_FACTS


def test_a_budget_stops_the_ratings_and_a_larger_one_goes_on(building, tmp_path):
    with pytest.raises(BudgetExceeded):
        building(tmp_path / 'out', '', 'budget.requests=20')
    assert not (tmp_path / 'out/mix').exists()
    assert building(tmp_path / 'out', '', 'budget.requests=9999').manifest['cost']['total']['requests'] >= N_FACTS


WITH_TRIPLES = ('generate=[{prompt: rules}, {prompt: paper, model: fake}]', 'judge={model: fake, mode: likelihood}', 'calibration.min_cases=30',
                'sources.facts.accept_uncalibrated=true', 'triples={}')


@pytest.fixture
def whole(noisy, request, tmp_path):
    """Return a way to build and to select mix and triples, and what was asked on the way."""
    with knowing_server(lean=knowing) as server:
        revision = request.node.name[:60]

        def make(out, rate, *sets, select=False, work=None):
            told = (*ALONE, f'rate={{model: fake, {rate}}}', f'models.fake.revision={revision}', *WITH_TRIPLES, *sets)
            recipe = load_recipe(noisy.recipe, (f"models.fake.base_urls=['{server.url}']", *told))
            before = len(server.bodies)
            build_all(recipe, tmp_path / out, Way(work or tmp_path / 'work', noisy.root, workers=0, ask_nobody=select))
            return ids(tmp_path / out), [body for body in server.bodies[before:] if 'Hello!' not in json.dumps(body)]

        yield make


def sampled(out):
    return {row['sample_id'] for row in rows_of(out / 'triples')}


def test_triples_follow_another_threshold_in_a_select_that_asks_nobody(whole, tmp_path, capsys):
    """The wrong labels are rated low: with a threshold they have no triples, in a select as in a build of its own, and nobody is asked."""
    every, _ = whole('all', '')
    assert sampled(tmp_path / 'all') & set(map(fact, WRONG))
    found, asked = whole('dropped', 'drop: {correct: 0.5}', select=True)
    assert asked == []
    assert not sampled(tmp_path / 'dropped') & set(map(fact, WRONG))
    assert sampled(tmp_path / 'dropped') == sampled(tmp_path / 'all') - set(map(fact, WRONG))
    assert found != every
    margin, asked = whole('margin', 'drop: {correct: 0.5}', 'judge.margin=0.9', select=True)
    assert asked == []
    assert margin[0] == found[0] != margin[1]
    fresh, asked = whole('fresh', 'drop: {correct: 0.5}')
    assert fresh == found
    assert len(asked) < 30, 'planted cases of other samples'
    assert verify_snapshot(tmp_path / 'dropped/triples') == 0


def test_samples_that_a_laxer_threshold_lets_in_are_counted_with_the_command_that_asks_about_them(whole, tmp_path):
    whole('strict', 'drop: {correct: 0.5}')
    for _ in range(2):
        with pytest.raises(UserError, match=rf'found at least {len(WRONG)} call\(s\) that were never made \({len(WRONG)} of {N_FACTS} sample\(s\) had no '
                           rf'place in triples before\); .* `phantom build RECIPE --out {tmp_path}/lax --work {tmp_path}/work` with the same --set'):
            whole('lax', '', select=True)
    _, asked = whole('lax', '')
    assert len(WRONG) <= len(asked) < 5 * len(WRONG) + 30
    assert sampled(tmp_path / 'lax') & set(map(fact, WRONG))
    with pytest.raises(UserError, match='not made for these settings'):
        whole('other', '', 'judge.mode=pairwise', select=True)
