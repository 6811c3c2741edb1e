"""A score.json as `phantom eval` writes it, read again: what is not one, or no longer one, is refused in one message."""

import json
import math
import reprlib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from model.evaluation.rules import BENCHES
from schemas.errors import UserError

Count = Annotated[int, Field(ge=0)]


class Part(BaseModel):
    """Fields of score.json that results are told from; others stand beside them."""

    model_config = ConfigDict(extra='allow', strict=True, allow_inf_nan=False)


class Answered(Part):
    """A server and the replies that it gave."""

    served_by: str
    replies: Count


class Served(Part):
    """The served model that was asked."""

    model: str
    answered: list[Answered]


class Judge(Part):
    """The judging model; an older version names its server alone."""

    model: str
    revision: str | None = None
    answered: list[Answered] = []
    not_asked: str = ''
    server: str = ''
    version: str | None = None


class Sample(Part):
    """What --samples drew."""

    items: Count
    of: Count
    seed: int


class Score(Part):
    """A whole score.json. What is not there has a default, what is there must be of its type: no null stands for absence."""

    bench: str
    items: Count
    score: float | None = None
    checkpoint: str | None = None
    intervals: dict[str, tuple[float, float]] = {}
    sample: Sample = None  # type: ignore[assignment]
    only_first: Count = 0
    empty: Count = 0
    missing: list[str] = []
    failed: dict[str, Count] = {}
    served: Served = None  # type: ignore[assignment]
    judge: Judge = None  # type: ignore[assignment]
    unread: Count = 0
    unread_as: str = ''
    unread_but_said: dict[str, Count] = {}
    bounds: dict[str, float | None] = {}
    pending: Count = 0

    @property
    def metric(self) -> str:
        """The name of the figure that Phantom's released evaluation prints."""
        return BENCHES[self.bench].as_released if self.bench in BENCHES else 'score'

    @model_validator(mode='after')
    def refuse_words_for_figures(self) -> 'Score':
        """Raises ValueError for a figure that is no number."""
        for name, value in (self.model_extra or {}).items():
            infinite = isinstance(value, float) and not math.isfinite(value)
            if infinite or (name == self.metric and type(value) not in (int, float)):
                raise ValueError(f'{name}: expected a finite number, found {reprlib.repr(value)}')
        return self


def read_score(path: Path) -> dict[str, Any]:
    """What a score.json says, its form checked; raises UserError for anything else, and OSError of the disk."""
    try:
        return read_object(path.read_text('utf-8'), Score)
    except (ValueError, RecursionError) as e:
        raise UserError(f'{path}: expected the results of `phantom eval`, found: {e}; evaluate again, or move the file away') from e


def read_object(text: str, form: type[Part]) -> dict[str, Any]:
    """A JSON object that has this form; raises ValueError with its first fault, and RecursionError."""
    try:
        form.model_validate_json(text)
    except ValidationError as e:
        raise ValueError(told(e.errors(include_url=False)[0])) from e
    return json.loads(text)


def told(fault: ErrorDetails) -> str:
    """The place and the fault, and what stands there where that is short."""
    place = '.'.join(map(str, fault['loc']))
    message = fault['msg'].removeprefix('Value error, ')
    shown = f', found {reprlib.repr(fault["input"])}' if place and fault['type'] != 'missing' else ''
    return f'{place}: {message}{shown}' if place else message
