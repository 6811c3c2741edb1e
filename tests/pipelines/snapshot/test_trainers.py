"""Exports read by the trainers themselves, up to the tokens and pixels of a batch: what a row says is what is learnt from.

Other trainers than TRL are not in requirements.lock (ms-swift 4.6.0 wants trl<1.0 and datasets<4.8.5, LLaMA-Factory 0.9.5 trl<=0.24 and
transformers<=5.6, axolotl 0.19.0 trl 1.9.0, OpenRLHF 0.11.2 deepspeed and flash-attn); their tests run where they are installed:

    pip install --no-deps --target LIB ms-swift modelscope modelscope_hub json_repair       # seen with ms-swift 4.6.0
    pip install --no-deps --target LIB llamafactory omegaconf                               # seen with LLaMA-Factory 0.9.5
    pip install --no-deps --target LIB axolotl addict colorama                              # seen with axolotl 0.19.0
    pip install --no-deps --target LIB openrlhf pylatexenc                                  # seen with OpenRLHF 0.11.2
    PYTHONPATH=LIB pytest -m integration tests/pipelines/snapshot/test_trainers.py
"""

import sys
import types

import datasets
import pytest
from transformers import AutoProcessor, LlavaConfig, LlavaForConditionalGeneration

from pipelines.snapshot.exports.export import export_snapshot
from pipelines.snapshot.mix_rows import text_of
from tests.pipelines.snapshot import tiny_llava
from tests.pipelines.snapshot.sealed import seal_rows
from tests.pipelines.snapshot.test_exports import SAMPLES, TRIPLES

pytestmark = pytest.mark.integration
KINDS = {'triples': {'train': [TRIPLES[:2], TRIPLES[2:]]}, 'mix': SAMPLES}
ROWS = {'triples': TRIPLES, 'mix': SAMPLES}


@pytest.fixture(scope='module')
def llava(tmp_path_factory):
    return tiny_llava.save(tmp_path_factory.mktemp('llava'))


@pytest.fixture(params=['triples', 'mix'])
def kind(request):
    return request.param


def exported(kind, target, tmp_path):
    export_snapshot(seal_rows(tmp_path / 's', kind, KINDS[kind]), target, tmp_path / 'out')
    return tmp_path / 'out'


def said(row):
    """Return what a model must see of a row: how many pictures, its texts in order, and what it must not prefer."""
    messages = [*row['prompt'], *row['chosen']] if 'prompt' in row else row['messages']
    texts = [part['text'] for message in messages for part in message['content'] if part['type'] == 'text']
    return len(row['images']), texts, text_of(row['rejected'][0]) if 'rejected' in row else None


def check(row, tokenizer, ids, rejected_ids=None):
    """Assert that token ids are those of `row`."""
    n_images, texts, rejected = said(row)
    image = tokenizer.convert_tokens_to_ids('<image>')
    assert ids.count(image) == n_images * tiny_llava.TOKENS_PER_IMAGE
    shown = tokenizer.decode([i for i in ids if i not in (image, tokenizer.pad_token_id)])
    at = [shown.find(text) for text in texts]
    assert -1 not in at, (shown, texts)
    assert at == sorted(at)
    assert shown.endswith(f'{texts[-1]}</s>') or shown.endswith(f'{texts[-1]}</s>\n')
    if rejected is not None:
        assert f'{rejected}</s>' in tokenizer.decode(rejected_ids)
        assert f'{texts[-1]}</s>' not in tokenizer.decode(rejected_ids)


def test_trl_trainers_prepare_every_row(kind, llava, tmp_path):
    from trl import DPOConfig, DPOTrainer, SFTConfig, SFTTrainer

    rows = datasets.load_dataset(str(exported(kind, 'trl', tmp_path) / 'data'), split='train', cache_dir=str(tmp_path / 'cache'))
    processor = AutoProcessor.from_pretrained(llava)
    config = LlavaConfig.from_pretrained(llava)
    asked = {'output_dir': str(tmp_path / 'o'), 'report_to': 'none', 'use_cpu': True, 'bf16': False, 'max_length': None,
             'per_device_train_batch_size': len(rows)}
    if kind == 'triples':
        models = {'model': LlavaForConditionalGeneration(config), 'ref_model': LlavaForConditionalGeneration(config)}
        trainer = DPOTrainer(**models, args=DPOConfig(**asked), train_dataset=rows, processing_class=processor)
    else:
        trainer = SFTTrainer(LlavaForConditionalGeneration(config), SFTConfig(**asked), train_dataset=rows, processing_class=processor)
    batch = next(iter(trainer.get_train_dataloader()))
    found = [[i for i in ids if i != processor.tokenizer.pad_token_id] for ids in batch['input_ids'].tolist()]
    n_images = sum(len(row['images']) for row in ROWS[kind])
    assert len(batch['pixel_values']) == n_images * (2 if kind == 'triples' else 1)
    by_last = {said(row)[1][-1]: row for row in ROWS[kind]}
    answers = [processor.tokenizer.decode(ids).rpartition('assistant: ')[2].strip().removesuffix('</s>') for ids in found]
    kept = found[:len(ROWS[kind])]  # chosen answers first, then the rejected ones in the same order
    assert sorted(answers[:len(kept)]) == sorted(by_last)
    for i, ids in enumerate(kept):
        check(by_last[answers[i]], processor.tokenizer, ids, found[len(kept) + i] if kind == 'triples' else None)
    assert trainer.compute_loss(trainer.model, dict(batch)).isfinite()


def test_ms_swift_encodes_every_row(kind, llava, tmp_path, monkeypatch):
    monkeypatch.setenv('MODELSCOPE_CACHE', str(tmp_path / 'cache'))
    pytest.importorskip('swift.dataset', reason='ms-swift wants trl<1.0; the head of this file says how to run it')
    from swift.dataset import load_dataset
    from swift.model import get_processor
    from swift.template import get_template

    monkeypatch.chdir(exported(kind, 'ms-swift', tmp_path))
    rows, _ = load_dataset('train.parquet', strict=True)
    processor = get_processor(str(llava), model_type='llava1_5_hf')
    template = get_template(processor)
    template.set_mode('rlhf' if kind == 'triples' else 'train')
    assert len(rows) == len(ROWS[kind])
    for found, row in zip(rows, ROWS[kind], strict=True):
        encoded = template.encode(dict(found))
        check(row, processor.tokenizer, encoded.get('chosen_input_ids') or encoded['input_ids'], encoded.get('rejected_input_ids'))
        pixels = encoded.get('chosen_pixel_values' if kind == 'triples' else 'pixel_values')
        assert (0 if pixels is None else len(pixels)) == len(row['images'])


def test_llama_factory_encodes_every_row(kind, llava, tmp_path, monkeypatch):
    monkeypatch.setenv('DISABLE_VERSION_CHECK', '1')  # it pins older transformers and datasets than the lock's
    if 'torchaudio' not in sys.modules:
        monkeypatch.setitem(sys.modules, 'torchaudio', types.ModuleType('torchaudio'))  # imported at its top, used for sound alone
    pytest.importorskip('llamafactory', reason='LLaMA-Factory wants trl<=0.24; the head of this file says how to run it')
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import DataArguments, ModelArguments
    from transformers import Seq2SeqTrainingArguments

    folder = str(exported(kind, 'llama-factory', tmp_path))
    processor = AutoProcessor.from_pretrained(llava)
    data = DataArguments(template='llava', dataset=f'phantom_{kind}_train', dataset_dir=folder, media_dir=folder, cutoff_len=4096)
    template = get_template_and_fix_tokenizer(processor.tokenizer, data)
    model = ModelArguments(model_name_or_path=str(llava), cache_dir=str(tmp_path / 'cache'))
    asked = Seq2SeqTrainingArguments(output_dir=str(tmp_path / 'o'), report_to='none')
    stage = 'rm' if kind == 'triples' else 'sft'  # preferences are prepared alike for reward models and DPO
    rows = get_dataset(template, model, data, asked, stage, processor.tokenizer, processor)['train_dataset']
    assert len(rows) == len(ROWS[kind])
    for found, row in zip(rows, ROWS[kind], strict=True):
        check(row, processor.tokenizer, found.get('chosen_input_ids') or found['input_ids'], found.get('rejected_input_ids'))
        assert len(found['images'] or []) == len(row['images'])


def plain_rows(kind):
    return [row for row in ROWS[kind] if not row['images']]


def test_axolotl_makes_a_batch_of_every_row_of_a_mix(llava, tmp_path, monkeypatch):
    pytest.importorskip('axolotl.utils.collators.mm_chat', reason='axolotl is not in the lock; the head of this file says how to run it')
    from axolotl.processing_strategies import ProcessingStrategy
    from axolotl.utils.collators.mm_chat import MultiModalChatDataCollator

    monkeypatch.chdir(exported('mix', 'axolotl', tmp_path))
    rows = datasets.load_dataset('parquet', data_files='train.parquet', split='train', cache_dir=str(tmp_path / 'cache'))
    processor = AutoProcessor.from_pretrained(llava)
    collate = MultiModalChatDataCollator(processor.tokenizer, ProcessingStrategy(processor, chat_template=tiny_llava.CHAT))
    for found, row in zip(rows, SAMPLES, strict=True):
        batch = collate([found])
        check(row, processor.tokenizer, batch['input_ids'][0].tolist())
        assert len(batch.get('pixel_values', ())) == len(row['images'])


def test_axolotl_transforms_every_preference_without_pictures(llava, tmp_path):
    pytest.importorskip('axolotl.prompt_strategies.dpo.chat_template', reason='axolotl is not in the lock; the head of this file says how to run it')
    from axolotl.prompt_strategies.dpo.chat_template import default
    from axolotl.utils.dict import DictDefault

    folder = exported('triples', 'axolotl', tmp_path)
    rows = datasets.load_dataset('parquet', data_files=str(folder / 'train.parquet'), split='train', cache_dir=str(tmp_path / 'cache'))
    transform, _ = default(DictDefault({'chat_template': 'tokenizer_default', 'datasets': [{'type': 'chat_template.default'}]}))
    tokenizer = AutoProcessor.from_pretrained(llava).tokenizer
    for found, row in zip(rows, plain_rows('triples'), strict=True):
        told = transform(found, tokenizer=tokenizer)
        assert told['prompt'] == tokenizer.apply_chat_template([{'role': m['role'], 'content': text_of(m)} for m in row['prompt']], tokenize=False, add_generation_prompt=True)
        assert [told[side].removesuffix('</s>') for side in ('chosen', 'rejected')] == [text_of(row[side][0]) for side in ('chosen', 'rejected')]


class Strategy:
    """What OpenRLHF's data sets ask of its strategy."""

    def __init__(self, **data):
        self.args = types.SimpleNamespace(data=types.SimpleNamespace(apply_chat_template=True, **data), use_ms=False)

    def is_rank_0(self):
        return False

    def print(self, *_):
        pass


def test_openrlhf_reads_every_row_it_can(kind, llava, tmp_path, monkeypatch):
    pytest.importorskip('openrlhf.datasets', reason='OpenRLHF is not in the lock; the head of this file says how to run it')
    from openrlhf.datasets import PromptDataset, RewardDataset, SFTDataset
    from openrlhf.datasets.utils import blending_datasets

    monkeypatch.setenv('HF_DATASETS_CACHE', str(tmp_path / 'cache'))
    monkeypatch.chdir(exported(kind, 'openrlhf', tmp_path))
    tokenizer, rows = AutoProcessor.from_pretrained(llava).tokenizer, plain_rows(kind)
    if kind == 'triples':
        told = Strategy(prompt_key='prompt', chosen_key='chosen', rejected_key='rejected')
        found = RewardDataset(blending_datasets('train.parquet', strategy=told), tokenizer, 4096, told, is_dpo=True, num_processors=1)
        assert len(found) == len(rows)
        for (chosen, _, rejected, _, _), row in zip(found, rows, strict=True):
            check(row, tokenizer, chosen[0].tolist(), rejected[0].tolist())
        return
    told = Strategy(input_key='messages', output_key=None)
    found = SFTDataset(blending_datasets('sft_train.parquet', strategy=told), tokenizer, 4096, told, num_processors=1, multiturn=True)
    assert len(found) == len(rows)
    for (ids, *_), row in zip(found, rows, strict=True):
        check(row, tokenizer, ids[0].tolist())
    told = Strategy(input_key='prompt', label_key='label', image_key='images')
    prompts = PromptDataset(blending_datasets('prompts_train.parquet', strategy=told), tokenizer, told)
    for (_, prompt, label, images), row in zip(prompts, ROWS[kind], strict=True):
        assert (prompt.count('<image>'), len(images), label) == (len(row['images']), len(row['images']), text_of(row['messages'][-1]))
