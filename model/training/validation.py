"""Figures of a model on rows that it is not trained on, and its replies to them; nothing that training goes on from is touched."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor

from model.training.branches import EncodedRow, branch_logps, collate
from model.training.data import Drop, RowFilter, encode_row
from model.training.losses import po_terms
from model.training.stepper import Stepper
from model.training.trackers import Generation
from model.training.validation_rows import count_reasons, one_a_sample, text_of
from schemas.errors import UserError

SHOWN = 8  # questions whose replies are kept to be looked at
AT_ONCE = 4  # micro-batches whose rows are looked at together: without gradients they need less room
MAX_NEW_TOKENS = 128  # of a reply
ROOM = 16  # tokens that a reply may be longer than the longest right answer beside it
SameAnswer = Callable[[str, str, str], bool]  # right answer, reply, question -> do both answers say the same?


def same_words(chosen: str, reply: str, question: str) -> bool:
    """Whether both answers are the same words, whatever their case, spaces and end mark."""
    first, second = (' '.join(text.split()).casefold().rstrip('.') for text in (chosen, reply))
    return first == second


def validate(stepper: Stepper, rows: Sequence[dict], same: SameAnswer) -> tuple[dict[str, Any], list[Generation]]:
    """Figures over `rows` (loss, sft, po, margin, accuracy, exact_match, rows, left_out), and the replies to the first questions.

    loss: as the run trains it. accuracy: share of rows whose chosen answer is likelier a token than the rejected one. exact_match: share of
    questions, each asked once, whose greedy reply `same` finds right; None where weights are spread over processes, which cannot reply.
    Every process must call this, and each gets the figures of all.
    """
    with looking(stepper):
        return score(stepper, rows, same)


@contextmanager
def looking(stepper: Stepper) -> Iterator[None]:
    """Around what only looks at the model: no gradients, no dropout, no compiling of new shapes, and random numbers go on as before."""
    device = stepper.processes.device
    stance = torch.compiler.set_stance('force_eager') if stepper.settings.compile else nullcontext()
    stepper.model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[device] if device.type == 'cuda' else []), stepper.autocast(), stance:
            yield
    finally:
        stepper.model.train()


def score(stepper: Stepper, rows: Sequence[dict], same: SameAnswer) -> tuple[dict[str, Any], list[Generation]]:
    """The figures and replies of `validate`, inside of `looking`."""
    processes, size = stepper.processes, AT_ONCE * stepper.settings.micro_batch_rows
    wanted = RowFilter(max_length=stepper.settings.max_length)
    asked = set(one_a_sample(rows))
    mine = list(range(processes.rank, len(rows), processes.world))
    sums, said, drops = torch.zeros(6, dtype=torch.float64), [], []
    # As many forward passes on each process, since shards of weights are put together by all of them.
    for start in range(0, -(-len(rows) // processes.world), size):
        places = mine[start : start + size]
        found = [(place, encode_row(rows[place], stepper.processor, wanted)) for place in places]
        drops += [item for _, item in found if isinstance(item, Drop)]
        encoded = [(place, item) for place, item in found if isinstance(item, EncodedRow)]
        sums += score_rows(stepper, [item for _, item in encoded])
        questions = [(place, item) for place, item in encoded if place in asked]
        if questions and can_reply(stepper):
            replies = reply_all(stepper, [item for _, item in questions])
            said += [(place, read_reply(rows[place], reply, same)) for (place, _), reply in zip(questions, replies, strict=True)]
    every = processes.gather(said)
    shown = sorted(every, key=lambda pair: (not rows[pair[0]]['images'], pair[0]))[:SHOWN]  # questions about pictures first
    found = figures(stepper, processes.sum(sums.tolist()), processes.gather(drops), [one.right for _, one in every])
    return found, [one for _, one in shown]


def can_reply(stepper: Stepper) -> bool:
    """Whether each process has the whole model: shards are put together by all at once, and replies are not equally long."""
    return not stepper.model.always_encode


def score_rows(stepper: Stepper, rows: Sequence[EncodedRow]) -> Tensor:
    """Sums float[6] over some rows: SFT nll, preference loss, margin, right order, tokens of chosen answers, rows."""
    real = bool(rows)
    batch = collate(rows or [paired_filler(stepper)], pad_id=stepper.processor.pad_id).to(stepper.processes.device)
    logps = branch_logps(stepper.processes.model, batch)
    nll, preference, *_ = stepper.parts(logps, batch)
    margin = po_terms(logps, batch.targets)[1]
    tokens = sum(len(row.answers[0]) for row in rows)
    sums = [nll, preference, margin.sum(), (margin > 0).sum(), tokens, len(rows)]
    return torch.tensor([float(value) * real for value in sums], dtype=torch.float64)


def paired_filler(stepper: Stepper) -> EncodedRow:
    """A row with two answers, to run where a process has too few."""
    end = tuple(stepper.processor.encode_answer([]))
    return EncodedRow(end, (end, end), None)


def reply_all(stepper: Stepper, rows: Sequence[EncodedRow]) -> list[str]:
    """The greedy replies to the prompts of some rows."""
    processor, device = stepper.processor, stepper.processes.device
    length = max(len(row.prompt) for row in rows)
    ids = torch.tensor([[processor.pad_id] * (length - len(row.prompt)) + list(row.prompt) for row in rows], device=device)
    mask = torch.tensor([[0] * (length - len(row.prompt)) + [1] * len(row.prompt) for row in rows], device=device)
    tiles = [row.tiles for row in rows if row.tiles is not None]
    found = stepper.model.generate(
        ids,
        attention_mask=mask,
        pixel_values=torch.cat(tiles).to(device) if tiles else None,
        max_new_tokens=min(MAX_NEW_TOKENS, ROOM + max(len(row.answers[0]) for row in rows)),
        num_beams=1,
        do_sample=False,
        eos_token_id=processor.tokenizer.convert_tokens_to_ids(processor.template.turn_end),
        pad_token_id=processor.pad_id,
    )
    return [text.strip() for text in processor.tokenizer.batch_decode(found[:, length:], skip_special_tokens=True)]


def read_reply(row: dict, reply: str, same: SameAnswer) -> Generation:
    """A row's question with the reply, and whether that is right."""
    chosen, question = text_of(row['chosen']), text_of(row['prompt'], 'user')
    return Generation(row['triple_id'], text_of(row['prompt']), chosen, reply, same(chosen, reply, question))


def refuse_unscorable(stepper: Stepper, rows: Sequence[dict]) -> None:
    """Raises UserError where no row can be scored: that is better known before the first step."""
    reasons = []
    for row in rows:
        found = encode_row(row, stepper.processor, RowFilter(max_length=stepper.settings.max_length))
        if isinstance(found, EncodedRow):
            return
        reasons.append(found.reason)
    raise UserError(
        f'validate_every: expected validation rows that can be scored, found all {len(rows)} left out ({count_reasons(reasons)}); '
        'set validate_every=0, or look at these rows'
    )


def figures(stepper: Stepper, sums: Sequence[float], drops: Sequence[Drop], rights: Sequence[bool]) -> dict[str, Any]:
    """The figures from the sums of all processes."""
    nll, preference, margin, right, tokens, count = sums
    paired = stepper.settings.stage == 1
    sft, po = nll / tokens, preference / count
    return {
        'loss': sft + stepper.settings.po_weight * po if paired else sft,
        'sft': sft,
        'po': po if paired else None,
        'margin': margin / count,  # mean avg logp+ - avg logp-, nats a token
        'accuracy': right / count,  # share of rows with avg logp+ > avg logp-
        'exact_match': sum(rights) / len(rights) if rights else None,
        'rows': int(count),
        'left_out': len(drops),
    }
