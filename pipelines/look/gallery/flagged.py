"""Kept samples that a mix flags: others give their question answers that cannot be right as well, or say nearly the same about the same pictures."""

import json

import duckdb

from pipelines.engine.uses import Uses
from pipelines.look.gallery.index import GalleryIndex

CONTRADICTED, NEAR_TEXT = 'contradicted', 'near text'
OTHERS_SHOWN = 8
_FLAGS = {  # table of the working folder -> the columns whose samples are flagged, and how
    'contradictions': (('sample_id',), CONTRADICTED), 'text_stars': (('sample_id', 'first_id'), NEAR_TEXT),
}  # fmt: skip
_NEAR = """SELECT CASE WHEN sample_id = $id THEN first_id ELSE sample_id END, jaccard FROM read_parquet($paths)
           WHERE $id IN (sample_id, first_id) ORDER BY jaccard DESC, 1 LIMIT $most"""
_TOLD = 'SELECT turn, told FROM read_parquet($paths) WHERE sample_id = $id ORDER BY turn LIMIT $most'


class Flagged:
    """What a build's working folder says of samples that do not agree; nothing where its recipe did not look."""

    def __init__(self, uses: Uses):
        tables = {name: uses.tables(name) for name in _FLAGS}
        for table in (table for some in tables.values() for table in some):
            table.refuse_any_damaged()
        self._paths = {name: [str(path) for table in some for path in table.parts()] for name, some in tables.items()}

    def mark(self, index: GalleryIndex) -> None:
        """Give kept samples of a mix their flags, by which they can be chosen."""
        for name, (columns, flag) in _FLAGS.items():
            for path in self._paths[name]:
                index.flag(path, columns, flag)

    def beside(self, sample_id: str, index: GalleryIndex) -> list[dict]:
        """Return [{who, texts, images}] beside a sample: the answers that contradict each other, side by side, and the samples of nearly its text."""
        shown = []
        for turn, told in self._found('contradictions', _TOLD, sample_id):
            who = f'contradicted in turn {turn}: one question, answers that cannot all be right'
            shown.append({'who': who, 'texts': [_question(told)], 'images': []})
            shown += other_answers(told, index, sample_id)
        for other, similarity in self._found('text_stars', _NEAR, sample_id):
            shown.append(beside_sample(other, index, f'nearly the same text, {similarity:.2f} of the runs of words'))
        return shown

    def _found(self, name: str, sql: str, sample_id: str) -> list[tuple]:
        if not self._paths[name]:
            return []
        with duckdb.connect() as db:
            return db.execute(sql, {'paths': self._paths[name], 'id': sample_id, 'most': OTHERS_SHOWN}).fetchall()


def beside_sample(sample_id: str, index: GalleryIndex, why: str = '') -> dict:
    """Return {who, texts, images} of a sample; only its name where it is not in the mix."""
    sample = index.sample(sample_id)
    who = ': '.join(filter(None, ('kept' if sample else 'left out', why, sample_id)))
    return {'who': who, 'texts': [_said(sample)] if sample else [], 'images': sample['image_ids'] if sample else []}


def other_answers(told: str, index: GalleryIndex, own: str = '') -> list[dict]:
    """Return the answers to one question that cannot all be right, from JSON of a group; pictures of those that were kept."""
    answers = _group(told).get('answers')
    shown = []
    for one in answers if isinstance(answers, list) else []:
        if isinstance(one, dict) and isinstance(one.get('first'), str):
            sample = index.sample(one['first'])
            who = f'{"this sample" if one["first"] == own else "kept" if sample else "left out"}: {one["first"]}, {votes_told(one)}'
            shown.append({'who': who, 'texts': [str(one.get('answer'))], 'images': sample['image_ids'] if sample else []})
    return shown


def votes_told(answer: dict) -> str:
    """Return how many say so, and of which sources."""
    by = answer.get('by')
    sources = f' ({", ".join(f"{source} {n}" for source, n in by.items())})' if isinstance(by, dict) and by else ''
    return f'{answer.get("votes")} vote(s){sources}'


def _said(sample: dict) -> str:
    return '\n'.join(part['text'] for message in sample['messages'] for part in message['content'] if part['text'])


def _question(told: str) -> str:
    return str(_group(told).get('question', ''))


def _group(told: str) -> dict:
    try:
        group = json.loads(told)
    except ValueError:
        return {}
    return group if isinstance(group, dict) else {}
