"""What `phantom eval --judge-*` writes: judged.jsonl, and the judge's figures in score.json; no figure while a judgement waits."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pipelines.benches.judge_sums import Judged
from schemas.json_text import json_line
from schemas.publish import publish_bytes

OF_A_JUDGE = ('judge', 'unread', 'bounds', 'pending')  # fields of score.json that are no figures


def take_back(out: Path, *, model: str, pending: int) -> None:
    """Leave no figure of a judge in `out`, and say how many judgements are awaited: a run that is stopped must not look whole."""
    (out / 'judged.jsonl').unlink(missing_ok=True)
    _write(out / 'score.json', json.dumps({**_of_replies(out), 'pending': pending, 'judge': {'model': model}}, indent=1))


def write_pending(out: Path, judged: Sequence[Judged], waiting: Mapping[str, str], *, model: str) -> None:
    """Write what is judged so far to judged.jsonl, an item that waits with the reason and without a score; and no figure."""
    take_back(out, model=model, pending=len(waiting))
    rows = [row_of(item) for item in judged]
    waits = [{**row, 'score': None, 'unread': None, 'pending': waiting[row['item_id']]} if row['item_id'] in waiting else row for row in rows]
    _write(out / 'judged.jsonl', as_lines(waits))


def write_scores(out: Path, judged: Sequence[Judged], found: dict[str, Any]) -> dict[str, Any]:
    """Return score.json with the judge's figures in it; both files appear whole, the score last."""
    result = {**_of_replies(out), **found}
    _write(out / 'judged.jsonl', as_lines(row_of(item) for item in judged))
    _write(out / 'score.json', json.dumps(result, indent=1))
    return result


def row_of(judged: Judged) -> dict[str, Any]:
    """Return a line of judged.jsonl."""
    return {'item_id': judged.item['item_id'], 'reply': judged.reply, 'found': judged.found, 'score': judged.score, 'unread': judged.said}


def as_lines(rows: Iterable[dict[str, Any]]) -> str:
    """Return JSON, one object a line."""
    return ''.join(map(json_line, rows))


def _of_replies(out: Path) -> dict[str, Any]:
    """Return what score.json says without a judge."""
    path = out / 'score.json'
    before = json.loads(path.read_text('utf-8')) if path.is_file() else {}
    return {name: value for name, value in before.items() if not isinstance(value, float) and name not in OF_A_JUDGE}


def _write(path: Path, text: str) -> None:
    publish_bytes(path, text.encode())
