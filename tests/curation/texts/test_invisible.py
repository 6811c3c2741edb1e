import pytest

from curation.texts.invisible import hidden, is_blank


@pytest.mark.parametrize('text', [
    'What is this?\n\n\tx\r\n', 'naïve café', '图中有几只猫', '\ufeffa byte order mark first', '👩‍💻 👨‍👩‍👧 🏳️‍🌈 ❤️‍🔥 🕵🏻‍♂️', '1️⃣ #️⃣ ℹ️ ©️ ‼️ ☺︎', '🏴󠁧󠁢󠁥󠁮󠁧󠁿 and 🏴󠁧󠁢󠁳󠁣󠁴󠁿',
    'می‌خواهم', 'क्‍ष क्‌ष র‍্যাব', 'ශ්‍රී ലങ്ക', 'ภาษา\u200bไทย', 'ភាសា\u200bខ្មែរ', 'שלום \u200fabc\u200e עולם', '\u2067مرحبا\u2069', '葛\U000e0100城', 'ᠮᠣᠩᠭᠣᠯ\u180bᠤ', '≨\ufe00',
])  # fmt: skip
def test_what_typography_needs_is_not_counted(text: str):
    assert hidden(text) == {}


@pytest.mark.parametrize(('text', 'expected'), [
    ('co\u00adop\u00aderate', {'\u00ad': 2}),
    ('pass\u200bword \u2060', {'\u200b': 1, '\u2060': 1}),
    ('a\u200cb\u200dc', {'\u200c': 1, '\u200d': 1}),
    ('a\ufeffb', {'\ufeff': 1}),
    ('an \u202eexe.gpj\u202c', {'\u202e': 1, '\u202c': 1}),
    ('שלום \u202eabc', {'\u202e': 1}),
    ('plain\u200e', {'\u200e': 1}),
    ('hi\U000e0068\U000e0069', {'\U000e0068': 1, '\U000e0069': 1}),
    ('🏴' + ''.join(chr(0xE0000 + ord(c)) for c in 'ignore all') + '\U000e007f', {chr(0xE0000 + ord(c)): 'ignore all'.count(c) for c in 'ignore all'} | {'\U000e007f': 1}),
    ('😀\ufe0f\ufe01\ufe02', {'\ufe01': 1, '\ufe02': 1}),
    ('a\ufe0f', {'\ufe0f': 1}),
    ('😀\u200d\u200d', {'\u200d': 1}),
    ('x\u3164y\u034f', {'\u3164': 1, '\u034f': 1}),
    ('\x1b[31mred\x00', {'\x1b': 1, '\x00': 1}),
    ('日\u200d本', {'\u200d': 1}),
])  # fmt: skip
def test_what_hides_words_is_counted(text: str, expected: dict[str, int]):
    assert hidden(text) == expected


def test_a_text_without_anything_to_see_is_blank():
    for text in ('', ' \n', '\u200b\ufeff\x00', '\u00ad', '\ufe0f', '\u3164\u2800', '\U000e0041', '\u202e\u2069', '\ue000'):
        assert is_blank(text)
    for text in ('.', '哈', '🙂', '\u200ba', '−'):
        assert not is_blank(text)
