"""An encoder and a plain language model become a start for step 1: one folder with a new projector and added tokens."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import split_torch_state_dict_into_shards
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from safetensors.torch import save_file
from tokenizers import AddedToken
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from model.phantom.account import Account, make_account
from model.phantom.build import look_at, make_config, quiet_transformers, read_config, weight_shapes
from model.phantom.card import Origin, joined_card, read_origin
from model.phantom.config import PhantomConfig, decoder_type_of
from model.phantom.layouts import Source, is_native, our_fields, sources
from model.phantom.modeling import DECODERS
from model.phantom.processor import PhantomProcessor
from model.phantom.stored import INDEX, Stored, damaged, open_weights, weight_files
from model.phantom.tokenizers import load_tokenizer
from model.phantom.tokens import IMAGE_TOKEN, TEMPLATES, needed_tokens, special_id
from model.phantom.vision import make_projector
from schemas.errors import UserError
from schemas.publish import drafted_folder, holds_something, publish_bytes, publish_json
from schemas.refusals import refused

SHARD = '5GB'  # as transformers saves
PROJECTOR_STD = 0.02  # of the new linear layers, as transformers begins them
VISION_TYPES = ('intern_vit_6b', 'internvl_vision')  # model_type of InternViT of any size, in its own layout and in transformers'
TYPES = {'F64': torch.float64, 'F32': torch.float32, 'F16': torch.float16, 'BF16': torch.bfloat16}


@dataclass(frozen=True, slots=True)
class Half:
    """One of the two models that are joined."""

    raw: dict[str, Any]  # its config.json
    fields: dict[str, Any]  # its section of ours
    stored: Stored
    found: dict[str, Source]  # our weight -> the tensors of the folder
    others: int  # tensors of the folder that are of no use here: the decoder of an InternVL whose encoder is taken


@dataclass(frozen=True, slots=True)
class Joined:
    """What `join` made."""

    out: Path
    accounts: dict[str, Account]  # vision, language
    others: int  # tensors of the vision folder that are no encoder's
    added: dict[str, int]  # token that the language model did not have -> its id
    new_rows: int  # by which embedding and head grew
    projector: int  # new weights

    def lines(self) -> list[str]:
        """What it is, for people."""
        tokens = ', '.join(f'{token} {index}' for token, index in self.added.items()) or 'none'
        others = [f'vision: {self.others:,} tensors of the folder are not the encoder\'s and were left out'] if self.others else []
        return [
            *(f'{part}: {line}' for part, account in self.accounts.items() for line in account.lines()),
            *others,
            f'new: the projector, {self.projector} weights; tokens and their ids: {tokens}; {self.new_rows} more rows of embedding and head',
            f'{self.out}: a start for step 1; next: phantom train --snapshot DIR --preset SIZE-step1 --init {self.out} --out CKPT',
        ]


def join(vision: Path, language: Path, out: Path, *, seed: int = 0) -> Joined:
    """The folder `out`, for `phantom train --init`: the weights of both folders in their own types, a random projector, the template's tokens.

    vision: InternViT, or an InternVL whose encoder alone is taken. language: Qwen2, Qwen2.5, Qwen3, InternLM2, InternLM2.5 or Phi-3.
    seed: of the projector. Raises UserError; the folder is whole or not there.
    """
    if holds_something(out):
        raise UserError(f'{out}: expected no folder or an empty one, found something; pass another --out')
    encoder, decoder = open_encoder(vision), open_decoder(language)
    kind = decoder_type_of(decoder.fields)
    try:
        with quiet_transformers():
            tokenizer = load_tokenizer(language)
    except (OSError, ValueError) as e:
        raise damaged(language, e) from e
    table, head = (f'language_model.{name}.weight' for name in (f'model.{DECODERS[kind][2]}', DECODERS[kind][1]))
    if table not in decoder.found:
        missing = table.removeprefix('language_model.')
        raise UserError(f'weights {language}: expected {missing}, found none; give the folder of the whole language model')
    rows = decoder.found[table].shape(decoder.stored.shapes)[0]
    known = max(tokenizer.get_vocab().values()) + 1
    added = add_tokens(tokenizer, kind)
    new_rows = max(0, max(tokenizer.get_vocab().values()) + 1 - rows)
    llm = {**decoder.fields, 'tie_word_embeddings': head not in decoder.found}
    accounts = account_for(encoder, {**llm, 'vocab_size': rows}, decoder, tied=head)
    config = joined_config(encoder.fields, {**llm, 'vocab_size': rows + new_rows}, tokenizer, kind)
    weights = {**read_half(encoder), **read_half(decoder)}
    for name in {table, head} & weights.keys():
        weights[name] = with_rows(weights[name], known=min(known, rows), added=sorted(added.values()), new_rows=new_rows)
    projector = new_projector(config, seed=seed, dtype=main_type(decoder))
    origins = {'vision': origin(vision, encoder), 'language': origin(language, decoder)}
    made = Joined(out, accounts, encoder.others, added, new_rows, len(projector))
    try:
        with drafted_folder(out) as draft:
            save_weights(draft, {**weights, **projector})
            config.save_pretrained(draft)
            PhantomProcessor.for_model(tokenizer, config).save_pretrained(draft)
            publish_bytes(draft / 'README.md', card(made, origins, config, seed=seed).encode())
            for part, whence in origins.items():
                if whence.text is not None:
                    publish_bytes(draft / f'LICENSE.{part}.txt', whence.text)
            look_at(draft, fresh_phantom=True)  # what would refuse it later refuses it now
    except (OSError, SafetensorError) as e:
        raise refused(e, out) from e
    return made


def open_encoder(folder: Path) -> Half:
    """The encoder in a folder: an InternViT's, or that of an InternVL; raises UserError."""
    raw, where = open_config(folder, '--vision'), folder / 'config.json'
    stored = open_weights(folder)
    try:
        if 'llm_config' in raw or is_native(raw):
            found = sources(stored.shapes, raw)
            taken = {name: source for name, source in found.items() if name.startswith('vision_model.')}
            fields = our_fields(raw)['vision_config']
            return Half(raw, fields, stored, taken, len(stored.shapes) - sum(len(source.names) for source in taken.values()))
        if raw.get('model_type') not in VISION_TYPES:
            raise ValueError(f'expected model_type {" or ".join(VISION_TYPES)}, or an InternVL, found {raw.get("model_type")!r}')
        if raw['model_type'] == 'internvl_vision':
            within = {'model_type': 'internvl', 'vision_config': raw}
            names = {f'model.vision_tower.{name}': name for name in stored.shapes}
            found = sources(names, within)
            taken = {name: Source(tuple(names[part] for part in source.names), source.groups) for name, source in found.items()}
            return Half(raw, our_fields(within)['vision_config'], stored, taken, 0)
    except (StrictDataclassError, AttributeError, KeyError, TypeError, ValueError) as e:
        raise UserError(f'{where}: expected an encoder of the InternVL family, found: {" ".join(str(e).split())}; give InternViT-300M-448px') from e
    return Half(raw, raw, stored, {f'vision_model.{name}': Source((name,)) for name in stored.shapes}, 0)


def open_decoder(folder: Path) -> Half:
    """The language model in a folder; raises UserError."""
    raw, where = open_config(folder, '--language'), folder / 'config.json'
    try:
        decoder_type_of(raw)
    except ValueError as e:
        raise UserError(f'{where}: {str(e).removeprefix("llm_config: ")}; give such a language model') from e
    if raw.get('quantization_config') is not None:
        raise UserError(f'{where}: expected weights as they were trained, found quantization_config; give the folder before it was quantised')
    stored = open_weights(folder)
    return Half(raw, raw, stored, {f'language_model.{name}': Source((name,)) for name in stored.shapes}, 0)


def open_config(folder: Path, option: str) -> dict[str, Any]:
    """The config.json of a folder without what names code; raises UserError."""
    if not (folder / 'config.json').is_file():
        raise UserError(f'{option} {folder}: expected config.json, found none; give a folder as published')
    return read_config(folder / 'config.json')


def add_tokens(tokenizer: PreTrainedTokenizerBase, kind: str) -> dict[str, int]:
    """The tokens of pictures and template that the tokenizer did not have, now added, with their ids."""
    vocabulary = tokenizer.get_vocab()
    new = [token for token in needed_tokens(kind) if token not in vocabulary]
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in new], special_tokens=True)
    return {token: special_id(tokenizer, token) for token in new}


def joined_config(vision: dict[str, Any], llm: dict[str, Any], tokenizer: PreTrainedTokenizerBase, kind: str) -> PhantomConfig:
    """The configuration of the start: the paper's tiling (1 to 6 tiles and a thumbnail), a projector over blocks of four patches."""
    config = make_config(
        'the joined config',
        vision_config=vision,
        llm_config=llm,
        image_token_index=special_id(tokenizer, IMAGE_TOKEN),
        eos_token_id=special_id(tokenizer, TEMPLATES[kind].turn_end),
        pad_token_id=tokenizer.pad_token_id,
    )
    side, patch = config.vision_config['image_size'], config.vision_config['patch_size']
    if side % patch or side // patch % 2:
        raise UserError(f'--vision: expected an even number of patches a side, found {side} pixels in patches of {patch}; give another encoder')
    config.architectures = ['PhantomForConditionalGeneration']
    return config


def account_for(encoder: Half, llm: dict[str, Any], decoder: Half, *, tied: str) -> dict[str, Account]:
    """Every tensor of both folders: loaded, left out, or refused by a UserError."""
    config = make_config('the joined config', vision_config=encoder.fields, llm_config=llm, phantom=False)
    wanted = weight_shapes(config, 'the joined config')
    halves = {'vision': (encoder, 'vision_model.'), 'language': (decoder, 'language_model.')}
    return {
        part: make_account(
            half.stored,
            half.found,
            {name: shape for name, shape in wanted.items() if name.startswith(prefix)},
            fresh=False,
            phantom=False,
            tied=[tied],
        )
        for part, (half, prefix) in halves.items()
    }


def read_half(half: Half) -> dict[str, Tensor]:
    """The weights of a half, mapped from its files where they stay as they are."""
    return {name: source.make([half.stored.read(part) for part in source.names]) for name, source in half.found.items()}


def main_type(half: Half) -> torch.dtype:
    """The type that most tensors of a half have."""
    return TYPES[Counter(half.stored.types.values()).most_common(1)[0][0]]


def with_rows(table: Tensor, *, known: int, added: list[int], new_rows: int) -> Tensor:
    """A table float[V, D] with `new_rows` more rows, those of `added` tokens being the mean of the `known` ones.

    An untrained row may be anything (tables have spare rows); the mean is as likely as an average word and changes the others' odds least
    (Hewitt 2021, Initializing New Word Embeddings for Pretrained Language Models).
    """
    mean = table[:known].float().mean(0).to(table.dtype)
    grown = torch.cat([table, mean.expand(new_rows, -1)])
    grown[added] = mean
    return grown


def new_projector(config: PhantomConfig, *, seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """The projector's weights at random, biases zero; `seed` decides."""
    text = config.get_text_config()
    projector = make_projector(config.vision_config['hidden_size'], text.hidden_size, config.downsample_ratio)
    generator = torch.Generator().manual_seed(seed)
    for layer in (projector[1], projector[3]):
        torch.nn.init.normal_(layer.weight, std=PROJECTOR_STD, generator=generator)
        torch.nn.init.zeros_(layer.bias)
    return {f'vision_proj.{name}': tensor.to(dtype) for name, tensor in projector.state_dict().items()}


def save_weights(folder: Path, weights: dict[str, Tensor]) -> None:
    """The weights as transformers saves them: one file, or several of at most SHARD and their index."""
    split = split_torch_state_dict_into_shards(weights, max_shard_size=SHARD)
    for file, names in split.filename_to_tensors.items():
        save_file({name: weights[name].contiguous() for name in names}, folder / file, {'format': 'pt'})
    if split.is_sharded:
        publish_json(folder / INDEX, {'metadata': split.metadata, 'weight_map': split.tensor_to_filename})


def origin(folder: Path, half: Half) -> Origin:
    """What a half's folder says of itself."""
    return read_origin(folder, half.raw, weight_files(folder)[0])


def card(made: Joined, origins: dict[str, Origin], config: PhantomConfig, *, seed: int) -> str:
    """README.md of the joined folder."""
    counts = {part: len(account.loaded) for part, account in made.accounts.items()}
    side = config.vision_config['image_size']
    rows = [
        ('encoder `vision_model`', f'{counts["vision"]:,} weights of {origins["vision"].name}, unchanged'),
        ('projector `vision_proj`', f'{made.projector} weights, new: normal with standard deviation {PROJECTOR_STD}, biases 0, seed {seed}'),
        ('decoder `language_model`', f'{counts["language"]:,} weights of {origins["language"].name}, unchanged but for rows of added tokens'),
        *((f'token `{token}`', f'id {index}, new: the mean of the known rows') for token, index in made.added.items()),
        ('tiling', f'{config.min_tiles} to {config.max_tiles} tiles of {side} pixels, {config.tokens_per_tile} tokens each'),
    ]
    return joined_card(made.out.name, origins, {'library_name': 'transformers'}, rows)
