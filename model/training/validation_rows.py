"""Which rows of a snapshot's validation split are looked at while a model trains: the same ones each time, on whatever machine."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Sequence

from model.training.data import COLUMNS, RowFilter, list_groups, read_group, shuffle_key
from model.training.settings import TrainSettings
from schemas.errors import UserError
from schemas.snapshot import Snapshot

SPLIT = 'validation'
SHORT_COLUMNS = [name for name in COLUMNS if name not in ('images', 'prompt', 'chosen', 'rejected')]  # enough to choose by


def choose_rows(snapshot: Snapshot, settings: TrainSettings) -> list[dict]:
    """At most `validation_rows` rows of the validation split that the settings keep, with their pictures; none without `validate_every`.

    By the hash of their samples, and a new question before a second wrong answer to an old one. Raises UserError where there is no such split,
    or none of its rows is kept.
    """
    if not settings.validate_every:
        return []
    wanted = RowFilter(kinds=settings.kinds, sources=settings.sources, min_score=settings.min_score)
    if not any(shard['split'] == SPLIT for shard in snapshot.manifest['shards']):
        raise UserError(
            f'validate_every: expected a {SPLIT} split in {snapshot.path}, found only train; '
            'build it with `mix: {validation_fraction: 0.05}` in the recipe, or set validate_every=0'
        )
    groups = list_groups(snapshot, SPLIT)
    triples, total = defaultdict(list), 0
    for place, group in enumerate(groups):
        for row in read_group(group, SHORT_COLUMNS):
            total += 1
            if wanted.refuse(row) is None:
                triples[row['sample_id']].append((shuffle_key(SPLIT, row['triple_id']), row['triple_id'], place))
    ranked = sorted(
        (rank, shuffle_key(SPLIT, sample), name, place) for sample, rows in triples.items() for rank, (_, name, place) in enumerate(sorted(rows))
    )[: settings.validation_rows]
    if not ranked:
        raise UserError(
            f'validate_every: expected rows of the {SPLIT} split of {snapshot.path} that `kinds` and `min_score` keep, found none of {total}; '
            'loosen these, or set validate_every=0'
        )
    order = {name: number for number, (_, _, name, _) in enumerate(ranked)}
    found = [row for place in sorted({place for *_, place in ranked}) for row in read_group(groups[place]) if row['triple_id'] in order]
    return sorted(found, key=lambda row: order[row['triple_id']])


def one_a_sample(rows: Sequence[dict]) -> list[int]:
    """The places of the first row of each sample: of each question once."""
    first: dict[str, int] = {}
    for place, row in enumerate(rows):
        first.setdefault(row['sample_id'], place)
    return list(first.values())


def name_rows(rows: Sequence[dict]) -> str:
    """Twelve hex digits that name these rows: figures of other rows are not compared with theirs."""
    return hashlib.sha256('\n'.join(row['triple_id'] for row in rows).encode()).hexdigest()[:12]


def count_reasons(reasons: Sequence[str]) -> str:
    """How often each reason, for people."""
    return ', '.join(f'{n} {reason}' for reason, n in sorted(Counter(reasons).items()))


def text_of(messages: Sequence[dict], role: str | None = None) -> str:
    """The words of messages in TRL's conversational form, those of one role if it is named."""
    return '\n'.join(part['text'] for message in messages if role in (None, message['role']) for part in message['content'] if part['text'])
