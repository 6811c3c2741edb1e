"""Models to train or ask: from a preset's numbers with random weights, or from a folder of weights, strictly."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from model.phantom.account import PHANTOM_PARTS as PHANTOM_PARTS  # also for those who build on this file
from model.phantom.account import SHOWN_KEYS, Account, make_account
from model.phantom.config import PhantomConfig
from model.phantom.eta import refuse_lost_eta, set_eta
from model.phantom.layouts import is_native, our_fields, sources
from model.phantom.modeling import DECODERS, PhantomForConditionalGeneration
from model.phantom.processor import PhantomProcessor
from model.phantom.stored import damaged, open_weights
from model.phantom.tokenizers import load_tokenizer, read_json
from model.phantom.tokens import IMAGE_TOKEN, TEMPLATES, make_byte_tokenizer, needed_tokens, special_id
from schemas.errors import UserError

MOST_LAYERS = 1000  # lists of layers are made before weights are counted; the largest open decoder has 126
MOST_TILES = 100  # of a picture: all grids of so many are tried; InternVL has up to 40
# fields of a config.json that name classes or kernels to be fetched and run
CODE = {'auto_map', 'custom_generate', 'attn_implementation', '_attn_implementation', 'experts_implementation', '_experts_implementation'}


def build_scratch(model: dict[str, Any], *, seed: int) -> tuple[PhantomForConditionalGeneration, PhantomProcessor]:
    """A randomly initialised model with the byte-level tokenizer."""
    config, tokenizer = start_from_preset(model)
    torch.manual_seed(seed)
    return stopping_at_turns(PhantomForConditionalGeneration(config), PhantomProcessor.for_model(tokenizer, config))


def start_from_preset(model: dict[str, Any]) -> tuple[PhantomConfig, PreTrainedTokenizerBase]:
    """The configuration of a preset's model section, and the byte-level tokenizer."""
    tokenizer = make_byte_tokenizer()
    ids = {
        'image_token_index': special_id(tokenizer, IMAGE_TOKEN),
        'eos_token_id': tokenizer.eos_token_id,
        'pad_token_id': tokenizer.pad_token_id,
    }
    return make_config('preset', **model, **ids), tokenizer


def make_config(where: str, **values: Any) -> PhantomConfig:
    """The configuration of these values; raises UserError, which begins with `where`."""
    try:
        config = PhantomConfig(**values)
        heads = [(config.vision_config, 'vision_config'), (config.get_text_config().to_dict(), 'llm_config')]
    except (StrictDataclassError, AttributeError, KeyError, TypeError, ValueError) as e:
        raise UserError(f'{where}: expected the configuration of a model, found a fault: {" ".join(str(e).split())}') from e
    for fault in other_networks(config):
        raise UserError(f'{where}: {fault}')
    for section, name in heads:
        if bad := [key for key in ('hidden_size', 'num_attention_heads') if type(section.get(key)) is not int or section[key] < 1]:
            raise UserError(f'{where}: expected {bad[0]} of {name} to be a whole number above 0, found {section.get(bad[0])!r}')
        if not section.get('head_dim') and section['hidden_size'] % section['num_attention_heads']:
            raise UserError(
                f'{where}: expected hidden_size to be a multiple of num_attention_heads in {name}, '
                f'found {section["hidden_size"]} and {section["num_attention_heads"]}'
            )
    return config


def other_networks(config: PhantomConfig) -> Iterator[str]:
    """What a configuration says that our network would not compute, or not in a lifetime; nothing else looks at these fields."""
    for name, known in (('hidden_act', ('gelu',)), ('norm_type', ('layer_norm', 'rms_norm'))):
        if (found := config.vision_config[name]) not in known:
            yield f'expected {name} of vision_config to be {" or ".join(known)}, found {found!r}'
    if not 1 <= config.min_tiles <= config.max_tiles <= MOST_TILES:
        yield f'expected 1 to {MOST_TILES} tiles, found min_tiles {config.min_tiles} and max_tiles {config.max_tiles}'


@dataclass(frozen=True, slots=True)
class Start:
    """A folder to start from, looked at but not read: what its files would become."""

    config: PhantomConfig
    tokenizer: PreTrainedTokenizerBase
    account: Account


def load_model(
    folder: Path, *, fresh_phantom: bool = False, **config_overrides: Any
) -> tuple[PhantomForConditionalGeneration, PhantomProcessor]:
    """The model and processor of a folder, in float32; missing or unknown weights are a UserError that lists them.

    Takes a checkpoint of ours, and as published a Phantom, an InternVL of 1.5 or younger (its own layout or transformers'); no code of a
    folder runs. Whatever layout it had, the model saves ours.
    fresh_phantom: the folder is a backbone without Phantom, whose phantom parts start at random.
    config_overrides: fields of PhantomConfig to change, such as eta.
    """
    start = look_at(folder, fresh_phantom=fresh_phantom, **config_overrides)
    model = read_weights(start)
    if 'eta' in config_overrides:
        set_eta(model, start.config.eta)
    return stopping_at_turns(model, PhantomProcessor.for_model(start.tokenizer, start.config))


def stopping_at_turns(
    model: PhantomForConditionalGeneration, processor: PhantomProcessor
) -> tuple[PhantomForConditionalGeneration, PhantomProcessor]:
    """Both, the model with generation defaults (saved as generation_config.json) that end an answer where the template ends a turn."""
    model.generation_config.eos_token_id = processor.stop_ids or model.generation_config.eos_token_id
    model.generation_config.pad_token_id = processor.pad_id
    return model, processor


def look_at(folder: Path, *, fresh_phantom: bool = False, **config_overrides: Any) -> Start:
    """What `load_model` would load, from headers alone; raises its errors."""
    if not (folder / 'config.json').is_file():
        raise UserError(f'weights {folder}: expected config.json, found none; give a folder with a saved model')
    raw = read_released(folder / 'config.json')
    where = str(folder / 'config.json')
    stored = open_weights(folder)
    try:
        found, fields = sources(stored.shapes, raw), our_fields(raw)
    except (StrictDataclassError, AttributeError, KeyError, TypeError, ValueError) as e:
        raise UserError(f'{where}: expected the configuration of a model that Phantom can start from, found: {" ".join(str(e).split())}') from e
    said = make_config(where, **fields)
    decoder_type, rows = said.decoder_type, said.get_text_config().vocab_size
    try:
        with quiet_transformers():
            tokenizer = load_tokenizer(folder)
        if fresh_phantom:
            refuse_lost_tokens(folder, tokenizer, decoder_type, rows=rows)
        fields = complete_fields(fields, tokenizer, decoder_type)
    except (OSError, ValueError) as e:
        raise damaged(folder, e) from e
    head = f'language_model.{DECODERS[decoder_type][1]}.weight'
    # The released wrapper loads a random head when a tied one was dropped on saving: it has no `get_output_embeddings`.
    fields['llm_config'] = {**said.llm_config, 'tie_word_embeddings': head not in found}
    config = make_config(where, **{**fields, **config_overrides})
    refuse_lost_eta(folder, found, learned=raw.get('eta_learnable') is True and raw.get('phantom') is not False, config=config)
    account = make_account(stored, found, weight_shapes(config, where), fresh=fresh_phantom, phantom=config.phantom, tied=[head])
    return Start(config, tokenizer, account)


def refuse_lost_tokens(folder: Path, tokenizer: PreTrainedTokenizerBase, decoder_type: str, *, rows: int) -> None:
    """Raises UserError where training would meet a token that the tokenizer, or the embedding, does not have."""
    vocabulary = tokenizer.get_vocab()
    for token in needed_tokens(decoder_type):
        if vocabulary.get(token, rows) >= rows:
            found = f'id {vocabulary[token]}' if token in vocabulary else 'none'
            told = f'expected {token!r} among the {rows:,} rows of the embedding, found {found}'
            raise UserError(f'tokenizer of {folder}: {told}; copy its added tokens, too')


def read_weights(start: Start) -> PhantomForConditionalGeneration:
    """The model of a start, in float32."""
    stored, loaded = start.account.stored, start.account.loaded
    with quiet_transformers():
        try:
            weights = {
                name: stored.lazy(source.names[0]) if len(source.names) == 1 else source.make([stored.read(part) for part in source.names])
                for name, source in loaded.items()
            }
            model, info = PhantomForConditionalGeneration.from_pretrained(
                None,
                config=start.config,
                state_dict=weights,
                trust_remote_code=False,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
        except (OSError, SafetensorError, ValueError) as e:
            raise damaged(stored.folder, e) from e
    assert {*info['missing_keys']} <= {*start.account.new}, info
    assert not info['unexpected_keys'], info
    assert not info['mismatched_keys'], info
    model.came_from = start.account.line()
    model.name_or_path = model.config.name_or_path = str(stored.folder)
    return model


def weight_shapes(config: PhantomConfig, where: str) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's weights, none of which is made; raises UserError, which begins with `where`, for numbers that make no model."""
    try:
        with torch.device('meta'), quiet_transformers():
            return {name: tuple(tensor.shape) for name, tensor in PhantomForConditionalGeneration(config).state_dict().items()}
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError) as e:
        raise UserError(f'{where}: expected the configuration of a model, found one that cannot be made: {" ".join(str(e).split())}') from e


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


def read_released(file: Path) -> dict[str, Any]:
    """The fields of a config.json without those that name code to run; raises UserError."""
    raw = read_config(file)
    if not isinstance(raw.get('llm_config', {}), dict):
        raise UserError(f'{file}: expected the configuration of a model, found llm_config {raw["llm_config"]!r}; copy it again')
    if not is_native(raw) and 'llm_config' not in raw:
        todo = 'give a Phantom or InternVL folder'
        if 'num_hidden_layers' in raw:
            todo = 'make a start of it and the other half: phantom join --vision DIR --language DIR --out DIR'
        raise UserError(f'{file}: expected llm_config and vision_config, found {sorted(raw)[:SHOWN_KEYS]}; {todo}')
    return raw


def read_config(file: Path) -> dict[str, Any]:
    """The fields of any config.json without those that name code; raises UserError, also for more layers than any model has."""
    raw = without_code(read_json(file))
    for section in (raw, *(value for value in raw.values() if isinstance(value, dict))):
        layers = section.get('num_hidden_layers', 0)
        if isinstance(layers, int) and layers > MOST_LAYERS:
            raise UserError(f'{file}: expected num_hidden_layers up to {MOST_LAYERS}, found {layers}; copy it again')
    return raw


def without_code(raw: dict[str, Any], depth: int = 3) -> dict[str, Any]:
    """The fields of a config.json and its sections but for those that name code."""
    return {
        name: without_code(value, depth - 1) if isinstance(value, dict) and depth else value
        for name, value in raw.items()
        if name not in CODE
    }


def complete_fields(fields: dict[str, Any], tokenizer: PreTrainedTokenizerBase, decoder_type: str) -> dict[str, Any]:
    """Fields of PhantomConfig with what backbones do not say: the image token, how an answer ends, what fills rows."""
    said = {name: value for name, value in fields.items() if name != 'model_type' and value is not None}
    unsaid = {
        'image_token_index': lambda: special_id(tokenizer, IMAGE_TOKEN),
        'eos_token_id': lambda: special_id(tokenizer, TEMPLATES[decoder_type].turn_end),
        'pad_token_id': lambda: tokenizer.pad_token_id,
    }
    return {**{name: find() for name, find in unsaid.items() if name not in said}, **said}
