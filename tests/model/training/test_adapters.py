"""A LoRA run's adapters load by PEFT onto the weights that the run started from."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from model.phantom.build import load_model
from model.training.train import train
from tests.model.phantom.tiny import make_tiny, picture, save_tiny
from tests.model.training.snapshots import make_row, write_snapshot

LORA = {'lora_rank': 4, 'lora_alpha': 8, 'trainable': ['vision_proj', 'xattn_', 'gating_phantom', 'eta_phantom']}


def asked_inputs(processor):
    return processor.encode_questions(['What colour?', 'Text'], [[picture(1)], []])


@pytest.mark.parametrize('learned', [True, False])
def test_peft_puts_a_runs_adapters_on_what_it_started_from(tmp_path, capsys, learned):
    """Also where eta was a constant of the start and is learned by the run: adapter/README.md says how to load the base."""
    base = save_tiny(tmp_path / 'base', eta_learnable=learned)
    (tmp_path / 'mine.yaml').write_text('extends: tiny\nconfig: {eta_learnable: true}\n', 'utf-8')
    snapshot = write_snapshot(tmp_path / 's', [make_row(index) for index in range(8)])
    settings = {'preset': str(tmp_path / 'mine.yaml'), 'max_steps': 2, 'batch_rows': 4, 'learning_rate': 1e-2, **LORA}
    checkpoint = train(snapshot, tmp_path / 'out', init=base, **settings).checkpoint
    assert 'eta 1, learned\n' in capsys.readouterr().out
    tuned, processor = load_model(checkpoint)
    inputs = asked_inputs(processor)
    start = AutoModelForImageTextToText.from_pretrained(base, eta=1.0, eta_learnable=True)
    assert f'from_pretrained({str(base)!r}, eta=1.0, eta_learnable=True)' in (checkpoint / 'adapter' / 'README.md').read_text('utf-8')
    with torch.no_grad():
        before = start(**inputs).logits
        loaded = PeftModel.from_pretrained(start, checkpoint / 'adapter')
        expected = tuned.eval()(**inputs).logits
        assert (expected - before).abs().max() > 1e-2
        assert torch.allclose(loaded(**inputs).logits, expected, atol=2e-5)
        assert torch.equal(loaded.generate(**inputs, max_new_tokens=3, do_sample=False), tuned.generate(**inputs, max_new_tokens=3, do_sample=False))
        merged = loaded.merge_and_unload()
        assert torch.allclose(merged(**inputs).logits, expected, atol=2e-5)
    about = json.loads((checkpoint / 'adapter' / 'adapter_config.json').read_text('utf-8'))
    assert (about['r'], about['lora_alpha'], about['base_model_name_or_path']) == (4, 8, str(base))
    etas = [name for name in load_file(checkpoint / 'adapter' / 'adapter_model.safetensors') if 'eta_phantom' in name]
    assert len(etas) == 3


@pytest.mark.parametrize('targets', ['all-linear', ['q_proj', 'v_proj']])
def test_adapters_made_by_peft_come_back(tmp_path, targets):
    model, processor = make_tiny()
    inputs = asked_inputs(processor)
    wrapped = get_peft_model(model, LoraConfig(r=2, target_modules=targets, task_type='CAUSAL_LM', init_lora_weights=False)).eval()
    with torch.no_grad():
        expected = wrapped(**inputs).logits
        wrapped.save_pretrained(tmp_path)
        loaded = PeftModel.from_pretrained(make_tiny()[0], tmp_path).eval()
        assert torch.allclose(loaded(**inputs).logits, expected, atol=2e-5)
        assert loaded.generate(**inputs, max_new_tokens=2, do_sample=False).shape[0] == 2
        assert torch.allclose(loaded.merge_and_unload()(**inputs).logits, expected, atol=1e-4)
