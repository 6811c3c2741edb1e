"""What a server is asked before anything is paid for: one real prompt of each kind that a recipe will send it, for a small sample of our own."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from pipelines.chat.asking import generation_request, judge_requests, needs_of_generator, needs_of_judge
from pipelines.chat.likeness import GREETING, tiny_picture
from pipelines.chat.protocol import CHOICE, IMAGES, JSON_SCHEMA, LOGPROBS, PROMPT_LOGPROBS
from pipelines.chat.rating_requests import Ask, needs_of_rating, needs_picture_requests, rating_request
from pipelines.chat.requests import choice, greedy, json_object, likelihood, make_request
from schemas.rating import NEEDS_PICTURE, name_of
from schemas.recipe import Generator, Judge, Model, Recipe, SecondJudge
from schemas.records import Turn
from schemas.replies import ChatRequest, SentImage

RATE, TRIPLES = PARTS = ('rate', 'triples')  # of a recipe that ask models: one is asked before the mix is selected, the other after
FEW_TOKENS = 8
TURNS = (Turn('user', '<image>\nHello! What does the sign in the picture say?'),)
CHOSEN, CANDIDATE = 'The sign says "Hello!".', 'The sign says "Goodbye!".'
WORDS = ('violet', 'orange')  # a server that ignores guided choice answers a greeting with neither
SCHEMA = {'type': 'object', 'properties': {'ok': {'type': 'boolean'}}, 'required': ['ok'], 'additionalProperties': False}
HELLO = {'role': 'user', 'content': GREETING}


@dataclass(frozen=True, slots=True)
class Trial:
    """One request, what its reply must be, and which needs it shows to be met."""

    name: str  # where the recipe names it
    request: ChatRequest
    kind: Literal['any', 'text', 'json', 'choice', 'likelihood']
    shows: frozenset[str] = frozenset()
    mode: str = ''  # of a judge: how the reply will be read; the answer judged is CHOSEN
    scored: str = ''  # `likelihood`: the answer whose tokens the prompt must end with


def trials_of(recipe: Recipe, name: str, parts: Sequence[str] = PARTS) -> list[Trial]:
    """Return the trials of the model that `recipe` calls `name`: each of its prompts and modes, and of the questions by which it rates, once."""
    ratings = [_rating(ask, recipe.models[name]) for ask in recipe.rate.ask if name in recipe.rate.model] if recipe.rate and RATE in parts else []
    return ratings + (_of_triples(recipe, name) if TRIPLES in parts else [])


def _rating(ask: Ask, model: Model) -> Trial:
    where = f'rate.ask ({name_of(ask)})'
    if ask == NEEDS_PICTURE:
        request = needs_picture_requests(model, TURNS, CHOSEN, [tiny_picture()])[0]
        return Trial(where, request, 'likelihood', needs_of_rating([ask], model), 'likelihood', CHOSEN)
    shown = [tiny_picture()] if model.images else []
    request = rating_request(ask, model, TURNS, CHOSEN, shown)
    return Trial(where, request, 'choice', needs_of_rating([ask], model) - {CHOICE}, 'yes_no')


def _of_triples(recipe: Recipe, name: str) -> list[Trial]:
    found: dict[object, Trial] = {}
    for i, generator in enumerate(recipe.generate):
        if generator.model == name:
            found.setdefault(generator.name, _generation(f'generate[{i}]', generator, recipe.models[name]))
    for where, judge in (('judge', recipe.judge), ('judge.second', recipe.judge.second)):
        if judge is not None and judge.model == name:
            found.setdefault((judge.mode, judge.prompt and judge.prompt.text), _judgement(where, judge, recipe.models[name]))
    return list(found.values())


def _generation(where: str, generator: Generator, model: Model) -> Trial:
    request = generation_request(generator, model, TURNS, answer=CHOSEN, images=[tiny_picture()])
    shows = needs_of_generator(generator, model)
    return Trial(f'{where} ({generator.name})', request, 'json' if JSON_SCHEMA in shows else 'text', shows)


def _judgement(where: str, judge: Judge | SecondJudge, model: Model) -> Trial:
    """Return the trial of a judge's mode: one of its requests, since a second one would tell nothing new."""
    request = judge_requests(judge.mode, model, TURNS, chosen=CHOSEN, candidate=CANDIDATE, images=[tiny_picture()], prompt=judge.prompt)[0]
    shows = needs_of_judge(judge, model)
    name = f'{where} ({judge.way})'
    if judge.mode == 'likelihood':
        return Trial(name, request, 'likelihood', shows, judge.mode, CHOSEN)
    # the right one of two words may come unasked: whether a guide is obeyed is shown by words that nobody says
    return Trial(name, request, 'choice', shows - {CHOICE}, judge.mode)


def trials_of_needs(needs: frozenset[str], model: Model) -> list[Trial]:
    """Return tiny trials of needs that no real prompt shows."""
    return [trial for need in sorted(needs) for trial in _of_need(need, model)]


def greeting(model: Model) -> Trial:
    """Return the smallest prompt there is: whether the server answers at all."""
    return Trial('a greeting', make_request([HELLO], model=model.model, revision=model.revision, settings=greedy(FEW_TOKENS)), 'any')


def _of_need(need: str, model: Model) -> Iterator[Trial]:
    def request(messages: list[dict], settings: dict, *images: SentImage) -> ChatRequest:
        return make_request(messages, model=model.model, revision=model.revision, settings=settings, images=images)

    shows = frozenset({need})
    if need == PROMPT_LOGPROBS:
        yield Trial(need, request([HELLO, {'role': 'assistant', 'content': GREETING}], likelihood()), 'likelihood', shows, '', GREETING)
    elif need in (CHOICE, LOGPROBS):
        yield Trial(need, request([HELLO], choice(WORDS, thinking_tokens=model.thinking_tokens)), 'choice', shows)
    elif need == JSON_SCHEMA:
        yield Trial(need, request([HELLO], json_object(SCHEMA, 16)), 'json', shows)
    elif need == IMAGES:
        parts = [{'type': 'image_url', 'image_url': {'url': 'image:0'}}, {'type': 'text', 'text': GREETING}]
        yield Trial(need, request([{'role': 'user', 'content': parts}], greedy(FEW_TOKENS), tiny_picture()), 'any', shows)


def without_pictures(request: ChatRequest, model: Model) -> ChatRequest:
    """Return a request without its pictures and for few tokens, to see whether they count in its prompt."""
    body = json.loads(request.body)
    for message in body['messages']:
        if isinstance(message['content'], list):
            message['content'] = [part for part in message['content'] if part['type'] != 'image_url']
    kept = {name: value for name, value in body.items() if name in ('add_generation_prompt', 'continue_final_message')}
    return make_request(body['messages'], model=model.model, revision=model.revision, settings={**greedy(FEW_TOKENS), **kept})
