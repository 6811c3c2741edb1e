"""A model's answers to a benchmark's items, scored as the benchmark does, beside the paper's figures."""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from model.evaluation.answers import Answers, Served, ServedAnswers, decode_all
from model.evaluation.intervals import figure_intervals
from model.evaluation.reply_log import ReplyLog, digest_asked, digest_checkpoint
from model.evaluation.results import compare_results as compare_results
from model.evaluation.results import format_results as format_results
from model.evaluation.results import format_table
from model.evaluation.rules import BENCHES, defaulted, is_asked, make_question, missing_parts, score_item
from model.evaluation.sampling import draw_sample
from model.evaluation.scores import Scored
from model.evaluation.stored import load_scored, metrics_of
from model.phantom.build import load_model
from model.phantom.tiling import join_images
from model.training.checkpoint import find_checkpoint
from schemas.errors import UserError
from schemas.json_text import json_line
from schemas.publish import publish_bytes
from schemas.refusals import refused
from schemas.telling import tell_news

TOLD_EVERY = 100  # items between two lines that say how far it is
Judge = Callable[[Path], dict[str, Any]]  # the scores of a folder with items.jsonl; adds them to its score.json
COLUMNS = ('bench', 'item_id', 'question', 'options', 'answer', 'images', 'meta')


def evaluate(
    checkpoint: Path | None,
    items: Path,
    out: Path,
    *,
    bench: str,
    batch_rows: int = 8,
    beams: int = 3,
    max_items: int | None = None,
    samples: int | None = None,
    seed: int = 0,
    judge: Judge | None = None,
    served: Served | None = None,
    quiet: bool = False,
) -> dict[str, Any]:
    """The scores of a checkpoint on a benchmark; writes out/items.jsonl and out/score.json, prints a table.

    items: the Parquet file of `phantom read-bench`. bench: its layout's name, which says how to ask and score.
    beams: 3 as in the paper. Benchmarks that a language model judges get items.jsonl with the replies and no score.
    samples: at least so many items, drawn by the hash of their ids and `seed` (see `sampling`), in place of all or of the first `max_items`.
    judge: scores the replies of such a benchmark when all are there.
    served: a model behind a server that is asked in place of a checkpoint, greedily.
    Replies are kept in out as they are given: the same command goes on after a kill, and asks only what is new.
    """
    refuse_unclear(bench, checkpoint, served, max_items=max_items, samples=samples)
    folder, out = find_checkpoint(Path(checkpoint)) if checkpoint is not None else None, Path(out)
    make_folder(out)
    answers: Answers = ServedAnswers(served) if served else CheckpointAnswers(folder, out, bench, beams=beams)
    every = (item for item in read_items(Path(items)) if is_asked(bench, item))
    sample = draw_sample(bench, read_asked(bench, Path(items)), samples, seed=seed) if samples is not None else None
    if sample:
        every = (item for item in every if item['item_id'] in sample.ids)
    rows = islice(every, max_items)
    scored: list[Scored] = []
    while chunk := list(islice(rows, answers.at_once or batch_rows)):
        replies = answers.reply_all(bench, chunk)
        scored += [score_item(bench, with_digests(item), reply) for item, reply in zip(chunk, replies, strict=True)]
        if not quiet and len(scored) // TOLD_EVERY > (len(scored) - len(chunk)) // TOLD_EVERY:
            tell_news(f'{bench}: {len(scored)} items answered')
    if not scored:
        raise UserError(f'{items}: expected items with a published answer, found none; is it the split to be scored?')
    result = {'bench': bench, 'checkpoint': str(checkpoint) if checkpoint else None, **answers.about(), 'items': len(scored)}
    result |= BENCHES[bench].metrics(scored) | defaulted(bench, scored)
    if sample:
        result['sample'] = sample.as_record()
    if max_items is not None and next(every, None) is not None:
        result['only_first'] = max_items
    result['empty'] = sum(not item.reply for item in scored)
    result['missing'] = missing_parts(bench, (item.item['meta'] for item in scored))
    result |= as_intervals(figure_intervals(bench, scored))
    write_results(out, scored, result)
    if judge is not None:
        result = with_grades(bench, out, judge(out))
    if not quiet:
        print(format_table(bench, result))
    return result


def as_intervals(found: dict[str, tuple[float, float]]) -> dict[str, Any]:
    """What score.json says of the intervals, nothing where there are none."""
    return {'intervals': {name: list(ends) for name, ends in found.items()}} if found else {}


def with_grades(bench: str, out: Path, result: dict[str, Any]) -> dict[str, Any]:
    """A judge's result with the interval of its score, in score.json too."""
    graded = load_scored(bench, out)
    if not graded or 'score' not in result:
        return result
    result = result | as_intervals(figure_intervals(bench, graded, metrics_of(bench)))
    write_score(out, result)
    return result


def refuse_unclear(
    bench: str,
    checkpoint: Path | None,
    served: object,
    *,
    max_items: int | None = None,
    samples: int | None = None,
    beams: int | None = None,
    of_server: str = '',
) -> None:
    """Raises UserError for what cannot be evaluated, before anything is computed or asked; `of_server`: an option that needs --url."""
    refuse_unknown(bench)
    if of_server and not served:
        raise UserError(f'{of_server}: expected --url beside it, found none; it is said of a served model')
    if served and beams not in (None, 1):
        raise UserError(f'--beams: expected 1 with --url, since a server decodes greedily, found {beams}; leave it out')
    if samples is not None and max_items is not None:
        raise UserError('--samples: expected it or --max-items, found both; leave one out')
    if (checkpoint is None) != bool(served):
        raise UserError('eval: expected a checkpoint or the --url of a served model, found both or neither; give one of them')
    if checkpoint is not None:
        find_checkpoint(Path(checkpoint))


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


def read_asked(bench: str, path: Path) -> Iterator[dict]:
    """The rows of a benchmark file that are asked, without their pictures."""
    return (item for item in read_items(path, [name for name in COLUMNS if name != 'images']) if is_asked(bench, item))


def read_items(path: Path, columns: Sequence[str] = COLUMNS) -> Iterator[dict]:
    """Rows of a benchmark file, meta parsed, a few at a time."""
    if not path.is_file():
        raise UserError(f'items {path}: expected the Parquet file of `phantom read-bench`, found none')
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=64, columns=list(columns)):
            for row in batch.to_pylist():
                yield {**row, 'meta': json.loads(row['meta'] or '{}'), 'options': row['options'] or []}
    except (pa.ArrowException, OSError, ValueError) as e:
        raise UserError(f'items {path}: expected columns {", ".join(COLUMNS)}, found: {e}') from e


def with_digests(item: dict) -> dict:
    """The item with `pictures`, the first 16 hex digits of each one's sha256, in place of their bytes."""
    pictures = [hashlib.sha256(image['bytes']).hexdigest()[:16] for image in item['images'] or []]
    return {**{name: value for name, value in item.items() if name != 'images'}, 'pictures': pictures}


class CheckpointAnswers:
    """Replies of a checkpoint, kept in out/replies.jsonl."""

    at_once = 0

    def __init__(self, folder: Path, out: Path, bench: str, *, beams: int):
        self.model, self.processor = load_model(folder)
        if torch.cuda.is_available():
            self.model.to('cuda', torch.bfloat16)
        self.model.eval()
        self.beams, self.weights = beams, digest_checkpoint(folder)
        whose = {'checkpoint': self.weights, 'dtype': str(self.model.dtype), 'beams': beams, 'tokens': BENCHES[bench].max_new_tokens}
        self.log = ReplyLog(out / 'replies.jsonl', whose)

    def reply_all(self, bench: str, items: Sequence[dict]) -> list[str]:
        """The replies to some items, in order."""
        return reply_all(self.model, self.processor, bench, items, beams=self.beams, log=self.log)

    def about(self) -> dict[str, Any]:
        """Which weights answered, and how they were decoded."""
        return {'checkpoint_sha256': self.weights, 'beams': self.beams}


def reply_all(model: Any, processor: Any, bench: str, items: Sequence[dict], *, beams: int, log: ReplyLog) -> list[str]:
    """Replies to some items: those of the log, and the model's to the others, which are logged."""
    asked = [digest_asked(make_question(bench, item), [image['bytes'] for image in item['images'] or []]) for item in items]
    new = [(key, item) for key, item in zip(asked, items, strict=True) if log.find(key) is None]
    if new:
        replies = answer(model, processor, bench, [item for _, item in new], beams=beams)
        log.add([(item['item_id'], key, reply) for (key, item), reply in zip(new, replies, strict=True)])
    return [log.find(key) or '' for key in asked]


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
    rows = ({'item': one.item, 'reply': one.reply, 'found': one.found, 'right': one.right} for one in scored)
    publish_text(out / 'items.jsonl', ''.join(map(json_line, rows)))
    write_score(out, result)


def write_score(out: Path, result: dict[str, Any]) -> None:
    """score.json, whole or not at all."""
    publish_text(out / 'score.json', json.dumps(result, indent=1))


def publish_text(path: Path, text: str) -> None:
    """A file, whole or not at all."""
    try:
        publish_bytes(path, text.encode())
    except OSError as e:
        raise refused(e, path) from e
