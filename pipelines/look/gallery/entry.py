"""What the page shows of one row: pictures, turns, answers, reason, scores, replies, and every other fact, all as plain text."""

import json
from pathlib import Path

from curation.rows.formats import IMAGE
from pipelines.engine.place import work_of
from pipelines.look.gallery.beside import beside
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.work import WorkPictures
from pipelines.replies.store import ReplyStore
from schemas.json_text import strict
from schemas.replies import Failure

SHOWN_CHARS = 20_000  # of one raw reply


def open_replies(snapshot: Path, given: Path | None) -> ReplyStore | None:
    """Return the reply store to show raw replies from: the one given, else that of the build that the snapshot lies in, else None."""
    folder = given or work_of(snapshot.resolve().parent) / 'replies'
    return ReplyStore(folder) if (folder / 'segments').is_dir() or (folder / 'packs').is_dir() else None


def entry(index: GalleryIndex, replies: ReplyStore | None, view: str, n: int, work: WorkPictures | None = None) -> dict | None:
    """Return what is shown of one row, None if there is no such row. With `work` a picture that no snapshot holds may be shown, too."""
    shown = _shown(index, work, view, n)
    if shown is None:
        return None
    pictures = [_picture(index, work, image, shown['facts'].get('source', '')) for image in _all_images(shown)]
    addressed = [{'id': name, 'here': here, 'address': (f'image/{name}' if data is None else f'work/{view}/{n}/{place}') if here else ''}
                 for place, (name, here, data) in enumerate(pictures)]
    told, at = [], len(shown['images'])
    for other in shown['beside']:
        told.append({**other, 'images': addressed[at:at + len(other['images'])]})
        at += len(other['images'])
    own = addressed[:len(shown['images'])]
    return {'view': view, 'n': n, **shown, 'images': own, 'beside': told, 'replies': _replies(replies, shown['reply_keys'])}


def work_picture(index: GalleryIndex, work: WorkPictures | None, view: str, n: int, place: int) -> bytes | None:
    """Return the bytes of a picture that `entry` addresses as work/VIEW/N/PLACE, None if there is none there."""
    shown = _shown(index, work, view, n)
    images = _all_images(shown) if shown else []
    return _picture(index, work, images[place], shown['facts'].get('source', ''))[2] if shown and place < len(images) else None


def first_picture(index: GalleryIndex, work: WorkPictures | None, view: str, n: int) -> bytes | None:
    """Return the bytes of a row's first picture, None where it has none that can be shown."""
    if image := index.first_held(view, n):
        return index.picture(image)
    shown = _shown(index, work, view, n)
    if not shown or not shown['images']:
        return None
    name, here, data = _picture(index, work, shown['images'][0], shown['facts'].get('source', ''))
    return data or (index.picture(name) if here else None)


def _shown(index: GalleryIndex, work: WorkPictures | None, view: str, n: int) -> dict | None:
    row = index.row(view, n)
    if row is None:
        return None
    if view == 'kept':
        shown = {**_kept(row), 'beside': work.flagged.beside(row.get('sample_id', ''), index) if work else []}
    else:
        shown = {**_rejected(row, index), 'beside': beside(row, index, work)}
    if flags := index.flags(view, n):
        shown = {**shown, 'facts': {**shown['facts'], 'flagged': flags}}
    if rated := index.ratings(shown['id']):
        score = index.score(view, n)
        shown = {**shown, 'scores': {**rated, **shown['scores']}, 'facts': {**shown['facts'], **({} if score is None else {'score': score})}}
    return shown


def _all_images(shown: dict) -> list[str | bytes | None]:
    return [*shown['images'], *(image for other in shown['beside'] for image in other['images'])]


def _picture(index: GalleryIndex, work: WorkPictures | None, image: str | bytes | None, source: str) -> tuple[str, bool, bytes | None]:
    """Return (name, whether it can be shown, its bytes if they come from the working folder); an image is an id, a reference or bytes."""
    if not isinstance(image, str):
        return '', image is not None, image
    if index.has_picture(image):
        return image, True, None
    data = None
    if work is not None:
        # what was left out before pictures were looked for names them as its source does
        data = work.picture(image) or work.picture(f'{source}/{image}')
    return image, data is not None, data


def _kept(row: dict) -> dict:
    if 'messages' in row:
        *turns, last = row['messages']
        key, chosen, rejected = row['sample_id'], _text(last), None
    else:
        turns, key = row['prompt'], row['triple_id']
        chosen, rejected = _text(row['chosen'][0]), _text(row['rejected'][0])
    hidden = ('messages', 'prompt', 'chosen', 'rejected', 'image_ids', 'reply_keys', 'scores')
    return {
        'id': key, 'images': row['image_ids'],
        'turns': [{'role': turn['role'], 'parts': [_part(part) for part in turn['content']]} for turn in turns],
        'chosen': chosen, 'rejected': rejected, 'reason': None, 'scores': parsed(row.get('scores')), 'reply_keys': row.get('reply_keys') or [],
        'facts': {name: value for name, value in row.items() if name not in hidden and value not in (None, '', [])},
    }


def _rejected(row: dict, index: GalleryIndex) -> dict:
    told = parsed(row['content'])
    sample_id = row['id'] if row['unit'] == 'sample' else told.get('sample_id')
    sample = index.sample(sample_id) if isinstance(sample_id, str) else None
    reason = {name: row[name] for name in ('reason', 'detail', 'step', 'unit')}
    if sample is not None and not isinstance(told.get('rejected'), str):  # a sample, or a candidate that never got an answer
        shown = _kept(sample)
        return {**shown, 'id': row['id'], 'reason': reason, 'reply_keys': keys_of(told), 'facts': {**shown['facts'], **_facts(told)}}
    said = told.get('turns') if isinstance(told.get('turns'), list) else None
    if said is not None:
        turns = [{'role': str(turn.get('role')), 'parts': _marked(str(turn.get('text')))} for turn in said if isinstance(turn, dict)]
    elif sample is not None:
        turns = _kept(sample)['turns']
    else:
        turns = [{'role': 'user', 'parts': _marked(told['question'])}] if isinstance(told.get('question'), str) else []
    named = [told.get('image_ids'), told.get('images'), told.get('image'), [row['id']] if row['unit'] == 'image' else []]
    images = next((name if isinstance(name, list) else [name] for name in named if name), [])
    return {
        'id': row['id'], 'images': [str(image) for image in images], 'turns': turns,
        'chosen': _maybe(told, 'chosen'), 'rejected': _maybe(told, 'rejected'), 'scores': parsed(told.get('scores')), 'reply_keys': keys_of(told),
        'reason': reason, 'facts': {'source': row['source'], **_facts(told)},
    }


def keys_of(told: dict) -> list[str]:
    """Return the keys of the replies that a rejected row's content names."""
    listed = told.get('reply_keys')
    return [key for key in [told.get('reply_key'), *(listed if isinstance(listed, list) else [])] if isinstance(key, str) and key]


def _facts(told: dict) -> dict:
    hidden = ('turns', 'images', 'image', 'question', 'chosen', 'rejected', 'image_ids', 'reply_key', 'reply_keys', 'scores')
    return {name: value for name, value in told.items() if name not in hidden and value not in (None, '', [])}


def _part(part: dict) -> str | None:
    return None if part['type'] == 'image' else part['text']


def _marked(text: str) -> list[str | None]:
    """Return text parts with None where an `<image>` mark stands."""
    parts: list[str | None] = []
    for at, piece in enumerate(text.split(IMAGE)):
        parts += [None] if at else []
        parts += [piece.strip()] if piece.strip() else []
    return parts


def _text(message: dict) -> str:
    return '\n'.join(part['text'] or '' for part in message['content'])


def _maybe(told: dict, name: str) -> str | None:
    value = told.get(name)
    return None if value is None else str(value)


def parsed(text: object) -> dict:
    """Return JSON of a row as an object, whatever it is."""
    try:
        value = strict(json.loads(text) if isinstance(text, str) and text else {})
    except (ValueError, RecursionError):
        return {'content': text}
    return value if isinstance(value, dict) else {'content': value}


def _replies(store: ReplyStore | None, keys: list[str]) -> list[dict]:
    if store is None:
        return [{'key': key} for key in keys]
    found = store.get_many(keys)
    shown: list[dict] = []
    for key in keys:
        outcome = found.get(key)
        if outcome is None:
            shown.append({'key': key})
            continue
        end = f'failed: {outcome.kind}, {outcome.detail}' if isinstance(outcome, Failure) else outcome.finish_reason
        raw = '' if isinstance(outcome, Failure) else outcome.raw
        shown.append({'key': key, 'model': f'{outcome.model} ({outcome.revision})', 'text': outcome.text[:SHOWN_CHARS], 'end': end,
                      'raw': raw[:SHOWN_CHARS], 'tokens': [outcome.prompt_tokens, outcome.completion_tokens]})
    return shown
