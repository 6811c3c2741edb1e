"""What judges write, in every form seen or feared, and what is read: value -> the texts that say it; None: not the one thing asked for."""

import pytest

from pipelines.benches.judge_answer import read_answer
from pipelines.benches.judge_marks import read_marks
from pipelines.benches.judge_reading import left_at_that, read_grade, read_same

GRADES = {
    0.7: [
        '0.7',
    ],
    None: [
        '1 out of 10', '1 of 5', '1 (out of 10)', '1-10: 7', '1%', '0 .5', '7', 'good', '', '1/10', '1.1', '1,000', '0/1', '1/2', '5/10', '½',
        '0.4-0.6', '0.4 - 0.6', '0.4–0.6', '0.4 to 0.6', '0.5 or 0.6', '0.5, 0.6', '0.5 and 0.6', 'not 1', 'Not 1.0', 'between 0 and 1',
        'Between 0.4 and 0.6', 'I would not give a grade of 1', 'The grade is not 1', '0.5\n0.6', '0.5\nGrade: 0.6', '1. The reply is right',
        '1) right', '0.5?', '~0.5', 'about 0.5', '> 0.5', '<0.5', '≥0.5', 'at least 0.5', '0.5 at most', '-0.5', '- 0.5', '−0.5', '+0.5',
        '{"score": 5}', '{"score": true}', '{"score": null}', '{"score": 0.5, "score": 1}', '{"pears": 1, "plums": 0}', 'Score: 5/10',
        'Grade (out of 10): 1', 'Grade: -0.5', '\\frac{1}{2}', '1分（满分10分）', '50%', '0.5%', '0.5 %', '1 percent', '100％', '1e1', '0.5 (out of 10)',
        '0.5 / 10', '1 / 10', '1 on a scale of 10', '1 in 10', '1 star', '1 tenth', '5 tenths', '1st', '0.5x', '00', '01', '10', '1.0.0', '0..5',
        '0.5...', '0.…', '0…', '1…', 'Grade: 0…', 'one', 'half', 'zero', 'NaN', 'inf', 'None', '0 or 1', '1 or 0', '0, 1', '0 1', '1 and 0',
        '0,5,6', '0.5,0.6', '0,5 0,6', '1 if plums were named', '1 is too high', '1 would be too high', '0.5, not 1.0', '0.5, no wait, 0.6',
        '1, no wait', '0.5. No, 0.6.', '1 - no, 0.5', 'Grade: 0.5 or 0.6', 'Grade: 1. Out of 10.', 'Grade: 1\n(out of 10)', 'Scale: 0-10\nGrade: 1',
        '1\nScale: 0 to 10', 'Pears: 1\nPlums: 0', '~~0.4~~ 0.5', '#1', 'No. 1', "1'000", '1 000', '0.5=0.5', '0.5+0.1', '5*0.1',
        'Grade: 0.5 because 1 of 2 parts is there. A grade of 1.0 needs both.', 'Grade: 1 or 0', '1 point of 10', '0. Nothing', 'upgrade: 0.5',
        '0.5\n\nFinal Answer: 0.6', '0.5.\n\nNo, wait: 0.6', '0.5\n\nActually, 0.6', '0.5\nCorrection: 0.6', 'Grade [0-10]: 1', 'Grade: 0/1',
        '0.5 0.5', 'Grade: 0.5|0.6', '1 ½', '0.5 maybe', 'maybe 0.5', '0·5', '0.5 ± 0.1', '0.5 (50%)', '1 – 10', '1 part is named', '1 pear',
        '0 plums', '0.5 litres', 'Pears: 1', 'grade 1 student', '{"score": 1, "max_score": 10}', '{"score": 0.5, "scale": "0-10"}', '1 point',
        'The grade I assign is 0.5', '0.5/1.5', '1/100', '1 = all', '0→1', '0 → 1', 'Yes, 1', 'Grade: 1, best is 10',
        'Grade: 1 (0 = worst, 10 = best)', '0.5-ish', '0, 5', '0 , 5', '1: 0.5', 'Not 0.5', 'No grade.',
        'Grade: 0.5\n\nQuestion: Which?\nGrade: 1.0',
    ],
    0.1: [
        '1e-1',
    ],
    0.5: [
        '0,5', '**0.5**', 'Grade: **0.5**', '.5', '0,500', '0.5/1', '0.5/1.0', '0.5 / 1', '0.5 out of 1', '0.5 out of 1.0',
        '0.5 because one of two is named', '0.5 because 1 of 2 parts is named', '0.5. The reply names 1 of 2 parts.',
        '0.5, since plums are missing.', '0.5 - plums are missing', '0.5 – plums are missing', '0.5 (plums are missing)', '0.5: plums are missing',
        '0.5\n\nThe reply names one.', 'The reply names pears.\n\n0.5', 'The reply names pears but no plums.\nGrade: 0.5', 'The grade is 0.5.',
        'I would give it a grade of 0.5.', '0.5\nGrade: 0.5', '1. The reply names pears.\n2. It misses plums.\nGrade: 0.5', '0.5.', '0.5!', '* 0.5',
        '• 0.5', '`0.5`', '```\n0.5\n```', '```json\n{"score": 0.5}\n```', '{"score": 0.5}', '{"grade": "0.5"}',
        '{"score": 0.5, "reason": "1 of 2"}', '{"reason": "1 of 2", "score": 0.5}', "{'score': 0.5}", '{"pears": 1, "plums": 0, "grade": 0.5}',
        '[0.5]', '[[0.5]]', 'Rating: [[0.5]]', '(0.5)', '"0.5"', '“0.5”', "'0.5'", '## 0.5', '### Grade\n0.5', 'Grade:\n0.5',
        '**Grade:**\n\n**0.5**\n\nPlums are missing.', '**Grade**: 0.5', 'Score = 0.5', 'Score: 0.5/1.0', 'Correctness: 0.5', 'Score (0-1): 0.5',
        'Grade (0.0 to 1.0): 0.5', 'Final grade -> 0.5', 'Grade - 0.5', 'My score is 0.5', '\\boxed{0.5}', '$0.5$', '$\\boxed{0.5}$', '\\(0.5\\)',
        '\\[ \\boxed{0.5} \\]', '\\boxed{\\text{0.5}}', '$0{,}5$', '０．５', '０，５', '٠٫٥', '०.५', '𝟎.𝟓', '得分：0.5', '评分: 0.5分', '0.5分', '0.5，因为缺少李子',
        '0.5。因为缺少李子。', 'Note : 0,5', '점수: 0.5', '0.5점', '<score>0.5</score>', '<b>0.5</b>', 'Grade: <b>0.5</b>', '5e-1',
        'Maximum grade: 1.0\nGrade: 0.5', 'Pears: 1\nPlums: 0\nGrade: 0.5', '| 0.5 |', '| Grade | 0.5 |', '| Grade |\n|---|\n| 0.5 |', '0.5\xa0',
        '\u200b0.5', '\ufeff0.5', '0.5\nA grade of 1.0 would need both.', 'If the grade is 1, all is there. Grade: 0.5', '**Final Grade: 0.5**',
        'Final score: **0.5** (partially correct)', 'The correctness score is 0.5', '0.5 points', 'Answer: 0.5', 'The answer is 0.5',
        '0.5; plums missing', '{"score": 0.5', '0.5 ✅', 'Grade:0.5', 'grade=0.5', 'GRADE: 0.5', 'Grade： 0.5',
        '0.5 out of 1.0 because plums are missing', '0.5 / 1.0 (partly)', 'The final answer is $\\boxed{0.5}$.', '0.5\n\nFinal Answer: 0.5',
        'Grade [0-1]: 0.5', '0.5\n---\n1. pears\n2. plums', '۰٫۵', '௦.௫', '0.5 分', '{0.5}', '0.5 Explanation: one of two', '[Grade: 0.5]', '**0.5',
        'Grade: 0.5 - partially correct', 'Grade 0.5', 'Score 0.5', '{"score": 0.5, "max_score": 1}', 'Quality: 0.5', 'Overall: 0.5',
        'Grade: 0.5\nScale: 0.0 to 1.0', 'Accuracy: 0.5', 'Bewertung: 0,5', 'Puntuación: 0,5', '[{"score": 0.5}]', 'Here is the grade: 0.5',
        '0,5/1,0', 'Grade: 0.5/1', 'grade of 0.5', 'The score is 0.5 out of 1.', 'Score: **0.5**/1', '**0.5**/1.0', '0.50', 'Grade: .5',
        '- Grade: 0.5', '0.5\n\n(0.5)', '0.5\n\nQuestion: 7',
    ],
    0.8: [
        '0,8', '0.8 I think',
    ],
    1.0: [
        ' 1.0\nIt is right.', '1,0', '1.000', '1/1', '1 out of 1', '1.', '1E0', '1 - perfect match', '1 (perfect)', '1.0 The reply says all.',
        'The two agree. Score: 1.0 out of 1.0', '1.0/1.0 - complete', '1/1.0', '1.0000', '1',
    ],
    0.0: [
        'Grade: 0', '0.0/1.0', '0 - nothing of it', 'Grade: 0. Nothing of it.', 'Score: 0', '0',
    ],
    0.4: [
        '0.4 since it…', '0.5\nWait, plums are missing.\nGrade: 0.4',
    ],
}  # fmt: skip
SAME = {
    1: [
        '1', '1 or 0: 1', 'Same: 1', '1/1', '**1**', 'Judgement: 1', '1.', '"1"', '\\boxed{1}', '１', '1.0', '1 (same)', 'They are the same.\n1',
        '{"same": 1}', '١', '1 since both…', 'Score: 1/1', '1 out of 1',
    ],
    0: [
        '1 or 0: **0**', '0', '0\nno', 'Judgment: **0**', '0.', '0 - they differ', '0 because 5 is not 6', '0, since 5 is another number than 6',
    ],
    None: [
        '1 or 0: 1 or 0', '0 or 1', '0/1', '1 out of 10', '1 and 0', '1% sure', '10', 'yes', '1.5', '1,0', '0,1', '0.5', '1 or 0', 'not 1', '0/0',
        '1\n0', '1 = same', '1…', '2', '-1',
    ],
}  # fmt: skip
MARKS = {
    (8.0, 7.0): [
        '8/10 vs 7/10', '**Assistant 1:** 8\n\n**Assistant 2:** 7\n\nwhy', 'Assistant 1 gets 8, assistant 2 gets 7',
        'First answer: 8/10, second answer: 7/10. The', '8, 7, because the second errs', '[[8]] [[7]]', '[[8, 7]]', '8.0 7.0', '8 / 10, 7 / 10',
        '8 7', '8, 7', '8,7', '**8** **7**', '**8 7**', '`8 7`', '8/10 7/10', '8/10, 7/10', '8 out of 10, 7 out of 10',
        'Assistant 1: 8 Assistant 2: 7', 'Assistant 1: 8\nAssistant 2: 7\nBecause', 'Assistant 2: 7, Assistant 1: 8', 'First: 8, second: 7',
        'First answer: 8\nSecond answer: 7', '**First answer:** 8/10\n**Second answer:** 7/10', 'Answer 1: 8; Answer 2: 7', 'A: 8 B: 7', '8 and 7',
        '8 | 7', '8; 7', '(8, 7)', '[8, 7]', '\\boxed{8 7}', '\\boxed{8} \\boxed{7}', '$8$ $7$', '８ ７', '8\t7', '8 7.', '## Marks\n8 7\nwhy',
        '{"first": 8, "second": 7}', '{\n "assistant_1": 8,\n "assistant_2": 7\n}', '8 7 because the second errs', 'Score: 8 7',
        'The mark of the first answer is 8 and the mark of the second answer is 7.', '٨ ٧', '8/10 7',
        'Score of the first answer: 8, score of the second answer: 7', '8 7 - the second errs', "Assistant 1's score: 8\nAssistant 2's score: 7",
        '8 vs. 7', '8 7/10',
    ],
    None: [
        '8 7 9 6', '8 (first) 7 (second)', '8\n\n7', 'Reference: 8', '7/10', '1. 8\n2. 7', '8', '0 5', '', '11 5', '8,5,7', '8,5,7,5', '8/5 7/5',
        '80/100 70/100', '8 7 6', '8 or 7', '8 to 7', '8-7', '8 - 7', '8:7', 'between 1 and 10', '8%, 7%', '-8 7', '8\n7', 'I think\n8 7',
        '8 7 of 10', '8 7…', '8 1…', 'Assistant 1: 8', 'Assistant 1: 8 Assistant 1: 7', '8 7?', '8 7, no wait, 7 8', '8. 7.', '008 7', '1. 8 7',
        '0.8 0.7', '8 7 5/10', 'First answer: 8 (good)\nSecond answer: 7',
    ],
    (10.0, 10.0): [
        '10, 10', '10 10',
    ],
    (8.0, 6.0): [
        '8 6\nThe second errs.', 'Marks: 8 6', '8 6\nBoth…',
    ],
    (7.5, 10.0): [
        '7.5, 10',
    ],
    (8.5, 7.0): [
        '8,5 7', '8,5, 7,0',
    ],
    (8.5, 7.5): [
        '8,5 7,5', '8.5 7.5',
    ],
    (1.0, 10.0): [
        '1 10',
    ],
}  # fmt: skip
ANSWERS = {
    '14': [
        '{"answer": 14}', '__14__', '\n Answer: "14".\nmore', '14\nbecause…', '**14**', '**Answer:** 14', 'Answer: **14**', '**Answer: 14**',
        '**Answer:**\n14', '```\n14\n```', '`14`', '$14$', '\\boxed{14}', '$\\boxed{14}$', '\\(14\\)', 'The answer is 14.', '{"answer": "14"}',
        '１４', '"14"', '“14”', 'Answer：14', '<answer>14</answer>', '### Answer: 14', 'Extracted answer: 14', '*14*', '_14_',
    ],
    '$5 and $6': [
        '$5 and $6',
    ],
    '2**3': [
        '2**3',
    ],
    None: [
        ' \n', 'First we…', '14…', 'Answer:…', '___',
    ],
    '(B)': [
        '(B)', 'Final answer: (B)',
    ],
    '[1, 2]': [
        '[1, 2]',
    ],
    '$5': [
        '$5',
    ],
    'B': [
        'The final answer is: **B**', 'Ｂ',
    ],
    'None': [
        'None', '**None**', 'None.', '{"answer": "None"}',
    ],
    'none': [
        'Answer: none',
    ],
    '-5': [
        '−5', '-5',
    ],
    '-0.5': [
        '-0.5',
    ],
    '2*3': [
        '2*3',
    ],
    'x^2': [
        'x^2',
    ],
    '\\frac{1}{2}': [
        '\\frac{1}{2}',
    ],
    '14 cm': [
        '14 cm',
    ],
    'answer key': [
        'answer key',
    ],
    'Yes': [
        'Yes',
    ],
    '{1, 2}': [
        '{1, 2}',
    ],
    '?': [
        '?',
    ],
    '/': [
        '/',
    ],
    '>': [
        '>',
    ],
    '*a* and *b*': [
        '*a* and *b*',
    ],
}  # fmt: skip


def rows(table):
    return [(text, value) for value, texts in table.items() for text in texts]


@pytest.mark.parametrize(('text', 'value'), rows(GRADES))
def test_a_grade_is_the_one_number_between_0_and_1_that_a_reply_says(text, value):
    assert read_grade(text) == value


@pytest.mark.parametrize(('text', 'value'), rows(SAME))
def test_the_same_or_not_is_a_1_or_a_0_and_no_choice_between_them(text, value):
    assert read_same(text) == value


@pytest.mark.parametrize(('text', 'value'), rows(MARKS))
def test_marks_are_two_from_1_to_10_in_the_order_of_the_answers(text, value):
    assert read_marks(text) == value


@pytest.mark.parametrize(('text', 'value'), rows(ANSWERS))
def test_an_extracted_answer_is_bared_of_marks_and_labels(text, value):
    assert read_answer(text) == value


@pytest.mark.parametrize('reader', [read_grade, read_same, read_marks, read_answer])
@pytest.mark.parametrize('text', ['(' * 3000, '{"score": ' * 3000, 'Grade: 1 or ' * 1500, '|' * 5000, '1 ' * 4000, '<a' * 4000, '*' * 5000 + '1', '\\\\frac{' * 2000, '\x00', '9' * 5000])
def test_hostile_replies_are_read_or_refused(reader, text):
    reader(text)


@pytest.mark.parametrize(
    ('rest', 'left'),
    [('', True), (' because it is', True), (' (partly)', True), (', since 1 of 2', True), (' part', False), (' or so', False), ('? no', False), (' 2', False)],
)
def test_a_number_stands_alone_or_with_its_reason(rest, left):
    assert left_at_that(rest) is left
