"""Benchmarks with open answers as published; several are scored by a judge, whose references stand in `answer` and meta."""

from collections.abc import Iterator
from pathlib import Path

from pipelines.benches.layouts.item import Item, Row, find, find_any, letter, picked, picture, read_object, read_rows
from pipelines.benches.layouts.values import text, texts
from schemas.errors import UserError

WEB_TASKS = ('action_ground', 'action_prediction', 'element_ground', 'element_ocr', 'heading_ocr', 'web_caption', 'webqa')
_NAMED_IMAGE = ('.png', '.jpg', '.jpeg')


def chartqa(folder: Path) -> Iterator[Item]:
    """Yield ChartQA's test split: test/test_human.json and test/test_augmented.json (imgname, query, label), pictures in test/png/.

    Or data/test-*.parquet with image, query, label (a list), human_or_machine, as on huggingface.co/datasets/HuggingFaceM4/ChartQA, or with
    image, question, answer, type (human_test), as on huggingface.co/datasets/lmms-lab/ChartQA.
    """
    for path in find(folder, 'test/test_*.json', 'test_*.json', '**/test_*.json', '**/test-*.parquet'):
        for number, row in enumerate(read_rows(path)):
            if path.suffix == '.json':
                split = path.stem.removeprefix('test_')
                yield _open_item(f'{split}/{number}', row['query'], row['label'], picture(row['imgname']), {'split': split})
            elif 'human_or_machine' in row:
                split = ('human', 'augmented')[int(row['human_or_machine'])]
                yield _open_item(f'{path.stem}/{number}', row['query'], row['label'], picture(row['image']), {'split': split})
            else:
                split = str(row['type']).partition('_')[0]
                yield _open_item(f'{path.stem}/{number}', row['question'], row['answer'], picture(row['image']), {'split': split})


def _open_item(key: str, question: str, answer: object, images: tuple[str | bytes, ...], meta: dict) -> Item:
    """Return an item whose answer may be a list of those accepted."""
    accepted = texts(answer)
    return Item(key, question, text(answer), images=images, meta={**meta, 'answers': list(accepted)} if len(accepted) > 1 else meta)


def mm_vet(folder: Path) -> Iterator[Item]:
    """Yield mm-vet.json {id: {imagename, question, answer, capability}}, pictures in images/. An answer may hold <OR> and <AND>.

    Or Parquet with question_id, image, question, answer, capability (`ocr,math`), as on huggingface.co/datasets/lmms-lab/MMVet.
    """
    if not find_any(folder, 'mm-vet.json') and (tables := find_any(folder, '**/test-*.parquet')):
        for row in (row for path in tables for row in read_rows(path)):
            skills = [skill.strip() for skill in text(row.get('capability')).split(',') if skill.strip()]
            yield Item(str(row['question_id']), row['question'], text(row['answer']), images=picture(row['image']), meta={'capability': skills})
        return
    for key, row in _named_rows(find(folder, 'mm-vet.json')[0]):
        yield Item(key, row['question'], text(row['answer']), images=(row['imagename'],), meta=picked(row, 'capability', 'imagesource'))


def _named_rows(path: Path) -> Iterator[tuple[str, Row]]:
    for key, row in read_object(path).items():
        if not isinstance(row, dict):
            raise UserError(f'{path}#{key}: expected an object, found {type(row).__name__}')
        yield key, Row(row, f'{path}#{key}')


def mm_vet_v2(folder: Path) -> Iterator[Item]:
    """Yield mm-vet-v2.json: as mm-vet.json, with `<IMG>` between texts and the names of pictures in the question."""
    for key, row in _named_rows(find(folder, 'mm-vet-v2.json')[0]):
        parts = [part.strip() for part in row['question'].split('<IMG>')]
        named = [part.lower().endswith(_NAMED_IMAGE) for part in parts]
        question = '\n'.join('<image>' if is_name else part for part, is_name in zip(parts, named, strict=True) if part)
        images = tuple(part for part, is_name in zip(parts, named, strict=True) if is_name)
        yield Item(key, question, text(row['answer']), images=images, meta=picked(row, 'capability', 'added_in'))


def llava_w(folder: Path) -> Iterator[Item]:
    """Yield LLaVA-Bench (in the wild): questions.jsonl (question_id, image, text, category), images/.

    The reference answers of answers_gpt4.jsonl and the captions of context.jsonl come along where those files are.
    """
    answers = {row['question_id']: row['text'] for path in folder.glob('answers_gpt4.jsonl') for row in read_rows(path)}
    captions = {row['image']: row['caption'] for path in folder.glob('context.jsonl') for row in read_rows(path) if 'image' in row}
    for row in read_rows(find(folder, 'questions.jsonl')[0]):
        meta = {'category': row['category'], **({'context': captions[row['image']]} if row['image'] in captions else {})}
        yield Item(str(row['question_id']), row['text'], text(answers.get(row['question_id'])), images=(row['image'],), meta=meta)


def llava_wilder(folder: Path) -> Iterator[Item]:
    """Yield LLaVA-Bench-Wilder (small): parquet with Question, Answer, Category, image, image_name."""
    for path in find(folder, 'small/*.parquet', '*.parquet', '**/*.parquet'):
        for number, row in enumerate(read_rows(path)):
            key = str(row.get('image_name') or number)
            yield Item(key, row['Question'], text(row['Answer']), images=picture(row['image']), meta=picked(row, 'Category'))


def visualwebbench(folder: Path) -> Iterator[Item]:
    """Yield VisualWebBench's seven tasks: <task>/test-*.parquet with id, task_type, image, options, question | instruction | elem_desc, answer.

    Columns as on huggingface.co/datasets/visualwebbench/VisualWebBench. `answer` is an option's index, a text, or a list of texts (meta `answers`).
    """
    for path in find(folder, '**/*.parquet'):
        for row in read_rows(path):
            question = row.get('question') or row.get('instruction') or row.get('elem_desc') or ''
            options = tuple(text(option) if isinstance(option, str) else str(option) for option in row.get('options') or ())
            answer = row['answer']
            named = [part for part in path.relative_to(folder).parts if part in WEB_TASKS]
            meta = {'task': named[0] if named else str(row['task_type']), **picked(row, 'task_type', 'website', 'bbox', 'elem_desc', 'image_size')}
            if options:
                yield Item(str(row['id']), question, letter(answer), options, picture(row['image']), meta)
            else:
                yield _open_item(str(row['id']), question, answer, picture(row['image']), meta)
