"""What a training run would be, before it runs: where each weight comes from, what trains, and the memory that takes."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from model.phantom.account import part_of
from model.phantom.build import look_at, quiet_transformers, start_from_preset
from model.phantom.config import PhantomConfig
from model.phantom.eta import eta_in_half
from model.phantom.modeling import PhantomForConditionalGeneration
from model.training.branches import answer_mask
from model.training.checkpoint import find_checkpoint
from model.training.lora import add_lora
from model.training.losses import token_logps
from model.training.quantize import quantizable
from model.training.settings import Preset, TrainSettings
from model.training.stepper import choose_trainable
from model.training.train import make_plan
from schemas.errors import UserError
from schemas.yaml_text import parse_settings

GB = 1e9
ANSWER = 256  # tokens that an answer is taken to have, at most a quarter of the row
FOUR_BITS = (4 + 0.127) / 8  # bytes a number of NormalFloat4 with doubly quantised scales (arXiv 2305.14314, section 3)


@dataclass(frozen=True, slots=True)
class Need:
    """One line of the memory that a process needs."""

    what: str
    kind: str  # the numbers' type
    n_bytes: float


def tell(snapshot: Path, out: Path, sets: list[str], **arguments: Any) -> None:
    """Prints a dry run with settings as `--set` gives them."""
    print('\n'.join(dry_run(snapshot, out, **arguments, settings=parse_settings(sets))))


def dry_run(snapshot: Path, out: Path, **arguments: Any) -> list[str]:
    """What `train` with these arguments would do, a line each; no weight is read or made. Raises what `train` would refuse of a start."""
    plan = make_plan(snapshot, out, **arguments)
    settings, rows = plan.preset.settings, plan.rows
    epoch = math.ceil(rows / settings.batch_rows)
    config, account = start_of(plan.preset, plan.found or plan.init)
    told = [f'snapshot: {rows:,} rows; {epoch:,} steps of {settings.batch_rows} rows are an epoch; {plan.state.max_steps:,} steps in all']
    told += [f'{plan.found}: is there, from which the run would go on'] if plan.found else []
    told += [f'start: {line}' for line in account]
    told.append(eta_line(config, settings))
    model, small = blank_model(config, settings)
    told += groups(model)
    needs = list(standing(model, settings, small))
    told += ['memory of one process:', *(f'  {need.what}, {need.kind}: {need.n_bytes / GB:,.3f} GB' for need in needs)]
    return told + fit(sum(need.n_bytes for need in needs), activations(config, settings), settings, config)


def eta_line(config: PhantomConfig, settings: TrainSettings) -> str:
    """The start's eta, and whether it acts."""
    if not config.phantom:
        return 'the phantom dimension is off'
    learned = ', where learning begins' if config.eta_learnable else ''
    return f'eta: {config.eta:g}{learned}{eta_in_half(config.eta) if settings.precision == "bf16" else ""}'


def start_of(preset: Preset, init: Path | None) -> tuple[PhantomConfig, list[str]]:
    """The configuration of the start, and the account of its weights."""
    if init:
        folder = find_checkpoint(Path(init))
        start = look_at(folder, fresh_phantom=True, **preset.changes(folder))
        return start.config, start.account.lines()
    if not preset.model:
        raise UserError(f'preset {preset.name!r}: expected weights to start from, found none; pass --init FOLDER')
    config = start_from_preset({**preset.model, **preset.changes(None)})[0]
    return config, [f'preset {preset.name}: every weight is new, at random by seed {preset.settings.seed}']


def blank_model(config: PhantomConfig, settings: TrainSettings) -> tuple[PhantomForConditionalGeneration, frozenset[str]]:
    """The model without numbers, with adapters and frozen parts as a run has them; the layers that would be quantised."""
    with torch.device('meta'), quiet_transformers():
        model = PhantomForConditionalGeneration(config).train()
        small = frozenset(quantizable(model)) if settings.quantize_bits else frozenset()
        if settings.lora_rank:
            add_lora(model, rank=settings.lora_rank, alpha=settings.lora_alpha)
    choose_trainable(model, settings)
    return model, small


def on_a_pretended_cpu(model: torch.nn.Module) -> None:
    """Parameters and buffers of a model on `meta` become those of a CPU without memory; to be called in a FakeTensorMode."""
    made: dict[int, torch.Tensor] = {}  # a tied weight stays one
    for module in model.modules():
        for tensors in (module._parameters, module._buffers):
            for name, old in tensors.items():
                if old is not None and id(old) not in made:
                    new = torch.empty(old.shape, dtype=old.dtype, device='cpu')
                    made[id(old)] = torch.nn.Parameter(new, old.requires_grad) if tensors is module._parameters else new
                tensors[name] = None if old is None else made[id(old)]


def groups(model: torch.nn.Module) -> list[str]:
    """Parameters of each part of the model, trained and frozen."""
    counts: dict[str, Counter[bool]] = defaultdict(Counter)
    for name, parameter in model.named_parameters():
        counts['adapters' if '.lora_' in name else part_of(name)][parameter.requires_grad] += parameter.numel()
    both = {trained: sum(count[trained] for count in counts.values()) for trained in (True, False)}
    lines = [f'  {part}: {count[True]:,} trained, {count[False]:,} frozen' for part, count in sorted(counts.items())]
    return [f'parameters: {both[True]:,} trained, {both[False]:,} frozen', *lines]


def standing(model: torch.nn.Module, settings: TrainSettings, small: frozenset[str]) -> Iterator[Need]:
    """What lies in memory all the time: weights, gradients, AdamW's two moments, the reference of DPO."""
    trained = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    frozen: Counter[str] = Counter()
    half = 'bfloat16' if settings.base_precision == 'bf16' else 'float32'
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            layer, _, leaf = name.replace('.base_layer.', '.').rpartition('.')
            frozen[f'{settings.quantize_bits} bits' if layer in small and leaf == 'weight' else half] += parameter.numel()
    sizes = {'float32': 4.0, 'bfloat16': 2.0, '8 bits': 1.0, '4 bits': FOUR_BITS}
    yield Need('trained weights', 'float32', 4 * trained)
    yield Need('gradients', 'float32', 4 * trained)
    yield Need("AdamW's moments", 'float32', 8 * trained)
    for kind, count in sorted(frozen.items()):
        yield Need('frozen weights', kind, sizes[kind] * count)
    if settings.stage == 1 and settings.preference == 'dpo':
        yield Need("DPO's reference", 'float32', 4.0 * sum(parameter.numel() for name, parameter in model.named_parameters() if '.lora_' not in name))


def activations(config: PhantomConfig, settings: TrainSettings) -> float:
    """Bytes that one row of `max_length` tokens with all its tiles leaves for the backward pass: what autograd saves, counted without computing.

    Layers are alike, so one and two of them tell the others.
    """
    one, two = (saved_bytes(shallow(config, layers), settings) for layers in (1, 2))
    layer, depth = two - one, config.get_text_config().num_hidden_layers
    if not settings.gradient_checkpointing:
        return one + (depth - 1) * layer
    width = config.get_text_config().hidden_size
    return one + depth * settings.max_length * width * 4.0  # each layer keeps its input, and one at a time is computed again


def shallow(config: PhantomConfig, layers: int) -> PhantomConfig:
    """The configuration with so many decoder layers, and rotations that do not ask how long the text is."""
    said = {name: value for name, value in config.llm_config.items() if name not in ('rope_scaling', 'rope_parameters', 'layer_types')}
    return PhantomConfig(**{**config.to_dict(), 'llm_config': {**said, 'num_hidden_layers': layers}})


def saved_bytes(config: PhantomConfig, settings: TrainSettings) -> float:
    """Bytes of all that autograd saves of one row, beside the parameters; nothing is computed."""
    model, _ = blank_model(config, settings)
    with FakeTensorMode(allow_non_fake_inputs=True):
        on_a_pretended_cpu(model)
        return count_saved(model, settings)


def count_saved(model: PhantomForConditionalGeneration, settings: TrainSettings) -> float:
    """Bytes that the forward pass of one row saves: `max_length` tokens, all its tiles, the answers behind one prompt."""
    config, length = model.config, settings.max_length
    answer, answers = min(ANSWER, length // 4), 2 if settings.stage == 1 else 1
    prompt = length - answers * answer
    side = config.vision_config['image_size']
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    saved: dict[int, torch.UntypedStorage] = {}  # held, so that no other storage gets its number

    def count(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        saved[storage._cdata] = storage
        return tensor

    half = torch.autocast('cpu', torch.bfloat16, enabled=settings.precision == 'bf16')
    with torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor), half:
        pictures = model.encode_images(torch.zeros(most_tiles(config), 3, side, side))
        embedded = model.get_input_embeddings()(torch.zeros(1, length, dtype=torch.long)) + 0 * pictures.mean()
        out = model(
            inputs_embeds=embedded,
            attention_mask=answer_mask([prompt], prompt, [answer] * answers),
            position_ids=torch.arange(length)[None],
            logits_at=torch.arange(prompt, length)[None],
            use_cache=False,
        )
        token_logps(out.logits, torch.zeros(1, answers * answer, dtype=torch.long))
    return float(sum(storage.nbytes() for key, storage in saved.items() if key not in own))


def most_tiles(config: PhantomConfig) -> int:
    """Tiles of the largest picture, its thumbnail among them."""
    return config.max_tiles + (config.use_thumbnail and config.max_tiles > 1)


def fit(standing_bytes: float, row_bytes: float, settings: TrainSettings, config: PhantomConfig) -> list[str]:
    """Whether it fits here, and how many rows at once would."""
    free, where = free_memory()
    rows = settings.micro_batch_rows
    need = standing_bytes + rows * row_bytes
    most = math.floor((free - standing_bytes) / row_bytes) if row_bytes else rows
    told = [
        f'  activations, about: {row_bytes / GB:,.3f} GB a row of {settings.max_length:,} tokens and {most_tiles(config)} tile(s), '
        f'{rows * row_bytes / GB:,.3f} GB for micro_batch_rows {rows}',
        f'  in all, about: {need / GB:,.3f} GB',
    ]
    if need <= free:
        return [*told, f'fits: {where} has {free / GB:,.1f} GB free; micro_batch_rows up to about {most} would fit']
    return [*told, f'does not fit: {where} has {free / GB:,.1f} GB free; set {" or ".join(savings(settings, most))}']


def savings(settings: TrainSettings, most: int) -> list[str]:
    """Settings that need less memory, as `--set` takes them; `most` rows would fit at once."""
    saving = {
        f'micro_batch_rows={most}': most >= 1,
        'gradient_checkpointing=true': not settings.gradient_checkpointing,
        'base_precision=bf16 (with precision=bf16)': settings.base_precision == 'fp32',
        'lora_rank=64 and trainable=[vision_proj]': 'all' in settings.trainable,
        'quantize_bits=8': settings.lora_rank > 0 and not settings.quantize_bits,
        f'max_length={settings.max_length // 2}': True,
    }
    return [name for name, helps in saving.items() if helps]


def free_memory() -> tuple[float, str]:
    """Bytes that are free where the model would train, and where that is."""
    if torch.cuda.is_available():
        return float(torch.cuda.mem_get_info()[0]), torch.cuda.get_device_name()
    free = psutil.virtual_memory().available
    for limit, used in (('memory.max', 'memory.current'), ('memory/memory.limit_in_bytes', 'memory/memory.usage_in_bytes')):  # of a container
        files = [Path('/sys/fs/cgroup') / name for name in (limit, used)]
        if all(file.is_file() for file in files) and (words := files[0].read_text().strip()).isdigit():
            free = min(free, int(words) - int(files[1].read_text()))
    return float(free), 'this machine'
