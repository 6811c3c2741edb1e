"""TrainSettings: every choice of a training run, one documented field each with its range; presets are YAML files of them."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, get_type_hints

from annotated_types import MinLen

from model.phantom.build import make_config
from model.phantom.eta import holds_phantom
from model.training.bounds import Finite, Flag, Range, Word, read_values
from model.training.model_section import read_section
from schemas.errors import UserError
from schemas.regular import read_regular
from schemas.yaml_text import MAX_CHARS, parse_yaml

PRESETS = Path(__file__).parent / 'presets'
SECTIONS = ('model', 'config', 'fresh', 'train')  # of a preset
# What step 1 trains (paper, Fig. 3a): the projector and the phantom dimension. Substrings of parameter names.
STEP_1 = ('vision_proj', 'xattn_', 'gating_phantom', 'eta_phantom')


# Bounds of several settings. A learning rate of 1 moves every weight by about 1 in each step.
Rate = Annotated[float, Range(0, 1)]
Weight = Annotated[float, Range(0, 100)]
Strength = Annotated[float, Range(0, 100, above=True)]
Decay = Annotated[float, Range(0, 1, below=True)]
Steps = Annotated[int, Range(1, 1_000_000_000)]
Rows = Annotated[int, Range(1, 1_000_000)]


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """One training run. Numbers without an origin are ours: the paper does not state them."""

    stage: Literal[1, 2] = 1  # 1: SFT + PO; 2: SFT on the distinct chosen answers
    trainable: Annotated[tuple[Word, ...], MinLen(1)] = STEP_1  # substrings of parameter names; 'all' trains everything
    beta: Strength = 2.0  # PO, paper: "equal to SimPO"
    gamma: Weight = 0.5  # PO margin, outside beta
    preference: Literal['po', 'dpo'] = 'po'  # po: SimPO-style, without a reference model; dpo: against the weights at the start
    # Weight of the preference loss beside SFT (0: SFT alone), and the share of schedule_steps before it joins. The paper's are 1 and 0, which from
    # random weights cost 6 points of accuracy; these cost none that twelve seeds showed (docs/ablation.md).
    po_weight: Weight = 0.1
    po_start: Annotated[float, Range(0, 1)] = 0.75
    dpo_beta: Strength = 0.1  # arXiv 2305.18290
    lora_rank: Annotated[int, Range(0, 4096)] = 0  # 0: no adapters; paper: 256, on all linear layers of encoder and decoder
    lora_alpha: Annotated[int, Range(1, 65_536)] = 256  # paper
    quantize_bits: Literal[0, 4, 8] = 0  # with adapters: bits of frozen layers by bitsandbytes >= 0.46, 8 as the released code; 0: none
    base_precision: Literal['fp32', 'bf16'] = 'fp32'  # of frozen weights: bf16 is half the memory and needs precision bf16
    learning_rate: Rate = 1e-5  # the highest; paper: cosine 1e-5 -> 1e-6
    final_learning_rate: Rate = 1e-6  # where cosine and decay end
    schedule: Literal['constant', 'cosine', 'wsd'] = 'cosine'  # wsd: warm-up, stable, decay, as arXiv 2404.06395
    schedule_steps: Steps | None = None  # at which the schedule ends, however many are taken; null: the first call's max_steps
    warmup_ratio: Decay = 0.0  # share of schedule_steps in which the rate rises in a line
    decay_steps: Steps | None = None  # in which the rate falls in a line to final_learning_rate; null: a fifth of schedule_steps
    # Steps before the decay, whatever the schedule, so that one can begin at any checkpoint; null: with wsd it ends at schedule_steps, else none.
    decay_start: Annotated[int, Range(0, 1_000_000_000)] | None = None
    weight_decay: Annotated[float, Range(0, 10)] = 0.0
    adam_betas: tuple[Decay, Decay] = (0.9, 0.999)
    adam_eps: Annotated[float, Range(1e-20, 1)] = 1e-8  # squares of gradients below 1e-22 are 0 in float32: less would divide by 0
    clip_norm: Annotated[float, Range(1e-6, 1e9)] = 1.0  # of all gradients together; 1e9 clips nothing
    batch_rows: Rows = 128  # rows of one optimiser step over all processes, paper
    micro_batch_rows: Rows = 4  # rows of one forward pass on one process
    packing: Flag = True  # these rows in one sequence, masked from each other; false, or compile: padded to the longest
    max_length: Rows = 4096  # tokens of prompt and answers; longer rows are listed as drops
    max_dropped: Annotated[float, Range(0, 1)] = 0.05  # share of rows left out unasked (broken, too long, ...) above which a run ends with an error
    kinds: tuple[Word, ...] = ()  # kinds of triples to train on; empty: all
    sources: tuple[Word, ...] = ()  # sources of the snapshot to train on; empty: all
    min_score: Finite | None = None  # of the snapshot's score column
    window_groups: Rows = 8  # Parquet row groups held in memory and shuffled together
    loader_threads: Annotated[int, Range(1, 256)] = 2
    torch_threads: Annotated[int, Range(0, 1024)] = 0  # CPU threads of torch; 0: its default, a thread a core
    precision: Literal['fp32', 'bf16'] = 'bf16'  # bf16: autocast over float32 weights
    gradient_checkpointing: Flag = False
    compile: Flag = False  # each decoder layer by torch.compile: a minute at the start
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    trackers: tuple[Literal['tensorboard', 'wandb'], ...] = ()  # JSONL is always written
    save_every: Steps = 500  # optimiser steps between checkpoints
    keep_last: Annotated[int, Range(0, 1_000_000)] = 2  # checkpoints that stay; 0: all
    tell_every: Annotated[int, Range(0, 1_000_000_000)] = 50  # optimiser steps between two lines on how it goes without a terminal; 0: none
    validate_every: Annotated[int, Range(0, 1_000_000_000)] = 0  # optimiser steps between two looks at the snapshot's validation split; 0: none
    validation_rows: Rows = 256  # rows of that split at most, the same ones each time
    best_by: Literal['loss', 'exact_match', 'accuracy'] = 'loss'  # what makes the checkpoint that `best` points to: least loss, most of others
    early_stop: Annotated[int, Range(0, 1_000_000_000)] = 0  # looks in a row without a better one that end the run; 0: it goes on to its last step


KINDS = get_type_hints(TrainSettings, include_extras=True)
# What may differ between a run and its resumption: it changes neither the rows nor the weights' path before the change.
FREE_TO_CHANGE = ('save_every', 'keep_last', 'loader_threads', 'micro_batch_rows', 'gradient_checkpointing', 'compile', 'trackers', 'max_dropped',
                  'packing', 'tell_every', 'validate_every', 'validation_rows', 'best_by', 'early_stop')  # fmt: skip
# May differ where the learning rate of every step that was taken stays what it was (schedule.py).
OF_SCHEDULE = ('learning_rate', 'final_learning_rate', 'schedule', 'schedule_steps', 'warmup_ratio', 'decay_steps', 'decay_start')
# Mean nothing in step 2, which has no wrong answers.
OF_PREFERENCE = ('beta', 'gamma', 'preference', 'po_weight', 'po_start', 'dpo_beta')
# Settings younger than the first checkpoints, with what those ran under.
NEW_SETTINGS = {'quantize_bits': 0, 'base_precision': 'fp32', 'schedule': 'cosine', 'warmup_ratio': 0.0, 'sources': [], 'po_start': 0.0}


@dataclass(frozen=True, slots=True)
class Preset:
    """A model size and how to train it."""

    name: str
    model: dict[str, Any]  # PhantomConfig of a model made from scratch; empty: weights come from --init
    config: dict[str, Any]  # PhantomConfig fields to change in loaded weights
    settings: TrainSettings
    fresh: dict[str, Any] = field(default_factory=dict)  # the same, where phantom parts start at random: a checkpoint's own eta stands

    def changes(self, folder: Path | None) -> dict[str, Any]:
        """PhantomConfig fields to change in the weights of `folder`, or in a model from scratch."""
        return self.config if folder is not None and holds_phantom(folder) else {**self.fresh, **self.config}


def load_preset(name: str, /, **overrides: Any) -> Preset:
    """A preset of model/training/presets/ by name, or a YAML file; `overrides` are fields of TrainSettings. Raises UserError with all faults."""
    content = read_preset(name)
    faults = [f'unknown section {section}; known are {", ".join(SECTIONS)}, extends' for section in content if section not in SECTIONS]
    model, of_model = read_section(content.get('model', {}), 'model.')
    config, of_config = read_section(content.get('config', {}), 'config.')
    fresh, of_fresh = read_section(content.get('fresh', {}), 'fresh.')
    if model and not of_model + of_config + of_fresh:
        try:
            make_config('model', **{**model, **fresh, **config})
        except UserError as e:
            of_model = [str(e)]
        except (LookupError, AttributeError, ArithmeticError) as e:  # of fields that transformers' configurations take unseen
            of_model = [f'model: expected the configuration of a model, found a fault: {e!r}']
    settings, of_train = read_settings({**content.get('train', {}), **overrides})
    if faults := [*faults, *of_model, *of_config, *of_fresh, *of_train]:
        raise UserError(f'preset {name!r}: {"; ".join(faults)}')
    return Preset(name, model, config, settings, fresh)


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
        raise UserError(f'preset {path}: expected sections model, config, fresh, train, found {type(content).__name__}')
    parent = content.pop('extends', None)
    faults = [f'expected names and values under {section}, found {values!r}' for section, values in content.items() if not isinstance(values, dict)]
    if faults:
        raise UserError(f'preset {path}: {"; ".join(faults)}; indent them or leave the section out')
    if parent is None:
        return content
    below = read_preset(str(parent), (*above, path.resolve()))
    return {section: {**below.get(section, {}), **content.get(section, {})} for section in {**below, **content}}


def read_settings(values: dict[str, Any]) -> tuple[TrainSettings, list[str]]:
    """Settings of these names and values, and every fault of them: those that do not fit are at their defaults."""
    read, faults = read_values(KINDS, values)
    settings = TrainSettings(**read)
    together = [fault for names, fault in contradictions(settings) if not faults.keys() & set(names)]
    return settings, [*faults.values(), *together]


def contradictions(settings: TrainSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Names of settings that do not go together, and why."""
    if settings.lora_rank and 'all' in settings.trainable:
        yield ('trainable', 'lora_rank'), 'trainable: expected parts beside the adapters, found all; name parts or set lora_rank: 0'
    if settings.quantize_bits and not settings.lora_rank:
        yield ('quantize_bits', 'lora_rank'), 'quantize_bits: expected adapters to train beside it, found lora_rank 0; set lora_rank'
    if settings.precision == 'fp32' and (settings.base_precision == 'bf16' or settings.quantize_bits):
        names = ('precision', 'base_precision', 'quantize_bits')
        yield names, 'precision: expected bf16 over half-precision or quantised frozen weights, found fp32'
    if len(set(settings.trackers)) < len(settings.trackers):
        yield ('trackers',), f'trackers: expected each once, found {list(settings.trackers)}'
    if settings.early_stop and not settings.validate_every:
        yield ('early_stop', 'validate_every'), 'early_stop: expected validation on the way, found validate_every 0; set validate_every'
    if settings.final_learning_rate > settings.learning_rate:
        found = f'at most learning_rate {settings.learning_rate:g}, found {settings.final_learning_rate:g}'
        yield ('learning_rate', 'final_learning_rate'), f'final_learning_rate: expected {found}; set both'
    if settings.decay_steps and settings.schedule != 'wsd' and settings.decay_start is None:
        names = ('decay_steps', 'schedule', 'decay_start')
        yield names, f'decay_steps: expected schedule wsd or decay_start beside it, found schedule {settings.schedule}; set one of them'


def resume_faults(before: dict[str, Any], now: TrainSettings) -> list[str]:
    """Settings that changed since a checkpoint and would break its course; what the schedule makes of its own is for schedule.py."""
    free = {*FREE_TO_CHANGE, *OF_SCHEDULE, *(OF_PREFERENCE if now.stage == 2 else ())}
    return differences(with_new(before), {name: value for name, value in as_json(now).items() if name not in free})


def as_json(settings: TrainSettings) -> dict[str, Any]:
    """Settings as training.json holds them."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(settings).items()}


def with_new(before: dict[str, Any]) -> dict[str, Any]:
    """The settings of a checkpoint, with what it ran under where a setting is younger."""
    return {**NEW_SETTINGS, **before}


def differences(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """What `now` says differently, for people."""
    return [f'{name}: {before.get(name)!r} before, {value!r} now' for name, value in now.items() if before.get(name) != value]
