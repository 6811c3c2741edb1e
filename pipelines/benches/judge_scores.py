"""What `phantom eval --judge-*` writes: judged.jsonl and the judge's figures in score.json, both or neither; none while a judgement waits."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipelines.benches.judge_sums import Judged

OF_A_JUDGE = ('judge', 'unread', 'bounds', 'pending')  # fields of score.json that are no figures


def take_back(out: Path, *, model: str, pending: int) -> None:
    """Leave no figure of a judge in `out`, and say how many judgements are awaited: a run that is stopped must not look whole."""
    (out / 'judged.jsonl').unlink(missing_ok=True)
    _write(out / 'score.json', json.dumps({**_of_replies(out), 'pending': pending, 'judge': {'model': model}}, indent=1))


def write_scores(out: Path, judged: Sequence[Judged], found: dict[str, Any]) -> dict[str, Any]:
    """Return score.json with the judge's figures in it; both files appear whole, the score last."""
    result = {**_of_replies(out), **found}
    rows = [{'item_id': j.item['item_id'], 'reply': j.reply, 'found': j.found, 'score': j.score, 'unread': j.said} for j in judged]
    _write(out / 'judged.jsonl', ''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in rows))
    _write(out / 'score.json', json.dumps(result, indent=1))
    return result


def _of_replies(out: Path) -> dict[str, Any]:
    """Return what score.json says without a judge."""
    path = out / 'score.json'
    before = json.loads(path.read_text('utf-8')) if path.is_file() else {}
    return {name: value for name, value in before.items() if not isinstance(value, float) and name not in OF_A_JUDGE}


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f'.{path.name}.tmp')
    draft.write_text(text, 'utf-8')
    os.replace(draft, path)
