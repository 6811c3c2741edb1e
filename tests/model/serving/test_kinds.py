"""Every kind of checkpoint in an unmodified vLLM on the CPU, in process: the other decoders, without the phantom dimension, with an adapter, in bfloat16."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from model.phantom.build import load_model
from model.phantom.tokens import TEMPLATES
from tests.model.serving.checkpoints import Row, answered, cases, save_tiny

pytestmark = [pytest.mark.integration, pytest.mark.long]
ROOT = Path(__file__).parents[3]
NAT = 1e-4  # of a log-probability
ROWS = [cases()[index] for index in (1, 5, 7, 8, 10, 12)]  # short, long, special tokens spelt, one tile, tiles and thumbnail, two pictures


def start(folder: Path, rows: list[Row], **engine) -> subprocess.CompletedProcess:
    """vLLM's answers beside the folder, or how it refused it."""
    names = [folder.parent / f'{folder.name}.{name}.json' for name in ('asked', 'answers', 'engine')]
    written = [{**row, 'images': [base64.b64encode(image).decode() for image in row['images']]} for row in rows]
    names[0].write_text(json.dumps(written))
    names[2].write_text(json.dumps(engine))
    ways = {
        'OMP_NUM_THREADS': '1', 'VLLM_ENABLE_V1_MULTIPROCESSING': '0', 'VLLM_CPU_KVCACHE_SPACE': '1', 'VLLM_CPU_OMP_THREADS_BIND': 'nobind',
        'VLLM_CACHE_ROOT': str(folder.parent / 'compiled'), 'HF_HUB_OFFLINE': '1', 'DO_NOT_TRACK': '1',
    }  # fmt: skip
    environment = {**os.environ, **ways, 'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}
    command = [sys.executable, '-m', 'tests.model.serving.offline', str(folder), *map(str, names)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)


def served(folder: Path, rows: list[Row], **engine) -> list[Row]:
    done = start(folder, rows, **engine)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return json.loads((folder.parent / f'{folder.name}.answers.json').read_text())


def worst(ours: list[Row], theirs: list[Row], name: str) -> float:
    return max(abs(a - b) for row, other in zip(ours, theirs, strict=True) for a, b in zip(row[name], other[name], strict=True))


def check_equal(ours: list[Row], theirs: list[Row]) -> None:
    for row, other in zip(ours, theirs, strict=True):
        assert (other['ids'], other['new']) == (row['ids'], row['new']), row['text']
    assert worst(ours, theirs, 'logprobs') < NAT
    assert worst(ours, theirs, 'new_logprobs') < NAT


@pytest.mark.parametrize('decoder', sorted({'qwen3', 'internlm2', 'phi3'} & TEMPLATES.keys()))
def test_the_other_decoders_are_our_own(tmp_path, decoder):
    folder = save_tiny(tmp_path / decoder, decoder)
    check_equal(answered(folder, ROWS), served(folder, ROWS))


def test_two_ranks_share_the_heads_of_the_phantom_dimension(tmp_path):
    folder = save_tiny(tmp_path / 'ranks')
    check_equal(answered(folder, ROWS), served(folder, ROWS, tensor_parallel_size=2))


def test_compiled_layers_are_our_own(tmp_path):
    folder = save_tiny(tmp_path / 'layers')
    check_equal(answered(folder, ROWS), served(folder, ROWS, enforce_eager=False))
    assert any((tmp_path / 'compiled').glob('torch_compile_cache/**/model')), 'vLLM compiled them'


def test_a_checkpoint_without_the_phantom_dimension_is_our_own(tmp_path):
    """Heads of 32: of 16 the CPU's attention has no kernel, and only the phantom dimension doubles them."""
    folder = save_tiny(tmp_path / 'plain', heads=4, phantom=False)
    check_equal(answered(folder, ROWS), served(folder, ROWS))


def test_the_phantom_parts_of_a_checkpoint_stay_out_where_it_is_off(tmp_path):
    folder = save_tiny(tmp_path / 'off', 'internlm2', heads=4)
    config = json.loads((folder / 'config.json').read_text())
    (folder / 'config.json').write_text(json.dumps({**config, 'phantom': False}))
    check_equal(answered(folder, ROWS[:3]), served(folder, ROWS[:3]))


def test_an_adapter_is_added_as_peft_adds_it(tmp_path):
    """Of the attention of all layers: the states of the first token, and so the sos tables, change with it."""
    folder = save_tiny(tmp_path / 'base')
    torch.manual_seed(3)
    adapted = get_peft_model(load_model(folder)[0], LoraConfig(r=4, lora_alpha=16, target_modules=['q_proj', 'v_proj', 'o_proj', 'fc1']))
    for name, weight in adapted.named_parameters():
        if 'lora_' in name:
            torch.nn.init.normal_(weight, std=0.1)
    adapted.save_pretrained(tmp_path / 'adapter')
    (tmp_path / 'base' / 'trained.safetensors').write_bytes((tmp_path / 'adapter' / 'adapter_model.safetensors').read_bytes())  # as our trainer leaves one
    ours = answered(folder, ROWS, adapter=lambda model: PeftModel.from_pretrained(model, str(tmp_path / 'adapter')).merge_and_unload())
    assert worst(answered(folder, ROWS[:1]), ours[:1], 'logprobs') > 0.1
    check_equal(ours, served(folder, ROWS, hf_overrides={'adapter': str(tmp_path / 'adapter')}))


def test_bfloat16_keeps_of_the_phantom_dimension_what_our_own_keeps(tmp_path):
    """What eta changes in the log-probabilities, beside what it changes in float32: as near as our own bfloat16 comes."""
    folders = [save_tiny(tmp_path / f'eta{eta}', eta=eta, eta_learnable=False) for eta in (0.03, 0.0)]

    def effect(answers: list[list[Row]]) -> torch.Tensor:
        on, off = (torch.tensor([score for row in rows for score in row['logprobs']]) for rows in answers)
        return on - off

    exact = effect([answered(folder, ROWS) for folder in folders])
    ours = effect([answered(folder, ROWS, dtype=torch.bfloat16) for folder in folders])
    theirs = effect([served(folder, ROWS, dtype='bfloat16') for folder in folders])
    likeness = [torch.corrcoef(torch.stack([exact, found]))[0, 1].item() for found in (ours, theirs)]
    assert likeness[1] > likeness[0] - 0.02, likeness  # 0.909 beside 0.906; 0.871 where the residual stream is bfloat16


def test_heads_that_the_backend_cannot_do_and_missing_weights_and_lora_slots_are_refused_at_load(tmp_path):
    folder = save_tiny(tmp_path / 'narrow', phantom=False)
    done = start(folder, ROWS[:1])
    assert done.returncode != 0
    assert 'heads: expected a size that CPU_ATTN can do (32, 64, ' in done.stderr
    assert 'found 16; serve it with another attention backend' in done.stderr
    folder = save_tiny(tmp_path / 'lora')
    assert '--enable-lora: expected none, found it' in start(folder, ROWS[:1], enable_lora=True).stderr
    weights = load_file(folder / 'model.safetensors')
    del weights['language_model.model.layers.1.mlp.up_proj.weight']
    save_file(weights, folder / 'model.safetensors', {'format': 'pt'})
    assert 'missing 1: language_model.model.layers.1.mlp.up_proj.weight' in start(folder, ROWS[:1]).stderr
