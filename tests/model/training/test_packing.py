"""Rows in one sequence: the same loss and gradients as padded rows, none sees another, nothing is padded."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from model.phantom.build import build_scratch
from model.training.branches import EncodedRow, branch_logps, collate
from model.training.losses import IGNORE, po_terms, sft_loss
from model.training.packing import answer_logps, pack
from model.training.settings import load_preset
from model.training.train import train
from tests.model.training.snapshots import make_row, write_snapshot

DECODERS = ['Qwen2ForCausalLM', 'InternLM2ForCausalLM', 'Phi3ForCausalLM']
VISION = {'hidden_size': 32, 'intermediate_size': 64, 'num_hidden_layers': 1, 'num_attention_heads': 2, 'image_size': 56}
IMAGE = (258, *[260] * 4, 259)  # one tile of 56 pixels


def make_model(decoder: str = 'Qwen2ForCausalLM', *, phantom: bool = True) -> torch.nn.Module:
    """Two layers in float64, with an eta that counts."""
    section = load_preset('tiny').model
    text = {**section['llm_config'], 'architectures': [decoder], 'hidden_size': 64, 'num_hidden_layers': 2, 'pad_token_id': 2}
    return build_scratch({**section, 'llm_config': text, 'vision_config': VISION, 'phantom': phantom, 'eta': 1.0}, seed=3)[0].double()


def make_rows(answers: int) -> list[EncodedRow]:
    """With one picture, none, two; answers of 1 to 5 tokens; the third begins with another token than the rest."""
    generator = torch.Generator().manual_seed(5)
    tiles = torch.randn(3, 3, 56, 56, generator=generator, dtype=torch.float64)
    rows = [
        EncodedRow((256, 10, *IMAGE, 11, 12), ((20, 21, 22, 257), (30, 257)), tiles[:1], 'a'),
        EncodedRow((256, 40, 41), ((50, 257), (60, 61, 62, 63, 257)), None, 'b'),
        EncodedRow((70, 71), ((80, 257), (257,)), None, 'c'),
        EncodedRow((256, 90, *IMAGE, *IMAGE), ((257,), (91, 92, 257)), tiles[1:], 'd'),
    ]
    return [EncodedRow(row.prompt, row.answers[:answers], row.tiles, row.row) for row in rows]


def loss_and_gradients(model: torch.nn.Module, batch) -> tuple[float, dict[str, torch.Tensor]]:
    """SFT, and PO where there are two answers."""
    model.zero_grad()
    logps = answer_logps(model, batch)
    loss = sft_loss(logps[:, 0], batch.targets[:, 0])
    if logps.shape[1] == 2:
        loss = loss + po_terms(logps, batch.targets)[0].mean()
    loss.backward()
    return loss.item(), {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


@pytest.mark.parametrize('answers', [1, 2], ids=['SFT', 'SFT + PO'])
@pytest.mark.parametrize('phantom', [True, False], ids=['phantom', 'plain'])
@pytest.mark.parametrize('decoder', DECODERS)
def test_packed_rows_give_the_loss_and_gradients_of_padded_ones(decoder, phantom, answers):
    model, rows = make_model(decoder, phantom=phantom), make_rows(answers)
    padded, expected = loss_and_gradients(model, collate(rows, pad_id=261))
    packed, found = loss_and_gradients(model, pack(rows))
    assert packed == pytest.approx(padded, abs=1e-5)  # float64 but for the norms, which are float32 as in the released code
    assert set(found) == set(expected)
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=1e-5, atol=1e-5), name
    assert phantom == any('xattn_query' in name for name in found)


def test_rows_that_begin_alike_stand_together_and_no_position_is_padding():
    batch = pack(make_rows(2))
    assert batch.input_ids.tolist() == [[
        70, 71, 80, 257, 257,
        256, 10, *IMAGE, 11, 12, 20, 21, 22, 257, 30, 257,
        256, 40, 41, 50, 257, 60, 61, 62, 63, 257,
        256, 90, *IMAGE, *IMAGE, 257, 91, 92, 257,
    ]]  # fmt: skip
    assert batch.packed.spans == (5, 44)
    assert batch.packed.sizes == ((2, 2, 1), (10, 4, 2), (3, 2, 5), (14, 1, 3))
    assert batch.position_ids[0, :21].tolist() == [0, 1, 2, 3, 2, *range(10), 10, 11, 12, 13, 10, 11]
    # each answer's first token follows the end of its prompt, the others the token before them
    assert batch.sources[0, :9].tolist() == [1, 2, 1, 14, 15, 16, 17, 14, 19]
    assert (batch.targets != IGNORE).sum() == batch.sources.numel()


def test_no_row_sees_another():
    model, rows = make_model(), make_rows(2)
    before = answer_logps(model, pack(rows))
    changed = EncodedRow((256, 99, 98, 97), ((96, 95, 257), (94, 257)), None, 'b')
    after = answer_logps(model, pack([rows[0], changed, *rows[2:]]))
    for index in (0, 1, 3):  # 'c' comes first, 'b' third
        width = min(before.shape[-1], after.shape[-1])
        assert torch.allclose(before[index, :, :width], after[index, :, :width], atol=1e-6)
    assert not torch.allclose(before[2, 0, :2], after[2, 0, :2], atol=1e-3)


def test_a_row_alone_gives_what_it_gives_in_a_pack():
    model, rows = make_model(), make_rows(2)
    together = answer_logps(model, pack(rows))
    for index, row in zip((1, 2, 0, 3), rows, strict=True):
        alone = branch_logps(model, collate([row], pad_id=261))[0]
        assert torch.allclose(together[index, :, : alone.shape[-1]], alone, atol=1e-5), row.row


FAST = {'batch_rows': 6, 'micro_batch_rows': 3, 'quiet': True}


@pytest.fixture(scope='module')
def snapshot(tmp_path_factory):
    return write_snapshot(tmp_path_factory.mktemp('snap') / 's', [make_row(index) for index in range(24)], shards=2, group=4)


def log_of(out) -> list[dict]:
    timed = ('rows_per_s', 'tokens_per_s', 'memory_mb', 'padding')
    records = [json.loads(line) for line in (out / 'log.jsonl').read_text().splitlines()]
    return [{name: value for name, value in record.items() if name not in timed} for record in records]


@pytest.mark.parametrize('settings', [{}, {'stage': 2}, {'preference': 'dpo'}, {'gradient_checkpointing': True}], ids=str)
def test_a_packed_run_takes_the_same_steps_without_padding(snapshot, tmp_path, settings):
    for packing in (False, True):
        result = train(snapshot, tmp_path / str(packing), max_steps=3, packing=packing, **settings, **FAST)
    assert result.last['padding'] == 0
    padded, packed = log_of(tmp_path / 'False'), log_of(tmp_path / 'True')
    for name in ('loss', 'sft', 'po', 'margin', 'grad_norm'):
        expected = [record[name] for record in padded if record[name] is not None]
        assert [record[name] for record in packed if record[name] is not None] == pytest.approx(expected, rel=2e-4, abs=1e-5), name
    assert [record['rows'] for record in packed] == [record['rows'] for record in padded]


def test_a_packed_run_in_pieces_equals_one_run_to_the_bit(snapshot, tmp_path):
    whole = train(snapshot, tmp_path / 'whole', max_steps=3, packing=True, **FAST).checkpoint
    earlier = train(snapshot, tmp_path / 'parts', max_steps=3, save_every=2, packing=True, **FAST).checkpoint
    shutil.rmtree(earlier)
    parts = train(snapshot, tmp_path / 'parts', max_steps=3, packing=True, **FAST)
    assert parts.steps == 1
    assert log_of(tmp_path / 'parts') == log_of(tmp_path / 'whole')
    weights, resumed = (load_file(folder / 'model.safetensors') for folder in (whole, parts.checkpoint))
    assert all(torch.equal(weights[name], resumed[name]) for name in weights)
