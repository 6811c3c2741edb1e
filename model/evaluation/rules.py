"""How each benchmark is asked, read and summed up, in one table. Pure functions of text, no torch.

Items are rows of `phantom read-bench`: question without options, options without letters, and as answer the right option's letter, or the
text. Prompts and reply lengths are those of Phantom's released evaluation (utils/utils.py, loader/create_eval_dataset.py; golden copies
in tests/golden/preprocess), with the image in front, which its prompt builder forgets; the lines it puts after a question are
`request_lines`. Where a benchmark publishes the whole prompt
(MathVista, MathVerse, MMStar, BLINK, CV-Bench) that is what is asked. BLINK's own code puts a disclaimer in front of three tasks, for
chat models that refuse to speak of people; it is left out. Reading and sums are each benchmark's own: see `reading`, `scores`.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from model.evaluation.reading import LETTERS, read_letter, read_mme, read_pope, read_text, read_yes_no, relaxed_equal
from model.evaluation.request_lines import ASK_LETTER, ASK_WORD, ASK_YES_NO
from model.evaluation.scores import (
    MME_COGNITION,
    MME_PERCEPTION,
    Metrics,
    Scored,
    accuracy_by,
    asked_in_turn,
    blind,
    blink_metrics,
    chartqa_metrics,
    cv_bench_metrics,
    hallusion_metrics,
    itself,
    judged_metrics,
    mmbench_metrics,
    mme_metrics,
    picture_questions,
    pope_metrics,
    question_set,
)

# Where the benchmark's own whole prompt stands in meta.
PROMPTS = {'mathvista': 'query', 'mathverse': 'query_wo', 'mmstar': 'query', 'blink': 'prompt', 'cv-bench': 'prompt'}


def same(found: str | None, item: dict) -> bool:
    """Whether the answer was found."""
    return found == item['answer']


def same_by_default_yes(found: str | None, item: dict) -> bool:
    """The same, where a reply that names neither counts as Yes (POPE)."""
    return (found or 'Yes') == item['answer']


def same_or_unknown(found: str | None, item: dict) -> bool:
    """The same, where not knowing is right if the figure was not shown (HallusionBench utils.py, assign_correctness)."""
    return found == item['answer'] or (found is None and blind(item))


def relaxed(found: str | None, item: dict) -> bool:
    """ChartQA's relaxed correctness."""
    return found is not None and relaxed_equal(found, item['answer'])


@dataclass(frozen=True, slots=True)
class BenchRule:
    """A benchmark: what follows the question, how long a reply may be, how it is read and compared, what is reported."""

    ask: str
    max_new_tokens: int
    read: Callable[[str, dict], str | None] | None  # None: a language model judges the replies
    metrics: Metrics
    right: Callable[[str | None, dict], bool] = same
    part: str = ''  # the meta field that says which part of the benchmark an item is of ...
    parts: tuple[str, ...] = ()  # ... and all of its values in a complete copy
    as_released: str = 'score'  # the figure that Phantom's released evaluation prints, so the one to put beside the paper's
    unit: Callable[[dict], str] = itself  # which items are scored together: they are sampled, and drawn for intervals, together
    unread_as: str = 'wrong'  # what a reply that names no answer counts as, by the benchmark's own code


def choice(
    metrics: Metrics, *, part: str = '', parts: tuple[str, ...] = (), as_released: str = 'score', unit: Callable[[dict], str] = itself
) -> BenchRule:
    """A multiple-choice benchmark."""
    return BenchRule(ASK_LETTER, 5, read_letter, metrics, part=part, parts=parts, as_released=as_released, unit=unit)


def judged(max_new_tokens: int, *, part: str = '', parts: tuple[str, ...] = (), as_released: str = 'score') -> BenchRule:
    """A benchmark whose replies a language model judges."""
    return BenchRule('', max_new_tokens, None, judged_metrics, part=part, parts=parts, as_released=as_released)


MMSTAR_CATEGORIES = ('coarse perception', 'fine-grained perception', 'instance reasoning', 'logical reasoning', 'science & technology', 'math')
BLINK_TASKS = (
    'Art_Style',
    'Counting',
    'Forensic_Detection',
    'Functional_Correspondence',
    'IQ_Test',
    'Jigsaw',
    'Multi-view_Reasoning',
    'Object_Localization',
    'Relative_Depth',
    'Relative_Reflectance',
    'Semantic_Correspondence',
    'Spatial_Relation',
    'Visual_Correspondence',
    'Visual_Similarity',
)
MATHVERSE_VERSIONS = ('Text Dominant', 'Text Lite', 'Text Only', 'Vision Dominant', 'Vision Intensive', 'Vision Only')

# as_released, from ByungKwanLee/Phantom config.py and eval/create_evaluator.py: ChartQA's test_augmented.json alone (and of it the first
# question of each chart), POPE's three accuracies, MMBench's dev rows one by one, MathVerse's rows of all six versions.
BENCHES: dict[str, BenchRule] = {
    'sqa': choice(accuracy_by('subject')),
    'ai2d': choice(accuracy_by('')),
    'seed': choice(accuracy_by('question_type')),
    'seed-2-plus': choice(accuracy_by('question_image_type'), part='question_image_type', parts=('chart', 'map', 'web')),
    'mmstar': choice(accuracy_by('category'), part='category', parts=MMSTAR_CATEGORIES),
    'blink': choice(blink_metrics, part='sub_task', parts=BLINK_TASKS),
    'mmbench': choice(mmbench_metrics, as_released='every row', unit=asked_in_turn),
    'cv-bench': choice(cv_bench_metrics, part='source', parts=('ADE20K', 'COCO', 'Omni3D')),
    'chartqa': BenchRule(ASK_WORD, 5, read_text, chartqa_metrics, relaxed, 'split', ('augmented', 'human'), 'relaxed/augmented'),
    'pope': BenchRule(
        ASK_WORD, 5, read_pope, pope_metrics, same_by_default_yes, 'category', ('adversarial', 'popular', 'random'), 'accuracy', unread_as='Yes'
    ),
    # its questions end in ASK_YES_NO themselves
    'mme': BenchRule('', 5, read_mme, mme_metrics, same, 'category', (*MME_PERCEPTION, *MME_COGNITION), unit=picture_questions),
    'hallusionbench': BenchRule(
        ASK_YES_NO, 5, read_yes_no, hallusion_metrics, same_or_unknown, 'category', ('VD', 'VS'), 'aAcc', question_set,
        'wrong, where no figure is shown as right',
    ),
    'mm-vet': judged(1024),
    'mm-vet-v2': judged(1024),
    'llava-w': judged(1024, part='category', parts=('complex', 'conv', 'detail')),
    'mathvista': judged(512),
    'mathverse': judged(512, part='problem_version', parts=MATHVERSE_VERSIONS, as_released='every item'),
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
    'mathverse': (None, None, None, 41.0),  # as printed; the printed versions' mean is 44.3, without Text Only 44.1
    'mm-vet-v2': (None, None, None, 60.6),
}
PAPER_SIZES = ('0.5B', '1.8B', '3.8B', '7B')


def is_asked(name: str, item: dict) -> bool:
    """Whether an item belongs to the evaluation: its answer is published and, of MMBench's files, it is of an English one for development."""
    if BENCHES[name].read and not item['answer']:
        return False
    words = str(item['meta'].get('file', '')).lower().split('_')
    return name != 'mmbench' or not {'cn', 'test'} & set(words)


def missing_parts(name: str, metas: Iterable[dict]) -> list[str]:
    """The parts of a complete copy that no item is of."""
    rule = BENCHES[name]
    there = {str(meta.get(rule.part, '')).replace('_', ' ') for meta in metas}
    return [part for part in rule.parts if part.replace('_', ' ') not in there]


def make_question(name: str, item: dict) -> str:
    """What the model is asked: the benchmark's whole prompt, or hint, question and lettered options; then the request."""
    rule, meta = BENCHES[name], item['meta']
    whole = meta.get(PROMPTS.get(name, ''))
    lines = [whole.strip()] if whole else [*hint_of(name, meta), without_marks(item['question']), *option_lines(name, item['options'])]
    if rule.ask and rule.ask not in '\n'.join(lines):
        lines.append(rule.ask)
    return '\n'.join(lines)


def hint_of(name: str, meta: dict) -> list[str]:
    """The hint that ScienceQA and MMBench put in front of some questions."""
    return [meta['hint']] if name in ('sqa', 'mmbench') and meta.get('hint') else []


def option_lines(name: str, options: list[str]) -> list[str]:
    """Options with their letters, one a line; AI2D's on one line, as the released evaluation has them."""
    lines = [f'{letter}. {option}' for letter, option in zip(LETTERS, options, strict=False)]
    return [' '.join(lines)] if name == 'ai2d' and lines else lines


def without_marks(question: str) -> str:
    """The question without the marks of images: they stand in front of it, joined to one."""
    lines = [line for line in question.split('\n') if line.strip() != '<image>']
    return '\n'.join(lines).replace('<image>', '').strip()


def score_item(name: str, item: dict, reply: str) -> Scored:
    """The item with its reply read and compared."""
    rule = BENCHES[name]
    if rule.read is None:
        return Scored(item, reply, None, False)
    found = rule.read(reply, item)
    return Scored(item, reply, found, rule.right(found, item))


def defaulted(name: str, scored: Sequence[Scored]) -> dict[str, Any]:
    """How many replies fell to a benchmark's default reading, what they count as, and how many of them say Yes or No all the same.

    `unread_but_said`: POPE's own script looks for bare words, so that `**No**` and `No!` count as Yes; MME's looks at four characters.
    """
    rule = BENCHES[name]
    if rule.read is None:
        return {}
    unread = [item for item in scored if item.found is None]
    said = [word for item in unread if rule.read in (read_pope, read_mme) and (word := read_yes_no(item.reply, item.item))]
    words = {'unread_but_said': dict(sorted(Counter(said).items()))} if said else {}
    return {'unread': len(unread), 'unread_as': rule.unread_as, **words}
