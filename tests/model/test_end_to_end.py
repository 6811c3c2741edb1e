"""From image files and questions to tokens at 448 pixels, equal to the released evaluation's own run."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file

from model.phantom.config import PhantomConfig
from model.phantom.modeling import PhantomForConditionalGeneration
from model.phantom.processor import PhantomProcessor
from model.phantom.tokens import make_byte_tokenizer

GOLDEN = Path(__file__).parents[1] / 'golden'


def test_tiles_prompts_scores_and_tokens_equal_the_released_run():
    about = json.loads((GOLDEN / 'preprocess' / 'e2e.json').read_text())
    golden = load_file(GOLDEN / 'preprocess' / 'tensors.safetensors')
    config = PhantomConfig(
        **{**about['config'], 'image_token_index': about['token_ids']['<IMG_CONTEXT>'], 'eta': about['eta']}
    )
    model = PhantomForConditionalGeneration(config).eval()
    weights = load_file(GOLDEN / 'arch_0_5b' / 'model.safetensors') | load_file(
        GOLDEN / 'common' / 'vision.safetensors'
    )
    weights['vision_model.embeddings.position_embedding'] = golden['e2e.position_embedding']
    model.load_state_dict(weights, strict=True)
    images = [[(GOLDEN / 'preprocess' / name).read_bytes()] for name in about['images']]
    inputs = PhantomProcessor.for_model(make_byte_tokenizer(), config).encode_questions(about['questions'], images)
    real = golden['e2e.attention_mask'].bool()
    assert inputs['pixel_values'].shape == (4, 3, 448, 448)
    assert torch.equal(inputs['attention_mask'].bool(), real)
    assert torch.equal(inputs['input_ids'][real].int(), golden['e2e.input_ids'][real])
    inputs['pixel_values'] = inputs['pixel_values'].bfloat16().float()  # the released generate casts pixels to bfloat16
    output = model.generate(
        **inputs,
        max_new_tokens=8,
        do_sample=False,
        eos_token_id=about['config']['eos_token_id'],
        pad_token_id=261,
        output_scores=True,
        return_dict_in_generate=True,
    )
    assert output.sequences[:, real.shape[1] :].tolist() == about['greedy']
    assert torch.allclose(torch.stack(output.scores), golden['e2e.scores'], atol=2e-5)
