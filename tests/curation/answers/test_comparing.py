"""Two answers compared: what is the same in other words, what is another thing, and what nobody can tell without a judge."""

import pytest

from curation.answers.comparing import Relation, compare

OPTIONS = 'Which one?\nA. cat\nB. hot dog\nC. 5 cm\nD. red'

EQUAL = [
    ('3:00 PM', '15:00'), ('3:00 PM', "3 o'clock p.m."), ('15:00', '3 pm'), ('noon', '12:00 PM'), ('midnight', '12 am'), ('3:30 PM', 'half past three pm'),
    ('May 1, 2020', '2020-05-01'), ('May 1, 2020', '1 May 2020'), ('2020-05-01', '1st of May 2020'), ('25.05.2020', 'May 25, 2020'),
    ('12/25/2020', '25 December 2020'), ('Friday, May 1, 2020', '2020/05/01'), ('Sept 2020', 'September 2020'), ('Jan', 'January'),
    ('1st', 'first'), ('the third', '3rd'), ('twenty-first', '21st'), ('No. 1', '1st'), ('first', '1'),
    ('12 cm', '120 mm'), ('12 cm', '0.12 m'), ('12 cm', '12'), ('2 hours', '120 minutes'), ('1 h 30 min', '90 minutes'), ('5 km/h', '5 kilometers per hour'),
    ('5 m²', '5 square meters'), ('2 L', '2000 ml'), ('25 °C', '77 °F'), ('25 °C', '25 degrees Celsius'), ('90°', r'90^\circ'), ('90°', '90 degrees'),
    ('1,5', '1.5'), ('1.5 million', '1,500,000'), ('1.5M', '1500000'), ('1 500 000', '1.5 million'), ('50%', '0.5'), ('50%', 'one half'), ('1/2', '50 percent'),
    ('$5', '5 dollars'), ('$5', 'USD 5'), ('50 cents', '$0.50'), ('$1.2 billion', '1,200,000,000 dollars'), ('twenty-five', '25'), ('two hundred and five', '205'),
    ('a dozen', '12'), ('7', 'seven'), ('7 dogs', 'seven dogs'), ('about 5', '5'), ('-5', 'minus five'), ('−5', '-5'),
    ('3e5', '3×10^5'), ('3e5', r'3\times10^5'), ('300000', '3 x 10⁵'), (r'\frac{1}{2}', '0.5'), (r'$\dfrac{3}{4}$', '3/4'), ('2/4', '1/2'), ('1½', '1 1/2'),
    (r'\boxed{5}', '5'), ('x = 5', '5'), ('The answer is 5.', '5'), ('IV', '4'), ('iv', 'IV'), (r'\frac{\sqrt{2}}{2}', r'1/\sqrt{2}'), ('2π', r'2\pi'),
    ('U.S.A.', 'USA'), ('USA', 'United States'), ('the United States of America', 'US'), ('gray', 'grey'), ('dog', 'dogs'), ('TV', 'television'),
    ('sofa', 'couch'), ('red, blue', 'blue, red'), ('red and blue', 'blue, red'), ('red, blue, and green', 'green, red, blue'), ('{1, 2}', '{2,1}'),
    ('(1, 2)', '(1,2)'), ('1, 2', '2 and 1'), ('red\nblue', 'blue, red'), ('3-5', '3 to 5'), ('[0, 1)', '[0,1)'), ('x + 1', 'x+1'), ('right', 'yes'), ('1/3', '0.33'),
    ('Yes', 'Correct.'), ('Yes', 'True'), ('Yes', 'Right'), ('Yes', 'Yeah.'), ('Yes', 'It does.'), ('yes', 'Indeed it is.'), ('No', 'It does not.'), ('No', 'False.'),
    ('No', 'Nope.'), ('No', 'It is not so.'), ('No', "It isn't"), ('True', 'Yes'), ('False', 'not true'), ('Yes', "That's right"), ('Yes', '**Yes**'), ('Yes', 'yes!'),
    ('A', '(A)'), ('A', 'a)'), ('3.5 kg', '3500 g'), ('7:45 am', 'quarter to eight am'), ('€1.000,50', '€1,000.50'), ('5 feet 10 inches', '5\'10"'), ('June 2nd', '2 June'),
    ('MMXX', '2020'), ('1,5 m', '150 cm'), ('-5 °C', '23 °F'), ('30 minutes', 'half an hour'), ('an hour', '60 minutes'), ('3h20m', '200 minutes'), ('£1m', '£1,000,000'),
    ('5,00 €', '€5.00'), (r'\frac12', '1/2'), ('x^2', 'x²'), (r'5\,\text{cm}', '5 cm'), ('3:2', '6:4'), ('between 3 and 5', '3-5'), ('Mr. Smith', 'Mr Smith'),
    ('north-east', 'northeast'), ('Monday', 'Mon'), ('10^-3', '0.001'), ('No', 'Of course not'), ('Yes', 'Of course'), ('No', 'No way'), ('1st place', 'first place'),
    ('three red cars', '3 red cars'), ('There are 5 cars.', 'There are five cars'), ('4 1/2', '4.5'), ('1/4', '25%'), (r'\sqrt{2}', '1.41'), ('1,234,567', '1234567'), ('Red', '"red."'), ('5', '`5`'), ('5', '$5$'), ('ＡＢＣ', 'abc'), ('Café', 'Cafe\u0301'), ('5 people', '5 persons'), ('3:2', '3 : 2'),
]  # fmt: skip
DIFFERS = [
    ('3:00 PM', '16:00'), ('3:00 PM', '3:00 AM'), ('3:20', '3:25'), ('noon', 'midnight'), ('May 1, 2020', '2020-05-02'), ('May 1, 2020', 'May 2'),
    ('2019', 'May 2020'), ('01.05.2020', 'June 7, 2020'), ('May', 'June'), ('1984', '1985'), ('1st', 'second'), ('first', '3rd'),
    ('12 cm', '13 mm'), ('12 cm', '12 m'), ('2 hours', '90 minutes'), ('25 °C', '25 °F'), ('90°', '45°'), ('7', '8'), ('7', 'eight'), ('7 dogs', '8 dogs'),
    ('1.5 million', '2,500,000'), ('50%', '0.6'), ('50%', '60'), ('1/2', '1/3'), ('$5', '$6'), ('twenty-five', '26'), ('3e5', '3×10^6'), ('10²', '102'),
    (r'\frac{1}{2}', r'\frac{1}{3}'), ('5', '-5'), ('IV', 'V'), ('IV', '5'), ('red', 'blue'), ('circle', 'square'), ('left', 'right'), ('Monday', 'Tuesday'),
    ('There are 5 cars.', 'There are 6 cars.'), ('a red car', 'a blue car'), ('1st place', '2nd place'), ('bar 3 shows 20%', 'bar 3 shows 30%'), (r'\pi', '3.24'),
    ('No', 'The statement is true'), ('Tuesday', 'Thursday'), ('8 am', '20:00'), ('[1, 2, 3]', '[3,2,1]'), ('red, blue', 'red, green'), ('(1, 2)', '(2, 1)'), ('{1, 2}', '{1, 3}'), ('3-5', '3-6'), ('Yes', 'No'), ('Yes', 'It does not.'), ('No', 'True'), ('True', 'False'),
    ('Yes', 'Incorrect'), ('Yes, the dog is red', 'No, the dog is blue'), ('A', 'B'), ('A', '(C)'), ('teal', 'not teal'), ('250', '270'), ('0', '1'),
]  # fmt: skip
UNTOLD = [
    ('3:00', '15:00'), ('3:00 PM', '3:00'), ('01.05.2020', 'May 1, 2020'), ('01/05/2020', '05/01/2020'), ('May 1', 'May 1, 2020'), ('May 2020', '2020'), ('5/1/20', 'May 1, 2020'),
    ('12 cm', '120'), ('1,500', '1.5'), ('50%', '50'), ('5 dogs', '5 cats'), ('12 cm', '12 kg'), ('$5', '€5'), ('about 5', '6'), ('more than 5', '6'),
    ('V', '5'), ('a man on a horse', 'a rider'), ('puppy', 'dog'), ('car', 'vehicle'), ('5 > 3', '5 != 3'), ('C#', 'C++'), ('x + a', 'x − a'), ('|x| = 2', 'x = 2'),
    ('p ∧ q', 'p ∨ q'), ('A ∪ B', 'A ∩ B'), ('😀', '🎉'), ('AB || CD', 'AB ⊥ CD'), ('1, 2', '1,2'), ('[0, 1]', '(0, 1)'), ('25°', '25 °C'), ('3 × 4', '12'),
    ('yes', 'Not sure'), ('3:2', '3 to 2'), ('3-5 cm', '3-5'), ('05/06/2020', 'June 5, 2020'), ('5 m', '5 million'), ('y = 2x + 1', 'y = 2x - 1'), ('I', '1'),
    ('a red car by a blue one', 'a blue car by a red one'), ('10 cm²', '10 cm'), ('2020', 'the year of the fire'), ('May 1, 2020', '3 days'), ('Yes', 'Maybe'), ('yes', 'Yes and no'), ('Paris', 'the capital'), ('happy', 'smiling'), ('x > 5', '5 < x'),
    ('Yes, the dog is red', 'Yes, the dog is blue'), ('the red one', 'the apple'), ('5', 'an odd number'), ('5!', '5'), ('3 x 4', '4 x 3'),
]  # fmt: skip
TABLE = [(*pair, Relation.EQUAL) for pair in EQUAL] + [(*pair, Relation.DIFFERS) for pair in DIFFERS] + [(*pair, Relation.UNTOLD) for pair in UNTOLD]


@pytest.mark.parametrize(('one', 'other', 'relation'), TABLE)
def test_two_answers_are_the_same_or_differ_or_cannot_be_told(one, other, relation):
    assert compare(one, other)[0] == relation


@pytest.mark.parametrize(('one', 'other', 'relation'), [row for row in TABLE if not {row[0].casefold(), row[1].casefold()} & {'yes', 'no', 'true', 'false'}])
def test_the_order_of_two_answers_does_not_matter(one, other, relation):
    assert compare(other, one)[0] == relation


@pytest.mark.parametrize(
    ('truth', 'answer', 'relation'),
    [
        ('B', 'hot dog', 'equal'), ('hot dog', 'B', 'equal'), ('B', 'B. hot dog', 'equal'), ('B', '(b)', 'equal'), ('B', 'The answer is B.', 'equal'),
        ('B', 'Option B', 'equal'), ('C', '50 mm', 'equal'), ('C', '0.05 m', 'equal'), ('A, B', 'B and A', 'equal'), ('AB', 'A, B', 'equal'),
        ('B', 'A', 'differs'), ('B', 'cat', 'differs'), ('C', '6 cm', 'differs'), ('D', 'blue', 'differs'), ('A, B', 'A, C', 'differs'), ('A', 'C and D', 'differs'),
        ('B', 'A. hot dog', 'cannot tell'), ('B', 'sausage', 'cannot tell'), ('A', 'A, B', 'cannot tell'),
    ],
)
def test_an_option_is_named_by_letter_by_text_or_by_what_has_its_value(truth, answer, relation):
    assert compare(truth, answer, question=OPTIONS)[0] == relation


def test_what_the_question_asks_for_decides_percent_and_order():
    assert compare('50%', '50', question='What percentage of the bars is red?')[0] == Relation.EQUAL
    assert compare('red, blue', 'blue, red', question='What are the colours in order from left to right?')[0] == Relation.UNTOLD


@pytest.mark.parametrize('odd', ['(' * 80, '1' * 80, '√' * 79 + '2', '{' * 190, 'a,' * 90, '\\frac{' * 25, '1/' * 40, '1 and ' * 33, '10^150×10^150', '1e999',
                                 "n't " * 45, '1:' * 90, 'A, ' * 60, '9' * 400, '', ' ', '\n', '*', '**', '()', '.5.', '½' * 80, '10^10^10^10', '(10^99)/(10^-99)'])  # fmt: skip
def test_odd_texts_are_compared_with_everything_and_end_soon(odd):
    for other in ('5', 'yes', 'May 1, 2020', '3:00 PM', 'a, b', 'red', odd + ' x'):
        for question in ('', OPTIONS):
            assert compare(odd, other, question=question)[0] in Relation
            assert compare(other, odd, question=question)[0] in Relation


def test_what_the_table_is_made_of():
    assert len(EQUAL) >= 80
    assert min(len(DIFFERS), len(UNTOLD)) >= 40


@pytest.mark.parametrize(('one', 'other'), [
    ('1990s', 'the nineties'), ('1990s', '90s'), ('是', '对'), ('否', '不'), ('2020-21', '2020-2021'), ('2 pairs', '4'), ('-5', '5 below zero'), ('9pm', '21'),
    ('红色', '红'), ('两', '二'), ('-3 °C', '3 degrees below zero'),
])  # fmt: skip
def test_what_may_be_the_same_never_differs(one, other):
    assert compare(one, other)[0] != Relation.DIFFERS
    assert compare(other, one)[0] != Relation.DIFFERS


@pytest.mark.parametrize(('one', 'other'), [
    ('1990s', '1980s'), ('90s', '80s'), ('红色', '蓝色'), ('左边', '右边'), ('三', '四'), ('是', '不是'), ('正确', '错误'), ('是', 'No'), ('2020-21', '2021-22'), ('α', 'β'),
    ('线性', '非线性'),
])  # fmt: skip
def test_other_decades_and_chinese_words_that_exclude_each_other_differ(one, other):
    assert compare(one, other)[0] == Relation.DIFFERS
    assert compare(other, one)[0] == Relation.DIFFERS


@pytest.mark.parametrize(('one', 'other'), [('1990', 'nineteen ninety'), ('2020', 'twenty twenty'), ('150', 'one fifty'), ('5 kB', '5000 B'), ('yes', 'no doubt'), ('no', 'no problem')])
def test_words_that_are_read_in_two_ways_are_not_told(one, other):
    assert {compare(one, other)[0], compare(other, one)[0]} == {Relation.UNTOLD}
