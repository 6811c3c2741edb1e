"""Pictures of a request as the tiles and tokens that the model was trained on."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from transformers import BatchFeature
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalKwargsItems
from vllm.multimodal.media import MediaWithBytes
from vllm.multimodal.parse import ImageProcessorItems, MultiModalDataItems, MultiModalDataParser
from vllm.multimodal.processing import (
    BaseDummyInputsBuilder,
    BaseMultiModalProcessor,
    BaseProcessingInfo,
    PromptReplacement,
    PromptUpdateDetails,
)

from model.phantom.processor import PhantomProcessor
from model.phantom.tokens import IMAGE_END, IMAGE_START, IMAGE_TOKEN, special_id
from schemas.pixels import read_rgb


class ShownPictures(ImageProcessorItems):
    """Pictures decoded from their own bytes, as curation and training saw them; vLLM's decoding differs for some (16 bits, palettes, CMYK)."""

    def _unwrap(self, item: Any) -> Any:
        return read_rgb(item.original_bytes) if isinstance(item, MediaWithBytes) else super()._unwrap(item)


class PictureParser(MultiModalDataParser):
    """vLLM's own, but for who decodes."""

    def _parse_image_data(self, data: Any) -> Any:
        items = super()._parse_image_data(data)
        return ShownPictures(items.data) if isinstance(items, ImageProcessorItems) else items


class PhantomInfo(BaseProcessingInfo):
    """Limits, and the project's own processor."""

    def get_supported_mm_limits(self) -> Mapping[str, int | None]:
        """Any number of images."""
        return {'image': None}

    def get_data_parser(self) -> MultiModalDataParser:
        """Who makes pictures of what came."""
        return PictureParser(expected_hidden_size=self._get_expected_hidden_size(), allow_missing_mm_embeddings=self.allow_missing_mm_embeddings)

    def get_hf_processor(self, **_: object) -> PhantomProcessor:
        """The processor that the checkpoint's numbers make."""
        return PhantomProcessor.for_model(self.get_tokenizer(), self.get_hf_config())

    @cached_property
    def processor(self) -> PhantomProcessor:
        """The same, made once."""
        return self.get_hf_processor()

    def get_mm_max_tokens_per_item(self, seq_len: int, mm_counts: Mapping[str, int]) -> Mapping[str, int]:
        """The tokens of the widest image: all tiles, the thumbnail, a start and an end."""
        config = self.get_hf_config()
        tiles = config.max_tiles + (config.use_thumbnail and config.max_tiles > 1)
        return {'image': tiles * config.tokens_per_tile + 2}


class PhantomDummyInputs(BaseDummyInputsBuilder[PhantomInfo]):
    """The widest image, by which vLLM measures memory."""

    def get_dummy_text(self, mm_counts: Mapping[str, int]) -> str:
        """One image token for an image."""
        return IMAGE_TOKEN * mm_counts.get('image', 0)

    def get_dummy_mm_data(self, seq_len: int, mm_counts: Mapping[str, int], mm_options: Mapping) -> dict[str, list[Image.Image]]:
        """Images as wide as all tiles in a row."""
        config = self.info.get_hf_config()
        side = config.vision_config['image_size']
        wanted = {'width': side * config.max_tiles, 'height': side, 'num_images': mm_counts.get('image', 0)}
        return {'image': self._get_dummy_images(**wanted, overrides=mm_options.get('image'))}


class PhantomMultiModalProcessor(BaseMultiModalProcessor[PhantomInfo]):
    """One image token of the prompt becomes start, the tiles' tokens, end."""

    def _call_hf_processor(self, hf_data: Mapping[str, Any], hf_kwargs: Mapping[str, object]) -> BatchFeature:
        processor = self.info.processor
        tiles = [processor.tile(image) for image in hf_data['images']]
        dtype = self.info.ctx.model_config.dtype
        return BatchFeature({'pixel_values': torch.cat(tiles).to(dtype), 'tile_counts': torch.tensor([len(tile) for tile in tiles])})

    def _get_mm_fields_config(self, hf_inputs: BatchFeature, hf_processor_mm_kwargs: Mapping[str, object]) -> Mapping[str, MultiModalFieldConfig]:
        counts = hf_inputs.get('tile_counts', torch.empty(0))
        return {
            'pixel_values': MultiModalFieldConfig.flat_from_sizes('image', counts),
            'tile_counts': MultiModalFieldConfig.batched('image', keep_on_cpu=True),
        }

    def _get_prompt_updates(
        self, mm_items: MultiModalDataItems, hf_processor_mm_kwargs: Mapping[str, object], out_mm_kwargs: MultiModalKwargsItems
    ) -> Sequence[PromptReplacement]:
        tokenizer = self.info.get_tokenizer()
        start, token, end = (special_id(tokenizer, name) for name in (IMAGE_START, IMAGE_TOKEN, IMAGE_END))
        counts = out_mm_kwargs.get_data().get('tile_counts', [])
        width = self.info.get_hf_config().tokens_per_tile

        def tokens(index: int) -> PromptUpdateDetails:
            return PromptUpdateDetails.select_token_id([start, *[token] * (int(counts[index]) * width), end], token)

        return [PromptReplacement(modality='image', target=[token], replacement=tokens)]
