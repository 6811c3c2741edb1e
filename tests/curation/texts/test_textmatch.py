import random
import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.texts.signs import share
from curation.texts.textmatch import contaminated, loose, strict, units
from tests.curation.text_pairs import different, equal


@pytest.mark.parametrize(('text', 'expected'), [
    ('  What IS\tthis?\n', 'what is this'),
    ('ﬁne Straße', 'fine strasse'),
    ('3.5 + 1,000 = ?', '3.5 1,000'),
    ('x-2 is -2.', 'x 2 is -2'),
    ('１２', '12'),
    ('यह क्या है?', 'यह क्या है'),
    ('?!', ''),
    ('co\u00adop\u200be\u200drate \ufefffully\u2060', 'cooperate fully'),
    ('in\U000e0041vis\u202eible\ufe0f', 'invisible'),
    ('a photo-\ngraph of Anglo-\nSaxon EXAM-\r\nPLES, exam\u00ad\nples', 'a photograph of anglo saxon examples examples'),
    ('pages 3-\n5 - and -\nmore', 'pages 3 5 and more'),
    ('a&nbsp;b &amp;nbsp; c&#160;d &#xA0; e&shy;f R&amp;D AT&T &zwnj;g', 'a b c d ef r d at t g'),
    ('long<wbr>word<WBR />s ex\\-am\\-ple \\-2', 'longwords example -2'),
    ('−2 –3 x−4', '-2 -3 x 4'),
    ('图中有几只猫？', '图 中 有 几 只 猫'),
    ('図のABC社は3.5人', '図 の abc 社 は 3.5 人'),
    ('ﾃｽﾄ', 'テ ス ト'),
    ('กี่ ตัว', 'กี่ ตั ว'),
    ('ລາວ ខ្មែរ မြန်', 'ລ າ ວ ខ្ មែ រ မြ န်'),
    ('한국어 문장', '한국어 문장'),
    ('aี中b', 'aี 中 b'),
])
def test_the_loose_form(text: str, expected: str):
    assert loose(text) == expected


def test_normalising_twice_is_normalising_once():
    for text in ('A,1.5;−3 ŒUVRE', 'ǅ İstanbul', '3 .5'):
        assert loose(loose(text)) == loose(text)


@given(st.text())
def test_either_form_of_a_form_is_itself(text: str):
    assert strict(strict(text)) == strict(text)
    assert loose(loose(text)) == loose(text)


@given(st.text())
def test_texts_of_one_strict_form_have_one_loose_form(text: str):
    """So what the loose form proposes holds all that the strict one would find."""
    assert loose(strict(text)) == loose(text)


def test_texts_that_differ_in_one_sign_are_not_equal():
    pairs = list(different())
    assert len(pairs) > 5_642
    assert [pair for pair in pairs if strict(pair[1]) == strict(pair[2])] == []
    assert not [pair for pair in pairs if strict(f'<image>\n{pair[1]}') == strict(f'<image>\n{pair[2]}')]
    assert sum(loose(one) == loose(other) for _, one, other in pairs) > 5_000, 'the loose form cannot tell'


def test_texts_that_differ_in_blanks_line_ends_or_composition_alone_are_equal():
    pairs = list(equal())
    assert len(pairs) >= 200
    assert [pair for pair in pairs if strict(pair[1]) != strict(pair[2])] == []


def test_ordinary_text_stays_as_it_is_and_indentation_with_it():
    for text in ('What is this?', 'if x:\n    y = 1\n\n\n\tz', 'a\u200db', '❤️', 'Ω', 'x\u202ey', 'exam\u00ad\nple'):
        assert strict(text) == unicodedata.normalize('NFC', text)
    assert strict(' \r\n  a\t b \u2009\r\n    c  d\u00a0\r\t\r\n e\u200b') == 'a b\n    c d\n\n e'
    assert strict(' \u200b\n') == ''


def test_hostile_texts_are_read_in_reasonable_steps():
    """Each of them made a pattern, or Python's own reader of entities, fail or go over the text again and again."""
    for unit in (' ', '\t\u00a0', 'a-\n', '-\n ', '&#', '&#' + '9' * 5_000 + ';', '&amp;', '\u00ad\n', 'e\u0301', '\ufdfa', '<wbr', '\r', '1,', '--2'):
        text = 'a' + unit * (60_000 // len(unit)) + 'b'
        assert strict(text)[0] == 'a'
        assert loose(text)[0] == 'a'


def overlap(theirs: str, ours: str, n: int) -> float:
    """Return the share of the runs of one text in loose form that another holds."""
    return share(units(theirs), units(ours), n)


def test_a_text_shorter_than_n_words_is_one_run_of_the_whole():
    assert units('What colour?') == units('what  COLOUR') == ['what', 'colour']
    assert overlap('What colour?', 'what  COLOUR', 8) == 1.0
    assert overlap('What colour is it?', 'What colour?', 8) == 0.0


def test_no_words_give_no_runs_and_no_overlap():
    assert units('...') == []
    assert overlap('...', 'anything', 8) == 0.0


def test_overlap_is_the_share_of_the_benchmarks_grams():
    assert overlap('a b c d', 'x a b c y', 2) == pytest.approx(2 / 3)  # ab, bc of ab, bc, cd
    assert overlap('a b c d', 'd c b a', 2) == 0.0


def test_a_short_answer_is_found_inside_a_longer_one():
    assert overlap('42', 'The answer is 42.', 8) == 1.0
    assert overlap('42', 'The answer is 421.', 8) == 0.0


@pytest.mark.parametrize(('image', 'question', 'answer', 'has_image', 'expected'), [
    (True, False, False, True, 'image'),
    (True, True, False, True, 'image+question'),
    (False, True, True, True, ''),
    (False, True, True, False, 'text'),
    (False, True, False, False, ''),
    (False, False, True, False, ''),
])
def test_joint_verdict(image: bool, question: bool, answer: bool, has_image: bool, expected: str):
    assert contaminated(image_hit=image, question_hit=question, answer_hit=answer, has_image=has_image) == expected


QUESTIONS = {
    'Chinese': ['小明有五个苹果，他给了小红两个，还剩几个？', '图中的人在做什么？', '下图所示电路中电阻R1的功率是多少'],
    'Japanese': ['図の中に猫は何匹いますか。', 'グラフによると、売上が最も多いのはどの年ですか？', 'この写真はどこで撮られましたか'],
    'Thai': ['ในภาพนี้มีแมวกี่ตัว', 'กราฟนี้แสดงยอดขายของบริษัทในปีใดมากที่สุด'],
    'Lao': ['ໃນຮູບນີ້ມີແມວຈັກໂຕ'],
    'Khmer': ['តើមានឆ្មាប៉ុន្មានក្បាលនៅក្នុងរូបភាពនេះ'],
    'Burmese': ['ဤပုံတွင် ကြောင်ဘယ်နှစ်ကောင်ရှိသလဲ'],
    'English': ['How many cats are there in the picture on the left?'],
    'Korean': ['이 그림 속의 고양이 는 모두 몇 마리 입니까 지금'],
}
MORE = {'Chinese': '请问', 'Japanese': '質問', 'Thai': 'คำถาม', 'Lao': 'ຄຳຖາມ', 'Khmer': 'សំណួរ', 'Burmese': 'မေးခွန်း', 'English': 'Question', 'Korean': '질문'}


@pytest.mark.parametrize(('script', 'question'), [(script, question) for script, some in QUESTIONS.items() for question in some])
def test_a_question_is_found_with_a_word_before_or_after_it_in_every_script(script: str, question: str):
    blank = ' ' if script in ('English', 'Korean') else ''
    for ours in (f'{MORE[script]}{blank}{question}', f'{question}{blank}{MORE[script]}', f'{MORE[script]}{blank}{question}{blank}{MORE[script]}'):
        assert overlap(question, ours, 8) == 1.0


def test_other_questions_of_scripts_without_blanks_are_no_candidates():
    for some in QUESTIONS.values():
        for one, other in zip(some, some[1:], strict=False):
            assert overlap(one, other, 8) == overlap(other, one, 8) == 0.0


HIDDEN = {
    'soft hyphens': '\u00ad', 'zero-width spaces': '\u200b', 'joiners': '\u200d', 'non-joiners': '\u200c', 'word joiners': '\u2060', 'byte order marks': '\ufeff',
    'selectors': '\ufe0f', 'tags': '\U000e0061', 'directions': '\u200e', 'overrides': '\u202e', 'grapheme joiners': '\u034f', 'entities': '&shy;', 'breaks': '<wbr>',
    'numbered entities': '&#8203;', 'hyphens at line ends': '-\n',
}  # fmt: skip


@pytest.mark.parametrize('hidden', HIDDEN.values(), ids=HIDDEN)
def test_what_is_written_into_the_words_does_not_hide_them(hidden: str):
    question = 'Which company had the highest revenue growth between spring and summer of that year?'
    places = random.Random(0).sample([at for at in range(1, len(question)) if question[at - 1].isalpha() and question[at].islower()], 20)
    text = ''.join(hidden * (at in places) + char for at, char in enumerate(question))
    assert overlap(question, text, 8) == 1.0
    assert overlap(question, text.replace(' ', '&nbsp;'), 8) == 1.0
    assert Counter(units(text)) == Counter(units(question))
