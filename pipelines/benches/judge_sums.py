"""How each judged benchmark sums up what the judge said, as its own code does; sources in judge_rules.py."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import mean
from typing import Any

TEXT_ONLY = 'Text Only'  # MathVerse's version without a picture; not part of its overall accuracy


@dataclass(frozen=True, slots=True)
class Judged:
    """One item with what the judge made of its reply."""

    item: dict  # item_id, question, options, answer, meta
    reply: str
    found: Any  # the extracted answer, the grade, or both marks; None where there is none
    score: float  # 0 to 1; LLaVA-W: mark over the reference's mark
    said: str | None = None  # what the judge wrote last, where that could not be read


def share(judged: Sequence[Judged]) -> float:
    """Return 100 times the mean score."""
    return 100 * mean(item.score for item in judged)


def grouped(judged: Sequence[Judged], names: Callable[[dict], Sequence[str]]) -> dict[str, list[Judged]]:
    """Return items by each of their names, sorted by name."""
    groups: dict[str, list[Judged]] = {}
    for item in judged:
        for name in names(item.item['meta']):
            groups.setdefault(str(name), []).append(item)
    return dict(sorted(groups.items()))


def mathvista_metrics(judged: Sequence[Judged]) -> dict[str, float]:
    """Return accuracy, and that of each task and skill."""
    parts = {
        **grouped(judged, lambda meta: [f'task/{meta["metadata"]["task"]}'] if 'task' in (meta.get('metadata') or {}) else []),
        **grouped(judged, lambda meta: [f'skill/{skill}' for skill in (meta.get('metadata') or {}).get('skills', [])]),
    }
    return {'score': share(judged), **{name: share(group) for name, group in parts.items()}}


def mathverse_metrics(judged: Sequence[Judged]) -> dict[str, float]:
    """Return the mean accuracy of the versions with a picture, that of all items, and that of each version.

    MathVerse's code sums over testmini, which holds those versions (3,940 rows on huggingface.co/datasets/AI4Math/MathVerse), the text-only one
    being a file of its own; Phantom's eval/utils.py sums over the rows of all six.
    """
    versions = {name: share(group) for name, group in grouped(judged, lambda meta: [meta.get('problem_version', '')]).items()}
    seen = [value for name, value in versions.items() if name.replace('_', ' ') != TEXT_ONLY]
    parts = {f'version/{name}': value for name, value in versions.items()}
    return {'score': mean(seen or versions.values()), 'every item': share(judged), **parts}


def mm_vet_metrics(judged: Sequence[Judged]) -> dict[str, float]:
    """Return the mean grade in percent, of all items and of those that need each capability."""
    parts = grouped(judged, lambda meta: meta.get('capability') or [])
    return {'score': share(judged), **{f'capability/{name}': share(group) for name, group in parts.items()}}


def llava_w_metrics(judged: Sequence[Judged]) -> dict[str, float]:
    """Return our marks over the reference's in percent, of all items and of each category; unread items count in neither sum."""
    parts = {'score': list(judged), **{f'category/{name}': group for name, group in grouped(judged, lambda meta: [meta['category']]).items()}}
    return {name: value for name, group in parts.items() if (value := ratio(group)) is not None}


def ratio(judged: Sequence[Judged]) -> float | None:
    """Return the sum of our marks over the sum of the reference's, in percent; None where no marks were read."""
    marks = [item.found for item in judged if item.found]
    return 100 * sum(ours for _, ours in marks) / sum(reference for reference, _ in marks) if marks else None


def bounds(judged: Sequence[Judged], metrics: Callable[[Sequence[Judged]], dict[str, float]]) -> dict[str, Any]:
    """Return {'bounds': the score with every unread item worth nothing, and with those items left out}; {} where all were read.

    LLaVA-W's unread items earn nothing then against the mean mark of the reference.
    """
    read = [item for item in judged if item.said is None]
    if len(read) == len(judged):
        return {}
    marks = [item.found[0] for item in read if isinstance(item.found, tuple)]
    nothing = (mean(marks), 0.0) if marks else None
    as_0 = metrics([replace(item, found=nothing, score=0.0) if item.said is not None else item for item in judged]).get('score')
    return {'bounds': {'unread_as_0': as_0, 'unread_left_out': metrics(read).get('score') if read else None}}
