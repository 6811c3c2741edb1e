import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.rows.formats import IMAGE
from pipelines.mix.messages import messages_of
from schemas.records import MESSAGES, TURNS

WORDS = st.one_of(st.text(max_size=4), st.sampled_from([IMAGE, ' ', '\n', '\x1c', '\x85', '\u3000', '\u200b', '<image', 'image>']))
TURN = st.fixed_dictionaries({'role': st.sampled_from(['user', 'assistant', 'system']), 'text': st.lists(WORDS, max_size=6).map(''.join)})


def by_hand(turns):
    """The rule, said once more a row at a time: an image part for each mark, text parts between, blank ends trimmed, no blank text."""
    return [{'role': turn['role'], 'content': [
        part for at, piece in enumerate(turn['text'].split(IMAGE))
        for part in ([{'type': 'image', 'text': None}] * (at > 0) + [{'type': 'text', 'text': piece.strip()}] * bool(piece.strip()))
    ]} for turn in turns]  # fmt: skip


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(TURN, max_size=4), max_size=5), st.integers(0, 3))
def test_turns_become_messages_of_text_and_image_parts(rows, start):
    found = messages_of(pa.array(rows, TURNS).slice(start))
    found.validate(full=True)
    assert found.type == MESSAGES
    assert found.to_pylist() == [by_hand(turns) for turns in rows[start:]]


def test_what_python_calls_blank_is_trimmed():
    rows = [[{'role': 'user', 'text': f'{chr(code)}a{chr(code)}'}] for code in range(0x3100)]  # no later character is blank
    assert not any(chr(code).isspace() for code in range(0x3100, 0x110000))
    assert messages_of(pa.array(rows, TURNS)).to_pylist() == [by_hand(turns) for turns in rows]
