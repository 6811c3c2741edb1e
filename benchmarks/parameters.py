"""Parameters of each size and of its phantom part, beside the paper's figures. Run: python -m benchmarks.parameters"""

import json
from pathlib import Path

import torch

from model.phantom.config import PhantomConfig
from model.phantom.modeling import PhantomForConditionalGeneration

GOLDEN = Path(__file__).parents[1] / 'tests' / 'golden'
PAPER_M = {'0_5b': 1.2, '1_8b': 4.8, '3_8b': 3.7, '7b': 6.2}  # phantom parameters in millions, paper section 4a


def count(size: str) -> dict[str, int]:
    """Parameters by part, on the meta device."""
    config = json.loads((GOLDEN / f'params_{size}.json').read_text())['config']
    with torch.device('meta'):
        model = PhantomForConditionalGeneration(PhantomConfig(**config))
    sizes = {name: weight.numel() for name, weight in model.named_parameters()}
    parts = {part: sum(n for name, n in sizes.items() if name.startswith(part)) for part in ('vision_model', 'vision_proj')}
    phantom = sum(n for name, n in sizes.items() if 'phantom' in name)
    return {**parts, 'phantom': phantom, 'total': sum(sizes.values())}


def main() -> None:
    """Prints one line a size."""
    print(f'{"size":6}{"vision":>14}{"projector":>13}{"phantom":>12}{"paper":>8}{"ours/paper":>12}{"total":>16}{"share":>9}')
    for size, paper in PAPER_M.items():
        n = count(size)
        print(f'{size:6}{n["vision_model"]:14,}{n["vision_proj"]:13,}{n["phantom"]:12,}{paper:7.1f}M'
              f'{n["phantom"] / paper / 1e6:12.3f}{n["total"]:16,}{n["phantom"] / n["total"]:9.4%}')


if __name__ == '__main__':
    main()
