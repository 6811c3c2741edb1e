"""Prompts as text with fields: which braces are fields, which are text, and that a value is never read as a prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.prompt_text import PlainTemplate

VALUES = {'question': 'Why {answer}?', 'answer': '{{x}} {images} {candidate}', 'candidate': '<image>'}


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('{"incorrect": "...", "ambiguous": "..."}', '{"incorrect": "...", "ambiguous": "..."}'),
        ('{"a": {"b": 1}}', '{"a": {"b": 1}}'),  # JSON as it is
        ('{{"a": {{"b": 1}}}}', '{"a": {"b": 1}}'),  # and as Python's format has it
        ('{"a": {}}, \\frac{1}{2} { } {', '{"a": {}}, \\frac{1}{2} { } {'),
        ('{{answer}} }} {{', '{answer} } {'),
        ('{"is": "{answer}"}', '{"is": "{{x}} {images} {candidate}"}'),
        ('{"is": {"it": {candidate}}}', '{"is": {"it": <image>}}'),
        ('{{{candidate}}}', '{<image>}'),
        ('{question}{question}', 'Why {answer}?Why {answer}?'),
        ('', ''),
    ],
)
def test_a_brace_is_text_unless_it_holds_a_name(text, said):
    assert PlainTemplate(text).render(VALUES).text == said


def test_values_are_put_in_once_and_never_read_again():
    rendered = PlainTemplate('{question} {images} {answer}').render(VALUES)
    assert (rendered.before, rendered.after) == ('Why {answer}? ', ' {{x}} {images} {candidate}')


@given(st.text(alphabet='{} \n"a:'), st.text(alphabet='{}a<image>question '))
def test_whatever_stands_around_a_field_the_value_stands_there_whole(text, value):
    template = PlainTemplate(f'{text} {{answer}} {text}')
    said = template.render(dict.fromkeys(template.fields, value)).text
    assert value.strip() in said
    empty = template.render({**dict.fromkeys(template.fields, ''), 'answer': '\0'}).text
    assert ('\0' in empty) is ('answer' in template.fields)


def test_names_are_told_with_their_line_and_what_is_nearly_one_is_a_fault():
    template = PlainTemplate('a\n{question}\n{anwser} { answer }\n{candidate:>10} {answer.text}')
    assert template.lines == {'question': 2, 'anwser': 3}
    assert list(template.faults()) == [
        'line 3: expected {answer}, found { answer }; text in braces is written {{ answer }}',
        'line 4: expected {candidate}, found {candidate:>10}; text in braces is written {{candidate:>10}}',
        'line 4: expected {answer}, found {answer.text}; text in braces is written {{answer.text}}',
    ]
    assert list(PlainTemplate('{images}\n{images}').faults()) == ['line 1: expected {images} once, found it again']
