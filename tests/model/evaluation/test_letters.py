"""What replies say, and what they deny, in many wordings: the letter -> the replies that name it; None: those that name none."""

import pytest

from model.evaluation.denials import as_plain, without_denied
from model.evaluation.reading import read_letter

OPTIONS = {'DIRECTIONS': ('north', 'south', 'east', 'west'), 'ANIMALS': ('cat', 'dog', 'A bird'), 'POINTS': ('Point A', 'Point B', 'left', 'cat')}
REPLIES = {
    'DIRECTIONS': {
        None: [
            'It is not B', 'Not B', "It isn't B.", 'It cannot be A.', 'D is incorrect', 'B is wrong', 'neither A nor B', 'all except C',
            'rather than B', 'B, no wait', "I'd rule out A", 'None of the above', 'B or C', 'B and C', 'Both B and C', 'B/C', 'E', 'B or E',
            'it is not option b', 'The answer is not B', "I don't think it is B", 'B is not correct', 'Is it B? No.', 'not only B but also C',
            'B is clearly wrong', 'B can be ruled out', 'B seems wrong', 'everything but B', 'Anything other than B', '不是B', 'B错误',
            'It is not south.', 'not south', 'South is wrong', 'It is not the south.', "It isn't clearly south", 'A cat', 'A cat in the sea',
            'A or B', 'Not A, not B, not C', 'not B.', 'NOT B', 'the wrong answer is B', 'Wrong answer: B', 'B is false', 'unlikely B',
            "It's not A or B", 'A) north is wrong', 'Based on', '', '?', 'B might not be right', 'B may be wrong', 'B. south is wrong',
            'neither south nor east', 'B as A', '不应该选B', 'B是错误的', 'B选项错误', 'A和B都不对', 'Bではない', 'B가 아닙니다', 'I doubt it is B', 'There is no B',
            'It isn’t B', 'B\n\nC', 'All of the above', 'ABCD', 'The answer cannot be determined', 'eliminate A', 'C: wrong', 'Definitely not A',
            'I would not choose B', 'You should not go with B', 'never B', 'B doesnt fit', 'it is anything but B',
        ],
        'D': [
            'It is not B, the answer is D', "I'd rule out A, B and C, so D", '**D**', 'B is ruled out; D', '排除A和B，选D', 'Final answer: D',
            'I considered (A), but it is incorrect. Final answer: D.', 'I would say D', 'D.', '(D).', 'D)', "It's neither A, B nor C. D", '選 D',
            'The correct answer is d.', 'is not B or C but D', "B doesn't fit, D does", 'D; B is incorrect',
        ],
        'B': [
            '选B', '答案是B。', 'Ｂ', '$\\boxed{B}$', '\\boxed{\\text{B}}', '<answer>B</answer>', '[B]', '"B"', 'Answer：B', 'Option B', 'B) left', 'b',
            '(b)', 'b.', 'option b', 'I do not know, it is B', 'Not A but B', 'B, not A', 'A is wrong, B is right',
            'The answer is A. No, the answer is B', '답은 B입니다', '答えはBです', '正确答案：B', 'B。', '**Answer:** B', '**Answer: (B)**',
            'The answer is B because A is wrong.', 'B!', '`B`', '```\nB\n```', '## B', "'B'", '“B”', '{"answer": "B"}', 'Answer - B', 'Answer = B',
            'The correct option is B, not C.', 'It must be B', 'South', 'It is south.', 'No, B', 'No. B', 'I am not sure, B', 'Not sure but B',
            'B north', 'It could be B', 'B: south', 'Ответ: B', 'réponse B', 'The answer is (B).', 'Based on the picture, (B)', 'Answer: B. left',
            '**B. south**', 'The answer is south, not north', 'south and not east', '-B', 'B:south', 'A picture shows B', '选项B', '答案：（B）', '答案为B',
            '我选B', 'B項', 'No doubt it is B', 'B. Because not C', 'It can only be B', 'Not C. B', 'B (not C)', 'B, since it is not C',
            'B is not wrong',
        ],
        'C': [
            'Neither A nor B, so C', 'C rather than B', 'B, no wait, C', 'A, B and D are wrong, so C', 'B? No, C.', '不是B，是C', 'B不对，选C',
            'Not south but east', 'C, since A and B are not', 'C (not D)', 'instead of A it is C', 'A: no, B: no, C: yes', 'C is not wrong', '（Ｃ）',
            '答案不是B而是C', '应选C，不选B', 'Bは間違い、C', 'It is not (B), it is (C)', 'A is not, B is not, C is',
            'Option A is not correct, option B is not correct, option C is correct', 'A can be eliminated. C',
        ],
        'A': [
            'It is A', 'A is right', 'A. north', 'Ａ', 'A is not B',
        ],
    },
    'ANIMALS': {
        'B': [
            'It is the dog.', 'A dog', 'The dog', 'The cat is wrong, the dog is right', 'a dog, not a cat',
        ],
        None: [
            'It is not the dog.', 'not a cat', 'not a black cat', 'A fish', 'It is no dog',
        ],
        'A': [
            'A cat', 'cat rather than dog', "It isn't a dog but a cat",
        ],
        'C': [
            'a bird', 'A bird',
        ],
    },
    'POINTS': {
        'B': [
            'B: Point B', '(b) Point B', 'Point B is correct',
        ],
        'D': [
            'cat.', 'The cat', 'A cat',
        ],
        None: [
            'D cat and A', 'A dog', 'I', 'Point B is wrong', 'not Point B',
        ],
        'A': [
            'a', 'A. Point A',
        ],
        'C': [
            'left',
        ],
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ('options', 'reply', 'letter'), [(name, reply, letter) for name, table in REPLIES.items() for letter, replies in table.items() for reply in replies]
)
def test_a_reply_names_what_it_says_and_nothing_that_it_denies(options, reply, letter):
    assert read_letter(reply, {'options': list(OPTIONS[options])}) == letter


def test_letters_may_have_no_options_beside_them_and_options_may_be_letters_or_denials():
    assert [read_letter(reply, {'options': []}) for reply in ('B', 'It is not B', '**D**', 'I')] == ['B', None, 'D', 'I']
    assert read_letter('It is not moving.', {'options': ['it is not moving', 'it is moving']}) == 'A'
    assert read_letter('No.', {'options': ['Yes', 'No']}) == 'B'
    assert read_letter('A. No, it is not.', {'options': ['No', 'Yes']}) == 'A'
    assert [read_letter(reply, {'options': ['1', '2', '3']}) for reply in ('3', 'Not 3')] == ['C', None]
    assert read_letter('a+b', {'options': ['(c*d)', 'a+b', '[x']}) == 'B'


@pytest.mark.parametrize('reply', ['not ' * 3000, 'A, ' * 3000, 'is it ' * 3000 + 'B', '*' * 5000 + 'B', '((' * 3000, '<a' * 3000, 'B or ' * 2000, '不是B' * 2000])
def test_hostile_replies_are_read_or_refused(reply):
    read_letter(reply, {'options': ['north', 'south']})


def test_marks_go_and_words_stay():
    assert as_plain('**Answer:** \\(\\boxed{\\text{B}}\\)') == 'Answer: B'
    assert as_plain('snake_case 2*3') == 'snake_case 2*3'
    assert without_denied('It is not B, the answer is D', ['x', 'y', 'z', 'w']) == 'It is , the answer is D'
