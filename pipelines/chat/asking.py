"""The requests of one generation and of one judgement: a prompt of `curation/verdicts/prompts.py` with the settings it needs."""

from collections.abc import Sequence

from curation.verdicts import prompts, reading
from curation.verdicts.judging import reason_of
from pipelines.chat import protocol
from pipelines.chat.requests import choice, greedy, json_object, likelihood, make_request, sampled
from schemas.recipe import Generator, Model
from schemas.records import Reason, Turn
from schemas.replies import ChatRequest, Failure, Outcome, SentImage

NEEDS = {
    'paper': frozenset[str](), 'grounded': frozenset({protocol.JSON_SCHEMA}),
    'likelihood': frozenset({protocol.PROMPT_LOGPROBS}), 'yes_no': frozenset({protocol.CHOICE, protocol.LOGPROBS}),
    'pairwise': frozenset({protocol.CHOICE, protocol.LOGPROBS}), 'paper_judge': frozenset({protocol.CHOICE, protocol.LOGPROBS}),
}


def needs_of(mode: str, *, images: bool) -> frozenset[str]:
    """Return what a prompt or judge mode needs of a backend, for `check`; text-only prompts never need images."""
    text_only = mode in ('paper', 'paper_judge')
    return NEEDS[mode] | (frozenset({protocol.IMAGES}) if images and not text_only else frozenset())


def generation_request(
    generator: Generator, model: Model, turns: Sequence[Turn], *, answer: str, images: Sequence[SentImage] = (), attempt: int = 0
) -> ChatRequest:
    """Return the request for wrong answers to the last of `turns` (which end with the question); pictures only if the model sees."""
    limit = generator.max_tokens + model.thinking_tokens
    plain = sampled(limit, generator.temperature, attempt=attempt) if generator.temperature else greedy(limit)
    shown = tuple(images) if model.images and generator.prompt == 'grounded' else ()
    if generator.prompt == 'grounded':
        messages = prompts.grounded_generation(turns, answer, len(shown))
        settings = {**json_object(prompts.GROUNDED_SCHEMA, limit), **plain}
    else:
        messages, settings = prompts.paper_generation(turns, answer), plain
    return make_request(messages, model=model.model, revision=model.revision, settings=settings, images=shown, attempt=attempt)


def read_candidates(generator: Generator, outcome: Outcome) -> tuple[tuple[str, str], ...] | tuple[Reason, str]:
    """Return ((answer, kind), ...) from a settled outcome, or (Reason, detail). A pending failure is the caller's to keep pending."""
    if isinstance(outcome, Failure):
        return reason_of(outcome), f'{outcome.kind}: {outcome.detail} {outcome.text[:200]}'.strip()
    read = reading.read_grounded_answers if generator.prompt == 'grounded' else reading.read_paper_answer
    found = read(outcome.text)
    return (found, outcome.text[:500]) if isinstance(found, Reason) else found


def judge_requests(
    mode: str, model: Model, turns: Sequence[Turn], *, chosen: str, candidate: str, images: Sequence[SentImage] = ()
) -> tuple[ChatRequest, ...]:
    """Return the requests of one judgement, in the order `curation.verdicts.judging.score_outcomes` reads their outcomes."""
    shown = tuple(images) if model.images and mode != 'paper' else ()
    n = len(shown)
    if mode == 'likelihood':
        asked = [prompts.likelihood_judgement(turns, answer, n) for answer in (chosen, candidate)]
        settings = likelihood()
    elif mode == 'yes_no':
        asked = [prompts.yes_no_judgement(turns, answer, n) for answer in (chosen, candidate)]
        settings = choice(prompts.YES_NO, thinking_tokens=model.thinking_tokens)
    elif mode == 'pairwise':
        orders = ((chosen, candidate), (candidate, chosen))
        asked = [prompts.pairwise_judgement(turns, *order, n_images=n) for order in orders]
        settings = choice(prompts.FIRST_SECOND, thinking_tokens=model.thinking_tokens)
    else:
        asked, settings = [prompts.paper_judgement(chosen, candidate)], choice(prompts.YES_NO, thinking_tokens=model.thinking_tokens)
    return tuple(make_request(m, model=model.model, revision=model.revision, settings=settings, images=shown) for m in asked)
