"""Tiny checkpoints of each decoder, the questions and pictures that both sides are asked, and what the project itself computes."""

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw

from model.phantom.build import build_scratch, load_model
from model.training.settings import load_preset

NEW = 16  # tokens of an answer
DECODERS: dict[str, dict[str, Any]] = {
    'qwen2': {'architectures': ['Qwen2ForCausalLM']},
    'qwen3': {'architectures': ['Qwen3ForCausalLM'], 'head_dim': 16},
    'internlm2': {'architectures': ['InternLM2ForCausalLM'], 'rms_norm_eps': 1e-5},
    'phi3': {
        'architectures': ['Phi3ForCausalLM'], 'num_key_value_heads': 8, 'rms_norm_eps': 1e-5, 'pad_token_id': 0, 'eos_token_id': 257,
        'bos_token_id': 256, 'vocab_size': 272,
    },
}  # fmt: skip
PHI3_SPECIALS = ['<|user|>', '<|assistant|>', '<|system|>', '<|end|>']
SAID = 'what colour is the second shape from the left and how many of them are red or larger than the blue circle'
WORDS = SAID.split()
SPELT = 'Is <|im_end|> the end, <|im_start|>system a start, <IMG_CONTEXT> or <img></img> a picture, <|user|> or <|end|> or <pad> a word?'
SIZES = [(112, 112), (300, 110), (500, 160), (640, 480)]
Row = dict[str, Any]


def save_tiny(folder: Path, decoder: str = 'qwen2', *, heads: int = 8, **fields: Any) -> Path:
    """A folder with random weights, whose norms, biases and gates are away from their neutral start, and whose phantom dimension acts."""
    section = load_preset('tiny').model
    values = {**section, 'eta': 1.0, 'eta_learnable': decoder == 'qwen2', 'max_tiles': 4, 'use_thumbnail': True, **fields}
    values['llm_config'] = {**section['llm_config'], **DECODERS[decoder], 'num_hidden_layers': 2, 'num_attention_heads': heads}
    model, processor = build_scratch(values, seed=7)
    torch.manual_seed(1)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            if weight.dim() == 1 or 'gating' in key:
                weight.add_(0.3 * torch.randn_like(weight))
    if decoder == 'phi3':
        processor.tokenizer.add_special_tokens({'additional_special_tokens': PHI3_SPECIALS})
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def questions() -> list[str]:
    """Texts of 3 to 400 characters."""
    rng = random.Random(3)
    return [' '.join(rng.choice(WORDS) for _ in range(count)) for count in (1, 3, 8, 8, 20, 45, 75)]


def picture(seed: int, form: str = 'PNG', mode: str = 'RGB') -> bytes:
    """A file of coloured ellipses; a JPEG lies on its side and says so."""
    rng = random.Random(seed)
    size = SIZES[seed % len(SIZES)]
    image = Image.new('RGB', size, (rng.randrange(256), 250, 240))
    draw = ImageDraw.Draw(image)
    for _ in range(6):
        x, y = rng.randrange(size[0]), rng.randrange(size[1])
        draw.ellipse((x, y, x + size[0] // 3, y + size[1] // 4), fill=tuple(rng.randrange(256) for _ in range(3)))
    buffer, exif = io.BytesIO(), Image.Exif()
    if form == 'JPEG':
        exif[0x0112] = 6
    if mode == 'I;16':  # all of their range, which many decoders cut off at 255
        image = Image.fromarray(np.asarray(image.convert('L')).astype(np.uint16) * 257)
    image.convert(mode).save(buffer, form, **({'exif': exif} if form == 'JPEG' else {}))
    return buffer.getvalue()


def cases() -> list[Row]:
    """What is asked: texts, one that spells special tokens, pictures of every shape, two at once, and files that decoders disagree on."""
    texts = questions()
    rows = [{'text': text, 'images': []} for text in [*texts, SPELT]]
    rows += [{'text': texts[seed], 'images': [picture(seed)]} for seed in range(len(SIZES))]
    rows += [{'text': 'And these two?', 'images': [picture(1), picture(3)]}]
    return rows + [{'text': 'This one?', 'images': [image]} for image in (picture(2, 'JPEG'), picture(0, mode='I;16'), picture(1, mode='P'))]


@torch.no_grad()
def answered(folder: Path, rows: list[Row], *, dtype: torch.dtype = torch.float32, adapter: Any = None) -> list[Row]:
    """The rows with the project's own prompt ids, greedy ids and log-probabilities of all of them."""
    model, processor = load_model(folder)
    model = (adapter(model) if adapter else model).to(dtype).eval()
    model.generation_config.eos_token_id = None
    done = []
    for row in rows:
        inputs = getattr(processor, 'encode_questions', processor)([row['text']], [row['images']])
        ids = model.generate(**inputs, do_sample=False, max_new_tokens=NEW)
        count = inputs['input_ids'].shape[1]
        logits = model(input_ids=ids, pixel_values=inputs.get('pixel_values')).logits[0].float().log_softmax(-1)
        scores = logits[:-1].gather(1, ids[0, 1:, None])[:, 0].tolist()
        done.append({**row, 'ids': ids[0, :count].tolist(), 'new': ids[0, count:].tolist(), 'logprobs': scores[: count - 1], 'new_logprobs': scores[count - 1 :]})
    return done
