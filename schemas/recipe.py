"""The recipe: the YAML file that says all of a build. Every fault is reported at once, before anything is read or paid.

Every key has its words, its default and its bounds here and in the modules of its sections; `phantom help KEY`, docs/recipe.md and the JSON Schema
that editors read are made of them.
"""

import itertools
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from schemas.errors import UserError
from schemas.faults import MOST_FAULTS, faults_of
from schemas.local import url_fault
from schemas.mix_rules import Benchmark as Benchmark
from schemas.mix_rules import Contamination as Contamination
from schemas.mix_rules import Duplicates as Duplicates
from schemas.mix_rules import ImageRules as ImageRules
from schemas.mix_rules import Mixture as Mixture
from schemas.mix_rules import TextRules as TextRules
from schemas.models import Generator as Generator
from schemas.models import Judge as Judge
from schemas.models import Model as Model
from schemas.models import SecondJudge as SecondJudge
from schemas.overrides import override_all
from schemas.own_prompt import Beside, FileName, place_excluded, place_ratings, read_prompts, remember_folder
from schemas.rating import NEEDS_PICTURE, Rate
from schemas.regular import read_regular
from schemas.section import Count, Fraction
from schemas.section import Section as Section
from schemas.shipped import find_recipe, near_recipe
from schemas.source import Name
from schemas.source import Source as Source
from schemas.telling import tell_news
from schemas.wrong_labels import wrong_label_faults
from schemas.yaml_text import MAX_CHARS, parse_yaml

MOST_EXTENDED = 20  # recipes, one starting from the next
MOST_NAMED = 20  # names in a message


class Calibration(Section):
    """Planted cases with known truth that go through the same judge."""

    min_cases: Count = 200
    """Cases per source, at least; where `fraction` of its samples is more, so many."""
    fraction: Fraction = 0.05
    """Share of a source's samples that are planted, where that is more than `min_cases`."""
    min_auc: Fraction = 0.55
    """AUC at or below which a judge is no better than chance; the build stops, unless the source says `accept_uncalibrated`."""


class Triples(Section):
    """How many triples are kept."""

    max_samples: dict[str, Annotated[int, Field(ge=0, le=2**53)]] = {}
    """source -> samples that get candidates, lowest id hash first."""
    exactly: dict[str, Count] = {}
    """source -> accepted triples wanted; asked in rounds until there are so many."""
    per_sample: Count | None = None
    """At most this many triples per sample, lowest id hash first."""
    differ_within: Count | None = 512
    """Both answers must differ within so many words and signs (null: anywhere). The common cut is 1,024 tokens (TRL's max_length) of prompt, pictures
    and answer together, and a word is more than one of them: half of it leaves room for both.
    """


class Budget(Section):
    """A hard stop over the whole build; null is no limit. What is in flight when a limit is reached still comes back and is counted.

    A request is a post that a server took: one for each reply that is used, stored ones too, and one for each try that brought none (a time-out,
    a connection that was cut, a 5xx, a body that is no completion). Nothing is counted where surely nothing was billed: no connection, or
    refused at the door (401, 402, 403, 404, 405, 407, 413, 415, 421, 426, 429, 431) without usage. Tokens are those the server tells, with
    whatever it tells them; where it tells none with a completion, each byte of request and reply counts as one, and each picture as 3,328.
    """

    requests: int | None = Field(None, ge=0)
    """Posts that were or may have been billed, at most."""
    tokens: int | None = Field(None, ge=0)
    """Tokens of prompts and replies, at most."""
    money: float | None = Field(None, ge=0)
    """Money, at most, in the currency of the models' price_prompt and price_completion."""


def _is_none(value: object) -> bool:
    return value is None


def _is_empty(value: object) -> bool:
    return not value


class Recipe(Section):
    """One whole build."""

    name: Name
    """What the build is called in its cards."""
    root: str = Field('{out}/data', pattern=r'^[^\x00]+$')
    """Where the sources lie. A relative one is seen from the folder of the recipe; {out} is the --out folder, ~ the home. --root DIR is another."""
    licence_note: str = ''
    """What else is to be said about licences; it stands in the manifest."""
    sources: dict[Name, Source] = Field(min_length=1)
    """name -> a data set; the name becomes part of every id. null leaves one out that an extended recipe has."""
    images: ImageRules = ImageRules()
    text: TextRules = TextRules()
    duplicates: Duplicates = Duplicates()
    contamination: Contamination = Contamination()
    contradictions: Literal['flag', 'drop_all', 'majority'] | None = None
    """The same question about the same picture (or near-duplicates of it), with answers that cannot both be right. flag: counted and shown; drop_all:
    all of them are left out; majority: the answer stays that has more than half of the votes, and none where there is no such answer; null: nobody
    looks. Which answers cannot both be right: docs/agreement.md.
    """
    exclude: Annotated[list[FileName], Field(exclude_if=_is_empty)] = []
    """Lists of ids to leave out (JSON), as the gallery saves tagged rows: of samples from the mix, of triples from the triples; `--exclude FILE` adds
    one. They lie beside the recipe. docs/gallery.md
    """
    mix: Mixture = Mixture()
    models: dict[Name, Model] = {}
    """name -> a language model to ask: where it answers and what it is; docs/models.md."""
    rate: Annotated[Rate | None, Field(exclude_if=_is_none)] = None  # left out where there is none, so that what was built without stays as it was
    generate: list[Generator] = []
    """The ways to propose wrong answers; none: the build ends with the mix."""
    judge: Judge = Judge()
    calibration: Calibration = Calibration()
    triples: Triples = Triples()
    budget: Budget = Budget()
    _root_at: Path | None = None  # a relative root, from the folder of the recipe; no part of what the recipe says, so of no id

    @model_validator(mode='after')
    def _refers_to_what_exists(self) -> 'Recipe':
        faults = list(itertools.islice(self._dangling(), MOST_FAULTS + 1))
        if faults:
            raise ValueError('; '.join(fault if i < MOST_FAULTS else 'and more' for i, fault in enumerate(faults)))
        return self

    @field_validator('root')
    @classmethod
    def _is_a_folder(cls, root: str) -> str:
        if fault := url_fault(root):
            raise ValueError(fault)
        return root

    def root_of(self, out: Path) -> Path:
        """Return the folder of the sources for a build into `out`; a leading ~ is the home of the user."""
        return self._root_at or Path(os.path.expanduser(self.root).replace('{out}', str(out)))

    def _dangling(self):
        models = [(f'generate[{i}].model', g.model) for i, g in enumerate(self.generate)] + [('judge.model', self.judge.model)]
        models += [('judge.second.model', self.judge.second.model)] if self.judge.second else []
        rate = self.rate or Rate.model_construct()
        models += [('rate.model', name) for name in rate.model]
        for where, name in models:
            if name is not None and name not in self.models:
                yield f'{where}: expected one of {_some(self.models)}, found {name[:80]!r}'
        named: list[tuple[str, Iterable[str]]] = [(f'generate[{i}].sources', g.sources) for i, g in enumerate(self.generate)]
        named += [('triples.max_samples', self.triples.max_samples), ('triples.exactly', self.triples.exactly)]
        named += [('rate.max_samples', rate.max_samples)]
        for where, names in named:
            for name in names:
                if name not in self.sources:
                    yield f'{where}: expected one of {_some(self.sources)}, found {name[:80]!r}'
        if self.mix.weights and self.mix.weights.keys() != self.sources.keys():
            yield f'mix.weights: expected a weight for each of {_some(self.sources)}, found {_some(self.mix.weights)}'
        if self.mix.total is not None and not self.mix.weights:
            yield 'mix.total: expected mix.weights beside it, found none; use quotas to bound single sources'
        asked = [self.models[name] for _, name in models if name in self.models]
        if self.budget.money is not None and asked and not any(model.price_prompt or model.price_completion for model in asked):
            yield 'budget.money: expected price_prompt or price_completion of a model that is asked, found none; without one nothing is ever spent'
        for name in rate.model if NEEDS_PICTURE in rate.built_in else ():
            if name in self.models and not self.models[name].images:
                yield f'rate.ask: expected a model that can see for {NEEDS_PICTURE}, found {name} without images: true'
        if self.duplicates.transforms and self.contradictions in ('drop_all', 'majority'):
            yield (f'contradictions: expected flag beside duplicates.transforms, found {self.contradictions}; a picture that is mirrored or cut may '
                   'rightly have another answer (left, right, how many)')
        computed = [name for name, source in self.sources.items() if source.answers == 'exact']
        yield from wrong_label_faults(
            self.generate, rate=self.rate, majority=self.contradictions == 'majority', computed=computed, sources=self.sources)
        categories = {source.category for source in self.sources.values()}
        for name in self.mix.category_quotas.keys() - categories:
            yield f'mix.category_quotas: expected one of {_some(categories)}, found {name[:80]!r}'
        for name, source in self.sources.items():
            for fault in source.column_faults():
                yield f'sources.{name}.columns: {fault}'


def _some(names: Iterable[str]) -> str:
    """Return what a message says of the names there are."""
    found = sorted(names)
    if not found:
        return 'those that the recipe names, which are none'
    return f'{found[:MOST_NAMED]}' + (f' and {len(found) - MOST_NAMED:,} more' if len(found) > MOST_NAMED else '')


def load_recipe(path: str | Path, overrides: Iterable[str] = (), *, exclude: Iterable[Path] = ()) -> Recipe:
    """Return the checked recipe at `path`, with `key.sub=value` overrides, and lists added to its `exclude`; raises UserError listing all faults.

    The bare name of a recipe that comes with the package (`demo`) names that one where no such file exists, here and in `extends`.
    `extends: other.yaml` (beside it) starts from that recipe: mappings are merged key by key, anything else is replaced.
    A source that is null (`sources: {smr: null}`, `--set sources.smr=null`) is left out, as is what is null in a list (`--set generate.1=null`); a
    section that `--set` makes null is as it is by default. `--set generate.0.temperature=0.5` reaches into a list. The files of prompts lie beside
    the recipe that names them; one that `--set` names lies beside `path` or where the command runs. Their texts are part of what is returned.
    A relative root lies beside the recipe that names it, one that `--set` names where the command runs.
    """
    found = find_recipe(path)
    data = _read(found, ())
    override_all(data, overrides)
    read_prompts(data, found.parent)
    place_ratings(data, found.parent)
    place_excluded(data, found.parent, exclude)
    if isinstance(sources := data.get('sources'), dict):
        data['sources'] = {name: source for name, source in sources.items() if source is not None}
    faults = list(faults_of(Recipe, data, secret=('models',)))
    if faults:
        many = f'{len(faults)} fault(s)' if len(faults) <= MOST_FAULTS else f'{MOST_FAULTS} faults and more'
        raise UserError(f'recipe {path}: {many}\n' + '\n'.join(f'  {fault}' for fault in faults))
    recipe = Recipe.model_validate(data)
    if isinstance(root := data.get('root'), Beside):
        recipe._root_at = _seen_from(root)
    return recipe


def _seen_from(root: Beside) -> Path | None:
    """Return where a relative root lies: beside its recipe, or where only there is such a folder, where the command runs; None for others."""
    if '{out}' in root or os.path.isabs(os.path.expanduser(root)):
        return None
    if not os.path.isdir(root.folder / root) and os.path.isdir(root):  # as earlier versions read it: their builds go on
        tell_news(f'root {root}: found where the command runs, none beside the recipe in {root.folder}; write it as seen from there, or '
                  f'say --root {root}')
        return Path(root)
    return root.folder / root


def _read(path: Path, readers: tuple[Path, ...]) -> dict:
    if path in readers:
        raise UserError(f'recipe {path}: expected `extends` to end somewhere, found a circle')
    if len(readers) > MOST_EXTENDED:
        raise UserError(f'recipe {path}: expected `extends` to end within {MOST_EXTENDED} recipes, found more')
    try:
        data = parse_yaml(read_regular(path, MAX_CHARS).decode('utf-8-sig'), f'recipe {path}')
    except FileNotFoundError as e:
        raise UserError(f'recipe {path}: expected a YAML file, found none{near_recipe(path)}') from e
    except (OSError, ValueError) as e:
        raise UserError(f'recipe {path}: expected readable YAML, found: {e}') from e
    if not isinstance(data, dict):
        raise UserError(f'recipe {path}: expected a mapping with name and sources, found {type(data).__name__}')
    remember_folder(data, path.parent)
    base = data.pop('extends', None)
    if base is None:
        return data
    if not isinstance(base, str):
        raise UserError(f'recipe {path}: extends: expected the name of a recipe beside it, found {str(base)[:80]!r}')
    return _merged(_read(find_recipe(base, path.parent), (*readers, path)), data)


def _merged(base: dict, over: dict) -> dict:
    both = {key: _merged(base[key], over[key]) for key in base.keys() & over.keys() if isinstance(base[key], dict) and isinstance(over[key], dict)}
    return {**base, **over, **both}
