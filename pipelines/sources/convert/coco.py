"""COCO captions: each caption becomes a row of its own, with the picture that it is about.

The file's layout is the captions' one of cocodataset.org (Data format): `images` with id and file_name, `annotations` with image_id and caption.
Boxes, masks and key points (`instances_*.json`) are refused: no question in them is anybody's, and each one made up would be ours.
"""

from collections.abc import Iterator
from pathlib import Path

from pipelines.sources.convert.rows import LeftOut, Pictures, Row, records, text_of
from pipelines.sources.malformed import Malformed
from schemas.errors import UserError
from schemas.records import Reason

# What COCO's writers were told to do, in short (a sentence that describes the scene; Chen et al. 2015, arXiv 1504.00325, section 3).
QUESTION = 'Describe the picture in one sentence.'
COLUMNS = {'image': 'image', 'question': 'question', 'answer': 'answer', 'id': 'id'}


def caption_rows(path: Path, pictures: Pictures) -> Iterator[Row | LeftOut]:
    """Yield a row for each caption, in the file's order, and what is wrong with images and captions; raises UserError for a file without captions."""
    _refuse_boxes(path)
    names: dict[object, str] = {}
    for ordinal, image in records(path, 'images'):
        if isinstance(image, Malformed):
            yield LeftOut('image', f'{path.name}#images/{ordinal}', Reason.RECORD_MALFORMED, image.found)
        elif not isinstance(image.get('id'), int | str) or not isinstance(image.get('file_name'), str):
            yield LeftOut('image', f'{path.name}#images/{ordinal}', Reason.RECORD_MALFORMED, f'expected id and file_name, found {sorted(image)[:12]}')
        else:
            names[image['id']] = image['file_name']
    for ordinal, caption in records(path, 'annotations'):
        yield _row(f'{path.name}#{ordinal}', caption, names, pictures)


def _row(where: str, caption: dict | Malformed, names: dict[object, str], pictures: Pictures) -> Row | LeftOut:
    if isinstance(caption, Malformed):
        return LeftOut('annotation', where, Reason.RECORD_MALFORMED, caption.found)
    image, said = caption.get('image_id'), text_of(caption.get('caption'))
    if not isinstance(image, int | str) or image not in names:
        return LeftOut('annotation', where, Reason.RECORD_MALFORMED, f'expected an image_id that `images` lists, found {image!r:.80}')
    if not said.strip():
        return LeftOut('annotation', where, Reason.EMPTY_ANSWER, 'no caption')
    name = pictures.inside(names[image])
    if fault := pictures.fault(name):
        return LeftOut('annotation', where, *fault)
    return Row({'id': f'{caption.get("id", where)}', 'image': name, 'question': QUESTION, 'answer': said})


def _refuse_boxes(path: Path) -> None:
    first = next((record for _, record in records(path, 'annotations')), None)
    if isinstance(first, dict) and 'caption' not in first:
        raise UserError(f'{path}: expected captions, found annotations with {sorted(first)[:8]}; boxes and masks hold no question and no answer, '
                        'and none is made up here. Captions are in captions_*.json; own questions belong into a table (image, question, answer)')
