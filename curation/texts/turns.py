"""The turns of a row as one text in signed form: where another text stands in it, and what answers there."""

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate

from curation.texts.signs import signed

PLACES = 64  # of one text in a row that are looked at


class Row:
    """Turns (role, text) read as one text: what begins in one turn may end in the next."""

    def __init__(self, turns: Sequence[dict]) -> None:
        of_turns = [signed(turn['text']) for turn in turns]
        self.signed = [unit for of_turn in of_turns for unit in of_turn]
        self.last = of_turns[-1]
        self._roles = [turn['role'] for turn in turns]
        self._ends = list(accumulate(len(of_turn) for of_turn in of_turns))
        self._runs: dict[int, dict[tuple[str, ...], list[int]]] = {}

    def find(self, other: list[str]) -> list[int]:
        """Return behind which units another text ends where it stands word for word and sign for sign."""
        sought = joined(other)
        found: list[int] = []
        at = self._text.find(sought)
        while at >= 0 and len(found) < PLACES:
            found.append(self._text.count(' ', 0, at) + len(other))
            at = self._text.find(sought, at + 1)
        return found

    def share(self, other: list[str], n: int) -> float:
        """Return the share of another text's runs of n units that stand here; fewer than n units are one run."""
        runs = self._runs_of(other, n)
        return len(runs & self._held(min(n, len(other))).keys()) / len(runs) if runs else 0.0

    def ends(self, other: list[str], n: int) -> list[int]:
        """Return behind which units runs of another text end, the last such one of each turn."""
        size = min(n, len(other))
        held = self._held(size)
        last = {self.turn(at): at + size for at in sorted(at for run in self._runs_of(other, n) for at in held.get(run, ()))}
        return list(last.values())

    def turn(self, at: int) -> int:
        """Return in which turn a unit stands."""
        return min(bisect_right(self._ends, at), len(self._ends) - 1)

    def behind(self, end: int) -> list[str]:
        """Return what follows a question that ends there: the rest of its turn, and all up to the end of its answer where that is another turn."""
        return self.signed[end : self._ends[answer_to(self._roles, self.turn(end - 1))]]

    @cached_property
    def _text(self) -> str:
        return joined(self.signed)

    def _held(self, size: int) -> dict[tuple[str, ...], list[int]]:
        if size not in self._runs:
            held: dict[tuple[str, ...], list[int]] = {}
            for at in range(len(self.signed) - size + 1):
                held.setdefault(tuple(self.signed[at : at + size]), []).append(at)
            self._runs[size] = held
        return self._runs[size]

    @staticmethod
    def _runs_of(other: list[str], n: int) -> set[tuple[str, ...]]:
        size = min(n, len(other))
        return {tuple(other[at : at + size]) for at in range(len(other) - size + 1)} if size else set()


def joined(of_text: list[str]) -> str:
    """Return units as a text in which whole units can be looked for."""
    return f' {" ".join(of_text)} '


def answer_to(roles: Sequence[str], turn: int) -> int:
    """Return the turn that answers a turn: itself where it is an answer, else the next one that is."""
    return next((at for at in range(turn, len(roles)) if roles[at] == 'assistant'), len(roles) - 1)
