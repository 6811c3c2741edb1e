"""The recipe: the YAML file that says all of a build. Every fault is reported at once, before anything is read or paid."""

import difflib
import itertools
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from schemas.errors import UserError
from schemas.faults import MOST_FAULTS, faults_of
from schemas.local import url_fault
from schemas.models import Generator as Generator
from schemas.models import Judge as Judge
from schemas.models import Model as Model
from schemas.models import SecondJudge as SecondJudge
from schemas.overrides import override_all
from schemas.own_prompt import place_ratings, read_prompts, remember_folder
from schemas.rating import NEEDS_PICTURE, Rate
from schemas.regular import read_regular
from schemas.section import Count, Fraction
from schemas.section import Section as Section
from schemas.shipped import find_recipe, near_recipe
from schemas.wrong_labels import wrong_label_faults
from schemas.yaml_text import MAX_CHARS, parse_yaml

Name = Annotated[str, Field(pattern=r'^[A-Za-z0-9][A-Za-z0-9._-]*$', description='no slash: it becomes part of every id')]
Texts = Annotated[list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value)]  # one needs no list


_OUTSIDE = re.compile(r'[/\\]|~(?:/|$)|[A-Za-z]:[/\\]|(?:.*[/\\])?\.\.(?:[/\\]|$)|.*\0', re.DOTALL)  # absolute, a home, of Windows, up, no path
MOST_EXTENDED = 20  # recipes, one starting from the next
MOST_NAMED = 20  # names in a message
ROLES = ('question', 'answer', 'image', 'options', 'system', 'id', 'ignore')  # of a source's columns
SEVERAL = ('image', 'question', 'options', 'id', 'ignore')  # of these a role may name several columns
MEANT = {
    'picture': 'image', 'pictures': 'image', 'images': 'image', 'img': 'image', 'photo': 'image', 'image_path': 'image', 'file': 'image',
    'prompt': 'question', 'query': 'question', 'instruction': 'question', 'input': 'question', 'problem': 'question', 'user': 'question',
    'response': 'answer', 'output': 'answer', 'label': 'answer', 'target': 'answer', 'solution': 'answer', 'completion': 'answer',
    'assistant': 'answer',
    'choices': 'options', 'candidates': 'options', 'system_prompt': 'system', 'idx': 'id', 'key': 'id', 'skip': 'ignore', 'metadata': 'ignore',
}  # fmt: skip


class Source(Section):
    """One upstream data set in its own on-disk format. Paths are relative to the recipe's `root`.

    An entry of `annotations` is a file, a glob (matches, sorted) or a folder (files of one kind, or what `datasets.save_to_disk` wrote); of those
    hidden files, caches and other splits than `splits` are not read. What is read of each kind: docs/formats.md.
    `a.json|b.json` names one thing under the names it is published by: the first that exists is read. The same holds for `images`.
    """

    format: Literal['llava', 'messages', 'instruction', 'columns', 'mathvision', 'webdataset']
    annotations: list[str] = Field(min_length=1)
    splits: list[str] = []  # read of a folder, glob or file that has splits by their names; none: train alone
    images: list[str] = []  # folders, .zip or .tar files, or folders in those (images.zip/inner), that hold the pictures, and what they link to
    strip_prefix: Texts = []  # folders taken off the image paths of the annotations (`C:\\data`, `/mnt/imgs`); with any, also '', a `\\` is a `/`
    image_subfolder: str = ''  # put before every image path of the annotations, after selection by prefix
    other_extensions: bool = False  # a picture that is not there as .jpg is opened as .png or .jpeg, and so on
    # for `columns`: {question, answer, and perhaps image, options, system} -> name of the column, or the way to it (meta.answer); `image`,
    # `options` and `question` may name several; `id` and `ignore`: one or several that are known and not read, here and in rows of any other format
    columns: dict[str, str | list[str]] = {}
    optional: bool | None = None  # a row whose picture is null: true: text alone; false: rejected; null: rejected where the recipe names pictures
    category: str = 'uncategorised'
    licence: str
    revision: str = 'unknown'
    image_prefix: list[str] = []  # keep only records whose every image path starts with one of these
    drop_image_prefix: list[str] = []  # ... and with none of these
    turns: Literal['first', 'all', 'each'] = 'first'
    language: Annotated[str, Field(pattern=r'^[a-z]{2,3}$')] | None = None  # ISO 639 code its answers are in; others are rejected
    # exact: computed from data, so that what can be compared (numbers, units, dates, times, lists, options, yes and no) and differs is wrong by
    # program. What that cannot tell (other words) is asked of the judge where one is better than chance here, else left out as CANNOT_TELL.
    answers: Literal['exact', 'open'] = 'open'
    quota: Count | None = None  # at most this many kept samples, lowest id hash first
    subset: Count | None = None  # read only this many records, lowest id hash first
    expected_paper: int | None = None
    expected_today: int | None = None
    get_it: str = ''  # where the data are to be had, printed when they are missing
    accept_uncalibrated: bool = False

    @field_validator('images')  # of annotations it is said where they are looked for
    @classmethod
    def _below_the_root(cls, entries: list[str]) -> list[str]:
        for name in (name for entry in entries for name in entry.split('|')):
            if _OUTSIDE.match(name):
                raise ValueError(f'expected a path below `root`, found {name[:200]!r}; '
                                 'move `root` up (--root DIR), or name a link that you put below it (ln -s)')
        return entries

    @property
    def takes_null(self) -> bool:
        """Return whether a row whose picture is null is read as text."""
        expects = bool(self.images) or 'image' in self.columns or self.format in ('mathvision', 'webdataset')
        return not expects if self.optional is None else self.optional

    def column_faults(self) -> Iterator[str]:
        """Yield what is wrong with `columns`, and with pictures that no column names."""
        reads = self.format in ('columns', 'webdataset')
        for role, column in self.columns.items():
            if role not in ROLES:
                near = MEANT.get(role.lower()) or next(iter(difflib.get_close_matches(role.lower(), ROLES, n=1)), None)
                yield f'unknown role {role!r}; {f"did you mean {near}?" if near else f"expected one of {list(ROLES)}"}'
            elif not reads and role not in ('id', 'ignore'):
                yield f"{role}: only the formats 'columns' and 'webdataset' read columns, found {self.format!r}"
            elif isinstance(column, list) and role not in SEVERAL:
                yield f'{role}: expected the name of one column, found a list'
            elif not column or not all(name.strip() for name in ([column] if isinstance(column, str) else column)):
                yield f'{role}: expected the name of a column, found nothing'
        if self.format == 'columns' and not {'question', 'answer'} <= self.columns.keys():
            yield "format 'columns' needs at least {question: ..., answer: ...}"
        known = self.columns.keys() <= set(ROLES)  # else one of them may be meant
        if self.format == 'columns' and self.images and 'image' not in self.columns and known:
            yield f'expected image: NAME beside `images: {self.images}`, which no column names a picture of, found none'


class ImageRules(Section):
    """Bounds checked on every picture; the first two before anything is decoded."""

    max_bytes: Count = 50_000_000
    max_pixels: Count = 50_000_000
    min_side_px: Count = 10
    max_aspect: float = Field(20.0, ge=1)
    matching_extension: bool = False  # reject a picture that holds another format than its name says (a JPEG named .png); else it is kept
    placeholder_ids: tuple[Annotated[str, Field(pattern='^[0-9a-f]{64}$')], ...] = ()  # sha256 of known "image not available" files


class TextRules(Section):
    """Bounds checked on every sample's text, in characters."""

    max_question_chars: Count = 20_000
    max_answer_chars: Count = 20_000
    min_answer_chars: Count = 1
    boilerplate: bool = True
    # Soft hyphens, zero-width, tag and direction characters where typography has no use for them: a way to hide words. Text from the web has some
    # by the dozen, so that by default (null) the samples that hold any are counted in the card and none is rejected; 0 takes text without any.
    max_invisible_chars: Annotated[int, Field(ge=0)] | None = None


class Duplicates(Section):
    """Near-duplicate thresholds: bits of the 64- and of the 256-bit perceptual hash, at most, per kind of picture."""

    photo_bits: int = Field(7, ge=0, le=12)
    document_bits: int = Field(7, ge=0, le=12)
    photo_bits_256: int = Field(64, ge=0, le=256)
    document_bits_256: int = Field(64, ge=0, le=256)
    max_per_near_duplicate: Count | None = None
    # Samples whose question and answer are nearly the same words (and whose pictures are the same stars, in their order), within and across sources:
    # counted, or dropped beyond so many of a cluster, lowest id hash first. null: nobody looks. docs/agreement.md says what is near.
    text: Literal['flag', 'drop'] | None = None
    text_jaccard: float = Field(0.85, ge=0.8, le=1)  # share of their runs of three words that two texts have in common, at least
    max_per_near_text: Count = 1
    # Pictures that show each other flipped (mirrored), turned (by quarters), cropped (to four fifths of the area and more) or framed (border,
    # bars) are near-duplicates, too. Every picture is opened and expanded for it: docs/copies.md says what that costs. []: nobody looks.
    transforms: list[Literal['flip', 'turn', 'crop', 'border']] = []


class Benchmark(Section):
    """One evaluation set the mix must not contain. `format` names its published layout, see pipelines/benches/layouts/."""

    name: Name
    path: str
    format: Literal[
        'folder', 'sqa', 'ai2d', 'chartqa', 'seed', 'seed-2-plus', 'pope', 'hallusionbench', 'mme', 'mathvista', 'mmbench', 'mm-vet',
        'mm-vet-v2', 'llava-w', 'llava-wilder', 'blink', 'cv-bench', 'visualwebbench', 'mmstar', 'mathverse', 'mathvision'] = 'folder'
    columns: dict[Literal['id', 'question', 'answer', 'options', 'image'], str] = {}  # for `folder`: fields that go by names of their own
    accept: list[Literal['parts', 'pictures', 'answers', 'options']] = []  # what it may lack; without it, an incomplete one stops the build
    get_it: str = ''  # where it is to be had, printed when it is missing

    def fields(self) -> dict[str, str]:
        """Return the name of the field that is each role, where the recipe says it."""
        return {str(role): name for role, name in self.columns.items()}

    @model_validator(mode='after')
    def _names_fields_of_a_folder(self) -> 'Benchmark':
        if self.columns and self.format != 'folder':
            raise ValueError(f"columns: expected format 'folder' beside it, found {self.format!r}, whose fields are known; leave columns out")
        return self


class Contamination(Section):
    """How benchmark items are found in the mix and what is done about them."""

    benchmarks: list[Benchmark] = []
    action: Literal['drop', 'flag'] = 'drop'
    image_bits: int = Field(7, ge=0, le=12)
    image_bits_256: int = Field(64, ge=0, le=256)
    ngram_words: int = Field(8, ge=1, le=13)
    min_overlap: Fraction = 0.8
    # Questions of text alone in other words: all numbers of a benchmark's question, half of its content words and its answer. `flag` counts them,
    # `drop` leaves them out as `action: drop` does the others; null: nobody looks.
    paraphrases: Literal['flag', 'drop'] | None = None
    paraphrases_by_meaning: bool = False  # those in few of its words or in another language, too; needs the extra `paraphrase`
    # of benchmark pictures that are planted flipped, turned, cropped, ...: a kind of which surely fewer are found again stops the build; 0: never
    min_recall: Fraction = 0.9

    @model_validator(mode='after')
    def _looks_for_what_it_compares(self) -> 'Contamination':
        if self.paraphrases_by_meaning and self.paraphrases is None:
            raise ValueError('paraphrases_by_meaning: expected paraphrases: flag or drop beside it, found none; say one of them, or leave it out')
        return self


class Mixture(Section):
    """What of the clean samples is kept, and how it is split."""

    licences: list[str] = []  # keep only these (of 'A AND B' both must be named); empty: all
    weights: dict[str, Annotated[float, Field(gt=0)]] = {}  # source -> its part of the mix; names every source or none
    total: Count | None = None  # samples the weights share out; null: as many as the scarcest source allows
    category_quotas: dict[str, Count] = {}  # category -> at most this many, after the sources' own quotas
    validation_fraction: Fraction = 0.0  # by image cluster: a picture is never in both splits
    shard_mb: int = Field(500, ge=1, le=500)  # at most, by bytes of images and text
    seed: str = 'phantom'


class Calibration(Section):
    """Planted cases with known truth that go through the same judge."""

    min_cases: Count = 200  # per source ...
    fraction: Fraction = 0.05  # ... or this share of its samples, whichever is more
    min_auc: Fraction = 0.55  # a judge at or below is no better than chance


class Triples(Section):
    """How many triples are kept."""

    max_samples: dict[str, Annotated[int, Field(ge=0, le=2**53)]] = {}  # source -> samples that get candidates, lowest id hash first
    exactly: dict[str, Count] = {}  # source -> accepted triples wanted; asked in rounds until there are so many
    per_sample: Count | None = None  # at most this many triples per sample, lowest id hash first
    # Both answers must differ within so many words and signs (null: anywhere). The common cut is 1,024 tokens (TRL's max_length) of prompt, pictures
    # and answer together, and a word is more than one of them: half of it leaves room for both.
    differ_within: Count | None = 512


class Budget(Section):
    """A hard stop over the whole build; null is no limit. What is in flight when a limit is reached still comes back and is counted.

    A request is a post that a server took: one for each reply that is used, stored ones too, and one for each try that brought none (a time-out,
    a connection that was cut, a 5xx, a body that is no completion). Nothing is counted where surely nothing was billed: no connection, or
    refused at the door (401, 402, 403, 404, 405, 407, 413, 415, 421, 426, 429, 431) without usage. Tokens are those the server tells, with
    whatever it tells them; where it tells none with a completion, each byte of request and reply counts as one, and each picture as 3,328.
    """

    requests: int | None = Field(None, ge=0)
    tokens: int | None = Field(None, ge=0)
    money: float | None = Field(None, ge=0)


def _is_none(value: object) -> bool:
    return value is None


class Recipe(Section):
    """One whole build."""

    name: Name
    # a relative root is seen from where the command runs
    root: str = Field('{out}/data', pattern=r'^[^\x00]+$')  # where the sources lie; {out} is the --out folder, ~ the home
    licence_note: str = ''
    sources: dict[Name, Source] = Field(min_length=1)
    images: ImageRules = ImageRules()
    text: TextRules = TextRules()
    duplicates: Duplicates = Duplicates()
    contamination: Contamination = Contamination()
    # The same question about the same picture (or near-duplicates of it), with answers that cannot both be right: `flag` counts and shows them,
    # `drop_all` leaves all of them out, `majority` keeps the answer that has more than half of the votes, and none where there is no such answer.
    # null: nobody looks. Which answers cannot both be right: docs/agreement.md.
    contradictions: Literal['flag', 'drop_all', 'majority'] | None = None
    mix: Mixture = Mixture()
    models: dict[Name, Model] = {}
    rate: Annotated[Rate | None, Field(exclude_if=_is_none)] = None  # left out where there is none, so that what was built without stays as it was
    generate: list[Generator] = []
    judge: Judge = Judge()
    calibration: Calibration = Calibration()
    triples: Triples = Triples()
    budget: Budget = Budget()

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
        return Path(os.path.expanduser(self.root).replace('{out}', str(out)))

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
    return f'{found[:MOST_NAMED]}' + (f' and {len(found) - MOST_NAMED:,} more' if len(found) > MOST_NAMED else '')


def load_recipe(path: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Return the checked recipe at `path`, with `key.sub=value` overrides applied; raises UserError listing all faults.

    The bare name of a recipe that comes with the package (`demo`) names that one where no such file exists, here and in `extends`.
    `extends: other.yaml` (beside it) starts from that recipe: mappings are merged key by key, anything else is replaced.
    A source that is null (`sources: {smr: null}`, `--set sources.smr=null`) is left out, as is what is null in a list (`--set generate.1=null`); a
    section that `--set` makes null is as it is by default. `--set generate.0.temperature=0.5` reaches into a list. The files of prompts lie beside
    the recipe that names them; one that `--set` names lies beside `path` or where the command runs. Their texts are part of what is returned.
    """
    found = find_recipe(path)
    data = _read(found, ())
    override_all(data, overrides)
    read_prompts(data, found.parent)
    place_ratings(data, found.parent)
    if isinstance(sources := data.get('sources'), dict):
        data['sources'] = {name: source for name, source in sources.items() if source is not None}
    faults = list(faults_of(Recipe, data, secret=('models',)))
    if faults:
        many = f'{len(faults)} fault(s)' if len(faults) <= MOST_FAULTS else f'{MOST_FAULTS} faults and more'
        raise UserError(f'recipe {path}: {many}\n' + '\n'.join(f'  {fault}' for fault in faults))
    return Recipe.model_validate(data)


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
