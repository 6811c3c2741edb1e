"""Wrong answers come up as often as they are right; nothing in an answer alone says which it is."""

import random
from collections import Counter

import pytest

from curation.calibration.shortcut import AnswerPair, audit_shortcuts
from curation.negatives.even import even_draw, weighted_draw
from curation.negatives.pools import LIKE, SHARE, Pool
from curation.negatives.propose import propose_negative

RNG = random.Random('even')


def other(one, two):
    return one != two


def source(answers, question='How many?'):
    """Return (sample id, right answer, wrong answer) of a source of such answers, drawn from a pool of them."""
    pool = Pool([[question, answer] for answer in answers])
    return [(f's/f#{i}', answer, propose_negative(f's/f#{i}', question, answer, pool=pool.like(question, f's/f#{i}')).text)
            for i, answer in enumerate(answers)]


@pytest.mark.parametrize('right', [{'a': 500, 'b': 400, 'c': 100}, {'a': 490, 'b': 170, 'c': 170, 'd': 170}, {'a': 300, 'b': 300, 'c': 300, 'd': 100}])
def test_every_answer_is_drawn_as_often_as_it_is_right(right):
    texts = [text for text, n in right.items() for _ in range(n)]
    drawn = Counter(even_draw(f'{text}{i}', text, texts, other) for i, text in enumerate(texts))
    assert all(abs(drawn[text] - n) < 60 for text, n in right.items())  # of 1000 draws; by their shares alone a comes up 60 to 100 times too rarely


def test_an_answer_right_more_often_than_all_others_is_drawn_for_all_others():
    texts = ['a'] * 900 + ['b'] * 60 + ['c'] * 40
    assert Counter(even_draw(f'{i}', 'b', texts, other) for i in range(200))['a'] > 190


def test_a_draw_depends_on_lot_and_texts_and_not_on_their_order():
    texts = [RNG.choice('abcde') for _ in range(50)]
    assert [even_draw(f'{i}', 'a', texts, other) for i in range(50)] == [even_draw(f'{i}', 'a', sorted(texts), other) for i in range(50)]
    assert even_draw('x', 'a', ['a', 'a'], other) is None
    assert {weighted_draw(f'{i}', ['p', 'q', 'r'], [0.0, 2.0, 0.0]) for i in range(50)} == {'q'}
    assert {weighted_draw(f'{i}', ['p', 'q'], [0.0, 0.0]) for i in range(50)} == {'p', 'q'}


def test_a_shape_that_is_never_right_is_never_wrong():
    made = source([RNG.choice(['circle', 'rectangle', 'triangle']) for _ in range(60)], 'Which shape is it?')
    assert {wrong for _, _, wrong in made} == {'circle', 'rectangle', 'triangle'}


def test_a_month_that_is_never_right_is_never_wrong():
    made = source([RNG.choice(['March', 'April', 'May']) for _ in range(60)], 'In which month?')
    assert {wrong for _, _, wrong in made} == {'March', 'April', 'May'}


def test_a_colour_is_put_in_a_colours_place_though_shapes_are_asked_for_too():
    pool = ['blue', 'circle', 'green', 'triangle', 'red', 'circle', 'circle'] * 9
    assert {propose_negative(f's/f#{i}', 'What is its colour?', 'red', pool=pool).text for i in range(40)} == {'blue', 'green'}


@pytest.mark.parametrize('answers', [
    RNG.choices(['0', '1', '2', '3', '4', '5', '6'], [10, 30, 25, 15, 10, 6, 4], k=400), [str(10 * RNG.randint(1, 20)) for _ in range(400)],
    [str(RNG.randint(1990, 2022)) for _ in range(400)], RNG.choices(['red', 'blue', 'green', 'black'], [4, 3, 2, 1], k=400),
    RNG.choices(['Asia', 'Africa', 'Europe', 'Oceania', 'North America', 'South America'], [5, 5, 4, 2, 2, 1], k=400),
    RNG.choices(['one', 'two', 'three', 'four'], [4, 3, 2, 1], k=400), [f'name {RNG.random()}' for _ in range(200)],
    [f'The {RNG.choice(["dog", "cat"])} is {RNG.choices(["left", "right"], [2, 1])[0]} of the {RNG.choice(["red", "blue"])} box.' for _ in range(400)],
], ids=['counts', 'tens', 'years', 'colours', 'continents', 'words', 'names', 'sentences'])  # fmt: skip
def test_answers_alone_do_not_tell_right_from_wrong(answers):
    """Each of these was 0.6 to 0.97 when wrong answers were made without looking at what is right elsewhere."""
    report = audit_shortcuts('s', [AnswerPair(*made) for made in source(answers)])
    assert report.auc < 0.57


def test_letters_are_wrong_as_often_as_they_are_right():
    question = 'Which?\nA. cat\nB. dog\nC. cow\nD. pig'
    made = source(RNG.choices('ABCD', [4, 3, 2, 1], k=400), question)
    right, wrong = (Counter(row[at] for row in made) for at in (1, 2))
    assert all(abs(right[letter] - wrong[letter]) < 60 for letter in 'ABCD')


def test_a_round_number_in_a_sentence_stays_round():
    made = {propose_negative(f's/f#{i}', '', 'There were 1,200 people at the gate of the garden.').text.split()[2] for i in range(40)}
    assert len(made) > 3
    assert all(number.endswith('00') for number in made)


def test_samples_asked_alike_are_not_all_offered_the_same_few_answers():
    pool = [['What is it?', f'thing {i:04d}'] for i in range(LIKE * 10)]
    assert len(Pool(pool).like('What is it?')) == len(pool)
    assert len(Pool([*pool, *[['Who is it?', f'person {i}'] for i in range(LIKE)]]).like('Who?')) == LIKE
    large = Pool([['What is it?', f'thing {i:04d}'] for i in range(SHARE * 4)])
    assert len({tuple(large.like('What is it?', f's/f#{i}')) for i in range(40)}) == 4
