"""Prompts: what is asked, where the pictures stand, how replies are read."""

import json

import pytest

from curation.verdicts import prompts, reading
from schemas.own_prompt import OwnPrompt
from schemas.records import Reason, Turn

IMAGE = {'type': 'image_url'}


def picture(number: int) -> dict:
    return {**IMAGE, 'image_url': {'url': f'image:{number}'}}


def text(words: str) -> dict:
    return {'type': 'text', 'text': words}


def test_the_papers_request_shows_question_and_answer_and_asks_for_a_wrong_one_of_its_length_and_no_more():
    (message,) = prompts.paper_generation([Turn('user', '<image>\nHow many?')], 'a good dozen')
    assert message == {'role': 'user', 'content': (
        'Question: How many?\nRight answer: a good dozen\n\nNow write a wrong or unclear answer to the same question, as long as the right '
        'answer. Reply with the new answer alone.')}


def test_the_papers_judge_sees_both_answers_and_says_yes_to_a_wrong_or_ambiguous_one():
    (message,) = prompts.paper_judgement('268', 'about 300')
    assert message == {'role': 'user', 'content': (
        'Right answer: 268\nOther answer: about 300\n\nIs the other answer wrong, or too vague to be right? Reply Yes if it is, No if it says the '
        'same as the right answer. Reply with that one word.')}


def test_braces_in_questions_and_answers_stay_as_they_are():
    (message,) = prompts.paper_generation([Turn('user', 'What is {x}?')], '\\frac{1}{2}')
    assert message['content'].startswith('Question: What is {x}?\nRight answer: \\frac{1}{2}\n')


@pytest.mark.parametrize(
    ('turns', 'n_images', 'expected'),
    [
        ([Turn('user', 'a <image> b')], 0, [{'role': 'user', 'content': 'a  b'}]),
        ([Turn('user', '<image>\na')], 1, [{'role': 'user', 'content': [picture(0), text('a')]}]),
        ([Turn('user', 'a <image> b <image>')], 2, [{'role': 'user', 'content': [text('a'), picture(0), text('b'), picture(1)]}]),
        ([Turn('user', 'no mark')], 2, [{'role': 'user', 'content': [picture(0), picture(1), text('no mark')]}]),
        (
            [Turn('user', '<image>a'), Turn('assistant', 'x'), Turn('user', '<image>b')], 2,
            [{'role': 'user', 'content': [picture(0), text('a')]}, {'role': 'assistant', 'content': 'x'},
             {'role': 'user', 'content': [picture(1), text('b')]}],
        ),
    ],
)
def test_each_mark_becomes_the_next_picture_and_none_is_lost(turns, n_images, expected):
    assert prompts.conversation(turns, n_images) == expected


def test_a_likelihood_judgement_ends_with_the_answer_as_the_assistants_words():
    messages = prompts.likelihood_judgement([Turn('user', '<image>q')], ' red ', 1)
    assert messages == [{'role': 'user', 'content': [picture(0), text('q')]}, {'role': 'assistant', 'content': 'red'}]


def test_judgements_of_two_answers_share_everything_before_the_answer():
    """Servers reuse the prefix: it must hold picture, question and instruction."""
    one, other = (json.dumps(prompts.yes_no_judgement([Turn('user', '<image>what?')], a, 1)) for a in ('red', 'blue'))
    shared = one[:one.index('red')]
    assert other.startswith(shared)
    assert 'image:0' in shared
    assert 'what?' in shared
    assert 'Reply Yes or No' in shared


def test_roles_alternate_in_every_prompt():
    turns = [Turn('user', '<image>a'), Turn('assistant', 'b'), Turn('user', 'c')]
    made = [
        prompts.grounded_generation(turns, 'd', 1), prompts.yes_no_judgement(turns, 'd', 0),
        prompts.pairwise_judgement(turns, 'd', 'e', n_images=1), prompts.likelihood_judgement(turns, 'd', 1)[:-1],
    ]
    assert [[m['role'] for m in messages] for messages in made] == [['user', 'assistant', 'user']] * 4


@pytest.mark.parametrize(
    ('reply', 'expected'),
    [
        ('{"incorrect": " red ", "ambiguous": "maybe red"}', (('red', 'incorrect'), ('maybe red', 'ambiguous'))),
        ('```json\n{"incorrect": "red", "ambiguous": "x"}\n```', (('red', 'incorrect'), ('x', 'ambiguous'))),
        ('{"incorrect": "red"}', Reason.UNPARSABLE_REPLY), ('{"incorrect": 3, "ambiguous": "x"}', Reason.UNPARSABLE_REPLY),
        ('{"incorrect": "", "ambiguous": "x"}', Reason.UNPARSABLE_REPLY), ('[1]', Reason.UNPARSABLE_REPLY),
        (r'{"incorrect": "red \ud83d", "ambiguous": "\ud83d\ude00"}', (('red ?', 'incorrect'), ('😀', 'ambiguous'))),
        ('[' * 5000, Reason.UNPARSABLE_REPLY), ('Sure! red', Reason.UNPARSABLE_REPLY), ('', Reason.UNPARSABLE_REPLY),
    ],
)
def test_grounded_replies_are_read_or_refused_with_a_reason(reply, expected):
    assert reading.read_grounded_answers(reply) == expected


@pytest.mark.parametrize(
    ('reply', 'expected'),
    [(' "The sky." ', (('The sky.', 'incorrect'),)), ('5', (('5', 'incorrect'),)), ('  ', Reason.UNPARSABLE_REPLY), ('""', Reason.UNPARSABLE_REPLY)],
)
def test_paper_replies_are_the_answer_without_its_quotes(reply, expected):
    assert reading.read_paper_answer(reply) == expected


SYSTEM = Turn('system', 'Answer in one word.')


def test_a_system_text_is_the_first_message_of_whatever_is_asked():
    turns = [SYSTEM, Turn('user', '<image>\nWhat is it?')]
    for messages in (prompts.grounded_generation(turns, 'A dog', 1), prompts.likelihood_judgement(turns, 'A dog', 1),
                     prompts.yes_no_judgement(turns, 'A dog', 0), prompts.pairwise_judgement(turns, 'a', 'b', n_images=1), prompts.paper_generation(turns, 'A dog')):
        assert messages[0] == {'role': 'system', 'content': 'Answer in one word.'}
        assert messages[1]['role'] == 'user'
        assert all(message['role'] != 'system' for message in messages[1:])


def own(template: str, **more) -> OwnPrompt:
    return OwnPrompt(file='mine.md', text=template, **more)


TURNS = [Turn('system', 'Be brief.'), Turn('user', '<image>\nWhat is it?'), Turn('assistant', 'A dog.'), Turn('user', 'Which <image> {answer}?')]


def test_a_prompt_of_ones_own_is_sent_as_it_is_written_with_the_turns_before_as_text():
    messages = prompts.own_messages(own('{context}\nQ: {question}\nA: {answer}'), TURNS, 0, answer='{question} <image>')
    assert messages == [{'role': 'user', 'content': (
        'System: Be brief.\nUser: What is it?\nAssistant: A dog.\nQ: Which  {answer}?\nA: {question} <image>')}]
    assert prompts.own_messages(own('[{context}] {question}'), TURNS[-1:], 0) == [{'role': 'user', 'content': '[] Which  {answer}?'}]


def test_pictures_stand_where_the_prompt_names_them_and_no_text_moves_them():
    (message,) = prompts.own_messages(own('Look:\n{images}\n{question} {answer}'), TURNS, 2, answer='<image> {images}')
    assert message['content'] == [text('Look:'), picture(0), picture(1), text('Which  {answer}? <image> {images}')]
    (message,) = prompts.own_messages(own('{question}'), TURNS, 1)
    assert message['content'] == [picture(0), text('Which  {answer}?')]
    (message,) = prompts.own_messages(own('Look:\n{images}\n{question}'), TURNS, 0)
    assert message['content'] == 'Look:\n\nWhich  {answer}?'


def test_a_system_text_of_ones_own_stands_in_front_and_has_fields_too():
    messages = prompts.own_messages(own('{question}', system='s.md', system_text='The answer is {answer}.\n'), TURNS, 1, answer='{question}')
    assert messages[0] == {'role': 'system', 'content': 'The answer is {question}.'}
    assert [message['role'] for message in messages] == ['system', 'user']


def test_the_schema_of_a_reply_and_its_reading_follow_the_kinds():
    assert prompts.kinds_schema(('ambiguous',))['required'] == ['ambiguous']
    assert reading.read_grounded_answers('{"ambiguous": "perhaps", "incorrect": "x"}', ('ambiguous',)) == (('perhaps', 'ambiguous'),)
    assert reading.read_grounded_answers('{"incorrect": "x"}', ('ambiguous',)) is Reason.UNPARSABLE_REPLY
    assert reading.read_paper_answer('perhaps', 'ambiguous') == (('perhaps', 'ambiguous'),)
