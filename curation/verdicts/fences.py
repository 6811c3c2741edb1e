"""Answers between marks that they cannot close, so that what an answer says to the judge stays an answer.

An answer of one plain sentence stands in a prompt as it is. One that could be read as more (further lines or sentences, a label as prompts have them,
words that speak of replies and instructions) is fenced, and so is the answer it is compared with: a fence around one of two would tell them apart.
"""

import re
from hashlib import sha256
from unicodedata import category, normalize

MARK_CHARS = 8  # of a mark's hexadecimal digits
# Not `right`, `correct` and `wrong`, which answers about pictures hold, nor a Yes or No that an answer begins with.
_SPEAKS = (
    r'repl(?:y|ies)|respon[ds]\w*|ignor(?:e|ing)|disregard|forget|instruct\w*|verdicts?|judge[sd]?|judging|grad(?:e|er|ing)|evaluat\w+|say|prompts?'
    r'|assistant|system|user|output|choose|pick|select|accept|approve|deem|treat'
)
_MORE = re.compile(
    r'[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]'  # further lines
    r'|[.!?…]["\'’”)\]*]*\s+\S|[。！？｡؟۔।]\S'  # or sentences
    r'|:\s|：|["\'}\]]\s*:|```|##|===|---'  # a label, a field, a rule between two parts
    rf'|\b(?:{_SPEAKS})\b|\S(?:\s+|\s*[=>,;/|–—-]\s*)["“(\'*]*(?:yes|no)\W*$',
    re.IGNORECASE,
)


def needs_fence(*answers: str) -> bool:
    """Return whether one of these answers could be read as more than an answer."""
    return any(_MORE.search(text.strip()) for answer in answers for text in (answer, _read(answer)))


def _read(answer: str) -> str:
    """Return an answer as a model reads it: wide and joined letters plain, without the characters that nobody sees."""
    if answer.isascii():
        return answer
    return ''.join(char for char in normalize('NFKC', answer) if category(char) != 'Cf')


def mark_of(*answers: str) -> str:
    """Return a mark that none of these answers holds, for they decide it: the same for the same answers."""
    mark = ''
    while not mark or any(mark in answer.lower() for answer in answers):
        mark = sha256('\0'.join((mark, *answers)).encode('utf-8', 'replace')).hexdigest()[:MARK_CHARS]
    return mark


def fenced(answer: str, mark: str) -> str:
    """Return an answer between lines that hold the mark."""
    return f'<answer-{mark}>\n{answer}\n</answer-{mark}>'
