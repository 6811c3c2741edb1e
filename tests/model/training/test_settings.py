"""What a user may write as a setting: everything has a type and a range, and all faults are told at once."""

import math
from typing import Annotated, get_args, get_origin

import pytest

from model.training.bounds import Range, expected
from model.training.model_section import MODEL, read_section
from model.training.settings import KINDS, TrainSettings, load_preset, read_settings
from schemas.errors import UserError

NAN, INF = float('nan'), float('inf')


def told(**values) -> str:
    with pytest.raises(UserError) as caught:
        load_preset('tiny', **values)
    return str(caught.value)


@pytest.mark.parametrize(
    ('name', 'value', 'message'),
    [
        ('beta', -2.0, 'beta: expected a number above 0 to 100, found -2.0'),
        ('beta', 0, 'beta: expected a number above 0 to 100, found 0'),
        ('dpo_beta', -0.1, 'dpo_beta: expected a number above 0 to 100, found -0.1'),
        ('gamma', -1, 'gamma: expected a number from 0 to 100, found -1'),
        ('po_weight', -1, 'po_weight: expected a number from 0 to 100, found -1'),
        ('lora_alpha', -256, 'lora_alpha: expected a whole number from 1 to 65,536, found -256'),
        ('lora_rank', -1, 'lora_rank: expected a whole number from 0 to 4,096, found -1'),
        ('adam_betas', [2, 2], 'adam_betas: expected a list of 2, each a number from 0 to below 1, found [2, 2]'),
        ('adam_betas', [0.9], 'adam_betas: expected a list of 2, each a number from 0 to below 1, found [0.9]'),
        ('adam_betas', 0.9, 'adam_betas: expected a list of 2'),
        ('adam_eps', 0, 'adam_eps: expected a number from 1e-20 to 1, found 0'),
        ('learning_rate', NAN, 'learning_rate: expected a number from 0 to 1, found nan'),
        ('learning_rate', INF, 'learning_rate: expected a number from 0 to 1, found inf'),
        ('learning_rate', True, 'learning_rate: expected a number from 0 to 1, found True'),
        ('learning_rate', 'fast', "learning_rate: expected a number from 0 to 1, found 'fast'"),
        ('learning_rate', None, 'learning_rate: expected a number from 0 to 1, found None'),
        ('clip_norm', 0, 'clip_norm: expected a number from 1e-06 to 1e+09, found 0'),
        ('weight_decay', -0.1, 'weight_decay: expected a number from 0 to 10, found -0.1'),
        ('batch_rows', 2.5, 'batch_rows: expected a whole number from 1 to 1,000,000, found 2.5'),
        ('batch_rows', True, 'batch_rows: expected a whole number from 1 to 1,000,000, found True'),
        ('batch_rows', 10**30, 'batch_rows: expected a whole number from 1 to 1,000,000, found 1000'),
        ('keep_last', -1, 'keep_last: expected a whole number from 0'),
        ('seed', -1, 'seed: expected a whole number from 0'),
        ('seed', 2**64, 'seed: expected a whole number from 0'),
        ('torch_threads', -1, 'torch_threads: expected a whole number from 0 to 1,024, found -1'),
        ('stage', 3, 'stage: expected 1 or 2, found 3'),
        ('stage', True, 'stage: expected 1 or 2, found True'),
        ('compile', 'maybe', "compile: expected true or false, found 'maybe'"),
        ('min_score', NAN, 'min_score: expected a number or null, found nan'),
        ('kinds', 'incorrect', "kinds: expected a list, each text, found 'incorrect'"),
        ('trainable', [], 'trainable: expected a list, each text, found []'),
        ('trainable', [''], "trainable: expected a list, each text, found ['']"),
        ('trackers', ['mlflow'], "trackers: expected a list, each tensorboard or wandb, found ['mlflow']"),
        ('trackers', ['wandb', 'wandb'], 'trackers: expected each once'),
        ('schedule', 'linear', "schedule: expected constant, cosine or wsd, found 'linear'"),
        ('schedule_steps', 0, 'schedule_steps: expected a whole number from 1 to 1,000,000,000 or null, found 0'),
        ('warmup_ratio', 1, 'warmup_ratio: expected a number from 0 to below 1, found 1'),
        ('decay_steps', 5, 'decay_steps: expected schedule wsd or decay_start beside it'),
        ('max_dropped', 5, 'max_dropped: expected a number from 0 to 1, found 5'),
        ('final_learning_rate', 0.5, 'final_learning_rate: expected at most learning_rate 0.001, found 0.5'),
        ('learning_rat', 1, 'unknown setting learning_rat; did you mean learning_rate?'),
        ('nam', 1, 'unknown setting nam'),
    ],
)
def test_a_refused_value_says_the_range(name, value, message):
    assert message in told(**{name: value})


def test_all_faults_of_a_preset_and_of_overrides_are_told_together(tmp_path):
    preset = tmp_path / 'mine.yaml'
    preset.write_text(
        'extends: tiny\nmodle: {}\nmodel: {eta: much, max_tiles: 0, etta: 1}\nconfig: {vision_config: {image_sise: 5}}\n'
        'train: {beta: -1, adam_eps: 0, precision: fp32, quantize_bits: 4, 3: 4}\n'
    )
    with pytest.raises(UserError) as caught:
        load_preset(str(preset), dpo_beta=NAN, lora_alpha=0)
    for part in (
        'unknown section modle',
        "model.eta: expected a number from 0 to 100, found 'much'",
        'model.max_tiles: expected a whole number from 1 to 100, found 0',
        'unknown setting model.etta; did you mean eta?',
        'unknown setting config.vision_config.image_sise',
        'beta: expected',
        'adam_eps: expected',
        'unknown setting 3',
        'dpo_beta: expected',
        'lora_alpha: expected',
        'quantize_bits: expected adapters to train beside it',
        'precision: expected bf16',
    ):
        assert part in str(caught.value)
    assert '\n' not in str(caught.value)


def bare(kind) -> bool:
    """Whether a type admits numbers without bounds, or words without a list of them."""
    if get_origin(kind) is Annotated:
        return False
    return kind in (int, float, str, bool) or any(bare(part) for part in get_args(kind) if isinstance(part, type) or get_origin(part))


def test_every_setting_has_a_range_and_a_default_within_it():
    assert [name for name, kind in KINDS.items() if bare(kind)] == []
    assert all(expected(kind) for kind in KINDS.values())
    defaults = TrainSettings()
    written = {name: list(value) if isinstance(value := getattr(defaults, name), tuple) else value for name in KINDS}
    written.pop('final_learning_rate')
    assert load_preset('paper-step1', **written).settings.beta == 2.0


HOSTILE = [None, True, -1, 0, 1, 2**70, -0.5, 0.5, NAN, INF, -INF, '', 'x', '1e-3', 'nan', [], [0], [NAN, 2], ['x', 'x'], {}, {'a': 1}, b'x', object(), math]


@pytest.mark.parametrize('name', sorted(KINDS))
def test_anything_that_can_be_written_is_read_or_refused_by_name(name):
    for value in HOSTILE:
        settings, faults = read_settings({name: value})
        read = getattr(settings, name)
        assert all(math.isfinite(item) for item in (read if isinstance(read, tuple) else [read]) if isinstance(item, float)), value
        assert all(name in fault for fault in faults), value


SECTIONS = [*HOSTILE, {'hidden_size': 0}, {'hidden_size': None}, {1: 2}, {'architectures': 5}, {'vocab_size': 8}, {'image_size': 15}, {'patch_size': 28}]


@pytest.mark.parametrize('name', sorted(MODEL))
def test_anything_in_a_model_section_is_read_or_refused_by_name(name):
    for value in SECTIONS:
        _, faults = read_section({name: value}, 'model.')
        assert all(name in fault for fault in faults), value


@pytest.mark.parametrize('field', ['rope_scaling: 5', 'rope_scaling: {type: su}', '1: 2', 'head_dim: 0', 'layer_types: 3', 'num_attention_heads: 7', 'vocab_size: 9'])
def test_a_decoder_that_cannot_be_is_a_fault_of_the_preset(field, tmp_path):
    preset = tmp_path / 'mine.yaml'
    for decoder in ('Qwen2', 'Phi3', 'InternLM2'):
        preset.write_text(f'extends: tiny\nmodel: {{llm_config: {{architectures: [{decoder}ForCausalLM], {field}}}}}\ntrain: {{beta: 0}}')
        with pytest.raises(UserError, match='beta: expected'):
            load_preset(str(preset))


def test_numbers_that_yaml_takes_for_text_are_read(tmp_path):
    preset = tmp_path / 'mine.yaml'
    preset.write_text('extends: tiny\nmodel: {eta: 1e-3}\ntrain: {learning_rate: 1e-2, adam_betas: [0.9, 9e-1], seed: "7"}\n')
    found = load_preset(str(preset))
    assert (found.model['eta'], found.settings.learning_rate, found.settings.adam_betas, found.settings.seed) == (1e-3, 1e-2, (0.9, 0.9), 7)


def test_an_override_of_null_undoes_what_a_preset_says(tmp_path):
    preset = tmp_path / 'mine.yaml'
    preset.write_text('extends: tiny\ntrain: {min_score: 0.5}\n')
    assert load_preset(str(preset), min_score=None).settings.min_score is None


@pytest.mark.parametrize(
    ('bounds', 'words'),
    [(Range(0, 1), 'a number from 0 to 1'), (Range(0, 1, above=True, below=True), 'a number above 0 to below 1')],
)
def test_a_range_in_words(bounds, words):
    assert expected(Annotated[float, bounds]) == words
