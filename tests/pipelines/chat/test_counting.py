"""Tokens as a server tells them, and a count of ours that is never too low where it does not."""

import pytest

from pipelines.chat.counting import BYTES, SPLIT, TOKENS_PER_PICTURE, counted_usage, told_usage, usage_of
from pipelines.chat.requests import greedy, make_request, prepare_image
from tests.programmes.project import picture

REQUEST = make_request([{'role': 'user', 'content': 'Wie heißt es?'}], model='m', revision='r', settings=greedy(16))
PROMPT = len(REQUEST.body.encode())


def used(**usage):
    return usage_of({'usage': usage}, REQUEST, 'Ja.')


@pytest.mark.parametrize(
    ('usage', 'expected'),
    [
        ({'prompt_tokens': 7, 'completion_tokens': 2, 'total_tokens': 9}, (7, 2, '')),
        ({'prompt_tokens': 7, 'completion_tokens': 2, 'total_tokens': 0}, (7, 2, '')),
        ({'prompt_tokens': '7', 'completion_tokens': 2.0}, (7, 2, '')),
        ({'input_tokens': 7, 'output_tokens': 2}, (7, 2, '')),
        ({'prompt_tokens': 7, 'completion_tokens': 2, 'total_tokens': 109}, (7, 102, '')),  # thoughts that only the sum holds
        ({'prompt_tokens': 7, 'total_tokens': 9}, (7, 2, '')),
        ({'completion_tokens': 2, 'total_tokens': 9}, (7, 2, '')),
        ({'prompt_tokens': 7}, (7, 4, BYTES)),
        ({'prompt_tokens': 7, 'completion_tokens': None}, (7, 4, BYTES)),
        ({'prompt_tokens': 7, 'completion_tokens': 0}, (7, 4, BYTES)),
        ({'completion_tokens': 2}, (PROMPT, 2, BYTES)),
        ({'total_tokens': 9}, (5, 4, SPLIT)),
        ({'total_tokens': 3}, (0, 3, SPLIT)),
        ({'prompt_tokens': 0, 'completion_tokens': 0, 'total_tokens': 0}, (PROMPT, 4, BYTES)),
        ({'prompt_tokens': 'many', 'completion_tokens': [2]}, (PROMPT, 4, BYTES)),
        ({'prompt_tokens': True, 'completion_tokens': True}, (PROMPT, 4, BYTES)),
        ({}, (PROMPT, 4, BYTES)),
    ],
)
def test_what_the_server_tells_is_believed_and_what_it_does_not_is_counted(usage, expected):
    assert used(**usage) == expected


@pytest.mark.parametrize('payload', [{}, {'usage': None}, {'usage': 'none'}, {'usage': [1, 2]}, 'a page', None, []])
def test_a_body_without_usage_is_counted(payload):
    assert usage_of(payload, REQUEST, 'Ja.') == (PROMPT, 4, BYTES)


def test_no_completion_is_none_where_nothing_was_said():
    assert usage_of({'usage': {'prompt_tokens': 7, 'completion_tokens': 0}}, REQUEST, '') == (7, 0, '')


@pytest.mark.parametrize('name', ['prompt_tokens', 'completion_tokens', 'total_tokens'])
@pytest.mark.parametrize('value', [-1, -0.5, '-3', float('nan'), float('inf'), 10**12, 10**400, 'nan'])
def test_a_number_that_cannot_be_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f'expected {name} from 0 to'):
        used(**{'prompt_tokens': 7, 'completion_tokens': 2, name: value})


@pytest.mark.parametrize(
    ('payload', 'expected'),
    [
        ({'usage': {'prompt_tokens': 7, 'completion_tokens': 2}}, (7, 2)),
        ({'usage': {'prompt_tokens': 7, 'total_tokens': 9}, 'error': {}}, (7, 2)),
        ({'usage': {'total_tokens': 9}}, (9, 0)),
        ({'usage': {'completion_tokens': 2, 'total_tokens': 9}}, (7, 2)),
        ({'usage': {'input_tokens': '7'}}, (7, 0)),
        ({'usage': {'prompt_tokens': -7, 'completion_tokens': 2}}, (0, 0)),
        ({'usage': {'prompt_tokens': float('nan')}}, (0, 0)),
        ({'usage': None}, (0, 0)),
        ({'error': 'no'}, (0, 0)),
        ('<html>', (0, 0)),
        (None, (0, 0)),
    ],
)
def test_of_a_failure_only_what_its_body_tells_is_counted(payload, expected):
    assert told_usage(payload) == expected


def test_a_picture_costs_as_many_tokens_as_the_greediest_model_makes_of_it():
    image = prepare_image(picture('p'), 'i', 1344)
    parts = [{'type': 'text', 'text': 'What?'}, {'type': 'image_url', 'image_url': {'url': 'image:0'}}]
    request = make_request([{'role': 'user', 'content': parts}], model='m', revision='r', settings=greedy(16), images=[image])
    assert counted_usage(request, '')[0] == len(request.body.encode()) + TOKENS_PER_PICTURE


def test_a_count_of_ours_is_not_below_that_of_a_tokenizer():
    """By bytes, as the tokenizers of the demo model and of GPT-2 do it: digits, signs and other scripts are their worst cases."""
    for text in ('word ' * 50, '1234567890' * 20, '{[(<>)]}' * 20, '問題が多い' * 20, '🦙🦙', 'Ünïcödé'):
        assert counted_usage(REQUEST, text)[1] >= len(list(text))
        assert counted_usage(REQUEST, text)[1] == len(text.encode()) + 1
