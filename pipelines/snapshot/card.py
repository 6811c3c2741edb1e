"""The README card of a snapshot: YAML that the Hub and `datasets` read, then what a person wants to know first."""

from collections.abc import Mapping
from types import MappingProxyType

import yaml

from curation.calibration.planted import SourceReport
from pipelines.snapshot.compared import markdown_compared
from pipelines.snapshot.plain import plain
from pipelines.snapshot.report import markdown_books, markdown_calibration, markdown_injections, say_characters, told_ignored, told_rules
from schemas.accounting import Line
from schemas.recipe import Recipe

# From most to least restrictive; the card takes the first that any source has. Unknown words count as most restrictive.
_STRICTNESS = (
    'cc-by-nc-nd-4.0', 'cc-by-nc-sa-4.0', 'cc-by-nc-4.0', 'cc-by-sa-4.0', 'cc-by-sa-3.0', 'cc-by-4.0', 'cc-by-2.0',
    'apache-2.0', 'bsd-3-clause', 'mit', 'cc0-1.0',
)  # fmt: skip

PAPER_YIELD = (
    "The paper's own yield is a flat 70 to 73 % of every source (counts before and after in the README of github.com/ByungKwanLee/Phantom); it is "
    'printed here for comparison and nothing was tuned to it.'
)


def strictest(licences: list[str]) -> str:
    """Return the most restrictive of the licences (`A AND B` is both); one that is not in the list above makes it 'other'."""
    lower = {part.lower() for licence in licences for part in licence.split(' AND ')}
    known = [name for name in _STRICTNESS if name in lower]
    return known[0] if known and lower <= set(_STRICTNESS) else 'other'


def front_matter(recipe: Recipe, kind: str, splits: list[str]) -> str:
    """Return the YAML block: licence, tags and where each split's files are.

    The description makes `datasets` keep two snapshots apart: its cache knows a local folder by its name and this block alone.
    """
    files = [{'split': split, 'path': f'data/{split}-*.parquet'} for split in splits]
    head = {
        'pretty_name': f'{recipe.name} ({kind})',
        'license': strictest([source.licence for source in recipe.sources.values()]),
        'task_categories': ['visual-question-answering'],
        'tags': ['phantom', 'preference' if kind == 'triples' else 'instruction', 'image', 'text'],
        'configs': [{'config_name': 'default', 'description': 'snapshot {snapshot_id}', 'data_files': files}],
    }
    return f'---\n{yaml.safe_dump(head, sort_keys=False)}---\n'


def mix_card(
    recipe: Recipe, splits: list[str], lines: list[Line], contamination: dict, canaries: str, invisible: dict[str, dict] | None = None,
    agreement: str = '',
) -> str:  # fmt: skip
    """Return the card of a mix snapshot; `{snapshot_id}` is filled in when it is sealed. `invisible`: samples with such characters, by source.

    `agreement` is Markdown: which samples contradict or repeat each other.
    """
    return f"""{front_matter(recipe, 'mix', splits)}
# {recipe.name}: mix

Instruction samples (`images`, `messages`) that passed every check. Snapshot `{{snapshot_id}}`. Every record, sample and image that was left
out is in `rejections/` with its reason.

{markdown_books(lines)}

## Sources

{_sources(recipe)}

{_ignored(lines)}

## Contamination

{_contamination(recipe, contamination)}

{markdown_compared(contamination.get('compared', {}))}

{canaries}
{_markdown_invisible(invisible)}{agreement}
## How to read it

```python
from datasets import load_dataset
rows = load_dataset('path/to/mix', split='train')
```
"""


_RULES = (
    'Image: the sample shows a picture of the benchmark. Copy: in another shape (flipped, turned, cropped, framed, grey, small, in a collage). '
    'Equal question: it holds a question of twelve words or more (in scripts without blanks: as '
    'many characters as say so much) word for word and sign for sign, in any turn, and the wording is asked about one picture at most. '
    'Text: a sample of text alone holds enough word runs of question and answer. Question: the same of an item whose answer is not published. '
    'Paraphrase: a sample of text alone asks a question of text alone in other words, with all its numbers and its answer. '
    'Near: a long question of which enough word runs stand in the sample, or one that is not surely a paraphrase, and none of the above; such '
    'samples are in the mix.'
)


def _contamination(recipe: Recipe, found: dict) -> str:
    """Return a line for each benchmark in which samples stand, or near which; and what the words mean."""
    if not recipe.contamination.benchmarks:
        return '- no benchmark was given'
    done = {'drop': 'dropped', 'flag': 'flagged'}[recipe.contamination.action]
    samples, near = found.get('samples_per_benchmark', {}), found.get('near_per_benchmark', {})
    lines = [f'- `{bench}`: {n} sample(s) {done} ({told_rules(found["by_rule"][bench])})' for bench, n in sorted(samples.items())]
    lines = lines or ['- no sample was found in a benchmark']
    lines += [f'- `{bench}`: {n} sample(s) near a question of it, kept' for bench, n in sorted(near.items())]
    return '\n'.join([*lines, '', _RULES])


def _markdown_invisible(invisible: dict[str, dict] | None) -> str:
    if not invisible:
        return ''
    rows = [f'| {source} | {found["samples"]} | {say_characters(found)} |' for source, found in invisible.items()]
    listed = '\n'.join(rows)
    return f"""
## Invisible text

Samples that were read with characters nobody sees where typography has no use for them: they can hide words from a reader or from a comparison.
`text.max_invisible_chars` bounds them.

| source | samples | characters, most frequent first |
|---|--:|---|
{listed}
"""


def triples_card(
    recipe: Recipe, splits: list[str], lines: list[Line], reports: list[SourceReport], accepted: dict[str, list[str]], audits: str,
    not_asked: Mapping[str, list[str]] = MappingProxyType({}),
) -> str:  # fmt: skip
    """Return the card of a triples snapshot; `{snapshot_id}` is filled in when it is sealed. `audits` is Markdown that follows the judge.

    `accepted` and `not_asked`: faults of the judge on sources that accept them, and on those where it is not asked for them.
    """
    model = recipe.models[recipe.judge.model] if recipe.judge.model else None
    judge = f'{plain(model.model)} ({plain(model.revision)}), mode `{recipe.judge.way}`, margin {recipe.judge.margin:g}' if model else 'none'
    sight = '' if model is None or model.images else ' **It cannot see pictures**: on picture sources it only says which answer sounds likelier.'
    warnings = '\n'.join(
        f'- **{source} was accepted although the judge is not calibrated on it** (`accept_uncalibrated: true`): {fault}'
        for source, told in sorted(accepted.items())
        for fault in told
    )
    warnings += '\n'.join(
        f'\n- On {source} the judge was not asked: what a program cannot tell there is `CANNOT_TELL` in the rejections: {fault}'
        for source, told in sorted(not_asked.items())
        for fault in told
    )
    of_paper = any(source.expected_paper is not None for source in recipe.sources.values())
    paper = f'{PAPER_YIELD}\n\n' if of_paper else ''  # of no other data do its figures say anything
    exact = ', '.join(name for name, source in recipe.sources.items() if source.answers == 'exact') or 'none'
    return f"""{front_matter(recipe, 'triples', splits)}
# {recipe.name}: preference triples

Rows of (question, right answer, wrong answer) in TRL's conversational columns `images, prompt, chosen, rejected`, with `kind`
(`incorrect` or `ambiguous`), scores, licence and provenance. Snapshot `{{snapshot_id}}`. Every candidate that was left out is in
`rejections/` with its reason.

{markdown_books(lines)}

{paper}## Judge

Answers computed from data are judged by program (sources: {exact}) as far as it can tell; the others are judged by {judge}.{sight}

{markdown_calibration(reports, accepted, not_asked) if reports else 'No source needed the model.'}

AUC is the chance that a good planted case scores above a bad one (0.5 is chance). "Bad refused" are planted wrong cases that rules or judge refused,
"good refused" planted right ones. Planted cases are not real generator errors.
{markdown_injections(reports)}
{warnings}

{audits}

## Sources

{_sources(recipe)}

## How to read it

```python
from datasets import load_dataset
rows = load_dataset('path/to/triples', split='train')
```
"""


def _ignored(lines: list[Line]) -> str:
    told = [f'- {line.source}: {plain(told_ignored(line))}' for line in lines if line.ignored]
    return '\n'.join(['Fields of the sources that nothing in a row comes from:', '', *told]) if told else ''


def _sources(recipe: Recipe) -> str:
    rows = ['| source | format | category | licence | revision |', '|---|---|---|---|---|']
    for name, source in recipe.sources.items():
        rows.append(f'| {name} | {source.format} | {plain(source.category)} | {plain(source.licence)} | {plain(source.revision)} |')
    return '\n'.join(rows)
