"""Proof of exactness: every tensor of a golden folder against this model, with the worst difference of each case.

A golden folder holds config.json, model.safetensors, out_<variant>.safetensors, extra.safetensors and meta.json, as
obtained by running the released inference code; `common/` beside it holds inputs and vision weights.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from model.cache import SosLocation, SosTables
from model.config import RELEASED_ETA, PhantomConfig
from model.modeling import PhantomForConditionalGeneration
from model.phantom_attention import PhantomAttention, take_position
from schemas.errors import UserError

VARIANTS = {'eta1': 1.0, 'eta1e-4': RELEASED_ETA, 'off': None}
CASES = ('text', 'image', 'batch', 'imgbatch')
TOLERANCE = 2e-5  # absolute; float32 noise of the reference itself is 2-3e-6
# The large InternViT's variant of a layer.
VISION_6B = {'qk_normalization': True, 'norm_type': 'rms_norm', 'qkv_bias': False}
# Gradients through the gate see o1 - o2 ~ 1e-4 at the released eta: the reference's own noise is up to 3 %.
NORM_TOLERANCE = {'eta1': 1e-4, 'eta1e-4': 0.05, 'off': 1e-4}


@dataclass(frozen=True, slots=True)
class Check:
    """One case: its worst difference, or its number of wrong ids."""

    case: str
    tensors: int
    worst: float
    limit: float

    @property
    def ok(self) -> bool:
        """Whether the case is within tolerance (NaN is not)."""
        return self.worst <= self.limit


def verify_model(folder: Path, *, say: Callable[[str], None] = print) -> int:
    """0 if every case of the golden folder is within tolerance, else 1; prints a line a case."""
    failed = 0
    for check in verify_cases(Path(folder)):
        failed += not check.ok
        say(
            f'{"ok  " if check.ok else "FAIL"} {check.case:28} worst {check.worst:.3g} of {check.limit:g}'
            f' over {check.tensors} tensors'
        )
    say(f'{failed} case(s) beyond tolerance' if failed else 'all cases within tolerance')
    return int(failed > 0)


def verify_cases(folder: Path) -> Iterator[Check]:
    """Every check of a golden folder."""
    golden = Golden.open(folder)
    for variant in VARIANTS:
        if f'{variant}.text.greedy' not in golden.meta:
            continue
        model = golden.model(variant)
        expected = golden.tensors(f'out_{variant}.safetensors')
        for case in CASES:
            if f'{case}.logits' in expected:
                yield forward_check(golden, model, f'{variant}.{case}', expected)
            yield from generate_checks(golden, model, f'{variant}.{case}', expected)
        if f'{variant}.train.loss' in golden.meta:
            yield from gradient_checks(golden, variant, expected)
    yield from extra_checks(golden)


@dataclass(frozen=True, slots=True)
class Golden:
    """An opened golden folder."""

    folder: Path
    config: dict[str, Any]
    meta: dict[str, Any]
    weights: dict[str, Tensor]
    inputs: dict[str, Tensor]

    @classmethod
    def open(cls, folder: Path) -> 'Golden':
        """The folder's description and weights."""
        common = folder.parent / 'common'
        needed = (folder / 'config.json', folder / 'meta.json', common / 'inputs.safetensors')
        if missing := [str(path) for path in needed if not path.is_file()]:
            raise UserError(f'golden folder {folder}: expected {missing}, found none; point at .../golden/arch_*')
        return cls(
            folder,
            json.loads((folder / 'config.json').read_text()),
            json.loads((folder / 'meta.json').read_text()),
            load_file(folder / 'model.safetensors') | load_file(common / 'vision.safetensors'),
            load_file(common / 'inputs.safetensors'),
        )

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of one file, none where a smaller copy of the folder left it out."""
        path = self.folder / name
        return load_file(path) if path.is_file() else {}

    def model(
        self,
        variant: str,
        *,
        llm: dict | None = None,
        vision: dict | None = None,
        spare: dict[str, Tensor] | None = None,
    ) -> PhantomForConditionalGeneration:
        """The model of one variant with config fields replaced, loaded strictly; `spare` weights go where they fit."""
        eta = VARIANTS[variant]
        raw = {**self.config, 'llm_config': {**self.config['llm_config'], **(llm or {})}}
        raw['vision_config'] = {**raw['vision_config'], **(vision or {})}
        model = PhantomForConditionalGeneration(PhantomConfig(**raw, phantom=eta is not None, eta=eta or 0.0))
        shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
        fitting = {name: tensor for name, tensor in (spare or {}).items() if shapes.get(name) == tensor.shape}
        state = {**self.weights, **fitting}
        if eta is None:
            state = {name: tensor for name, tensor in state.items() if 'phantom' not in name}
        if vision:  # these variants have no biases
            state = {name: tensor for name, tensor in state.items() if name in shapes}
        model.load_state_dict(state, strict=True)
        return model.eval()

    def case(self, name: str) -> dict[str, Tensor]:
        """Inputs of one case, without the phantom position: the model finds it in the attention mask."""
        fields = {key.split('.')[1]: tensor for key, tensor in self.inputs.items() if key.startswith(f'{name}.')}
        return {key: tensor for key, tensor in fields.items() if key != 'phantom_position'}


def worst_difference(pairs: Iterable[tuple[Tensor, Tensor]]) -> float:
    """The largest absolute difference; infinite where shapes differ."""
    gaps = [
        float((ours - golden).abs().max()) if ours.shape == golden.shape else float('inf') for ours, golden in pairs
    ]
    return max(gaps, default=float('nan'))


def forward_check(
    golden: Golden, model: PhantomForConditionalGeneration, name: str, expected: dict[str, Tensor]
) -> Check:
    """Logits and all captured tensors of one case, compared where nothing is padded."""
    case = name.split('.')[-1]
    inputs = golden.case(case)
    with recording(model) as seen, torch.no_grad():
        seen['logits'] = model(**inputs).logits
    wanted = {key.removeprefix(f'{case}.'): tensor for key, tensor in expected.items() if key.startswith(f'{case}.')}
    wanted.pop('greedy_scores', None)
    if missing := sorted(set(wanted) - set(seen)):
        raise UserError(f'{golden.folder} {name}: golden tensors that nothing compares with: {missing}')
    real = inputs['attention_mask'].bool()
    pairs = [(keep_real(seen[key], real), keep_real(tensor, real)) for key, tensor in wanted.items()]
    return Check(f'{name}.forward', len(pairs), worst_difference(pairs), TOLERANCE)


def keep_real(tensor: Tensor, real: Tensor) -> Tensor:
    """The positions that are not padding, of tensors that have positions."""
    return tensor[real] if tensor.shape[:2] == real.shape else tensor


@contextmanager
def recording(model: PhantomForConditionalGeneration) -> Iterator[dict[str, Tensor]]:
    """Tensors of the next forward under the goldens' names."""
    seen: dict[str, Tensor] = {}
    decoder = model.language_model.model
    hooks = [
        model.vision_model.register_forward_hook(keep(seen, 'vit_last')),
        model.vision_proj.register_forward_hook(keep(seen, 'vit_embeds')),
        decoder.norm.register_forward_hook(keep(seen, f'hidden.{len(decoder.layers)}')),
        decoder.layers[0].register_forward_pre_hook(keep_input(seen)),
    ]
    for index, layer in enumerate(decoder.layers):
        hooks.append(layer.register_forward_hook(keep(seen, f'layer_out.{index}')))
        hooks.append(attention_of(layer).register_forward_hook(keep(seen, f'attn_out.{index}')))
    attention = attention_of(decoder.layers[0])
    if attention.phantom:
        record_layer(
            attention, seen, repeats=1 if model.config.decoder_type == 'internlm2' else attention_groups(model)
        )
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
        for name in ('widen', 'merge', 'sos_tables'):
            vars(attention).pop(name, None)


def attention_of(layer: nn.Module) -> nn.Module:
    """The attention of a decoder layer, under either released name."""
    return layer.attention if hasattr(layer, 'attention') else layer.self_attn


def keep(seen: dict[str, Tensor], name: str) -> Callable:
    """A forward hook that stores the output."""

    def hook(_module: nn.Module, _inputs: tuple, output: Tensor | tuple) -> None:
        seen[name] = output[0] if isinstance(output, tuple) else output

    return hook


def keep_input(seen: dict[str, Tensor]) -> Callable:
    """A forward pre-hook that stores the embeddings."""

    def hook(_module: nn.Module, inputs: tuple) -> None:
        seen['inputs_embeds'] = seen['hidden.0'] = inputs[0]

    return hook


def attention_groups(model: PhantomForConditionalGeneration) -> int:
    """Query heads a key-value head."""
    text = model.language_model.model.config
    return text.num_attention_heads // text.num_key_value_heads


def record_layer(attention: PhantomAttention, seen: dict[str, Tensor], *, repeats: int) -> None:
    """Stores layer 0's internals; the reference repeats kv heads before Phantom, but for InternLM2."""
    plain = type(attention)

    def put(name: str, states: Tensor, times: int = 1) -> None:
        seen[f'l0.{name}'] = states.repeat_interleave(times, dim=1).transpose(1, 2)

    def sos_tables(query: Tensor, key: Tensor, value: Tensor, *, cache: None, sos: SosLocation) -> SosTables:
        for name, states, times in (('query', query, 1), ('key', key, repeats), ('value', value, repeats)):
            put(f'{name}_sos', take_position(states, sos.index)[:, :, None], times)
        return plain.sos_tables(attention, query, key, value, cache=cache, sos=sos)

    def widen(query: Tensor, key: Tensor, value: Tensor, tables: SosTables) -> tuple[Tensor, Tensor, Tensor]:
        wide = plain.widen(attention, query, key, value, tables)
        for name, states, times in zip(('query', 'key', 'value'), wide, (1, repeats, repeats), strict=True):
            first, second = states.split(attention.head_dim, dim=-1)
            put(name, first, times)
            put(f'{name}_phantom', first + attention.eta * second if name == 'value' else second, times)
        return wide

    def merge(first: Tensor, second: Tensor, out_proj: nn.Module) -> Tensor:
        half2 = first + attention.eta * second
        seen['l0.half1'], seen['l0.half2'] = first, half2
        seen['l0.gate_logit1'] = attention.gating_phantom_1(first)
        seen['l0.gate_logit2'] = attention.gating_phantom_2(half2)
        return plain.merge(attention, first, second, out_proj)

    attention.sos_tables, attention.widen, attention.merge = sos_tables, widen, merge


def generate_checks(
    golden: Golden, model: PhantomForConditionalGeneration, name: str, expected: dict[str, Tensor]
) -> Iterator[Check]:
    """Greedy ids and scores, beam ids, and a run where one row ends early: cached decoding throughout."""
    case = name.split('.')[-1]
    eos = golden.meta['eos']
    if f'{name}.greedy' in golden.meta:
        ids, scores = generate(model, golden.case(case), tokens=16, eos=eos)
        yield ids_check(f'{name}.greedy', ids, golden.meta[f'{name}.greedy'])
        if f'{case}.greedy_scores' in expected:
            gap = worst_difference([(scores, expected[f'{case}.greedy_scores'])])
            yield Check(f'{name}.greedy_scores', 1, gap, TOLERANCE)
    if f'{name}.beam3' in golden.meta:
        ids, _ = generate(model, golden.case(case), tokens=8, eos=eos, beams=3)
        yield ids_check(f'{name}.beam3', ids, golden.meta[f'{name}.beam3'])
    if ends := golden.meta.get(f'{name}.greedy_eos'):
        ids, _ = generate(model, golden.case(case), tokens=16, eos=ends['eos'])
        yield ids_check(f'{name}.greedy_eos', ids, ends['ids'])


def generate(
    model: PhantomForConditionalGeneration, inputs: dict[str, Tensor], *, tokens: int, eos: int, beams: int = 1
) -> tuple[list, Tensor | None]:
    """New ids and, when greedy, the scores float[steps, B, V]."""
    output = model.generate(
        inputs['input_ids'],
        attention_mask=inputs['attention_mask'],
        pixel_values=inputs.get('pixel_values'),
        max_new_tokens=tokens,
        num_beams=beams,
        do_sample=False,
        eos_token_id=eos,
        pad_token_id=eos,
        return_dict_in_generate=True,
        output_scores=beams == 1,
    )
    new = output.sequences[:, inputs['input_ids'].shape[1] :].tolist()
    return new, torch.stack(output.scores) if beams == 1 else None


def ids_check(name: str, ours: list[list[int]], golden: list[list[int]]) -> Check:
    """Number of rows whose ids differ."""
    wrong = sum(a != b for a, b in zip(ours, golden, strict=True)) if len(ours) == len(golden) else len(golden)
    return Check(name, len(golden), wrong, 0)


def gradient_checks(golden: Golden, variant: str, expected: dict[str, Tensor]) -> Iterator[Check]:
    """The loss, the stored gradients, and the norm of every decoder gradient."""
    labels = golden.tensors('out_eta1.safetensors').get('train.labels')
    if labels is None:
        return
    model = golden.model(variant)
    loss = model(**golden.case('batch'), labels=labels).loss
    loss.backward()
    yield Check(f'{variant}.train.loss', 1, abs(loss.item() - golden.meta[f'{variant}.train.loss']), TOLERANCE)
    grads = {name: weight.grad for name, weight in model.language_model.named_parameters()}
    prefix = 'train.grad.'
    pairs = [(grads[key.removeprefix(prefix)], tensor) for key, tensor in expected.items() if key.startswith(prefix)]
    if pairs:
        yield Check(f'{variant}.train.gradients', len(pairs), worst_difference(pairs), TOLERANCE)
    norms = {key: norm for key, norm in golden.meta[f'{variant}.train.grad_norm'].items() if norm is not None}
    ratios = [abs(float(grads[key].norm()) / norm - 1) for key, norm in norms.items()]
    yield Check(f'{variant}.train.grad_norms', len(ratios), max(ratios), NORM_TOLERANCE[variant])


def extra_checks(golden: Golden) -> Iterator[Check]:
    """Other config fields: long positions, sliding windows, biases, vision variants."""
    tensors = golden.tensors('extra.safetensors')
    prefix = 'xw.'
    spare = {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
    for key, about in golden.meta.items():
        if not (key.startswith('extra.') and isinstance(about, dict) and f'{key[6:]}.logits' in tensors):
            continue
        case = key.removeprefix('extra.')
        fields = {name.split('.', 1)[1]: t for name, t in tensors.items() if name.startswith(f'{case}.')}
        model = golden.model('eta1', llm=about['llm_config_over'], spare=spare)
        inputs = {name: fields[name] for name in ('input_ids', 'attention_mask', 'position_ids')}
        with recording(model) as seen, torch.no_grad():
            seen['logits'] = model(**inputs).logits
        real = inputs['attention_mask'].bool()
        pairs = [(keep_real(seen[name], real), keep_real(fields[name], real)) for name in ('logits', 'attn_out.0')]
        yield Check(f'{key}.forward', len(pairs), worst_difference(pairs), TOLERANCE)
        ids, _ = generate(model, inputs, tokens=16, eos=golden.meta['eos'])
        yield ids_check(f'{key}.greedy', ids, about['greedy'])
    yield from vision_checks(golden, tensors)


def vision_checks(golden: Golden, tensors: dict[str, Tensor]) -> Iterator[Check]:
    """Interpolated positions, and normalised queries and keys with RMS norms."""
    if 'vit_interp.last_hidden' in tensors:
        model = golden.model('eta1')
        with torch.no_grad():
            ours = model.vision_model(tensors['vit_interp.pixel_values'])
        yield Check('extra.vit_interp', 1, worst_difference([(ours, tensors['vit_interp.last_hidden'])]), TOLERANCE)
    prefix = 'vit_qknorm_rms.param.'
    norms = {f'vision_model.{key.removeprefix(prefix)}': t for key, t in tensors.items() if key.startswith(prefix)}
    if norms:
        model = golden.model('eta1', vision=VISION_6B, spare=norms)
        with torch.no_grad():
            ours = model.vision_model(golden.case('image')['pixel_values'].float())
        yield Check(
            'extra.vit_qknorm_rms', 1, worst_difference([(ours, tensors['vit_qknorm_rms.last_hidden'])]), TOLERANCE
        )
