"""Models to train: from a preset's numbers with random weights, or from a checkpoint."""

from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as transformers_logging

from model.config import PhantomConfig
from model.modeling import PhantomForConditionalGeneration
from model.processor import PhantomProcessor
from model.settings import TrainSettings
from model.tokens import IMAGE_TOKEN, make_byte_tokenizer, special_id
from schemas.errors import UserError


def build_scratch(model: dict[str, Any], *, seed: int) -> tuple[PhantomForConditionalGeneration, PhantomProcessor]:
    """A randomly initialised model with the byte-level tokenizer."""
    tokenizer = make_byte_tokenizer()
    config = PhantomConfig(
        **model,
        image_token_index=special_id(tokenizer, IMAGE_TOKEN),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    return PhantomForConditionalGeneration(config), PhantomProcessor(tokenizer, config)


def load_model(folder: Path) -> tuple[PhantomForConditionalGeneration, PhantomProcessor]:
    """The model and processor of a checkpoint folder, in float32."""
    transformers_logging.disable_progress_bar()
    model = PhantomForConditionalGeneration.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
    return model, PhantomProcessor.from_pretrained(folder)


def choose_trainable(model: torch.nn.Module, settings: TrainSettings) -> list[str]:
    """Freezes what the settings do not name; the names of what is left to train."""
    everything = 'all' in settings.trainable
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(everything or any(part in name for part in settings.trainable))
    names = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    if not names:
        raise UserError(f'trainable: expected parts of parameter names, found none that match {settings.trainable}')
    return names
