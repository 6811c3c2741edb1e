"""What is checked of a checkpoint before it counts: numbers that are finite, and files that hold exactly what the model has."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from torch import Tensor

from model.phantom.config import PhantomConfig
from model.phantom.modeling import PhantomForConditionalGeneration
from model.training.checkpoint import OPTIMIZER, TRAINED
from schemas.errors import UserError

SHOWN = 5  # names in a message


def leaves(values: Any, place: str = '') -> Iterator[tuple[str, Any]]:
    """Everything in nested mappings and lists, with where it stands."""
    if isinstance(values, Mapping):
        inner = values.items()
    elif isinstance(values, (list, tuple)):
        inner = enumerate(values)
    else:
        yield place, values
        return
    for name, value in inner:
        yield from leaves(value, f'{place}.{name}' if place else str(name))


@torch.no_grad()
def refuse_bad_numbers(values: Mapping[str, Any], where: str) -> None:
    """Raises UserError, which begins with `where`, that names the tensors of nested `values` with NaN or infinity among their numbers."""
    bad = [name for name, value in leaves(values) if isinstance(value, Tensor) and not is_finite(value)]
    if bad:
        raise UserError(
            f'{where}: expected finite weights and optimiser state, found NaN or infinity in {shown(bad)}; no checkpoint is made of them: '
            'go on from an earlier one, or start anew with a lower learning_rate or clip_norm'
        )


def is_finite(tensor: Tensor) -> bool:
    """Whether no number of a tensor is NaN or infinite."""
    return not (tensor.is_floating_point() or tensor.is_complex()) or bool(torch.isfinite(tensor).all())


def read_back(folder: Path, weights: dict[str, Tensor], trained: dict[str, Tensor], optimizer: dict[str, Any], *, where: str) -> None:
    """Raises UserError unless the files of a checkpoint hold these tensors bit by bit under these names, and its configuration fits them.

    One tensor at a time through mapped files: the memory of the largest one, the time of reading the files once.
    """
    files = sorted(folder.glob('*.safetensors'))
    faults = [*shape_faults(folder, weights), *file_faults([file for file in files if file.name != TRAINED], weights)]
    if trained:
        faults += file_faults([folder / TRAINED], trained)
    try:
        saved = dict(leaves(torch.load(folder / OPTIMIZER, map_location='cpu', weights_only=True, mmap=True)))
    except (OSError, EOFError, RuntimeError, UnpicklingError) as e:
        faults.append(f'{OPTIMIZER} does not read ({e})')
    else:
        state = dict(leaves(optimizer))
        faults += [f'{OPTIMIZER}: another {name}' for name in {**state, **saved} if not same(state.get(name), saved.get(name))]
    if faults:
        raise UserError(
            f'{where}: expected the files to hold what the model has, found {shown(faults)}; the folder is gone, the one before it stands'
        )


def shape_faults(folder: Path, weights: dict[str, Tensor]) -> Iterator[str]:
    """Names and shapes that a model of the saved configuration has and the weights have not, or the other way."""
    try:
        with torch.random.fork_rng(), torch.device('meta'):
            model = PhantomForConditionalGeneration(PhantomConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False))
    except (OSError, ValueError, TypeError, StrictDataclassError) as e:
        yield f'config.json of no model ({" ".join(str(e).split())})'
        return
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items() if name not in model.all_tied_weights_keys}
    for name in {**wanted, **weights}:
        found = weights[name].shape if name in weights else None
        if wanted.get(name) != found:
            yield f'config.json: {name} of shape {list(wanted.get(name) or ())}, not {list(found or ())}'


def file_faults(files: list[Path], tensors: dict[str, Tensor]) -> Iterator[str]:
    """Tensors that files lack, have besides, or hold otherwise."""
    found = set()
    for file in files:
        try:
            with safe_open(file, 'pt') as handle:
                for name in (*handle.keys(),):
                    found.add(name)
                    if name not in tensors:
                        yield f'{file.name}: {name} besides'
                    elif not same(tensors[name], handle.get_tensor(name)):
                        yield f'{file.name}: another {name}'
        except (OSError, SafetensorError) as e:
            yield f'{file.name} does not read ({e})'
    yield from (f'no {name}' for name in sorted(tensors.keys() - found))


def same(ours: Any, theirs: Any) -> bool:
    """Whether two tensors have the same type, shape and bits; or two other values are equal."""
    if not (isinstance(ours, Tensor) and isinstance(theirs, Tensor)):
        return type(ours) is type(theirs) and ours == theirs
    if ours.dtype != theirs.dtype or ours.shape != theirs.shape:
        return False
    one, two = (tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8) for tensor in (ours, theirs))
    return torch.equal(one, two)


def shown(items: list[str]) -> str:
    """The first of a list, and how many there are besides."""
    return ', '.join(items[:SHOWN]) + (f' and {len(items) - SHOWN} more' if len(items) > SHOWN else '')
