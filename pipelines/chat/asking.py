"""The requests of one generation and of one judgement: a prompt of `curation/verdicts/prompts.py` with the settings it needs."""

from collections.abc import Sequence

from curation.verdicts import prompts, reading
from curation.verdicts.fences import needs_fence
from curation.verdicts.judging import reason_of
from pipelines.chat import protocol
from pipelines.chat.requests import choice, greedy, json_object, likelihood, make_request, sampled
from schemas.errors import UserError
from schemas.own_prompt import JudgePrompt, OwnPrompt, choices_of
from schemas.recipe import Generator, Judge, Model, SecondJudge
from schemas.records import Reason, Turn
from schemas.replies import ChatRequest, Failure, Outcome, SentImage


def needs_of_generator(generator: Generator, model: Model) -> frozenset[str]:
    """Return what a generator needs of the model it asks."""
    needs = frozenset({protocol.JSON_SCHEMA}) if generator.kinds else frozenset[str]()
    return needs | (frozenset({protocol.IMAGES}) if model.images and generator.sees else frozenset())


def needs_of_judge(judge: Judge | SecondJudge, model: Model) -> frozenset[str]:
    """Return what a judge needs of the model it asks."""
    needs = {protocol.PROMPT_LOGPROBS} if judge.mode == 'likelihood' else {protocol.CHOICE, protocol.LOGPROBS}
    return frozenset(needs) | (frozenset({protocol.IMAGES}) if model.images and judge.sees else frozenset())


def generation_request(
    generator: Generator, model: Model, turns: Sequence[Turn], *, answer: str, images: Sequence[SentImage] = (), attempt: int = 0
) -> ChatRequest:
    """Return the request for wrong answers to the last of `turns` (which end with the question); pictures only if the model sees."""
    limit = generator.max_tokens + model.thinking_tokens
    plain = sampled(limit, generator.temperature, attempt=attempt) if generator.temperature else greedy(limit)
    shown = tuple(images) if model.images and generator.sees else ()
    settings = {**json_object(prompts.kinds_schema(generator.kinds), limit), **plain} if generator.kinds else plain
    if generator.own:
        messages = _own(generator.own, model, turns, len(shown), answer=answer)
    elif generator.prompt == 'grounded':
        messages = prompts.grounded_generation(turns, answer, len(shown))
    elif generator.prompt == 'mistakes':
        messages = prompts.conversation(turns, len(shown))
    else:
        messages = prompts.paper_generation(turns, answer)
    return _request(messages, model, settings, shown, prompt=generator.own, attempt=attempt)


def read_candidates(generator: Generator, outcome: Outcome) -> tuple[tuple[str, str], ...] | tuple[Reason, str]:
    """Return ((answer, kind), ...) from a settled outcome, or (Reason, detail). A pending failure is the caller's to keep pending."""
    if isinstance(outcome, Failure):
        return reason_of(outcome), f'{outcome.kind}: {outcome.detail} {outcome.text[:200]}'.strip()
    if generator.kinds:
        found = reading.read_grounded_answers(outcome.text, generator.kinds)
    else:
        found = reading.read_paper_answer(outcome.text, generator.own.kinds[0] if generator.own else 'incorrect')
    return (found, outcome.text[:500]) if isinstance(found, Reason) else found


def judge_requests(
    mode: str, model: Model, turns: Sequence[Turn], *, chosen: str, candidate: str, images: Sequence[SentImage] = (),
    prompt: JudgePrompt | None = None,
) -> tuple[ChatRequest, ...]:  # fmt: skip
    """Return the requests of one judgement, in the order `curation.verdicts.judging.score_outcomes` reads their outcomes.

    `prompt`: the recipe's own words, in place of those that come with the mode.
    """
    shown = tuple(images) if model.images and (prompt is not None or mode != 'paper') else ()
    settings = likelihood() if mode == 'likelihood' else choice(choices_of(mode, prompt), thinking_tokens=model.thinking_tokens)
    answers = (chosen, candidate)
    asked = _own_judgements(prompt, model, mode, turns, len(shown), answers) if prompt else _judgements(mode, turns, len(shown), answers)
    return tuple(_request(messages, model, settings, shown, prompt=prompt) for messages in asked)


def _request(
    messages: Sequence[dict], model: Model, settings: dict, images: Sequence[SentImage], *, prompt: OwnPrompt | None, attempt: int = 0
) -> ChatRequest:
    """Return the request of a prompt, in which no text of a source or of a model is a control token."""
    spared = prompts.spared_of(prompt, model.control_tokens) if prompt else ()
    return make_request(
        messages, model=model.model, revision=model.revision, settings=settings, images=images, attempt=attempt,
        control_tokens=model.control_tokens, spared=spared,
    )


def _judgements(mode: str, turns: Sequence[Turn], n: int, answers: tuple[str, str]) -> list[list[dict]]:
    """Return the messages of each request in the words that come with the mode; `answers` are the right one and the other."""
    if mode == 'likelihood':
        return [prompts.likelihood_judgement(turns, answer, n) for answer in answers]
    if mode == 'yes_no':
        fence = needs_fence(*answers)
        return [prompts.yes_no_judgement(turns, answer, n, fence=fence) for answer in answers]
    if mode == 'pairwise':
        return [prompts.pairwise_judgement(turns, *order, n_images=n) for order in (answers, answers[::-1])]
    return [prompts.paper_judgement(*answers)]


def _own_judgements(
    prompt: JudgePrompt, model: Model, mode: str, turns: Sequence[Turn], n: int, answers: tuple[str, str]
) -> list[list[dict]]:
    """Return the messages of each request in the recipe's words: the same text about both answers, or in both orders."""
    if mode == 'yes_no':
        return [_own(prompt, model, turns, n, answer=answers[0], candidate=answer) for answer in answers]
    if mode == 'pairwise':
        return [_own(prompt, model, turns, n, first=first, second=second) for first, second in (answers, answers[::-1])]
    return [_own(prompt, model, turns, n, answer=answers[0], candidate=answers[1])]


def _own(prompt: OwnPrompt, model: Model, turns: Sequence[Turn], n_images: int, **values: str) -> list[dict]:
    try:
        return prompts.own_messages(prompt, turns, n_images, control_tokens=model.control_tokens, **values)
    except ValueError as e:
        raise UserError(f'prompt {e}; the question was {turns[-1].text[:200]!r}') from e
