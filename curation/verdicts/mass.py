"""One text for too many questions: a source's wrong answers that read alike are no answers, and a trainer learns the text instead of the truth.

A closed set of answers has few texts for a reason: `no` is the only wrong answer to a `yes`, and of eight colours each is wrong often. So a text is
spared where its form leaves hardly another one (yes or no, the letter of an option), and where it is also right in the source, once for RIGHT_ONCE_IN
times that it is wrong at least: then it gives nothing away that the right answers do not.
"""

import re

import numpy as np

from curation.answers.wording import said

SHARE = 0.2  # of a source's accepted wrong answers that one text may make up
FROM = 20  # accepted wrong answers: of fewer, a fifth is less than four, which chance alone brings
RIGHT_ONCE_IN = 20
_LETTER = re.compile(r'\W*(?:(?:option|answer|choice)\s+)?[a-h]\W*', re.IGNORECASE)


def has_few_others(text: str) -> bool:
    """Return whether an answer of this form has hardly another one beside it: yes or no, true or false, the letter of an option."""
    return said(text) in ('yes', 'no', 'true', 'false') or bool(_LETTER.fullmatch(text))


def mass_texts(wrong: np.ndarray, right: np.ndarray, spared: frozenset[int] = frozenset()) -> list[int]:
    """Return the keys of texts that make up more than SHARE of `wrong`, again and again without those found, the most frequent first.

    `wrong` holds the key of the text of each accepted wrong answer of a source, `right` of each right answer; `spared` are keys that may be.
    """
    keys, counts = np.unique(wrong, return_counts=True)
    total = int(counts.sum())
    found: list[int] = []
    if total < FROM:
        return found
    for at in np.lexsort((keys, -counts)).tolist():
        key, n = int(keys[at]), int(counts[at])
        if n <= SHARE * max(total, FROM):
            break
        if key not in spared and np.count_nonzero(right == key) * RIGHT_ONCE_IN < n:
            found.append(key)
            total -= n
    return found
