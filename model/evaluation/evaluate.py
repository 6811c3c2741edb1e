"""A checkpoint's answers to a benchmark's items, scored as the benchmark does, beside the paper's figures."""

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from model.evaluation.reply_log import ReplyLog, digest_asked, digest_checkpoint
from model.evaluation.rules import BENCHES, PAPER, PAPER_SIZES, defaulted, is_asked, make_question, missing_parts, score_item
from model.evaluation.scores import Scored
from model.phantom.build import load_model
from model.phantom.tiling import decode_image, join_images
from model.training.checkpoint import find_checkpoint
from schemas.errors import UserError
from schemas.pixels import BadImage
from schemas.publish import publish_bytes
from schemas.refusals import refused
from schemas.telling import tell_news

TOLD_EVERY = 100  # items between two lines that say how far it is
Judge = Callable[[Path], dict[str, Any]]  # the scores of a folder with items.jsonl; adds them to its score.json
COLUMNS = ('bench', 'item_id', 'question', 'options', 'answer', 'images', 'meta')


def evaluate(
    checkpoint: Path,
    items: Path,
    out: Path,
    *,
    bench: str,
    batch_rows: int = 8,
    beams: int = 3,
    max_items: int | None = None,
    judge: Judge | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """The scores of a checkpoint on a benchmark; writes out/items.jsonl and out/score.json, prints a table.

    items: the Parquet file of `phantom read-bench`. bench: its layout's name, which says how to ask and score.
    beams: 3 as in the paper. Benchmarks that a language model judges get items.jsonl with the replies and no score.
    judge: scores the replies of such a benchmark when all are there.
    Replies are kept in out/replies.jsonl as they are given: the same command goes on after a kill, and asks only what is new.
    """
    refuse_unknown(bench)
    folder, out = find_checkpoint(Path(checkpoint)), Path(out)
    model, processor = load_model(folder)
    if torch.cuda.is_available():
        model.to('cuda', torch.bfloat16)
    model.eval()
    make_folder(out)
    weights = digest_checkpoint(folder)
    log = ReplyLog(out / 'replies.jsonl', {'checkpoint': weights, 'dtype': str(model.dtype), 'beams': beams, 'tokens': BENCHES[bench].max_new_tokens})
    scored: list[Scored] = []
    every = (item for item in read_items(Path(items)) if is_asked(bench, item))
    rows = islice(every, max_items)
    while chunk := list(islice(rows, batch_rows)):
        replies = reply_all(model, processor, bench, chunk, beams=beams, log=log)
        scored += [score_item(bench, strip_images(item), reply) for item, reply in zip(chunk, replies, strict=True)]
        if not quiet and len(scored) // TOLD_EVERY > (len(scored) - len(chunk)) // TOLD_EVERY:
            tell_news(f'{bench}: {len(scored)} items answered')
    if not scored:
        raise UserError(f'{items}: expected items with a published answer, found none; is it the split to be scored?')
    result = {'bench': bench, 'checkpoint': str(checkpoint), 'checkpoint_sha256': weights, 'items': len(scored), **BENCHES[bench].metrics(scored)}
    result |= defaulted(bench, scored)
    if max_items is not None and next(every, None) is not None:
        result['only_first'] = max_items
    result['empty'] = sum(not item.reply for item in scored)
    result['missing'] = missing_parts(bench, (item.item['meta'] for item in scored))
    write_results(out, scored, result)
    if judge is not None:
        result = judge(out)
    if not quiet:
        print(format_table(bench, result))
    return result


def refuse_unknown(bench: str) -> None:
    """Raises UserError for a benchmark that cannot be scored here."""
    if bench not in BENCHES:
        raise UserError(f'benchmark {bench!r}: expected one of {", ".join(sorted(BENCHES))}; name one of these')


def make_folder(out: Path) -> None:
    """Makes the folder of the results; raises UserError where that cannot be."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise UserError(f'--out {out}: expected a folder that can be written, found: {e.strerror}; choose another') from e


def read_items(path: Path) -> Iterator[dict]:
    """Rows of a benchmark file, meta parsed, a few at a time."""
    if not path.is_file():
        raise UserError(f'items {path}: expected the Parquet file of `phantom read-bench`, found none')
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=64, columns=list(COLUMNS)):
            for row in batch.to_pylist():
                yield {**row, 'meta': json.loads(row['meta'] or '{}'), 'options': row['options'] or []}
    except (pa.ArrowException, OSError, ValueError) as e:
        raise UserError(f'items {path}: expected columns {", ".join(COLUMNS)}, found: {e}') from e


def strip_images(item: dict) -> dict:
    """The item without its bytes."""
    return {name: value for name, value in item.items() if name != 'images'}


def reply_all(model: Any, processor: Any, bench: str, items: Sequence[dict], *, beams: int, log: ReplyLog) -> list[str]:
    """Replies to some items: those of the log, and the model's to the others, which are logged."""
    asked = [digest_asked(make_question(bench, item), [image['bytes'] for image in item['images'] or []]) for item in items]
    new = [(key, item) for key, item in zip(asked, items, strict=True) if log.find(key) is None]
    if new:
        replies = answer(model, processor, bench, [item for _, item in new], beams=beams)
        log.add([(item['item_id'], key, reply) for (key, item), reply in zip(new, replies, strict=True)])
    return [log.find(key) or '' for key in asked]


def decode_all(bench: str, item: dict) -> list[Any]:
    """An item's pictures; raises a UserError that names the item."""
    try:
        return [decode_image(image['bytes']) for image in item['images'] or []]
    except BadImage as e:
        raise UserError(f'benchmark {bench}, item {item["item_id"]}: its picture {e}; download the benchmark again') from e


@torch.inference_mode()
def answer(model: Any, processor: Any, bench: str, items: Sequence[dict], *, beams: int) -> list[str]:
    """Replies to some items; several pictures of one item are joined side by side, as in the released evaluation."""
    pictures = [decode_all(bench, item) for item in items]
    images = [[join_images(row)] if row else [] for row in pictures]
    inputs = processor.encode_questions([make_question(bench, item) for item in items], images).to(model.device)
    ids = model.generate(
        **inputs,
        max_new_tokens=BENCHES[bench].max_new_tokens,
        num_beams=beams,
        do_sample=False,
        eos_token_id=processor.tokenizer.convert_tokens_to_ids(processor.template.turn_end),
        pad_token_id=processor.pad_id,
    )
    new = ids[:, inputs['input_ids'].shape[1] :]
    return [text.strip() for text in processor.tokenizer.batch_decode(new, skip_special_tokens=True)]


def write_results(out: Path, scored: Sequence[Scored], result: dict[str, Any]) -> None:
    """items.jsonl, one line an item, and score.json, each whole or not at all."""
    lines = ''.join(json.dumps(asdict(item), ensure_ascii=False) + '\n' for item in scored)
    for name, text in (('items.jsonl', lines), ('score.json', json.dumps(result, indent=1))):
        try:
            publish_bytes(out / name, text.encode())
        except OSError as e:
            raise refused(e, out / name) from e


def format_table(bench: str, result: dict[str, Any]) -> str:
    """The scores as lines, ours beside the paper's of each size."""
    lines = [f'{bench}: {result["items"]} items', *(f'  {line}' for line in caveats(result))]
    for name, value in result.items():
        if isinstance(value, float):
            lines.append(f'  {name:32} {value:8.2f}')
    if bench in PAPER:
        shown = ', '.join(f'{size} {value}' for size, value in zip(PAPER_SIZES, PAPER[bench], strict=True) if value)
        name = BENCHES[bench].as_released
        lines.append(f'  paper (Phantom, arXiv 2409.14713), to be compared with `{name}`: {shown}')
    return '\n'.join(lines)


def caveats(result: dict[str, Any]) -> list[str]:
    """What a reader must know of the figures: parts that are not there, replies that could not be read, who judged."""
    lines = []
    if result.get('empty'):
        lines.append(f'{result["empty"]} replies are empty')
    if result.get('only_first') is not None:
        lines.append(f'only the first {result["only_first"]} items')
    if result.get('missing'):
        lines.append(f'not in this copy of the benchmark: {", ".join(result["missing"])}; the figures are of the rest')
    if (judge := result.get('judge')) and 'pending' not in result:
        lines += who_judged(judge)
        if result['unread']:
            lines.append(unread_line(result))
    elif result.get('unread'):
        lines.append(unread_line(result))
    if 'judge' not in result and result['bench'] in BENCHES and BENCHES[result['bench']].read is None:
        lines.append('no score yet: a language model has to judge the replies (--judge-url, --judge-model)')
    if result.get('pending'):
        lines.append(f'{result["pending"]} judgements are not made yet, so that there is no score: run `phantom eval` again with the judge')
    return lines


def unread_line(result: dict[str, Any]) -> str:
    """How many replies could not be read, of the judge where there is one, and what they did to the score."""
    if 'judge' not in result:
        counted = f' and count as {result["unread_as"]} by its own rule' if 'unread_as' in result else ''
        said = ', '.join(f'{n} say {word}' for word, n in result.get('unread_but_said', {}).items())
        return f'{result["unread"]} replies name no answer{counted}{f" ({said})" if said else ""}; in items.jsonl their `found` is null'
    as_0, left_out = (result.get('bounds', {}).get(name) for name in ('unread_as_0', 'unread_left_out'))
    if 'score' not in result:
        scores = ', so that there is no score'
    elif as_0 is None:
        scores = ''
    else:
        without = 'none' if left_out is None else f'{left_out:.2f}'
        scores = f': score {as_0:.2f} with them as nothing, {without} without them'
    return f'{result["unread"]} replies of the judge could not be read{scores}; they stand in judged.jsonl as `unread`'


def who_judged(judge: dict[str, Any]) -> list[str]:
    """Who gave the judge's replies, by what each said when it answered; a word where they are several, or others than the server named last."""
    if 'answered' not in judge:  # of an older version: the server that ran last
        version = f' (version {judge["version"]})' if judge.get('version') else ''
        return [f'judged by {judge["model"]} at {judge["server"]}{version}']
    revision = f' (revision {judge["revision"]})' if judge.get('revision') else ''
    shares = [f'{one["served_by"]} ({one["replies"]} replies)' for one in judge['answered']]
    lines = [f'judged by {judge["model"]}{revision}: {", ".join(shares) or "no reply was needed, or none is noted"}']
    if len(shares) > 1:
        lines.append(f'{len(shares)} servers of that name answered and may differ: a new --judge-revision asks one of them for all')
    if 'not_asked' in judge:
        lines.append(f'the server {judge["not_asked"]} was not asked, since every reply was stored: a new --judge-revision asks it')
    return lines


def compare_results(folder: Path) -> list[dict[str, Any]]:
    """One row a score.json under `folder`, beside the paper's figures; written to folder/results.json.

    `score` is the benchmark's own figure, `as_released` the one that Phantom's released evaluation prints: compare that with the paper.
    """
    rows = []
    for path in sorted(Path(folder).glob('**/score.json')):
        try:
            result = json.loads(path.read_text('utf-8'))
            name, items = result['bench'], result['items']
        except (ValueError, KeyError, TypeError) as e:
            raise UserError(f'{path}: expected the results of `phantom eval`, found: {e!r}; evaluate again') from e
        metric = BENCHES[name].as_released if name in BENCHES else 'score'
        paper = dict(zip(PAPER_SIZES, PAPER.get(name, (None,) * len(PAPER_SIZES)), strict=True))
        ours = {'score': result.get('score'), 'as_released': result.get(metric), 'as_released_metric': metric}
        about = {'caveats': caveats(result), 'checkpoint': result.get('checkpoint'), 'judge': result.get('judge')}
        rows.append({'bench': name, **ours, 'items': items, 'paper': paper, **about, 'file': str(path.relative_to(folder))})
    if not rows:
        raise UserError(f'results {folder}: expected score.json files of `phantom eval`, found none; evaluate first')
    publish_bytes(Path(folder) / 'results.json', json.dumps(rows, indent=1).encode())
    return rows


def format_results(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of `compare_results` as lines; a dash where a figure is not there, a star and a note where one needs a word."""
    names = [row_name(row) for row in rows]
    width = max(16, *(len(name) + 2 for name in names))
    head = f'{"benchmark":{width}}{"items":>8}{"score":>10}{"as paper":>10}'
    lines = [head + ''.join(f'{f"paper {size}":>12}' for size in PAPER_SIZES)]
    for row, name in zip(rows, names, strict=True):
        score, released = (('-' if row[figure] is None else f'{row[figure]:.1f}') for figure in ('score', 'as_released'))
        paper = ''.join(f'{"-" if row["paper"][size] is None else row["paper"][size]:>12}' for size in PAPER_SIZES)
        star = '*' if row['caveats'] else ''
        lines.append(f'{name + star:{width}}{row["items"]:>8}{score:>10}{released:>10}{paper}')
    lines.append("score: the benchmark's own figure; as paper: the one that Phantom's released evaluation prints")
    return '\n'.join([*lines, *(f'* {name}: {"; ".join(row["caveats"])}' for row, name in zip(rows, names, strict=True) if row['caveats'])])


def row_name(row: dict[str, Any]) -> str:
    """The folder of a result, with the benchmark's name unless that is the folder's."""
    folder = os.path.dirname(row['file'])
    return folder if os.path.basename(folder) == row['bench'] else f'{folder}: {row["bench"]}' if folder else row['bench']
