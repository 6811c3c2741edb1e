"""Answers from a checkpoint."""

from pathlib import Path

import torch

from model.phantom.build import load_model
from model.training.checkpoint import find_checkpoint
from schemas.errors import UserError
from schemas.pixels import BadImage


def ask(checkpoint: Path, image: Path | None, question: str, *, max_new_tokens: int = 128, beams: int = 1) -> str:
    """The model's answer to a question about an image file (or about none), decoded greedily or by beams."""
    if image is not None and not Path(image).is_file():
        raise UserError(f'image {image}: expected a file, found none; give the path of a picture')
    model, processor = load_model(find_checkpoint(Path(checkpoint)))
    model.eval()
    try:
        inputs = processor.encode_questions([question], [[Path(image).read_bytes()] if image is not None else []])
    except BadImage as e:
        raise UserError(f'image {image}: {e}; give a PNG or JPEG picture') from e
    with torch.inference_mode():
        ids = model.generate(
            **inputs,
            max_new_tokens=max_new_tokens,
            num_beams=beams,
            do_sample=False,
            eos_token_id=processor.tokenizer.convert_tokens_to_ids(processor.template.turn_end),
            pad_token_id=processor.pad_id,
        )
    return processor.tokenizer.decode(ids[0, inputs['input_ids'].shape[1] :], skip_special_tokens=True).strip()
