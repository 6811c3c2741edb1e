"""Selection of the mix: a pure function of narrow arrays, one entry per sample. No pixels, no text, no model."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from curation.selection.votes import Votes, outvoted
from schemas.records import Reason

KEPT = -1
REASONS = tuple(Reason)
CODE = {reason: code for code, reason in enumerate(REASONS)}


@dataclass(frozen=True, slots=True)
class SampleKeys:
    """What selection looks at, in sample order (recipe order of sources, then file and ordinal)."""

    source: np.ndarray  # int32[N], index into the recipe's sources
    category: np.ndarray  # int32[N], index into the recipe's categories
    licence_ok: np.ndarray  # bool[N]
    bad_image: np.ndarray  # bool[N]
    contaminated: np.ndarray  # bool[N]
    content: np.ndarray  # S16[N], hash of turns and of the images' stars: equal means the same sample again
    stars: np.ndarray  # int64[M], the stars of all images, sample by sample; an image without near-duplicates is a star of its own
    n_stars: np.ndarray  # int64[N], how many of them are each sample's: 0 for text-only
    lot: np.ndarray  # uint64[N], hash of the sample id and the seed: who stays when not all can
    rated_low: tuple[tuple[Reason, np.ndarray], ...] = ()  # bool[N] of each reason: those rated below its threshold
    votes: Votes | None = None  # answers that others contradict
    text_cluster: np.ndarray | None = None  # int64[N], equal for samples of nearly the same text about the same pictures


@dataclass(frozen=True, slots=True)
class MixRules:
    """Thresholds of the selection."""

    drop_contaminated: bool
    max_per_near_duplicate: int | None
    quotas: dict[int, int]  # source index -> at most this many
    weights: dict[int, float] = field(default_factory=dict)  # source index -> its part
    total: int | None = None  # what the weights share out; None: as many as the scarcest source allows
    category_quotas: dict[int, int] = field(default_factory=dict)  # category index -> at most this many
    max_per_near_text: int = 1


def select(keys: SampleKeys, rules: MixRules) -> np.ndarray:
    """Return int16[N]: KEPT, or the index in REASONS of the first reason against the sample.

    Each rule sees only what the rules before it kept, so the order of the rules is the order of the reasons.
    """
    verdict = np.full(len(keys.source), KEPT, np.int16)
    _mark(verdict, ~keys.licence_ok, Reason.LICENCE_NOT_ALLOWED)
    _mark(verdict, keys.bad_image, Reason.BAD_IMAGE)
    if rules.drop_contaminated:
        _mark(verdict, keys.contaminated, Reason.CONTAMINATED)
    position = np.arange(len(verdict), dtype=np.uint64)
    if keys.votes is not None:  # before copies go: all of one answer share its fate
        gone = keys.votes.sample[outvoted(keys.votes, rated_out(verdict, keys))]
        _mark(verdict, np.isin(position, gone), Reason.CONTRADICTED_ANSWER)
    _mark(verdict, _rank(verdict, keys.content, position) >= 1, Reason.DUPLICATE_SAMPLE)
    for reason, low in keys.rated_low:  # after the copies: of a wrong answer none is to take its place
        _mark(verdict, low, reason)
    if keys.text_cluster is not None:
        _mark(verdict, _rank(verdict, keys.text_cluster, keys.lot) >= rules.max_per_near_text, Reason.NEAR_DUPLICATE_TEXT)
    if rules.max_per_near_duplicate is not None:
        _mark(verdict, _crowded(verdict, keys, rules.max_per_near_duplicate), Reason.NEAR_DUPLICATE_CAP)
    _bound(verdict, keys.source, keys.lot, rules.quotas)
    if rules.weights:
        available = np.bincount(keys.source[verdict == KEPT], minlength=max(rules.weights) + 1)
        _bound(verdict, keys.source, keys.lot, weighted_quotas(available.tolist(), rules.weights, rules.total))
    _bound(verdict, keys.category, keys.lot, rules.category_quotas)
    return verdict


def rated_out(verdict: np.ndarray, keys: SampleKeys) -> np.ndarray:
    """Return bool[N]: samples that will go because they, or the first of their copies that is kept so far, are rated low."""
    low = np.zeros(len(verdict), bool)
    for _, is_low in keys.rated_low:
        low |= is_low
    if not low.any():
        return low
    kept = np.flatnonzero(verdict == KEPT)
    contents, first = np.unique(keys.content[kept], return_index=True)
    return np.isin(keys.content, contents[low[kept[first]]])


def weighted_quotas(available: list[int], weights: dict[int, float], total: int | None) -> dict[int, int]:
    """Return how many of each source a weighted mix takes: `total` shared out, or as many as the scarcest source allows."""
    whole = sum(weights.values())
    if total is None:
        total = int(min(available[source] * whole / weight for source, weight in weights.items()))
    return {source: round(total * weight / whole) for source, weight in weights.items()}


def _bound(verdict: np.ndarray, group: np.ndarray, lots: np.ndarray, quotas: dict[int, int]) -> None:
    """Keep at most so many of each group, lowest lots first."""
    if quotas:
        most = np.full(int(group.max(initial=0)) + 1, np.iinfo(np.int64).max)
        for number, quota in quotas.items():
            if number < len(most):
                most[number] = quota
        _mark(verdict, _rank(verdict, group, lots) >= most[group], Reason.OVER_QUOTA)


def _crowded(verdict: np.ndarray, keys: SampleKeys, most: int) -> np.ndarray:
    """Return bool[N]: kept samples one of whose stars is shown by `most` samples of lower lots that stay.

    A sample of several pictures counts for each of its stars, once. In order of lots each stays if all its stars have room.
    """
    owner = np.repeat(np.arange(len(verdict)), keys.n_stars)
    shown = verdict[owner] == KEPT
    owner, stars = owner[shown], keys.stars[shown]
    tied = np.unique(stars[keys.n_stars[owner] > 1])  # only here does one sample's fate hang on several stars
    alone = ~np.isin(stars, tied)
    crowded = np.zeros(len(verdict), bool)
    crowded[owner[alone]] = _ranks(stars[alone], keys.lot[owner[alone]]) >= most
    owner, stars = owner[~alone], np.searchsorted(tied, stars[~alone])
    room = np.full(len(tied), most)
    samples, starts = np.unique(owner, return_index=True)
    stops = np.append(starts, len(owner))[1:]
    for at in np.argsort(keys.lot[samples], kind='stable').tolist():
        mine = np.unique(stars[starts[at] : stops[at]])
        if (room[mine] > 0).all():
            room[mine] -= 1
        else:
            crowded[samples[at]] = True
    return crowded


def _mark(verdict: np.ndarray, against: np.ndarray, reason: Reason) -> None:
    verdict[against & (verdict == KEPT)] = CODE[reason]


def _rank(verdict: np.ndarray, group: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return int64[N]: each kept sample's rank by `by` among the kept of its group; 0 for the others."""
    kept = np.flatnonzero(verdict == KEPT)
    rank = np.zeros(len(verdict), np.int64)
    rank[kept] = _ranks(group[kept], by[kept])
    return rank


def _ranks(group: np.ndarray, by: np.ndarray) -> np.ndarray:
    """Return int64[K]: the rank of each entry by `by` among those of its group."""
    order = np.lexsort((by, group))
    first = np.ones(len(order), bool)
    first[1:] = group[order[1:]] != group[order[:-1]]
    start = np.maximum.accumulate(np.where(first, np.arange(len(order)), 0))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order)) - start
    return rank


def lot(text: str) -> int:
    """Return the first 64 bits of sha256(text): the draw that decides who stays; the same on every machine."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big')


def lots(texts: Iterable[str]) -> np.ndarray:
    """Return uint64[texts]: the lot of each."""
    sha256 = hashlib.sha256
    return np.frombuffer(b''.join([sha256(text.encode()).digest()[:8] for text in texts]), '>u8').astype(np.uint64)


def share(text: str) -> float:
    """Return a number in [0, 1) that depends on `text` alone."""
    return lot(text) / 2**64
