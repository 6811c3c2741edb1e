import pytest

from curation.texts.signs import signed
from curation.texts.text_edits import TEXT_EDITS, edit_text, main_script
from curation.texts.textmatch import loose

TEXTS = {
    'Latin': 'Which of the four rivers on the map crosses the border?', 'Han': '一个长方形的周长是三十六厘米，面积是多少？', 'Kana': '長方形の面積を求めなさい',
    'Thai': 'สี่เหลี่ยมผืนผ้ามีพื้นที่เป็นเท่าใด', 'Cyrillic': 'Какая из четырёх рек пересекает границу?', 'Hangul': '네 개의 강 중 어느 것이 국경을 지나는가?',
}  # fmt: skip

MORE = (
    '计算well-known的f(x) = 3.5 - 2，A-B是多少？', 'Is the well-known $f(x) = x^2 - 3.5$ even & positive? Costs $5, **really**!', 'for item in items:\n    print(item)',
)  # fmt: skip


@pytest.mark.parametrize(('name', 'text'), TEXTS.items())
def test_the_script_of_a_text_is_that_of_most_of_its_letters(name: str, text: str):
    assert main_script(text) == name
    assert main_script('3 + 4 = ?') == ''


@pytest.mark.parametrize('text', [*TEXTS.values(), *MORE])
@pytest.mark.parametrize('draw', range(70))
def test_what_is_hidden_looks_the_same_and_what_gets_a_word_holds_the_text(text: str, draw: int):
    hidden = edit_text(text, 'text_hidden', draw)
    assert hidden != text
    assert loose(hidden) == loose(text)
    assert signed(hidden) == signed(text)
    around = edit_text(text, 'text_word_around', draw)
    assert f' {loose(text)} ' in f' {loose(around)} '
    assert loose(around) != loose(text)


def test_equal_draws_give_equal_edits():
    for name in TEXT_EDITS:
        assert edit_text(TEXTS['Latin'], name, 5) == edit_text(TEXTS['Latin'], name, 5)
