"""Parameter names, shapes and counts at true size, on the meta device, against the released code's."""

import json
import math
from pathlib import Path

import pytest
import torch

from model.phantom.build import weight_shapes
from model.phantom.config import PhantomConfig
from model.phantom.modeling import PhantomForConditionalGeneration
from tests.model.phantom.published import internvl2_shapes

GOLDEN = Path(__file__).parents[2] / 'golden'


@pytest.mark.parametrize('size', ['0_5b', '1_8b', '3_8b', '7b'])
def test_names_shapes_and_counts_equal_the_released_code(size):
    golden = json.loads((GOLDEN / f'params_{size}.json').read_text())
    with torch.device('meta'):
        model = PhantomForConditionalGeneration(PhantomConfig(**golden['config']))
    ours = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    wanted = {}
    for pattern, (shape, count) in golden['keys'].items():
        names = [pattern.replace('{i}', str(index)) for index in range(count)] if '{i}' in pattern else [pattern]
        wanted |= dict.fromkeys(names, shape)
    assert ours == wanted
    phantom = sum(tensor.numel() for name, tensor in model.named_parameters() if 'phantom' in name)
    assert phantom == golden['counts']['phantom']
    assert sum(tensor.numel() for tensor in model.parameters()) == golden['counts']['total (tied weights counted once)']


@pytest.mark.parametrize(('size', 'decoder', 'rows', 'total'), [
    ('0_5b', 'qwen2', 151655, 938_158_976), ('1_8b', 'internlm2', 92553, 2_205_754_368), ('3_8b', 'phi3', 32020, 4_146_855_936), ('7b', 'internlm2', 92553, 8_075_365_376),
])
def test_names_and_shapes_of_the_published_internvl2_are_ours_but_for_the_projector(size, decoder, rows, total):
    """InternVL2-1B, -2B, -4B, -8B: the released decoders with InternVL2's vocabulary and a head of their own; totals are those of its cards (0.94B to 8.08B)."""
    config = json.loads((GOLDEN / f'params_{size}.json').read_text())['config']
    config['llm_config'] |= {'vocab_size': rows, 'tie_word_embeddings': False}
    wanted = weight_shapes(made := PhantomConfig(**config, phantom=False), size)
    published = internvl2_shapes(decoder, {'llm_config': made.llm_config, 'vision_config': made.vision_config})
    assert {name.replace('mlp1.', 'vision_proj.'): shape for name, shape in published.items()} == wanted
    assert sum(math.prod(shape) for shape in published.values()) == total
