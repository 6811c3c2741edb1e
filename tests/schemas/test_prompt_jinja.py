"""Prompts with conditions: Jinja of which only what a prompt needs is left, and none of which looks at a value twice."""

import pytest

from schemas.prompt_jinja import MAX_CHARS, JinjaTemplate

VALUES = {'question': '{{ answer }} {% include "x" %}', 'answer': 'red <b>&', 'context': ''}


def render(text: str, pictures: bool = True, **values: str):
    template = JinjaTemplate(text)
    assert not list(template.faults())
    return template.render({**VALUES, **values}, pictures=pictures)


def test_conditions_loops_and_filters_work_and_values_stay_text():
    assert render('{% if context %}{{ context }}\n{% endif %}\n{{ question }}').text == '{{ answer }} {% include "x" %}'
    assert render('{% if context %}{{ context }}\n{% endif %}\n{{ question }}', context='User: a').text.startswith('User: a\n')
    assert render('{% for line in context.splitlines() %}> {{ line }}\n{% endfor %}', context='a\nb').text == '> a\n> b'
    assert render('{{ answer|upper }} {{ answer.split()|length }} {{ answer[:3] }}').text == 'RED <B>& 2 red'


def test_pictures_stand_where_they_are_named_and_a_text_cannot_move_them():
    rendered = render('a {{ images }} {{ question }}', question='\0 images {{ images }} <image>')
    assert (rendered.before, rendered.after) == ('a ', ' \0 images {{ images }} <image>')
    assert render('a {{ answer }}').before == ''
    twice = render('{% if answer %}{{ images|upper }}{% endif %}b{{ images }}c')
    assert (twice.before, twice.after) == ('', 'bc')
    assert twice.repeated
    assert not rendered.repeated
    assert render('{% if images %}Look: {{ images }}{% else %}No picture.{% endif %}', pictures=False).text == 'No picture.'


@pytest.mark.parametrize(
    ('text', 'fault'),
    [
        ('a\n{% if question %}', 'line 2: Unexpected end of template'),
        ('{{ question }}\n{{ answer|nope }}', "line 2: No filter named 'nope'"),
        ('\n\n{% include "/etc/passwd" %}', "line 3: 'include' is not for prompts"),
        ('{% import "x" as y %}', "line 1: 'import' is not for prompts"),
        ('{% extends "x" %}', "line 1: 'extends' is not for prompts"),
        ('{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}', "line 1: 'macro' is not for prompts"),
        ('{% set x = question ~ question %}{{ x }}', "line 1: 'set' is not for prompts"),
        ('{% autoescape true %}{{ question }}{% endautoescape %}', "line 1: 'autoescape' is not for prompts"),
        ('{{ question|indent(999999999) }}', "line 1: No filter named 'indent'"),
        ('{{ question * 99999999 }}', r"line 1: '\*' is not for prompts"),
        ('{{ "%999999999d" % 1 }}', "line 1: '%' is not for prompts"),
        ('{% for a in question %}{% for b in question %}x{% endfor %}{% endfor %}', 'line 1: expected no loop inside a loop'),
        ('{{ range(10) }}', r'line 1: range\(\) is not for prompts'),
        ('{{ question.format(answer=answer) }}', r'line 1: format\(\) is not for prompts'),
        ('{{ question|format(1) }}', "line 1: No filter named 'format'"),
        ('{{ question|attr("__class__") }}', "line 1: No filter named 'attr'"),
        ('{{ ' + '9' * 5000 + ' }}', 'Exceeds the limit'),
        ('{{ (' * 3000, 'brackets too deep|line 1: '),
        ('a\n{{ question' + '|upper' * 250 + ' }}', 'line 2: expected at most 30 conditions, filters and brackets inside each other'),
        ('{% if question %}' * 120 + '{% endif %}' * 120, 'line 1: expected at most 30 conditions, filters and brackets inside each other'),
        ('{% if question %}a' + '{% elif answer %}b' * 3000 + '{% endif %}', 'expected at most 3,000 fields, conditions and texts'),
    ],
)
def test_what_a_prompt_does_not_need_is_refused_by_line(text, fault):
    with pytest.raises(AssertionError, match=fault):
        assert not (told := '\n'.join(JinjaTemplate(text).faults())), told


@pytest.mark.parametrize(
    ('text', 'fault'),
    [
        ('a\n{{ question.nope }}', 'line 2: UndefinedError'), ('{{ question.__class__.__mro__ }}', 'line 1: SecurityError'),
        ('a\n{{ 1e999|int }}', 'line 2: NameError'), ('{{ question|truncate(1, true, question) }}', 'line 1: AssertionError'),
        ('{{ answer + 1 }}', 'line 1: TypeError'), ('a\n\n{% for c in question %}{{ question }}{% endfor %}', 'line 1: expected at most'),
    ],
)
def test_what_cannot_be_filled_says_where(text, fault):
    template = JinjaTemplate(text)
    assert not list(template.faults())
    with pytest.raises(ValueError, match=fault):
        template.render({**VALUES, 'question': 'q' * (int(MAX_CHARS**0.5) + 1)})


def test_undeclared_names_are_fields():
    template = JinjaTemplate('{{ question }}\n{% for word in anwser.split() %}{{ word }}{{ loop.index }}{% endfor %}')
    assert template.lines == {'question': 1, 'anwser': 2}
    assert JinjaTemplate('{{ self }}').fields == {'self'}, "Jinja's own, and no field"


@pytest.mark.parametrize(
    'text',
    ['{{ question' + "|replace('q', 'qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq')" * 20 + ' }}', "{{ 'q'" + "|replace('', 'qqqqqqqq')" * 20 + ' }}',
     '{{ question|join(question|join(question|join(question|join(question)))) }}', '{% for c in question|join(question)|join(question) %}{% endfor %}'],
)  # fmt: skip
def test_filters_in_a_chain_cannot_fill_the_memory(text):
    with pytest.raises(ValueError, match=r'line 1: expected at most 2,000,000 characters, found \d'):
        render(text, question='q' * 1000)


def test_replace_and_join_do_as_ever():
    assert render("{{ answer|replace('e', 'EE') }} {{ answer|replace('', '-', 2) }} {{ answer.split()|join(' + ') }} {{ answer|list|join }}").text == (
        'rEEd <b>& -r-ed <b>& red + <b>& red <b>&'
    )


def test_words_of_python_say_their_line():
    with pytest.raises(ValueError, match='line 2: empty separator'):
        render("a\n{{ answer.split('') }}")


def test_half_a_character_in_a_template_is_mended():
    assert render("{{ '\\ud800' }}{{ answer }}").text.startswith('?')
