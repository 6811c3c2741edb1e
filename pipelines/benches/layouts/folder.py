"""A benchmark of one's own, or one that has no layout here: rows of question, answer, options and pictures, under the names that are usual."""

import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pipelines.benches.layouts.item import Item, Row, find, find_any, picture, read_rows
from pipelines.benches.layouts.values import choose, is_letter, options_of, split_lettered, text, texts
from schemas.errors import UserError

SUFFIXES = ('.json', '.jsonl', '.parquet', '.arrow', '.csv', '.tsv')
_MAY_HOLD_ROWS = ('.gz', '.bz2', '.xz', '.zst', '.ndjson', '.xlsx', '.xls', '.pkl', '.pickle', '.txt', '.yaml', '.yml', '.feather', '.h5')
IMAGE_ROOTS = ('.', 'images', 'image', 'imgs', 'img', 'pictures', 'data')
# Names of fields in lower case and without signs, those first that are taken first. Collected from benchmarks on the Hub and in papers' repositories.
NAMES = {
    'question': (
        'question', 'questiontext', 'questionstem', 'query', 'problem', 'prompt', 'instruction', 'text', 'ctx', 'goal', 'sentence', 'input', 'q'),
    'answer': (
        'answer', 'answers', 'bestanswer',
        'correctanswer', 'correctanswers', 'correctans', 'gtanswer', 'gtanswers', 'gtans', 'groundtruth', 'groundtruthanswer',
        'goldanswer', 'goldanswers', 'gold', 'gt', 'answerkey', 'finalanswer', 'multiplechoiceanswer', 'referenceanswer',
        'expectedanswer', 'standardanswer', 'correctoption', 'correctchoice', 'correct', 'ans', 'answerindex', 'answeridx', 'answerid', 'answertext',
        'label', 'labels', 'target', 'targets', 'cop', 'reference', 'references', 'response', 'output', 'solution', 'solutions',
        'canonicalsolution', 'a'),
    'options': (
        'options', 'option', 'choices', 'choice', 'candidates', 'candidate', 'answerchoices', 'answeroptions', 'candidateanswers',
        'multiplechoices', 'multiplechoiceoptions', 'mcoptions', 'endings', 'alternatives', 'answertexts', 'optionlist', 'choicelist'),
    'image': (
        'image', 'images', 'imgpath', 'imgpaths', 'imagepath', 'imagepaths', 'imagefile', 'imagefiles', 'imagename', 'imgname', 'img', 'imgs',
        'imgfile', 'decodedimage', 'picture', 'pictures', 'picturepath', 'photo', 'imagebytes', 'imagefilename', 'imagelist', 'filename',
        'filepath', 'filepaths'),
    'id': ('id', 'itemid', 'questionid', 'qid', 'pid', 'index', 'idx', 'uid', 'sampleid', 'sampleindex', 'key'),
}  # fmt: skip
_NESTED = ('paragraphs', 'qas', 'qa_pairs')  # lists of rows in a row
_HELD_BACK = ('?', '-1')  # what stands for an answer that is not published: MMMU's, and the label of test rows on the Hub
_OPTION_COLUMN = re.compile(r'(?:(?:choice|option|opt|op|ending|answerchoice|sol)([a-j1-9]))|([a-j])')  # choice_a, option1, opa; A, B, ...
_IMAGE_COLUMN = re.compile(r'(?:image|img|picture|photo)s?[0-9]{1,2}')  # image_1, image_2, ...
_LIKE_IMAGE = re.compile(r'image|img|picture|photo|figure|screenshot')
_IMAGE_ENDS = ('.png', '.jpg', '.jpeg', '.webp', '.gif', '.bmp', '.tif', '.tiff')
_BASE64_CHARS = 200  # a longer name without a point is a picture in base64


@dataclass(frozen=True, slots=True)
class Fields:
    """Which fields of a row are taken for what."""

    question: str
    body: str  # what stands before the question, as SVAMP and ASDiv have it
    answers: tuple[str, ...]
    options: tuple[str, ...]  # each of which may hold them all ...
    each_option: tuple[str, ...]  # ... or one field for each
    images: tuple[str, ...]
    id: str
    read: tuple[str, ...]
    unread: tuple[str, ...]


def folder_items(folder: Path, columns: Mapping[str, str] | None = None) -> Iterator[Item]:
    """Yield the rows of every annotation file of a folder, or below it where it has none itself; `columns` says which field is what."""
    named = tuple(sorted((columns or {}).items()))
    ordinal = 0
    for path in folder_files(folder):
        for row in (flat for whole in read_rows(path) for flat in _flat(whole)):
            fields = fields_of(tuple(row), named)
            for turn in _turns(row, fields):
                yield _item(turn, fields, ordinal)
                ordinal += 1


def _flat(row: Row) -> Iterator[Row]:
    """Yield the questions that a row holds, with what the row says of them all: SQuAD's paragraphs of qas, DROP's qa_pairs, ARC's {stem, choices}."""
    inner = next((name for name in _NESTED if isinstance(row.get(name), list) and all(isinstance(part, dict) for part in row[name])), None)
    if inner is not None:
        about = {name: value for name, value in row.items() if name != inner}
        for part in row[inner]:
            yield from _flat(Row({**about, **part}, row.place))
        return
    asked = row.get('question')
    if isinstance(asked, dict) and 'stem' in asked:
        row = Row({**row, **{name: value for name, value in asked.items() if name != 'stem'}, 'question': asked['stem']}, row.place)
    yield row


def _turns(row: Row, fields: Fields) -> Iterator[Row]:
    """Yield a row of several questions and as many answers, a chat, as one each."""
    asked, said = row.get(fields.question), row.get(fields.answers[0]) if fields.answers else None
    if not (isinstance(asked, list) and isinstance(said, list) and len(asked) == len(said) > 1 and all(isinstance(part, str) for part in asked)):
        yield row
        return
    for question, answer in zip(asked, said, strict=True):
        yield Row({**row, fields.question: question, fields.answers[0]: answer}, row.place)


def folder_files(folder: Path) -> list[Path]:
    """Return the annotation files of a folder; raises UserError where there are none."""
    for pattern in ('*.*', '**/*.*'):
        if found := [path for path in find_any(folder, pattern) if path.suffix in SUFFIXES and not _is_about(path.name)]:
            return found
    return find(folder, *(f'*{suffix}' for suffix in SUFFIXES))


def files_passed_over(folder: Path) -> list[Path]:
    """Return the files below a folder that may hold rows and are not read: in folders below its own, packed, or in formats that are not read."""
    read = set(folder_files(folder))
    found = find_any(folder, '**/*.*')
    return [path for path in found if path not in read and path.suffix.lower() in (*SUFFIXES, *_MAY_HOLD_ROWS) and not _is_about(path.name)]


def _is_about(name: str) -> bool:
    """Return whether a file tells of the data and holds none."""
    return name in ('dataset_info.json', 'dataset_infos.json', 'dataset_dict.json', 'state.json', 'croissant.json') or name.startswith('cache-')


@lru_cache(maxsize=1000)
def fields_of(names: tuple[str, ...], columns: tuple[tuple[str, str], ...]) -> Fields:
    """Return what the fields of a row mean; raises UserError for a column that it has not."""
    given = dict(columns)
    absent = [f'{role}: {name}' for role, name in columns if name not in names]
    if absent:
        raise UserError(f'columns: expected the name of a field, found {", ".join(absent)}; the fields are {", ".join(map(str, names))[:400]}')
    plain = {name: re.sub('[^a-z0-9]', '', str(name).casefold()) for name in names}

    def usual(role: str) -> tuple[str, ...]:
        if role in given:
            return (given[role],)
        free = [name for name in names if name not in given.values()]
        return tuple(name for known in NAMES[role] for name in free if plain[name] == known)

    options, each = usual('options'), () if 'options' in given else _family(names, plain, set(given.values()))
    images = usual('image')
    images += tuple(name for name in names if _IMAGE_COLUMN.fullmatch(plain[name]) and name not in (*images, *given.values()))
    answers = tuple(name for name in usual('answer') if name not in (*options, *each))
    body = tuple(name for name in names if plain[name] == 'body' and 'question' not in given and name not in given.values())[:1]
    fields = {'question': (*body, *usual('question')[:1]), 'answer': answers, 'options': options or each, 'image': images, 'id': usual('id')[:1]}
    taken = {name for some in fields.values() for name in some}
    return Fields(
        next(iter(usual('question')), ''), next(iter(body), ''), answers, options, each, images, next(iter(fields['id']), ''),
        tuple(f'{role}: {", ".join(some)}' for role, some in fields.items() if some), tuple(str(name) for name in names if name not in taken))


def _family(names: tuple[str, ...], plain: dict[str, str], given: set[str]) -> tuple[str, ...]:
    """Return the fields that hold one option each, in their order."""
    matched = {name: _OPTION_COLUMN.fullmatch(plain[name]) for name in names if name not in given}
    marks = {name: (found[1] or found[2]) for name, found in matched.items() if found}
    order = sorted(marks, key=lambda name: marks[name])
    return tuple(order) if len(order) > 1 and marks[order[0]] in 'a1' else ()


def _item(row: Row, fields: Fields, ordinal: int) -> Item:
    question = _question(row, fields)
    said = next((row[name] for name in fields.answers if texts(row[name])), None)
    if text(said) in _HELD_BACK and (text(said) == '?' or fields.options):
        said = None
    listed = [*(row[name] for name in fields.options), [row[name] for name in fields.each_option]]
    held = next((value for value in listed if options_of(value)), None)
    options, of_numbers = options_of(held), isinstance(held, list) and any(isinstance(option, int | float) for option in held)
    if not options and is_letter(text(said)):
        before, inside = split_lettered(question)
        question, options = (before, inside) if before and inside else (question, ())
    answer = (choose(_from_zero(said, fields), options, of_numbers=of_numbers) if options else '') or text(said)
    accepted = tuple(dict.fromkeys((answer, *texts(said))))
    images = _images(row, fields)
    of_no_known_form = isinstance(said, dict) and answer.startswith('{')
    no_picture = fields.images and not images and not any(isinstance(row[name], str) and row[name] for name in fields.images)
    lacks = [*(['answers'] if not fields.answers or of_no_known_form else []), *(['options'] if not options and is_letter(answer) else []),
             *(['pictures'] if no_picture else [])]
    key = text(row[fields.id]) if fields.id else ''
    return Item(key or str(ordinal), question, answer, options, images, {'answers': list(accepted)} if len(accepted) > 1 else {},
                tuple(lacks), fields.read, fields.unread)


def _from_zero(said: object, fields: Fields) -> object:
    """Return an answer that counts options from 1, as their fields do, counted from 0."""
    from_one = fields.each_option and fields.each_option[0].endswith('1') and text(said).isdigit()
    return int(text(said)) - 1 if from_one else said


def _images(row: Row, fields: Fields) -> tuple[str | bytes, ...]:
    """Return the pictures of a row: where some are in it, the paths beside them are their names."""
    found = [image for name in fields.images for image in _pictures(row[name]) if _says_picture(name, image)]
    return tuple(dict.fromkeys([image for image in found if isinstance(image, bytes)] or found))


def _says_picture(name: str, image: str | bytes) -> bool:
    return isinstance(image, bytes) or not name.casefold().startswith('file') or image.casefold().endswith(_IMAGE_ENDS)


def _question(row: Row, fields: Fields) -> str:
    found = row[fields.question] if fields.question else None
    question = '\n'.join(map(_said, found)) if isinstance(found, list) else text(found) if not isinstance(found, dict) else ''
    if question.strip():
        return f'{before}\n{question}' if fields.body and (before := text(row[fields.body])) else question
    shown = f'nothing in `{fields.question}`' if fields.question else f'the fields {", ".join(f"`{name}`" for name in row)[:400]}'
    raise UserError(f'{row.place}: expected a question ({", ".join(NAMES["question"][:4])}, ...), found {shown}; '
                    'name its field in the recipe: columns: {question: ...}')


def _said(part: object) -> str:
    """Return what a part of a question says: a text, or a message."""
    return text(part.get('content', part)) if isinstance(part, dict) else text(part)


def _pictures(value: object) -> tuple[str | bytes, ...]:
    """Return the pictures in a cell, those in base64 opened."""
    if isinstance(value, str):
        if value.startswith('data:') and ',' in value:
            return _opened(value.partition(',')[2]) or (value[:80],)
        if value.startswith(('["', "['")):
            return tuple(image for name in texts(value) for image in picture(name))
        if len(value) > _BASE64_CHARS and '.' not in value:
            return _opened(value) or picture(value)
    if isinstance(value, list):
        return tuple(image for one in value for image in _pictures(one))
    return picture(value)


def _opened(value: str) -> tuple[bytes, ...]:
    try:
        return (base64.b64decode(value, validate=True),)
    except (binascii.Error, ValueError):
        return ()


def picture_files(folder: Path) -> list[Path]:
    """Return the pictures below a folder."""
    return [path for path in find_any(folder, '**/*.*') if path.suffix.casefold() in _IMAGE_ENDS]


def may_be_picture(name: str) -> bool:
    """Return whether a field that nobody reads sounds like one of pictures."""
    return _LIKE_IMAGE.search(name.casefold()) is not None
