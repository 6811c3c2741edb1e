"""The tensors of a folder's safetensors files: names, shapes and types from the headers alone; values when they are asked for."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from schemas.errors import UserError
from schemas.regular import read_regular

ONE, INDEX = 'model.safetensors', 'model.safetensors.index.json'
INDEX_BYTES = 64 << 20  # an 8B model's index has 0.1 MB
PICKLES = ('.bin', '.pt', '.pth', '.ckpt', '.pkl')
FLOATS = ('F64', 'F32', 'F16', 'BF16')  # anything else is quantised, with scales that we do not know


@dataclass(frozen=True, slots=True)
class Stored:
    """The tensors of one folder."""

    folder: Path
    shapes: dict[str, tuple[int, ...]]
    types: dict[str, str]  # as safetensors names them
    handles: dict[str, Any]  # tensor name -> the open file that holds it

    def lazy(self, name: str) -> Any:
        """One tensor, read when it is indexed."""
        return self.handles[name].get_slice(name)

    def read(self, name: str) -> Tensor:
        """One tensor, in the type it has on the disk."""
        return self.handles[name].get_tensor(name)


def open_weights(folder: Path) -> Stored:
    """The tensors of `folder`'s model.safetensors, or of the files that its index names; raises UserError."""
    shapes: dict[str, tuple[int, ...]] = {}
    types: dict[str, str] = {}
    handles: dict[str, Any] = {}
    files, promised = weight_files(folder)
    for file in files:
        try:
            handle = safe_open(file, 'pt')
            names = list(handle.keys())
            slices = {name: handle.get_slice(name) for name in names}
        except (OSError, SafetensorError) as e:
            raise damaged(file, e) from e
        if twice := sorted(handles.keys() & names):
            raise UserError(f'weights {file}: expected each tensor in one file, found {twice[0]} in two; copy the folder again')
        handles |= dict.fromkeys(names, handle)
        shapes |= {name: tuple(part.get_shape()) for name, part in slices.items()}
        types |= {name: str(part.get_dtype()) for name, part in slices.items()}
    if lost := sorted(promised - handles.keys()):
        raise UserError(f'weights {folder / INDEX}: expected {lost[0]} in its files, found none; copy the folder again')
    if other := sorted({kind for kind in types.values() if kind not in FLOATS}):
        told = f'expected floating-point weights ({", ".join(FLOATS)}), found {", ".join(other)}'
        raise UserError(f'weights {folder}: {told}; give the folder before it was quantised')
    return Stored(folder, shapes, types, handles)


def damaged(place: Path, fault: Exception) -> UserError:
    """The error that says what to do about files that do not read."""
    return UserError(
        f'weights {place}: expected a saved model, found files that do not read: {" ".join(str(fault).split())}; '
        'copy them again, or remove a damaged step-N folder to go on from the one before it'
    )


def weight_files(folder: Path) -> tuple[list[Path], set[str]]:
    """The weight files of a folder, and the tensors that its index promises; raises UserError where they are not there, or are pickles."""
    if (folder / ONE).is_file():
        return [folder / ONE], set()
    if not (folder / INDEX).is_file():
        refuse_pickles(folder)
        raise UserError(f'weights {folder}: expected {ONE} or {INDEX} with its files, found neither; copy the weights, too')
    try:
        placed = json.loads(read_regular(folder / INDEX, INDEX_BYTES))['weight_map']
        names = sorted(set(placed.values()))
        wrong = [name for name in names if Path(name).name != name or not name.endswith('.safetensors')]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        raise UserError(f'weights {folder / INDEX}: expected a weight_map of tensors to files, found a fault ({e}); copy it again') from e
    if wrong:
        raise UserError(f'weights {folder / INDEX}: expected names of safetensors files beside it, found {wrong[0]!r}; get the safetensors files')
    if lost := [name for name in names if not (folder / name).is_file()]:
        raise UserError(f'weights {folder}: expected {len(names)} files, found no {", ".join(lost[:3])}; copy what is missing')
    return [folder / name for name in names], set(placed)


def refuse_pickles(folder: Path) -> None:
    """Raises UserError for a folder whose weights are pickles: to read one may run what its maker wrote into it."""
    if pickles := sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES):
        raise UserError(
            f'weights {folder}: expected model.safetensors, found only {", ".join(pickles[:3])}, whose reading may run code; '
            "get the model's safetensors files, or convert these where you trust them: transformers' save_pretrained writes them"
        )
