"""How probable a model finds the answer of a row among what else could have been the answer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from model.phantom.modeling import PhantomForConditionalGeneration
from model.phantom.processor import PhantomProcessor
from model.rating.alternatives import Alternatives
from model.training.branches import EncodedRow, branch_logps, collate
from model.training.data import Drop, RowFilter, encode_row
from model.training.validation import MAX_NEW_TOKENS, ROOM

ROWS_AT_ONCE = 64
TOKENS_AT_ONCE = 16_384  # of a batch, padding counted
ANSWER_TOKENS = 1024  # of one row's answers together: of long ones fewer alternatives are held against it, at least one


@dataclass(frozen=True, slots=True)
class Asked:
    """A row with its answer and the alternatives as ids."""

    row: dict
    encoded: EncodedRow
    alternatives: Alternatives


@dataclass(frozen=True, slots=True)
class Rater:
    """A model that rates, as it is run."""

    model: PhantomForConditionalGeneration
    processor: PhantomProcessor
    device: torch.device
    half: bool = False  # bfloat16 arithmetic

    def chances(self, asked: Sequence[Asked]) -> list[list[float]]:
        """Of each row the probabilities of its own answer, then of each alternative: shares of what the model gives to these answers, as wholes."""
        processor, most = self.processor, max(len(one.encoded.answers) for one in asked)
        end = tuple(processor.encode_answer([]))  # in the place of alternatives that a row has not
        rows = [EncodedRow(one.encoded.prompt, one.encoded.answers + (end,) * (most - len(one.encoded.answers)), one.encoded.tiles) for one in asked]
        batch = collate(rows, pad_id=processor.pad_id).to(self.device)
        self.model.eval()
        with torch.no_grad(), torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half):
            logps = branch_logps(self.model, batch)
        totals = logps.double().sum(-1).cpu()
        return [shares(total[: len(one.encoded.answers)]) for total, one in zip(totals, asked, strict=True)]

    def replies(self, rows: Sequence[EncodedRow]) -> list[str]:
        """The greedy replies to the prompts of some rows, with room for a few tokens more than the longest right answer beside them."""
        processor, length = self.processor, max(len(row.prompt) for row in rows)
        ids = torch.tensor([[processor.pad_id] * (length - len(row.prompt)) + list(row.prompt) for row in rows], device=self.device)
        mask = torch.tensor([[0] * (length - len(row.prompt)) + [1] * len(row.prompt) for row in rows], device=self.device)
        tiles = [row.tiles for row in rows if row.tiles is not None]
        self.model.eval()
        with torch.no_grad(), torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.half):
            found = self.model.generate(
                ids, attention_mask=mask, pixel_values=torch.cat(tiles).to(self.device) if tiles else None,
                max_new_tokens=min(MAX_NEW_TOKENS, ROOM + max(len(row.answers[0]) for row in rows)), num_beams=1, do_sample=False,
                eos_token_id=processor.tokenizer.convert_tokens_to_ids(processor.template.turn_end), pad_token_id=processor.pad_id,
            )  # fmt: skip
        return [text.strip() for text in processor.tokenizer.batch_decode(found[:, length:], skip_special_tokens=True)]


def shares(logps: Tensor) -> list[float]:
    """Probabilities that sum up to 1, of log-probabilities float[A]."""
    return torch.softmax(logps, -1).tolist()


def ask(row: dict, processor: PhantomProcessor, alternatives: Alternatives, *, max_length: int) -> Asked | Drop:
    """A row ready to be rated, or why it is not: what the trainer leaves out (BAD_IMAGE, TOO_LONG, ...), or nothing to hold it against."""
    if not alternatives.answers:
        return Drop(row['sample_id'], 'NO_ALTERNATIVE', 'every row of its source has this answer')
    encoded = encode_row(row, processor, RowFilter(max_length=max_length, rejected=False))
    if isinstance(encoded, Drop):
        return encoded
    own = encoded.answers[0]
    room = min(max_length - len(encoded.prompt), max(ANSWER_TOKENS, 2 * len(own))) - len(own)
    kept: list[tuple[tuple[int, ...], str, int]] = []
    for text, count in zip(alternatives.answers, alternatives.counts, strict=True):
        ids = tuple(processor.encode_answer([{'role': 'assistant', 'content': [{'type': 'text', 'text': text}]}]))
        if len(ids) <= room:
            room -= len(ids)
            kept.append((ids, text, count))
    if not kept:
        return Drop(row['sample_id'], 'TOO_LONG', f'no room for another answer beside {len(encoded)} tokens of {max_length}')
    others, texts, counts = zip(*kept, strict=True)
    return Asked(row, EncodedRow(encoded.prompt, (own, *others), encoded.tiles, encoded.row), Alternatives(texts, counts))


def in_batches(asked: Sequence[Asked]) -> Iterator[list[Asked]]:
    """The rows in batches of about TOKENS_AT_ONCE."""
    batch: list[Asked] = []
    widest = 0
    for one in asked:
        widest = max(widest, len(one.encoded))
        if batch and (len(batch) >= ROWS_AT_ONCE or widest * (len(batch) + 1) > TOKENS_AT_ONCE):
            yield batch
            batch, widest = [], len(one.encoded)
        batch.append(one)
    if batch:
        yield batch
