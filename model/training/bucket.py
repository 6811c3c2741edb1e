"""Rows to micro-batches: bucketed by length with as little padding as can be, or to packs of about equal length."""

from collections.abc import Sequence

from model.training.branches import EncodedRow


def split_micro(rows: Sequence[EncodedRow], count: int, *, most: int) -> list[list[EncodedRow]]:
    """`count` micro-batches, some perhaps empty, of rows of like length: those with the fewest positions in all.

    None computes more positions than `most` rows of the widest, so that a long row sits alone and short ones together.
    """
    ordered = sorted(rows, key=lambda row: (-len(row), row.row))
    limit = most * (positions(ordered) // len(ordered)) if ordered else 0
    # Ends of the micro-batches so far -> by the number of rows they hold, the cheapest.
    best: dict[int, tuple[int, tuple[int, ...]]] = {0: (0, ())}
    costs = {start: chunk_costs(ordered[start:], limit) for start in range(len(ordered) + 1)}
    for _ in range(count):
        grown: dict[int, tuple[int, tuple[int, ...]]] = {}
        for start, (spent, ends) in best.items():
            for size, cost in enumerate(costs[start]):
                stop = start + size
                if stop not in grown or spent + cost < grown[stop][0]:
                    grown[stop] = (spent + cost, (*ends, stop))
        best = grown
    ends = best[len(ordered)][1]
    return [ordered[start:stop] for start, stop in zip((0, *ends), ends, strict=False)]


def split_packs(rows: Sequence[EncodedRow], count: int) -> list[list[EncodedRow]]:
    """`count` packs, some perhaps empty, of about equal length: longest row first, each to the shortest pack so far.

    No pack is longer than their mean by more than the widest row.
    """
    packs: list[list[EncodedRow]] = [[] for _ in range(count)]
    lengths = [0] * count
    for row in sorted(rows, key=lambda row: (-len(row), row.row)):
        place = lengths.index(min(lengths))
        packs[place].append(row)
        lengths[place] += len(row)
    return packs


def chunk_costs(rows: Sequence[EncodedRow], limit: int) -> list[int]:
    """Positions of the first 0, 1, 2 ... rows as one micro-batch, as far as they are within the limit."""
    widths, costs = [0] * 3, [0]
    for row in rows:
        widths = [max(pair) for pair in zip(widths, sizes(row), strict=True)]
        if sum(widths) * len(costs) > limit:
            break
        costs.append(sum(widths) * len(costs))
    return costs


def positions(rows: Sequence[EncodedRow]) -> int:
    """What a batch of these rows computes: prompts and each side's answers padded to the widest."""
    return len(rows) * sum(max(widths) for widths in zip(*map(sizes, rows), strict=True))


def sizes(row: EncodedRow) -> tuple[int, int, int]:
    """Tokens of the prompt, the chosen answer and the rejected one."""
    answers = [len(answer) for answer in row.answers]
    return len(row.prompt), answers[0], answers[1] if len(answers) > 1 else 0
