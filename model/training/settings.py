"""TrainSettings: every choice of a training run, one documented field each; presets are YAML files of them."""

import math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from model.phantom.config import VISION_DEFAULTS, PhantomConfig
from schemas.errors import UserError
from schemas.regular import read_regular
from schemas.yaml_text import MAX_CHARS, parse_yaml

PRESETS = Path(__file__).parent / 'presets'
# What step 1 trains (paper, Fig. 3a): the projector and the phantom dimension. Substrings of parameter names.
STEP_1 = ('vision_proj', 'xattn_', 'gating_phantom', 'eta_phantom')


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """One training run. Numbers without an origin are ours: the paper does not state them."""

    stage: int = 1  # 1: SFT + PO; 2: SFT on the distinct chosen answers
    trainable: tuple[str, ...] = STEP_1  # substrings of parameter names; 'all' trains everything
    beta: float = 2.0  # PO, paper: "equal to SimPO"
    gamma: float = 0.5  # PO margin, outside beta
    preference: str = 'po'  # po: SimPO-style, without a reference model; dpo: against the weights at the start
    po_weight: float = 1.0  # weight of the preference loss beside SFT; 0 leaves SFT only
    dpo_beta: float = 0.1  # arXiv 2305.18290
    lora_rank: int = 0  # 0: no adapters; paper: 256, on all linear layers of encoder and decoder
    lora_alpha: int = 256  # paper
    quantize_bits: int = 0  # with adapters: 8 (as the released code) or 4 bits for frozen layers, by bitsandbytes >= 0.46 on a GPU or CPU; 0: none
    base_precision: str = 'fp32'  # of frozen weights: fp32 or bf16 (half the memory; needs precision bf16)
    learning_rate: float = 1e-5  # paper: cosine 1e-5 -> 1e-6
    final_learning_rate: float = 1e-6
    weight_decay: float = 0.0
    adam_betas: tuple[float, float] = (0.9, 0.999)
    adam_eps: float = 1e-8
    clip_norm: float = 1.0
    batch_rows: int = 128  # rows of one optimiser step over all processes, paper
    micro_batch_rows: int = 4  # rows of one forward pass on one process
    packing: bool = True  # these rows in one sequence, masked from each other; False, or compile: padded to the longest
    max_length: int = 4096  # tokens of prompt and answers; longer rows are listed as drops
    kinds: tuple[str, ...] = ()  # kinds of triples to train on; empty: all
    sources: tuple[str, ...] = ()  # sources of the snapshot to train on; empty: all
    min_score: float | None = None  # of the snapshot's score column
    window_groups: int = 8  # Parquet row groups held in memory and shuffled together
    loader_threads: int = 2
    torch_threads: int = 0  # CPU threads of torch; 0: its default, a thread a core
    precision: str = 'bf16'  # fp32 or bf16 (autocast over float32 weights)
    gradient_checkpointing: bool = False
    compile: bool = False  # each decoder layer by torch.compile: a minute at the start
    seed: int = 0
    trackers: tuple[str, ...] = ()  # tensorboard, wandb; JSONL is always written
    save_every: int = 500  # optimiser steps between checkpoints
    keep_last: int = 2  # checkpoints that stay


# What may differ between a run and its resumption: it changes neither the rows nor the weights' path before the change.
FREE_TO_CHANGE = ('save_every', 'keep_last', 'loader_threads', 'micro_batch_rows', 'packing', 'gradient_checkpointing', 'compile', 'trackers')
# Settings younger than the first checkpoints, with what those ran under.
NEW_SETTINGS = {'quantize_bits': 0, 'base_precision': 'fp32', 'sources': []}


@dataclass(frozen=True, slots=True)
class Preset:
    """A model size and how to train it."""

    name: str
    model: dict[str, Any]  # PhantomConfig of a model made from scratch; empty: weights come from --init
    config: dict[str, Any]  # PhantomConfig fields to change in loaded weights, such as eta
    settings: TrainSettings


def load_preset(name: str, **overrides: Any) -> Preset:
    """A preset of model/training/presets/ by name, or a YAML file; `overrides` are fields of TrainSettings."""
    content = read_preset(name)
    if unknown := sorted(set(content) - {'model', 'config', 'train'}):
        raise UserError(f'preset {name!r}: unknown sections {unknown}; known are model, config, train, extends')
    settings = parse_settings(content.get('train', {}), where=f'preset {name!r}', overrides=overrides)
    model, config = content.get('model', {}), content.get('config', {})
    # transformers would keep what it does not know, and do nothing with it.
    unknown = {*model, *config} - {field.name for field in fields(PhantomConfig)}
    unknown |= {name for section in (model, config) for name in section.get('vision_config', {})} - set(VISION_DEFAULTS)
    if unknown:
        raise UserError(f'preset {name!r}: model or config has unknown fields {sorted(unknown)}; model/phantom/config.py lists the known ones')
    return Preset(name, model, config, settings)


def read_preset(name: str, above: tuple[Path, ...] = ()) -> dict[str, Any]:
    """The sections of a preset laid over those of the preset it `extends`; `above` are the presets that extend this one."""
    path = PRESETS / f'{name}.yaml'
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        known = ', '.join(sorted(file.stem for file in PRESETS.glob('*.yaml')))
        raise UserError(f'preset {name!r}: expected one of {known} or a YAML file, found neither; name one of these')
    if path.resolve() in above:
        raise UserError(f'preset {path}: expected to extend another preset, found a circle; take out an `extends`')
    try:
        content = parse_yaml(read_regular(path, MAX_CHARS).decode(), f'preset {path}') or {}
    except (OSError, ValueError) as e:
        raise UserError(f'preset {path}: expected a YAML file, found: {e}') from e
    if not isinstance(content, dict):
        raise UserError(f'preset {path}: expected sections model, config, train, found {type(content).__name__}')
    parent = content.pop('extends', None)
    for section, values in content.items():
        if not isinstance(values, dict):
            raise UserError(f'preset {path}: expected names and values under {section}, found {values!r}; indent them or leave it out')
    if parent is None:
        return content
    below = read_preset(str(parent), (*above, path.resolve()))
    return {section: {**below.get(section, {}), **content.get(section, {})} for section in {**below, **content}}


def parse_settings(values: dict[str, Any], *, where: str, overrides: dict[str, Any]) -> TrainSettings:
    """Settings from a YAML section; unknown names and values of another type are errors, None overrides are ignored."""
    values = {**values, **{name: value for name, value in overrides.items() if value is not None}}
    known = {field.name for field in fields(TrainSettings)}
    if unknown := sorted(set(values) - known):
        raise UserError(f'{where}: unknown settings {unknown}; known are {sorted(known)}')
    try:
        settings = TypeAdapter(TrainSettings).validate_python(values)  # reads 1e-3, which is text in YAML
    except ValidationError as e:
        faults = [f'{fault["loc"][0]}: {fault["msg"].lower().replace("tuple", "list")}, found {fault["input"]!r}' for fault in e.errors()]
        raise UserError(f'{where}: {"; ".join(faults)}') from e
    return check(settings, where)


def check(settings: TrainSettings, where: str) -> TrainSettings:
    """The same settings, or a UserError that lists every fault."""
    faults = []
    if settings.stage not in (1, 2):
        faults.append(f'stage: expected 1 or 2, found {settings.stage}')
    if settings.precision not in ('fp32', 'bf16'):
        faults.append(f'precision: expected fp32 or bf16, found {settings.precision!r}')
    if settings.preference not in ('po', 'dpo'):
        faults.append(f'preference: expected po or dpo, found {settings.preference!r}')
    if settings.lora_rank and 'all' in settings.trainable:
        faults.append('trainable: expected parts beside the adapters, found all; name parts or set lora_rank: 0')
    if settings.quantize_bits not in (0, 4, 8):
        faults.append(f'quantize_bits: expected 0, 4 or 8, found {settings.quantize_bits}')
    if settings.quantize_bits and not settings.lora_rank:
        faults.append('quantize_bits: expected adapters to train beside it, found lora_rank 0; set lora_rank')
    if settings.base_precision not in ('fp32', 'bf16'):
        faults.append(f'base_precision: expected fp32 or bf16, found {settings.base_precision!r}')
    if settings.precision == 'fp32' and (settings.base_precision == 'bf16' or settings.quantize_bits):
        faults.append('precision: expected bf16 over half-precision or quantised frozen weights, found fp32')
    if wrong := sorted(set(settings.trackers) - {'tensorboard', 'wandb'}):
        faults.append(f'trackers: expected tensorboard or wandb, found {wrong}')
    for name in ('batch_rows', 'micro_batch_rows', 'max_length', 'window_groups', 'loader_threads', 'save_every'):
        if getattr(settings, name) < 1:
            faults.append(f'{name}: expected at least 1, found {getattr(settings, name)}')
    for name in ('learning_rate', 'final_learning_rate', 'weight_decay', 'po_weight', 'clip_norm'):
        if not 0 <= getattr(settings, name) < math.inf:
            faults.append(f'{name}: expected a number from 0 up, found {getattr(settings, name)}')
    if faults:
        raise UserError(f'{where}: ' + '; '.join(faults))
    return settings


def resume_faults(before: dict[str, Any], now: TrainSettings) -> list[str]:
    """Settings that changed since a checkpoint and would break its course."""
    before = {**NEW_SETTINGS, **before}
    current = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(now).items()}
    return differences(before, {name: value for name, value in current.items() if name not in FREE_TO_CHANGE})


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What `now` says differently, for people."""
    return [f'{name}: {before.get(name)!r} before, {value!r} now' for name, value in now.items() if before.get(name) != value]
