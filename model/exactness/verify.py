"""Proof of exactness: every tensor of a golden folder against this model, with the worst difference of each case."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from model.exactness.golden import VARIANTS, Golden
from model.exactness.recording import recording
from model.phantom.modeling import PhantomForConditionalGeneration
from schemas.errors import UserError

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
