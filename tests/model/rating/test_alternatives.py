"""What an answer is held against: other answers to questions like it, the same ones whatever the order of the rows."""

from collections import Counter

from model.rating.alternatives import COMMON, RARE, Pools


def pools_of(rows, **options):
    pools = Pools(**options)
    for row in rows:
        pools.add(*row)
    return pools


def test_answers_to_questions_that_begin_alike_and_none_that_says_the_same():
    rows = [('a', 'What colour is it?', text) for text in ('red', 'Red.', 'blue', 'green')] + [('a', 'How many?', '3'), ('b', 'What colour is it?', 'pink')]
    assert sorted(pools_of(rows).of('id', 'a', 'What colour is that?', 'RED').answers) == ['blue', 'green']


def test_a_question_that_nobody_else_asks_is_held_against_its_source():
    rows = [('a', 'How many?', '3'), ('a', 'What colour?', 'red'), ('b', 'What colour?', 'blue')]
    assert pools_of(rows).of('id', 'a', 'How many?', '3').answers == ('red',)
    assert pools_of(rows).of('id', 'b', 'What colour?', 'blue').answers == ()


def test_kinds_of_answers_stay_apart():
    rows = [('a', 'Is it red?', text) for text in ('yes', 'no', 'a dark red', 'rather blue')]
    kinds = pools_of(rows, kind_of=lambda answer, question: str(answer in ('yes', 'no')))
    assert kinds.of('id', 'a', 'Is it red?', 'yes').answers == ('no',)


def test_of_many_answers_the_commonest_and_some_that_the_row_draws():
    rows = [('a', 'Who is it?', f'name {at}') for at in range(200) for _ in range(1 + 3 * (at < COMMON))]
    one, other = (pools_of(order).of(name, 'a', 'Who is it?', 'name 199') for name, order in (('x', rows), ('y', rows[::-1])))
    assert len(one.answers) == len(set(one.answers)) == COMMON + RARE
    assert set(one.answers[:COMMON]) == set(other.answers[:COMMON]) == {f'name {at}' for at in range(COMMON)}
    assert one.answers != other.answers
    assert pools_of(rows[::-1]).of('x', 'a', 'Who is it?', 'name 199') == one


def test_planted_answers_are_as_frequent_as_in_the_pool():
    found = pools_of([('a', 'Which?', text) for text in ('own', *['common'] * 9, 'rare')]).of('id', 'a', 'Which?', 'own')
    drawn = Counter(found.answers[found.planted(f'row {at}')] for at in range(1000))
    assert 850 < drawn['common'] < 950, '9 of 10'
    assert found.planted('row 1') == found.planted('row 1')
