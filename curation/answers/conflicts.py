"""Can two answers to one question about one picture both be right? What of the labels of a source contradicts itself needs no model to be seen.

Computed answers (`exact`) contradict each other where the rules of comparing.py say that they differ; what these cannot tell is no contradiction.
Of open answers the strict form decides, since one person's "cat" beside another's "dog" is what is looked for, but only where one right answer is
to be expected: both are short, none says the other in more or fewer words, and the question asks for no description, list, example, reason or guess.
Such questions have many right answers; of these only yes against no, and one of the question's own options against another, contradict each other.
A computed answer beside an open one: what either rule finds, since an open label gets no laxer by what stands beside it.
"""

import enum
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from curation.answers.comparing import Relation, compare, named_options
from curation.answers.final import final_answer, is_worked
from curation.answers.kinds import AnswerType, answer_type, tokens
from curation.answers.lists import items_of
from curation.answers.polarity import polarity_of
from curation.answers.wording import said

MAX_CHARS = 200  # of an answer that is compared as it stands; of a longer one only the final answer that it works out
WORKED_CHARS = 4000  # of a solution that is searched for its final answer
ANSWERS_COMPARED = 32  # classes of one question; what equals none of so many is one more, together
_COORDINATES = 3  # numbers in a list that may be a place in the picture, which nobody marks twice in the same way
_WHAT = r'(?:image|picture|photo(?:graph)?|scene|figure|screenshot|drawing|painting|illustration|video|visual|chart|diagram)'
_MANY = re.compile(  # questions that have many right answers
    r'\b(?:descri(?:be|ption)|caption|explain|explanation|elaborate|summari[sz]e|summary|narrat\w*|story|stories|poem|essay|write|compose|compos|invent|'
    r'create|generate|come up with|imagine|suggest\w*|recommend\w*|brainstorm|mention|provide|list|paraphrase|rephrase|rewrite|translate|'
    r'why|how come|reasons?|might|may|could|would|should|likely|possibl[ey]|probably|perhaps|infer\w*|guess|think|feel\w*|'
    r'opinion|what else|anything|something|an? example|examples|some of|any of the|what are some|tell (?:me|us) about|'
    r'(?:give|name|identify|find|pick|choose|mention|point out|spot) (?:me |us )?(?:an?|one|some|any|two|three|four|five|several|a few)|'
    rf'what (?:do|can|could) (?:you|we|one|be) (?:see|seen|notice|observe|spot|find)\w*|'
    rf"what(?:'s| is| are| can be| things are| objects are)? ?"
    rf'(?:there|shown|seen|visible|depicted|happening|going on|displayed|present|pictured)? ?(?:in|on|inside|within) (?:the|this) {_WHAT}|'
    rf'what does (?:the|this) {_WHAT} (?:show|depict|display|contain|represent))\b|'
    r'描述|说明|說明|解释|解釋|为什么|為什麼|なぜ|説明', re.IGNORECASE)  # fmt: skip


class Stand(enum.StrEnum):
    """How two answers to one question stand to each other."""

    SAME = 'same'
    CONFLICT = 'conflict'
    UNTOLD = 'cannot tell'


def stand(question: str, one: str, other: str, *, exact: tuple[bool, bool]) -> Stand:
    """Return whether two answers, each computed or not, say the same, cannot both be right, or neither can be told."""
    a, b = said_at_last(one), said_at_last(other)
    if said(a) == said(b):
        return Stand.SAME
    relation = _relation(a, b, question)
    if relation is Relation.EQUAL:
        return Stand.SAME
    if any(exact) and relation is Relation.DIFFERS or not all(exact) and _opposed(question, a, b, relation):
        return Stand.CONFLICT
    return Stand.UNTOLD


def _opposed(question: str, a: str, b: str, relation: Relation) -> bool:
    """Return whether two open answers cannot both be right."""
    if has_many_answers(question):
        return relation is Relation.DIFFERS and _decides(question, a, b)
    if _is_place(a) and _is_place(b):
        return False
    return relation is Relation.DIFFERS or _is_short(a, question) and _is_short(b, question) and not _one_holds_the_other(a, b)


def _relation(a: str, b: str, question: str) -> Relation:
    """Return what either of two answers says of the other, read as the right one; where they say equal and different, nobody can tell."""
    told = {compare(a, b, question=question)[0], compare(b, a, question=question)[0]} - {Relation.UNTOLD}
    return told.pop() if len(told) == 1 else Relation.UNTOLD


def has_many_answers(question: str) -> bool:
    """Return whether a question asks for a description, a list, an example, a reason or a guess, or for nothing in words."""
    return not re.search(r'\w', question) or _MANY.search(question) is not None


def is_compared(answer: str) -> bool:
    """Return whether an answer is short enough, or works out a final answer, so that another could contradict it."""
    return 0 < len(answer.strip()) <= MAX_CHARS or len(answer) <= WORKED_CHARS and is_worked(answer)


@lru_cache(maxsize=16_384)
def said_at_last(answer: str) -> str:
    """Return the final answer of a worked solution, any other answer as it is."""
    final = final_answer(answer) if len(answer) <= WORKED_CHARS and is_worked(answer) else None
    return final.value if final and not final.others else answer


@dataclass(frozen=True, slots=True)
class Class:
    """Answers to one question that say the same: the most frequent of them, how many give it, and which other classes contradict it."""

    answer: str
    votes: int
    against: tuple[int, ...]
    wins: bool  # more than half of the votes of answers that are contradicted; where some are computed, of these alone

    @property
    def contradicted(self) -> bool:
        """Return whether another class cannot be right beside this one."""
        return bool(self.against)


def classes(question: str, answers: Sequence[str], *, exact: Sequence[bool]) -> tuple[list[Class], list[int]]:
    """Return the classes of some answers to one question, most votes first, and of which class each answer is. Each answer is one vote.

    exact: of each answer whether it is computed; a class is if one of its answers is.
    """
    votes = Counter(answers)
    heads: list[str] = []
    class_of: dict[str, int] = {}
    for answer in sorted(votes, key=lambda text: (-votes[text], text)):
        same = next((at for at, head in enumerate(heads) if stand(question, head, answer, exact=(True, True)) is Stand.SAME), None)
        if same is None and len(heads) <= ANSWERS_COMPARED:
            heads.append(answer)
        class_of[answer] = len(heads) - 1 if same is None else same
    numbers = [class_of[answer] for answer in answers]
    computed = [False] * len(heads)
    for number, is_exact in zip(numbers, exact, strict=True):
        computed[number] |= is_exact
    against = [tuple(j for j, other in enumerate(heads) if stand(question, head, other, exact=(computed[i], computed[j])) is Stand.CONFLICT)
               for i, head in enumerate(heads)]  # fmt: skip
    counted = Counter(number for number, is_exact in zip(numbers, exact, strict=True) if against[number] and is_exact)
    counted = counted or Counter(number for number in numbers if against[number])
    of_class, most = Counter(numbers), counted.total()
    return [Class(head, of_class[at], against[at], 2 * counted[at] > most) for at, head in enumerate(heads)], numbers


def _decides(question: str, a: str, b: str) -> bool:
    """Return whether both say yes or no, or name one of the question's options: right whatever else may be said."""
    polar = [polarity_of(said(text)) for text in (a, b)]
    return None not in polar or bool(named_options(a, question) and named_options(b, question))


def _is_short(answer: str, question: str) -> bool:
    return '\n' not in answer.strip() and answer_type(answer, question) is not AnswerType.CAPTION


def _is_place(answer: str) -> bool:
    kind, items = items_of(answer.strip())
    numbers = items if items else tuple(re.findall(r'-?\d+(?:\.\d+)?', answer)) if re.fullmatch(r'[-\d\s.,;:()\[\]{}<>xywh="\']+', answer) else ()
    return len(numbers) >= (_COORDINATES - bool(kind)) and all(re.fullmatch(r'[(\[{]?-?\d*\.?\d+[)\]}]?', item.strip()) for item in numbers)


def _one_holds_the_other(a: str, b: str) -> bool:
    """Return whether the words of one answer stand in the other: "dog" and "brown dog" may both be right."""
    one, other = set(tokens(a)), set(tokens(b))
    return bool(one and other) and (one <= other or other <= one)
