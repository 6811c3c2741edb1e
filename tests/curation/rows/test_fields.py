"""No field of a row is lost in silence: it is read, known, counted by its name, or a reason to leave the row out."""

import pytest

from curation.rows.fields import ignored_fields, missing_columns
from curation.rows.formats import Conversation, Fault, parse, read_record
from curation.texts.checks import TextBounds, check_text
from schemas.recipe import Source
from schemas.records import Reason, Turn


def source(format, **fields):
    return Source.model_validate({'format': format, 'annotations': ['a.json'], 'licence': 'MIT', **fields})


def said(row, format='instruction'):
    found = parse(row, format)
    assert isinstance(found, Conversation), found
    return [turn.text for turn in found.turns]


def ignored(row, format='messages', **fields):
    of = source(format, **fields)
    found = read_record(row, of)
    assert isinstance(found, Conversation), found
    return ignored_fields(row, of, found)


def reason(row, format='messages', **fields):
    found = read_record(row, source(format, **fields))
    return found.reason if isinstance(found, Fault) else None


ODD = 'Which word does not fit?'
TALK = {'messages': [{'role': 'user', 'content': 'Is ice lighter than water?'}, {'role': 'assistant', 'content': 'Yes, it floats.'}]}
SHAREGPT = {'conversations': [{'from': 'human', 'value': 'Is ice light?'}, {'from': 'gpt', 'value': 'Yes.'}]}
PLAIN = {'instruction': 'Add 1 and 2.', 'output': '3'}


def test_the_input_of_an_instruction_belongs_to_its_question():
    assert said({'instruction': ODD, 'input': 'oak, beech, trout', 'output': 'trout'}) == [f'{ODD}\noak, beech, trout', 'trout']
    assert said({'instruction': ODD, 'input': 'flute, ladder', 'output': 'ladder'})[0] != said({'instruction': ODD, 'input': 'x', 'output': 'x'})[0]
    for nothing in ('', None, ' ', '<noinput>'):
        assert said({**PLAIN, 'input': nothing}) == ['Add 1 and 2.', '3']
    assert said({'instruction': 'Who won?', 'context': 'Ann beat Bo.', 'response': 'Ann'}) == ['Who won?\nAnn beat Bo.', 'Ann']  # Dolly
    assert said({'query': 'Who won?', 'response': 'Ann'}) == ['Who won?', 'Ann']  # ms-swift
    assert said({'instruction': '', 'input': 'Who won?', 'output': 'Ann'}) == ['Who won?', 'Ann']


def test_the_history_and_system_text_of_an_instruction_come_first():
    row = {**PLAIN, 'history': [['Hello', 'Hi'], ['And?', 'Yes']], 'system': 'Be brief.'}
    assert said(row) == ['Be brief.', 'Hello', 'Hi', 'And?', 'Yes', 'Add 1 and 2.', '3']
    assert [turn.role for turn in parse(row, 'instruction').turns] == ['system', 'user', 'assistant', 'user', 'assistant', 'user', 'assistant']
    assert said({**PLAIN, 'history': [{'role': 'user', 'content': 'Hello'}, {'role': 'assistant', 'content': 'Hi'}]}) == ['Hello', 'Hi', 'Add 1 and 2.', '3']
    assert said({**PLAIN, 'history': [], 'system': ''}) == said({**PLAIN, 'history': None, 'system': None}) == ['Add 1 and 2.', '3']
    for history in ('x', [['one']], [['a', 'b', 'c']], [[1, 2]]):
        assert reason({**PLAIN, 'history': history}, 'instruction') == Reason.RECORD_MALFORMED


def test_the_pictures_of_an_instruction_are_shown():
    assert parse({**PLAIN, 'images': ['a.png', 'b.png']}, 'instruction') == Conversation(
        (Turn('user', '<image>\n<image>\nAdd 1 and 2.'), Turn('assistant', '3')), ('a.png', 'b.png'))
    marked = parse({'instruction': 'What is <image>?', 'input': '', 'output': 'x', 'image': 'a.png'}, 'instruction')
    assert (marked.turns[0].text, marked.images) == ('What is <image>?', ('a.png',))
    earlier = parse({**PLAIN, 'history': [['See <image>', 'Yes']], 'images': ['a.png']}, 'instruction')
    assert [turn.text for turn in earlier.turns] == ['See <image>', 'Yes', 'Add 1 and 2.', '3']


@pytest.mark.parametrize('more', [
    {'video': '1.mp4'}, {'videos': ['1.mp4']}, {'audio': '1.wav'}, {'audios': ['1.wav']}, {'audio': {'bytes': b'x', 'path': None}}, {'video_path': '1.mp4'}])
@pytest.mark.parametrize(('row', 'format'), [(TALK, 'messages'), (SHAREGPT, 'llava'), (PLAIN, 'instruction'), ({'q': 'What?', 'a': 'x'}, 'columns')])
def test_a_row_about_a_video_or_a_sound_is_rejected(row, format, more):
    columns = {'columns': {'question': 'q', 'answer': 'a'}} if format == 'columns' else {}
    assert reason({**row, **more}, format, **columns) == Reason.VIDEO_OR_AUDIO
    assert reason({**row, **dict.fromkeys(more)}, format, **columns) is None
    assert reason({**row, **dict.fromkeys(more, [])}, format, **columns) is None
    assert reason({**row, **more}, format, columns={**columns.get('columns', {}), 'ignore': list(more)}) is None


@pytest.mark.parametrize(('value', 'wrong'), [(False, True), (0, True), ('false', True), ('False', True), ('0', True), (0.0, True), ('undesirable', True),
                                              (True, False), (1, False), ('true', False), (None, False), ('', False), ('cat', False)])
@pytest.mark.parametrize('field', ['label', 'kto_tag', 'is_correct', 'desirable'])
def test_a_row_labelled_as_a_wrong_answer_is_rejected(field, value, wrong):
    for row, format in ((TALK, 'messages'), (SHAREGPT, 'llava'), (PLAIN, 'instruction'), ({'prompt': 'q', 'completion': 'a'}, 'messages')):
        assert reason({**row, field: value}, format) == (Reason.LABELLED_WRONG if wrong else None)


def test_a_label_of_columns_is_a_truth_value_or_the_number_of_a_class():
    columns = {'question': 'q', 'answer': 'a'}
    row = {'q': 'What?', 'a': 'x'}
    assert reason({**row, 'label': False}, 'columns', columns=columns) == Reason.LABELLED_WRONG
    assert reason({**row, 'label': 0}, 'columns', columns=columns) is None
    assert reason({'q': 'Is it?', 'label': False}, 'columns', columns={'question': 'q', 'answer': 'label'}) is None
    assert ignored({**row, 'label': 3}, 'columns', columns=columns) == {'label'}


def test_a_field_that_can_only_be_a_verdict_is_one_in_every_format():
    for field in ('is_correct', 'kto_tag', 'is_desirable'):
        assert reason({'q': 'What?', 'a': 'x', field: 0}, 'columns', columns={'question': 'q', 'answer': 'a'}) == Reason.LABELLED_WRONG


@pytest.mark.parametrize('field', ['video_id', 'video_name', 'Video', 'audio_id', 'wav', 'mp4'])
def test_a_question_about_a_clip_that_goes_by_its_name_is_no_question_of_text(field):
    assert reason({**PLAIN, field: 'v_QOlSCBRmfWY'}, 'instruction') == Reason.VIDEO_OR_AUDIO
    assert reason({**PLAIN, field: 'x'}, 'instruction', columns={'ignore': field}) is None


@pytest.mark.parametrize('field', ['tools', 'functions'])
def test_a_row_that_offers_tools_is_rejected(field):
    assert reason({**TALK, field: [{'name': 'search'}]}) == reason({**TALK, field: '[{"name": "search"}]'}) == Reason.TOOL_USE
    for nothing in (None, [], '[]', ''):
        assert reason({**TALK, field: nothing}) is None


@pytest.mark.parametrize(('row', 'format', 'names'), [
    ({**PLAIN, 'explanation': 'so'}, 'instruction', {'explanation'}),
    ({**PLAIN, 'explanation': None, 'other': '', 'more': [], 'id': 7, 'source': 'x', 'input': '', 'history': []}, 'instruction', set()),
    ({**PLAIN, 'question': 'Why?', 'response': 'So.'}, 'instruction', {'question', 'response'}),
    ({**TALK, 'correct': 0}, 'messages', {'correct'}),
    ({**TALK, 'history': [['a', 'b']]}, 'messages', {'history'}),
    ({**TALK, 'rejected': 'No.'}, 'messages', {'rejected'}),
    ({**TALK, 'rejected_response': 'No.'}, 'messages', {'rejected_response'}),
    ({**TALK, 'chosen': 'x', 'prompt': 'y'}, 'messages', {'chosen', 'prompt'}),
    ({**TALK, **SHAREGPT}, 'messages', {'conversations'}),
    ({**TALK, **SHAREGPT}, 'llava', {'messages'}),
    ({**TALK, 'odd\x1b[2Jhalf \ud83d': 1}, 'messages', {'odd?[2Jhalf \\ud83d'}),
    ({**SHAREGPT, 'objects': {'ref': ['x'], 'bbox': [[1, 2, 3, 4]]}, 'n': 0, 'flag': False}, 'llava', {'objects', 'n', 'flag'}),
    ({'messages': [{'role': 'user', 'content': 'q', 'name': 'Ann'}, {'role': 'assistant', 'content': 'a', 'reasoning_content': 'hm', 'weight': 1}]}, 'messages',
     {'messages[].name', 'messages[].reasoning_content'}),
    ({'messages': [{'role': 'user', 'content': [{'type': 'text', 'text': 'q', 'min_pixels': 4}]}, {'role': 'assistant', 'content': 'a'}]}, 'messages',
     {'messages[].content[].min_pixels'}),
    ({**TALK, 'label': True}, 'messages', set()),
    ({**TALK, 'label': 'cat'}, 'messages', {'label'}),
    ({**TALK, 'images': []}, 'messages', {'images (null)'}),
    ({'question': 'q', 'answer': '3', 'image': None, 'hint': 'x'}, 'mathvision', {'hint'}),
])
def test_a_field_that_nobody_reads_is_named(row, format, names):
    fields = {'optional': True} if format == 'mathvision' else {}
    found = ignored(row, format, **fields)
    assert {name for name in found if not name.startswith(('image (', 'decoded'))} == names


def test_of_columns_every_other_one_is_named_unless_it_is_known():
    row = {'q': 'What?', 'meta': {'a': 'x'}, 'rationale': 'so', 'id': 1, 'idx2': 5, 'old': 'y', 'tag2': None}
    assert ignored(row, 'columns', columns={'question': 'q', 'answer': 'meta.a', 'id': 'idx2', 'ignore': ['old']}) == {'rationale'}
    assert ignored({'q': 'Which?', 'a': ['D', 'd']}, 'columns', columns={'question': 'q', 'answer': 'a'}) == {'a[1:]'}
    assert ignored({'q': 'Which?', 'a': ['D', 'D']}, 'columns', columns={'question': 'q', 'answer': 'a'}) == set()


@pytest.mark.parametrize('nothing', [None, '', [], [None], {'bytes': None, 'path': None}, float('nan'), ' '])
def test_a_picture_that_is_null_is_a_rejection_where_the_source_has_pictures(nothing):
    row = {'q': 'What is shown?', 'a': 'a dog', 'p': nothing}
    columns = {'image': 'p', 'question': 'q', 'answer': 'a'}
    assert reason(row, 'columns', columns=columns) == Reason.IMAGE_REFERENCE_NULL
    assert reason(row, 'columns', columns=columns, optional=True) is None
    for given, format in (({**TALK, 'images': nothing}, 'messages'), ({**SHAREGPT, 'image': nothing}, 'llava'), ({**PLAIN, 'image': nothing}, 'instruction')):
        assert reason(given, format, images=['pictures']) == Reason.IMAGE_REFERENCE_NULL
        assert reason(given, format, images=['pictures'], optional=True) is None
        assert reason(given, format) is None
        assert reason(given, format, optional=False) == Reason.IMAGE_REFERENCE_NULL
    assert reason({'question': 'What?', 'answer': 'x', 'image': nothing, 'decoded_image': nothing}, 'mathvision') == Reason.IMAGE_REFERENCE_NULL


def test_a_chat_without_the_field_is_text_also_among_pictures():
    assert reason(TALK, images=['pictures']) is None
    assert reason(SHAREGPT, 'llava', images=['pictures']) is None


def test_a_column_that_is_not_there_is_told_by_its_name():
    found = read_record({'q': 'What?', 'a': 'x'}, source('columns', columns={'image': 'p', 'question': 'q', 'answer': 'a'}))
    assert found.reason == Reason.RECORD_MALFORMED
    assert "expected the column 'p'" in found.detail


def test_a_column_that_no_row_has_is_found_with_the_one_that_was_meant():
    of = source('columns', columns={'image': ['p1', 'p9'], 'question': 'q', 'answer': 'meta.answer', 'system': 'sistem', 'ignore': 'x'})
    rows = [{'q': 'a', 'p1': None, 'meta': None, 'system_text': 'x'}, {'q': 'a', 'meta': {'answer': 'x'}}]
    assert missing_columns(rows, of) == ['p9', 'sistem']
    assert "did you mean 'q1'?" in parse({'q1': 'x', 'a': 'y'}, 'columns', {'question': 'q', 'answer': 'a'}).detail


def test_of_several_image_columns_some_may_be_null():
    columns = {'image': ['p1', 'p2'], 'question': 'q', 'answer': 'a'}
    row = {'q': 'What?', 'a': 'x', 'p1': 'a.png', 'p2': None}
    assert read_record(row, source('columns', columns=columns)).images == ('a.png',)
    assert reason({**row, 'p1': None}, 'columns', columns=columns) == Reason.IMAGE_REFERENCE_NULL


def test_a_long_system_text_is_bounded_like_a_question():
    bounds = TextBounds(max_question_chars=10, max_answer_chars=10, min_answer_chars=1, boilerplate=True, max_invisible_chars=None)
    turns = (Turn('system', 'x' * 11), Turn('user', 'Why?'), Turn('assistant', 'So.'))
    assert check_text(turns, bounds)[0] == Reason.RECORD_TOO_LARGE
    assert check_text((Turn('system', 'I cannot see'), *turns[1:]), TextBounds(20, 20, 1, boilerplate=True, max_invisible_chars=None)) is None
