"""Real prompts tried at a server: each lack is named before anything is paid, a clumsy model is no lack, and what is worth knowing is told."""

import json

import pytest

from pipelines.chat import contact
from pipelines.chat.manners import Manners
from pipelines.chat.models import check_plan, served
from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.trials import trials_of
from schemas.errors import PendingWork, UserError
from schemas.publish import read_checked
from schemas.recipe import Recipe
from tests.fakes import FakeChatServer, completion
from tests.pipelines.chat.test_contact import plain_environment, serving

__all__ = ['plain_environment']  # the fixture


def recipe(url, *prompts, mode='yes_no', images=False, **changes):
    generate = [{'prompt': prompt, 'model': 'm', 'max_tokens': 64} for prompt in prompts]
    models = {'m': {'base_urls': [url], 'model': 'fake-model', 'revision': 'r1', 'images': images, 'timeout_s': 5, **changes}}
    source = {'format': 'llava', 'annotations': ['a'], 'licence': 'MIT'}
    return Recipe.model_validate({'name': 'r', 'sources': {'s': source}, 'models': models, 'generate': generate, 'judge': {'model': mode and 'm', 'mode': mode or 'yes_no'}})


def look(answer, *prompts, mode='yes_no', **changes):
    """Check a recipe at a server that answers `answer(body, good completion)`; return the bodies it was asked, and its manners."""
    bodies = []

    def post(body):
        bodies.append(body)
        found = answer(body, completion(body))
        return found if isinstance(found, tuple) else (200, json.dumps(found).encode(), {})

    with serving(post=post) as (url, _):
        wanted = recipe(url, *prompts, mode=mode, **changes)
        backend = OpenAIBackend(wanted.models['m'])
        from pipelines.chat.models import _needs

        manners = backend.check(_needs(wanted)['m'], trials_of(wanted, 'm'))
    return bodies, manners


def good(body, payload):
    return payload


def with_message(**message):
    def answer(body, payload):
        payload['choices'][0]['message'] |= message
        return payload

    return answer


def only(kind, answer):
    """Return an answer to prompts of one kind, a good one to all others."""
    def chosen(body, payload):
        return answer(body, payload) if kind_of(body) == kind else payload

    return chosen


def kind_of(body):
    if 'prompt_logprobs' in body:
        return 'likelihood'
    if options := (body.get('structured_outputs') or {}).get('choice'):
        return 'guide' if 'violet' in options else 'choice'
    if 'response_format' in body:
        return 'json'
    return 'stream' if body.get('stream') else 'text'


def lacks_of(answer, *prompts, **changes):
    with pytest.raises(UserError) as told:
        look(answer, *prompts, **changes)
    return str(told.value)


def test_each_prompt_and_mode_of_the_recipe_is_tried_once_with_its_own_settings_and_nothing_else():
    bodies, _ = look(good, 'paper', 'grounded', 'paper', images=True)
    assert sorted(map(kind_of, bodies)) == ['choice', 'guide', 'json', 'stream', 'text']
    assert all('Hello!' in json.dumps(body) for body in bodies)
    by_kind = {kind_of(body): body for body in bodies}
    assert by_kind['text']['max_completion_tokens'] == by_kind['json']['max_completion_tokens'] == 64
    assert 'image_url' in json.dumps(by_kind['json'])
    assert 'image_url' in json.dumps(by_kind['choice'])
    assert 'image_url' not in json.dumps(by_kind['stream']) + json.dumps(by_kind['text'])
    assert 'JSON object' in json.dumps(by_kind['stream']), 'the prompt that showed a picture, without it'
    assert by_kind['stream']['stream_options'] == {'include_usage': True}


@pytest.mark.parametrize(('mode', 'kinds'), [('likelihood', ['likelihood', 'stream']), ('pairwise', ['choice', 'guide', 'stream']), ('paper', ['choice', 'guide', 'stream'])])
def test_each_mode_of_a_judge_is_tried(mode, kinds):
    bodies, manners = look(good, mode=mode)
    assert sorted(map(kind_of, bodies)) == kinds
    assert manners == Manners()


THOUGHTS = {'content': '<think>The user wants to know what the sign says. Let me', 'reasoning_content': None}


@pytest.mark.parametrize(('kind', 'answer', 'told'), [
    ('text', with_message(content=''), 'generate[0] (paper): expected a text, found an empty reply'),
    ('text', with_message(content=None), 'generate[0] (paper): expected'),
    ('json', with_message(content='Sure! Here is the JSON you asked for.'), 'generate[1] (grounded): expected support for json_schema, found a reply without it'),
    ('choice', with_message(content='The answer is Yes.'), "judge (yes_no): expected support for choice (one of Yes, No), found 'The answer is Yes.'"),
    ('guide', with_message(content='Hello!'), "choice: expected support for choice (one of violet, orange), found 'Hello!'"),
    ('choice', lambda body, payload: payload['choices'][0].update(logprobs=None) or payload, 'judge (yes_no): expected support for logprobs, found a reply without them'),
    ('json', lambda body, payload: (400, b'{"error": {"message": "response_format json_schema is not supported"}}', {}),
     'generate[1] (grounded): expected support for json_schema, found HTTP 400: response_format json_schema is not supported'),
])  # fmt: skip
def test_a_lack_is_named_with_prompt_and_remedy(kind, answer, told):
    found = lacks_of(only(kind, answer), 'paper', 'grounded')
    assert told in found
    assert 'serve the model with vLLM 0.32 or later, or choose another judge mode or prompt' in found
    assert found.count('\n') == 1


def test_all_lacks_of_a_model_are_named_together():
    found = lacks_of(lambda body, payload: (400, b'{"error": {"message": "unknown field"}}', {}), 'paper', 'grounded')
    assert [line.split(': ')[1] for line in found.split('\n')[:-1]] == ['generate[0] (paper)', 'generate[1] (grounded)', 'judge (yes_no)', 'choice']


def test_prompt_log_probabilities_that_do_not_spell_the_answer_are_told():
    def behind_the_answer(body, payload):  # a chat template that opens the next turn, since the server ignores continue_final_message
        payload['prompt_logprobs'] += [{'9': {'logprob': -0.1, 'decoded_token': token}} for token in ('<|im_end|>', '\n', '<|im_start|>', 'assistant')]
        return payload

    found = lacks_of(only('likelihood', behind_the_answer), mode='likelihood')
    assert 'does the server take continue_final_message?' in found
    assert 'expected support for prompt_logprobs' in lacks_of(only('likelihood', lambda body, payload: {**payload, 'prompt_logprobs': None}), mode='likelihood')


def test_log_probabilities_that_begin_with_something_else_than_the_answer_are_handled_or_refused_by_name():
    def thoughts_first(body, payload):
        tokens = [{'token': token, 'logprob': -0.1, 'top_logprobs': [{'token': token, 'logprob': -0.1}]} for token in ('<think>', '\n\n', '</think>')]
        payload['choices'][0]['logprobs']['content'] = tokens
        return payload

    found = lacks_of(only('choice', thoughts_first))
    assert 'judge (yes_no): expected' in found


@pytest.mark.parametrize(('kind', 'prompt'), [('text', 'paper'), ('json', 'grounded')])
def test_a_model_that_thinks_past_the_limit_is_told_what_to_raise(kind, prompt):
    def cut(message):
        def answer(body, payload):
            payload['choices'][0] |= {'finish_reason': 'length', 'message': {'role': 'assistant', **message}}
            return payload

        return answer

    for message in (THOUGHTS, {'content': None, 'reasoning_content': 'The user wants'}, {'content': '', 'reasoning': 'The user wants'}, {'content': ''}):
        found = lacks_of(only(kind, cut(message)), prompt)
        assert 'expected an answer within 64 tokens' in found
        assert 'raise max_tokens' in found


def test_a_clumsy_model_is_no_lack():
    def cut(content):
        return lambda body, payload: payload['choices'][0].update(finish_reason='length', message={'role': 'assistant', 'content': content}) or payload

    look(only('json', cut('{"incorrect": "' + ' ' * 200)), 'grounded')
    look(only('json', cut(' \n' * 100)), 'grounded')
    look(only('json', with_message(content='{"incorrect": "", "ambiguous": 7}')), 'grounded')
    look(only('json', with_message(content='```json\n{"incorrect": "a", "ambiguous": "b"}\n```')), 'grounded')
    look(only('text', cut('The sign the sign the sign')), 'paper')
    look(only('choice', lambda body, payload: payload), 'paper')


def test_what_is_only_worth_knowing_is_told_and_kept(capsys):
    def bare(body, payload):
        del payload['usage']
        del payload['choices'][0]['finish_reason']
        return {**payload, 'model': 'router/other'}

    _, manners = look(bare, 'paper')
    told = capsys.readouterr().err
    assert "replies come from 'router/other': an alias, or the name of a router?" in told
    assert 'counts no tokens' in told
    assert 'does not say how a reply ends' in told
    assert (manners.usage, manners.finish_reason, manners.reasons, manners.streams) == (False, False, False, False)
    _, manners = look(with_message(reasoning_content='Let me see.'), 'paper')
    assert manners.reasons
    assert 'thinks before it answers' in capsys.readouterr().err


def test_a_server_that_drops_pictures_is_told(capsys):
    look(good, 'grounded', images=True)
    assert 'does the server drop pictures?' in capsys.readouterr().err

    def counting(body, payload):
        payload['usage']['prompt_tokens'] += 100 * json.dumps(body).count('"image_url": {')
        return payload

    look(counting, 'grounded', images=True)
    assert 'drop pictures' not in capsys.readouterr().err


def test_a_server_that_streams_with_usage_is_known():
    pieces = [{'choices': [{'delta': {'content': 'Hel'}}]}, {'choices': [{'delta': {'content': 'lo'}, 'finish_reason': 'stop'}]}, {'choices': [], 'usage': {'prompt_tokens': 1}}]

    def streaming(pieces):
        text = ': PROCESSING\n\n' + ''.join(f'data: {json.dumps(piece)}\n\n' for piece in pieces) + 'data: [DONE]\n\n'  # OpenRouter's comments
        return lambda body, payload: (200, text.encode(), {'Content-Type': 'text/event-stream'}) if body.get('stream') else payload

    assert look(streaming(pieces), 'paper')[1].streams
    assert not look(streaming(pieces[:2]), 'paper')[1].streams
    assert not look(streaming([7, None, 'x']), 'paper')[1].streams
    assert not look(lambda body, payload: (400, b'no stream', {}) if body.get('stream') else payload, 'paper')[1].streams


def test_a_closed_door_is_knocked_at_once():
    for status, kind in ((402, PendingWork), (401, UserError), (404, UserError), (503, PendingWork)):
        bodies = []
        with pytest.raises(kind) as told:
            look(lambda body, payload, status=status, bodies=bodies: bodies.append(body) or (status, b'{"error": {"message": "closed today"}}', {}), 'paper', 'grounded')
        assert f'generate[0] (paper): expected a chat completion, found HTTP {status}: closed today' in str(told.value)
        assert len({json.dumps(body) for body in bodies}) == 1
        assert type(told.value) is kind


def test_what_passes_is_waited_for(monkeypatch):
    monkeypatch.setattr(contact, 'PATIENCE_S', 30)
    seen = []
    look(lambda body, payload: (429, b'', {'Retry-After': '0.01'}) if seen.append(1) or len(seen) < 3 else payload, 'paper')


def test_faults_of_all_models_are_told_together_and_manners_are_kept_for_the_workers(tmp_path):
    with FakeChatServer() as server, serving(lambda path: (401, b'', {})) as (closed, _):
        plan = recipe(server.url, 'paper').model_dump()
        with served(Recipe.model_validate(plan), tmp_path):
            assert read_checked(tmp_path / 'servers/m.json') == {'finish_reason': True, 'reasons': False, 'served_by': '', 'streams': True, 'usage': True}
        plan['models'] = {'m': {**plan['models']['m'], 'model': 'other'}, 'n': {**plan['models']['m'], 'base_urls': [closed]}}
        plan['judge']['model'] = 'n'
        for look_at in (check_plan, lambda recipe: served(recipe).__enter__()):
            with pytest.raises(UserError) as told:
                look_at(Recipe.model_validate(plan))
            assert "expected model 'other'" in str(told.value)
            assert 'expected a valid API key' in str(told.value)


def test_json_between_words_is_no_lack_since_a_build_reads_it():
    look(only('json', with_message(content='Here it is:\n```json\n{"incorrect": "a", "ambiguous": "b"}\n```\nHope this helps!')), 'grounded')


def test_a_judge_that_thinks_past_its_few_tokens_is_told_thinking_tokens():
    def cut(body, payload):
        payload['choices'][0] |= {'finish_reason': 'length', 'message': {'role': 'assistant', **THOUGHTS}, 'logprobs': None}
        return payload

    found = lacks_of(only('choice', cut))
    assert 'raise `thinking_tokens` of the model' in found
    assert 'max_tokens of this prompt' not in found


def test_a_lack_that_the_server_explains_has_the_remedy_for_it():
    def blind(body, payload):
        return (400, b'{"error": {"message": "fake-model is not a multimodal model"}}', {}) if 'image_url' in json.dumps(body) else payload

    found = lacks_of(blind, 'grounded', images=True)
    assert 'say `images: false` for it' in found
    assert 'vLLM 0.32' not in found


@pytest.mark.parametrize(('body', 'kind'), [
    ({'error': {'message': 'Provider returned error', 'code': 502}}, PendingWork), ({'error': {'message': 'Rate limit exceeded', 'code': '429'}}, PendingWork),
    ({'error': 'Unexpected endpoint or method. (POST /chat/completions)'}, UserError), ({'error': {'message': 'No such model', 'code': 404}}, UserError)])  # fmt: skip
def test_an_error_in_a_200_is_what_its_code_says(body, kind):
    with pytest.raises(UserError) as told:
        look(lambda *_: (200, json.dumps(body).encode(), {}), 'paper')
    assert type(told.value) is kind


def test_no_credit_is_told_with_what_to_do_and_a_busy_server_is_waited_for_once(capsys):
    with pytest.raises(PendingWork, match='top it up'):
        look(lambda *_: (403, b'{"error": {"message": "quota", "code": "insufficient_user_quota"}}', {}), 'paper')
    with pytest.raises(PendingWork, match='run it again later'):
        look(lambda *_: (502, b'', {}), 'paper')
    assert capsys.readouterr().err.count('busy or not ready yet') == 1


def test_a_field_that_a_server_does_not_know_is_no_refused_key():
    extra = {'detail': [{'loc': ['body', 'structured_outputs'], 'msg': 'Extra inputs are not permitted', 'type': 'extra_forbidden', 'input': {'api_key': 'x'}}]}  # Mistral
    found = lacks_of(only('choice', lambda *_: (422, json.dumps(extra).encode(), {})))
    assert 'the key is refused' not in found
    assert 'serve the model with vLLM 0.32 or later' in found
