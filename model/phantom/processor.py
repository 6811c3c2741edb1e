"""PhantomProcessor: image bytes and messages become ids and tiles, in the form the model was trained on."""

from collections.abc import Sequence

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoProcessor, BatchEncoding, PreTrainedTokenizerBase, ProcessorMixin

from model.phantom.config import PhantomConfig
from model.phantom.tiling import decode_image, normalise, split_tiles
from model.phantom.tokens import TEMPLATES, ChatTemplate, answer_pieces, encode_pieces, prompt_pieces
from schemas.pixels import decode_rgb


class PhantomProcessor(ProcessorMixin):
    """Tokenizer, chat template and tiling of one model; AutoProcessor finds it by the model's type."""

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        decoder_type: str = 'qwen2',  # not keyword-only: ProcessorMixin restores positional names alone
        tile_px: int = 448,
        tokens_per_tile: int = 256,
        min_tiles: int = 1,
        max_tiles: int = 6,
        use_thumbnail: bool = True,
        chat_template: str | None = None,
    ):
        super().__init__(tokenizer, chat_template=chat_template)
        self.decoder_type = decoder_type
        self.tile_px, self.tokens_per_tile = tile_px, tokens_per_tile
        self.min_tiles, self.max_tiles, self.use_thumbnail = min_tiles, max_tiles, use_thumbnail

    @classmethod
    def for_model(cls, tokenizer: PreTrainedTokenizerBase, config: PhantomConfig) -> 'PhantomProcessor':
        """The processor that fits a model's configuration."""
        return cls(
            tokenizer,
            decoder_type=config.decoder_type,
            tile_px=config.vision_config['image_size'],
            tokens_per_tile=config.tokens_per_tile,
            min_tiles=config.min_tiles,
            max_tiles=config.max_tiles,
            use_thumbnail=config.use_thumbnail,
        )

    @property
    def template(self) -> ChatTemplate:
        """What stands around a user's and an assistant's words."""
        return TEMPLATES[self.decoder_type]

    @property
    def pad_id(self) -> int:
        """The id that fills the shorter rows."""
        return self.tokenizer.pad_token_id

    def tile(self, image: bytes | Image.Image) -> Tensor:
        """Tiles float[N, 3, H, W] of one image, or of bytes; raises BadImage."""
        if isinstance(image, bytes):
            image = decode_image(image)
        tiles = split_tiles(
            decode_rgb(image),
            tile=self.tile_px,
            min_tiles=self.min_tiles,
            max_tiles=self.max_tiles,
            thumbnail=self.use_thumbnail,
        )
        return normalise(tiles)

    def encode_prompt(self, messages: Sequence[dict], tile_counts: Sequence[int]) -> list[int]:
        """Ids of the conversation up to the open assistant's turn; one tile count for each image part."""
        tokens = [count * self.tokens_per_tile for count in tile_counts]
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


AutoProcessor.register(PhantomConfig, PhantomProcessor, exist_ok=True)
