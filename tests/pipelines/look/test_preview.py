"""A preview with a real server: what it shows, what it projects, and that the build pays for nothing of it again."""

import json
from dataclasses import replace

import pytest

from pipelines.build import Way
from pipelines.look.cost import Answered, Seen, project, strata_of
from pipelines.look.preview import choose, preview_recipe
from pipelines.look.preview_page import Shown, preview_page, print_projection
from schemas.errors import UserError
from schemas.recipe import Recipe, load_recipe
from schemas.replies import ChatRequest, Reply
from tests.pipelines.snapshot.sealed import sample, says, seal_rows
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
