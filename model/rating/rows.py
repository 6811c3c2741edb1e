"""Rows of a mix snapshot as the trainer takes them: the last turn is the right answer, and there is no wrong one."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

import numpy as np

from model.training.data import RowGroup, list_groups, read_group, shuffle_key
from model.training.settings import Preset, TrainSettings
from model.training.validation_rows import text_of
from schemas.errors import UserError
from schemas.snapshot import Snapshot

NOT_OF_A_MIX = ('kinds', 'sources', 'min_score', 'validate_every', 'trackers')  # settings
WHOLE = ('sample_id', 'source', 'images', 'messages', 'image_ids', 'cluster_ids')
SHORT = ('sample_id', 'source', 'messages', 'image_ids', 'cluster_ids')  # without pictures


def for_mix(preset: Preset) -> Preset:
    """The preset as it trains on a mix: SFT. Raises UserError for settings that a mix has nothing for, or that would leave rows of it out."""
    settings, plain = preset.settings, TrainSettings()
    if strange := [name for name in NOT_OF_A_MIX if getattr(settings, name) != getattr(plain, name)]:
        raise UserError(f'{", ".join(strange)}: expected settings that a mix knows, found those of triples; leave them out')
    return replace(preset, settings=replace(settings, stage=2))


def all_groups(snapshot: Snapshot) -> list[RowGroup]:
    """The row groups of every split of a mix, in file order."""
    splits = dict.fromkeys(shard['split'] for shard in snapshot.manifest['shards'])
    return [group for split in splits for group in list_groups(snapshot, split)]


def read_rows(groups: Sequence[RowGroup], columns: Sequence[str] = WHOLE) -> Iterator[dict]:
    """Every row of the groups, in order, in the columns that the trainer knows; without pictures where `columns` leaves them out."""
    for group in groups:
        yield from map(as_trained, read_group(group, columns))


def as_trained(row: dict) -> dict:
    """A mix row with the columns of a triple: what stands before the last turn is the prompt, the last turn the chosen answer."""
    *prompt, answer = row['messages']
    named = {name: row[name] for name in ('sample_id', 'source', 'image_ids', 'cluster_ids')}
    return {**named, 'triple_id': row['sample_id'], 'images': row.get('images'), 'prompt': prompt, 'chosen': [answer], 'kind': '', 'score': None}


def question_of(row: dict) -> str:
    """The words of the last question."""
    return text_of(row['prompt'][-1:], 'user')


def answer_of(row: dict) -> str:
    """The words of the right answer."""
    return text_of(row['chosen'])


class Folds:
    """Which of `count` folds a row belongs to: rows whose pictures are the same, near-duplicates, or shown together lie in one.

    Rows without a picture go by what is asked. Depends on ids and texts alone, whatever the order of the rows. Holds a name for each star.
    """

    def __init__(self, count: int):
        self.count, self._above = count, dict[str, str]()

    def add(self, row: dict) -> None:
        """Takes a row's stars for one group, joined with the groups that they were in."""
        first, *others = self.names(row)
        for other in others:
            low, high = sorted((self._root(first), self._root(other)))
            if low != high:
                self._above[high] = low

    def group(self, row: dict) -> str:
        """The name of a row's group, once all rows were added."""
        return self._root(self.names(row)[0])

    def fold(self, row: dict) -> int:
        """The number of a row's fold, from 0."""
        return int(np.frombuffer(shuffle_key('fold', self.group(row))[:8], '<u8')[0] % self.count)

    def names(self, row: dict) -> list[str]:
        """What a row shows: its stars, or without pictures its question."""
        if row['cluster_ids']:
            return row['cluster_ids']
        asked = ' '.join(text_of(row['prompt']).casefold().split())
        return [f'text/{hashlib.sha256(asked.encode()).hexdigest()}']

    def _root(self, name: str) -> str:
        while (above := self._above.get(name, name)) != name:
            name = above
        return name


def endless_rows(
    groups: Sequence[RowGroup], folds: Folds, out: int | None, without: Collection[str] = (), *, seed: int, window: int
) -> Iterator[dict]:
    """Rows of all folds but `out` (None: of all) and but the samples `without`, epoch after epoch: groups shuffled over the whole mix, rows within
    windows of `window` groups.

    Raises UserError where there is no such row.
    """
    epoch = 0
    while True:
        order = sorted(groups, key=lambda group: shuffle_key(seed, epoch, group.shard.name, group.index))
        found = 0
        for start in range(0, len(order), window):
            rows = [row for row in read_rows(order[start : start + window]) if folds.fold(row) != out and row['sample_id'] not in without]
            rows.sort(key=lambda row: shuffle_key(seed, epoch, row['triple_id']))
            found += len(rows)
            yield from rows
        if not found:
            doubted = f' beside {len(without):,} that were doubted: take --rounds 1' if without else ': build it with more input'
            raise UserError(f'mix: expected rows to train on, found none{doubted}')
        epoch += 1
