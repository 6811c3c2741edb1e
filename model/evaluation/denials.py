"""What a reply does not say, though its words stand there: options it denies, takes back or leaves out. Pure functions of text.

`It is not B, the answer is D` says D; `Not B` and `D is incorrect` say nothing: no option follows from another being wrong.
"""

import re
from collections.abc import Sequence

LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'

# A capital letter that stands alone; a small one only behind `option` or where no word follows, since it may be an article.
_LETTER = r'(?:(?:option |choice |answer )?(?<![A-Za-z0-9])\(?[{letters}]\)?(?![A-Za-z0-9])|(?<![A-Za-z0-9])\(?[{small}]\)?(?=[,;)]|\W*$))'
_NOT = r'(?:is|are|was|were|do|does|did|would|could|should|ca|wo|has|have|must|might)nt'  # quotes are gone
_BEFORE = (
    rf'(?:not(?! only| just)|{_NOT}|cannot|never|neither|nor|none of|no longer|except(?: for)?|excluding|excludes?|rul(?:es?|ed|ing) out'
    r'|eliminat(?:es?|ed|ing)|discard(?:s|ed)?|reject(?:s|ed)?|rather than|instead of|other than|apart from|aside from|besides|unlike|opposed to'
    r'|hardly|unlikely|(?<!no )(?<!without )(?<!beyond )doubt|(?:every|any)thing but|all but|any but'
    r'|(?:wrong|incorrect|false) (?:answers?|options?|choices?)(?: (?:is|are))?:?)'
)
_FILLERS = (
    r'(?:(?:be|is|its|it|the|that|this|(?-i:an?)|any|of|for|to|think|believe|say|sure|certain|necessarily|really|likely|possibly|either|both|choose|pick'
    r'|select|go|with|correct|right|answer|option|choice|called)\s+){0,6}'
)
_VERDICT = (
    r'(?:(?:(?:is|are|was|were|seems?|looks?|would|could|can|may|might|will|must|should|do|does|has|have)(?: be| been| to be)?\s+(?:\w+ly\s+)?not\b'
    rf'|{_NOT}\b|cannot\b)'
    r'(?! wrong| incorrect| false| (?:the )?\(?[A-Z]\b)(?:\s+(?:be|correct|right|the answer|it))?'
    r'|(?:(?:is|are|was|were|seems?|looks?|would be|could be|can be|may be|might be|must be|should be|has been|have been)\s+)?(?:\w+ly\s+)?'
    r'(?:wrong|incorrect|false|unlikely|impossible|implausible|ruled out|eliminated|excluded|rejected|out(?! of))\b|(?<=: )no\b)'
)
_LIST = r'(?:(?:,(?: (?:or|and|nor)\b)?| ?/| (?:or|and|nor|&)) ?(?:the )?{named}){{0,8}}'
_TAKEN_BACK = re.compile(
    r'\b(?:no,? wait|wait,? no|wait|hold on|on second thoughts?|scratch that|correction|i mean|sorry|let me correct|actually(?=\W+\w))\b'
    r'|\bno\b[,:.]\s+(?=(?:(?:its?|it is|the answer is|rather)\s+)?\(?[A-Z]\)?\W*$)',
    re.IGNORECASE,
)
_HAN_LIST = r'[A-Z](?: ?[、和与或,] ?[A-Z]){0,8}'
_EAST_ASIAN = (
    rf'(?:不是|不选|不選|不应该?选|不能选|不可能是|不会是|并非|而非|非|排除|除了?|没有)[ ]?(?:选项|答案)?\s*{_HAN_LIST}',
    rf'{_HAN_LIST}[ ]?(?:选项|項|项)?\s*(?:都|均|也|是)?\s*(?:错|錯|不对|不對|不正[确確]|不是|不符|不可能|有误|可?以?被?排除)',
    rf'{_HAN_LIST}\s*(?:では(?:ない|ありません)|は(?:間違い|誤り)|(?:가|이|는|은)?\s*(?:아니|아닙|틀렸|틀린))',
)
_MARKS = (
    (r'(?m)^\s*(?:```|~~~)\w*|`', ''),
    (r'</?[A-Za-z][^<>\n]*>', ' '),
    (r'(?m)^\s*#+\s', ''),
    (r'\\(?:boxed|fbox|text\w*|math\w+)\s*\{([^{}]*)\}', r'\1'),
    (r'\\(?:boxed|fbox|text\w*|math\w+)\s*\{([^{}]*)\}', r'\1'),  # one within the other
    (r'\\[()\[\]]|\$', ''),
    (r'(?<!\w)(?:\*+|_+)|(?:\*+|_+)(?!\w)', ''),
    (r'["“”„«»‘’\']', ''),
    (r'[\[{【「]\s*([A-Za-z])\s*[\]}】」]', r'(\1)'),
)


def as_plain(reply: str) -> str:
    """Return a reply without Markdown, TeX, tags and quotes, full-width signs as ASCII."""
    text = ''.join(chr(ord(char) - 0xFEE0) if 0xFF01 <= ord(char) <= 0xFF5E else char for char in reply)
    for pattern, instead in _MARKS:
        text = re.sub(pattern, instead, text)
    return text.strip()


def without_denied(text: str, options: Sequence[str]) -> str:
    """Return a plain reply from its last change of mind on, without what it denies of the options, by their letter or their text."""
    text = ' '.join(text.split())
    for pattern in _EAST_ASIAN:
        text = re.sub(pattern, ' ', text)
    text = re.sub(r'([\u3000-\u9fff\uac00-\ud7af])', r' \1 ', text)  # a letter between such signs is a word
    text = _TAKEN_BACK.split(text)[-1]
    letters = LETTERS[: len(options)] or LETTERS
    letter = _LETTER.format(letters=letters.replace('I', ''), small=letters.lower())  # I is a word before it is an option
    texts = '|'.join(sorted((re.escape(option) for option in options if len(option) > 1 or option.isdigit()), key=len, reverse=True))
    named = rf'(?:(?:{letter}[.:)]?\s+)?(?<!\w)(?i:{texts})(?!\w)|{letter})' if texts else letter
    listed = _LIST.format(named=named)
    text = re.sub(rf'{letter}\?\s*(?i:no)\b', ' ', text)
    text = re.sub(rf'{named}(?:\s*[:.,)]?\s*\([^()]*\))?{listed}\s*[:,–-]?\s*(?i:{_VERDICT})', ' ', text)
    text = re.sub(rf'\b(?i:there is no|theres no|no)\s+{letter}', ' ', text)
    text = re.sub(rf'\b(?i:{_BEFORE})\s+(?i:{_FILLERS}){named}{listed}', ' ', text)
    if texts and not re.search(rf'\b(?i:{_BEFORE}|no)\b', ' '.join(options), re.IGNORECASE):
        text = re.sub(rf'\b(?i:{_BEFORE}|no)\s+(?:(?!but\b|however\b)[\w-]+\s+){{0,4}}(?i:{texts})(?!\w)', ' ', text)
    return ' '.join(text.split())
