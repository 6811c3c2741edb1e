"""Messages in the shapes that published data and tools have."""

import base64

import pytest

from curation.rows.formats import Conversation, Fault, parse, split_turns
from schemas.records import Reason, Turn

PNG = b'\x89PNG\r\n\x1a\n....'
ASK, ANSWER = Turn('user', '<image>What shape is this?'), Turn('assistant', 'A ring.')


def talk(content, answer='A ring.', **fields):
    return {'messages': [{'role': 'user', 'content': content}, {'role': 'assistant', 'content': answer}], **fields}


def sharegpt(*said, **fields):
    return {'conversations': [{'from': role, 'value': text} for role, text in said], **fields}


def reason(row, format='messages'):
    found = parse(row, format)
    assert isinstance(found, Fault), found
    return found.reason


TEXT = {'type': 'text', 'text': 'What shape is this?'}


@pytest.mark.parametrize('row', [
    talk([{'type': 'image_url', 'image_url': {'url': '1.png'}}, TEXT]),
    talk([{'type': 'image_url', 'image_url': {'url': './1.png', 'detail': 'low'}}, TEXT]),
    talk([{'type': 'image_url', 'image_url': '1.png'}, TEXT]),
    talk([{'type': 'image', 'image': '1.png'}, TEXT]),
    talk([{'type': 'image', 'path': '1.png'}, TEXT]),
    talk([{'type': 'image', 'url': '1.png'}, TEXT]),
    talk([{'type': 'input_image', 'image_url': '1.png'}, {'type': 'input_text', 'text': 'What shape is this?'}]),
    talk([{'type': 'image', 'value': '1.png'}, {'type': 'text', 'value': 'What shape is this?'}], [{'type': 'text', 'value': 'A ring.'}]),
    talk([{'type': 'image'}, TEXT], images=['1.png']),
    talk([{'type': 'image', 'text': None, 'index': 0}, {**TEXT, 'index': None}], images=['1.png']),
    talk([{'image': '1.png'}, {'text': 'What shape is this?'}]),
    talk([{'type': 'image', 'image': '1.png'}, 'What shape is this?'], [{'type': 'output_text', 'text': 'A ring.'}]),
    talk([{'type': 'image', 'image': '1.png'}, TEXT], images=['1.png']),
    talk('<image>What shape is this?', images=['1.png']),
    {'messages': [{'role': 'user', 'content': 'What shape is this?', 'images': ['1.png']}, {'role': 'assistant', 'content': 'A ring.'}]},
    sharegpt(('human', '<image>What shape is this?'), ('gpt', 'A ring.'), image='1.png'),
    sharegpt(('Human', '<image>What shape is this?'), ('Assistant', 'A ring.'), images=['1.png']),
    sharegpt(('user', '<img>1.png</img>What shape is this?'), ('bot', 'A ring.')),
    sharegpt(('prompter', '<image_00>What shape is this?'), ('chatgpt', 'A ring.'), image={'<image_00>': '1.png'}),
    {'conversations': {'from': ['human', 'gpt'], 'value': ['<image>What shape is this?', 'A ring.']}, 'image': '1.png'},
    {'messages': '[{"role": "user", "content": "<image>What shape is this?"}, {"role": "assistant", "content": "A ring."}]', 'image': '1.png'},
    {'conversation': [{'human': '<image>What shape is this?', 'assistant': 'A ring.'}], 'image_path': '1.png'},
    {'conversations': [{'role': 'user', 'content': '<image>What shape is this?'}, {'role': 'model', 'content': 'A ring.'}], 'image': '1.png'},
    {'messages': [{'from': 'human', 'value': '<|vision_start|><|image_pad|><|vision_end|>What shape is this?'}, {'from': 'gpt', 'value': 'A ring.'}], 'image': '1.png'},
])
@pytest.mark.parametrize('format', ['messages', 'llava'])
def test_a_picture_and_its_question_are_read_in_every_shape(row, format):
    assert parse(row, format) == Conversation((ASK, ANSWER), ('1.png',))


def test_a_picture_inside_a_message_may_be_a_data_url_or_bytes():
    url = 'data:image/png;base64,' + base64.b64encode(PNG).decode()
    for part in ({'type': 'image_url', 'image_url': {'url': url}}, {'type': 'image', 'image': {'bytes': PNG, 'path': None}},
                 {'type': 'image', 'source': {'type': 'base64', 'media_type': 'image/png', 'data': base64.b64encode(PNG).decode()}}):
        assert parse(talk([part, TEXT]), 'messages').images == (PNG,)
    assert parse(talk('<image>What shape is this?', images=[base64.b64encode(PNG * 400).decode()]), 'messages').images == (PNG * 400,)


@pytest.mark.parametrize(('row', 'expected'), [
    (talk([{'type': 'image_url', 'image_url': {'url': 'https://host/1.png'}}, TEXT]), Reason.IMAGE_REFERENCE_UNSAFE),
    (talk([{'type': 'image', 'image': 'file:///etc/passwd'}, TEXT]), Reason.IMAGE_REFERENCE_UNSAFE),
    (talk('<img>http://host/1.png</img>What?'), Reason.IMAGE_REFERENCE_UNSAFE),
    (talk([{'type': 'image_url', 'image_url': {'url': 'data:image/png;base64,###'}}, TEXT]), Reason.RECORD_MALFORMED),
    (talk([{'type': 'image'}, TEXT]), Reason.IMAGE_COUNT_MISMATCH),
    (talk([{'type': 'image', 'image': 'a.png'}, TEXT], images=['b.png']), Reason.IMAGE_COUNT_MISMATCH),
    (talk([{'type': 'image', 'image': ['a.png', 'b.png']}, TEXT]), Reason.IMAGE_COUNT_MISMATCH),
    (talk('<image>?', [{'type': 'image', 'image': 'b.png'}], images=['a.png']), Reason.IMAGE_COUNT_MISMATCH),
    (talk('<image>?', image='a.png', images=['b.png']), Reason.IMAGE_COUNT_MISMATCH),
    (talk('<image>?', images=['a.png', None]), Reason.IMAGE_REFERENCE_NULL),
    (talk([{'type': 'video', 'video': '1.mp4'}, TEXT]), Reason.VIDEO_OR_AUDIO),
    (talk([{'type': 'video_url', 'video_url': {'url': '1.mp4'}}, TEXT]), Reason.VIDEO_OR_AUDIO),
    (talk([{'type': 'input_audio', 'input_audio': {'data': 'AA', 'format': 'wav'}}, TEXT]), Reason.VIDEO_OR_AUDIO),
    (talk([{'type': 'audio', 'audio': '1.wav'}, TEXT]), Reason.VIDEO_OR_AUDIO),
    (talk([{'video': '1.mp4'}, {'text': 'What?'}]), Reason.VIDEO_OR_AUDIO),
    (talk([{'type': 'tool_result', 'content': 'x'}]), Reason.TOOL_USE),
    (talk([{'type': 'thinking', 'thinking': 'x'}]), Reason.RECORD_MALFORMED),
    ({'messages': [{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': None, 'tool_calls': [{'id': '1'}]}]}, Reason.TOOL_USE),
    (sharegpt(('human', 'q'), ('function_call', '{}'), ('observation', '{}'), ('gpt', 'a')), Reason.TOOL_USE),
    ({'messages': [{'role': 'user', 'content': 'q'}, {'role': 'tool', 'content': 'a'}]}, Reason.TOOL_USE),
    ({'messages': [{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': 'a', 'weight': 0}]}, Reason.LABELLED_WRONG),
    (talk('What is in <bbox>?', objects={'bbox': [[1, 2, 3, 4]]}), Reason.RECORD_MALFORMED),
    ({'messages': '[{'}, Reason.RECORD_MALFORMED),
    ({'messages': '[' * 100_000}, Reason.RECORD_MALFORMED),
    ({'messages': {'role': ['user', 'assistant'], 'content': ['q']}}, Reason.RECORD_MALFORMED),
    (sharegpt(('human', 'q'), ('narrator', 'a')), Reason.ROLES_NOT_ALTERNATING),
])
def test_what_is_no_picture_with_its_question_has_a_reason(row, expected):
    assert reason(row) == reason(row, 'llava') == expected


def test_a_web_address_is_named_in_the_reason():
    assert 'https://host/1.png' in parse(talk([{'type': 'image_url', 'image_url': {'url': 'https://host/1.png'}}, TEXT]), 'messages').detail


SYSTEM = Turn('system', 'Answer in one word.')


@pytest.mark.parametrize('row', [
    {'messages': [{'role': 'system', 'content': SYSTEM.text}, {'role': 'user', 'content': 'Largest planet?'}, {'role': 'assistant', 'content': 'Jupiter'}]},
    {'messages': [{'role': 'developer', 'content': [{'type': 'text', 'text': SYSTEM.text}]}, {'role': 'user', 'content': 'Largest planet?'},
                  {'role': 'assistant', 'content': 'Jupiter'}]},
    sharegpt(('human', 'Largest planet?'), ('gpt', 'Jupiter'), system=SYSTEM.text),
    sharegpt(('human', 'Largest planet?'), ('gpt', 'Jupiter'), system_prompt=SYSTEM.text),
    sharegpt(('system', SYSTEM.text), ('human', 'Largest planet?'), ('gpt', 'Jupiter'), system=SYSTEM.text),
])
def test_a_system_text_is_kept_in_front(row):
    assert parse(row, 'messages').turns == (SYSTEM, Turn('user', 'Largest planet?'), Turn('assistant', 'Jupiter'))


def test_a_system_text_stands_first_once_and_shows_no_picture():
    assert reason(sharegpt(('human', 'q'), ('gpt', 'a'), ('system', 's'), ('human', 'q'), ('gpt', 'a'))) == Reason.ROLES_NOT_ALTERNATING
    assert reason(sharegpt(('system', 's'), ('human', 'q'), ('gpt', 'a'), system='other')) == Reason.ROLES_NOT_ALTERNATING
    assert reason(sharegpt(('system', 's'))) == Reason.ROLES_NOT_ALTERNATING
    assert reason(sharegpt(('system', '<image>'), ('human', '<image>q'), ('gpt', 'a'), image='a.png')) == Reason.IMAGE_COUNT_MISMATCH
    assert parse(sharegpt(('system', ' '), ('human', 'q'), ('gpt', 'a'), system=''), 'llava').turns[0].role == 'user'


def test_every_turn_of_a_chat_keeps_its_system_text():
    chat = parse(sharegpt(('system', 's'), ('human', '<image>1'), ('gpt', 'a'), ('human', '<image>2'), ('gpt', 'b'), images=['a.png', 'b.png']), 'llava')
    first, second = split_turns(chat, 'each')
    assert [turn.text for turn in first[1].turns] == ['s', '<image>1', 'a']
    assert first[1].images == ('a.png',)
    assert second[1] == chat
    assert [part is None for _, part in split_turns(chat, 'first')] == [False, True]
    assert split_turns(chat, 'all') == [(0, chat)]


@pytest.mark.parametrize('row', [
    {'prompt': 'q', 'chosen': 'good', 'rejected': 'bad'},
    {'prompt': [{'role': 'user', 'content': 'q'}], 'chosen': [{'role': 'assistant', 'content': 'good'}], 'rejected': [{'role': 'assistant', 'content': 'bad'}]},
    {'chosen': [{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': 'good'}], 'rejected': []},
    {'conversations': [{'from': 'human', 'value': 'q'}], 'chosen': {'from': 'gpt', 'value': 'good'}, 'rejected': {'from': 'gpt', 'value': 'bad'}},
    {**talk('q', 'good'), 'rejected_response': 'bad'},
    {'prompt': 'q', 'completion': 'good', 'label': True},
])
def test_of_a_preference_row_the_better_answer_is_read(row):
    assert parse(row, 'messages').turns == parse(row, 'llava').turns == (Turn('user', 'q'), Turn('assistant', 'good'))


def test_a_message_without_text_is_empty_and_not_the_word_none():
    assert parse(sharegpt(('human', 'q'), ('gpt', None)), 'llava').turns[1].text == ''
    assert parse(talk('q', None), 'messages').turns[1].text == ''


@pytest.mark.parametrize('part', [{'type': 'text', 'text': 'q', 'image': 'a.png'}, {'text': 'q', 'image_url': {'url': 'a.png'}}, {'type': 'text', 'text': 'q', 'images': ['a.png']}])
def test_a_part_of_text_that_names_a_picture_is_refused_and_one_whose_other_keys_are_null_is_text(part):
    row = {'messages': [{'role': 'user', 'content': [part]}, {'role': 'assistant', 'content': 'A'}]}
    found = parse(row, 'messages')
    assert isinstance(found, Fault)
    assert (found.reason, 'names a picture as well' in found.detail) == (Reason.IMAGE_COUNT_MISMATCH, True)
    row['messages'][0]['content'] = [{key: value if key in ('type', 'text') else None for key, value in part.items()}]
    assert parse(row, 'messages').turns[0].text == 'q'
