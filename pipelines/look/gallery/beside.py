"""What a rejected row is shown beside: the kept sample it repeats, the picture its star is named after, the benchmark item it stands in."""

import json
import re

from pipelines.look.gallery.flagged import beside_sample, other_answers
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.work import WorkPictures
from schemas.records import Reason

# As pipelines/mix/selection.py writes the details of these reasons.
_COPY_OF = re.compile(r'same question.*? as (.+)', re.DOTALL)
_NEAR_TEXT = re.compile(r'nearly the same text as (.+), in the cluster of .+, which has .*', re.DOTALL)
_STAR_OF = re.compile(r'star of ([0-9a-f]{64}(?: or [0-9a-f]{64})*) has .*')


def beside(row: dict, index: GalleryIndex, work: WorkPictures | None) -> list[dict]:
    """Return [{who, texts, images}]: images are ids or references, bytes, or None for one that is not there."""
    detail = row['detail'] or ''
    match row['reason']:
        case Reason.DUPLICATE_SAMPLE if found := _COPY_OF.fullmatch(detail):
            sample = index.sample(found[1])
            return [{'who': f'kept: {found[1]}', 'texts': [], 'images': sample['image_ids']}] if sample else []
        case Reason.NEAR_DUPLICATE_CAP if found := _STAR_OF.fullmatch(detail):
            return [{'who': 'near-duplicate: the survivor of its star', 'texts': [], 'images': found[1].split(' or ')}]
        case Reason.CONTAMINATED:
            return _benchmark_item(detail, work)
        case Reason.NEAR_DUPLICATE_TEXT if found := _NEAR_TEXT.fullmatch(detail):
            return [beside_sample(found[1], index)] if index.sample(found[1]) else []
        case Reason.CONTRADICTED_ANSWER:
            return other_answers(detail, index, row.get('id', ''))
    return []


def _benchmark_item(detail: str, work: WorkPictures | None) -> list[dict]:
    try:
        hit = json.loads(detail)
    except ValueError:
        return []
    if not isinstance(hit, dict) or not isinstance(hit.get('bench'), str) or not isinstance(hit.get('item_id'), str):
        return []
    item = work.item(hit['bench'], hit['item_id']) if work else None
    texts = [text for text in (item['question'], '\n'.join(item['options'] or ()), item['answer']) if text] if item else []
    who = f'benchmark {hit["bench"]}, item {hit["item_id"]}, by {hit.get("evidence")}'
    return [{'who': who, 'texts': texts, 'images': item['images'] if item else []}]
