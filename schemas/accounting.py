"""In = kept + rejected, per unit and source: the books of a build, folded from the counts its steps wrote."""

from collections import Counter
from dataclasses import dataclass, field

from schemas.records import Unit

IGNORED_FIELDS = 100  # of a source that are counted by name: those that come first; so the same whichever shards counted them
OTHER_FIELDS = '(other fields)'


@dataclass(frozen=True, slots=True)
class Line:
    """One unit of one source: how many came in, how many were kept, and how many were rejected for each reason."""

    unit: str
    source: str
    n_in: int
    kept: int
    rejected: dict[str, int]
    ignored: dict[str, int] = field(default_factory=dict)  # fields that no reader reads, and of how many units that are kept

    @property
    def balanced(self) -> bool:
        """Return whether nothing was lost and nothing counted twice."""
        return self.n_in == self.kept + sum(self.rejected.values())


def fold(counts: list[dict[str, int]]) -> list[Line]:
    """Return one line per unit and source, in the order of Unit then source; other keys are ignored."""
    total: Counter = Counter()
    for some in counts:
        total.update(some)
    lines: dict[tuple[str, str], dict] = {}
    for key, n in sorted(total.items()):
        what, _, rest = key.partition('/')
        if what not in ('in', 'kept', 'rejected', 'ignored'):
            continue
        unit, source, *named = rest.split('/', 2)
        line = lines.setdefault((unit, source), {'in': 0, 'kept': 0, 'rejected': {}, 'ignored': {}})
        if named:
            line[what][named[0]] = n
        else:
            line[what] = n
    units = [str(unit) for unit in Unit]
    order = sorted(lines, key=lambda key: (units.index(key[0]), key[1]))
    found = [(unit, source, lines[unit, source]) for unit, source in order]
    return [Line(unit, source, line['in'], line['kept'], line['rejected'], _bounded(line['ignored'])) for unit, source, line in found]


def _bounded(ignored: dict[str, int]) -> dict[str, int]:
    """Return the counts of the fields that come first by name, and of all others together."""
    names = sorted(ignored.keys() - {OTHER_FIELDS})[:IGNORED_FIELDS]
    others = sum(ignored.values()) - sum(ignored[name] for name in names)
    return {name: ignored[name] for name in names} | ({OTHER_FIELDS: others} if others else {})


def unbalanced(lines: list[Line]) -> list[str]:
    """Return a sentence for each line that does not add up."""
    return [f'{line.unit} of {line.source}: {line.n_in} in, but {line.kept} kept + {sum(line.rejected.values())} rejected'
            for line in lines if not line.balanced]
