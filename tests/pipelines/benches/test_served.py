"""A served model answers a benchmark over OpenAI's protocol: its replies are stored, what waits waits, and nothing is asked twice."""

import json

import pytest
from typer.testing import CliRunner

import phantom
from pipelines.benches.served import name_served, serving
from schemas.errors import PendingWork, UserError
from tests.fakes import FakeChatServer, Script
from tests.model.training.snapshots import COLOURS, png
from tests.pipelines.benches.test_items import PUBLISHED, put

RED, BLUE = png(COLOURS['red']), png(COLOURS['blue'])
QUESTIONS = (['Which?', 'What?', 'Really?'], [[RED], [BLUE], []])


def named(server: FakeChatServer, name: str = '') -> object:
    return name_served(server.url, name)


def text_of(body: dict) -> str:
    content = body['messages'][0]['content']
    return content if isinstance(content, str) else content[-1].get('text', '')


def test_replies_come_in_order_and_a_second_run_asks_nothing(tmp_path):
    with FakeChatServer(Script(reply_of=lambda body: f'to {text_of(body)}')) as server:
        with serving('mmstar', named(server), tmp_path) as served:
            assert served.ask(*QUESTIONS, 5) == ['to Which?', 'to What?', 'to Really?']
            bodies = [body for body in server.bodies if 'Which?' in str(body)]
            about = served.about()
        with serving('mmstar', named(server, 'fake-model'), tmp_path) as served:
            before = len(server.bodies)
            assert served.ask(*QUESTIONS, 5) == ['to Which?', 'to What?', 'to Really?']
            assert len(server.bodies) == before
    (body,) = bodies
    assert [part['type'] for part in body['messages'][0]['content']] == ['image_url', 'text']
    assert body['messages'][0]['content'][0]['image_url']['url'].startswith('data:image/png;base64,')
    assert (body['temperature'], body.get('max_completion_tokens', body.get('max_tokens'))) == (0, 5)
    assert about['failed'] == {}
    assert (about['served']['model'], about['served']['answered'][0]['replies']) == ('fake-model', 3)


def test_a_reply_that_is_cut_counts_as_it_is_and_a_refused_one_is_empty_and_counted(tmp_path):
    faults = {'Which?': 'length', 'What?': 'refused'}
    script = Script(reply_of=lambda body: 'A because', fault_of=lambda body, nth: faults.get(text_of(body), ''))
    with FakeChatServer(script) as server, serving('mmstar', named(server), tmp_path) as served:
        assert served.ask(*QUESTIONS, 5) == ['A because', '', 'A because']
        assert served.about()['failed'] == {'refused': 1}


def test_a_server_that_goes_away_leaves_no_score_and_the_next_run_asks_what_is_missing(tmp_path):
    down = [True]
    script = Script(reply_of=lambda body: 'A', fault_of=lambda body, nth: '401' if down[0] and text_of(body) == 'What?' else '')
    with FakeChatServer(script) as server:
        with serving('mmstar', named(server), tmp_path) as served, pytest.raises(PendingWork, match='there is no score until all replies are there'):
            served.ask(*QUESTIONS, 5)
        down[0] = False
        with serving('mmstar', named(server), tmp_path) as served:
            assert served.ask(*QUESTIONS, 5) == ['A', 'A', 'A']
    assert [text_of(body) for body in server.bodies].count('Which?') == 1


@pytest.mark.parametrize(
    ('served', 'message'),
    [(('a', 'b'), 'expected one model, found a, b; name the one that is meant with --model'), ((), r'found a list of none \(HTTP 200\)')],
)
def test_a_server_of_several_models_wants_a_name(served, message):
    with FakeChatServer(Script(served=served)) as server, pytest.raises(UserError, match=message):
        named(server)


def test_addresses_and_keys_that_cannot_be_are_told_by_their_option(tmp_path):
    with pytest.raises(UserError, match='--url: expected addresses such as'):
        name_served('localhost', 'm')
    with pytest.raises(UserError, match='--key-env: expected the name of an environment variable'):
        name_served('http://h/v1', 'm', key_env='a b')
    with FakeChatServer() as server:
        url = server.url
    with pytest.raises(UserError, match='--url .*: expected one model, found .*; name the one'):
        name_served(url, '')
    with pytest.raises(UserError, match=r'served model \(--url, --model\): '), serving('mmstar', name_served(url, 'm'), tmp_path):
        pass


def test_a_benchmark_is_evaluated_through_the_front_door(tmp_path):
    files, _, _ = PUBLISHED['pope']
    words = ['eval', '--bench', 'pope', '--root', put(tmp_path / 'data', files), '--out', tmp_path / 'out' / 'pope']
    with FakeChatServer(Script(reply_of=lambda body: 'Yes')) as server:
        done = front(*words, '--url', server.url, '--samples', 2)
        assert done.exit_code == 0, done.output
        assert front(*words, '--url', server.url, '--samples', 2, '--model', 'fake-model').exit_code == 0
    result = json.loads((tmp_path / 'out' / 'pope' / 'score.json').read_text())
    assert (result['items'], result['sample']['of'], result['checkpoint'], result['served']['model']) == (2, 3, None, 'fake-model')
    assert 'replies of fake-model: ' in front('results', tmp_path / 'out').output


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['--url', 'http://h/v1', '--beams', '3'], '--beams: expected 1 with --url'),
        (['--model', 'm'], '--model: expected --url beside it'),
        (['ckpt', '--url', 'http://h/v1'], 'expected a checkpoint or the --url of a served model, found both or neither'),
        ([], 'expected a checkpoint or the --url of a served model, found both or neither'),
        (['--url', 'http://h/v1', '--samples', '2', '--max-items', '2'], '--samples: expected it or --max-items'),
    ],
)
def test_what_does_not_go_together_is_said_before_anything_is_asked(tmp_path, words, message):
    with pytest.raises(UserError, match=message):
        front('eval', *words, '--bench', 'pope', '--root', tmp_path, '--out', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()


def front(*words: object):
    return CliRunner().invoke(phantom.app, [str(word) for word in words], catch_exceptions=False)
