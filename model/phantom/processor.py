"""PhantomProcessor: image bytes and messages become ids and tiles, in the form the model was trained on."""

from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature, PreTrainedTokenizerBase
from transformers.processing_utils import ImagesKwargs, ProcessingKwargs, ProcessorMixin, TextKwargs

from model.phantom.carried import CarriesCode
from model.phantom.chat_template import jinja_template
from model.phantom.config import PhantomConfig
from model.phantom.pictures import picture_rows, pictures_of
from model.phantom.prompts import render_chat, special_pattern, split_prompt
from model.phantom.tiling import decode_image, normalise, split_tiles
from model.phantom.tokens import (
    IMAGE_TOKEN,
    TEMPLATES,
    ChatTemplate,
    Piece,
    Special,
    answer_pieces,
    encode_pieces,
    image_pieces,
    prompt_pieces,
    special_id,
)
from schemas.pixels import decode_rgb


class PhantomProcessorKwargs(ProcessingKwargs, total=False):
    """Generation wants the padding in front."""

    _defaults = {'text_kwargs': {'padding_side': 'left'}}


# What __call__ takes beside text and images.
PROCESSOR_SETTINGS = {'text_kwargs', 'images_kwargs', 'common_kwargs', *TextKwargs.__annotations__, *ImagesKwargs.__annotations__}


class PhantomProcessor(CarriesCode, ProcessorMixin):
    """Tokenizer, chat template and tiling of one model; AutoProcessor finds it by the model's type."""

    valid_processor_kwargs = PhantomProcessorKwargs
    image_token = IMAGE_TOKEN  # one of them stands for a picture in a prompt

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
        super().__init__(tokenizer, chat_template=chat_template or jinja_template(TEMPLATES[decoder_type]))
        self.decoder_type = decoder_type
        self.tile_px, self.tokens_per_tile = tile_px, tokens_per_tile
        self.min_tiles, self.max_tiles, self.use_thumbnail = min_tiles, max_tiles, use_thumbnail

    @classmethod
    def for_model(cls, tokenizer: PreTrainedTokenizerBase, config: PhantomConfig) -> 'PhantomProcessor':
        """The processor that fits a model's configuration; the tokenizer gets its chat template and side of padding too."""
        tokenizer.chat_template = jinja_template(TEMPLATES[config.decoder_type])
        tokenizer.padding_side = tokenizer.init_kwargs['padding_side'] = 'left'  # an answer goes on from a row's end; the second is saved
        return cls(tokenizer, **fields_of(config))

    @classmethod
    def get_processor_dict(cls, pretrained_model_name_or_path: Any, **kwargs) -> tuple[dict[str, Any], dict[str, Any]]:
        """The settings of a folder's processor_config.json; of a released folder, which has none, those that fit its config.json."""
        found, left = super().get_processor_dict(pretrained_model_name_or_path, **kwargs)
        if 'decoder_type' in found:
            return found, left
        where = {name: kwargs[name] for name in ('cache_dir', 'local_files_only', 'token', 'revision', 'subfolder') if name in kwargs}
        return fields_of(PhantomConfig.from_pretrained(pretrained_model_name_or_path, trust_remote_code=False, **where)), left

    @property
    def template(self) -> ChatTemplate:
        """What stands around a user's and an assistant's words."""
        return TEMPLATES[self.decoder_type]

    @property
    def pad_id(self) -> int:
        """The id that fills the shorter rows."""
        return self.tokenizer.pad_token_id

    @property
    def image_token_id(self) -> int:
        """The id that a picture's tokens have."""
        return special_id(self.tokenizer, IMAGE_TOKEN)

    @property
    def model_input_names(self) -> list[str]:
        """What __call__ returns."""
        return ['input_ids', 'attention_mask', 'pixel_values']

    @property
    def stop_ids(self) -> list[int]:
        """Ids that end an answer: the end of a turn, and the tokenizer's end of text."""
        ids = [self.tokenizer.get_vocab().get(self.template.turn_end), self.tokenizer.eos_token_id]
        return [index for index in dict.fromkeys(ids) if index is not None]

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

    def __call__(self, images: Any = None, text: str | Sequence[str] | None = None, **kwargs) -> BatchFeature:
        """Model inputs of prompts and pictures, as transformers' own vision-language processors take them.

        text: whole prompts, whose special tokens are read, with one `image_token` where a picture stands; of what `apply_chat_template`
        rendered the special tokens are the template's alone.
        images: opened pictures, bytes, arrays, paths, addresses: one, a flat list, or a list a prompt.
        Comes out: input_ids and attention_mask [B, S], as lists or as `return_tensors` says, and pixel_values float[N, 3, H, W] of all
        tiles in order. padding (left, unless `padding_side`), max_length, truncation and pad_to_multiple_of as a tokenizer has them.
        Raises ValueError for numbers of pictures and image tokens that differ, and BadImage.
        """
        if text is None:
            raise ValueError('text: expected prompts, found none; a picture alone is no prompt')
        texts = [text] if isinstance(text, str) else list(text)
        if not all(isinstance(prompt, str) for prompt in texts):
            raise ValueError(f'text: expected strings, found {type(texts[0]).__name__}; encode_questions takes questions and their pictures')
        settings = self._merge_kwargs(PhantomProcessorKwargs, **kwargs)['text_kwargs']
        special = special_pattern(self.tokenizer)
        prompts = [list(split_prompt(prompt, special)) for prompt in texts]
        tiles = [[self.tile(image) for image in row] for row in picture_rows(images, [row.count(IMAGE) for row in prompts])]
        rows = [
            encode_pieces(self.tokenizer, expand_images(row, [len(tile) * self.tokens_per_tile for tile in pictures]))
            for row, pictures in zip(prompts, tiles, strict=True)
        ]
        return self.batch(rows, tiles, settings)

    def encode_questions(self, questions: Sequence[str], images: Sequence[Sequence[bytes | Image.Image]]) -> BatchFeature:
        """Left padded input_ids and attention_mask long[B, S], and pixel_values float[N, 3, H, W] if there are images.

        `images` has one list a question; they stand in front of it, as the released templates have them.
        """
        tiles = [[self.tile(image) for image in row] for row in images]
        rows = [
            self.encode_prompt([user_message(question, len(row))], [len(tile) for tile in row])
            for question, row in zip(questions, tiles, strict=True)
        ]
        return self.batch(rows, tiles, {'padding': True, 'return_tensors': 'pt'})

    def batch(self, rows: list[list[int]], tiles: Sequence[Sequence[Tensor]], settings: dict[str, Any]) -> BatchFeature:
        """Rows of ids and their tiles as model inputs, padded as the settings of a tokenizer say."""
        most, side = settings.get('max_length'), settings.get('padding_side') or 'left'
        if settings.get('truncation') and most:
            rows = [self.cut(row, most) for row in rows]
        width = padded_width(rows, settings.get('padding'), most=most, multiple=settings.get('pad_to_multiple_of'))
        if width and self.pad_id is None:
            raise ValueError('padding: expected a tokenizer with a pad token, found none; set processor.tokenizer.pad_token')
        fill = [max(width - len(row), 0) for row in rows]
        left = side == 'left'
        data: dict[str, Any] = {
            'input_ids': [[self.pad_id] * n * left + row + [self.pad_id] * n * (not left) for row, n in zip(rows, fill, strict=True)],
            'attention_mask': [[0] * n * left + [1] * len(row) + [0] * n * (not left) for row, n in zip(rows, fill, strict=True)],
        }
        if flat := [tile for row in tiles for tile in row]:
            data['pixel_values'] = torch.cat(flat)
        return BatchFeature(data, tensor_type=settings.get('return_tensors'))

    def cut(self, row: list[int], most: int) -> list[int]:
        """The first `most` ids; raises ValueError where an image token would go, since tiles and tokens must agree."""
        if self.image_token_id in row[most:]:
            raise ValueError(f'max_length: expected room for the image tokens, found {most} of {len(row)} tokens; raise it or leave pictures out')
        return row[:most]

    def apply_chat_template(
        self,
        conversation: Sequence[Any],
        chat_template: str | None = None,
        *,
        tokenize: bool = False,
        return_dict: bool = False,
        return_tensors: str | None = None,
        return_assistant_tokens_mask: bool = False,
        processor_kwargs: dict[str, Any] | None = None,
        **kwargs,
    ) -> Any:
        """A conversation, or a list of them, as a prompt, or with `tokenize` as model inputs, its pictures read.

        A text that spells special tokens stays text, also where the rendered prompt is given to the processor later. Settings of the
        processor, such as padding, are taken in `processor_kwargs` and beside it.
        """
        if return_assistant_tokens_mask:
            raise ValueError('return_assistant_tokens_mask: expected False; the chat template does not mark generations')
        batched = isinstance(conversation[0], list | tuple) or hasattr(conversation[0], 'messages')
        chats = [getattr(chat, 'messages', chat) for chat in (conversation if batched else [conversation])]
        own = {name: kwargs.pop(name) for name in sorted(PROCESSOR_SETTINGS & kwargs.keys())}
        special = special_pattern(self.tokenizer)

        def render(messages: list[dict]) -> str:
            return super(PhantomProcessor, self).apply_chat_template(messages, chat_template, tokenize=False, **kwargs)

        prompts = [render_chat(render, chat, special) for chat in chats]
        if not tokenize:
            return prompts if batched else prompts[0]
        settings = {**own, **(processor_kwargs or {})}
        if return_tensors is not None:
            settings['return_tensors'] = return_tensors
        inputs = self(text=prompts, images=[pictures_of(chat) for chat in chats], **settings)
        return inputs if return_dict else inputs['input_ids']


def fields_of(config: PhantomConfig) -> dict[str, Any]:
    """The processor's settings that fit a model's configuration."""
    return {
        'decoder_type': config.decoder_type,
        'tile_px': config.vision_config['image_size'],
        'tokens_per_tile': config.tokens_per_tile,
        'min_tiles': config.min_tiles,
        'max_tiles': config.max_tiles,
        'use_thumbnail': config.use_thumbnail,
    }


IMAGE = Special(IMAGE_TOKEN)


def expand_images(pieces: Sequence[Piece], tokens: Sequence[int]) -> list[Piece]:
    """The pieces with each image token as what the picture becomes; one number of tokens for each."""
    left = iter(tokens)
    return [part for piece in pieces for part in (image_pieces(next(left)) if piece == IMAGE else [piece])]


def padded_width(rows: Sequence[Sequence[int]], padding: Any, *, most: int | None, multiple: int | None) -> int:
    """The tokens that shorter rows are filled up to; 0 without padding."""
    padding = getattr(padding, 'value', padding)
    if padding in (None, False, 'do_not_pad'):
        return 0
    width = most if padding == 'max_length' and most else max(map(len, rows), default=0)
    return -(-width // multiple) * multiple if multiple else width


def user_message(question: str, images: int) -> dict:
    """A user's message in TRL's conversational form: the images, then the question."""
    parts = [{'type': 'image', 'text': None}] * images + [{'type': 'text', 'text': question}]
    return {'role': 'user', 'content': parts}
