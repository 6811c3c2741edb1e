"""Models to train or ask: from a preset's numbers with random weights, or from a folder of weights, strictly."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError, safe_open
from transformers import AutoTokenizer
from transformers.utils import logging as transformers_logging

from model.phantom.config import PhantomConfig
from model.phantom.eta import refuse_lost_eta, set_eta, stored_names
from model.phantom.modeling import DECODERS, PhantomForConditionalGeneration
from model.phantom.processor import PhantomProcessor
from model.phantom.tokens import IMAGE_TOKEN, make_byte_tokenizer, special_id
from schemas.errors import UserError

# Parameter names that a backbone without Phantom does not have (substrings).
PHANTOM_PARTS = ('xattn_', 'gating_phantom', 'eta_phantom')
# Backbones of the InternVL2 family have Phantom's layout but for the projector's name.
KEY_MAPPING = {r'^mlp1\.': 'vision_proj.'}
SHOWN_KEYS = 20  # of a list of wrong keys
PICKLES = ('.bin', '.pt', '.pth', '.ckpt', '.pkl')
# fields of a config.json that name classes or kernels to be fetched and run
CODE = {'auto_map', 'custom_generate', 'attn_implementation', '_attn_implementation', 'experts_implementation', '_experts_implementation'}


def build_scratch(model: dict[str, Any], *, seed: int) -> tuple[PhantomForConditionalGeneration, PhantomProcessor]:
    """A randomly initialised model with the byte-level tokenizer."""
    tokenizer = make_byte_tokenizer()
    config = make_config(
        'preset',
        **model,
        image_token_index=special_id(tokenizer, IMAGE_TOKEN),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    torch.manual_seed(seed)
    return stopping_at_turns(PhantomForConditionalGeneration(config), PhantomProcessor.for_model(tokenizer, config))


def make_config(where: str, **values: Any) -> PhantomConfig:
    """The configuration of these values; raises UserError, which begins with `where`."""
    try:
        config = PhantomConfig(**values)
        heads = [(config.vision_config, 'vision_config'), (config.get_text_config().to_dict(), 'llm_config')]
    except (StrictDataclassError, TypeError, ValueError) as e:
        raise UserError(f'{where}: expected the configuration of a model, found a fault: {" ".join(str(e).split())}') from e
    for section, name in heads:
        if section['hidden_size'] % section['num_attention_heads']:
            raise UserError(
                f'{where}: expected hidden_size to be a multiple of num_attention_heads in {name}, '
                f'found {section["hidden_size"]} and {section["num_attention_heads"]}'
            )
    return config


def load_model(
    folder: Path, *, fresh_phantom: bool = False, **config_overrides: Any
) -> tuple[PhantomForConditionalGeneration, PhantomProcessor]:
    """The model and processor of a folder, in float32; missing or unknown weights are a UserError that lists them.

    fresh_phantom: the folder is a backbone without Phantom, whose phantom parts start at random.
    config_overrides: fields of PhantomConfig to change, such as eta.
    """
    if not (folder / 'config.json').is_file():
        raise UserError(f'weights {folder}: expected config.json, found none; give a folder with a saved model')
    raw = read_released(folder / 'config.json')
    learned = raw.get('eta_learnable') is True
    refuse_pickles(folder)
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        config = complete_config(folder, raw, tokenizer, config_overrides)
        refuse_lost_eta(folder, stored_names(folder), learned=learned, config=config)
        with quiet_transformers():
            model, info = PhantomForConditionalGeneration.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                key_mapping=KEY_MAPPING,
                ignore_mismatched_sizes=True,  # reported below with the other faults, not one at a time
                output_loading_info=True,
            )
    except (OSError, SafetensorError, ValueError) as e:
        if 'trust_remote_code' in str(e):
            raise UserError(
                f'weights {folder}: expected a saved model, found one whose tokenizer is code of its own, which is never run; '
                'save its tokenizer as tokenizer.json, and take auto_map out of tokenizer_config.json'
            ) from e
        raise UserError(
            f'weights {folder}: expected a saved model, found files that do not read: {" ".join(str(e).split())}; '
            'copy them again, or remove a damaged step-N folder to go on from the one before it'
        ) from e
    if 'eta' in config_overrides:
        set_eta(model, config.eta)
    phantom = {name for name in model.state_dict() if any(part in name for part in PHANTOM_PARTS[:2])}
    # A checkpoint that lacks only some phantom parts is damaged, not a backbone.
    fresh = phantom if fresh_phantom and phantom <= set(info['missing_keys']) else set()
    refuse_wrong_keys(folder, info, fresh=fresh)
    return stopping_at_turns(model, PhantomProcessor.for_model(tokenizer, config))


def stopping_at_turns(
    model: PhantomForConditionalGeneration, processor: PhantomProcessor
) -> tuple[PhantomForConditionalGeneration, PhantomProcessor]:
    """Both, the model with generation defaults (saved as generation_config.json) that end an answer where the template ends a turn."""
    model.generation_config.eos_token_id = processor.stop_ids or model.generation_config.eos_token_id
    model.generation_config.pad_token_id = processor.pad_id
    return model, processor


@contextmanager
def quiet_transformers() -> Iterator[None]:
    """No progress bars and no load reports: what is wrong is said in one message."""
    level = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(level)
        transformers_logging.enable_progress_bar()


def refuse_pickles(folder: Path) -> None:
    """Raises UserError for a folder whose weights are pickles: to read one may run what its maker wrote into it."""
    if any(folder.glob('*.safetensors')):
        return
    if pickles := sorted(path.name for path in folder.iterdir() if path.suffix in PICKLES):
        raise UserError(
            f'weights {folder}: expected model.safetensors, found only {", ".join(pickles[:3])}, whose reading may run code; '
            "get the model's safetensors files, or convert these where you trust them: transformers' save_pretrained writes them"
        )


def read_released(file: Path) -> dict[str, Any]:
    """The fields of a config.json without those that name code to run; raises UserError."""
    try:
        raw = json.loads(file.read_text('utf-8'))
    except (ValueError, RecursionError) as e:
        raise UserError(f'{file}: expected JSON, found a fault ({e}); copy it again') from e
    if not isinstance(raw, dict) or 'llm_config' not in raw:
        found = sorted(raw)[:SHOWN_KEYS] if isinstance(raw, dict) else type(raw).__name__
        raise UserError(f'{file}: expected llm_config and vision_config, found {found}; give a Phantom or InternVL2 folder')
    sections = [raw, *(value for value in raw.values() if isinstance(value, dict))]
    for section in sections:
        for name in CODE & section.keys():
            del section[name]
    return raw


def complete_config(folder: Path, raw: dict[str, Any], tokenizer: Any, overrides: dict[str, Any]) -> PhantomConfig:
    """The folder's configuration; backbones that do not name an image token get the tokenizer's."""
    raw.setdefault('image_token_index', special_id(tokenizer, IMAGE_TOKEN))
    raw.setdefault('eos_token_id', tokenizer.eos_token_id)
    where = f'{folder / "config.json"}'
    ties = head_is_tied(folder, make_config(where, **raw).decoder_type)
    if ties is not None:
        raw['llm_config']['tie_word_embeddings'] = ties
    raw.pop('model_type', None)
    return make_config(where, **{**raw, **overrides})


def head_is_tied(folder: Path, decoder_type: str) -> bool | None:
    """Whether the safetensors files lack a head of their own; None where there are none to look into.

    The released wrapper loads a random head when a tied one was dropped on saving: it has no `get_output_embeddings`.
    """
    names: set[str] = set()
    for file in sorted(folder.glob('*.safetensors')):
        with safe_open(file, 'pt') as handle:
            names |= set(handle.keys())
    return None if not names else f'language_model.{DECODERS[decoder_type][1]}.weight' not in names


def refuse_wrong_keys(folder: Path, info: dict[str, Any], *, fresh: set[str]) -> None:
    """Raises a UserError that lists missing (but for `fresh` and a learnable eta), unknown and misshapen weights."""
    missing = {key for key in info['missing_keys'] if key not in fresh and 'eta_phantom' not in key}
    faults = [
        f'{kind} {len(keys)} weights: {", ".join(sorted(keys)[:SHOWN_KEYS])}{" ..." if len(keys) > SHOWN_KEYS else ""}'
        for kind, keys in (
            ('missing', missing),
            ('unknown', set(info['unexpected_keys'])),
            ('misshapen', {entry[0] for entry in info['mismatched_keys']}),
        )
        if keys
    ]
    if faults:
        raise UserError(f'weights {folder}: expected a Phantom checkpoint, found {"; ".join(faults)}')


