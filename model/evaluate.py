"""A checkpoint's answers to a benchmark's items, scored as the benchmark does, beside the paper's figures."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from model.bench_rules import BENCHES, PAPER, PAPER_SIZES, Scored, make_question, score_item
from model.build import load_model
from model.checkpoint import find_checkpoint
from model.tiling import BadImage, decode_image, join_images
from schemas.errors import UserError

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
    quiet: bool = False,
) -> dict[str, Any]:
    """The scores of a checkpoint on a benchmark; writes out/items.jsonl and out/score.json, prints a table.

    items: the Parquet file of `phantom read-bench`. bench: its layout's name, which says how to ask and score.
    beams: 3 as in the paper. Benchmarks that a language model judges get items.jsonl with the replies and no score.
    """
    if bench not in BENCHES:
        raise UserError(f'benchmark {bench!r}: expected one of {", ".join(sorted(BENCHES))}; name one of these')
    model, processor = load_model(find_checkpoint(Path(checkpoint)))
    if torch.cuda.is_available():
        model.to('cuda', torch.bfloat16)
    model.eval()
    scored: list[Scored] = []
    rows = islice(read_items(Path(items)), max_items)
    while chunk := list(islice(rows, batch_rows)):
        replies = answer(model, processor, bench, chunk, beams=beams)
        scored += [score_item(bench, strip_images(item), reply) for item, reply in zip(chunk, replies, strict=True)]
    if not scored:
        raise UserError(f'{items}: expected items, found none; run `phantom read-bench` again')
    result = {'bench': bench, 'checkpoint': str(checkpoint), 'items': len(scored), **BENCHES[bench].metrics(scored)}
    if BENCHES[bench].read:
        result['unread'] = sum(item.found is None for item in scored)  # replies that name no answer
    write_results(Path(out), scored, result)
    if not quiet:
        print(format_table(bench, result))
    return result


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


@torch.inference_mode()
def answer(model: Any, processor: Any, bench: str, items: Sequence[dict], *, beams: int) -> list[str]:
    """Replies to some items; several pictures of one item are joined side by side, as in the released evaluation."""
    try:
        pictures = [[decode_image(image['bytes']) for image in item['images'] or []] for item in items]
    except BadImage as e:
        raise UserError(f'benchmark {bench}: {e} among {[item["item_id"] for item in items]}; download it again') from e
    images = [[join_images(row)] if row else [] for row in pictures]
    inputs = processor([make_question(bench, item) for item in items], images).to(model.device)
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
    out.mkdir(parents=True, exist_ok=True)
    lines = ''.join(json.dumps(asdict(item), ensure_ascii=False) + '\n' for item in scored)
    for name, text in (('items.jsonl', lines), ('score.json', json.dumps(result, indent=1))):
        draft = out / f'.{name}.tmp'
        draft.write_text(text)
        os.replace(draft, out / name)


def format_table(bench: str, result: dict[str, Any]) -> str:
    """The scores as lines, ours beside the paper's of each size."""
    unread = f', {result["unread"]} replies without an answer' if 'unread' in result else ''
    lines = [f'{bench}: {result["items"]} items{unread}']
    for name, value in result.items():
        if isinstance(value, float):
            lines.append(f'  {name:32} {value:8.2f}')
    if 'score' not in result:
        lines.append('  no score yet: a language model has to judge the replies (--judge-url, --judge-model)')
    if bench in PAPER:
        shown = ', '.join(f'{size} {value}' for size, value in zip(PAPER_SIZES, PAPER[bench], strict=True) if value)
        lines.append(f'  paper (Phantom, arXiv 2409.14713): {shown}')
    return '\n'.join(lines)


def compare_results(folder: Path) -> list[dict[str, Any]]:
    """One row a benchmark with a score.json under `folder`, beside the paper's figures; written to folder/results.json."""
    rows = []
    for path in sorted(Path(folder).glob('**/score.json')):
        result = json.loads(path.read_text())
        name = result['bench']
        paper = dict(zip(PAPER_SIZES, PAPER.get(name, (None,) * len(PAPER_SIZES)), strict=True))
        rows.append({'bench': name, 'score': result.get('score'), 'items': result['items'], 'paper': paper, 'file': str(path.relative_to(folder))})
    if not rows:
        raise UserError(f'results {folder}: expected score.json files of `phantom eval`, found none; evaluate first')
    draft = Path(folder) / '.results.json.tmp'
    draft.write_text(json.dumps(rows, indent=1))
    os.replace(draft, Path(folder) / 'results.json')
    return rows


def format_results(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of `compare_results` as lines; a dash where a figure is not there."""
    lines = [f'{"benchmark":16}{"items":>8}{"ours":>10}' + ''.join(f'{f"paper {size}":>12}' for size in PAPER_SIZES)]
    for row in rows:
        ours = '-' if row['score'] is None else f'{row["score"]:.1f}'
        paper = ''.join(f'{"-" if row["paper"][size] is None else row["paper"][size]:>12}' for size in PAPER_SIZES)
        lines.append(f'{row["bench"]:16}{row["items"]:>8}{ours:>10}{paper}')
    return '\n'.join(lines)
