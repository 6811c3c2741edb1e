"""Planted cases for ratings: each differs from what the source has in one thing, which makes it wrong."""

from curation.calibration.rating_plants import BROKEN, ELSEWHERE, NUMBER, OTHER, OWN, PICTURE, Own, plants_of

COLOURS = ('red', 'green', 'blue', 'yellow')


def seen(n):
    return [Own(f's/a#{i}/0', 'What colour is the ball?', COLOURS[i % 4], (f'p{i}',)) for i in range(n)]


def test_each_sample_gives_its_own_answer_and_the_same_with_one_thing_wrong():
    samples = seen(12)
    cases = plants_of(samples, ['correct'], most=6)
    own = {case.sample_id: case for case in cases if case.plant == OWN}
    assert [case.good for case in cases] == [case.plant == OWN for case in cases]
    by_id = {sample.sample_id: sample for sample in samples}
    for case in cases:
        mine = by_id[case.sample_id]
        if case.plant == OTHER:
            assert case.answer in COLOURS
            assert case.answer != mine.answer
            assert case.pictures_of == case.sample_id
        if case.plant == PICTURE:
            assert case.answer == mine.answer
            assert by_id[case.pictures_of].answer != mine.answer, 'a picture of which the answer is another'
    assert {case.plant for case in cases} == {OWN, OTHER, PICTURE}
    assert 6 <= len(cases) <= 8
    assert own.keys() == {case.sample_id for case in cases}


def test_a_number_is_changed_and_stays_a_number():
    samples = [Own(f's/a#{i}/0', f'How many of {i}?', str(17 + 3 * i), ()) for i in range(8)]
    changed = [case for case in plants_of(samples, ['correct'], most=30) if case.plant == NUMBER]
    assert changed
    assert all(case.answer.isdigit() and case.answer != str(17 + 3 * int(case.sample_id[4:-2])) for case in changed)


def test_other_questions_have_plants_of_their_own():
    samples = [Own(f's/a#{i}/0', 'How many?', str(i), ()) if i % 2 else Own(f's/a#{i}/0', 'Who?', f'A man called {COLOURS[i % 4]} Smith, of {i} Street', ())
               for i in range(8)]
    cases = plants_of(samples, ['answers_the_question', 'well_formed', 'needs_picture', 'safe'], most=20)
    assert {case.plant for case in cases if case.ask == 'answers_the_question'} == {OWN, ELSEWHERE}
    assert {case.plant for case in cases if case.ask == 'well_formed'} == {OWN, BROKEN}
    assert not [case for case in cases if case.ask in ('needs_picture', 'safe')], 'no pictures, and a question nobody knows the answer to'


def test_the_cases_do_not_hang_on_more_than_the_samples():
    assert plants_of(seen(12), ['correct'], most=9) == plants_of(seen(12), ['correct'], most=9)
    assert plants_of([], ['correct'], most=9) == []
    assert plants_of(seen(1), ['correct'], most=9) == [], 'one alone has nothing to be exchanged with'
