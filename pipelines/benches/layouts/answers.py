"""Benchmarks with open answers as published; several are scored by a judge, whose references stand in `answer` and meta."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.benches.layouts.item import Item, find, letter, picked, picture, read_object, read_rows

_NAMED_IMAGE = ('.png', '.jpg', '.jpeg')


def chartqa(folder: Path) -> Iterator[Item]:
    """Yield ChartQA's test split: test/test_human.json and test/test_augmented.json (imgname, query, label), pictures in test/png/.

    Or data/test-*.parquet with image, query, label (a list), human_or_machine, as on huggingface.co/datasets/HuggingFaceM4/ChartQA.
    """
    for path in find(folder, 'test/test_*.json', 'test_*.json', '**/test-*.parquet'):
        for number, row in enumerate(read_rows(path)):
            if path.suffix == '.json':
                split = path.stem.removeprefix('test_')
                yield Item(f'{split}/{number}', row['query'], str(row['label']), images=(row['imgname'],), meta={'split': split})
            else:
                split = ('human', 'augmented')[int(row['human_or_machine'])]
                yield Item(f'{path.stem}/{number}', row['query'], str(row['label'][0]), images=picture(row['image']), meta={'split': split})


def mm_vet(folder: Path) -> Iterator[Item]:
    """Yield mm-vet.json {id: {imagename, question, answer, capability}}, pictures in images/. An answer may hold <OR> and <AND>."""
    for key, row in read_object(find(folder, 'mm-vet.json')[0]).items():
        yield Item(key, row['question'], row['answer'], images=(row['imagename'],), meta=picked(row, 'capability', 'imagesource'))


def mm_vet_v2(folder: Path) -> Iterator[Item]:
    """Yield mm-vet-v2.json: as mm-vet.json, with `<IMG>` between texts and the names of pictures in the question."""
    for key, row in read_object(find(folder, 'mm-vet-v2.json')[0]).items():
        parts = [part.strip() for part in row['question'].split('<IMG>')]
        named = [part.lower().endswith(_NAMED_IMAGE) for part in parts]
        question = '\n'.join('<image>' if is_name else part for part, is_name in zip(parts, named, strict=True) if part)
        images = tuple(part for part, is_name in zip(parts, named, strict=True) if is_name)
        yield Item(key, question, row['answer'], images=images, meta=picked(row, 'capability', 'added_in'))


def llava_w(folder: Path) -> Iterator[Item]:
    """Yield LLaVA-Bench (in the wild): questions.jsonl (question_id, image, text, category), images/.

    The reference answers of answers_gpt4.jsonl and the captions of context.jsonl come along where those files are.
    """
    answers = {row['question_id']: row['text'] for path in folder.glob('answers_gpt4.jsonl') for row in read_rows(path)}
    captions = {row['image']: row['caption'] for path in folder.glob('context.jsonl') for row in read_rows(path) if 'image' in row}
    for row in read_rows(find(folder, 'questions.jsonl')[0]):
        meta = {'category': row['category'], **({'context': captions[row['image']]} if row['image'] in captions else {})}
        yield Item(str(row['question_id']), row['text'], answers.get(row['question_id'], ''), images=(row['image'],), meta=meta)


def llava_wilder(folder: Path) -> Iterator[Item]:
    """Yield LLaVA-Bench-Wilder (small): parquet with Question, Answer, Category, image, image_name."""
    for path in find(folder, 'small/*.parquet', '*.parquet'):
        for number, row in enumerate(read_rows(path)):
            key = str(row.get('image_name') or number)
            yield Item(key, row['Question'], row['Answer'], images=picture(row['image']), meta=picked(row, 'Category'))


def visualwebbench(folder: Path) -> Iterator[Item]:
    """Yield VisualWebBench's seven tasks: <task>/test-*.parquet with id, task_type, image, options, question | instruction | elem_desc, answer.

    Columns as on huggingface.co/datasets/visualwebbench/VisualWebBench. `answer` is an option's index, a text, or a list of texts (meta `answers`).
    """
    for path in find(folder, '**/*.parquet'):
        for row in read_rows(path):
            question = row.get('question') or row.get('instruction') or row.get('elem_desc') or ''
            options = tuple(str(option) for option in row.get('options') or ())
            answer = row['answer']
            meta = picked(row, 'task_type', 'website', 'bbox', 'elem_desc', 'image_size')
            if isinstance(answer, list):
                meta['answers'], answer = answer, answer[0]
            yield Item(row['id'], question, letter(answer) if options else str(answer), options, picture(row['image']), meta)
