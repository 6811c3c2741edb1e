"""Whether the samples of a mix agree with each other: the tables that say so where the recipe asks for them, and what people are told of them."""

import json
from dataclasses import dataclass
from typing import Any

from pipelines.engine.engine import Engine
from pipelines.engine.tables import Table
from pipelines.mix.asked_turns import ListQuestions
from pipelines.mix.contradictions import FindContradictions
from pipelines.snapshot.plain import plain
from schemas.recipe import Recipe
from schemas.telling import tell_news

GROUPS_SHOWN = 5  # of contradictions, on the card
DONE = {'flag': 'are flagged and kept', 'drop_all': 'are left out', 'majority': 'are left out unless their answer has more than half of the votes'}


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was looked for; None where the recipe does not ask for it."""

    contradictions: Table | None = None

    def deciding(self, recipe: Recipe) -> tuple[Table, ...]:
        """Return the contradictions, where any of them leave something out."""
        return (self.contradictions,) if self.contradictions and recipe.contradictions != 'flag' else ()

    def about(self) -> dict[str, Any]:
        """Return what the manifest says: how many groups and samples, by source."""
        return {'contradictions': _counted(self.contradictions)} if self.contradictions else {}

    def tell(self, recipe: Recipe) -> None:
        """Tell how many contradict each other."""
        if self.contradictions and (found := _counted(self.contradictions))['groups']:
            by_source = ', '.join(f'{source} {of["samples"]:,}' for source, of in found['by_source'].items())
            done = DONE[recipe.contradictions or 'flag']
            what = f'{found["groups"]:,} question(s) about one picture with answers that cannot both be right'
            tell_news(f'contradictions: {what}; samples: {by_source}; they {done} (contradictions: {recipe.contradictions})')

    def markdown(self, recipe: Recipe) -> str:
        """Return the sections of the card."""
        return _markdown_contradictions(self.contradictions, recipe) if self.contradictions else ''


def look_for_agreement(recipe: Recipe, engine: Engine, samples: tuple[Table, ...], features: Table) -> Agreement:
    """Return what the recipe asks to look for among the samples: nothing is read where it asks for nothing."""
    if recipe.contradictions is None:
        return Agreement()
    asked = engine.run(ListQuestions(samples, features))
    exact = tuple(name for name, source in recipe.sources.items() if source.answers == 'exact')
    return Agreement(engine.run(FindContradictions(asked, samples, exact)))


def _counted(table: Table) -> dict[str, Any]:
    counts = table.counts()
    sources = sorted(key.removeprefix('samples/') for key in counts if key.startswith('samples/'))
    by_source = {source: {'samples': counts[f'samples/{source}'], 'groups': counts[f'groups/{source}']} for source in sources}
    return {'groups': counts.get('groups', 0), 'by_source': by_source}


def groups_of(table: Table, most: int) -> list[dict[str, Any]]:
    """Return the first groups, each side by side: {question, answers: [{answer, votes, first}], more}."""
    rows = table.read(columns=['group', 'told'])
    told = dict(zip(rows['group'].to_pylist(), rows['told'].to_pylist(), strict=True))
    return [json.loads(told[group]) for group in sorted(told)[:most]]


def _markdown_contradictions(table: Table, recipe: Recipe) -> str:
    found = _counted(table)
    if not found['groups']:
        return '\n## Contradictions\n\nNo question about one picture is answered in ways that cannot both be right.\n'
    rows = '\n'.join(f'| {source} | {of["groups"]} | {of["samples"]} |' for source, of in found['by_source'].items())
    shown = '\n'.join(f'| {_cell(group["question"])} | {_answers(group)} |' for group in groups_of(table, GROUPS_SHOWN))
    return f"""
## Contradictions

The same question about the same picture, or a near-duplicate of it, with answers that cannot both be right: {found['groups']} question(s). Such
samples {DONE[recipe.contradictions or 'flag']} (`contradictions: {recipe.contradictions}`). Copies have a vote each, and so have samples that are
left out for another reason.

| source | questions | samples |
|---|--:|--:|
{rows}

| some of them | answers (votes, first sample) |
|---|---|
{shown}
"""


def _answers(group: dict[str, Any]) -> str:
    told = [f'{_cell(one["answer"])} ({one["votes"]}, {_cell(one["first"])})' for one in group['answers']]
    return '; '.join([*told, *([f'and {group["more"]} more'] if group['more'] else [])])


def _cell(text: str) -> str:
    """Return text of a source as one cell of a table."""
    return plain(' '.join(text.split())[:120])
