"""One source of a recipe: in which format its files are, what of them is read, and what is known about them."""

import difflib
import re
from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator

from schemas.section import Count, Section

Name = Annotated[str, Field(pattern=r'^[A-Za-z0-9][A-Za-z0-9._-]*$')]  # no slash: it becomes part of every id
Texts = Annotated[  # one needs no list
    list[str], BeforeValidator(lambda value: [value] if isinstance(value, str) else value, json_schema_input_type=str | list[str])]

_OUTSIDE = re.compile(r'[/\\]|~(?:/|$)|[A-Za-z]:[/\\]|(?:.*[/\\])?\.\.(?:[/\\]|$)|.*\0', re.DOTALL)  # absolute, a home, of Windows, up, no path
ROLES = ('question', 'answer', 'image', 'options', 'system', 'id', 'ignore')  # of a source's columns
SEVERAL = ('image', 'question', 'options', 'id', 'ignore')  # of these a role may name several columns
MEANT = {
    'picture': 'image', 'pictures': 'image', 'images': 'image', 'img': 'image', 'photo': 'image', 'image_path': 'image', 'file': 'image',
    'prompt': 'question', 'query': 'question', 'instruction': 'question', 'input': 'question', 'problem': 'question', 'user': 'question',
    'response': 'answer', 'output': 'answer', 'label': 'answer', 'target': 'answer', 'solution': 'answer', 'completion': 'answer',
    'assistant': 'answer',
    'choices': 'options', 'candidates': 'options', 'system_prompt': 'system', 'idx': 'id', 'key': 'id', 'skip': 'ignore', 'metadata': 'ignore',
}  # fmt: skip


def name_from(words: str, otherwise: str) -> str:
    """Return words as a Name, or `otherwise` where nothing of them can stand in one."""
    return re.sub('[^A-Za-z0-9._-]+', '-', words).strip('-._') or otherwise


class Source(Section):
    """One upstream data set in its own on-disk format. Paths are relative to the recipe's `root`.

    `a.json|b.json` names one thing under the names it is published by: the first that exists is read. The same holds for `images`.
    """

    format: Literal['llava', 'messages', 'instruction', 'columns', 'mathvision', 'webdataset']
    """What a record looks like; what is read of each kind, and what is left out: docs/formats.md."""
    annotations: list[str] = Field(min_length=1)
    """Files, globs (matches, sorted) or folders (files of one kind, or what `datasets.save_to_disk` wrote) that hold the records.

    Of globs and folders hidden files, caches and other splits than `splits` are not read.
    """
    splits: list[str] = []
    """Splits that are read of a folder, glob or file that has splits by their names; none: train alone."""
    images: list[str] = []
    """Folders, .zip or .tar files, or folders in those (images.zip/inner), that hold the pictures, and what they link to."""
    strip_prefix: Texts = []
    r"""Folders taken off the image paths of the annotations (`C:\data`, `/mnt/imgs`); with any, also '', a `\` is a `/`."""
    image_subfolder: str = ''
    """A folder put before every image path of the annotations, after selection by prefix."""
    other_extensions: bool = False
    """Whether a picture that is not there as .jpg is opened as .png or .jpeg, and so on."""
    columns: dict[str, str | list[str]] = {}
    """For `columns` and `webdataset`: which column is what. {question, answer, and perhaps image, options, system} -> name of the column, or the way
    to it (meta.answer); `image`, `options` and `question` may name several. `id` and `ignore`: one or several that are known and not read, here
    and in rows of any other format.
    """
    optional: bool | None = None
    """A row whose picture is null: true: text alone; false: rejected; null: rejected where the recipe names pictures."""
    category: str = 'uncategorised'
    """A word of your own for what kind of data it is; `mix.category_quotas` and the card count by it."""
    licence: str
    """Under which licence you have it; written into every row and the card. `A AND B` where parts differ; `unstated` where nobody says."""
    revision: str = 'unknown'
    """Which state of the data it is: a version, a date, a commit of the Hub."""
    image_prefix: list[str] = []
    """Keep only records whose every image path starts with one of these."""
    drop_image_prefix: list[str] = []
    """Leave out records with an image path that starts with one of these."""
    turns: Literal['first', 'all', 'each'] = 'first'
    """What becomes of a record with several questions. first: one sample, its further turns are not taken; all: one sample that holds all; each: a
    sample for each question, with what stood before it.
    """
    language: Annotated[str, Field(pattern=r'^[a-z]{2,3}$')] | None = None
    """ISO 639 code of the language its answers are in; others are rejected."""
    answers: Literal['exact', 'open'] = 'open'
    """exact: computed from data, so that what can be compared (numbers, units, dates, times, lists, options, yes and no) and differs is wrong by
    program. What that cannot tell (other words) is asked of the judge where one is better than chance here, else left out as CANNOT_TELL. open: the
    judge decides.
    """
    quota: Count | None = None
    """At most this many kept samples, lowest id hash first."""
    subset: Count | None = None
    """Read only this many records, lowest id hash first."""
    expected_paper: int | None = None
    """Records that the paper has of it, for the tables of `validate` and of a build."""
    expected_today: int | None = None
    """Records that today's files have, before `subset`; `validate` says where it differs."""
    get_it: str = ''
    """Where the data are to be had, printed when they are missing."""
    accept_uncalibrated: bool = False
    """Seal triples of it although the judge is no better than chance on its planted cases; the card says so."""

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
