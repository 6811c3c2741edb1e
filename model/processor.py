"""PhantomProcessor: image bytes and messages become ids and tiles, in the form the model was trained on."""

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, BatchEncoding, PreTrainedTokenizerBase

from model.config import PhantomConfig
from model.tiling import decode_image, normalise, split_tiles
from model.tokens import TEMPLATES, answer_pieces, encode_pieces, prompt_pieces


class PhantomProcessor:
    """Tokenizer, chat template and tiling of one model."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, config: PhantomConfig):
        self.tokenizer = tokenizer
        self.config = config
        self.template = TEMPLATES[config.decoder_type]

    @classmethod
    def from_pretrained(cls, folder: str | Path) -> 'PhantomProcessor':
        """The processor of a saved checkpoint folder."""
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        return cls(tokenizer, PhantomConfig.from_pretrained(folder, local_files_only=True))

    def save_pretrained(self, folder: str | Path) -> None:
        """Writes the tokenizer; the tiling numbers are in the model's config.json."""
        self.tokenizer.save_pretrained(folder)

    @property
    def pad_id(self) -> int:
        """The id that fills the shorter rows."""
        return self.tokenizer.pad_token_id

    def tile(self, image: bytes | Image.Image) -> Tensor:
        """Tiles float[N, 3, H, W] of one image, or of bytes; raises BadImage."""
        if isinstance(image, bytes):
            image = decode_image(image)
        config = self.config
        tiles = split_tiles(
            image.convert('RGB'),
            tile=config.vision_config['image_size'],
            min_tiles=config.min_tiles,
            max_tiles=config.max_tiles,
            thumbnail=config.use_thumbnail,
        )
        return normalise(tiles)

    def encode_prompt(self, messages: Sequence[dict], tile_counts: Sequence[int]) -> list[int]:
        """Ids of the conversation up to the open assistant's turn; one tile count for each image part."""
        tokens = [count * self.config.tokens_per_tile for count in tile_counts]
        return encode_pieces(self.tokenizer, prompt_pieces(self.template, messages, tokens))

    def encode_answer(self, messages: Sequence[dict]) -> list[int]:
        """Ids of the answer and the end token."""
        return encode_pieces(self.tokenizer, answer_pieces(self.template, messages))

    def __call__(self, questions: Sequence[str], images: Sequence[Sequence[bytes | Image.Image]]) -> BatchEncoding:
        """Left padded input_ids and attention_mask long[B, S], and pixel_values float[N, 3, H, W] if there are images.

        `images` has one list a question; they stand in front of it, as the released templates have them.
        """
        tiles = [[self.tile(image) for image in row] for row in images]
        rows = [
            self.encode_prompt([user_message(question, len(row))], [len(tile) for tile in row])
            for question, row in zip(questions, tiles, strict=True)
        ]
        length = max(len(row) for row in rows)
        ids = torch.tensor([[self.pad_id] * (length - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows])
        batch = BatchEncoding({'input_ids': ids, 'attention_mask': mask})
        if flat := [tile for row in tiles for tile in row]:
            batch['pixel_values'] = torch.cat(flat)
        return batch


def user_message(question: str, images: int) -> dict:
    """A user's message in TRL's conversational form: the images, then the question."""
    parts = [{'type': 'image', 'text': None}] * images + [{'type': 'text', 'text': question}]
    return {'role': 'user', 'content': parts}
