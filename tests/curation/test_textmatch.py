import pytest

from curation.textmatch import contaminated, loose, ngrams, overlap


@pytest.mark.parametrize(('text', 'expected'), [
    ('  What IS\tthis?\n', 'what is this'),
    ('ﬁne Straße', 'fine strasse'),
    ('3.5 + 1,000 = ?', '3.5 1,000'),
    ('x-2 is -2.', 'x 2 is -2'),
    ('１２', '12'),
    ('यह क्या है?', 'यह क्या है'),
    ('?!', ''),
])
def test_the_loose_form(text: str, expected: str):
    assert loose(text) == expected


def test_normalising_twice_is_normalising_once():
    for text in ('A,1.5;−3 ŒUVRE', 'ǅ İstanbul', '3 .5'):
        assert loose(loose(text)) == loose(text)


def test_ngrams_are_the_same_on_every_machine():
    """The first 8 bytes of BLAKE2b-64 of "a b" and "b c" as big-endian numbers, ascending."""
    assert ngrams('A b, c!', 2) == [9976371948423655428, 13490496012286425384]


def test_a_text_shorter_than_n_words_is_one_gram_of_the_whole():
    assert ngrams('What colour?', 8) == ngrams('what  COLOUR', 8)
    assert len(ngrams('What colour?', 8)) == 1
    assert not set(ngrams('What colour?', 8)) & set(ngrams('What colour is it?', 8))


def test_no_words_give_no_grams_and_no_overlap():
    assert ngrams('...', 8) == []
    assert overlap('...', 'anything', 8) == 0.0


def test_overlap_is_the_share_of_the_benchmarks_grams():
    assert overlap('a b c d', 'x a b c y', 2) == pytest.approx(2 / 3)  # ab, bc of ab, bc, cd
    assert overlap('a b c d', 'd c b a', 2) == 0.0


def test_a_short_answer_is_found_inside_a_longer_one():
    assert overlap('42', 'The answer is 42.', 8) == 1.0
    assert overlap('42', 'The answer is 421.', 8) == 0.0


@pytest.mark.parametrize(('image', 'question', 'answer', 'has_image', 'expected'), [
    (True, False, False, True, 'image'),
    (True, True, False, True, 'image+question'),
    (False, True, True, True, ''),
    (False, True, True, False, 'text'),
    (False, True, False, False, ''),
    (False, False, True, False, ''),
])
def test_joint_verdict(image: bool, question: bool, answer: bool, has_image: bool, expected: str):
    assert contaminated(image_hit=image, question_hit=question, answer_hit=answer, has_image=has_image) == expected
