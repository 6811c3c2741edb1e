"""A saved folder loads with `trust_remote_code=True` where this package is not installed, by one file made from our own sources."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from transformers import AddedToken

from model.phantom.build import load_model
from model.phantom.carried import AUTO_MAP, MODULE, carried_code
from model.training.settings import load_preset
from tests.model.phantom.tiny import asked, make_tiny, picture

ALONE = """
import sys
sys.modules.update({name: None for name in ('model', 'schemas', 'curation', 'pipelines', 'phantom')})  # as where they are not installed
import torch
from safetensors.torch import save_file
from transformers import AutoModelForImageTextToText, AutoProcessor, pipeline
torch.set_num_threads(1)
given = {'trust_remote_code': True}
for folder in sys.argv[1:]:
    model = AutoModelForImageTextToText.from_pretrained(folder, **given).eval()
    processor = AutoProcessor.from_pretrained(folder, **given)
    found = {}
    for name, parts in (('text', []), ('picture', [{'type': 'image', 'path': f'{folder}/seen.png'}])):
        messages = [{'role': 'user', 'content': [*parts, {'type': 'text', 'text': 'What <|im_end|> is it?'}]}]
        inputs = processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors='pt')
        with torch.no_grad():
            found[f'{name}.logits'] = model(**inputs).logits.contiguous()
        found[f'{name}.ids'] = model.generate(**inputs, max_new_tokens=4, do_sample=False)
    save_file(found, f'{folder}/found.safetensors')
    model.save_pretrained(f'{folder}/again')
    processor.save_pretrained(f'{folder}/again')
pipe = pipeline('image-text-to-text', model=f'{folder}/again', **given)
assert pipe(text=messages, max_new_tokens=2, return_full_text=False)
print(type(pipe.model).__module__.partition('.')[0])
"""
DECODERS = ('Qwen2ForCausalLM', 'InternLM2ForCausalLM', 'Phi3ForCausalLM')


def make_decoder(decoder: str):
    """A tiny model of one decoder, whose tokenizer knows its template."""
    text = {**load_preset('tiny').model['llm_config'], 'architectures': [decoder], 'num_hidden_layers': 2, 'vocab_size': 272, 'pad_token_id': 261}
    model, processor = make_tiny(llm_config=text)
    if decoder.startswith('Phi3'):
        names = ('<|user|>', '<|assistant|>', '<|system|>', '<|end|>')
        processor.tokenizer.add_tokens([AddedToken(name, special=True, normalized=False) for name in names], special_tokens=True)
    return model, processor


@pytest.mark.integration
def test_a_folder_loads_without_this_package(tmp_path):
    """The same logits and tokens as with it, of text and of a picture; and what it saves loads again."""
    made = {tmp_path / decoder: make_decoder(decoder) for decoder in DECODERS}
    for folder, parts in made.items():
        for part in parts:
            part.save_pretrained(folder)
        picture(7, (150, 60)).save(folder / 'seen.png')
    code = tmp_path / 'alone.py'
    code.write_text(ALONE, 'utf-8')
    environment = {name: value for name, value in os.environ.items() if name != 'PYTHONPATH'} | {'HF_HOME': str(tmp_path / 'hf'), 'HF_HUB_OFFLINE': '1'}
    command = [sys.executable, '-I', str(code), *map(str, made)]
    ran = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.stdout.split() == ['transformers_modules'], ran.stderr[-2000:]
    for folder, (model, processor) in made.items():
        found = load_file(folder / 'found.safetensors')
        for name, images in (('text', []), ('picture', [picture(7, (150, 60))])):
            inputs = processor.apply_chat_template(
                asked('What <|im_end|> is it?', *images), add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors='pt'
            )
            with torch.no_grad():
                assert torch.equal(found[f'{name}.logits'], model(**inputs).logits)
            assert torch.equal(found[f'{name}.ids'], model.generate(**inputs, max_new_tokens=4, do_sample=False))
        again, _ = load_model(folder / 'again')
        assert all(torch.equal(weight, model.state_dict()[name]) for name, weight in again.state_dict().items())


def test_the_folder_names_its_code(tmp_path):
    model, processor = make_tiny()
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert (tmp_path / f'{MODULE}.py').read_text('utf-8') == carried_code()
    for name in ('config.json', 'processor_config.json'):
        assert json.loads((tmp_path / name).read_text('utf-8'))['auto_map'] == AUTO_MAP
    assert not hasattr(load_model(tmp_path)[0].config, 'auto_map'), 'our own loading runs no code of a folder'


def test_the_code_is_one_file_that_needs_nothing_of_ours():
    code = carried_code()
    compile(code, MODULE, 'exec')
    lines = code.splitlines()
    assert not [line for line in lines if line.startswith(('from model', 'from schemas', 'import model', 'import schemas'))]
    for reference in AUTO_MAP.values():
        name = reference.partition('.')[2]
        assert sum(line.startswith(f'class {name}(') for line in lines) == 1
