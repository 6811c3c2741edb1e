"""Benchmarks that a language model judges: replies of `phantom eval` in, the benchmark's score out.

Steps, scales and sums are each benchmark's own; the words of the prompts are ours, so figures can differ a little from those
made with the published prompts. Judges see text only, as in all four benchmarks.

    MathVista  the answer is extracted, then compared exactly         (github.com/lupantech/MathVista, evaluation/)
    MathVerse  the answer is extracted, then compared by the judge    (github.com/ZrrSkywalker/MathVerse, evaluation/)
    MM-Vet     a grade from 0.0 to 1.0 against the ground truth       (github.com/yuweihao/MM-Vet; v2 alike)
    LLaVA-W    two marks from 1 to 10, against GPT-4's answer         (github.com/haotian-liu/LLaVA, llava/eval/)
"""

import json
import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

from pipelines.chat.ask import ask
from pipelines.chat.protocol import open_backend
from pipelines.chat.requests import greedy, make_request, sampled
from pipelines.ledger import Ledger
from pipelines.replies import ReplyStore
from schemas.errors import PendingWork, UserError
from schemas.recipe import Budget, Model
from schemas.replies import ChatRequest, Failure, Reply

ATTEMPTS = 3  # times a judge is asked when its reply cannot be read; MM-Vet's code does the same
TEMPERATURE = 0.5  # of the second and later attempts: at 0 the same reply would come again
MAX_TOKENS = 256
LETTERS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ'
TEXT_ONLY = 'Text Only'  # MathVerse's version without a picture; not part of its overall accuracy

EXTRACT = (
    'Read a question and a reply to it, and write down the final answer the reply gives. Write the answer alone: {form}. '
    'Do not solve the question yourself. If the reply gives no answer, write None.\n\n'
    'Question: How many of the bars are higher than 4?\nReply: Two of them, the red and the blue one, pass 4.\nAnswer: 2\n\n'
    'Question: Which is longer? (A) AB (B) CD\nReply: Since AB = 3 and CD = 5, the longer one is CD.\nAnswer: {shown}\n\n'
    'Question: {question}\nReply: {reply}\nAnswer:'
)
SAME = (
    'Does the answer agree with the standard answer to the question? Equal values in another form and the letter of an option for its '
    'text count as the same. Write 1 if it agrees, 0 if it does not, and nothing else.\n\n'
    'Question: {question}\nStandard answer: {answer}\nAnswer: {found}\nJudgement:'
)
GRADE = (
    'Grade a prediction against the ground truth, from 0.0 (wholly wrong) to 1.0 (wholly right) in steps of 0.1. <AND> in the ground '
    'truth means that all parts must be there, <OR> that any one is enough. Write the grade alone.\n\n'
    'Question: What is x?\nGround truth: -1 <AND> -5\nPrediction: x = 3\nGrade: 0.0\n\n'
    'Question: What is x?\nGround truth: -1 <AND> -5\nPrediction: x = -1\nGrade: 0.5\n\n'
    'Question: What is x?\nGround truth: -1 <OR> -5\nPrediction: x = -5\nGrade: 1.0\n\n'
    'Question: {question}\nGround truth: {answer}\nPrediction: {reply}\nGrade:'
)
COMPARE = (
    'Two assistants answered a question about a picture that you know from this description.\n\n[Description]\n{context}\n\n'
    '[Question]\n{question}\n\n[Assistant 1]\n{answer}\n[End of Assistant 1]\n\n[Assistant 2]\n{reply}\n[End of Assistant 2]\n\n'
    'Rate how helpful, relevant, accurate and detailed each answer is, from 1 to 10, higher being better, whatever their order. Write both '
    'marks on the first line, assistant 1 first, with a space between; then explain.'
)


@dataclass(frozen=True, slots=True)
class Judged:
    """One item with what the judge made of its reply."""

    item: dict  # item_id, question, options, answer, meta
    reply: str
    found: Any  # the extracted answer, the grade, or both marks; None where the judge's replies could not be read
    score: float  # 0 to 1; LLaVA-W: mark over the reference's mark


# Texts to ask, by item id, and how to read a reply -> what was read, by item id; None after ATTEMPTS unreadable replies.
AskAll = Callable[[dict[str, str], Callable[[str], Any]], Mapping[str, Any]]


def open_judge(bench: str, url: str, name: str) -> Model | None:
    """Return the model at `url` that judges `bench`, None where neither is given; raises UserError before anything is computed."""
    if not url and not name:
        return None
    if not url or not name:
        raise UserError('judge: expected both --judge-url and --judge-model, found one; give both, or neither for replies alone')
    refuse_unjudged(bench)
    return Model(model=name, revision='', base_urls=[url])


def refuse_unjudged(bench: str) -> None:
    """Raise UserError for a benchmark that needs no judge."""
    if bench not in JUDGES:
        raise UserError(f'benchmark {bench}: expected one that is judged, {", ".join(JUDGES)}; leave the judge out')


def judge_bench(bench: str, out: Path, model: Model) -> dict[str, Any]:
    """Return the scores of out/items.jsonl as `model` judges them; adds them to out/score.json, writes out/judged.jsonl.

    Replies are kept in out/judge: a run that was stopped goes on, a second one asks nothing.
    """
    refuse_unjudged(bench)
    lines = read_lines(out / 'items.jsonl')
    backend = open_backend(model, out / 'judge' / 'batches')
    store = ReplyStore(out / 'judge' / 'replies')
    try:
        backend.check()
        ledger = Ledger(out / 'judge' / 'ledger', Budget(), [model])

        def ask_all(texts: dict[str, str], read: Callable[[str], Any]) -> dict[str, Any]:
            return ask_until_read(texts, read, model, lambda requests: ask(requests, store=store, backend=backend, ledger=ledger, source=bench))

        judge, metrics = JUDGES[bench]
        judged = judge(lines, ask_all)
    finally:
        backend.close()
        store.close()
    found = metrics(judged)
    return write_scores(out, judged, {**found, 'judge': model.model, 'unread': sum(item.found is None for item in judged)})


def read_lines(path: Path) -> list[dict]:
    """Return the lines of items.jsonl: {item, reply}."""
    if not path.is_file():
        raise UserError(f'{path}: expected the replies of `phantom eval`, found none; run it first')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    names = [line['item']['item_id'] for line in lines]
    if len(set(names)) < len(names):
        raise UserError(f'{path}: expected item ids to differ, found {len(names) - len(set(names))} twice; read the benchmark again')
    return lines


def ask_until_read(
    texts: dict[str, str], read: Callable[[str], Any], model: Model, ask_model: Callable[[Sequence[ChatRequest]], Mapping]
) -> dict[str, Any]:
    """Return what `read` made of the replies to `texts`; what cannot be read is asked again, ATTEMPTS times in all."""
    values: dict[str, Any] = dict.fromkeys(texts)
    for attempt in range(ATTEMPTS):
        settings = sampled(MAX_TOKENS, TEMPERATURE, attempt=attempt) if attempt else greedy(MAX_TOKENS)
        requests = {
            name: make_request([{'role': 'user', 'content': text}], model=model.model, revision=model.revision, settings=settings, attempt=attempt)
            for name, text in texts.items() if values[name] is None
        }
        outcomes = ask_model(list(requests.values()))
        pending = [o for o in outcomes.values() if isinstance(o, Failure) and o.retryable]
        if pending:
            first = pending[0]
            raise PendingWork(f'{len(pending)} of {len(outcomes)} call(s) to {model.model} failed, the first with {first.kind}: {first.detail}')
        for name, request in requests.items():
            outcome = outcomes[request.key]
            values[name] = read(outcome.text) if isinstance(outcome, Reply) else None
    return values


def write_scores(out: Path, judged: Sequence[Judged], found: dict[str, Any]) -> dict[str, Any]:
    """Return score.json with the judge's figures in it; both files appear whole."""
    path = out / 'score.json'
    before = json.loads(path.read_text()) if path.is_file() else {}
    result = {**before, **found}
    rows = [{'item_id': j.item['item_id'], 'reply': j.reply, 'found': j.found, 'score': j.score} for j in judged]
    lines = ''.join(json.dumps(row, ensure_ascii=False) + '\n' for row in rows)
    for name, text in (('judged.jsonl', lines), ('score.json', json.dumps(result, indent=1))):
        draft = out / f'.{name}.tmp'
        draft.write_text(text)
        os.replace(draft, out / name)
    return result


def read_answer(text: str) -> str | None:
    """Return the extracted answer: the first line that says something, without marks around it."""
    first = text.strip().partition('\n')[0]
    return re.sub(r'^answer:\s*', '', first, flags=re.IGNORECASE).lstrip('"\'` ').rstrip('"\'` .') or None


def read_grade(text: str) -> float | None:
    """Return the grade a reply begins with, None unless it lies in 0 to 1."""
    match = re.match(r'\s*(?:grade:)?\s*(\d+(?:\.\d+)?)(?![\d.]*\d)', text, re.IGNORECASE)
    return float(match[1]) if match and 0 <= float(match[1]) <= 1 else None


def read_marks(text: str) -> tuple[float, float] | None:
    """Return the two marks on the first line, None unless there are just two from 1 to 10."""
    words = text.strip().partition('\n')[0].replace(',', ' ').split()
    if len(words) != 2 or not all(re.fullmatch(r'\d+(\.\d+)?', word) for word in words):
        return None
    first, second = map(float, words)
    return (first, second) if 1 <= first <= 10 and 1 <= second <= 10 else None


def read_same(text: str) -> int | None:
    """Return 1 or 0 if that is what a reply begins with."""
    match = re.match(r'\s*([01])\b(?!\.\d)', text)
    return int(match[1]) if match else None


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
    if found.lower() == 'none' and found not in options:
        return None
    if meta.get('question_type') == 'multi_choice':
        letter = re.fullmatch(r'\(?([A-Z])\)?[.:]?', found) or re.match(r'\(([A-Z])\)', found)
        place = LETTERS.index(letter[1]) if letter else len(options)
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
    return EXTRACT.format(form=form, shown=shown, question=f'{item["question"]} {options}'.strip(), reply=line['reply'])


def judge_mathvista(lines: Sequence[dict], ask_all: AskAll) -> list[Judged]:
    """Return items right or wrong: the extracted, normalised answer equals the published one."""
    plain = {line['item']['item_id']: plain_answer(line['reply'], line['item']) for line in lines}
    asked = {line['item']['item_id']: extract_text(line) for line in lines if plain[line['item']['item_id']] is None and line['reply'].strip()}
    found = {**plain, **ask_all(asked, read_answer)}
    judged = []
    for line in lines:
        item, answer = line['item'], found[line['item']['item_id']]
        ours = None if answer is None else normalised(answer, item)
        judged.append(Judged(item, line['reply'], answer, float(ours is not None and ours == item['meta'].get('answer_text', item['answer']))))
    return judged


def judge_mathverse(lines: Sequence[dict], ask_all: AskAll) -> list[Judged]:
    """Return items right or wrong: the extracted answer is the standard one, by its letters or by the judge's word."""
    found = ask_all({line['item']['item_id']: extract_text(line) for line in lines if line['reply'].strip()}, read_answer)
    same: dict[str, Any] = {}
    asked = {}
    for line in lines:
        item = line['item']
        name, answer = item['item_id'], found.get(item['item_id'])
        if answer is None or answer == item['answer']:
            same[name] = int(answer is not None)
        else:
            question = item['meta'].get('question_for_eval') or item['question']
            asked[name] = SAME.format(question=question, answer=item['answer'], found=answer)
    same.update(ask_all(asked, read_same))
    names = [line['item']['item_id'] for line in lines]
    return [
        Judged(line['item'], line['reply'], found.get(name) if same[name] is not None else None, float(same[name] or 0))
        for name, line in zip(names, lines, strict=True)
    ]


def judge_mm_vet(lines: Sequence[dict], ask_all: AskAll) -> list[Judged]:
    """Return items with the grade of their replies."""
    texts = {
        line['item']['item_id']: GRADE.format(question=line['item']['question'], answer=line['item']['answer'], reply=line['reply'])
        for line in lines
    }
    grades = ask_all(texts, read_grade)
    return [Judged(line['item'], line['reply'], grades[line['item']['item_id']], grades[line['item']['item_id']] or 0.0) for line in lines]


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
            context=line['item']['meta']['context'], question=line['item']['question'], answer=line['item']['answer'], reply=line['reply']
        )
        for line in lines
    }
    marks = ask_all(texts, read_marks)
    found = [marks[line['item']['item_id']] for line in lines]
    return [Judged(line['item'], line['reply'], both, both[1] / both[0] if both else 0.0) for line, both in zip(lines, found, strict=True)]


def share(judged: Sequence[Judged]) -> float:
    """Return 100 times the mean score."""
    return 100 * mean(item.score for item in judged)


def grouped(judged: Sequence[Judged], names: Callable[[dict], Sequence[str]]) -> dict[str, list[Judged]]:
    """Return items by each of their names, sorted by name."""
    groups: dict[str, list[Judged]] = {}
    for item in judged:
        for name in names(item.item['meta']):
            groups.setdefault(str(name), []).append(item)
    return dict(sorted(groups.items()))


def mathvista_metrics(judged: Sequence[Judged]) -> dict[str, float]:
    """Return accuracy, and that of each task and skill."""
    parts = {
        **grouped(judged, lambda meta: [f'task/{meta["metadata"]["task"]}'] if 'task' in (meta.get('metadata') or {}) else []),
        **grouped(judged, lambda meta: [f'skill/{skill}' for skill in (meta.get('metadata') or {}).get('skills', [])]),
    }
    return {'score': share(judged), **{name: share(group) for name, group in parts.items()}}


def mathverse_metrics(judged: Sequence[Judged]) -> dict[str, float]:
    """Return the mean accuracy of the versions with a picture, and the accuracy of each version."""
    versions = {name: share(group) for name, group in grouped(judged, lambda meta: [meta.get('problem_version', '')]).items()}
    seen = [value for name, value in versions.items() if name.replace('_', ' ') != TEXT_ONLY]
    return {'score': mean(seen or versions.values()), **{f'version/{name}': value for name, value in versions.items()}}


def mm_vet_metrics(judged: Sequence[Judged]) -> dict[str, float]:
    """Return the mean grade in percent, of all items and of those that need each capability."""
    parts = grouped(judged, lambda meta: meta.get('capability') or [])
    return {'score': share(judged), **{f'capability/{name}': share(group) for name, group in parts.items()}}


def llava_w_metrics(judged: Sequence[Judged]) -> dict[str, float]:
    """Return our marks over the reference's in percent, of all items and of each category; unread items count in neither sum."""
    parts = {'score': list(judged), **{f'category/{name}': group for name, group in grouped(judged, lambda meta: [meta['category']]).items()}}
    return {name: ratio(group) for name, group in parts.items()}


def ratio(judged: Sequence[Judged]) -> float:
    """Return the sum of our marks over the sum of the reference's, in percent; 0 where no marks were read."""
    marks = [item.found for item in judged if item.found]
    return 100 * sum(ours for _, ours in marks) / sum(reference for reference, _ in marks) if marks else 0.0


JUDGES = {
    'mathvista': (judge_mathvista, mathvista_metrics),
    'mathverse': (judge_mathverse, mathverse_metrics),
    'mm-vet': (judge_mm_vet, mm_vet_metrics),
    'mm-vet-v2': (judge_mm_vet, mm_vet_metrics),
    'llava-w': (judge_llava_w, llava_w_metrics),
}
