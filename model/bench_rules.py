"""How each benchmark asks and scores: prompts, reading of answers, metrics. Pure functions of text, no torch.

Items are rows of `phantom read-bench`: question without options, options without letters, and as answer the right
option's letter, or the text. Prompts and reply lengths are the released evaluation's (tests/golden/preprocess), with
the image in front, which its prompt builder forgets; metrics are each benchmark's own.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import mean

LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
ASK_LETTER = "Answer with the option's letter from the given choices directly."
ASK_WORD = 'Answer the question using a single word or phrase.'
ASK_YES_NO = 'Please answer yes or no.'
CHART_TOLERANCE = 0.05  # relaxed accuracy, ChartQA (arXiv 2203.10244), section 5
MME_PERCEPTION = (
    'existence',
    'count',
    'position',
    'color',
    'posters',
    'celebrity',
    'scene',
    'landmark',
    'artwork',
    'OCR',
)
CIRCULAR = 1_000_000  # MMBench: an index beyond this asks the question of index % this with its options turned round


@dataclass(frozen=True, slots=True)
class Scored:
    """One item with the model's reply and what was made of it."""

    item: dict  # item_id, question, options, answer, meta (parsed)
    reply: str
    found: str | None  # the reply as an answer: a letter, Yes or No, the text; None where it is neither
    right: bool


@dataclass(frozen=True, slots=True)
class BenchRule:
    """A benchmark: what follows the question, how long a reply may be, how it is read, what is reported."""

    ask: str
    max_new_tokens: int
    read: Callable[[str, dict], str | None] | None  # None: a language model judges the replies
    metrics: Callable[[Sequence[Scored]], dict[str, float]]


def read_letter(reply: str, item: dict) -> str | None:
    """The option a reply names: by its letter first, else by an option's whole text; None if neither."""
    letters = LETTERS[: len(item['options'])] or LETTERS
    text = reply.strip()
    lead = re.match(r'\(?([A-Z])\)?(?=$|[\s.,:;)])', text)
    said = re.search(
        r'(?:answer|option|choice)\b[^A-Za-z]*(?:is\b)?[^A-Za-z]*\(?([A-Z])\)?(?=$|[\s.,:;)])', text, re.IGNORECASE
    )
    for match in (lead, said):
        if match and match[1] in letters:
            return match[1]
    texts = [plain(option) for option in item['options']]
    return letters[texts.index(plain(text))] if plain(text) in texts else None


def plain(text: str) -> str:
    """Lower case, single spaces, no end mark."""
    return ' '.join(text.lower().split()).rstrip('.')


def read_yes_no(reply: str, item: dict) -> str | None:
    """Yes or No out of a reply's first words; None if it says neither."""
    match = re.match(r'\W*(yes|no)\b', reply, re.IGNORECASE)
    return match[1].capitalize() if match else None


def read_text(reply: str, item: dict) -> str | None:
    """The reply itself, without an end mark."""
    return reply.strip().removesuffix('.') or None


def to_number(text: str) -> float | None:
    """The number a short answer is, a percentage as a fraction; None if it is no number."""
    text = text.strip().replace(',', '').removeprefix('$')
    try:
        return float(text[:-1]) / 100 if text.endswith('%') else float(text)
    except ValueError:
        return None


def relaxed_equal(found: str, answer: str) -> bool:
    """ChartQA's relaxed correctness: a number within 5 % of the answer, any other text equal but for case."""
    ours, wanted = to_number(found), to_number(answer)
    if ours is not None and wanted:
        return abs(ours - wanted) <= CHART_TOLERANCE * abs(wanted)
    return found.strip().lower() == answer.strip().lower()


def accuracy(scored: Iterable[Scored]) -> float:
    """Percentage of right items."""
    return 100 * mean([item.right for item in scored])


def by_meta(scored: Iterable[Scored], name: str) -> dict[str, list[Scored]]:
    """Items by a field of their meta."""
    groups = defaultdict(list)
    for item in scored:
        groups[str(item.item['meta'].get(name, ''))].append(item)
    return dict(sorted(groups.items()))


def all_right(scored: Iterable[Scored], key: Callable[[Scored], object]) -> float:
    """Percentage of groups whose items are all right."""
    groups = defaultdict(list)
    for item in scored:
        groups[key(item)].append(item.right)
    return 100 * mean([all(rights) for rights in groups.values()])


def plain_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """Accuracy, and that of each category where items have one."""
    parts = {f'accuracy/{name}': accuracy(group) for name, group in by_meta(scored, 'category').items() if name}
    return {'score': accuracy(scored), **parts}


def chartqa_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """Relaxed accuracy, the mean of both splits (1,250 items each in full)."""
    parts = {f'relaxed/{name}': accuracy(group) for name, group in by_meta(scored, 'split').items()}
    return {'score': mean(parts.values()), **parts}


def pope_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """F1 of Yes averaged over the three splits, and accuracy, precision, recall and share of Yes."""
    splits = [binary(group) for group in by_meta(scored, 'category').values()]
    means = {name: mean(split[name] for split in splits) for name in splits[0]}
    return {'score': means['f1'], **means}


def binary(scored: Sequence[Scored]) -> dict[str, float]:
    """Percentages with Yes as positive; a reply that is neither is wrong and counts as No."""
    yes = [item.found == 'Yes' for item in scored]
    true = [item.item['answer'] == 'Yes' for item in scored]
    hits = sum(a and b for a, b in zip(yes, true, strict=True))
    precision, recall = hits / max(sum(yes), 1), hits / max(sum(true), 1)
    return {
        'accuracy': accuracy(scored),
        'precision': 100 * precision,
        'recall': 100 * recall,
        'f1': 200 * precision * recall / (precision + recall) if hits else 0.0,
        'yes': 100 * mean(yes),
    }


def mme_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """Sum over tasks of accuracy and accuracy+ (both questions of a picture right); MME (arXiv 2306.13394)."""
    tasks = {
        name: accuracy(group) + all_right(group, lambda item: item.item['item_id'].rpartition('/')[0])
        for name, group in by_meta(scored, 'category').items()
    }
    perception = sum(value for name, value in tasks.items() if name in MME_PERCEPTION)
    total = sum(tasks.values())
    return {'score': total, 'perception': perception, 'cognition': total - perception, **tasks}


def hallusion_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """aAcc of questions, fAcc of figures, qAcc of questions over their figures; HallusionBench (arXiv 2310.14566)."""

    def key(*names: str) -> Callable[[Scored], object]:
        return lambda item: tuple(item.item['meta'].get(name) for name in ('category', 'subcategory', 'set_id', *names))

    every = accuracy(scored)
    return {
        'score': every,
        'aAcc': every,
        'fAcc': all_right(scored, key('figure_id')),
        'qAcc': all_right(scored, key('question_id')),
    }


def mmbench_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """Accuracy over questions that are right in every order asked (circular where the file has turned options)."""

    def question(item: Scored) -> tuple[str, int]:
        file, _, index = item.item['item_id'].rpartition('/')
        return file, int(index.partition('~')[0]) % CIRCULAR

    first = [item for item in scored if int(item.item['item_id'].rpartition('/')[2].partition('~')[0]) < CIRCULAR]
    return {'score': all_right(scored, question), 'vanilla': accuracy(first)}


def cv_bench_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """Mean of 2D (mean of its sources) and 3D; Cambrian-1 (arXiv 2406.16860), section 3.2."""
    kinds = by_meta(scored, 'type')
    parts = {
        kind: mean(accuracy(group) for group in by_meta(items, 'source').values()) for kind, items in kinds.items()
    }
    return {'score': mean(parts.values()), **parts}


def judged_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """Nothing: a language model has to judge these replies."""
    return {}


CHOICE = BenchRule(ASK_LETTER, 5, read_letter, plain_metrics)
JUDGED = BenchRule('', 1024, None, judged_metrics)
BENCHES: dict[str, BenchRule] = {
    'sqa': CHOICE,
    'ai2d': CHOICE,
    'seed': CHOICE,
    'seed-2-plus': CHOICE,
    'mmstar': CHOICE,
    'blink': CHOICE,
    'mmbench': BenchRule(ASK_LETTER, 5, read_letter, mmbench_metrics),
    'cv-bench': BenchRule(ASK_LETTER, 5, read_letter, cv_bench_metrics),
    'chartqa': BenchRule(ASK_WORD, 5, read_text, chartqa_metrics),
    'pope': BenchRule(ASK_WORD, 5, read_yes_no, pope_metrics),
    'mme': BenchRule('', 5, read_yes_no, mme_metrics),  # its questions end in "Please answer yes or no."
    'hallusionbench': BenchRule(ASK_YES_NO, 5, read_yes_no, hallusion_metrics),
    'mm-vet': JUDGED,
    'mm-vet-v2': JUDGED,
    'llava-w': JUDGED,
    'mathvista': BenchRule('', 512, None, judged_metrics),
    'mathverse': BenchRule('', 512, None, judged_metrics),
}

# Paper, Tables 1-3: what Phantom of each size reached.
PAPER = {
    'sqa': (83.2, 91.9, 94.2, 95.6),
    'ai2d': (54.1, 62.3, 71.7, 79.5),
    'chartqa': (78.0, 87.0, 87.3, 87.8),
    'seed': (60.6, 68.6, 72.8, 75.3),
    'pope': (86.0, 89.6, 87.1, 87.7),
    'hallusionbench': (54.6, 62.2, 60.8, 65.4),
    'mme': (1743, 1885, 2046, 2126),
    'mathvista': (51.7, 60.9, 60.6, 70.9),
    'mmbench': (72.7, 76.6, 80.4, 84.8),
    'mm-vet': (45.7, 54.1, 54.4, 70.8),
    'llava-w': (69.6, 68.6, 76.2, 84.9),
    'mmstar': (None, None, None, 57.7),
    'seed-2-plus': (None, None, None, 65.5),
    'blink': (None, None, None, 58.9),
    'cv-bench': (None, None, None, 74.9),
    'mathverse': (None, None, None, 41.0),  # as printed; the mean of the printed versions with a picture is 44.1
    'mm-vet-v2': (None, None, None, 60.6),
}
PAPER_SIZES = ('0.5B', '1.8B', '3.8B', '7B')


def make_question(name: str, item: dict) -> str:
    """What the model is asked: hint, question, lettered options, and the benchmark's request."""
    rule = BENCHES[name]
    meta = item['meta']
    question = item['question'].replace('<image>', '').strip()
    if name == 'mathvista':
        question = meta.get('query', question)
    lines = [meta['hint']] if name in ('sqa', 'mmbench') and meta.get('hint') else []
    lines.append(question)
    lines += [f'{letter}. {option}' for letter, option in zip(LETTERS, item['options'], strict=False)]
    if rule.ask and rule.ask not in question:
        lines.append(rule.ask)
    return '\n'.join(lines)


def score_item(name: str, item: dict, reply: str) -> Scored:
    """The item with its reply read and compared."""
    rule = BENCHES[name]
    found = rule.read(reply, item) if rule.read else None
    if found is None:
        return Scored(item, reply, None, False)
    right = relaxed_equal(found, item['answer']) if name == 'chartqa' else found == item['answer']
    return Scored(item, reply, found, right)
