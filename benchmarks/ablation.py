"""Does it learn, and from what: tiny models from scratch on easy-vqa's pictures (labels computed by its generator).

Only questions for a shape or a colour are used: of the yes/no questions a model that ignores the picture gets 83 % right (measured).
Arms: SFT or SFT + PO (or DPO), phantom dimension off or on (eta 0.1 learnable, or the released constant 1e-4). With one seed every arm sees
the same rows in the same order; held-out accuracy is exact match of greedy answers to questions about pictures that no arm was trained on.
Prints a table with 95 % t-intervals over seeds, the difference to the first arm, and the effects of both factors, paired by seed.
Run: python -m benchmarks.ablation --out DIR [--seeds 5] [--steps 250] [--colours] [--only ARM ...]; finished runs in DIR are kept.
"""

import argparse
import hashlib
import json
import math
from pathlib import Path
from statistics import mean, stdev

import easy_vqa
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import yaml
from scipy.stats import t

from model.phantom.build import load_model
from model.phantom.processor import PhantomProcessor
from model.training.branches import EncodedRow, branch_logps, collate
from model.training.losses import po_terms
from model.training.train import train

ARMS = {
    'SFT, phantom off': {'train': {'po_weight': 0.0}, 'model': {'phantom': False}},
    'SFT, phantom on': {'train': {'po_weight': 0.0}, 'model': {}},
    'SFT + PO, phantom off': {'train': {}, 'model': {'phantom': False}},
    'SFT + PO, phantom on': {'train': {}, 'model': {}},
    'SFT + PO, phantom on, eta 1e-4': {'train': {}, 'model': {'eta': 1e-4, 'eta_learnable': False}},
    'SFT + DPO, phantom on': {'train': {'preference': 'dpo'}, 'model': {}},
}
BATCH = 32  # rows a step
SHAPES = ['circle', 'rectangle', 'triangle']
PART = pa.struct([('type', pa.string()), ('text', pa.string())])
MESSAGES = pa.list_(pa.struct([('role', pa.string()), ('content', pa.list_(PART))]))
IMAGES = pa.list_(pa.struct([('bytes', pa.binary()), ('path', pa.string())]))
SCHEMA = pa.schema(
    [('images', IMAGES), ('prompt', MESSAGES), ('chosen', MESSAGES), ('rejected', MESSAGES)]
    + [(name, pa.string()) for name in ('triple_id', 'sample_id', 'kind')]
    + [('score', pa.float64())]
)


def digest(*names: object) -> int:
    """A number that depends on the names alone."""
    return int.from_bytes(hashlib.sha256('/'.join(map(str, names)).encode()).digest()[:8], 'big')


def open_questions(split: tuple[list, list, list], *, colours: bool) -> list[tuple[str, str, int]]:
    """Question, answer and image id of those that are not answered by yes or no, or of those answered by a colour."""
    left_out = {'yes', 'no', *(SHAPES if colours else ())}
    return [row for row in zip(*split, strict=True) if row[1] not in left_out]


def kinds_of_answers() -> dict[str, list[str]]:
    """Each answer with the other answers of its kind."""
    colours = sorted(set(easy_vqa.get_answers()) - {*SHAPES, 'yes', 'no'})
    return {answer: [other for other in kind if other != answer] for kind in (SHAPES, colours) for answer in kind}


def message(role: str, text: str, *, image: bool = False) -> list[dict]:
    """One turn in TRL's conversational form."""
    return [{'role': role, 'content': [{'type': 'image', 'text': None}] * image + [{'type': 'text', 'text': text}]}]


def write_triples(folder: Path, rows: int, *, colours: bool) -> None:
    """A triples snapshot of `rows` questions of easy-vqa's training split; rejected is another answer of the same kind."""
    others, paths = kinds_of_answers(), easy_vqa.get_train_image_paths()
    questions = open_questions(easy_vqa.get_train_questions(), colours=colours)
    picked = sorted(range(len(questions)), key=lambda index: digest('train', index))[:rows]
    table = []
    for index in picked:
        text, answer, image = questions[index]
        wrong = others[answer][digest('wrong', index) % len(others[answer])]
        table.append({
            'images': [{'bytes': Path(paths[image]).read_bytes(), 'path': None}],
            'prompt': message('user', text, image=True),
            'chosen': message('assistant', answer),
            'rejected': message('assistant', wrong),
            'triple_id': f'easy-vqa/{index}:1',
            'sample_id': f'easy-vqa/{index}',
            'kind': 'incorrect',
            'score': 1.0,
        })
    (folder / 'data').mkdir(parents=True)
    name = 'data/train-00000-of-00001.parquet'
    pq.write_table(pa.Table.from_pylist(table, schema=SCHEMA), folder / name, row_group_size=4096)
    manifest = {'schema_version': 1, 'snapshot_id': f'easy-vqa-{rows}', 'kind': 'triples', 'shards': [{'split': 'train', 'file': name}]}
    (folder / 'manifest.json').write_text(json.dumps(manifest))


def write_preset(path: Path, arm: dict) -> None:
    """The tiny model of one arm as a preset: easy-vqa's 64-pixel pictures need one small tile."""
    vision = {'hidden_size': 64, 'intermediate_size': 128, 'num_hidden_layers': 2, 'num_attention_heads': 4, 'image_size': 56}
    content = {
        'extends': 'tiny',
        'model': {'vision_config': vision, **arm['model']},
        'train': {'batch_rows': BATCH, 'micro_batch_rows': BATCH, **arm['train']},
    }
    path.write_text(yaml.safe_dump(content), encoding='utf-8')


@torch.inference_mode()
def held_out(checkpoint: Path, questions: int, *, colours: bool) -> tuple[float, float]:
    """Per cent of exact greedy answers, and of right answers that are likelier than a wrong one of their kind, on easy-vqa's test pictures."""
    model, processor = load_model(checkpoint)
    model.eval()
    paths, others = easy_vqa.get_test_image_paths(), kinds_of_answers()
    rows = open_questions(easy_vqa.get_test_questions(), colours=colours)
    picked = sorted(range(len(rows)), key=lambda index: digest('test', index))[:questions]
    right = preferred = 0
    for start in range(0, len(picked), 100):
        chunk = [rows[index] for index in picked[start : start + 100]]
        pictures = [Path(paths[image]).read_bytes() for _, _, image in chunk]
        preferred += count_preferred(model, processor, chunk, pictures, others)
        given = replies(model, processor, chunk)
        right += sum(reply == answer for reply, (_, answer, _) in zip(given, chunk, strict=True))
    return 100 * right / len(picked), 100 * preferred / len(picked)


@torch.inference_mode()
def replies(model: torch.nn.Module, processor: PhantomProcessor, rows: list[tuple[str, str, int]]) -> list[str]:
    """Greedy answers to questions about easy-vqa's test pictures; rows are question, answer, number of the picture."""
    paths = easy_vqa.get_test_image_paths()
    inputs = processor.encode_questions([text for text, _, _ in rows], [[Path(paths[image]).read_bytes()] for _, _, image in rows])
    end = processor.tokenizer.convert_tokens_to_ids(processor.template.turn_end)
    ids = model.generate(**inputs, max_new_tokens=12, do_sample=False, eos_token_id=end, pad_token_id=processor.pad_id)
    answers = processor.tokenizer.batch_decode(ids[:, inputs['input_ids'].shape[1] :], skip_special_tokens=True)
    return [answer.strip() for answer in answers]


def count_preferred(model: torch.nn.Module, processor: PhantomProcessor, chunk: list, pictures: list[bytes], others: dict) -> int:
    """How many right answers have the higher mean log-probability, each against one wrong answer."""
    rows = []
    for (text, answer, _), picture in zip(chunk, pictures, strict=True):
        wrong = others[answer][digest('wrong', text, answer) % len(others[answer])]
        tiles = processor.tile(picture)
        prompt = processor.encode_prompt(message('user', text, image=True), [len(tiles)])
        answers = (tuple(processor.encode_answer(message('assistant', words))) for words in (answer, wrong))
        rows.append(EncodedRow(tuple(prompt), tuple(answers), tiles))
    batch = collate(rows, pad_id=processor.pad_id)
    return int((po_terms(branch_logps(model, batch), batch.targets)[1] > 0).sum())


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half width of its 95 % t-interval."""
    if len(values) < 2:
        return values[0], math.nan
    return mean(values), float(t.ppf(0.975, len(values) - 1)) * stdev(values) / math.sqrt(len(values))


def run_arm(name: str, seed: int, options: argparse.Namespace) -> dict:
    """One training run and its held-out accuracy; read back where it is finished."""
    folder = options.out / name.replace(',', '').replace(' ', '_') / f'seed{seed}'
    done = folder / 'result.json'
    if done.is_file():
        return json.loads(done.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    preset = folder / 'preset.yaml'
    write_preset(preset, ARMS[name])
    result = train(options.out / 'triples', folder, preset=str(preset), max_steps=options.steps, seed=seed, quiet=True, keep_last=1)
    accuracy, preference = held_out(result.checkpoint, options.questions, colours=options.colours)
    record = {
        'accuracy': accuracy,
        'preference': preference,
        'margin': result.last['margin'],
        'sft': result.last['sft'],
    }
    done.write_text(json.dumps(record))
    print(f'{name}, seed {seed}: {record}', flush=True)
    return record


def effects(accuracy: dict[str, list[float]]) -> list[str]:
    """What PO and the phantom dimension change, each over both levels of the other, paired by seed; needs the first four arms."""
    off, on, po_off, po_on = list(ARMS)[:4]
    if not {off, on, po_off, po_on} <= set(accuracy):
        return []
    lines = ['', '| effect, over both levels of the other | held-out accuracy, points |', '|---|---|']
    for name, ours, theirs in (('PO', (po_off, po_on), (off, on)), ('phantom dimension', (on, po_on), (off, po_off))):
        seeds = zip(*(accuracy[arm] for arm in (*ours, *theirs)), strict=True)
        centre, half = interval([(a + b - c - d) / 2 for a, b, c, d in seeds])
        lines.append(f'| {name} | {centre:+.1f} ± {half:.1f} |')
    return lines


def draw(table: dict[str, list[float]], path: Path) -> None:
    """Means with intervals, and every seed as a dot."""
    import matplotlib

    matplotlib.use('Agg')
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 0.6 * len(table) + 1.2))
    for place, values in enumerate(table.values()):
        centre, half = interval(values)
        axes.errorbar(centre, place, xerr=half, fmt='o', color='black', capsize=4)
        axes.plot(values, [place] * len(values), '.', color='tab:blue', alpha=0.6)
    axes.set_yticks(range(len(table)), list(table))
    axes.invert_yaxis()
    axes.set_xlabel('held-out accuracy, % (mean and 95 % interval over seeds)')
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Runs what is missing, prints and writes table and plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', type=Path, required=True)
    parser.add_argument('--seeds', type=int, default=5)
    parser.add_argument('--steps', type=int, default=250)
    parser.add_argument('--questions', type=int, default=600, help='held-out questions')
    parser.add_argument('--colours', action='store_true', help='only questions that a colour answers')
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--only', nargs='+', choices=list(ARMS), default=list(ARMS), metavar='ARM', help='arms; all unless named')
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if not (options.out / 'triples' / 'manifest.json').is_file():
        write_triples(options.out / 'triples', options.steps * BATCH, colours=options.colours)
    runs = {name: [] for name in options.only}
    for seed in range(options.seeds):
        for name in options.only:
            runs[name].append(run_arm(name, seed, options))
    table = {name: [record['accuracy'] for record in records] for name, records in runs.items()}
    base = next(iter(table.values()))
    asked = f'{options.questions} held-out questions' + ' for a colour' * options.colours
    lines = [f'{options.seeds} seeds, {options.steps} steps of {BATCH} rows, {asked}', '']
    lines += ['| arm | held-out accuracy, % | against the first arm, paired | preference accuracy, % |', '|---|---|---|---|']
    for name, values in table.items():
        centre, half = interval(values)
        gain, spread = interval([ours - theirs for ours, theirs in zip(values, base, strict=True)])
        chosen = mean(record['preference'] for record in runs[name])
        lines.append(f'| {name} | {centre:.1f} ± {half:.1f} | {gain:+.1f} ± {spread:.1f} | {chosen:.1f} |')
    lines += effects(table)
    (options.out / 'ablation.md').write_text('\n'.join(lines) + '\n')
    draw(table, options.out / 'ablation.png')
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
