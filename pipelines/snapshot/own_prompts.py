"""The prompts that a recipe brought itself, as manifest, card, `show` and `diff` name them."""

from collections.abc import Iterator
from dataclasses import dataclass

from schemas.own_prompt import OwnPrompt


@dataclass(frozen=True, slots=True)
class Named:
    """One prompt of the recipe's own: what it is for, its name, its file and the first digits of the sha256 of its text."""

    use: str
    name: str
    file: str
    digest: str

    def __str__(self) -> str:
        return f'{self.use}: {self.name} ({self.file}, text {self.digest})'


def own_prompts(recipe: dict) -> list[Named]:
    """Return the prompts that a manifest's recipe brought itself; recipes of older releases have none."""
    return [_named(use, told) for use, told in _places(recipe) if isinstance(told, dict)]


def _places(recipe: dict) -> Iterator[tuple[str, object]]:
    for number, generator in enumerate(recipe.get('generate', ())):
        yield f'generate[{number}]', generator.get('prompt')
    judge = recipe.get('judge', {})
    yield 'judge', judge.get('prompt')
    yield 'judge.second', (judge.get('second') or {}).get('prompt')


def _named(use: str, told: dict) -> Named:
    prompt = OwnPrompt.model_construct(**{name: told.get(name, '') for name in ('file', 'text', 'system', 'system_text')})
    return Named(use, prompt.name, prompt.file, prompt.digest)


def markdown_own_prompts(recipe: dict) -> list[str]:
    """Return the card's section on them; none where every prompt is one of ours."""
    found = own_prompts(recipe)
    lines = [f'- {named.use}: `{named.name}`, text `{named.digest}`' for named in found]
    return ['\n'.join(['## Prompts of the recipe', '', *lines, '', 'Their texts are in `manifest.json`, under `recipe`.'])] if found else []
