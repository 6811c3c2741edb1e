"""One pass over a shared prompt equals two separate sequences, values and gradients."""

import pytest
import torch

from model.phantom.build import build_scratch
from model.training.branches import EncodedRow, branch_logps, collate
from model.training.losses import po_terms, token_logps
from model.training.settings import load_preset


@pytest.fixture
def model():
    section = {**load_preset('tiny').model, 'eta': 1.0}  # so that the phantom path counts
    return build_scratch(section, seed=3)[0].double()


def rows_with_images() -> list[EncodedRow]:
    generator = torch.Generator().manual_seed(5)
    image = (258, *[260] * 16, 259)
    tiles = torch.randn(1, 3, 112, 112, generator=generator, dtype=torch.float64)
    return [
        EncodedRow((256, 10, *image, 11, 12), ((20, 21, 22, 257), (30, 257)), tiles),
        EncodedRow((256, 40, 41), ((50, 257), (60, 61, 62, 63, 257)), None),
        EncodedRow((256, 70, *image, *image), ((80, 257), (81, 257)), torch.cat([tiles, -tiles])),
    ]


def separate_logps(model, row: EncodedRow, answer: tuple[int, ...]) -> torch.Tensor:
    """Log-probabilities of one answer behind its prompt, as an ordinary sequence."""
    ids = torch.tensor([[*row.prompt, *answer]])
    logits = model(input_ids=ids, pixel_values=row.tiles).logits
    start = len(row.prompt)
    return token_logps(logits[:, start - 1 : -1], ids[:, start:])[0]


def test_log_probabilities_equal_those_of_separate_sequences(model):
    rows = rows_with_images()
    together = branch_logps(model, collate(rows, pad_id=261))
    for index, row in enumerate(rows):
        for side, answer in enumerate(row.answers):
            alone = separate_logps(model, row, answer)
            # float64 but for the norms, which are float32 as in the released code
            assert torch.allclose(together[index, side, : len(answer)], alone, atol=1e-5)


def test_gradients_equal_those_of_separate_sequences(model):
    rows = rows_with_images()
    batch = collate(rows, pad_id=261)
    po_terms(branch_logps(model, batch), batch.targets)[0].sum().backward()
    together = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    for row in rows:
        chosen, rejected = (separate_logps(model, row, answer).mean() for answer in row.answers)
        (-torch.nn.functional.logsigmoid(2 * (chosen - rejected) - 0.5)).backward()
    for name, weight in model.named_parameters():
        if weight.grad is not None:
            assert torch.allclose(together[name], weight.grad, rtol=1e-4, atol=1e-5), name
    assert any('xattn_query' in name for name in together)


def test_padding_and_the_other_answer_do_not_change_a_row(model):
    rows = rows_with_images()
    alone = branch_logps(model, collate(rows[1:2], pad_id=261))
    together = branch_logps(model, collate(rows, pad_id=261))
    width = alone.shape[-1]
    assert torch.allclose(together[1, :, :width], alone[0], atol=1e-5)
    other = EncodedRow(rows[1].prompt, (rows[1].answers[0], (99, 98, 257)), None)
    changed = branch_logps(model, collate([other], pad_id=261))
    assert torch.allclose(changed[0, 0, :2], alone[0, 0, :2], atol=1e-6)
