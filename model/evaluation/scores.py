"""From items that are right or wrong to each benchmark's figures, in percent (MME: points). Pure functions; sources at each."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean
from typing import Any

MME_PERCEPTION = ('existence', 'count', 'position', 'color', 'posters', 'celebrity', 'scene', 'landmark', 'artwork', 'OCR')
MME_COGNITION = ('commonsense_reasoning', 'numerical_calculation', 'text_translation', 'code_reasoning')
CIRCULAR = 1_000_000  # MMBench: an index beyond this asks the question of index % this with its options turned round


@dataclass(frozen=True, slots=True)
class Scored:
    """One item with the model's reply and what was made of it."""

    item: dict  # item_id, question, options, answer, meta (parsed)
    reply: str
    found: Any  # the reply as an answer: a letter, Yes or No, the text; None where it is neither; of a judge its grade or marks
    right: bool | float  # of judged benchmarks the judge's grade, 0 to 1
    draw: int = 0  # which copy it is of an item that was drawn several times (see `intervals`): no copy counts for another's group


Metrics = Callable[[Sequence[Scored]], dict[str, float]]


def accuracy(scored: Iterable[Scored]) -> float:
    """Percentage of right items."""
    return 100 * fmean([item.right for item in scored])


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
        groups[item.draw, key(item)].append(item.right)
    return 100 * fmean([all(rights) for rights in groups.values()])


def accuracy_by(field: str) -> Metrics:
    """Accuracy over all items, and that of each value of a meta field.

    SEED-Bench sums over all items too (AILab-CVC/SEED-Bench eval.py), and so does MMStar, whose six categories have 250 items each
    (MMStar-Benchmark/MMStar eval/vlmeval/evaluate/mmstar.py), ScienceQA (LLaVA llava/eval/eval_science_qa.py, IMG-Accuracy) and AI2D.
    """
    return partial(field_metrics, field)


def field_metrics(field: str, scored: Sequence[Scored]) -> dict[str, float]:
    """Accuracy, and that of each category where items have one."""
    parts = {f'accuracy/{name}': accuracy(group) for name, group in by_meta(scored, field).items() if name}
    return {'score': accuracy(scored), **parts}


def blink_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """Mean of the tasks' accuracies (14 in full), and each of them; zeyofu/BLINK_Benchmark eval/evaluate.py."""
    parts = {f'accuracy/{name}': accuracy(group) for name, group in by_meta(scored, 'sub_task').items()}
    return {'score': fmean(parts.values()), **parts}


def chartqa_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """Relaxed accuracy, the mean of both splits (1,250 items each in full); ChartQA (arXiv 2203.10244), section 5.1."""
    parts = {f'relaxed/{name}': accuracy(group) for name, group in by_meta(scored, 'split').items()}
    return {'score': fmean(parts.values()), **parts}


def pope_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """F1 of Yes averaged over the three splits, and accuracy, precision, recall and share of Yes; AoiDragon/POPE evaluate.py, a file a split."""
    splits = {name: binary(group) for name, group in by_meta(scored, 'category').items()}
    means = {name: fmean(split[name] for split in splits.values()) for name in ('accuracy', 'precision', 'recall', 'f1', 'yes')}
    return {'score': means['f1'], **means, **{f'f1/{name}': split['f1'] for name, split in splits.items()}}


def binary(scored: Sequence[Scored]) -> dict[str, float]:
    """Percentages with Yes as positive; a reply that names neither counts as Yes, as in POPE's code."""
    yes = [item.found != 'No' for item in scored]
    true = [item.item['answer'] == 'Yes' for item in scored]
    hits = sum(a and b for a, b in zip(yes, true, strict=True))
    precision, recall = hits / max(sum(yes), 1), hits / max(sum(true), 1)
    return {
        'accuracy': accuracy(scored),
        'precision': 100 * precision,
        'recall': 100 * recall,
        'f1': 200 * precision * recall / (precision + recall) if hits else 0.0,
        'yes': 100 * fmean(yes),
    }


def itself(item: dict) -> str:
    """An item that no other belongs to."""
    return item['item_id']


def picture_questions(item: dict) -> str:
    """MME: both questions of a picture."""
    return item['item_id'].rpartition('/')[0]


def asked_in_turn(item: dict) -> str:
    """MMBench: a question in all orders of its options."""
    file, _, index = item['item_id'].rpartition('/')
    return f'{file}/{int(index.partition("~")[0]) % CIRCULAR}'


def question_set(item: dict) -> str:
    """HallusionBench: a set, whose questions are asked over its figures."""
    return '/'.join(str(item['meta'].get(name)) for name in ('category', 'subcategory', 'set_id'))


def mme_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """Sum over tasks of accuracy and accuracy+ (both questions of a picture right), at most 2,000 for perception and 800 for cognition.

    calculation.py of MME's eval_tool.zip (BradyFU/Awesome-Multimodal-Large-Language-Models); arXiv 2306.13394.
    """
    tasks = {
        name: accuracy(group) + all_right(group, lambda item: picture_questions(item.item))
        for name, group in by_meta(scored, 'category').items()
    }
    perception = sum(value for name, value in tasks.items() if name in MME_PERCEPTION)
    total = sum(tasks.values())
    return {'score': total, 'perception': perception, 'cognition': total - perception, **tasks}


def blind(item: dict) -> bool:
    """Whether a HallusionBench item asks a question of the VS kind without its figure, where not knowing is right."""
    return item['meta'].get('category') == 'VS' and str(item['meta'].get('figure_id')) == '0'


def hallusion_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """aAcc of questions, fAcc of figures (those without one left out), qAcc of questions over all their figures.

    tianyi-lab/HallusionBench utils.py: get_eval_all, get_eval_fig, get_eval_pair_all. There GPT-4 compares replies with the answer; here
    they are read as Yes or No, which the question asks for.
    """

    def key(*names: str) -> Callable[[Scored], object]:
        return lambda item: tuple(str(item.item['meta'].get(name)) for name in ('category', 'subcategory', 'set_id', *names))

    every = accuracy(scored)
    seen = [item for item in scored if not blind(item.item)]
    figures = {'fAcc': all_right(seen, key('figure_id'))} if seen else {}
    return {'score': every, 'aAcc': every, **figures, 'qAcc': all_right(scored, key('question_id'))}


def mmbench_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """Accuracy over questions that are right in every order asked, over those asked in the first order, and over every row.

    CircularEval of VLMEvalKit vlmeval/dataset/utils/multiple_choice.py (mcq_circular_eval: an index % 1,000,000 is one question).
    """

    first = [item for item in scored if int(item.item['item_id'].rpartition('/')[2].partition('~')[0]) < CIRCULAR]
    vanilla = {'vanilla': accuracy(first)} if first else {}
    return {'score': all_right(scored, lambda item: asked_in_turn(item.item)), **vanilla, 'every row': accuracy(scored)}


def cv_bench_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """Mean of 2D (mean of ADE20K and COCO) and 3D (Omni3D); huggingface.co/datasets/nyu-visionx/CV-Bench, README; arXiv 2406.16860."""
    kinds = by_meta(scored, 'type')
    parts = {kind: fmean(accuracy(group) for group in by_meta(items, 'source').values()) for kind, items in kinds.items()}
    sources = {f'accuracy/{name}': accuracy(group) for name, group in by_meta(scored, 'source').items() if name}
    return {'score': fmean(parts.values()), **parts, **sources}


def judged_metrics(scored: Sequence[Scored]) -> dict[str, float]:
    """Nothing: a language model has to judge these replies."""
    return {}


def mathverse_grades(graded: Sequence[Scored]) -> dict[str, float]:
    """Of a judge's grades, the mean of the versions with a picture, as pipelines/benches/judge_sums.py sums them."""
    versions = by_meta(graded, 'problem_version')
    seen = [accuracy(group) for name, group in versions.items() if name.replace('_', ' ') != 'Text Only']
    return {'score': fmean(seen or [accuracy(group) for group in versions.values()])}


def mean_grade(graded: Sequence[Scored]) -> dict[str, float]:
    """Of a judge's grades, their mean."""
    return {'score': accuracy(graded)}


def ratio_of_marks(graded: Sequence[Scored]) -> dict[str, float]:
    """LLaVA-W: the sum of our marks over the sum of the reference's; items whose marks could not be read count in neither."""
    marks = [item.found for item in graded if item.found]
    return {'score': 100 * sum(ours for _, ours in marks) / sum(reference for reference, _ in marks)} if marks else {}
