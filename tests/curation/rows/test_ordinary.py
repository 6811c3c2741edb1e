"""What is ordinary says what the full reader says it does; and ordinary rows are known as such."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from curation.rows.conversation import Conversation, Talk
from curation.rows.fields import ignored_fields, unknown_fields
from curation.rows.formats import read_record
from curation.rows.ordinary import Ordinary
from schemas.recipe import Source

TEXTS = st.sampled_from(['What?', '', ' ', '<image>\nWhat?', 'Which <image> is <image>?', '<video>', '<b>', '<|image|>', '[IMG]', 'a < b', 'é', '\ud83d', None, 5, ['x']])
ROLES = st.sampled_from(['human', 'gpt', 'user', 'assistant', 'system', 'User', 'tool', None])
PATHS = st.sampled_from(['a.png', 'é/b c.jpg', './a.png', '../a.png', '/a.png', 'C:/a', 'a\\b', 'http://x/y', 'data:x', '', ' ', 'a..b', 'x' * 1100, None, 5, {'path': 'a'}, ['a.png'], 'iVBORw0KGgo' + 'A' * 5000])


def messages(role, text):
    usual = st.builds(lambda pairs: [{role: who, text: said} for pair in pairs for who, said in zip(('human', 'gpt') if role == 'from' else ('user', 'assistant'), pair, strict=True)],
                      st.lists(st.tuples(TEXTS, st.sampled_from(['Yes.', '', '<image>'])), max_size=3))
    return usual | st.lists(st.fixed_dictionaries({role: ROLES, text: TEXTS}, optional={'weight': st.sampled_from([0, 1])}), max_size=4) | st.none() | st.just('x')


CHATS = messages('from', 'value') | messages('role', 'content')
ROWS = st.fixed_dictionaries({}, optional={
    'conversations': CHATS, 'messages': CHATS, 'image': PATHS, 'images': st.lists(PATHS, max_size=2), 'id': st.just('1'), 'image_path': PATHS, 'system': st.sampled_from(['S', None]),
    'label': st.booleans(), 'video': st.sampled_from(['v', None]), 'further': st.sampled_from(['x', '', None]), 'chosen': st.just('c'), 'objects': st.just({}),
})  # fmt: skip
SOURCES = st.builds(lambda form, more: Source.model_validate({'format': form, 'licence': 'MIT', 'annotations': ['a'], **more}), st.sampled_from(['llava', 'messages']),
                    st.sampled_from([{}, {'images': ['i']}, {'images': ['i'], 'optional': True}, {'image_subfolder': 'sub/'}, {'columns': {'ignore': 'further'}}]))


LLAVA = Source(format='llava', licence='MIT', annotations=['a'])


@settings(max_examples=200)
@given(ROWS, SOURCES)
@example({'conversations': [{'from': 'human', 'value': '<video>What?'}, {'from': 'gpt', 'value': 'A'}]}, LLAVA)
@example({'conversations': [{'from': 'human', 'value': 'What?'}, {'from': 'gpt', 'value': '<image>'}]}, LLAVA)
@example({'conversations': [{'from': 'human', 'value': '<image><|image|>What?'}, {'from': 'gpt', 'value': 'A'}], 'images': ['a', 'b']}, LLAVA)
@example({'conversations': [{'from': 'system', 'value': ' '}, {'from': 'human', 'value': 'What?'}, {'from': 'gpt', 'value': 'A'}]}, LLAVA)
def test_an_ordinary_row_is_what_the_full_reader_makes_of_it(row, source):
    talk = Ordinary.of(source).read(row)
    if talk is not None:
        found = read_record(row, source)
        assert found == Conversation(talk.turns(), tuple(talk.images))
        assert Talk.of(found) == talk._replace(images=tuple(talk.images))
        assert unknown_fields(row, source) == ignored_fields(row, source, found)


def says(*pairs, role='from', text='value', names=('human', 'gpt')):
    return [{role: who, text: said} for pair in pairs for who, said in zip(names, pair, strict=True)]


@pytest.mark.parametrize(('form', 'row'), [
    ('llava', {'id': 1, 'image': 'coco/train2017/000000000009.jpg', 'conversations': says(('<image>\nWhat is it?', 'A cat.'), ('And?', ''))}),
    ('llava', {'conversations': says(('Q', 'A')), 'note': 'x'}),
    ('messages', {'messages': [{'role': 'system', 'content': 'Be kind.'}, *says(('Q', 'A'), role='role', text='content', names=('user', 'assistant'))]}),
    ('messages', {'images': ['a.png', 'b.png'], 'messages': says(('<image><image> Which?', 'B'), role='role', text='content', names=('user', 'assistant'))}),
])
def test_these_are_ordinary(form, row):
    assert Ordinary.of(Source(format=form, licence='MIT', annotations=['a'])).read(row) is not None


@pytest.mark.parametrize('more', [{'format': 'columns'}, {'strip_prefix': ['/mnt']}, {'image_prefix': ['coco']}, {'drop_image_prefix': ['coco']}])
def test_a_source_whose_rows_are_judged_otherwise_has_none(more):
    assert Ordinary.of(Source.model_validate({'format': 'llava', 'licence': 'MIT', 'annotations': ['a'], **more})) is None


@pytest.mark.parametrize('turns', [(0, 2), (0, 4), (1, 3), (1, 5)])
def test_a_talk_up_to_a_question_has_the_pictures_that_stand_before_it(turns):
    n_before, stop = turns
    talk = Talk([*['S'] * n_before, '<image> one', 'A', '<image><image> two', 'B'], ['1', '2', '3'], n_before)
    assert talk.up_to(stop) == Talk(talk.texts[:stop], ['1', '2', '3'][: 1 if stop < n_before + 3 else 3], n_before)
    assert [turn.role for turn in talk.turns()] == ['system'] * n_before + ['user', 'assistant'] * 2
