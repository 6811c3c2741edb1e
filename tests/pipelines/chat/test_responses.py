"""Response bodies of all kinds of servers: what is read of each, what is final, what is asked again."""

import hashlib
import json

import pytest

from pipelines.chat.asking import read_candidates
from pipelines.chat.manners import Manners
from pipelines.chat.requests import choice, greedy, json_object, likelihood, make_request, prepare_image
from pipelines.chat.responses import decode_body, failure, read_response, reread, served_by
from pipelines.replies.segments import decode_line, encode_line
from schemas.recipe import Generator
from schemas.records import Reason
from schemas.replies import Failure, Reply
from tests.pipelines.chat.test_requests import image_id, picture


def plain(content: object = 'hello', **changes: object) -> dict:
    choice = {'message': {'content': content}, 'finish_reason': 'stop', **changes.pop('choice', {})}
    return {'choices': [choice], 'usage': {'prompt_tokens': 3, 'completion_tokens': 1}, **changes}


REQUEST = make_request([{'role': 'user', 'content': 'q'}], model='m', revision='r1', settings=greedy(8))
SCORED = make_request([{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': 'ab'}], model='m', revision='r1', settings=likelihood())

CHOICE = make_request([{'role': 'user', 'content': 'q'}], model='m', revision='r1', settings=choice(('Yes', 'No')))
JSON = make_request([{'role': 'user', 'content': 'q'}], model='m', revision='r1', settings=json_object({'type': 'object'}, 8))
ONE_TOKEN = make_request([{'role': 'user', 'content': 'q'}], model='m', revision='r1', settings=greedy(1))


def said(finish='stop', **message) -> dict:
    """Return a completion whose message has these fields."""
    return plain(choice={'message': {'role': 'assistant', **message}, 'finish_reason': finish})


# --- what is no completion

@pytest.mark.parametrize(
    'payload',
    [
        None, 'text', [], 3, {}, {'choices': None}, {'choices': []}, {'choices': {}}, {'choices': [None]}, {'choices': [{}]}, {'choices': 'x'}, plain(None),
        plain(3), {**plain(), 'error': {'message': 'Internal Server Error', 'code': 500}}, '<html><body>Down</body></html>',
        {'id': None, 'choices': None, 'error': {'message': 'Rate limit exceeded: free-models-per-day', 'code': 429}},  # OpenRouter
        plain(choice={'error': {'message': 'Provider returned error', 'code': 502}, 'finish_reason': 'error'}),  # OpenRouter, in the choice
        {'object': 'error', 'message': 'the engine is dead', 'code': 500},  # vLLM before 0.10
        {'detail': 'Not Found'}, {'detail': [{'loc': ['body'], 'msg': 'field required', 'type': 'missing'}]},  # FastAPI
        {'error': 'model not found'}, {'type': 'error', 'error': {'type': 'overloaded_error', 'message': 'Overloaded'}},  # Ollama; Anthropic
        {'choices': None, 'base_resp': {'status_code': 1008, 'status_msg': 'insufficient balance'}},  # MiniMax
        {'code': 'Throttling.RateQuota', 'message': 'Requests rate limit exceeded', 'request_id': 'x'},  # DashScope
        {'object': 'text_completion', 'choices': [{'text': 'Blue.', 'finish_reason': 'stop'}]},  # /v1/completions
        {'object': 'response', 'output': [{'type': 'message', 'content': [{'type': 'output_text', 'text': 'Blue.'}]}], 'status': 'completed'},  # /responses
        {'model': 'm', 'message': {'role': 'assistant', 'content': 'Blue.'}, 'done': True, 'done_reason': 'stop'},  # Ollama's own
        {'candidates': [{'content': {'parts': [{'text': 'Blue.'}]}, 'finishReason': 'STOP'}]},  # Gemini's own
        {'type': 'message', 'content': [{'type': 'text', 'text': 'Blue.'}], 'stop_reason': 'end_turn'},  # Anthropic's own
        said(content=[{'type': 'image_url', 'image_url': {'url': 'x'}}]), said(content={'incorrect': 'x'}), said(content=[[]]), plain(choice={'message': 'Blue.'}), plain(choice={'message': ['Blue.']}),
    ],
)  # fmt: skip
def test_what_is_no_completion_is_pending_and_shown(payload):
    outcome = read_response(REQUEST, payload)
    assert isinstance(outcome, Failure)
    assert (outcome.kind, outcome.retryable, outcome.key, outcome.status) == ('malformed', True, REQUEST.key, 200)
    assert outcome.detail


def test_the_servers_own_words_are_told():
    raw = 'temporarily rate-limited upstream'
    error = {'message': 'Provider returned error', 'code': 429, 'metadata': {'raw': raw, 'provider_name': 'P'}}
    assert all(word in read_response(REQUEST, {'error': error}).detail for word in (raw, 'Provider returned error', '429'))
    assert 'a web page' in read_response(REQUEST, '<!DOCTYPE html><html>x').detail
    assert 'a body of /completions' in read_response(REQUEST, {'choices': [{'text': 'x'}]}).detail


def test_an_error_that_is_provably_about_the_request_is_final_with_status_200_too():
    error = {'message': "This model's maximum context length is 64 tokens", 'type': 'BadRequestError', 'code': 400}
    for payload in ({'error': error}, {'object': 'error', **error}, plain(choice={'error': error})):
        outcome = read_response(REQUEST, payload)
        assert (outcome.kind, outcome.retryable, outcome.status) == ('too_long', False, 200)
    busy = read_response(REQUEST, {'error': {**error, 'code': 503}})
    assert (busy.kind, busy.retryable) == ('malformed', True)


def test_usage_told_with_a_failure_is_kept_in_it():
    for payload in ({'error': {'message': 'x'}}, {'choices': []}, said('abort', content='Bl'), said('length', content='Bl'), said('content_filter')):
        outcome = read_response(REQUEST, {**payload, 'usage': {'prompt_tokens': 7, 'completion_tokens': 5}})
        assert (outcome.prompt_tokens, outcome.completion_tokens, outcome.counted) == (7, 5, '')
    for error in ({'message': 'x'}, {'message': "This model's maximum context length is 64 tokens", 'code': 400}):
        unpaid = read_response(REQUEST, {'error': error})
        assert (unpaid.prompt_tokens, unpaid.completion_tokens) == (0, 0)


def test_what_a_server_does_not_count_is_counted_and_negative_counts_are_refused():
    for usage in (None, {}):
        reply = read_response(REQUEST, {**plain(), 'usage': usage})
        assert isinstance(reply, Reply)
        assert reply.prompt_tokens > 0 < reply.completion_tokens
        assert reply.counted
    cut = read_response(REQUEST, {'choices': said('abort', content='half an answer')['choices']})
    assert cut.completion_tokens > 0 < len(cut.counted)  # it was made, so it is paid
    refused = read_response(REQUEST, {**plain(), 'usage': {'prompt_tokens': -3, 'completion_tokens': 1}})
    assert (refused.kind, refused.retryable, refused.prompt_tokens) == ('malformed', True, 0)


# --- how a reply ended

@pytest.mark.parametrize('error', [None, '', False, {}, [], {'code': 0, 'message': ''}])
def test_an_error_that_says_nothing_is_none(error):
    assert read_response(REQUEST, {**plain(), 'error': error}).text == 'hello'
    assert read_response(REQUEST, {**plain(), 'base_resp': {'status_code': 0, 'status_msg': ''}}).text == 'hello'


@pytest.mark.parametrize('finish', ['stop', 'STOP', 'eos', 'eos_token', 'end_turn', 'stop_sequence', 'STOP_SEQUENCE', 'COMPLETE', 'FINISH_REASON_STOP'])
def test_a_reply_that_is_known_to_be_whole(finish):
    assert isinstance(read_response(REQUEST, said(finish, content='Blue.')), Reply)


@pytest.mark.parametrize(
    ('finish', 'kind'),
    [
        *((word, 'length') for word in ('length', 'max_tokens', 'MAX_TOKENS', 'model_length', 'max_output_tokens', 'repetition', 'ERROR_LIMIT')),
        *((word, 'refused') for word in (
            'content_filter', 'content-filter', 'content_filter: PROHIBITED_CONTENT', 'SAFETY', 'sensitive', 'RECITATION', 'refusal', 'tool_calls',
            'function_call', 'tool_use', 'ERROR_TOXIC', 'guardrail_intervened')),
    ],
)  # fmt: skip
def test_a_reply_that_another_call_would_bring_no_further_is_final(finish, kind):
    for content in ('Blu', None):
        outcome = read_response(REQUEST, said(finish, content=content))
        assert (outcome.kind, outcome.retryable, outcome.text, outcome.completion_tokens) == (kind, False, content or '', 1)
    assert read_response(REQUEST, plain(choice={'message': None, 'finish_reason': finish})).kind == kind  # Gemini leaves it out


@pytest.mark.parametrize('finish', ['abort', 'error', 'ERROR', 'network_error', 'insufficient_system_resource', '', 'null', 'other', None, 3, ['stop'], 'stopped early'])
def test_a_reply_that_nobody_says_is_whole_is_pending(finish):
    for manners in (Manners(), Manners(finish_reason=False)):
        outcome = read_response(REQUEST, said(finish, content='Blue.'), manners)
        assert (outcome.kind, outcome.retryable) == ('malformed', True)
        assert repr(finish) in outcome.detail


def test_a_missing_finish_reason_is_accepted_of_a_server_that_was_seen_never_to_tell_it():
    payload = said(content='Blue.')
    del payload['choices'][0]['finish_reason']
    assert read_response(REQUEST, payload).kind == 'malformed'
    reply = read_response(REQUEST, payload, Manners(finish_reason=False))
    assert (reply.text, reply.finish_reason) == ('Blue.', '')
    payload['choices'][0]['message']['content'] = ''
    assert read_response(REQUEST, payload, Manners(finish_reason=False)).retryable


def test_what_is_needed_is_there_although_the_limit_ended_it():
    assert read_response(CHOICE, said('length', content='Yes')).text == 'Yes'
    assert read_response(ONE_TOKEN, said('length', content='Hel')).text == 'Hel'
    scored = read_response(SCORED, {**said('length', content='<think>'), 'prompt_logprobs': [None, {'1': {'logprob': -1.0, 'decoded_token': 'ab'}}]})
    assert scored.prompt_logprobs[0].token == 'ab'
    assert read_response(CHOICE, said('length', content='Ye')).kind == 'length'


def test_a_tool_call_that_says_it_is_whole_is_refused():
    call = {'id': 'a', 'type': 'function', 'function': {'name': 'f', 'arguments': '{}'}}
    assert read_response(REQUEST, said(content=None, tool_calls=[call])).kind == 'refused'
    assert read_response(REQUEST, said(content='Blue.', tool_calls=[])).text == 'Blue.'


@pytest.mark.parametrize('refusal', [{'refusal': 'I cannot.'}, {'content': [{'type': 'refusal', 'refusal': 'I cannot.'}]}])
def test_a_refusal_is_final_in_a_field_and_in_a_part(refusal):
    outcome = read_response(REQUEST, said(**refusal))
    assert (outcome.kind, outcome.retryable, outcome.detail) == ('refused', False, 'I cannot.')


# --- thoughts

@pytest.mark.parametrize(
    ('message', 'thoughts'),
    [
        ({'content': 'Blue.'}, ''), ({'content': '<think>Red?</think>Blue.'}, 'Red?'), ({'content': 'Red?\n</think>\n\nBlue.'}, 'Red?'),
        ({'content': 'Blue.', 'reasoning_content': 'Red?'}, 'Red?'), ({'content': 'Blue.', 'reasoning': 'Red?'}, 'Red?'),
        ({'content': 'Blue.', 'reasoning': {'content': 'Red?'}}, 'Red?'), ({'content': 'Blue.', 'reasoning': None, 'reasoning_content': ''}, ''),
        ({'content': 'Blue.', 'thinking': 'Red?'}, 'Red?'), ({'content': 'Blue.', 'provider_specific_fields': {'reasoning_content': 'Red?'}}, 'Red?'),
        ({'content': 'Blue.', 'reasoning': 'Red?', 'reasoning_content': 'Red?', 'reasoning_details': [
            {'type': 'reasoning.text', 'text': 'Red?'}, {'type': 'reasoning.encrypted', 'data': 'gAAA'}]}, 'Red?'),  # OpenRouter
        ({'content': 'Blue.', 'thinking_blocks': [{'type': 'thinking', 'thinking': 'Red?', 'signature': 's'}]}, 'Red?'),  # LiteLLM
        ({'content': [{'type': 'thinking', 'thinking': [{'type': 'text', 'text': 'Red?'}], 'closed': True}, {'type': 'text', 'text': 'Blue.'}]}, 'Red?'),  # Mistral
        ({'content': [{'type': 'thinking', 'thinking': 'Red?', 'signature': 's'}, {'type': 'text', 'text': 'Blue.'}]}, 'Red?'),  # Anthropic
        ({'content': [{'type': 'redacted_thinking', 'data': 'x'}, {'type': 'text', 'text': 'Bl'}, {'type': 'text', 'text': 'ue.'}]}, ''),
        ({'content': [{'type': 'reasoning', 'summary': [{'type': 'summary_text', 'text': 'Red?'}]}, {'type': 'output_text', 'text': 'Blue.'}]}, 'Red?'),
        ({'content': ['Blue.']}, ''), ({'content': {'type': 'text', 'text': 'Blue.'}}, ''), ({'content': [{'text': 'Blue.'}]}, ''),
        ({'content': [{'type': 'text', 'text': '<think>Red?</think>Blue.'}]}, 'Red?'),
    ],
)  # fmt: skip
def test_the_answer_is_the_text_and_thoughts_are_kept_beside_it(message, thoughts):
    reply = read_response(REQUEST, said(**message))
    assert (reply.text, reply.reasoning) == ('Blue.', thoughts)
    if thoughts:
        assert 'Red?' in reply.raw  # the body stays as it came


@pytest.mark.parametrize('finish', ['stop', 'length'])
@pytest.mark.parametrize(
    'message', [{'content': '<think>Red? It'}, {'content': None, 'reasoning_content': 'Red? It'}, {'content': '', 'reasoning': 'Red? It'},
                {'content': '\n\n', 'reasoning': 'Red? It'}, {'content': '<|channel|>analysis<|message|>Red? It'}, {'reasoning_content': 'Red? It'},
                {'content': [{'type': 'thinking', 'thinking': 'Red? It'}]}])
def test_a_reply_that_ends_inside_its_thoughts_is_cut_and_paid(finish, message):
    outcome = read_response(REQUEST, said(finish, **message))
    assert (outcome.kind, outcome.retryable, outcome.reasoning, outcome.text.strip()) == ('length', False, 'Red? It', '')
    assert (outcome.prompt_tokens, outcome.completion_tokens, outcome.detail) == (3, 1, 'ended inside its thoughts after 1 tokens')


def test_a_reply_whose_thoughts_end_in_nothing_has_an_empty_answer():
    reply = read_response(REQUEST, said(content='<think>Red?</think>\n'))
    assert (reply.text, reply.reasoning) == ('', 'Red?')
    assert read_candidates(Generator(prompt='paper', model='m'), reply) == (Reason.UNPARSABLE_REPLY, '')
    assert read_response(REQUEST, said('length', content='<think>Red?</think>\n')).kind == 'length'


@pytest.mark.parametrize('place', ['reasoning_content', 'reasoning'])
def test_what_a_guide_forced_is_the_answer_wherever_a_reasoning_parser_put_it(place):
    """vLLM, with a model that answers at once: content is null and the thoughts hold the choice."""
    reply = read_response(CHOICE, said(content=None, **{place: 'Yes'}))
    assert (reply.text, reply.reasoning) == ('Yes', '')
    assert read_response(JSON, said(content=None, **{place: '{"ok": true}'})).text == '{"ok": true}'
    assert read_response(CHOICE, said(content=None, **{place: 'Yes, since'})).kind == 'length'
    assert read_response(REQUEST, said(content=None, **{place: 'Yes'})).kind == 'length'


def test_a_reply_stored_with_its_thoughts_is_read_anew():
    stored = Reply('k', 'm', 'r', '<think>Red?</think>Blue.', 'stop', 1, 1)
    assert (reread(stored).text, reread(stored).reasoning) == ('Blue.', 'Red?')
    assert reread(reread(stored)) == reread(stored)
    cut = reread(Reply('k', 'm', 'r', '<think>Red?', 'stop', 4, 9))
    assert (cut.kind, cut.retryable, cut.prompt_tokens, cut.completion_tokens) == ('length', False, 4, 9)
    for as_it_is in (Reply('k', 'm', 'r', ' Blue. ', 'stop', 1, 1), Failure('k', 'length', 'x', False, text='<think>a</think>b')):
        assert reread(as_it_is) is as_it_is


# --- log-probabilities

def scored(logprobs, content='Yes', **message) -> dict:
    return plain(choice={'message': {'content': content, **message}, 'finish_reason': 'stop', 'logprobs': logprobs})


def token(text, logprob=-0.1, **others) -> dict:
    return {'token': text, 'logprob': logprob, **others}


def test_log_probabilities_in_the_older_form_of_lists():
    """As vLLM before 0.4 and others give them in a chat."""
    lists = {'content': None, 'text_offset': [0], 'tokens': ['▁Yes'], 'token_logprobs': [-0.1], 'top_logprobs': [{'▁Yes': -0.1, '▁No': -2.5}]}
    (found,) = read_response(CHOICE, scored(lists)).logprobs
    assert (found.token, found.logprob, found.top) == ('▁Yes', -0.1, (('▁Yes', -0.1), ('▁No', -2.5)))
    for top in (None, [], [None], 'x'):
        assert read_response(CHOICE, scored({**lists, 'top_logprobs': top})).logprobs[0].top == ()


@pytest.mark.parametrize(
    ('entry', 'expected'),
    [
        (token('Yes'), ('Yes', -0.1, ())), (token('Yes', top_logprobs=None), ('Yes', -0.1, ())), (token('Yes', float('-inf')), ('Yes', -9999.0, ())),
        (token('Yes', None), ('Yes', -9999.0, ())), (token('Yes', top_logprobs={'Yes': -0.1, 'No': None}), ('Yes', -0.1, (('Yes', -0.1), ('No', -9999.0)))),
        (token('token_id:9642', bytes=[89, 101, 115]), ('Yes', -0.1, ())), (token(None, bytes=[89, 101, 115]), ('Yes', -0.1, ())),
        (token('Yes', '-0.1'), ('Yes', -0.1, ())),
    ],
)  # fmt: skip
def test_tokens_and_their_log_probabilities_as_servers_write_them(entry, expected):
    (found,) = read_response(CHOICE, scored({'content': [entry]})).logprobs
    assert (found.token, found.logprob, found.top) == expected


@pytest.mark.parametrize('entry', [{'token': 'x'}, token('x', float('nan')), token('x', float('inf')), token('x', 3.0), token('x', 'x'), token(7), 'x', None])
def test_log_probabilities_that_are_no_numbers_are_pending_where_they_were_asked_for(entry):
    assert read_response(CHOICE, scored({'content': [entry]})).retryable
    assert isinstance(read_response(REQUEST, scored({'content': [entry]})), Reply)


@pytest.mark.parametrize('logprobs', [None, {}, [], 'x', {'content': None}, {'content': []}, {'tokens': ['Yes']}])
def test_a_reply_without_log_probabilities_says_so(logprobs):
    assert read_response(CHOICE, scored(logprobs)).logprobs == ()


def test_of_log_probabilities_only_those_of_the_answer_are_kept():
    thoughts = [token('<think>'), *(token(f' {n}') for n in range(500)), token('</think>'), token('\n\n'), token('Yes')]
    text = '<think>' + ''.join(f' {n}' for n in range(500)) + '</think>\n\nYes'
    assert [t.token for t in read_response(CHOICE, scored({'content': thoughts}, text)).logprobs] == ['Yes']
    apart = scored({'content': thoughts}, 'Yes', reasoning_content=''.join(f' {n}' for n in range(500)))
    assert [t.token for t in read_response(CHOICE, apart).logprobs] == ['Yes']
    only_thoughts = read_response(CHOICE, scored({'content': thoughts[:400]}, 'Yes', reasoning_content='x'))
    assert len(only_thoughts.logprobs) == 64


# --- who answered

def test_who_answered_is_told_in_the_servers_own_words_and_short():
    seen = Manners(served_by='version 0.32.0; toy')
    assert served_by({'model': 'toy', 'system_fingerprint': 'fp_1'}, seen) == 'toy; fp_1; version 0.32.0'
    assert served_by({'model': 'gpt\x00-4\n\x1b[31m'}) == 'gpt -4 [31m'
    assert served_by({'model': None, 'system_fingerprint': 7}) == served_by('x') == ''
    assert len(served_by({'model': 'x' * 9999, 'system_fingerprint': 'y' * 9999}, Manners(served_by='z' * 9999))) <= 250
    for outcome in (read_response(REQUEST, plain(model='toy')), read_response(REQUEST, {'model': 'toy', 'choices': []})):
        assert outcome.served_by == 'toy'


@pytest.mark.parametrize('model', ['toy-{}', 'toy@chatcmpl-{}', 'toy/req_{}', 'toy {}'])
def test_what_is_new_in_every_response_is_no_name_of_a_server(model):
    digests = [hashlib.md5(str(n).encode()).hexdigest() for n in range(20)]
    uuids = ['-'.join((d[:8], d[8:12], d[12:16], d[16:20], d[20:])) for d in digests]
    assert len({served_by({'model': model.format(d)}) for d in [*digests, *uuids]}) == 1
    assert len({served_by({'id': f'x{d[:9]}', 'model': f'toy-x{d[:9]}'}) for d in digests}) == 1
    assert served_by({'model': 'gpt-4o-2024-08-06'}) == 'gpt-4o-2024-08-06'


# --- what was so before


@pytest.mark.parametrize('content', [b'[' * 100_000, b'{"choices": ' + b'[' * 900 + b']' * 900 + b'}', b'', b'\xff', b'{"choices": [{"mess',
                                     b'{"choices": ' + b'[' * 700 + b'"\\ud83d"' + b']' * 700 + b'}'])
def test_a_body_that_is_nested_too_deep_torn_or_no_json_is_malformed(content):
    outcome = read_response(REQUEST, decode_body(content))
    assert isinstance(outcome, Failure)
    assert outcome.kind == 'malformed'


@pytest.mark.parametrize(('escaped', 'text'), [(r'caf\ud83d', 'caf?'), (r'\uD83D\uDE00', '😀'), (r'\u00e9', 'é')])
def test_half_a_character_in_a_reply_can_be_stored(escaped, text):
    outcome = read_response(REQUEST, decode_body(json.dumps(plain('TEXT')).replace('TEXT', escaped).encode()))
    assert outcome.text == text
    assert decode_line(encode_line(outcome)) == outcome
    assert decode_line(encode_line(failure(REQUEST, 'rejected', 'half \ud83d', retryable=False))).detail == 'half ?'


@pytest.mark.parametrize(('finish', 'kind'), [('length', 'length'), ('content_filter', 'refused'), ('stop', 'malformed')])
def test_a_reply_without_text_is_what_ended_it(finish, kind):
    assert read_response(REQUEST, plain(None, choice={'finish_reason': finish})).kind == kind


def test_a_likelihood_response_without_prompt_logprobs_is_malformed():
    assert read_response(SCORED, plain()).kind == 'malformed'


def test_of_a_long_prompt_only_the_end_is_kept():
    prompt = [None, *({str(n): {'logprob': -n / 7, 'decoded_token': f't{n}'}} for n in range(1000))]
    reply = read_response(SCORED, plain(prompt_logprobs=prompt))
    assert len(reply.prompt_logprobs) == 2 + 16
    assert (reply.prompt_logprobs[-1].token, reply.prompt_logprobs[-1].logprob) == ('t999', -999 / 7)
    assert 't999' not in reply.raw


def test_the_raw_reply_is_kept_without_bulk_and_blanks():
    reply = read_response(REQUEST, plain(id='x', system_fingerprint='vllm-0.32', nothing=None))
    assert isinstance(reply, Reply)
    assert json.loads(reply.raw)['system_fingerprint'] == 'vllm-0.32'
    assert 'nothing' not in reply.raw


def test_a_reply_and_a_failure_say_which_pictures_were_resized():
    data = picture(100, 50, 'PNG')
    images = [prepare_image(data, image_id(data), side) for side in (40, 200)]
    messages = [{'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': f'image:{i}'}} for i in range(2)]}]
    request = make_request(messages, model='m', revision='r', settings=greedy(5), images=images)
    noted = (f'{image_id(data)}: 100x50 -> 40x20 png',)
    for payload in (plain(), plain(choice={'finish_reason': 'length'}), {}):
        assert read_response(request, payload).resized == noted
    assert read_response(REQUEST, plain()).resized == ()


@pytest.mark.parametrize(
    ('prompt', 'outcome', 'expected'),
    [
        ('paper', read_response(REQUEST, plain('blue')), (('blue', 'incorrect'),)),
        ('grounded', read_response(REQUEST, plain('{"incorrect": "x", "ambiguous": "y"}')), (('x', 'incorrect'), ('y', 'ambiguous'))),
        ('grounded', read_response(REQUEST, plain('no json')), (Reason.UNPARSABLE_REPLY, 'no json')),
        ('paper', Failure('k', 'length', 'no end', False, text='so lo'), (Reason.CUT_REPLY, 'length: no end so lo')),
        ('paper', read_response(REQUEST, plain(choice={'finish_reason': 'content_filter'})), (Reason.REFUSED_REPLY, 'refused: content_filter hello')),
    ],
)
def test_candidates_or_a_reason_come_out_of_every_settled_outcome(prompt, outcome, expected):
    assert read_candidates(Generator(prompt=prompt, model='m'), outcome) == expected


