"""What bfloat16 keeps of the phantom dimension, by how its term is projected: python -m benchmarks.eta_in_half [--eta 0.01 ...].

The correlation, over all log-probabilities, of what eta changes with what it changes in float32: as the model does it (the term projected on its
own), with one projection of the rounded sum, and with one in float32. Of a tiny model with random weights and gates away from their start.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from model.phantom.attention import PhantomAttention
from model.phantom.build import load_model
from tests.model.serving.checkpoints import cases, save_tiny

ROWS = [cases()[index] for index in (1, 5, 7, 8, 12)]  # texts, one that spells special tokens, pictures
Merge = Callable[[PhantomAttention, Tensor, Tensor, nn.Module], Tensor]


def summed(attention: PhantomAttention, plain: Tensor, phantom: Tensor) -> Tensor:
    """o1 and the gated term in float32, float[B, S, H*d]."""
    term = attention.eta * phantom.float()
    logit = attention.gating_phantom_1(plain).float() - attention.gating_phantom_2((plain + term).to(plain.dtype)).float()
    return (plain.float() + torch.sigmoid(-logit) * term).flatten(2)


def once(attention: PhantomAttention, plain: Tensor, phantom: Tensor, out_proj: nn.Module) -> Tensor:
    """One projection of the sum, rounded."""
    return out_proj(summed(attention, plain, phantom).to(plain.dtype))


def in_float32(attention: PhantomAttention, plain: Tensor, phantom: Tensor, out_proj: nn.Module) -> Tensor:
    """One projection of the sum, in float32."""
    mixed, bias = summed(attention, plain, phantom), None if out_proj.bias is None else out_proj.bias.float()
    with torch.autocast('cpu', enabled=False):
        return F.linear(mixed, out_proj.weight.float(), bias)


WAYS: dict[str, Merge] = {'twice': PhantomAttention.merge, 'once': once, 'in float32': in_float32}


@torch.no_grad()
def scores(folder: Path, way: str, *, half: bool, autocast: bool = False) -> Tensor:
    """All log-probabilities of the rows, flat."""
    PhantomAttention.merge = WAYS[way]  # type: ignore[method-assign]
    model, processor = load_model(folder)
    model = model.to(torch.bfloat16 if half else torch.float32).eval()
    found = []
    for row in ROWS:
        inputs = processor.encode_questions([row['text']], [row['images']])
        with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
            found.append(model(**inputs).logits[0].float().log_softmax(-1).flatten())
    return torch.cat(found)


def main() -> None:
    """Prints a line an eta."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--eta', type=float, nargs='+', default=[1e-4, 1e-3, 1e-2, 1e-1])
    etas = parser.parse_args().eta
    torch.set_num_threads(1)
    runs = {f'{kind}, {way}': {'way': way, 'half': kind == 'bf16', 'autocast': kind == 'autocast'} for kind in ('bf16', 'autocast') for way in WAYS}
    with tempfile.TemporaryDirectory() as room:
        folders = {eta: save_tiny(Path(room) / f'{eta}', eta=eta, eta_learnable=False) for eta in (0.0, *etas)}
        for eta in etas:
            exact = scores(folders[eta], 'twice', half=False) - scores(folders[0.0], 'twice', half=False)
            likeness = {}
            for name, run in runs.items():
                effect = scores(folders[eta], **run) - scores(folders[0.0], **run)
                likeness[name] = float(torch.corrcoef(torch.stack([exact, effect]))[0, 1])
            print(f'eta {eta:g}: ' + '; '.join(f'{name} {value:.2f}' for name, value in likeness.items()), flush=True)


if __name__ == '__main__':
    main()
