"""What a generator's reply is read as, and what is left unread."""

import pytest

from curation.verdicts.reading import read_grounded_answers, read_paper_answer
from schemas.records import Reason
from tests.growth import assert_in_proportion

OBJECT = '{"incorrect": "red", "ambiguous": "a colour"}'
READ = (('red', 'incorrect'), ('a colour', 'ambiguous'))


@pytest.mark.parametrize(
    'text',
    [
        OBJECT, f'  {OBJECT}\n', f'```json\n{OBJECT}\n```', f'```\n{OBJECT}\n```', f'~~~json\n{OBJECT}\n~~~', f'```JSON\n{OBJECT}\n```',
        f'Here is the JSON:\n```json\n{OBJECT}\n```\nI hope this helps!', f'Sure! {OBJECT}', f'{OBJECT}\n\nLet me know.', f'```json {OBJECT}```',
        f'Of the set {{1, 2}}: {OBJECT}', '{"incorrect": "red", "ambiguous": "a colour", "note": {"x": 1}}', '{\n "ambiguous": "a colour",\n "incorrect": "red"\n}',
    ],
)  # fmt: skip
def test_one_object_is_read_in_a_fence_and_between_words(text):
    assert read_grounded_answers(text) == READ


@pytest.mark.parametrize(
    'text',
    [
        '', 'red', '[]', '[1]', f'[{OBJECT}]', f'{OBJECT}\n{OBJECT}', f'```json\n{OBJECT}\n```\nor\n```json\n{OBJECT}\n```', f'{OBJECT} or {{"incorrect": "x"}}',
        "{'incorrect': 'red', 'ambiguous': 'a colour'}", '{"incorrect": "red", "ambiguous": "a colour",}', '{"Incorrect": "red", "Ambiguous": "a colour"}',
        '{"incorrect": "red"}', '{"incorrect": ["red"], "ambiguous": "a colour"}', '{"incorrect": "red", "ambiguous": null}',
        '{"answers": ["red", "a colour"]}', '{"incorrect": "red", "ambiguous": "a colour"', '{"incorrect": "red", "ambiguous": " "}', '{' * 5000, '[' * 5000,
    ],
)  # fmt: skip
def test_what_is_not_one_object_with_its_answers_is_unread(text):
    assert read_grounded_answers(text) is Reason.UNPARSABLE_REPLY


def test_other_kinds_are_read_by_their_names():
    assert read_grounded_answers('{"easy": "x", "hard": "y"}', ('hard', 'easy')) == (('y', 'hard'), ('x', 'easy'))


@pytest.mark.parametrize(
    ('text', 'answer'),
    [
        ('Red.', 'Red.'), ('"Red."', 'Red.'), ('“Red.”', 'Red.'), ("'Red.'", 'Red.'), ("'It's red.'", "It's red."), ('«Rouge.»', 'Rouge.'), ('**Red.**', 'Red.'),
        ('**"Red."**', 'Red.'), ('"A" or "B"', '"A" or "B"'), ('**Red** or **blue**', '**Red** or **blue**'), ('5" wide', '5" wide'), ('"', '"'),
        ('```python\nx = 1\n```', '```python\nx = 1\n```'), ('`x`', '`x`'), ("'90s", "'90s"), ('Answer: red', 'Answer: red'),
    ],
)  # fmt: skip
def test_one_answer_is_read_without_the_quotes_and_the_bold_around_all_of_it(text, answer):
    assert read_paper_answer(f' {text}\n') == ((answer, 'incorrect'),)


@pytest.mark.parametrize('piece', ['{', '{"a": ', '[', '```\n', '{}', '"', '**', "'"])
def test_hostile_replies_are_read_in_time_proportional_to_their_length(piece):
    assert_in_proportion(read_grounded_answers, piece)
    assert_in_proportion(read_paper_answer, piece)
