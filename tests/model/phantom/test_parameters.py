"""Parameter names, shapes and counts at true size, on the meta device, against the released code's."""

import json
from pathlib import Path

import pytest
import torch

from model.phantom.config import PhantomConfig
from model.phantom.modeling import PhantomForConditionalGeneration

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
