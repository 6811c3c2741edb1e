"""Each of the paper's sources, in exactly the format it is published in, read through its own entry in recipes/phantom.yaml."""

import io
import json
import zipfile
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from curation.rows.fields import ignored_fields
from curation.rows.formats import Conversation, read_record, split_turns
from curation.rows.references import other_names
from pipelines.sources.containers import chunks, rows
from pipelines.sources.files import resolve
from pipelines.sources.images import ImageStore
from pipelines.sources.read import plan_chunks
from schemas.recipe import Contamination, Recipe, load_recipe
from schemas.records import Reason

RECIPE = load_recipe(Path(__file__).parents[3] / 'recipes' / 'phantom.yaml')


def png(colour='red'):
    out = io.BytesIO()
    Image.new('RGB', (8, 8), colour).save(out, 'PNG')
    return out.getvalue()


def put(root, file, content):
    path = root / file
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif file.endswith('.jsonl'):
        path.write_text(''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in content))
    elif file.endswith('.parquet'):
        pq.write_table(content if isinstance(content, pa.Table) else pa.Table.from_pylist(content), path)
    else:
        path.write_text(json.dumps(content, ensure_ascii=False))


def only(name, **changes):
    """Return the recipe with one source of RECIPE."""
    return RECIPE.model_copy(update={'sources': {name: RECIPE.sources[name].model_copy(update=changes)}, 'contamination': Contamination()})


def read(recipe: Recipe, root: Path) -> list:
    """Return what every record of a recipe's one source says, in order."""
    recipe = resolve(recipe, root)
    (name, source), = recipe.sources.items()
    read = [(row, read_record(row, source)) for file in source.annotations for chunk in chunks(name, root, file) for _, row in rows(chunk, root)]
    for row, found in read:  # of what is published every field is used or known
        assert not isinstance(found, Conversation) or not ignored_fields(row, source, found), row
    return [found for _, found in read]


def opened(recipe: Recipe, root: Path, reference: str) -> bytes:
    """Return the picture behind a reference, as a build opens it."""
    (name, source), = resolve(recipe, root).sources.items()
    return ImageStore({name: tuple(str(root / images) for images in source.images)}, '', 1_000_000).read(f'{name}/{reference}')


def said(found):
    assert isinstance(found, Conversation), found
    return [turn.text for turn in found.turns], found.images


def talk(*texts):
    return [{'from': 'human' if i % 2 == 0 else 'gpt', 'value': text} for i, text in enumerate(texts)]


LONG = 'mnt/petrelfs/wangwenhai/workspace_cef/4o/image'


@pytest.mark.parametrize('packed', [True, False])
def test_sharegpt4o_names_are_bare_and_its_images_lie_below_a_long_prefix(tmp_path, packed):
    put(tmp_path, 'ShareGPT-4o/image_conversations/gpt-4o.jsonl', [
        {'id': 3, 'image': '0a1b.png', 'width': 8, 'height': 8, 'conversations': talk('<image>\nDescribe it.', 'A red square.')}])
    if packed:
        with zipfile.ZipFile(tmp_path / 'ShareGPT-4o' / 'images.zip', 'w') as archive:
            archive.writestr(f'{LONG}/0a1b.png', png())
    else:
        put(tmp_path, f'ShareGPT-4o/{LONG}/0a1b.png', png())
    recipe = only('sharegpt4o')
    (found,) = read(recipe, tmp_path)
    assert said(found) == (['<image>\nDescribe it.', 'A red square.'], (f'{LONG}/0a1b.png',))
    assert opened(recipe, tmp_path, found.images[0]) == png()


def test_sharegpt4v_captions_lose_their_sam_rows(tmp_path):
    put(tmp_path, 'sharegpt4v_instruct_gpt4-vision_cap100k.json', [
        {'id': '000000000009', 'image': 'coco/train2017/000000000009.jpg', 'conversations': talk('What goes on here?\n<image>', 'A meal.')},
        {'id': 'w', 'image': 'wikiart/images/a.jpg', 'conversations': talk('<image>\nWhat?', 'A painting.')},
        {'id': 'sa_545504', 'image': 'sam/images/sa_545504.jpg', 'conversations': talk('<image>\nWhat is this photo about?', 'A street.')}])
    put(tmp_path, 'data/wikiart/images/a.jpg', png())
    kept, painting, dropped = read(only('sharegpt4v-caption'), tmp_path)
    assert opened(only('sharegpt4v-caption'), tmp_path, painting.images[0]) == png()
    assert said(kept)[0][0].endswith('\n<image>')
    assert dropped.reason == Reason.RECORD_NOT_SELECTED


def test_sharegpt4v_instructions_have_many_turns_text_only_rows_and_other_extensions(tmp_path):
    put(tmp_path, 'sharegpt4v_mix665k_cap23k_coco-ap9k_lcs3k_sam9k_div2k.json', [
        {'id': '1', 'image': 'ocr_vqa/images/0001.jpg', 'conversations': talk(
            '<image>\nWho wrote this book?\nOne word.', 'Ann', 'What is the title?', 'Red')},
        {'id': 'x_0', 'model': '', 'conversations': talk('Hello', 'Hi')},
        {'id': '2', 'image': 'gqa/images/2.jpg', 'conversations': talk('Is it red?\nAnswer with the option.\n<image>', 'Yes')}])
    put(tmp_path, 'ocr_vqa/images/0001.png', png())
    recipe = only('sharegpt4v-instruction')
    many, text_only, last = read(recipe, tmp_path)
    assert [part is not None for _, part in split_turns(many, 'first')] == [True, False]
    assert len(split_turns(many, 'each')) == 2
    assert text_only.images == ()
    assert said(last)[0][0].endswith('<image>')
    assert recipe.sources['sharegpt4v-instruction'].other_extensions
    assert 'ocr_vqa/images/0001.png' in other_names(many.images[0])


@pytest.mark.parametrize(('names', 'prefix'), [
    (('minigemini_pretrain.json', 'minigemini_instruction.json'), 'ALLaVA-4V/'), (('mgm_pretrain.json', 'mgm_instruction.json'), 'ALLaVA-4V/'),
    (('ALLaVA-4V/allava_vflan/ALLaVA-Caption-VFLAN-4V.json', 'ALLaVA-4V/allava_vflan/ALLaVA-Instruct-VFLAN-4V.json'), '')])
def test_allava_vflan_comes_from_minigemini_under_both_names_or_from_its_own_files(tmp_path, names, prefix):
    image = 'allava_vflan/images/images_191task_1k/task_a_1.png'
    put(tmp_path, names[0], [{'id': 'allava_vflan_cap_0', 'image': prefix + image, 'conversations': talk('<image>\nDescribe.', 'Red.')}])
    put(tmp_path, names[1], [
        {'id': 'allava_vflan_inst_0', 'image': prefix + image, 'conversations': talk('<image>\nWhy?', 'So.')},
        {'id': 'other', 'image': 'gqa/images/1.jpg', 'conversations': talk('<image>\nIs it?', 'Yes')}])
    put(tmp_path, f'ALLaVA-4V/{image}', png())
    caption, instruction, other = read(only('allava-vflan'), tmp_path)
    assert said(caption)[0] == ['<image>\nDescribe.', 'Red.']
    assert opened(only('allava-vflan'), tmp_path, instruction.images[0]) == png()
    assert other.reason == Reason.RECORD_NOT_SELECTED


def test_allava_text_has_idx_and_no_image(tmp_path):
    put(tmp_path, 'Evol-Instruct-GPT4-Turbo-143K.json', [{'idx': 'heR0vZB', 'conversations': talk('Write a haiku.', 'Red leaf')}])
    assert [said(found) for found in read(only('allava-text'), tmp_path)] == [(['Write a haiku.', 'Red leaf'], ())]


@pytest.mark.parametrize('name', ['minigemini_instruction.json', 'mgm_instruction.json'])
def test_minigemini_is_selected_by_prefix_and_its_image_may_be_a_list(tmp_path, name):
    put(tmp_path, name, [
        {'id': '1', 'image': 'docvqa/images/a_1.png', 'conversations': talk('<image>\nWho?', 'Ann')},
        {'id': '2', 'image': ['dvqa/images/bar_train_00157767.png'], 'conversations': talk('<image>\nHow many?', '3')},
        {'id': '3', 'image': 'chartqa/train/images/1.png', 'conversations': talk('<image>\nMax?', '7')},
        {'id': '4', 'image': 'coco/train2017/1.jpg', 'conversations': talk('<image>\nIs it?', 'No')},
        {'id': '5', 'conversations': talk('Hello', 'Hi')}])
    found = read(only('minigemini'), tmp_path)
    assert [said(f)[1] for f in found[:3]] == [('docvqa/images/a_1.png',), ('dvqa/images/bar_train_00157767.png',), ('chartqa/train/images/1.png',)]
    assert [f.reason for f in found[3:]] == [Reason.RECORD_NOT_SELECTED] * 2


def test_smr_gives_arxivqa_and_textbookqa_only(tmp_path):
    put(tmp_path, 'SMR.json', [{'image': f'{folder}/1.png', 'conversations': talk('<image>\nWhat?', 'Because.')}
                               for folder in ('arxivqa/images', 'TextbookQA/train/question_images', 'MathVision/images', 'ai2d/images')])
    found = read(only('smr'), tmp_path)
    assert [isinstance(f, Conversation) for f in found] == [True, True, False, False]


def test_docdownstream_has_messages_pipe_marks_and_dotted_image_lists(tmp_path):
    image = './imgs/DUE_Benchmark/DocVQA/pngs/xnbl0037_1.png'
    put(tmp_path, 'train.jsonl', [{'image': [image], 'task_name': 'qa_sft', 'dataset_name': 'DocVQA', 'messages': [
        {'role': 'user', 'content': '<|image|>what is the date mentioned in this letter?'}, {'role': 'assistant', 'content': '1/8/93'}]}])
    put(tmp_path, image, png())
    (found,) = read(only('docdownstream'), tmp_path)
    assert said(found) == (['<image>what is the date mentioned in this letter?', '1/8/93'], (image[2:],))
    assert opened(only('docdownstream'), tmp_path, found.images[0]) == png()


def test_docreason_may_hold_more_than_one_turn_and_lies_in_its_own_folder(tmp_path):
    put(tmp_path, 'DocReason25K/detailed_explanation.jsonl', [{'image': ['./imgs/ChartQA/1.png'], 'messages': [
        {'role': 'user', 'content': '<|image|>Which? Explain it at length.'}, {'role': 'assistant', 'content': 'Red, since it is.'},
        {'role': 'user', 'content': 'And then?'}, {'role': 'assistant', 'content': 'Blue.'}]}])
    put(tmp_path, 'DocReason25K/imgs/ChartQA/1.png', png())
    (found,) = read(only('docreason'), tmp_path)
    assert len(split_turns(found, 'each')) == 2
    assert opened(only('docreason'), tmp_path, found.images[0]) == png()


@pytest.mark.parametrize(('name', 'flat', 'published'), [
    ('gllava-align', 'gllava_align.parquet', 'Geo170K/alignment.json'), ('gllava-qa', 'gllava_qa.parquet', 'Geo170K/data/qa_tuning-00000-of-00001.parquet')])
def test_gllava_is_parquet_or_json_without_an_id(tmp_path, name, flat, published):
    question = '<image>\nReason it out, and end with the choice in the form Answer: xxx.\nQuestion:x\nChoices:\nA: 32°'
    row = [{'image': 'geoqa_plus/1000.png', 'conversations': talk(question, 'Answer:A')}]
    for root, file, image in ((tmp_path / 'a', flat, 'geoqa_plus/1000.png'), (tmp_path / 'b', published, 'Geo170K/images/geoqa_plus/1000.png')):
        put(root, file, row)
        put(root, image, png())
        (found,) = read(only(name), root)
        assert said(found) == ([question, 'Answer:A'], ('geoqa_plus/1000.png',))
        assert opened(only(name), root, found.images[0]) == png()


MATHVISION = pa.schema([('id', pa.string()), ('question', pa.string()), ('options', pa.list_(pa.string())), ('image', pa.string()),
                        ('decoded_image', pa.struct([('bytes', pa.binary()), ('path', pa.string())])), ('answer', pa.string()),
                        ('solution', pa.string()), ('level', pa.int64()), ('subject', pa.string())])


def test_mathvision_has_bytes_numbered_marks_options_and_null_solutions(tmp_path):
    base = {'decoded_image': {'bytes': png(), 'path': '1.jpg'}, 'image': 'images/1.jpg', 'level': 2, 'subject': 'algebra', 'solution': None, 'options': []}
    put(tmp_path, 'mathvision.parquet', pa.Table.from_pylist([
        {**base, 'id': '1', 'question': 'Which of <image1> and <image2>\nis red?', 'options': ['one', 'two', 'three', 'four', 'five'], 'answer': 'B'},
        {**base, 'id': '2', 'question': 'Which letter?\n<image1>', 'options': list('ABCDE'), 'answer': 'C', 'solution': 'We count. '},
        {**base, 'id': '2673', 'question': 'How many?', 'answer': '12', 'decoded_image': {'bytes': None, 'path': None}}], MATHVISION))
    found = [said(f) for f in read(only('mathvision'), tmp_path)]
    assert found == [
        (['<image>\nWhich of and is red?\nA. one\nB. two\nC. three\nD. four\nE. five', 'B'], (png(),)),
        (['<image>\nWhich letter?', 'We count.\nThe answer is C.'], (png(),)),
        (['<image>\nHow many?', '12'], ('images/1.jpg',))]


def test_mathinstruct_is_instruction_and_output(tmp_path):
    put(tmp_path, 'MathInstruct.json', [
        {'source': 'data/CoT/gsm_train.json', 'instruction': 'What is 1+1?', 'output': 'The answer is 2'},
        {'source': 'data/PoT/aqua_rat_filtered.json', 'instruction': 'Please write a program.', 'output': 'print(1 + 1)'}])
    assert [said(f)[0][1] for f in read(only('mathinstruct'), tmp_path)] == ['The answer is 2', 'print(1 + 1)']


def test_mathplus_gives_a_seeded_subset_of_exactly_the_declared_size(tmp_path):
    for part in range(2):
        put(tmp_path, f'MATH-plus/data/train-{part:05d}-of-00002.parquet', [{'instruction': f'{part}/{i}?', 'output': 'The answer is 1'} for i in range(700)])
    recipe = resolve(only('mathplus', subset=300), tmp_path)
    (planned,) = plan_chunks(recipe, tmp_path).values()
    chosen = [(selected.chunk.file, selected.ordinals) for selected in planned]
    assert sum(len(ordinals) // 8 for _, ordinals in chosen) == 300
    assert chosen == [(selected.chunk.file, selected.ordinals) for selected in plan_chunks(recipe, tmp_path)['mathplus']]
    assert len(read(only('mathplus'), tmp_path)) == 1400


def generic(**source):
    return Recipe.model_validate({'name': 'own', 'sources': {'own': {'licence': 'MIT', **source}}})


def test_a_datasets_folder_with_an_image_column_is_read(tmp_path):
    features = datasets.Features({'picture': datasets.Image(), 'q': datasets.Value('string'), 'a': datasets.Value('string')})
    made = datasets.Dataset.from_dict({'picture': [Image.new('RGB', (8, 8), colour) for colour in ('red', 'blue')], 'q': ['Q1', 'Q2'], 'a': ['red', 'blue']}, features)
    made.save_to_disk(tmp_path / 'saved', num_shards=2)
    (tmp_path / 'shards').mkdir()
    made.to_parquet(tmp_path / 'shards' / 'train.parquet')
    columns = {'image': 'picture', 'question': 'q', 'answer': 'a'}
    for folder in ('saved', 'shards'):
        found = read(generic(format='columns', annotations=[folder], columns=columns), tmp_path)
        assert [said(f)[0] for f in found] == [['<image>\nQ1', 'red'], ['<image>\nQ2', 'blue']]
        assert [Image.open(io.BytesIO(f.images[0])).getpixel((0, 0)) for f in found] == [(255, 0, 0), (0, 0, 255)]


def test_a_webdataset_written_by_webdataset_is_read(tmp_path):
    import webdataset

    with webdataset.TarWriter(str(tmp_path / 'train-000000.tar')) as tar:
        for i in range(3):
            tar.write({'__key__': f'part/{i:04d}', 'png': png(), 'json': {'conversations': talk('<image>\nWhat?', f'Red {i}.')}})
    found = read(generic(format='webdataset', annotations=['train-*.tar']), tmp_path)
    assert [said(f) for f in found] == [(['<image>\nWhat?', f'Red {i}.'], (png(),)) for i in range(3)]
