"""Which answers to one question cannot both be right, and which of them most say."""

import pytest

from curation.answers.conflicts import Stand, classes, has_many_answers, stand

COUNT, COLOUR = 'How many dogs are there?', 'What colour is the ball?'
SAME = [(COUNT, '2', 'two'), (COUNT, '2.0', '2'), (COUNT, '2', 'There are 2.'), (COLOUR, 'red', 'Red.'), (COLOUR, 'red', 'The red'), ('Is it?', 'yes', 'Yes, it is.'),
        ('Which? A. cat B. dog', 'A', 'cat'), ('Which two?', 'red and blue', 'blue and red'), ('How long?', '12 cm', '120 mm'), ('Who?', 'a man', 'man'),
        ('What is 3 + 4?', '3 + 4 = 7. The answer is 7.', '7')]  # fmt: skip
CONFLICTS = [(COUNT, '2', '3'), (COUNT, 'two', '3'), (COUNT, 'There are 3 dogs.', 'There are 4 dogs.'), (COLOUR, 'red', 'blue'), ('Is it a dog?', 'yes', 'no'),
             ('Is it a dog?', 'Yes, it is.', 'No, it is not.'), ('Which? A. cat B. dog', 'A', 'B'), ('Which? A. cat B. dog', 'A', 'dog'),
             ('Is it likely to rain?', 'yes', 'no'), ('Where is it, left or right?', 'left', 'right'),
             ('What is 3 + 4?', '3 + 4 = 7. The answer is 7.', 'So 3 + 4 = 8. The answer is 8.')]  # fmt: skip
NEITHER = [(COLOUR, 'red', 'dark red and white'), ('What animal is it?', 'dog', 'brown dog'), ('Describe the image.', 'A dog on a beach.', 'Two cats in a house.'),
           ('What is in the picture?', 'dog', 'cat'), ('Name an object in the image.', 'dog', 'cat'), ('', 'A man on a wave', 'A woman on a wave'),
           ('Write a caption.', 'A man on a wave', 'A woman on a wave'), ('Why is he running?', 'exercise', 'fear'), ('What might be in it?', 'milk', 'juice'),
           ('Where is the man?', '[0.1, 0.2, 0.3, 0.4]', '[0.6, 0.2, 0.9, 0.4]'), ('What happened?', 'The dog ran off. It was late.', 'A cat came in from the rain.'),
           ('List three colours.', 'red, blue, green', 'black, white, grey')]  # fmt: skip


OPEN, COMPUTED, MIXED = (False, False), (True, True), (True, False)


def classes_of(question: str, answers: list[str]) -> tuple[list, list[int]]:
    return classes(question, answers, exact=[False] * len(answers))


@pytest.mark.parametrize('exact', [OPEN, COMPUTED, MIXED])
@pytest.mark.parametrize(('question', 'one', 'other'), SAME)
def test_one_answer_in_two_spellings_is_one(question, one, other, exact):
    assert stand(question, one, other, exact=exact) is stand(question, other, one, exact=exact) is Stand.SAME


@pytest.mark.parametrize(('question', 'one', 'other'), CONFLICTS)
def test_answers_that_cannot_both_be_right(question, one, other):
    assert stand(question, one, other, exact=OPEN) is stand(question, other, one, exact=OPEN) is Stand.CONFLICT
    assert stand(question, one, other, exact=COMPUTED) is Stand.CONFLICT


@pytest.mark.parametrize(('question', 'one', 'other'), NEITHER)
def test_where_many_answers_are_right_another_is_no_contradiction(question, one, other):
    assert stand(question, one, other, exact=OPEN) is stand(question, other, one, exact=OPEN) is Stand.UNTOLD


def test_of_open_answers_the_strict_form_decides_and_of_computed_ones_the_rules_alone():
    assert stand('What animal is it?', 'cat', 'dog', exact=OPEN) is Stand.CONFLICT
    assert stand('What animal is it?', 'cat', 'dog', exact=COMPUTED) is Stand.UNTOLD


@pytest.mark.parametrize(('question', 'one', 'other'), [
    ('What animal is it?', 'cat', 'dog'),  # two labels of people would contradict each other, too
    ('How many might there be?', '2', '3'),  # what is computed has one right answer, whatever the question sounds like
])
def test_a_computed_answer_beside_an_open_one_is_held_to_what_either_rule_finds(question, one, other):
    assert stand(question, one, other, exact=MIXED) is stand(question, other, one, exact=(False, True)) is Stand.CONFLICT


def test_a_source_of_computed_answers_does_not_hide_what_others_contradict():
    """Of the open "cat" and "dog" the strict form decides as ever, and of each beside a computed one; two computed names are not told apart."""
    found, of = classes('What animal is it?', ['cat', 'dog', 'brown dog', 'kitten'], exact=[False, False, True, True])
    against = {one.answer: {found[other].answer for other in one.against} for one in found}
    assert against == {'cat': {'dog', 'brown dog', 'kitten'}, 'dog': {'cat', 'kitten'}, 'brown dog': {'cat'}, 'kitten': {'cat', 'dog'}}
    assert of == [[one.answer for one in found].index(answer) for answer in ('cat', 'dog', 'brown dog', 'kitten')]


def test_labels_do_not_outvote_what_was_computed():
    found, _ = classes(COUNT, ['3', '3', '2'], exact=[False, False, True])
    assert {one.answer: one.wins for one in found} == {'3': False, '2': True}
    assert not any(one.wins for one in classes(COUNT, ['3', '3', '2', '4'], exact=[False, False, True, True])[0]), 'two computed ones are a tie'


def test_two_against_one_is_a_majority_and_a_tie_is_none():
    found, of = classes_of(COLOUR, ['red', 'blue', 'Red.'])
    assert [(one.answer, one.votes, one.contradicted, one.wins) for one in found] == [('Red.', 2, True, True), ('blue', 1, True, False)]
    assert of == [0, 1, 0]
    assert not any(one.wins for one in classes_of(COLOUR, ['red', 'blue'])[0])
    assert not any(one.wins for one in classes_of(COLOUR, ['red', 'red', 'blue', 'green'])[0]), 'half is no majority'


def test_an_answer_that_nothing_contradicts_is_no_part_of_a_group():
    found, of = classes_of(COLOUR, ['red', 'blue', 'red and green and blue'])
    assert [one.contradicted for one in found] == [found[at].answer != 'red and green and blue' for at in range(3)]


def test_thousands_of_answers_to_one_question_cost_no_square():
    found, of = classes_of('Which one?', [f'thing{number}' for number in range(3000)])
    assert len(found) < 40
    assert all(one.contradicted for one in found)


@pytest.mark.parametrize('question', ['Explain.', 'Why?', '...', 'What do you see?', '请描述这张图片'])
def test_questions_with_many_right_answers(question):
    assert has_many_answers(question)


@pytest.mark.parametrize('question', [COUNT, COLOUR, 'Is there a dog in the image?', 'What is the man holding?', 'What does the sign say?', 'Who wrote it?'])
def test_questions_with_one_right_answer(question):
    assert not has_many_answers(question)
