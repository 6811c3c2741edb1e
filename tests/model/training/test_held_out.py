"""The held-out questions that the demo's model is measured by: always the same, open, asked as the demo asks."""

from benchmarks.held_out_shapes import pick, share


def test_the_questions_are_the_same_every_time_open_and_with_a_capital():
    rows = pick(40)
    assert rows == pick(80)[:40]
    assert not {row.chosen for row in rows} & {'yes', 'no'}
    assert all(row.question[0].isupper() and row.question.endswith('?') for row in rows)


def test_the_share_stands_beside_that_of_the_most_frequent_answer():
    """2 of 4: Wilson's interval is 15 to 85 %; 'red' is 3 of the 4 answers."""
    line = share('questions', [True, False, True, False], ['red', 'red', 'blue', 'red'])
    assert line == "questions: 2 of 4 right, 50.0% (15% to 85%); always 'red' would get 75.0%"
