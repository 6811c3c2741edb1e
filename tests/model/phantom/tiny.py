"""A tiny model with random weights and a strong phantom dimension, and pictures to show it."""

from pathlib import Path

import torch
from PIL import Image

from model.phantom.build import build_scratch
from model.phantom.modeling import PhantomForConditionalGeneration
from model.phantom.processor import PhantomProcessor
from model.training.settings import load_preset


def make_tiny(**fields) -> tuple[PhantomForConditionalGeneration, PhantomProcessor]:
    """Model and processor; pictures become one to three tiles of 16 tokens."""
    section = {**load_preset('tiny').model, 'eta': 1.0, 'max_tiles': 2, 'use_thumbnail': True, **fields}
    model, processor = build_scratch(section, seed=1)
    return model.eval(), processor


def save_tiny(folder: Path, **fields) -> Path:
    """The folder of such a model."""
    for part in make_tiny(**fields):
        part.save_pretrained(folder)
    return folder


def picture(seed: int = 0, size: tuple[int, int] = (60, 40)) -> Image.Image:
    """Noise of `size` pixels, width first."""
    noise = torch.randint(0, 255, (size[1], size[0], 3), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)
    return Image.fromarray(noise.numpy())


def asked(text: str, *pictures: Image.Image) -> list[dict]:
    """One question in messages, the pictures in front."""
    return [{'role': 'user', 'content': [*({'type': 'image', 'image': image} for image in pictures), {'type': 'text', 'text': text}]}]
