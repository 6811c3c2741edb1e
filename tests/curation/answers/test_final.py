"""The final answer of a worked solution is found wherever it is stated, and is all that changes."""

import re

import pytest

from curation.answers.final import final_answer
from curation.negatives.propose import SEEN, Negative, propose_negative
from curation.verdicts.lateness import differs_at
from schemas.recipe import Triples
from schemas.records import Reason
from tests.growth import assert_in_proportion

OPTIONS = 'What is the perimeter?\nA. 10\nB. 12\nC. 15\nD. 18'
IDS = [f's/f.json#{n}/0' for n in range(40)]


@pytest.mark.parametrize(('text', 'value', 'times'), [
    ('We have 3+4=7. The answer is 7.', '7', 1), ('48/2 = <<48/2=24>>24 clips.\n#### 24', '24', 1), ('Hence $\\boxed{\\frac{3}{4}}$.', '\\frac{3}{4}', 1),
    ('Hence $\\boxed{12}$.\n\nThe answer is 12.', '12', 2), ('It is $\\boxed{12}$. The final answer is $12$. I hope it is correct.', '$12$', 2),
    ('It adds up.\n**Answer:** 12 cm', '12 cm', 1), ('So.\n\n### Final Answer\n\n42', '42', 1), ('Answer: B\nBecause it is odd.', 'B', 1),
    ('因为三角形,所以答案是B。', 'B', 1), ('由题意得 x=3,故选：C', 'C', 1), ('答えは 12 です。', '12', 1), ('Therefore, the value of x is 12.', '12', 1),
    ('<think>3</think><answer>12</answer>', '12', 1), ('So option C is correct.', 'C', 1), ('x + 3 = 5\nx = 2', '2', 1), ('The answer is (C) 3.5 cm.', '(C) 3.5 cm', 1),
    ('12\n\nExplanation: since 3 * 4 = 12.', '12', 1), ('La réponse est 5.', '5', 1), ('**Final Answer: 7**', '7', 1), ('3 + 4 = 7, so he has 7 apples in total.', '7 apples in total', 1),
    ('The answer is 12 because 3 * 4 = 12.', '12', 1), ('A man holds a sign.', None, 0), ('The clock shows 10:30.', None, 0), ('def f(x):\n    return 3', None, 0),
])  # fmt: skip
def test_a_final_answer_is_found(text, value, times):
    found = final_answer(text)
    assert (found and found.value) == value
    assert len(found.spans if found else ()) == times


def test_what_a_step_calls_its_value_stays():
    steps = 'The result is 12. Its value is 12, and so the option is 12, all of it.\n'
    for sample_id in IDS:
        assert propose_negative(sample_id, '', f'{steps}The answer is 12.').text.startswith(f'{steps}The answer is ')
    assert {propose_negative(i, '', 'It does. So the answer is yes.\nThe answer is: Yes').text for i in IDS} == {'It does. So the answer is no.\nThe answer is: No'}
    assert all(re.fullmatch(r'Step by step: sqrt\(9\)=3\. The answer is: sqrt\(\d+\)', propose_negative(i, '', 'Step by step: sqrt(9)=3. The answer is: sqrt(8)').text)
               for i in IDS)


MATH_V = (
    'As shown in ![](https://images.example.org/red/left/12.png), in $\\triangle ABC$ the side $AB = 4$ is to the left of $\\odot O$ and '
    '$\\angle ABC = 90^\\circ$, so two sides are equal. By the first rule the perimeter is $4 + 4 + 4 = 12$.\n\n'
)


@pytest.mark.parametrize(('ending', 'made'), [
    ('The answer is 12.', r'The answer is (\d+)\.'), ('$\\boxed{12}$', r'\$\\boxed\{(\d+)\}\$'), ('#### 12', r'#### (\d+)'), ('答案是12。', r'答案是(\d+)。'),
    ('$\\boxed{12}$\nThe answer is 12.', r'\$\\boxed\{(\d+)\}\$\nThe answer is \1\.'), ('**Answer:** 12 cm', r'\*\*Answer:\*\* (\d+) cm'),
    ('Therefore, the perimeter is $12$.', r'Therefore, the perimeter is \$(\d+)\$\.'), ('The answer is $\\frac{3}{4}$.', r'The answer is \$\\frac\{(\d)\}\{4\}\$\.'),
    ('$\\boxed{1{,}200}$', r'\$\\boxed\{((?:1\{,\})?\d00)\}\$'), ('The answer is $x = 3$.', r'The answer is \$x = (\d)\$\.'),
    ('The answer is $120^\\circ$.', r'The answer is \$(\d+)\^\\circ\$\.'), ('The answer is $2\\sqrt{3}$.', r'The answer is \$(\d)\\sqrt\{3\}\$\.'),
    ('The final answer is: $\\boxed{10}$ cm. I hope it is correct.', r'The final answer is: \$\\boxed\{(\d+)\}\$ cm\. I hope it is correct\.'),
    ('The answer is yes.', r'The answer is (no)\.'), ('The answer is parallel.', r'The answer is (perpendicular)\.'),
])  # fmt: skip
def test_only_the_final_answer_changes_and_all_that_state_it_agree(ending, made):
    for sample_id in IDS:
        text = propose_negative(sample_id, 'What is it?', MATH_V + ending).text
        assert text.startswith(MATH_V)
        assert re.fullmatch(made, text[len(MATH_V):])
        assert text != MATH_V + ending


@pytest.mark.parametrize(('ending', 'made'), [
    ('The answer is B.', {'The answer is A.', 'The answer is C.', 'The answer is D.'}), ('故选：B', {'故选：A', '故选：C', '故选：D'}),
    ('Answer: B. 12', {'Answer: A. 10', 'Answer: C. 15', 'Answer: D. 18'}), ('The answer is 12.', {'The answer is 10.', 'The answer is 15.', 'The answer is 18.'}),
    ('$\\boxed{12}$\nAnswer: B', {'$\\boxed{10}$\nAnswer: A', '$\\boxed{15}$\nAnswer: C', '$\\boxed{18}$\nAnswer: D'}),
    ('$\\boxed{\\text{B}}$', {'$\\boxed{\\text{A}}$', '$\\boxed{\\text{C}}$', '$\\boxed{\\text{D}}$'}),
    ('$\\boxed{\\textbf{(B)}\\ 12}$', {f'$\\boxed{{\\textbf{{({a})}}\\ {b}}}$' for a, b in (('A', 10), ('C', 15), ('D', 18))}),
])  # fmt: skip
def test_a_final_option_changes_with_its_text(ending, made):
    assert {propose_negative(i, OPTIONS, MATH_V + ending).text.removeprefix(MATH_V) for i in IDS} == made


@pytest.mark.parametrize('text', [
    '```python\nred = 3\nprint(left)\n```', 'def f(x):\n    return x + 1\nprint(f(3))', '$\\triangle ABC \\cong \\triangle DEF$ and $AB \\perp CD$ in all of them, by rule.',
    'See https://a.example.org/red/left/3.png or mail red.left@blue.com about photos/3.png today.', MATH_V + 'The answer is x.',
])  # fmt: skip
def test_where_only_what_must_stay_could_change_there_is_no_negative(text):
    found = propose_negative(IDS[0], '', text)
    assert isinstance(found, tuple)
    assert found[0] is Reason.NO_NEGATIVE


@pytest.mark.parametrize('text', ['{}The answer is 12.', '{}It is a red car.', '{}not red', '{}= 12'])
def test_a_rule_makes_nothing_that_the_recipe_rejects_as_late_and_all_that_it_does_not(text):
    assert Triples().differ_within == SEEN
    for n in range(SEEN - 8, SEEN + 3):
        answer = text.format('12 cats, ' * (n // 3) + 'so ' * (n % 3))
        made = propose_negative(IDS[0], '', answer)
        if isinstance(made, Negative):
            assert differs_at(answer, made.text) < SEEN
    assert isinstance(propose_negative(IDS[0], '', 'step ' * 600 + '\nThe answer is 12.'), tuple)
    assert isinstance(propose_negative(IDS[0], '', 'step ' * (SEEN - 3) + 'The answer is 12.'), tuple)
    assert isinstance(propose_negative(IDS[0], '', 'step ' * (SEEN - 4) + 'The answer is 12.'), Negative)


@pytest.mark.parametrize('steps', [1200, SEEN + 1])
def test_a_final_answer_behind_what_a_trainer_reads_is_left_to_a_model(steps):
    reason, detail = propose_negative(IDS[0], '', 'step ' * steps + '\nThe answer is 12.')
    assert reason is Reason.NO_NEGATIVE
    assert 'a model must write' in detail
    assert isinstance(propose_negative(IDS[0], '', 'Answer: 12\n' + 'step ' * steps), Negative)


def test_a_long_caption_is_changed_where_a_trainer_sees_it():
    tail = 'It goes on and on. ' * 400
    for sample_id in IDS:
        made = propose_negative(sample_id, '', f'A red car stands there. {tail}A green dog sleeps.')
        assert made.text.endswith('A green dog sleeps.')
        assert not made.text.startswith('A red car')
    assert isinstance(propose_negative(IDS[0], '', f'{tail}A green dog sleeps.'), tuple)


def test_wrong_final_answers_come_from_the_final_answers_of_like_questions():
    pool = [f'It is {n} + 0 = {n}. The answer is {n}.' for n in (3, 4, 5, 6) for _ in range(6)]
    made = {propose_negative(i, '', 'It is 5 + 0 = 5. The answer is 5.', pool=pool).text for i in IDS}
    assert made == {f'It is 5 + 0 = 5. The answer is {n}.' for n in (3, 4, 6)}


@pytest.mark.parametrize('piece', ['answer is ', '\\boxed{', '=', 'so ', '#### ', '{', 'therefore ', '答案是', '$', 'is ', '1 ', 'answer:\n', '**', '<answer>'])
def test_hostile_solutions_take_no_longer_than_their_length(piece):
    assert_in_proportion(final_answer, piece)
