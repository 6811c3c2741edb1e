"""Planted cases for ratings: answers and pictures of a source put where they are wrong, beside those that it came with."""

from collections.abc import Sequence
from dataclasses import dataclass

from curation.answers.kinds import answer_type
from curation.negatives.distractors import distractor, may_be_right
from curation.negatives.numbers import other_digits
from curation.texts.textmatch import loose
from schemas.rating import ANSWERS_QUESTION, CORRECT, NEEDS_PICTURE, WELL_FORMED

OWN, OTHER, PICTURE, NUMBER, ELSEWHERE, BROKEN = 'own', 'other answer', 'other picture', 'other number', 'other question', 'broken'
NEIGHBOURS = 64  # other samples that an answer or a picture may come from
PLANTS = {  # what each question should tell from a source's own answers
    CORRECT: (OTHER, PICTURE, NUMBER), NEEDS_PICTURE: (PICTURE,), ANSWERS_QUESTION: (ELSEWHERE,), WELL_FORMED: (BROKEN,),
}  # fmt: skip
WORDS_TO_BREAK = 4


@dataclass(frozen=True, slots=True)
class Own:
    """A sample as its source has it: its last question and answer, and how many pictures it shows."""

    sample_id: str
    question: str
    answer: str
    image_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plant:
    """One case: for a question, whether it is the sample's own (good), else what was changed: the answer, or the sample whose pictures are shown."""

    sample_id: str
    ask: str
    plant: str
    answer: str
    pictures_of: str

    @property
    def case_id(self) -> str:
        """Its name."""
        return f'{self.sample_id}!{self.ask}!{self.plant}'

    @property
    def good(self) -> bool:
        """Whether it should be rated high; a source's own answers may be wrong, too."""
        return self.plant == OWN


def plants_of(samples: Sequence[Own], asks: Sequence[str], *, most: int) -> list[Plant]:
    """Return the planted cases of one source for those of `asks` that can be measured, from its samples in order: `most` a question, or few more."""
    found: list[Plant] = []
    for ask in (ask for ask in asks if ask in PLANTS):
        n = 0
        for at, own in enumerate(samples):
            if n >= most:
                break
            others = [*samples[at + 1 : at + 1 + NEIGHBOURS], *samples[: max(0, at + 1 + NEIGHBOURS - len(samples))]][:NEIGHBOURS]
            wrong = [case for plant in PLANTS[ask] if (case := _planted(own, ask, plant, [o for o in others if o is not own]))]
            if wrong:
                found += [Plant(own.sample_id, ask, OWN, own.answer, own.sample_id), *wrong]
                n += 1 + len(wrong)
    return found


def _planted(own: Own, ask: str, plant: str, others: Sequence[Own]) -> Plant | None:
    """Return a case with one thing put wrong, None where nothing fits."""
    if plant == PICTURE:
        other = _other_picture(own, others)
        return Plant(own.sample_id, ask, plant, own.answer, other.sample_id) if other else None
    answer = _other_answer(own, plant, [other.answer for other in others])
    return Plant(own.sample_id, ask, plant, answer, own.sample_id) if answer and answer.strip() != own.answer.strip() else None


def _other_picture(own: Own, others: Sequence[Own]) -> Own | None:
    """Return the sample whose pictures are to be shown: of another answer, asked alike if there is one, else anything."""
    fitting = [other for other in others if own.image_ids and len(other.image_ids) == len(own.image_ids)
               and not set(other.image_ids) & set(own.image_ids) and not may_be_right(own.answer, other.answer)]
    alike = [other for other in fitting if loose(other.question) == loose(own.question)]
    return next(iter(alike or fitting), None)


def _other_answer(own: Own, plant: str, pool: list[str]) -> str | None:
    if plant == OTHER:
        return distractor(own.sample_id, own.question, own.answer, pool)
    if plant == NUMBER:
        return other_digits(own.sample_id, own.answer, own.answer, pool)
    if plant == ELSEWHERE:
        kind = answer_type(own.answer, own.question)
        return next((text for text in pool if answer_type(text, '') != kind and not may_be_right(own.answer, text)), None)
    words = own.answer.split()
    if len(words) < WORDS_TO_BREAK:
        return None
    half = ' '.join(words[: len(words) // 2])
    return f'{half} {half} {half[: len(half) // 2]}'
