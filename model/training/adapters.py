"""A run's adapters in PEFT's own layout: what `PeftModel.from_pretrained` puts on the weights that the run started from."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from peft import LoraConfig
from safetensors.torch import save_file
from torch import Tensor, nn

from model.training.lora import ADAPTER
from schemas.publish import publish_bytes

FOLDER = 'adapter'  # below a checkpoint; beside its merged weights PEFT's files would make transformers add the adapters twice
PREFIX = 'base_model.model.'  # PEFT's, of every key

CARD = """\
---
base_model: {base}
library_name: peft
---
LoRA adapters of a Phantom model, and the parts that were trained beside them, for the weights named above. Load those by
`AutoModelForImageTextToText.from_pretrained({base!r}, eta={eta!r}, eta_learnable={learnable})`, then put the adapters on by
`PeftModel.from_pretrained(base, 'adapter')`.
"""


def save_adapters(
    folder: Path, model: nn.Module, weights: dict[str, Tensor], *, trained: Sequence[str], rank: int, alpha: int
) -> None:
    """Writes adapter_config.json, adapter_model.safetensors and a card; `weights` are the model's state as it stands, of which
    `trained` were trained.

    Layers trained whole are PEFT's `modules_to_save`. A trained parameter that is no layer's own (eta_phantom) is kept under its name, by
    which PEFT loads it into the model itself.
    """
    lora = [name for name in trained if '.lora_' in name]
    owners = {name: name.rpartition('.')[0] for name in trained if '.lora_' not in name}
    whole = {owner for owner in owners.values() if not list(model.get_submodule(owner).children())}
    kept = [name for name in weights if name.rpartition('.')[0] in whole]
    kept += [name for name, owner in owners.items() if owner not in whole]
    kept += [name for name in weights if 'eta_phantom' in name and name not in kept]  # a run may have set what it does not train
    tensors = {PREFIX + name.replace(f'.{ADAPTER}.', '.'): weights[name].contiguous() for name in [*lora, *kept]}
    said = {name: json.dumps(getattr(model.config, name)) for name in ('eta', 'eta_learnable')}  # `phantom serve` reads it
    folder.mkdir(parents=True)
    save_file({name: tensor.to(torch.float32) for name, tensor in tensors.items()}, folder / 'adapter_model.safetensors', {'format': 'pt', **said})
    targets = sorted({name.partition('.lora_')[0] for name in lora})
    base = model.name_or_path or None
    LoraConfig(
        r=rank,
        lora_alpha=alpha,
        target_modules=targets,
        modules_to_save=sorted(whole) or None,
        base_model_name_or_path=base,
        task_type='CAUSAL_LM',
        inference_mode=True,
    ).save_pretrained(folder)
    eta, learnable = model.config.eta, model.config.eta_learnable
    publish_bytes(folder / 'README.md', CARD.format(base=base or 'BASE', eta=eta, learnable=learnable).encode())
