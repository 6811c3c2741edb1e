import pytest

from curation.texts.leaks import LEAST_WORDS, is_template, n_words
from curation.texts.textmatch import units


@pytest.mark.parametrize(('text', 'is_long'), [
    ('one two three four five six seven eight nine ten eleven twelve', True),
    ('one two three four five six seven eight nine ten eleven', False),
    ('一个长方形的周长是三十六厘米，长是宽的两倍，面积是多少？', True),
    ('这张图片里有什么？', False),
    ('周囲の長さが三十六センチメートルで縦が横の二倍の長方形の面積を求めなさい', True),
    ('この写真には何が写っていますか', False),
    ('สี่เหลี่ยมผืนผ้ามีเส้นรอบรูปยาวสามสิบหกเซนติเมตรและยาวเป็นสองเท่าของความกว้าง พื้นที่เป็นเท่าใด', True),
    ('ภาพนี้คืออะไร', False),
    ('', False),
])  # fmt: skip
def test_a_long_question_has_twelve_words_or_what_amounts_to_them(text: str, is_long: bool):
    assert (n_words(units(text)) >= LEAST_WORDS) == is_long


@pytest.mark.parametrize(('asked', 'expected'), [
    ([], False),
    ([('b', 'p1', 'red')], False),
    ([('b', 'p1', 'red'), ('b', 'p1', 'blue')], False),
    ([('b', 'p1', 'red'), ('b', 'p2', 'blue')], True),
    ([('b', 'p1', 'red'), ('c', 'p2', 'blue')], False),  # two benchmarks may hold one problem, drawn twice
    ([('b', 'p1', 'red'), ('b', 'p2', 'red')], False),  # two versions of one problem
    ([('b', 'p1', 'red'), ('b', 'p2', 'red'), ('b', 'p3', 'red')], True),
])  # fmt: skip
def test_a_template_is_asked_about_several_pictures_of_one_benchmark(asked, expected: bool):
    assert is_template(asked) == expected
