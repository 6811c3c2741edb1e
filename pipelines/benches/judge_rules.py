"""How each judged benchmark asks its judge; judge_reading.py, judge_marks.py and judge_answer.py read it, judge_sums.py sums up.

Pure functions: a judge is whatever answers the texts given to it.

Steps, scales and sums are each benchmark's own. The words of the prompts and the examples in them are ours, so a judge's score is not the one
that the benchmark's own prompt would give; and the paper's judge was gpt-4-0613 (github.com/ByungKwanLee/Phantom, eval/). The text is in the key
of a stored reply: in other words everything is asked anew. Judges see text only, as in all four.

    MathVista  lupantech/MathVista, evaluation/extract_answer.py and calculate_score.py: the answer is extracted (not where the reply is an
               option or a number already), brought into the item's form and compared exactly. Ours: a reply without an answer is wrong,
               theirs is compared with the nearest option.
    MathVerse  ZrrSkywalker/MathVerse, evaluation/extract_answer_s1.py and score_answer_s2.py: extracted, then compared by the judge, 1 or 0.
               Ours: equal letters are not asked again; theirs is asked until it writes 1 or 0, ours ATTEMPTS times, then it is wrong.
    MM-Vet     yuweihao/MM-Vet, mm-vet_evaluator.py and v2/mm-vet-v2_evaluator.py: a grade from 0.0 to 1.0; unreadable after five replies: 0.
    LLaVA-W    haotian-liu/LLaVA, llava/eval/eval_gpt_review_bench.py and summarize_gpt_review.py: two marks from 1 to 10 on the first line,
               GPT-4's answer always first, one order; the score is the ratio of both means. Theirs adds -1 and -1 for unreadable marks,
               ours leaves that item out and says so; theirs samples at temperature 0.2, ours is greedy.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.rows.values import LETTERS
from pipelines.benches.judge_answer import read_answer
from pipelines.benches.judge_marks import read_marks
from pipelines.benches.judge_prompts import COMPARE, EXTRACT, GRADE, SAME, quoted
from pipelines.benches.judge_reading import CUT as CUT
from pipelines.benches.judge_reading import read_grade, read_same
from pipelines.benches.judge_sums import Judged, llava_w_metrics, mathverse_metrics, mathvista_metrics, mm_vet_metrics
from schemas.errors import UserError

MAX_TOKENS = {'llava-w': 1024}  # of a judge's reply; LLaVA-W's code asks for as many, since an explanation follows the marks
FEW_TOKENS = 256  # of the others
# What a judge writes where a reply gives no answer.
NO_ANSWER = re.compile(
    r'none|null|n/a|no answer|(?:the )?(?:reply|response) (?:does not|doesn.t|did not|gives no|provides no|contains no|has no)\b.*'
    r'|there is no (?:final |clear )?answer\b.*',
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Unread:
    """A judge's last words, which say nothing that was asked for."""

    said: str


# Texts to ask, by item id, and how to read a reply -> what was read, by item id; Unread after ATTEMPTS unreadable replies.
AskAll = Callable[[dict[str, str], Callable[[str], Any]], Mapping[str, Any]]


def unread(line: dict, value: Unread) -> Judged:
    """Return the item of a reply that the judge said nothing readable of."""
    return Judged(line['item'], line['reply'], None, 0.0, value.said)


def distance(a: str, b: str) -> int:
    """Return the Levenshtein distance: single-character insertions, removals and replacements from a to b."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


def to_float(text: str) -> float | None:
    """Return the number `text` is, None if it is none."""
    try:
        return float(text)
    except ValueError:
        return None


def normalised(found: str, item: dict) -> str | None:
    """Return an extracted answer as MathVista compares it: the nearest option's text, or a number of the item's precision."""
    options, meta = item['options'], item['meta']
    if NO_ANSWER.fullmatch(found) and found not in options:
        return None
    if meta.get('question_type') == 'multi_choice':
        letter = re.search(r'\(([A-Za-z])\)', found) or re.fullmatch(r'([A-Z])[.:)]?', found)
        place = LETTERS.index(letter[1].upper()) if letter else len(options)
        return options[place] if place < len(options) else min(options, key=lambda option: distance(option, found))
    if meta.get('answer_type') not in ('integer', 'float'):
        return found
    number = to_float(found)
    if number is None or not math.isfinite(number):
        return None
    return str(int(number)) if meta['answer_type'] == 'integer' else str(round(number, int(meta.get('precision') or 0)))


def plain_answer(reply: str, item: dict) -> str | None:
    """Return a reply that is an answer already, so that nobody need be asked: an option, or a number where one is wanted."""
    reply = reply.strip()
    if reply in item['options']:
        return reply
    kind = item['meta'].get('answer_type')
    wanted = {'integer': r'-?\d+', 'float': r'-?\d+(\.\d+)?'}.get(kind, '(?!)')
    return reply if re.fullmatch(wanted, reply) and not item['options'] else None


def extract_text(line: dict) -> str:
    """Return the prompt that asks for the answer within one reply."""
    item = line['item']
    options = ' '.join(f'({letter}) {option}' for letter, option in zip(LETTERS, item['options'], strict=False))
    kinds = {'integer': 'an integer', 'float': 'a decimal number', 'list': 'a list'}
    form = "the option's letter" if options else kinds.get(item['meta'].get('answer_type'), 'a number, letter or phrase')
    shown = '(B)' if options else 'CD'
    return EXTRACT.format(form=form, shown=shown, question=f'{item["question"]} {options}'.strip(), reply=quoted(line['reply']))


def judge_mathvista(lines: Sequence[dict], ask_all: AskAll) -> list[Judged]:
    """Return items right or wrong: the extracted, normalised answer equals the published one."""
    plain = {line['item']['item_id']: plain_answer(line['reply'], line['item']) for line in lines}
    asked = {line['item']['item_id']: extract_text(line) for line in lines if plain[line['item']['item_id']] is None and line['reply'].strip()}
    found = {**plain, **ask_all(asked, read_answer)}
    judged = []
    for line in lines:
        item, answer = line['item'], found[line['item']['item_id']]
        if isinstance(answer, Unread):
            judged.append(unread(line, answer))
            continue
        right = answer is not None and normalised(answer, item) == item['meta'].get('answer_text', item['answer'])
        judged.append(Judged(item, line['reply'], answer, float(right)))
    return judged


def judge_mathverse(lines: Sequence[dict], ask_all: AskAll) -> list[Judged]:
    """Return items right or wrong: the extracted answer is the standard one, by its letters or by the judge's word."""
    found = ask_all({line['item']['item_id']: extract_text(line) for line in lines if line['reply'].strip()}, read_answer)
    verdicts: dict[str, Any] = {}
    asked = {}
    for line in lines:
        item = line['item']
        name, answer = item['item_id'], found.get(item['item_id'])
        if isinstance(answer, Unread):
            verdicts[name] = answer
        elif answer is None or NO_ANSWER.fullmatch(answer) or answer == item['answer']:
            verdicts[name] = int(answer == item['answer'])
        else:
            question = item['meta'].get('question_for_eval') or item['question']
            asked[name] = SAME.format(question=question, answer=item['answer'], found=quoted(answer))
    verdicts.update(ask_all(asked, read_same))
    judged = []
    for line in lines:
        name = line['item']['item_id']
        verdict = verdicts[name]
        judged.append(unread(line, verdict) if isinstance(verdict, Unread) else Judged(line['item'], line['reply'], found.get(name), float(verdict)))
    return judged


def judge_mm_vet(lines: Sequence[dict], ask_all: AskAll) -> list[Judged]:
    """Return items with the grade of their replies."""
    texts = {
        line['item']['item_id']: GRADE.format(question=line['item']['question'], answer=spaced(line['item']['answer']), reply=quoted(line['reply']))
        for line in lines
    }
    grades = ask_all(texts, read_grade)
    judged = []
    for line in lines:
        grade = grades[line['item']['item_id']]
        judged.append(unread(line, grade) if isinstance(grade, Unread) else Judged(line['item'], line['reply'], grade, grade))
    return judged


def spaced(answer: str) -> str:
    """Return a ground truth with blanks around its <AND> and <OR>, as MM-Vet's code shows it."""
    return answer.replace('<AND>', ' <AND> ').replace('<OR>', ' <OR> ')


def judge_llava_w(lines: Sequence[dict], ask_all: AskAll) -> list[Judged]:
    """Return items with both marks: the reference answer's and ours."""
    bare = [line['item']['item_id'] for line in lines if not line['item']['answer'] or not line['item']['meta'].get('context')]
    if bare:
        raise UserError(
            f'llava-w: expected reference answers and descriptions, found none for {len(bare)} item(s), the first {bare[0]}; '
            'put answers_gpt4.jsonl and context.jsonl beside questions.jsonl and run `phantom eval` again'
        )
    texts = {
        line['item']['item_id']: COMPARE.format(
            context=described(line['item']['meta']['context']),
            question=line['item']['question'],
            answer=line['item']['answer'],
            reply=quoted(line['reply']),
        )
        for line in lines
    }
    marks = ask_all(texts, read_marks)
    judged = []
    for line in lines:
        both = marks[line['item']['item_id']]
        judged.append(unread(line, both) if isinstance(both, Unread) else Judged(line['item'], line['reply'], both, both[1] / both[0]))
    return judged


def described(context: str | list[str]) -> str:
    """Return a picture's description, a line each where it has several sentences."""
    return context if isinstance(context, str) else '\n'.join(context)


JUDGES = {
    'mathvista': (judge_mathvista, mathvista_metrics),
    'mathverse': (judge_mathverse, mathverse_metrics),
    'mm-vet': (judge_mm_vet, mm_vet_metrics),
    'mm-vet-v2': (judge_mm_vet, mm_vet_metrics),
    'llava-w': (judge_llava_w, llava_w_metrics),
}
