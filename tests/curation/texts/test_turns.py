from curation.texts.signs import signed
from curation.texts.turns import Row, answer_to

ROW = [('system', 'Be brief.'), ('user', 'What is 5 + 3? And 5 - 3?'), ('assistant', '8 and 2.'), ('user', 'Thanks'), ('assistant', 'Bye.')]
TURNS = [{'role': role, 'text': text} for role, text in ROW]


def test_a_text_is_found_where_it_stands_sign_for_sign():
    row = Row(TURNS)
    (end,) = row.find(signed('what is 5 + 3'))
    assert row.turn(end - 1) == 1
    assert row.behind(end) == signed('And 5 - 3? 8 and 2.')
    assert row.find(signed('what is 5 - 3')) == []
    assert row.find(signed('at is 5 + 3')) == []


def test_a_text_that_ends_in_the_next_turn_is_found_too():
    row = Row(TURNS)
    (end,) = row.find(signed('be brief what is 5'))
    assert row.turn(end - 1) == 1


def test_of_a_text_that_stands_in_part_the_last_runs_of_each_turn_count():
    row = Row(TURNS)
    assert row.share(signed('what is 5 + 3 now'), 2) == 4 / 5
    assert row.ends(signed('what is 5 + 3 now'), 2) == [len(signed('Be brief. What is 5 + 3'))]


def test_an_answer_answers_itself_and_a_question_the_next_answer():
    roles = [role for role, _ in ROW]
    assert [answer_to(roles, at) for at in range(5)] == [2, 2, 2, 4, 4]
    assert answer_to(['user', 'user'], 0) == 1
