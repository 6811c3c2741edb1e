"""The story of a candidate answer: which sample it was for, who proposed it, what the judge said of it, and what was decided.

Read from the tables of the triples in the build's working folder, and the replies from its store; without these there is less to tell.
"""

import json
import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipelines.engine.tables import Table
from pipelines.engine.uses import Uses
from pipelines.replies.store import ReplyStore
from schemas.replies import Failure

SHOWN = 12  # candidates of a sample, or of a reply, that are listed
SHOWN_CHARS = 300  # of a question, an answer, a reply
REJECTING = ('picks', 'candidates', 'unasked', 'rejected')  # tables that leave candidates out, or samples that were to have some
KEY = re.compile('[0-9a-f]{64}')  # of a reply
ABOUT = ('candidate_id', 'sample_id', 'source', 'split', 'generator', 'kind', 'question', 'chosen', 'rejected', 'reply_key')
VERDICT = ('judge', 'score', 'scores', 'reason', 'detail', 'reply_keys')


@dataclass(frozen=True)
class Triples:
    """The tables of the triples of a build, those that its last run asked for; none where it made none."""

    uses: Uses

    def _parts(self, *names: str, kind: str = 'part') -> Iterator[Path]:
        """Yield the files of all tables of these names: of each round one."""
        for key in self.uses.in_order:
            if key.partition('/')[0] in names:
                yield from Table(self.uses.work / key).parts(kind)

    def candidate(self, identifier: str) -> dict[str, Any] | None:
        """Return a candidate by its id, which is the id of its triple, with verdict, decision and replies; None where there is none."""
        found = list(_rows(self._parts('candidates'), 'candidate_id', identifier))
        if not found:
            return None
        about = {name: found[-1][name] for name in ABOUT}
        verdicts = list(_rows(self._parts('verdicts'), 'candidate_id', identifier))
        verdict = {name: verdicts[-1][name] for name in VERDICT} if verdicts else None
        keys = [about['reply_key'], *((verdict or {}).get('reply_keys') or [])]
        decision = self.decisions([identifier], judged=bool(verdicts))[identifier]
        return {**about, 'verdict': verdict, 'decision': decision, 'replies': self.replies(keys)}

    def decisions(self, candidate_ids: list[str], *, judged: bool) -> dict[str, dict[str, Any]]:
        """Return {in, reason, detail} of each candidate; `in` is None where it is not decided yet."""
        undecided = {'in': True if judged and any(self._parts('triple_rows')) else None, 'reason': '', 'detail': ''}
        out = {row['id']: {'in': False, 'reason': row['reason'], 'detail': row['detail']} for row in self.rejected(*candidate_ids)}
        return {each: out.get(each, undecided) for each in candidate_ids}

    def rejected(self, *identifiers: str) -> list[dict]:
        """Return what the rejections of the triples say of ids: of a candidate, of a place that got none, of a sample that was not asked about."""
        return list(_rows(self._parts(*REJECTING, kind='rejections'), 'id', *identifiers))

    def of_sample(self, sample_id: str) -> list[dict[str, Any]]:
        """Return the candidates of a sample: id and decision."""
        rows = _rows(self._parts('candidates'), 'sample_id', sample_id, columns=['candidate_id', 'sample_id'])
        ids = list(dict.fromkeys(row['candidate_id'] for row in rows))
        return [{'candidate_id': each, 'decision': told} for each, told in self.decisions(ids, judged=True).items()] if ids else []

    def using(self, key: str) -> list[str]:
        """Return the candidates that a reply proposed or judged, SHOWN at most."""
        proposed = (row['candidate_id'] for row in _rows(self._parts('candidates'), 'reply_key', key, columns=['candidate_id', 'reply_key']))
        return list(dict.fromkeys([*proposed, *self._judged_by(key)]))[:SHOWN]

    def _judged_by(self, key: str) -> Iterator[str]:
        for path in self._parts('verdicts'):
            table = pq.read_table(path, columns=['candidate_id', 'reply_keys'])
            at = pc.list_parent_indices(table['reply_keys']).filter(pc.equal(pc.list_flatten(table['reply_keys']), key))
            yield from table['candidate_id'].take(at).to_pylist()

    def replies(self, keys: list[str]) -> list[dict[str, Any]]:
        """Return what is stored of some replies: key, model, how it ended, the text; of those that are not stored the key alone."""
        keys = [key for key in dict.fromkeys(keys) if KEY.fullmatch(key)]
        stored = self._stored(tuple(keys))
        return [{'key': key, **stored.get(key, {'model': '', 'end': 'not stored', 'text': ''})} for key in keys]

    def _stored(self, keys: tuple[str, ...]) -> dict[str, dict[str, str]]:
        if not self._has_store:
            return {}
        with closing(ReplyStore(self.uses.work / 'replies')) as store:
            found = store.get_many(keys)
        return {key: {'model': f'{outcome.model} ({outcome.revision})', 'text': outcome.text,
                      'end': f'failed: {outcome.kind}, {outcome.detail}' if isinstance(outcome, Failure) else outcome.finish_reason}
                for key, outcome in found.items()}

    @cached_property
    def _has_store(self) -> bool:
        return any((self.uses.work / 'replies' / part).is_dir() for part in ('segments', 'packs'))


def _rows(paths: Iterator[Path], column: str, *values: str, columns: list[str] | None = None) -> Iterator[dict]:
    for path in paths:
        yield from pq.read_table(path, columns=columns, filters=[(column, 'in', values)]).to_pylist()


def told_candidate(found: dict[str, Any]) -> list[str]:
    """Return a candidate's story, a line for each thing."""
    verdict, replies = found['verdict'], {reply['key']: reply for reply in found['replies']}
    lines = [f'candidate {found["candidate_id"]} (source {found["source"]}, split {found["split"]}): {told_decision(found["decision"])}',
             f'  of sample {found["sample_id"]}', f'  question: {_short(found["question"])}', f'  right answer: {_short(found["chosen"])}',
             f'  candidate: {_short(found["rejected"])}',
             f'  proposed by {found["generator"]} as {found["kind"]}{_by(found["reply_key"], replies)}']  # fmt: skip
    if verdict is None:
        return [*lines, '  not judged yet']
    score = 'no score' if verdict['score'] is None else f'score {verdict["score"]:.6g}'
    why = f': {verdict["reason"]}: {verdict["detail"]}' if verdict['reason'] else ''
    of = f' of {verdict["scores"]}' if json.loads(verdict['scores'] or '{}') else ''
    lines.append(f'  judged by {verdict["judge"] or "nobody"}: {score}{of}{why}')
    return [*lines, *(f'    asked{_by(key, replies)}: {_short(replies[key]["text"])}' for key in verdict['reply_keys'] or () if key in replies)]


def told_decision(decision: dict[str, Any]) -> str:
    """Return what was decided on a candidate, in words."""
    if decision['in'] is None:
        return 'not decided yet'
    return 'in: its triple has this id' if decision['in'] else f'out: {decision["reason"]}: {decision["detail"]}'


def told_of_sample(found: list[dict[str, Any]]) -> list[str]:
    """Return the lines on the candidates of a sample."""
    lines = [f'  candidate {each["candidate_id"]}: {told_decision(each["decision"])}' for each in found[:SHOWN]]
    return [*lines, *([f'  ... and {len(found) - SHOWN} more'] if len(found) > SHOWN else [])]


def told_reply(reply: dict[str, str], users: list[str]) -> list[str]:
    """Return what is known of a reply."""
    lines = [f'reply {reply["key"]} of {reply["model"]}, ended by {reply["end"]}: {_short(reply["text"])}']
    return [*lines, *(f'  used for candidate {each}' for each in users)]


def _by(key: str, replies: dict[str, dict]) -> str:
    return f', reply {key[:16]} of {replies[key]["model"] or "a model"} ({replies[key]["end"]})' if key else ''


def _short(text: str) -> str:
    text = ' '.join(text.split())
    return text if len(text) <= SHOWN_CHARS else text[:SHOWN_CHARS] + ' …'
