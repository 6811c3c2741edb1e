"""Whether the samples of a mix agree with each other: the tables that say so where the recipe asks for them, and what people are told of them."""

import json
from collections import Counter
from dataclasses import dataclass
from typing import Any

from curation.texts.meaning import MODEL, can_tell_meanings
from curation.texts.rewording import Rewording
from pipelines.engine.engine import Engine
from pipelines.engine.tables import Table
from pipelines.mix.asked_turns import ListQuestions
from pipelines.mix.contradictions import FindContradictions
from pipelines.mix.near_texts import ConfirmTexts, JoinTexts
from pipelines.mix.paraphrases import FindParaphrases
from pipelines.mix.text_sketches import SketchTexts
from pipelines.mix.text_stars import MakeTextStars
from pipelines.snapshot.plain import plain
from schemas.recipe import Recipe
from schemas.telling import tell_news

GROUPS_SHOWN = 5  # of contradictions, on the card
PAIRS_SHOWN = 5  # of near texts
DONE = {'flag': 'are flagged and kept', 'drop_all': 'are left out', 'majority': 'are left out unless their answer has more than half of the votes'}


@dataclass(frozen=True, slots=True)
class Agreement:
    """What was looked for; None where the recipe does not ask for it."""

    contradictions: Table | None = None
    texts: Table | None = None
    paraphrases: tuple[Table, ...] = ()

    def deciding(self, recipe: Recipe) -> tuple[Table, ...]:
        """Return the contradictions, where any of them leave something out."""
        return (self.contradictions,) if self.contradictions and recipe.contradictions != 'flag' else ()

    def capping(self, recipe: Recipe) -> tuple[Table, ...]:
        """Return the clusters of near texts, where they leave something out."""
        return (self.texts,) if self.texts and recipe.duplicates.text == 'drop' else ()

    def contaminated(self, recipe: Recipe) -> tuple[Table, ...]:
        """Return the paraphrases of benchmarks, where they are left out."""
        rules = recipe.contamination
        return self.paraphrases if rules.paraphrases == rules.action == 'drop' else ()

    def paraphrased(self) -> Counter[str]:
        """Return how many samples ask an item of a benchmark in other words: `hit/BENCH/paraphrase`, and those of which it is not sure as near."""
        found = sum((Counter(table.counts()) for table in self.paraphrases), Counter[str]())
        hits = Counter({key: n for key, n in found.items() if key.startswith('hit/') and key.endswith(f'/{Rewording.SURE}')})
        for key, n in found.items():
            if key.startswith('hit/') and key.endswith(f'/{Rewording.NEAR}'):
                hits[f'{key.removesuffix(Rewording.NEAR)}near'] += n
        return hits

    def about(self) -> dict[str, Any]:
        """Return what the manifest says: how many groups and samples, by source."""
        contradictions = {'contradictions': _counted(self.contradictions)} if self.contradictions else {}
        return contradictions | ({'near_texts': _clusters(self.texts)} if self.texts else {})

    def tell(self, recipe: Recipe) -> None:
        """Tell how many contradict each other."""
        if self.contradictions and (found := _counted(self.contradictions))['groups']:
            by_source = ', '.join(f'{source} {of["samples"]:,}' for source, of in found['by_source'].items())
            done = DONE[recipe.contradictions or 'flag']
            what = f'{found["groups"]:,} question(s) about the same picture, or none, with answers that cannot both be right'
            tell_news(f'contradictions: {what}; samples: {by_source}; they {done} (contradictions: {recipe.contradictions})')

        if self.texts and (near := _clusters(self.texts))['clusters']:
            by_source = ', '.join(f'{source} {sum(of.values()):,}' for source, of in near['members'].items())
            most = recipe.duplicates.max_per_near_text
            done = f'at most {most} of each cluster stay' if recipe.duplicates.text == 'drop' else 'they are flagged and kept'
            tell_news(f'near texts: {near["clusters"]:,} cluster(s), samples near the first of one: {by_source}; {done} '
                      f'(duplicates.text: {recipe.duplicates.text})')

    def markdown(self, recipe: Recipe) -> str:
        """Return the sections of the card."""
        contradictions = _markdown_contradictions(self.contradictions, recipe) if self.contradictions else ''
        return contradictions + (_markdown_texts(self.texts, recipe) if self.texts else '')


def look_for_agreement(
    recipe: Recipe, engine: Engine, samples: tuple[Table, ...], features: Table, benches: tuple[Table, ...] = ()
) -> Agreement:
    """Return what the recipe asks to look for among the samples: nothing is read where it asks for nothing."""
    contradictions, texts = None, None
    if recipe.contradictions is not None:
        asked = engine.run(ListQuestions(samples, features))
        exact = tuple(name for name, source in recipe.sources.items() if source.answers == 'exact')
        contradictions = engine.run(FindContradictions(asked, samples, exact))
    if recipe.duplicates.text is not None:
        sketches = engine.run_each(map(SketchTexts, samples))
        near = engine.run(ConfirmTexts(engine.run(JoinTexts(sketches, features)), samples))
        texts = engine.run(MakeTextStars(near, features, recipe.duplicates.text_jaccard))
    paraphrases: tuple[Table, ...] = ()
    if recipe.contamination.paraphrases is not None and benches:
        paraphrases = engine.run_each(FindParaphrases(table, benches, recipe.contamination.paraphrases_by_meaning) for table in samples)
    return Agreement(contradictions, texts, paraphrases)


def lacking_of(recipe: Recipe) -> list[str]:
    """Return what this environment lacks for what the recipe asks to look for."""
    if not recipe.contamination.paraphrases_by_meaning or can_tell_meanings():
        return []
    return [f"contamination.paraphrases_by_meaning: expected the package {MODEL} in this environment, found none; "
            "pip install 'phantom-curation[paraphrase]', or leave it out"]  # fmt: skip


def _counted(table: Table) -> dict[str, Any]:
    counts = table.counts()
    sources = sorted(key.removeprefix('samples/') for key in counts if key.startswith('samples/'))
    by_source = {source: {'samples': counts[f'samples/{source}'], 'groups': counts[f'groups/{source}']} for source in sources}
    return {'groups': counts.get('groups', 0), 'by_source': by_source}


def _clusters(table: Table) -> dict[str, Any]:
    """Return how many clusters there are, and of each source how many samples are near the first of one, by that one's source."""
    members: dict[str, dict[str, int]] = {}
    for key, n in sorted(table.counts().items()):
        if key.startswith('members/'):
            _, source, first = key.split('/')
            members.setdefault(source, {})[first] = n
    return {'clusters': table.counts().get('clusters', 0), 'members': members}


def groups_of(table: Table, most: int) -> list[dict[str, Any]]:
    """Return the first groups, each side by side: {question, answers: [{answer, votes, first}], more}."""
    rows = table.read(columns=['group', 'told'])
    told = dict(zip(rows['group'].to_pylist(), rows['told'].to_pylist(), strict=True))
    return [json.loads(told[group]) for group in sorted(told)[:most]]


def _markdown_contradictions(table: Table, recipe: Recipe) -> str:
    found = _counted(table)
    if not found['groups']:
        return '\n## Contradictions\n\nNo question about the same picture, or none, is answered in ways that cannot both be right.\n'
    rows = '\n'.join(f'| {source} | {of["groups"]} | {of["samples"]} |' for source, of in found['by_source'].items())
    shown = '\n'.join(f'| {_cell(group["question"])} | {_answers(group)} |' for group in groups_of(table, GROUPS_SHOWN))
    return f"""
## Contradictions

The same question about the same picture (or a near-duplicate of it, or none), with answers that cannot both be right: {found['groups']}
question(s), counted before anything is left out. Such samples {DONE[recipe.contradictions or 'flag']} (`contradictions: {recipe.contradictions}`).
Copies have a vote each, contaminated samples too; what its ratings leave out has none.

| source | questions | samples |
|---|--:|--:|
{rows}

| some of them | answers (votes, first sample) |
|---|---|
{shown}
"""


def _markdown_texts(table: Table, recipe: Recipe) -> str:
    found, rules = _clusters(table), recipe.duplicates
    if not found['clusters']:
        return '\n## Near texts\n\nNo two samples have nearly the same text about the same pictures.\n'
    done = f'at most {rules.max_per_near_text} of a cluster stay' if rules.text == 'drop' else 'they are flagged and kept'
    rows = '\n'.join(f'| {source} | {first} | {n} |' for source, of in found['members'].items() for first, n in of.items())
    some = table.read().slice(0, PAIRS_SHOWN).to_pylist()
    shown = '\n'.join(f'| {_cell(row["sample_id"])} | {_cell(row["first_id"])} | {row["jaccard"]:.2f} |' for row in some)
    return f"""
## Near texts

Samples about the same pictures, or none, whose question and answer share {rules.text_jaccard:g} or more of their runs of three words and do not
differ in a number, a sign, a name or a short answer: {found['clusters']} cluster(s); {done} (`duplicates.text: {rules.text}`).

| source | near the first of a cluster in | samples |
|---|---|--:|
{rows}

| some of them | near | in common |
|---|---|--:|
{shown}
"""


def _answers(group: dict[str, Any]) -> str:
    told = [f'{_cell(one["answer"])} ({one["votes"]}, {_cell(one["first"])})' for one in group['answers']]
    return '; '.join([*told, *([f'and {group["more"]} more'] if group['more'] else [])])


def _cell(text: str) -> str:
    """Return text of a source as one cell of a table."""
    return plain(' '.join(text.split())[:120])
