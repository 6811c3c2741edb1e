"""Benchmarks that a language model judges: replies of `phantom eval` in, the benchmark's score out.

A judge's reply that cannot be read is never a silent zero: score.json counts them and has the score's bounds, judged.jsonl what the judge wrote. A
judgement that is not there yet is no reply at all: it is pending, and so is the score.
"""

import json
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pipelines.benches.judge_asking import ATTEMPTS as ATTEMPTS
from pipelines.benches.judge_asking import JudgeAsker
from pipelines.benches.judge_identity import Signed, who_answered
from pipelines.benches.judge_rules import FEW_TOKENS, JUDGES, MAX_TOKENS
from pipelines.benches.judge_scores import take_back, write_pending, write_scores
from pipelines.benches.judge_sums import bounds
from pipelines.chat.ask import ask
from pipelines.chat.breaker import Breaker, explain, patience_of
from pipelines.chat.describe import describe_server
from pipelines.chat.open import open_backend
from pipelines.replies.ledger import Ledger
from pipelines.replies.store import ReplyStore
from schemas.errors import PendingWork, UserError
from schemas.recipe import Budget, Model
from schemas.replies import Failure


def open_judge(bench: str, url: str, name: str, *, revision: str = '', key_env: str = 'OPENAI_API_KEY') -> Model | None:
    """Return the model at `url` that judges `bench`, None where neither is given; raises UserError before anything is computed.

    `revision` is part of the identity of stored replies; '' takes whatever the server serves, which is noted with each reply.
    """
    if not url and not name:
        return None
    if not url or not name:
        raise UserError('judge: expected both --judge-url and --judge-model, found one; give both, or neither for replies alone')
    refuse_unjudged(bench)
    try:
        return Model(model=name, revision=revision, base_urls=[url], api_key_env=key_env)
    except ValidationError as e:
        if e.errors()[0]['loc'] == ('api_key_env',):
            raise UserError('--judge-key-env: expected the name of an environment variable that holds the key, found something else') from e
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


def ready_judge(
    bench: str, url: str, name: str, *, revision: str = '', key_env: str = 'OPENAI_API_KEY', max_tokens: int | None = None
) -> Callable[[Path], dict[str, Any]] | None:
    """Return what turns a folder of replies into the scores that the model at `url` gives, None where no judge is named.

    Raises UserError, before anything is computed, where the model does not answer or `bench` needs no judge.
    """
    model = open_judge(bench, url, name, revision=revision, key_env=key_env)
    if model is None:
        return None
    check_judge(model)
    return partial(judge_bench, bench, model=model, max_tokens=max_tokens)


def refuse_unjudged(bench: str) -> None:
    """Raise UserError for a benchmark that needs no judge."""
    if bench not in JUDGES:
        raise UserError(f'benchmark {bench!r}: expected one that is judged, {", ".join(JUDGES)}; leave the judge out')


def judge_bench(bench: str, out: Path, model: Model, max_tokens: int | None = None) -> dict[str, Any]:
    """Return the scores of out/items.jsonl as `model` judges them; adds them to out/score.json, writes out/judged.jsonl.

    `max_tokens` of each reply: as many as the benchmark's own code, or enough, unless given; a judge that thinks first needs more.

    Replies are kept in out/judge: a run that was stopped goes on, a second one asks nothing. With each reply stands which server gave it; score.json
    names those that answered. Raises PendingWork, and leaves no score, while a judgement waits for the judge to be there, or to be paid.
    """
    refuse_unjudged(bench)
    lines = read_lines(out / 'items.jsonl')
    backend = open_backend(model, out / 'judge' / 'batches')
    store = ReplyStore(out / 'judge' / 'replies')
    try:
        manners = backend.check()
        backend.close()
        backend = open_backend(model, out / 'judge' / 'batches', manners)
        about = describe_server(model)
        take_back(out, model=model.model, pending=len(lines))
        ledger = Ledger(out / 'judge' / 'ledger', Budget(), [model])
        breaker = Breaker(patience_s=patience_of(model.timeout_s))
        ask_model = partial(ask, store=store, backend=Signed(backend, about), ledger=ledger, source=bench, breaker=breaker)
        asker = JudgeAsker(model, ask_model, max_tokens or MAX_TOKENS.get(bench, FEW_TOKENS))
        judge, metrics = JUDGES[bench]
        judged = judge(lines, asker.ask_all)
    finally:
        backend.close()
        store.close()
    if asker.pending:
        waiting = {name: f'{failure.kind}: {failure.detail}' for name, failure in asker.pending.items()}
        write_pending(out, judged, waiting, model=model.model)
        raise PendingWork(explain_pending(asker.pending.values(), len(lines), model, breaker.n_cut_off))
    who = {'model': model.model, 'revision': model.revision, **who_answered(asker.outcomes.values(), about)}
    unread = sum(item.said is not None for item in judged)
    return write_scores(out, judged, {**metrics(judged), **bounds(judged, metrics), 'judge': who, 'unread': unread})


def explain_pending(failures: Collection[Failure], total: int, model: Model, cut_off: int = 0) -> str:
    """Return how many judgements wait, in the server's own words, and what to do."""
    where = f'judge {model.model!r} at {", ".join(model.base_urls)}'
    return (
        f'{explain(list(failures), total, where=where, cut_off=cut_off)}\n'
        'there is no score until all are made; what came is stored: mend that and run the same command again, it asks only what is missing'
    )


def read_lines(path: Path) -> list[dict]:
    """Return the lines of items.jsonl: {item, reply}."""
    if not path.is_file():
        raise UserError(f'{path}: expected the replies of `phantom eval`, found none; run it first')
    lines = [json.loads(line) for line in path.read_text('utf-8').split('\n') if line]  # replies may hold other line ends
    names = [line['item']['item_id'] for line in lines]
    if len(set(names)) < len(names):
        raise UserError(f'{path}: expected item ids to differ, found {len(names) - len(set(names))} twice; read the benchmark again')
    return lines
