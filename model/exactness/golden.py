"""A golden folder: what the released inference code computed, and our model with its weights.

It holds config.json, model.safetensors, out_<variant>.safetensors, extra.safetensors and meta.json; `common/` beside it
holds inputs and vision weights.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import load_file
from torch import Tensor

from model.phantom.config import RELEASED_ETA, PhantomConfig
from model.phantom.modeling import PhantomForConditionalGeneration
from schemas.errors import UserError

VARIANTS = {'eta1': 1.0, 'eta1e-4': RELEASED_ETA, 'off': None}


@dataclass(frozen=True, slots=True)
class Golden:
    """An opened golden folder."""

    folder: Path
    config: dict[str, Any]
    meta: dict[str, Any]
    weights: dict[str, Tensor]
    inputs: dict[str, Tensor]

    @classmethod
    def open(cls, folder: Path) -> 'Golden':
        """The folder's description and weights."""
        common = folder.parent / 'common'
        needed = (folder / 'config.json', folder / 'meta.json', common / 'inputs.safetensors')
        if missing := [str(path) for path in needed if not path.is_file()]:
            raise UserError(f'golden folder {folder}: expected {missing}, found none; point at .../golden/arch_*')
        return cls(
            folder,
            json.loads((folder / 'config.json').read_text('utf-8')),
            json.loads((folder / 'meta.json').read_text('utf-8')),
            load_file(folder / 'model.safetensors') | load_file(common / 'vision.safetensors'),
            load_file(common / 'inputs.safetensors'),
        )

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of one file, none where a smaller copy of the folder left it out."""
        path = self.folder / name
        return load_file(path) if path.is_file() else {}

    def model(
        self,
        variant: str,
        *,
        llm: dict | None = None,
        vision: dict | None = None,
        spare: dict[str, Tensor] | None = None,
    ) -> PhantomForConditionalGeneration:
        """The model of one variant with config fields replaced, loaded strictly; `spare` weights go where they fit."""
        eta = VARIANTS[variant]
        raw = {**self.config, 'llm_config': {**self.config['llm_config'], **(llm or {})}}
        raw['vision_config'] = {**raw['vision_config'], **(vision or {})}
        model = PhantomForConditionalGeneration(PhantomConfig(**raw, phantom=eta is not None, eta=eta or 0.0))
        shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
        fitting = {name: tensor for name, tensor in (spare or {}).items() if shapes.get(name) == tensor.shape}
        state = {**self.weights, **fitting}
        if eta is None:
            state = {name: tensor for name, tensor in state.items() if 'phantom' not in name}
        if vision:  # these variants have no biases
            state = {name: tensor for name, tensor in state.items() if name in shapes}
        model.load_state_dict(state, strict=True)
        return model.eval()

    def case(self, name: str) -> dict[str, Tensor]:
        """Inputs of one case, without the phantom position: the model finds it in the attention mask."""
        fields = {key.split('.')[1]: tensor for key, tensor in self.inputs.items() if key.startswith(f'{name}.')}
        return {key: tensor for key, tensor in fields.items() if key != 'phantom_position'}
