"""Benchmarks that a language model judges: replies of `phantom eval` in, the benchmark's score out.

A judge's reply that cannot be read is never a silent zero: score.json counts them, judged.jsonl holds what the judge wrote.
"""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipelines.benches.judge_reading import CUT
from pipelines.benches.judge_rules import FEW_TOKENS, JUDGES, MAX_TOKENS, Judged, Unread
from pipelines.chat.ask import ask
from pipelines.chat.describe import describe_server
from pipelines.chat.open import open_backend
from pipelines.chat.requests import greedy, make_request, sampled
from pipelines.replies.ledger import Ledger
from pipelines.replies.store import ReplyStore
from schemas.errors import PendingWork, UserError
from schemas.recipe import Budget, Model
from schemas.replies import ChatRequest, Failure, Outcome, Reply

ATTEMPTS = 5  # times a judge is asked when its reply cannot be read, as in MM-Vet's code
TEMPERATURE = 0.5  # of the second and later attempts: at 0 the same reply would come again


def open_judge(bench: str, url: str, name: str) -> Model | None:
    """Return the model at `url` that judges `bench`, None where neither is given; raises UserError before anything is computed."""
    if not url and not name:
        return None
    if not url or not name:
        raise UserError('judge: expected both --judge-url and --judge-model, found one; give both, or neither for replies alone')
    refuse_unjudged(bench)
    try:
        return Model(model=name, revision='', base_urls=[url])
    except ValidationError as e:
        raise UserError(f'--judge-url: {e.errors()[0]["msg"].removeprefix("Value error, base_urls: ")}') from e


def check_judge(model: Model) -> None:
    """Raise UserError unless the judge answers and is the model that is named."""
    backend = open_backend(model)
    try:
        backend.check()
    except UserError as e:
        raise UserError(f'judge (--judge-url, --judge-model): {e}') from e
    finally:
        backend.close()


def ready_judge(bench: str, url: str, name: str) -> Callable[[Path], dict[str, Any]] | None:
    """Return what turns a folder of replies into the scores that the model at `url` gives, None where no judge is named.

    Raises UserError, before anything is computed, where the model does not answer or `bench` needs no judge.
    """
    model = open_judge(bench, url, name)
    if model is None:
        return None
    check_judge(model)
    return partial(judge_bench, bench, model=model)


def refuse_unjudged(bench: str) -> None:
    """Raise UserError for a benchmark that needs no judge."""
    if bench not in JUDGES:
        raise UserError(f'benchmark {bench!r}: expected one that is judged, {", ".join(JUDGES)}; leave the judge out')


def judge_bench(bench: str, out: Path, model: Model) -> dict[str, Any]:
    """Return the scores of out/items.jsonl as `model` judges them; adds them to out/score.json, writes out/judged.jsonl.

    Replies are kept in out/judge: a run that was stopped goes on, a second one asks nothing. What the server says of itself is written
    down; a name has no revision, so this is all there is to tell one judge from another.
    """
    refuse_unjudged(bench)
    fingerprints: set[str] = set()
    lines = read_lines(out / 'items.jsonl')
    backend = open_backend(model, out / 'judge' / 'batches')
    store = ReplyStore(out / 'judge' / 'replies')
    try:
        backend.check()
        ledger = Ledger(out / 'judge' / 'ledger', Budget(), [model])

        def ask_all(texts: dict[str, str], read: Callable[[str], Any]) -> dict[str, Any]:
            return ask_until_read(texts, read, model, ask_model, max_tokens=MAX_TOKENS.get(bench, FEW_TOKENS))

        def ask_model(requests: Sequence[ChatRequest]) -> Mapping:
            outcomes = ask(requests, store=store, backend=backend, ledger=ledger, source=bench)
            fingerprints.update(read_fingerprints(outcomes.values()))
            return outcomes

        judge, metrics = JUDGES[bench]
        judged = judge(lines, ask_all)
        about = {'model': model.model, **describe_server(model), 'fingerprints': sorted(fingerprints)}
    finally:
        backend.close()
        store.close()
    return write_scores(out, judged, {**metrics(judged), 'judge': about, 'unread': sum(item.said is not None for item in judged)})


def read_fingerprints(outcomes: Iterable[Outcome]) -> set[str]:
    """Return the system_fingerprint of every reply that bears one."""
    raws = [json.loads(outcome.raw) for outcome in outcomes if isinstance(outcome, Reply) and outcome.raw]
    return {str(raw['system_fingerprint']) for raw in raws if raw.get('system_fingerprint')}


def read_lines(path: Path) -> list[dict]:
    """Return the lines of items.jsonl: {item, reply}."""
    if not path.is_file():
        raise UserError(f'{path}: expected the replies of `phantom eval`, found none; run it first')
    lines = [json.loads(line) for line in path.read_text('utf-8').split('\n') if line]  # replies may hold other line ends
    names = [line['item']['item_id'] for line in lines]
    if len(set(names)) < len(names):
        raise UserError(f'{path}: expected item ids to differ, found {len(names) - len(set(names))} twice; read the benchmark again')
    return lines


def ask_until_read(
    texts: dict[str, str],
    read: Callable[[str], Any],
    model: Model,
    ask_model: Callable[[Sequence[ChatRequest]], Mapping],
    *,
    max_tokens: int = FEW_TOKENS,
) -> dict[str, Any]:
    """Return what `read` made of the replies to `texts`; what cannot be read is asked again, ATTEMPTS times in all, and is Unread then."""
    values: dict[str, Any] = {}
    waiting = list(texts)
    for attempt in range(ATTEMPTS):
        settings = sampled(max_tokens, TEMPERATURE, attempt=attempt) if attempt else greedy(max_tokens)
        requests = {
            name: make_request(
                [{'role': 'user', 'content': texts[name]}], model=model.model, revision=model.revision, settings=settings, attempt=attempt
            )
            for name in waiting
        }
        outcomes = ask_model(list(requests.values()))
        pending = [o for o in outcomes.values() if isinstance(o, Failure) and o.retryable]
        if pending:
            first = pending[0]
            raise PendingWork(f'{len(pending)} of {len(outcomes)} call(s) to {model.model} failed, the first with {first.kind}: {first.detail}')
        values |= {name: read_outcome(outcomes[request.key], read) for name, request in requests.items()}
        refused = {name for name, request in requests.items() if getattr(outcomes[request.key], 'kind', '') == 'rejected'}
        waiting = [name for name in waiting if isinstance(values[name], Unread) and name not in refused]
        if not waiting:
            break
    return values


def read_outcome(outcome: Outcome, read: Callable[[str], Any]) -> Any:
    """Return what `read` makes of a reply, be it cut off by the limit, or Unread with the words or the failure."""
    if isinstance(outcome, Failure) and outcome.kind != 'length':
        return Unread(f'[{outcome.kind}: {outcome.detail}]')
    text = outcome.text if isinstance(outcome, Reply) else outcome.text + CUT
    found = read(text)
    return Unread(text) if found is None else found


def write_scores(out: Path, judged: Sequence[Judged], found: dict[str, Any]) -> dict[str, Any]:
    """Return score.json with the judge's figures in it; both files appear whole."""
    path = out / 'score.json'
    before = json.loads(path.read_text('utf-8')) if path.is_file() else {}
    result = {**before, **found}
    rows = [{'item_id': j.item['item_id'], 'reply': j.reply, 'found': j.found, 'score': j.score, 'unread': j.said} for j in judged]
    lines = ''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in rows)
    for name, text in (('judged.jsonl', lines), ('score.json', json.dumps(result, indent=1))):
        draft = out / f'.{name}.tmp'
        draft.write_text(text, 'utf-8')
        os.replace(draft, out / name)
    return result
