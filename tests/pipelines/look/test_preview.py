"""A preview with a real server: what it shows, what it projects, and that the build pays for nothing of it again."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.build import Way, build_all
from pipelines.look.cost import Answered, Seen, project, strata_of
from pipelines.look.preview import choose, preview_recipe
from pipelines.look.preview_page import Shown, preview_page, print_projection
from pipelines.sources import sampled
from pipelines.triples.picks import pick_lot
from schemas.errors import BudgetExceeded, PendingWork, UserError
from schemas.recipe import Recipe, load_recipe
from schemas.replies import ChatRequest, Failure, Reply, SentImage
from tests.pipelines.snapshot.sealed import picture, sample, says, seal_rows
from tests.programmes.project import knowing_server, write_project

RECIPE = {
    'name': 'r', 'sources': {'a': {'format': 'llava', 'annotations': ['a'], 'licence': 'MIT'},
                             'b': {'format': 'llava', 'annotations': ['b'], 'licence': 'MIT', 'answers': 'exact'}},
    'models': {'m': {'model': 'm', 'revision': '1', 'price_prompt': 2.0, 'price_completion': 10.0}},
    'generate': [{'prompt': 'rules'}, {'prompt': 'paper', 'model': 'm'}], 'judge': {'model': 'm'}, 'calibration': {'min_cases': 10, 'fraction': 0.5},
}


def picked(name, source='a', prompts=('0', '1'), n_bytes=100):
    return {'sample_id': f'{source}/{name}', 'source': source, 'split': 'train', 'file': 0, 'row': 0, 'n_bytes': n_bytes, 'prompts': list(prompts)}


def answered(purpose, text, source='a'):
    request = ChatRequest(json.dumps({'messages': [{'role': 'user', 'content': text}]}), 'm', '1')
    return Answered(purpose, source, 'm', request, Reply(request.key, 'm', '1', f'reply to {text}', 'stop', 100, 10), 500)


def seen(pick, calls, accepted=1):
    candidate = {'sample_id': pick['sample_id'], 'rejected': 'no', 'generator': 'rules', 'kind': 'incorrect', 'reply_key': calls[0].request.key if calls else ''}
    verdict = {'reason': '', 'detail': '', 'scores': '{}', 'score': 1.0 if accepted else -1.0, 'judge': 'j', 'reply_keys': [a.request.key for a in calls[1:]]}
    return Seen(pick, [(candidate, verdict)], [], calls, 0.0)


def test_every_kind_of_sample_is_previewed_before_any_twice():
    rows = [picked(i, source, prompts) for i in range(10) for source in 'ab' for prompts in (('0',), ('0', '1'))]
    chosen = choose(rows, 5, 'seed')
    assert sorted((row['source'], *row['prompts']) for row in chosen[:4]) == [('a', '0'), ('a', '0', '1'), ('b', '0'), ('b', '0', '1')]
    assert choose(rows[::-1], 5, 'seed') == chosen
    assert len(choose(rows, 1000, 'seed')) == 40


def test_the_projection_multiplies_what_a_sample_of_its_kind_cost():
    """a: 20 samples like the previewed (1 generation, 2 judgements, accepted in one of two); b: 5 without calls, all accepted.

    Calibration of a: max(10, 0.5 * 20) cases, a request each; of b as well, since a model proposes answers that a program may not be able to tell. Tokens 100 + 10 and money (100 * 2 + 10 * 10) / 1e6 a request.
    """
    calls = [answered('generate', 'g'), answered('judge', 'j1'), answered('judge', 'j2')]
    previewed = [seen(picked(0), calls), seen(picked(1), calls, accepted=0), seen(picked(0, 'b'), [])]
    picks = [picked(i) for i in range(20)] + [picked(i, 'b') for i in range(5)]
    found = project(Recipe.model_validate(RECIPE), strata_of(picks), previewed, 1234)
    a, b, total = found.lines
    assert (a.samples, a.previewed, a.generate, a.judge, a.calibrate) == (20, 2, 20, 40, 10)
    assert (a.prompt_tokens, a.completion_tokens) == (7000, 700)
    assert a.money == pytest.approx(70 * 300 / 1e6)
    assert (a.triples, a.triple_bytes, a.reply_bytes) == (10, 1000, 70 * 500)
    assert (b.generate, b.judge, b.calibrate, b.triples, b.triple_bytes) == (0, 0, 10, 5, 500)
    assert (total.requests, total.triples, found.mix_bytes, found.unseen) == (80, 15, 1234, ())


def test_no_calibration_is_projected_for_exact_answers_that_only_rules_make_wrong():
    recipe = Recipe.model_validate({**RECIPE, 'generate': [{'prompt': 'rules'}, {'prompt': 'paper', 'model': 'm', 'sources': ['a']}]})
    calls = [answered('generate', 'g'), answered('judge', 'j1')]
    _, b, _ = project(recipe, strata_of([picked(0), picked(0, 'b')]), [seen(picked(0), calls), seen(picked(0, 'b'), [])], 0).lines
    assert b.requests == 0


def test_a_budget_that_would_be_spent_is_told_before():
    recipe = Recipe.model_validate({**RECIPE, 'budget': {'requests': 69, 'tokens': 10_000}})
    calls = [answered('generate', 'g'), answered('judge', 'j1'), answered('judge', 'j2')]
    found = project(recipe, strata_of([picked(i) for i in range(20)]), [seen(picked(0), calls)], 0)
    assert found.over_budget == ('budget.requests: expected at most 69, found 70 projected; the build would stop there',)


def test_a_source_that_was_not_previewed_is_counted_like_the_others_and_named(capsys):
    found = project(Recipe.model_validate(RECIPE), strata_of([picked(i) for i in range(4)] + [picked(9, 'b')]), [seen(picked(0), [answered('generate', 'g')])], 0)
    assert found.unseen == ('b',)
    assert found.lines[1].generate == 1
    print_projection(found)
    assert 'No sample of b was previewed' in capsys.readouterr().out


def test_the_page_shows_prompts_replies_and_verdicts_and_escapes_them(tmp_path):
    folder = seal_rows(tmp_path / 'mix', 'mix', [sample(0, messages=[says('user', '</div><script>alert(1)</script>{{ 7*7 }}'), says('assistant', '{% for x in y %}')])])
    calls = [answered('generate', 'the <b>prompt</b>'), answered('judge', 'second')]
    recipe = Recipe.model_validate(RECIPE)
    shown = seen(picked(0), calls)
    lost = {'reason': 'UNPARSABLE_REPLY', 'detail': '<i>', 'content': json.dumps({'reply_key': calls[1].request.key})}
    mix = [str(folder / 'data/train-00000-of-00001.parquet')]
    page = preview_page(recipe, Shown([replace(shown, lost=[lost])], mix), project(recipe, strata_of([picked(0)]), [], 0))
    assert '<script>' not in page
    assert '&lt;/div&gt;&lt;script&gt;alert(1)&lt;/script&gt;{{ 7*7 }}</div>' in page
    assert '{% for x in y %}' in page
    assert 'UNPARSABLE_REPLY: &lt;i&gt;' in page
    assert 'the &lt;b&gt;prompt&lt;/b&gt;' in page
    assert page.count('reply to second') == 2
    assert 'accepted by j, score 1' in page


def test_a_recipe_that_asks_nobody_is_refused(tmp_path):
    recipe = Recipe.model_validate({**RECIPE, 'generate': []})
    with pytest.raises(UserError, match='there is nothing to preview'):
        preview_recipe(recipe, 5, tmp_path, Way())


def questions(server):
    """Return what was asked about the data; the server is also greeted to see what it can do."""
    return [text for body in server.bodies if 'kingdom' in (text := json.dumps(body, sort_keys=True))]


@pytest.mark.integration
def test_what_a_preview_asked_is_never_asked_again_and_its_projection_holds(tmp_path):
    """The build asks each remaining request once; 260 requests projected from 14 samples are within 10 % of those made."""
    project_ = write_project(tmp_path)
    with knowing_server() as server:
        recipe = load_recipe(project_.recipe, (f"models.fake.base_urls=['{server.url}']",))
        found = preview_recipe(recipe, 14, tmp_path / 'out', Way(root=project_.root)).projection
        previewed = len(questions(server))
        again = preview_recipe(recipe, 14, tmp_path / 'out', Way(root=project_.root)).projection
        assert len(questions(server)) == previewed > 10
        assert again == found
        project_.build(tmp_path / 'out', url=server.url)
        asked = questions(server)
    assert len(asked) == len(set(asked))
    assert found.total.requests == pytest.approx(len(asked), rel=0.1)
    page = (tmp_path / 'out/preview/preview.html').read_text()
    assert page.count('<section>') == 14
    assert json.loads((tmp_path / 'out/preview/preview.json').read_text())['lines'][-1]['source'] == '(total)'


@pytest.mark.integration
def test_ratings_are_billed_and_what_a_preview_asked_is_not_asked_again(tmp_path):
    """All 130 facts are rated by two questions, planted cases beside them; within 10 % of what the mix then asks."""
    project_ = write_project(tmp_path)
    sets = ('contamination.benchmarks=[]', 'mix.validation_fraction=0', 'calibration.min_cases=30', *(f'sources.{name}=null' for name in ('shapes', 'charts', 'photos')),
            'rate={model: fake, ask: [correct, well_formed], drop: {correct: {precision: 0.9}}}', 'generate=[]')
    with knowing_server(lean=lambda body: 1.0) as server:
        recipe = load_recipe(project_.recipe, (f"models.fake.base_urls=['{server.url}']", *sets))
        found = preview_recipe(recipe, 10, tmp_path / 'out', Way(root=project_.root))
        previewed, page = len(questions(server)), (tmp_path / 'out/preview/preview.html').read_text()
        again = preview_recipe(recipe, 10, tmp_path / 'out', Way(root=project_.root))
        assert (len(questions(server)), again.projection, again.seconds) == (previewed, found.projection, None)
        project_.build(tmp_path / 'out', url=server.url, sets=sets, mix_only=True)
        asked = questions(server)
        assert preview_recipe(recipe, 10, tmp_path / 'out', Way(root=project_.root)).projection.total.requests == 0, 'all is paid'
    assert len(asked) == len(set(asked)) == len(questions(server))
    (line, total) = found.projection.lines
    assert (line.samples, line.previewed) == (130, 10)
    assert (total.rate, total.generate, total.judge) == (260, 0, 0)
    assert total.requests == pytest.approx(len(asked), rel=0.1)
    assert len(asked) > 270, 'planted cases are counted, too'
    assert total.prompt_tokens > 0
    assert found.seconds > 0
    assert page.count('correct, by fake') == 10
    assert 'rate: fake,' in page
    assert 'At the pace of the calls made here they take about' in page
    assert json.loads((tmp_path / 'out/preview/preview.json').read_text())['lines'][-1]['rate'] == 0, 'of the last one'


def test_ratings_that_do_not_come_are_pending_and_counted_like_the_rest(tmp_path):
    project_ = write_project(tmp_path)
    with knowing_server(lean=lambda body: 1.0, fault_of=lambda body, nth: '500' if 'kingdom' in json.dumps(body) else '', retry_after='0') as server:
        recipe = asking(project_, server, 'generate=[]', 'rate={model: fake, max_samples: {facts: 20}}')
        found = preview_recipe(recipe, 8, tmp_path / 'out', Way(root=project_.root))
    assert isinstance(found.stopped, PendingWork)
    rated = {line.source: (line.rate, line.prompt_tokens > 0) for line in found.projection.lines}
    assert rated['facts'] == (20, False)
    assert rated['shapes'][1]
    assert 'HTTP 500' in (tmp_path / 'out/preview/preview.html').read_text()


def test_no_more_are_billed_than_the_recipe_rates_and_a_budget_that_they_spend_is_told(tmp_path):
    project_ = write_project(tmp_path)
    with knowing_server(lean=lambda body: 1.0) as server:
        recipe = asking(project_, server, 'generate=[]', 'rate={model: fake, max_samples: {facts: 20, shapes: 0}}', 'budget.requests=30')
        found = preview_recipe(recipe, 8, tmp_path / 'out', Way(root=project_.root)).projection
        both = preview_recipe(asking(project_, server, 'rate={model: fake}'), 8, tmp_path / 'out', Way(root=project_.root)).projection.total
    assert min(both.rate, both.generate, both.judge, both.calibrate) > 0
    rate = {line.source: line.rate for line in found.lines}
    assert (rate['facts'], rate['shapes']) == (20, 0)
    assert rate['charts'] > 10
    assert found.total.generate == 0
    assert found.over_budget[0].startswith('budget.requests: expected at most 30, found ')


def numbers(n, letter='a', words=0):
    return [{'conversations': [{'from': 'human', 'value': f'{letter}: what is {i} plus {i}?{" and" * words}'}, {'from': 'gpt', 'value': str(2 * i)}]}
            for i in range(n)]


def write_sums(folder, n, *, words=0, **more):
    """Write two sources of sums, a list and lines, and return the recipe that makes them wrong by rule."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'a.json').write_text(json.dumps(numbers(n, 'a', words)))
    (folder / 'b.jsonl').write_text(''.join(json.dumps(row) + '\n' for row in numbers(n, 'b', words)))
    of = {'format': 'llava', 'licence': 'MIT', 'answers': 'exact'}
    sources = {'a': {**of, 'annotations': ['a.json']}, 'b': {**of, 'annotations': ['b.jsonl']}}
    return Recipe.model_validate({'name': 'sums', 'root': str(folder), 'sources': sources, 'generate': [{'prompt': 'rules'}], **more})


@pytest.mark.parametrize('whole', [10**9, 1000])
def test_sources_larger_than_every_batch_are_previewed_whether_they_are_scanned_or_looked_into(whole, tmp_path, monkeypatch, capsys):
    """3,000 records are more than a batch of rows (256), a chunk (500) and ALL_RECORDS (2,000); with 1,000 bytes at most nothing is scanned."""
    monkeypatch.setattr(sampled, 'WHOLE_BYTES', whole)
    monkeypatch.setattr(sampled, 'SMALL_BYTES', 1000)
    found = preview_recipe(write_sums(tmp_path / 'data', 3000), 21, tmp_path / 'out', Way())
    assert found.stopped is None
    assert [(line.source, line.previewed) for line in found.projection.lines] == [('a', 11), ('b', 10), ('(total)', 21)]
    assert [line.samples for line in found.projection.lines] == pytest.approx([3000, 3000, 6000], rel=0.1)
    assert found.projection.sampled
    page = (tmp_path / 'out/preview/preview.html').read_text()
    assert page.count('<section>') == 21
    assert page.count('accepted by computed answer') == 21
    assert ('at byte' in page) == (whole == 1000)
    assert sorted(path.name for path in (tmp_path / 'out').iterdir() if not path.name.startswith('.')) == ['preview', 'work'], 'no mix is built'
    assert not (tmp_path / 'out/work/preview').exists()
    again = preview_recipe(write_sums(tmp_path / 'data', 3000), 21, tmp_path / 'out', Way())
    assert again == found
    assert (tmp_path / 'out/preview/preview.html').read_text() == page


def test_a_small_source_shows_the_samples_that_the_build_asks_first(tmp_path):
    recipe = write_sums(tmp_path / 'data', 3000, triples={'max_samples': {'a': 40}})
    preview_recipe(recipe, 8, tmp_path / 'out', Way())
    page = (tmp_path / 'out/preview/preview.html').read_text()
    for name, file in (('a', 'a.json'), ('b', 'b.jsonl')):
        ids = sorted((pick_lot('phantom', f'{name}/{file}#{i}/0'), f'{name}/{file}#{i}/0') for i in range(3000))
        assert all(sample_id in page for _, sample_id in ids[:4])


def with_source(recipe, name, rows):
    (Path(recipe.root) / f'{name}.json').write_text(json.dumps(rows))
    about = recipe.model_dump()
    return Recipe.model_validate({**about, 'sources': {**about['sources'], name: {**about['sources']['a'], 'annotations': [f'{name}.json']}}})


SILENT = [{'conversations': [{'from': 'human', 'value': 'Well?'}, {'from': 'gpt', 'value': ' '}]}] * 20


def test_a_tiny_source_gives_what_it_has_and_one_without_a_usable_row_gives_its_reasons(tmp_path):
    recipe = with_source(with_source(write_sums(tmp_path / 'data', 300), 'tiny', numbers(1, 't')), 'silent', SILENT)
    found = preview_recipe(recipe, 1000, tmp_path / 'out', Way())
    assert [(line.source, line.samples, line.previewed) for line in found.projection.lines] == \
        [('a', 300, 300), ('b', 300, 300), ('tiny', 1, 1), ('(total)', 601, 601)]
    looked = {one['source']: one for one in json.loads((tmp_path / 'out/preview/preview.json').read_text())['looked']}
    assert looked['silent']['reasons'] == {'sample EMPTY_ANSWER': 20}
    assert (looked['silent']['records'], looked['silent']['samples'], looked['silent']['all_records']) == (20, 0, 20)
    assert 'EMPTY_ANSWER: silent/silent.json#0/0' in (tmp_path / 'out/preview/preview.html').read_text()


@pytest.mark.parametrize(('more', 'why'), [({'mix': {'licences': ['GPL']}}, 'LICENCE_NOT_ALLOWED'), ({'triples': {'max_samples': {'a': 0, 'b': 0}}}, 'a: nothing')])
def test_a_recipe_that_takes_no_sample_says_why(more, why, tmp_path):
    found = preview_recipe(write_sums(tmp_path / 'data', 30, **more), 5, tmp_path / 'out', Way())
    assert why in str(found.stopped)
    assert found.stopped.code == 2
    assert why.partition(':')[0] in (tmp_path / 'out/preview/preview.html').read_text()


def test_quotas_weights_and_subsets_bound_what_is_expected(tmp_path, monkeypatch):
    about = write_sums(tmp_path / 'data', 3000, triples={'max_samples': {'b': 40}}).model_dump()
    about['sources']['a'] |= {'subset': 100, 'quota': 60}
    for whole in (10**9, 1000):
        monkeypatch.setattr(sampled, 'WHOLE_BYTES', whole)
        found = preview_recipe(Recipe.model_validate(about), 4, tmp_path / 'out', Way())
        assert [line.samples for line in found.projection.lines] == [60, 40, 100]


@pytest.mark.integration
def test_a_sealed_mix_of_several_files_and_row_groups_is_used_as_it_is(tmp_path, capsys):
    recipe = write_sums(tmp_path / 'data', 700, words=500, mix={'shard_mb': 1})
    build_all(recipe, tmp_path / 'out', Way(mix_only=True))
    manifest = json.loads((tmp_path / 'out/mix/manifest.json').read_text())
    assert len(manifest['shards']) > 1
    found = preview_recipe(recipe, 60, tmp_path / 'out', Way())
    assert not found.projection.sampled
    assert [line.samples for line in found.projection.lines] == [700, 700, 1400]
    page = (tmp_path / 'out/preview/preview.html').read_text()
    assert page.count('<section>') == 60
    (tmp_path / 'data/a.json').write_text(json.dumps(numbers(20)))
    assert preview_recipe(recipe, 60, tmp_path / 'out', Way()).projection.sampled, 'a source has changed since'
    assert preview_recipe(write_sums(tmp_path / 'data', 700), 60, tmp_path / 'new', Way()).projection.sampled


def test_models_are_asked_before_anything_is_read(tmp_path, monkeypatch):
    models = {'m': {'base_urls': ['http://127.0.0.1:9/v1'], 'model': 'm', 'revision': '1', 'max_retries': 0, 'timeout_s': 2}}
    recipe = write_sums(tmp_path / 'data', 3, models=models, generate=[{'prompt': 'paper', 'model': 'm'}], judge={'model': 'm'})
    (tmp_path / 'data/a.json').write_text('no JSON')
    with pytest.raises(UserError, match='127.0.0.1:9'):
        preview_recipe(recipe, 5, tmp_path / 'out', Way())
    assert not (tmp_path / 'out').exists()


def asking(project_, server, *sets):
    return load_recipe(project_.recipe, (f"models.fake.base_urls=['{server.url}']", 'models.fake.max_retries=0', *sets))


def test_a_budget_that_ends_in_the_preview_still_shows_what_came_back(tmp_path, capsys):
    project_ = write_project(tmp_path)
    with knowing_server() as server:
        found = preview_recipe(asking(project_, server, 'budget.requests=5'), 14, tmp_path / 'out', Way(root=project_.root))
    assert isinstance(found.stopped, BudgetExceeded)
    page = (tmp_path / 'out/preview/preview.html').read_text()
    assert 'Not all was answered' in page
    assert 'GIVEN_UP' in page
    assert 'generate: fake' in page
    assert 'accepted by computed answer' in page
    assert found.projection.total.requests > 100


def test_calls_that_fail_in_the_preview_are_pending_and_not_stored(tmp_path, capsys):
    project_ = write_project(tmp_path)

    def fault_of(body, nth):
        return '500' if 'prompt_logprobs' in body and 'kingdom' in json.dumps(body) else ''

    with knowing_server(fault_of=fault_of, retry_after='0') as server:
        found = preview_recipe(asking(project_, server), 14, tmp_path / 'out', Way(root=project_.root))
    assert isinstance(found.stopped, PendingWork)
    assert re.search(r"^model 'fake-model' at http.*: \d+ of \d+ call\(s\) have no reply", str(found.stopped)), 'in the words of the build'
    assert 'x HTTP 500' in str(found.stopped)
    assert str(found.stopped).endswith('what came back is stored and shown; mend that and run the same command again')
    page = (tmp_path / 'out/preview/preview.html').read_text()
    assert 'generate: fake' in page
    assert 'HTTP 500' in page
    with knowing_server() as server:
        found = preview_recipe(asking(project_, server), 14, tmp_path / 'out', Way(root=project_.root))
        assert found.stopped is None
        assert not any('prompt_logprobs' not in body for body in server.bodies if 'kingdom' in json.dumps(body)), 'what was generated is stored'


def test_thoughts_stand_apart_and_pictures_at_their_places(tmp_path):
    drawn = picture('red')
    row = sample(0, messages=[says('user', 'before', '<image>', 'behind'), says('assistant', 'red')], images=[drawn])
    folder = seal_rows(tmp_path / 'mix', 'mix', [row])
    sent = SentImage('i', 'd', 'image/png', drawn)
    content = [{'type': 'text', 'text': 'first'}, {'type': 'image_url', 'image_url': {'url': 'sha256:d'}}, {'type': 'text', 'text': 'then'}]
    request = ChatRequest(json.dumps({'messages': [{'role': 'user', 'content': content}]}), 'm', '1', images=(sent,))
    call = Answered('generate', 'shapes', 'm', request, Reply(request.key, 'm', '1', 'blue', 'stop', 1, 1, reasoning='it is <not> red'), 9)
    pick = {**picked(0, 'shapes'), 'sample_id': row['sample_id']}
    page = preview_page(Recipe.model_validate(RECIPE), Shown([seen(pick, [call])], [str(folder / 'data/train-00000-of-00001.parquet')]),
                        project(Recipe.model_validate(RECIPE), {}, [], 0))
    flat = ' '.join(page.split())
    at = [flat.index(piece) for piece in ('>before<', 'data:image/png', '>behind<', '>first<', '>then<', 'thoughts', 'it is &lt;not&gt; red', '>reply<', '>blue<')]
    assert at == sorted(at)
    assert flat.count('data:image/png') == 2


def test_a_number_that_is_wanted_exactly_bounds_what_is_asked(tmp_path):
    """20 of 10,000 samples are wanted, each brings half a triple: 40 samples, rounds of 64: 64 are asked."""
    calls = [answered('generate', 'g'), answered('judge', 'j1'), answered('judge', 'j2')]
    previewed = [seen(picked(0), calls), seen(picked(1), calls, accepted=0)]
    recipe = Recipe.model_validate({**RECIPE, 'triples': {'exactly': {'a': 20}}})
    a, _ = project(recipe, {('a', '0', '1'): (10_000, 1_000_000)}, previewed, 0).lines
    assert (a.generate, a.judge, a.triples, a.triple_bytes, a.samples) == pytest.approx((64, 128, 20, 2000, 10_000))


def test_what_is_not_answered_yet_counts_like_the_rest():
    failed = replace(answered('judge', 'j2'), outcome=Failure('k', 'transport', 'down', True))
    found = project(Recipe.model_validate({**RECIPE, 'calibration': {'min_cases': 1, 'fraction': 0}}), strata_of([picked(i) for i in range(10)]),
                    [seen(picked(0), [answered('judge', 'j1'), failed])], 0)
    assert found.total.judge == 20
    assert found.total.prompt_tokens == (20 + 1) * 100
