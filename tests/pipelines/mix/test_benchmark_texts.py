"""What of a row repeats an item of a benchmark: each test plants items and asks about rows."""

import numpy as np
import pytest

from curation.texts.signs import signed
from pipelines.mix.benchmark_texts import BenchmarkTexts, item_texts, text_rules
from pipelines.mix.flat_turns import turns_of
from schemas.recipe import Contamination
from tests.pipelines.mix.mixes import LONG, item, written

AREA, AREA_ANSWER = 'A rectangle has a perimeter of thirty six centimetres and is twice as long as wide; what is its area?', 'seventy two'
BAKER = (
    'A baker sells rolls at 40 cents and loaves at 3 dollars. On Monday she sold 25 rolls and 12 loaves, on Tuesday 30 rolls and 9 loaves, and on '
    'Wednesday nothing at all because the oven was broken. How many dollars did she take in these three days together, if nobody got anything for free?'
)
CJK = {
    'Han': ('一个长方形的周长是三十六厘米，长是宽的两倍，它的面积是多少平方厘米？', '请问', '谢谢'),
    'Kana': ('周囲の長さが三十六センチメートルで縦が横の二倍の長方形の面積を求めなさい。', 'では', 'どうぞ'),
    'Thai': ('สี่เหลี่ยมผืนผ้ามีเส้นรอบรูปยาวสามสิบหกเซนติเมตรและยาวเป็นสองเท่าของความกว้าง พื้นที่เป็นเท่าใด', 'ขอถาม', 'ขอบคุณ'),
    'Khmer': ('តើចតុកោណកែងដែលមានបរិមាត្រសាមសិបប្រាំមួយសង់ទីម៉ែត្រ និងបណ្តោយស្មើពីរដងនៃទទឹង មានផ្ទៃក្រឡាប៉ុន្មាន', 'សូម', 'អរគុណ'),
}  # fmt: skip


@pytest.fixture
def lookup(tmp_path):
    """Return a look-up made of items."""

    def make(*items: dict, **rules: object) -> BenchmarkTexts:
        return BenchmarkTexts(item_texts([written(tmp_path / 'bench', list(items))]), text_rules(Contamination(**rules)))

    return make


def evidence(found: dict | None) -> tuple[str, str] | None:
    return None if found is None else (found['item_id'], found['evidence'])


def look(texts: BenchmarkTexts, *turns: tuple[str, str], shows: bool = False):
    names = {'s': 'system', 'u': 'user', 'a': 'assistant'}
    (found,) = texts.find(turns_of([[{'role': names[role], 'text': text} for role, text in turns]]), np.array([shows]))
    return found


SHORT = 'What is the capital of that land?'


def test_a_short_question_needs_its_answer(lookup):
    found = lookup(item('i', SHORT, 'the Ostra'))
    assert evidence(found.by_text([SHORT, 'It is the Ostra.'])) == ('i', 'text')
    assert found.by_text([SHORT, 'the Mela']) is None
    assert found.by_text([f'Look: {SHORT} Answer briefly.', 'the Ostra']) is None


def test_a_question_of_a_few_runs_needs_its_answer(lookup):
    asked = 'Which of the four rivers crosses the border of this province?'  # 11 words
    found = lookup(item('i', asked, 'the Ostra'))
    assert evidence(found.by_text([f'Look: {asked} Answer briefly.', 'It is the Ostra.'])) == ('i', 'text')
    assert found.by_text([asked, 'the Mela']) is None


def test_an_item_that_keeps_its_answer_is_matched_by_its_question_unless_that_is_short(lookup):
    asked = 'Which of the four rivers crosses the border of this province?'
    found = lookup(item('i', asked, ''), item('short', 'What is this?', ''))
    assert evidence(found.by_text([asked.upper(), 'anything'])) == ('i', 'question')
    assert found.by_text(['What is this?', 'a dog']) is None


def test_an_option_is_the_answer_by_its_letter_and_by_its_text(lookup):
    found = lookup(item('i', SHORT, 'B', options=('the Mela', 'the Ostra')))
    assert evidence(found.by_text([SHORT, 'B'])) == ('i', 'text')
    assert evidence(found.by_text([SHORT, 'the Ostra'])) == ('i', 'text')
    assert found.by_text([SHORT, 'the Mela']) is None


def test_the_right_item_is_found_among_many_of_the_same_question(lookup):
    found = lookup(*(item(f'i{k}', LONG, f'river number {k}') for k in range(200)))
    assert evidence(found.by_text([LONG, 'river number 150'])) == ('i150', 'text')


def test_a_picture_is_enough_and_words_about_another_picture_are_not(lookup):
    found = lookup(item('i', LONG, 'the Ostra', b'x'))
    assert evidence(found.by_picture(['<image>\nDescribe it.', 'A map.'], [(1, 'b', 'i')])) == ('i', 'image')
    assert evidence(found.by_picture([f'<image>\n{LONG}', 'the Ostra'], [(1, 'b', 'i')])) == ('i', 'image+question')


def test_a_long_question_is_enough_whatever_is_answered_and_shown(lookup):
    found = lookup(item('i', BAKER, 'She took 25 * 0.4 = <<25*0.4=10>>10 for rolls ... #### 85'))
    for asked in (BAKER, BAKER.lower().rstrip('?'), f'  {BAKER}\n', f'<image>\n{BAKER}', f'Solve: {BAKER} Think step by step.', BAKER.replace(' ', '  ')):
        for shows in (False, True):
            hit = look(found, ('u', asked), ('a', 'Rolls: 22 dollars, loaves: 63, so 85.'), shows=shows)
            assert [evidence(one) for one in hit.equal] == [('i', 'equal question')], asked
            assert hit.near is None


@pytest.mark.parametrize('mark', ['<image 1>', '<image1>', '<image_1>', '<image>'])
def test_a_mark_of_a_picture_within_a_benchmark_question_hides_nothing(lookup, mark):
    found = lookup(item('i', LONG.replace('on the map', f'on the map {mark}'), 'East'))
    for asked in (LONG, LONG.replace('on the map', 'on the map <image>')):
        assert [evidence(one) for one in look(found, ('u', asked), ('a', 'West'), shows=True).equal] == [('i', 'equal question')]


def test_twelve_words_are_long_and_eleven_are_not(lookup):
    asked = 'one two three four five six seven eight nine ten eleven twelve?'
    found = lookup(item('i', asked, 'x'), item('j', asked.replace(' twelve', '').replace('one', 'uno'), 'x'))
    assert look(found, ('u', asked), ('a', 'y')).equal
    assert not look(found, ('u', 'uno two three four five six seven eight nine ten eleven?'), ('a', 'y')).equal
    assert look(lookup(item('i', asked, 'x'), ngram_words=13), ('u', f'ehm {asked}'), ('a', 'y')).equal, 'whatever the length of a run'


def test_what_a_benchmark_asks_about_several_pictures_keeps_the_joint_rule(lookup):
    found = lookup(item('i', LONG, 'the Ostra', b'x'), item('j', LONG, 'the Mela', b'y'))
    assert look(found, ('u', LONG), ('a', 'the Ina'), shows=True).equal == []
    assert look(found, ('u', LONG), ('a', 'the Ina')).joint is None
    assert evidence(look(found, ('u', LONG), ('a', 'the Mela')).joint) == ('j', 'text')


@pytest.mark.parametrize(('theirs', 'ours', 'answer'), [
    ('Is 5 > 3?', 'Is 5 != 3?', 'Yes'), ('Is p ∧ q a tautology?', 'Is p ∨ q a tautology?', 'No'), ('Is 10² greater than 150?', 'Is 102 greater than 150?', 'No'),
    ('What does C# stand for?', 'What does C++ stand for?', 'a language'), ('How many solutions has |x| = 2?', 'How many solutions has x = 2?', 'one or two'),
    ('Does AB || CD hold here?', 'Does AB ⊥ CD hold here?', 'Yes'), ('Is A ∪ B empty?', 'Is A ∩ B empty?', 'No'), ('What means ↑?', 'What means ↓?', 'a way'),
    ('What does *x mean?', 'What does **x mean?', 'a pointer'), ('What prints for i in x:\n  f(i)\ng()', 'What prints for i in x:\n  f(i)\n  g()', 'a'),
    ('Is 5! even?', 'Is 5 even?', 'yes'), ('How much is 5 °C?', 'How much is 5 °F?', 'cold'),
    ('For all real numbers x and a with x + a > 3 and both at most ten, is it true that x is positive?',
     'For all real numbers x and a with x − a > 3 and both at most ten, is it true that x is positive?', 'No'),
])  # fmt: skip
def test_a_question_that_differs_in_one_sign_is_another_question(lookup, theirs: str, ours: str, answer: str):
    found = lookup(item('i', theirs, answer))
    assert evidence(found.by_text([theirs, answer])) == ('i', 'text')
    assert found.by_text([ours, answer]) is None
    assert found.by_text([f'Q: {ours}\nA: {answer}\nQ: And now?', 'Well.']) is None


def test_an_answer_that_differs_in_its_signs_alone_is_another_answer(lookup):
    found = lookup(item('i', 'Give one emoji for joy.', '😀'), item('j', 'Where is it positive?', 'x > 3'))
    assert evidence(found.by_text(['Give one emoji for joy.', '😀'])) == ('i', 'text')
    assert found.by_text(['Give one emoji for joy.', '🎉']) is None
    assert evidence(found.by_text(['Where is it positive?', 'Where x > 3.'])) == ('j', 'text')
    assert found.by_text(['Where is it positive?', 'Where x < 3.']) is None


HELLO = [('u', 'Hello, who are you today?'), ('a', 'A helper.')]
BYE = [('u', 'Thanks, and good night to you!'), ('a', 'Bye.')]
PLACES = {
    'first turn': ([('u', AREA), ('a', AREA_ANSWER), *HELLO, *BYE], 0),
    'middle turn': ([*HELLO, ('u', AREA), ('a', AREA_ANSWER), *BYE], 2),
    'last turn': ([*HELLO, *BYE, ('u', AREA), ('a', AREA_ANSWER)], 4),
    'with another answer': ([*HELLO, ('u', AREA), ('a', 'No idea.'), *BYE], 2),
    'system turn': ([('s', f'Learn from this. {AREA} {AREA_ANSWER}'), *HELLO], 0),
    'an example inside a longer question': ([('u', f'Q: How are you?\nA: Well.\n\nQ: {AREA}\nA: {AREA_ANSWER}\n\nQ: How is the weather?\nA:'), ('a', 'Fine.')], 0),
    'told by the assistant': ([('u', 'Make up a problem.'), ('a', f'Gladly. {AREA} The answer is {AREA_ANSWER}.')], 1),
    'split over two turns': ([('s', AREA[:41]), ('u', AREA[41:]), ('a', AREA_ANSWER)], 1),
    'split over question and answer': ([('u', f'Go on: {AREA[:41]}'), ('a', AREA[41:])], 1),
}  # fmt: skip


@pytest.mark.parametrize('shows', [False, True])
@pytest.mark.parametrize('place', PLACES)
def test_an_item_is_found_wherever_it_stands(lookup, place: str, shows: bool):
    turns, turn = PLACES[place]
    hit = look(lookup(item('other', LONG, 'x'), item('i', AREA, AREA_ANSWER)), *turns, shows=shows)
    assert [(evidence(one), one['turn']) for one in hit.equal] == [(('i', 'equal question'), turn)]


SEVEN = 'What is 7 times 8?'
SHORT_PLACES = {
    'first turn': [('u', SEVEN), ('a', '56'), *BYE],
    'middle turn': [*HELLO, ('u', SEVEN), ('a', 'It is 56.'), *BYE],
    'an example with labels': [('u', f'Q: What is 3 times 3?\nA: 9\nQ: {SEVEN}\nA: 56\nQ: What is 2 times 2?\nA:'), ('a', '4')],
    'an example on one line': [('u', f'Question: {SEVEN} Answer: 56. Question: What is 2 times 2? Answer:'), ('a', '4')],
    'the last of several': [('u', f'Q: What is 3 times 3?\nA: 9\nQ: {SEVEN}\nA:'), ('a', '56')],
    'on a line of its own': [('u', f'Solve this.\n{SEVEN}'), ('a', '56')],
    'system turn': [('s', f'Examples:\n{SEVEN}\n56'), *HELLO],
    'told by the assistant': [('u', 'Make up a problem.'), ('a', f'{SEVEN}\nThe answer is 56.')],
    'split over two turns': [('s', 'What is 7'), ('u', 'times 8?'), ('a', '56')],
}  # fmt: skip


@pytest.mark.parametrize('place', SHORT_PLACES)
def test_a_short_item_is_found_wherever_it_is_asked_and_answered(lookup, place: str):
    found = lookup(item('i', SEVEN, '56'))
    assert evidence(look(found, *SHORT_PLACES[place]).joint) == ('i', 'text')
    other = [(role, text.replace('56', '54')) for role, text in SHORT_PLACES[place]]
    assert look(found, *other).joint is None


def test_a_question_of_a_few_runs_is_compared_with_its_own_answer(lookup):
    asked = 'Which of the four rivers crosses the border of this province?'  # 11 words
    found = lookup(item('i', asked, 'the Ostra'))
    assert evidence(look(found, *HELLO, ('u', asked), ('a', 'The Ostra.'), *BYE).joint) == ('i', 'text')
    assert evidence(look(found, ('u', f'Q: {asked} A: the Ostra. Q: And the longest?'), ('a', 'The Mela.')).joint) == ('i', 'text')
    assert look(found, *HELLO, ('u', asked), ('a', 'The Mela.'), ('u', 'And the longest?'), ('a', 'The Ostra.'), *BYE).joint is None


def test_the_answer_to_another_question_is_not_its_own(lookup):
    found = lookup(item('i', SEVEN, '56'))
    assert look(found, ('u', SEVEN), ('a', 'No idea.'), ('u', 'How old are you?'), ('a', '56'), *BYE).joint is None


def test_a_paraphrase_that_keeps_most_word_runs_is_near_and_contaminates_with_its_answer(lookup):
    reworded = BAKER.replace('got anything for free', 'was given a thing')
    found = lookup(item('i', BAKER, '85'))
    hit = look(found, ('u', reworded), ('a', 'It was 90.'))
    assert (hit.joint, hit.equal, evidence(hit.near)) == (None, [], ('i', 'near'))
    assert 0.8 <= hit.near['question_overlap'] < 1
    hit = look(found, ('u', reworded), ('a', 'It was 85.'))
    assert (evidence(hit.joint), hit.near) == (('i', 'text'), None)
    hit = look(found, ('u', reworded), ('a', 'It was 85.'), shows=True)
    assert evidence(hit.near) == ('i', 'near')
    assert look(found, ('u', BAKER[:160]), ('a', '85')) == look(found, ('u', 'x'), ('a', 'y')), 'less than four fifths is nothing'


def test_a_long_question_with_another_sign_is_near(lookup):
    asked = f'{BAKER} Is it more than 3 + 8?'
    hit = look(lookup(item('i', asked, 'yes')), ('u', asked.replace('3 + 8', '3 * 8')), ('a', 'yes'), shows=True)
    assert (hit.equal, evidence(hit.near)) == ([], ('i', 'near'))


@pytest.mark.parametrize('script', CJK)
def test_without_blanks_a_word_before_or_behind_hides_nothing(lookup, script: str):
    asked, before, behind = CJK[script]
    found = lookup(item('i', asked, '72'))
    for ours in (asked, before + asked, asked + behind, before + asked + behind, asked.rstrip('？。')):
        assert [evidence(one) for one in look(found, ('u', ours), ('a', '?'), shows=True).equal] == [('i', 'equal question')], ours
        assert evidence(look(found, ('u', ours), ('a', '72')).joint) == ('i', 'text')
    assert look(found, ('u', asked[::-1]), ('a', '72')).joint is None


@pytest.mark.parametrize('hide', [
    lambda text: text.replace('e', 'e\u00ad'), lambda text: text.replace('t', '\u200bt'), lambda text: text.replace('a', 'a\u200c'),
    lambda text: text.replace('i', '\u200di'), lambda text: text.replace('r', 'r\u2060'), lambda text: '\ufeff' + text.replace('n', '\ufeffn'),
    lambda text: text.replace(' ', '&nbsp;'), lambda text: text.replace(' ', '\u00a0'), lambda text: text.replace('perimeter', 'peri-\nmeter'),
    lambda text: text.replace('o', '&shy;o'), lambda text: text.replace('o', 'o&#8203;'), lambda text: text.replace('s', '\U000e0041s'),
    lambda text: text.replace(' ', ' \u200e'), lambda text: text.replace('centimetres', 'centi\u00ad\nmetres'),
])  # fmt: skip
def test_what_nobody_sees_hides_nothing(lookup, hide):
    asked = hide(AREA)
    assert asked != AREA
    found = lookup(item('i', AREA, AREA_ANSWER))
    assert [evidence(one) for one in look(found, ('u', asked), ('a', 'another answer')).equal] == [('i', 'equal question')]
    assert evidence(look(lookup(item('i', asked, AREA_ANSWER)), ('u', AREA), ('a', AREA_ANSWER)).joint) == ('i', 'text')


def test_the_order_of_rows_and_how_they_are_cut_change_nothing(lookup, monkeypatch):
    found = lookup(item('i', AREA, AREA_ANSWER), item('j', SEVEN, '56'), item('k', BAKER, '85'))
    rows = [[{'role': 'user', 'text': text}, {'role': 'assistant', 'text': '85'}] for text in (AREA, 'Hello', BAKER, SEVEN, BAKER[3:])] * 3

    def in_blocks(of: list) -> list:
        return [hit for block in turns_of(of).blocks() for hit in found.find(block, np.zeros(len(block), bool))]

    whole = found.find(turns_of(rows), np.zeros(15, bool))
    assert in_blocks(rows) == whole
    monkeypatch.setattr('pipelines.mix.flat_turns.BYTES_AT_ONCE', 400)
    assert 5 < sum(1 for _ in turns_of(rows).blocks()) < 15
    assert in_blocks(rows) == whole
    assert in_blocks(rows[::-1])[::-1] == whole
    assert sum(bool(hit.equal) for hit in whole) == 6


def test_every_accepted_answer_of_an_item_is_looked_for(lookup):
    asked = 'Which of the four rivers crosses the northern border?'
    several = item('i', asked, 'the Ostra') | {'meta': '{"answers": ["the Ostra", "Ostra river"]}'}
    found = lookup(several)
    assert evidence(found.by_text([asked, 'Ostra river'])) == ('i', 'text')
    assert found.by_text([asked, 'the Mela']) is None


EQUAL_SIGNS = 'If a = -3, b = -4, c = -5, d = -6 and e = -7, what is the sum of all these five numbers?'


@pytest.mark.parametrize('other', [EQUAL_SIGNS.replace('-', '- '), EQUAL_SIGNS.replace('-', '\u2212 '), f'<p>{EQUAL_SIGNS}</p>'.replace(' ', '&nbsp;<b>')])
def test_each_wording_of_questions_that_are_equal_sign_for_sign_is_found(lookup, other):
    """However little their loose forms share, since that alone proposes."""
    assert signed(other) == signed(EQUAL_SIGNS)
    found = lookup(item('one', EQUAL_SIGNS, '4'), item('two', other, '5'))
    assert evidence(found.by_text([EQUAL_SIGNS, '4'])) == ('one', 'text')
    assert evidence(found.by_text([other, '5'])) == ('two', 'text')
    assert evidence(found.by_text([other, 'nothing of the kind'])) == ('one', 'equal question')


@pytest.mark.parametrize('question', [
    'ຜູ້ຊາຍທີ່ຢືນຢູ່ເບື້ອງຂວາຂອງຮູບຖືຄັນຮົ່ມສີຫຍັງຢູ່ໃນມື',  # Which colour has the umbrella that the man on the right of the picture holds in his hand
    'ပုံ၏ညာဘက်တွင်ရပ်နေသောအမျိုးသားသည်လက်ထဲတွင်မည်သည့်အရောင်ထီးကိုကိုင်ထားသနည်း',
    'ผู้ชายที่ยืนอยู่ทางด้านขวาของภาพถือร่มสีอะไรอยู่ในมือ',
    'បុរសដែលឈរនៅខាងស្ដាំនៃរូបភាពកំពុងកាន់ឆ័ត្រពណ៌អ្វីនៅក្នុងដៃរបស់គាត់',
])  # fmt: skip
def test_a_question_of_sixteen_english_words_is_long_in_every_script_without_blanks(lookup, question):
    found = lookup(item('i', question, 'yellow'))
    assert evidence(found.by_text([question, 'who knows'])) == ('i', 'equal question')
