"""Which questions of a benchmark give a leak away by themselves: long ones that are no templates.

Nobody writes twelve or more words of another's question by chance; but a benchmark that asks one wording about many pictures (CLEVR's) shares it with
all data that its generator made, and only the picture tells an item.
"""

from collections import defaultdict
from collections.abc import Iterable

from curation.texts.invisible import WITHOUT_BLANKS, script

LEAST_WORDS = 12  # of a question that is a leak whatever is answered
SEVERAL = 2  # different pictures that one wording is asked about: it is a template
# Characters that say what a word of English does. Translators count 1,300 to 1,800 characters of Chinese for 1,000 words of English, and some 2,250
# of Japanese, a third of them Chinese (anycount.com, kantanmt.zendesk.com); Thai words have three to four letters with their marks,
# and say less than English ones: questions of 16 to 18 words, put into Thai, Lao, Khmer, Burmese and Japanese, have 1.7 to 2.3 letters for each.
HAN_PER_WORD = 1.5
LETTERS_PER_WORD = 2.25  # of the other scripts without blanks: kana, Thai, Lao, Khmer, Burmese
_HAN = ('CJK', 'IDEOGRAPHIC')


def n_words(units: Iterable[str]) -> float:
    """Return the length of a text, given as units of its loose form, in words: where a script has no blanks, what its characters amount to."""
    return sum(map(_words_of, units))


def _words_of(unit: str) -> float:
    of = script(unit[0])
    return 1.0 if of not in WITHOUT_BLANKS else 1 / HAN_PER_WORD if of in _HAN else 1 / LETTERS_PER_WORD


def is_template(asked: Iterable[tuple[str, str, str]]) -> bool:
    """Return whether a wording is a benchmark's template, from its (benchmark, picture, answer), one for each picture it is asked about.

    Two pictures with one answer are none: MathVerse draws what one of its versions says in words into the picture of the next.
    """
    pictures, answers = defaultdict(set), defaultdict(set)
    for bench, picture, answer in asked:
        pictures[bench].add(picture)
        answers[bench].add(answer)
    return any(len(some) > SEVERAL or len(some) == SEVERAL <= len(answers[bench]) for bench, some in pictures.items())
