"""Words about an answer are no answer, in any dress and language; where a question asks for them they are."""

import pytest

from curation.verdicts.judging import check_candidate
from schemas.records import Reason


def refused(chosen, candidate, question):
    found = check_candidate(chosen, candidate, question=question, kind='incorrect', max_length_ratio=10)
    return found is not None and found[0] == Reason.BOILERPLATE_ANSWER


@pytest.mark.parametrize(
    'echo',
    [
        '- incorrect', '# Incorrect', '> incorrect', '**Incorrect**', '{incorrect}', '"incorrect"', "It's wrong", "That's incorrect", 'Fake answer',
        'Wrong answer - 5', 'Wrong. 5', 'Incorrect, 5', 'incorrect 5', 'blue (wrong)', 'blue [incorrect]', 'blue - incorrect',
        'blue, which is incorrect', 'The question is ambiguous.', 'A bad answer', 'Distractor: blue', '[insert answer here]', 'XXX', '…', '--', '""',
        'something else', 'none of the above', "I'm not sure", "can't tell", 'What color is it?',
        '错误答案：5', '错误：蓝色', '这是错误的答案。', '答案不正确', '錯誤', '不对', '无法确定', '間違いです', '誤答', 'わかりません', '오답', '잘못된 답',
        'Respuesta incorrecta: azul', 'La respuesta es incorrecta', 'incorrecto', 'No sé', 'Resposta incorreta', "C'est faux", 'Réponse incorrecte : bleu',
        'je ne sais pas', 'Das ist falsch', 'Falsche Antwort: blau', 'Ich weiß nicht', 'risposta sbagliata', 'Неправильный ответ: синий', 'не знаю',
        'إجابة خاطئة', 'गलत उत्तर', 'yanlış',
    ],
)  # fmt: skip
def test_words_about_an_answer_are_none_in_any_dress_and_language(echo):
    assert refused('red', echo, 'What colour is it?')


@pytest.mark.parametrize(
    ('question', 'chosen', 'candidate'),
    [
        ('Is the statement correct?', 'Yes', 'Incorrect'), ('Is it correct?', 'Yes', 'It is incorrect'), ('Is the calculation valid?', 'Valid', 'Invalid'),
        ('Is the argument valid?', 'Yes', 'Invalid'), ('Is the sentence ambiguous?', 'No', 'Ambiguous'), ('Is the image clear?', 'clear', 'unclear'),
        ('Is the statement correct?', 'Yes', 'No, it is incorrect.'), ('What is the title?', 'The Right Answer', 'The Wrong Answer'),
        ('What does the sign say?', 'STOP', 'WRONG WAY'), ('What is the sentiment?', 'positive', 'negative'), ('What sign is it?', '+', '-'),
        ('这个说法对吗？', '对', '错误'), ('Ist das richtig?', 'richtig', 'falsch'), ('¿Es correcto?', 'Correcto', 'Incorrecto'),
        ('Which element?', 'He', 'NA'),
    ],
)  # fmt: skip
def test_they_are_answers_where_a_question_asks_for_them(question, chosen, candidate):
    assert not refused(chosen, candidate, question)


def test_a_question_that_names_the_right_answer_does_not_ask_for_the_label():
    assert refused('red', 'Incorrect', 'What is the correct colour? Is it the sky or the sea?')
