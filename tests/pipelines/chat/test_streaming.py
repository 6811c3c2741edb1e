"""A reply that comes piece by piece is the reply that a plain call would have brought, however it comes, breaks off or never ends."""

import json
import random
import threading

import pytest

from pipelines.chat import streaming, transport
from pipelines.chat.attempts import so_far_of
from pipelines.chat.requests import choice, greedy, likelihood, make_request
from pipelines.chat.responses import read_response
from pipelines.chat.streaming import Endless, Pieces
from schemas.replies import Failure, Reply
from tests.pipelines.chat.raw_server import DONE, USAGE, Raw, piece
from tests.pipelines.chat.test_openai_backend import opened, settings

__all__ = ['opened']  # the fixture


def read(*parts: bytes, max_tokens: int = 100) -> Pieces:
    pieces = Pieces(max_tokens)
    for part in parts:
        pieces.feed(part)
    pieces.end()
    return pieces


def asked(count: int = 1, **changes) -> list:
    made = {'model': 'fake-model', 'revision': 'r1', 'settings': greedy(64), **changes}
    return [make_request([{'role': 'user', 'content': f'question {n}'}], **made) for n in range(count)]


WHOLE = [piece(role='assistant', content=''), piece('Good '), piece('day'), piece(finish='stop'), piece(usage=USAGE), DONE]


def test_pieces_make_the_body_of_a_plain_call():
    assert read(*WHOLE).payload() == {
        'id': 'x', 'object': 'chat.completion', 'created': 1, 'model': 'fake-model', 'usage': USAGE,
        'choices': [{'index': 0, 'message': {'role': 'assistant', 'content': 'Good day'}, 'finish_reason': 'stop'}],
    }


@pytest.mark.parametrize('size', [1, 2, 7, 10**6])
def test_where_the_bytes_are_parted_makes_no_difference(size):
    data = b': keep-alive\r\n\r\n' + b''.join(WHOLE).replace(b'\n', b'\r\n') + 'data: äöü never read'.encode()
    assert read(*(data[i : i + size] for i in range(0, len(data), size))).payload() == read(*WHOLE).payload()


def test_half_a_character_in_each_of_two_pieces_is_one_character():
    first, second = (piece('x').replace(b'"x"', half) for half in (b'"\\ud83d"', b'"\\ude00!"'))
    assert read(first, second, DONE).payload()['choices'][0]['message']['content'] == '\U0001f600!'


def test_thoughts_refusals_tool_calls_and_parts_are_put_together():
    call = {'index': 0, 'id': 'c1', 'type': 'function', 'function': {'name': 'f', 'arguments': '{"a"'}}
    more = {'index': 0, 'function': {'arguments': ': 1}'}}
    thoughts = [{'type': 'thinking', 'thinking': [{'type': 'text', 'text': 'hm'}]}]
    message = read(
        piece(reasoning_content='one '), piece(reasoning_content='two'), piece(refusal='I '), piece(refusal='will not'),
        piece(tool_calls=[call]), piece(tool_calls=[more]), piece(content=thoughts), piece('said'), DONE,
    ).payload()['choices'][0]['message']
    assert (message['reasoning_content'], message['refusal']) == ('one two', 'I will not')
    assert message['tool_calls'] == [{'index': 0, 'id': 'c1', 'type': 'function', 'function': {'name': 'f', 'arguments': '{"a": 1}'}}]
    assert message['content'] == [*thoughts, {'type': 'text', 'text': 'said'}]


def test_log_probabilities_go_on_and_the_last_usage_counts():
    def with_logprobs(token: str) -> bytes:
        body = json.loads(piece(token)[6:])
        body['choices'][0]['logprobs'] = {'content': [{'token': token, 'logprob': -0.5, 'top_logprobs': []}]}
        return b'data: %s\n\n' % json.dumps({**body, 'usage': {'prompt_tokens': 1, 'completion_tokens': 1}}).encode()

    payload = read(with_logprobs('a'), with_logprobs('b'), piece(finish='stop'), piece(usage=USAGE), DONE).payload()
    assert [t['token'] for t in payload['choices'][0]['logprobs']['content']] == ['a', 'b']
    assert payload['usage'] == USAGE


def test_an_ending_told_as_an_empty_text_in_every_piece_is_the_one_that_is_told_at_last():
    assert read(piece('a', finish=''), piece('', finish='stop'), piece('', finish=''), DONE).payload()['choices'][0]['finish_reason'] == 'stop'


@pytest.mark.parametrize('body', [b'{"choices": []}', b'\n\n  {"choices": []}', b'[1]', b'<html>data: 1</html>', b'', b'dat'])
def test_a_body_in_one_piece_is_left_as_it_is(body):
    pieces = read(body)
    assert not pieces.streamed
    assert pieces.payload() == (json.loads(body) if body.strip()[:1] in (b'{', b'[') else body.decode())


ODD = (None, True, 3, -1.5, '', 'hi', [], ['x'], [None, {}], {}, {'content': ['x']}, [{'index': 'y'}], {'function': 'z'}, [[[]]], {'content': {'a': 1}})
FIELDS = ('role', 'content', 'reasoning', 'reasoning_content', 'tool_calls', 'refusal', 'logprobs', 'message', 'delta', 'finish_reason', 'index')


def odd_piece(random_: random.Random) -> bytes:
    def some() -> dict:
        return {name: random_.choice(ODD) for name in random_.sample(FIELDS, random_.randint(0, 4))}

    choice = {**some(), **({'delta': some()} if random_.random() < 0.8 else {})}
    return b'data: ' + json.dumps({'choices': [choice], **({'usage': random_.choice(ODD)} if random_.random() < 0.2 else {})}).encode() + b'\n\n'


def test_whatever_stands_in_the_pieces_a_body_comes_of_it():
    request = asked()[0]
    for seed in range(3000):
        random_ = random.Random(seed)
        pieces = read(*(odd_piece(random_) for _ in range(random_.randint(1, 6))))
        payload = pieces.payload()
        assert isinstance(payload, dict)
        assert isinstance(so_far_of(payload), str)
        assert read_response(request, payload).key == request.key


def test_what_never_ends_is_ended_by_its_size(monkeypatch):
    monkeypatch.setattr(streaming, 'SPARE_PIECES', 10)
    with pytest.raises(Endless):
        read(*[piece('a')] * 20, max_tokens=1)
    monkeypatch.setattr(streaming, 'SPARE_BYTES', 10)
    with pytest.raises(Endless):
        read(b' ' * 10_000, max_tokens=1)


def test_a_reply_that_takes_many_time_outs_is_waited_for_as_long_as_it_grows(opened, capsys):
    """Its pieces come four tenths of a time-out apart, 12 of them."""
    parts = [part for n in range(12) for part in (piece(f'{n} '), 0.4)]
    with Raw(lambda *_: [*parts, piece(finish='stop'), piece(usage=USAGE), DONE]) as server:
        (reply,) = opened(settings(server.url, timeout_s=1.0)).complete(asked())
        assert server.posts == 1
        assert server.bodies[0]['stream'] is True
    assert isinstance(reply, Reply)
    assert (reply.text, reply.prompt_tokens, reply.completion_tokens) == ('0 1 2 3 4 5 6 7 8 9 10 11 ', 5, 2)
    assert capsys.readouterr().err == ''


def test_the_wish_to_stream_is_no_part_of_the_key(opened):
    with Raw(lambda *_: WHOLE) as server:
        (one,) = opened(settings(server.url)).complete(asked())
        (other,) = opened(settings(server.url, stream=False)).complete(asked())
        assert ['stream' in body for body in server.bodies] == [True, False]
    assert one.key == other.key == asked()[0].key


def test_short_replies_and_scores_of_a_prompt_are_asked_for_whole(opened):
    seen = [{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': 'a'}]
    short = [*asked(settings=choice(['Yes', 'No'])), make_request(seen, model='fake-model', revision='r1', settings=likelihood())]
    with Raw(lambda *_: (200, {})) as server:
        list(opened(settings(server.url, max_retries=0)).complete(short))
        assert [body.get('stream') for body in server.bodies] == [None, None]


def test_a_quick_server_is_asked_for_whole_replies_soon(opened):
    whole = {'choices': [{'message': {'content': 'x'}, 'finish_reason': 'stop'}], 'usage': USAGE}
    with Raw(lambda body, _: WHOLE if 'stream' in body else (200, whole)) as server:
        outcomes = list(opened(settings(server.url, concurrency=1, timeout_s=60)).complete(asked(5)))
        assert ['stream' in body for body in server.bodies] == [True, False, False, False, False]
    assert all(isinstance(o, Reply) for o in outcomes)


REFUSALS = [
    (400, {'error': {'message': 'Unrecognized request argument supplied: stream_options'}}),
    (400, {'error': {'message': "Unsupported value: 'stream' does not support true with this model.", 'param': 'stream'}}),
    (422, {'detail': [{'type': 'extra_forbidden', 'loc': ['body', 'stream_options', 'include_usage']}]}),
    (501, b'Streaming is not implemented'),
]


@pytest.mark.parametrize('refusal', REFUSALS)
def test_a_server_that_refuses_to_stream_is_asked_plainly_at_once_and_it_is_told_once(opened, refusal, capsys):
    heard = []
    whole = {'choices': [{'message': {'content': 'x'}, 'finish_reason': 'stop'}], 'usage': USAGE}

    def hear(outcome):
        heard.append(outcome)
        return True

    with Raw(lambda body, _: refusal if 'stream' in body else (200, whole)) as server:
        outcomes = list(opened(settings(server.url, concurrency=1, max_retries=0)).complete(asked(4), hear))
        assert ['stream' in body for body in server.bodies] == [True, False, False, False, False]
    assert [type(o) for o in outcomes] == [Reply] * 4
    assert heard == outcomes
    assert capsys.readouterr().err.count('expected a reply piece by piece') == 1


def test_a_server_that_ignores_the_wish_just_works(opened, capsys):
    whole = {'choices': [{'message': {'content': 'x'}, 'finish_reason': 'stop'}], 'usage': USAGE}
    with Raw(lambda *_: (200, whole)) as server:
        outcomes = list(opened(settings(server.url, concurrency=1)).complete(asked(3)))
        assert server.posts == 3
    assert [type(o) for o in outcomes] == [Reply] * 3
    assert capsys.readouterr().err.count('found one in one piece') == 1


def test_words_of_a_proxy_are_no_refusal_to_stream(opened):
    with Raw(lambda *_: (400, b'upstream connect error')) as server:
        (failed,) = opened(settings(server.url)).complete(asked())
        assert server.posts == 1
    assert (failed.retryable, failed.status) == (True, 400)


@pytest.mark.parametrize('end', [[None], [], [0.6, None]])
def test_a_reply_that_breaks_off_is_made_again_and_what_came_is_kept_with_the_failure(opened, end):
    with Raw(lambda _, nth: [piece('half'), *end] if nth == 1 else WHOLE) as server:
        heard = []

        def hear(outcome):
            heard.append(outcome)
            return True

        (reply,) = opened(settings(server.url)).complete(asked(), hear)
    assert reply.text == 'Good day'
    assert (heard[0].kind, heard[0].retryable, heard[0].text) == ('transport', True, 'half')
    assert heard[1:] == [reply]


@pytest.mark.parametrize('end', [[piece(finish='stop'), piece(usage=USAGE)], [piece(finish='stop'), piece(usage=USAGE), None]])
def test_a_reply_that_said_how_it_ended_is_whole_without_a_last_word(opened, end):
    with Raw(lambda *_: [piece('all'), *end]) as server:
        (reply,) = opened(settings(server.url, max_retries=0)).complete(asked())
    assert reply.text == 'all'


@pytest.mark.parametrize(
    ('error', 'kind', 'status'),
    [({'message': 'CUDA out of memory', 'code': 500}, 'transport', 500), ({'message': 'engine died'}, 'transport', 200),
     ({'message': "This model's maximum context length is 64 tokens", 'code': 400}, 'too_long', 400)],
)
def test_an_error_in_place_of_a_piece_is_that_error(opened, error, kind, status):
    with Raw(lambda *_: [piece('so '), b'data: %s\n\n' % json.dumps({'error': error}).encode(), DONE]) as server:
        (failed,) = opened(settings(server.url, max_retries=0)).complete(asked())
    assert isinstance(failed, Failure)
    assert (failed.kind, failed.status, failed.retryable) == (kind, status, kind == 'transport')
    assert error['message'] in failed.detail


def test_signs_of_life_are_waited_for_and_not_for_ever(opened, monkeypatch):
    monkeypatch.setattr(transport, 'SIGNS_OF_LIFE', 3)
    alive = [b': keep-alive\n\n', 0.4]
    with Raw(lambda _, nth: [*alive * 4, *WHOLE] if nth == 1 else alive * 10**4) as server:
        backend = opened(settings(server.url, timeout_s=1.0, max_retries=0))
        (reply,) = backend.complete(asked())
        (failed,) = backend.complete(asked())
    assert reply.text == 'Good day'
    assert failed.detail == 'no reply within 1 s' or 'nothing but signs of life within 3 s' in failed.detail
    assert failed.retryable


def test_a_reply_without_an_end_is_cut_and_counted(opened, monkeypatch):
    monkeypatch.setattr(streaming, 'SPARE_PIECES', 50)
    going = threading.Event()

    def answer(*_):
        while not going.is_set():
            yield piece('on and ')

    with Raw(answer) as server:
        (failed,) = opened(settings(server.url, max_retries=0)).complete(asked())
        going.set()
    assert isinstance(failed, Failure)
    assert failed.kind in ('length', 'malformed')  # without usage as malformed, until replies without it are read


def test_a_reply_with_the_real_key_is_not_kept(opened, monkeypatch):
    key = 'sk-a1B2c3D4e5F6g7H8i9J0k1L2m3N4'
    monkeypatch.setenv('PHANTOM_TEST_KEY', key)
    with Raw(lambda *_: [piece(f'your key is {key[:10]}'), piece(key[10:]), piece(finish='stop'), piece(usage=USAGE), DONE]) as server:
        (failed,) = opened(settings(server.url, api_key_env='PHANTOM_TEST_KEY')).complete(asked())
        assert server.posts == 1
    assert (failed.kind, failed.retryable, failed.prompt_tokens, failed.completion_tokens, failed.text) == ('leaked_key', False, 5, 2, '')
    assert key not in failed.detail
