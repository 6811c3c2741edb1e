"""The account of a start: every tensor of a folder and every weight of the model is loaded, new, tied, left out, or refused."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from model.phantom.layouts import Source
from model.phantom.stored import Stored
from schemas.errors import UserError

# Parameter names that a backbone without Phantom does not have (substrings).
PHANTOM_PARTS = ('xattn_', 'gating_phantom', 'eta_phantom')
# Tables that older programmes saved and that are computed from the configuration (endings).
COMPUTED = ('.rotary_emb.inv_freq', '.embeddings.position_ids', '.embeddings.position_ids.weight')
SHOWN_KEYS = 20  # of a list of wrong keys


@dataclass(frozen=True, slots=True)
class Account:
    """Where the weights of a model come from. Loaded and left out make all tensors of the folder; loaded, new and tied all weights."""

    stored: Stored
    loaded: dict[str, Source]  # our name -> the tensors of the folder
    new: tuple[str, ...]  # weights that the folder does not have and that start at random (a learnable eta at its constant)
    tied: tuple[str, ...]  # the head, where it shares the embedding's weight
    left_out: tuple[str, ...]  # of the folder: tables that are computed; Phantom's parts where they are off

    def lines(self) -> list[str]:
        """What came of every tensor, for people."""
        types = sorted({self.stored.types[name] for name in self.stored.shapes})
        told = [f'{self.stored.folder}: {len(self.stored.shapes):,} tensors in {", ".join(types) or "no file"}']
        joined = sum(len(source.names) > 1 for source in self.loaded.values())
        taken = sum(len(source.names) for source in self.loaded.values())
        told.append(f'loaded: {taken:,} tensors as {len(self.loaded):,} weights' + by_part(self.loaded))
        if joined:
            told.append(f'joined: {joined:,} of these weights, of query, key and value')
        told.append(f'new: {len(self.new):,} weights' + by_part(self.new))
        if self.tied:
            told.append(f'tied to the embedding: {", ".join(self.tied)}')
        told.append(f'left out: {len(self.left_out):,} tensors' + by_part(self.left_out))
        return told

    def line(self) -> str:
        """The same in a line; what is refused never becomes an account."""
        taken = sum(len(source.names) for source in self.loaded.values())
        told = [f'{taken:,} of {len(self.stored.shapes):,} tensors loaded as {len(self.loaded):,} weights']
        told += [f'{len(self.new):,} new{by_part(self.new)}']
        told += [f'{len(self.tied):,} tied to the embedding'] if self.tied else []
        told += [f'{len(self.left_out):,} tensors left out{by_part(self.left_out)}'] if self.left_out else []
        return f'{self.stored.folder}: {", ".join(told)}, none refused'


def make_account(
    stored: Stored, found: dict[str, Source], wanted: dict[str, tuple[int, ...]], *, fresh: bool, phantom: bool, tied: Iterable[str] = ()
) -> Account:
    """The account of a folder whose tensors make `found`, for a model with weights of the shapes `wanted`.

    fresh: weights of Phantom may be new, if all of them are. phantom: whether the model has them. Raises a UserError that lists
    missing (but for a learnable eta), unknown and misshapen weights.
    """
    missing = {name for name in wanted if name not in found}
    tied = tuple(sorted(missing.intersection(tied)))
    missing -= {*tied}
    parts = {name for name in wanted if any(part in name for part in PHANTOM_PARTS[:2])}
    # A checkpoint that lacks only some phantom parts is damaged, not a backbone.
    new = {name for name in missing if 'eta_phantom' in name} | (parts if fresh and parts <= missing else set())
    unknown = found.keys() - wanted.keys()
    left_out = {name for name in unknown if name.endswith(COMPUTED)}
    if not phantom:
        left_out |= {name for name in unknown if any(part in name for part in PHANTOM_PARTS)}
    shapes = {name: found[name].shape(stored.shapes) for name in found.keys() & wanted.keys()}
    wrong = {f'{name} ({shapes[name]} for {wanted[name]})' for name in shapes if shapes[name] != wanted[name]}
    refuse(stored, {'missing': missing - new, 'unknown': unknown - left_out, 'misshapen': wrong})
    loaded = {name: found[name] for name in wanted if name in found}
    return Account(stored, loaded, tuple(sorted(new)), tied, tuple(sorted(left_out)))


def refuse(stored: Stored, faults: dict[str, set[str]]) -> None:
    """Raises a UserError that lists the faults, if there are any."""
    told = [
        f'{kind} {len(keys)} weights: {", ".join(sorted(keys)[:SHOWN_KEYS])}{" ..." if len(keys) > SHOWN_KEYS else ""}'
        for kind, keys in faults.items()
        if keys
    ]
    if told:
        raise UserError(f'weights {stored.folder}: expected a Phantom checkpoint, found {"; ".join(told)}')


def by_part(names: Iterable[str]) -> str:
    """How many of each part of the model, in brackets; nothing of nothing."""
    counts = Counter(part_of(name) for name in names)
    return f' ({", ".join(f"{part} {count:,}" for part, count in sorted(counts.items()))})' if counts else ''


def part_of(name: str) -> str:
    """The part of the model that a weight belongs to, for people."""
    for part in PHANTOM_PARTS:
        if part in name:
            return 'eta' if part == 'eta_phantom' else 'phantom attention' if part == 'xattn_' else 'phantom gates'
    return {'vision_model': 'encoder', 'vision_proj': 'projector', 'language_model': 'decoder'}.get(name.partition('.')[0], name.partition('.')[0])
