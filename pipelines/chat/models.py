"""The models that a recipe asks: what each must be able to do, whether it can, and kept up while they are asked."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from pathlib import Path
from urllib.parse import urlsplit

from pipelines.chat.asking import needs_of_generator, needs_of_judge
from pipelines.chat.manners import write_manners
from pipelines.chat.open import open_backend
from pipelines.chat.protocol import refuse_missing
from pipelines.chat.rating_requests import needs_of_rating
from pipelines.chat.trials import PARTS, RATE, TRIPLES, trials_of
from pipelines.chat.vllm_engine import kept
from schemas.errors import UserError, refuse
from schemas.recipe import Model, Recipe

SERVERS = 'servers'  # beside the replies of a build


def identity(model: Model) -> Model:
    """Return what a model is, without where it answers, how fast, and what it costs: that changes no reply."""
    return Model(
        model=model.model, revision=model.revision, images=model.images, max_image_px=model.max_image_px, thinking_tokens=model.thinking_tokens,
        control_tokens=model.control_tokens)


def asking_at_once(models: Iterable[Model]) -> int | None:
    """Return how many processes may ask some models at once, None where there are none to ask.

    One: `concurrency` and the pace that is learned are of one process, and an engine in this process fills its accelerator.
    """
    return 1 if any(True for _ in models) else None


def may_be_judged(recipe: Recipe, source: str) -> bool:
    """Return whether the model judge may be asked about candidates of a source: of exact answers about those of a model only."""
    if recipe.judge.model is None:
        return False
    proposed = any(generator.model and (not generator.sources or source in generator.sources) for generator in recipe.generate)
    return recipe.sources[source].answers == 'open' or proposed


def parts_of(recipe: Recipe, *, mix_only: bool = False) -> tuple[str, ...]:
    """Return which parts of a build ask models: RATE of its mix, TRIPLES."""
    rates, triples = recipe.rate is not None and bool(recipe.rate.model), bool(recipe.generate) and not mix_only
    return (*((RATE,) if rates else ()), *((TRIPLES,) if triples else ()))


def check_plan(recipe: Recipe, *, reach: bool = True, parts: Sequence[str] = PARTS) -> None:
    """Raise one UserError with everything that cannot work about the models that some parts of a recipe ask: nothing has been read or paid by then.

    With `reach` each model's server must answer and do its part, too.
    """
    faults: list[UserError] = []
    judged = [name for name, source in recipe.sources.items() if source.answers == 'open' and TRIPLES in parts]
    if recipe.judge.model is None and judged:
        faults.append(UserError(
            f'judge.model: expected a model, since {", ".join(judged)} have open answers, found none; name one, '
            'or say answers: exact where they are computed'
        ))
    for name, needs in _needs(recipe, parts).items():
        model = recipe.models[name]
        if not reach:
            _collect(faults, _check_declared, name, model, needs)
        elif model.serve == 'demo':
            from pipelines.demo.server import require_vllm

            _collect(faults, require_vllm)
        else:
            _collect(faults, _check, recipe, name, parts)
    refuse(faults)


def _collect(faults: list[UserError], check: Callable[..., object], *args: object) -> None:
    try:
        check(*args)
    except UserError as e:
        faults.append(e)


def _check_declared(name: str, model: Model, needs: frozenset[str]) -> None:
    backend = open_backend(model)
    try:
        refuse_missing(needs, backend.capabilities, where=f'models.{name}')
    finally:
        backend.close()


def _check(recipe: Recipe, name: str, parts: Sequence[str], servers: Path | None = None) -> None:
    """Try what the recipe will ask of the model; keep in `servers` how it answered."""
    backend = open_backend(recipe.models[name])
    try:
        manners = backend.check(_needs(recipe, parts)[name], trials_of(recipe, name, parts))
    finally:
        backend.close()
    if servers is not None:
        write_manners(servers, name, manners)


def _needs(recipe: Recipe, parts: Sequence[str] = PARTS) -> dict[str, frozenset[str]]:
    """Return what each model that some parts of a recipe ask must be able to do."""
    models = recipe.models
    rate = recipe.rate if RATE in parts else None
    asked = [(name, needs_of_rating(rate.ask, models[name])) for name in rate.model] if rate else []
    asked += _of_triples(recipe) if TRIPLES in parts else []
    needs: dict[str, frozenset[str]] = {}
    for name, wanted in asked:
        needs[name] = needs.get(name, frozenset()) | wanted
    return needs


def _of_triples(recipe: Recipe) -> list[tuple[str, frozenset[str]]]:
    models = recipe.models
    asked = [(g.model, needs_of_generator(g, models[g.model])) for g in recipe.generate if g.model]
    asked += [(judge.model, needs_of_judge(judge, models[judge.model])) for judge in (recipe.judge, recipe.judge.second) if judge and judge.model]
    return asked


_keeper: ContextVar[ExitStack | None] = ContextVar('keeper', default=None)


@contextmanager
def servers_kept() -> Iterator[None]:
    """Keep up, until the block ends, what `served` starts within: parts of a build that ask one after the other ask one server."""
    with ExitStack() as stack:
        token = _keeper.set(stack)
        try:
            yield
        finally:
            _keeper.reset(token)


@contextmanager
def served(recipe: Recipe, work: Path | None = None, parts: Sequence[str] = (TRIPLES,)) -> Iterator[None]:
    """Keep the demo server up for the models that say `serve: demo`, and check every model that some parts of a recipe ask.

    How each server answered is kept in `work`/servers, for all processes that ask it. Raises one UserError with the faults of all models.
    """
    needs = _needs(recipe, parts)
    with ExitStack() as stack:
        for name in sorted(needs):
            if recipe.models[name].serve == 'demo':
                from pipelines.demo.server import demo_server, idle_threads

                port = urlsplit(recipe.models[name].base_urls[0]).port
                (_keeper.get() or stack).enter_context(demo_server(port=port or 8011, threads=idle_threads(), reuse=True))
        faults: list[UserError] = []
        for name in sorted(needs):
            _collect(faults, _check, recipe, name, parts, work and work / SERVERS)
        refuse(faults)
        stack.enter_context(kept())  # an engine in this process serves all steps, it is not started for each
        yield
