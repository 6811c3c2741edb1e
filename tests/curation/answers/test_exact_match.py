"""Which replies count as right."""

import pytest

from curation.answers.exact_match import same_answer


@pytest.mark.parametrize(
    ('truth', 'reply', 'question', 'right'),
    [
        ('red', 'Red.', '', True),
        ('red', 'The answer is red.', '', True),
        ('red', 'blue', '', False),
        ('red', 'red and blue', '', False),
        ('red', '', '', False),
        ('4', 'four', '', True),
        ('1,200', '1200', '', True),
        ('12', '13', '', False),
        ('yes', 'Yes, it is.', '', True),
        ('yes', 'No.', '', False),
        ('B', '(B) blue', 'Which?\nA. red\nB. blue', True),
        ('B', 'A', 'Which?\nA. red\nB. blue', False),
        ('12', 'We add 5 and 7. So 5 + 7 = 12. The answer is 12.', '', True),
        ('12', 'The answer is 12. No, the answer is 13.', '', False),
        ('5 + 7 = 12. The answer is 12.', '12', '', True),
        ('a long sentence on a dog that runs', 'a dog runs', '', False),
    ],
)
def test_a_reply_is_right_if_it_surely_says_what_the_right_answer_says(truth, reply, question, right):
    assert same_answer(truth, reply, question) is right
