import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.rows.formats import IMAGE
from pipelines.mix.messages import messages_of
from pipelines.snapshot.mix_rows import text_of
from schemas.records import MESSAGES, TURNS

WORDS = st.one_of(st.text(max_size=4), st.sampled_from([IMAGE, ' ', '\n', '\x1c', '\x85', '\u3000', '\u200b', '<image', 'image>']))
TURN = st.fixed_dictionaries({'role': st.sampled_from(['user', 'assistant', 'system']), 'text': st.lists(WORDS, max_size=6).map(''.join)})


def content(text):
    """The rule, said once more for one turn."""
    pieces = text.strip().split(IMAGE)
    said = [at for at, piece in enumerate(pieces) if piece.strip()]
    if not said or said in ([0], [len(pieces) - 1]):  # pictures aside: one line break between is nobody's
        for at, piece in enumerate(pieces):
            if at and piece[:1] == '\n' and piece[1:] == piece.lstrip():
                pieces[at] = piece[1:]
            elif at < len(pieces) - 1 and piece[-1:] == '\n' and piece[:-1] == piece.rstrip():
                pieces[at] = piece[:-1]
    return [part for at, piece in enumerate(pieces)
            for part in ([{'type': 'image', 'text': None}] * (at > 0) + [{'type': 'text', 'text': piece}] * bool(piece))]  # fmt: skip


def by_hand(turns):
    return [{'role': turn['role'], 'content': content(turn['text'])} for turn in turns]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(TURN, max_size=4), max_size=5), st.integers(0, 3))
def test_turns_become_messages_of_text_and_image_parts(rows, start):
    found = messages_of(pa.array(rows, TURNS).slice(start))
    found.validate(full=True)
    assert found.type == MESSAGES
    assert found.to_pylist() == [by_hand(turns) for turns in rows[start:]]


@pytest.mark.parametrize(('text', 'parts'), [
    ('<image>\nWhat is it?', [None, 'What is it?']), ('What is it?\n<image>', ['What is it?', None]), ('<image>\n<image>\nSame?', [None, None, 'Same?']),
    ('Is <image> the same as <image>?', ['Is ', None, ' the same as ', None, '?']), ('图<image>和<image>一样吗？', ['图', None, '和', None, '一样吗？']),
    ('A:\n<image>\nB:\n<image>\nWhich?', ['A:\n', None, '\nB:\n', None, '\nWhich?']), ('<image> What?', [None, ' What?']),
    ('<image>\n\nWhat?', [None, '\n\nWhat?']), ('<image> <image>\nSame?', [None, ' ', None, 'Same?']), ('<image>\tor\n<image>', [None, '\tor\n', None]),
    ('<image>', [None]), ('A <image>\n<image> B', ['A ', None, '\n', None, ' B']), ('<image> <image>', [None, ' ', None]), ('', []),
])  # fmt: skip
def test_blanks_around_marks_are_kept_and_given_back(text, parts):
    ((message,),) = messages_of(pa.array([[{'role': 'user', 'text': text}]], TURNS)).to_pylist()
    assert [part['text'] for part in message['content']] == parts
    assert text_of(message) == text


@given(TURN)
def test_of_every_turn_the_text_comes_back_with_line_breaks_where_pictures_touched(turn):
    ((message,),) = messages_of(pa.array([[turn]], TURNS)).to_pylist()
    (again,) = messages_of(pa.array([[{'role': 'user', 'text': text_of(message)}]], TURNS)).to_pylist()
    assert again == [{**message, 'role': 'user'}]
    assert text_of(message).replace('\n', '') == turn['text'].strip().replace('\n', '')


def test_what_python_calls_blank_is_trimmed():
    rows = [[{'role': 'user', 'text': f'{chr(code)}a{chr(code)}'}] for code in range(0x3100)]  # no later character is blank
    assert not any(chr(code).isspace() for code in range(0x3100, 0x110000))
    assert messages_of(pa.array(rows, TURNS)).to_pylist() == [by_hand(turns) for turns in rows]
