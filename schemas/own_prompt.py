"""Prompts that a recipe brings itself: text files beside it, read into the recipe, so that a manifest holds what was asked."""

import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from schemas.prompt_text import IMAGES, PlainTemplate, Rendered, field_faults, plain_template
from schemas.section import Section

MAX_BYTES = 100_000  # of a prompt's file
PRESETS = ('rules', 'paper', 'grounded', 'mistakes', 'wrong_labels')
KINDS = ('incorrect', 'ambiguous')
Kind = Literal['incorrect', 'ambiguous']
_SHARED = ('question', 'context', IMAGES)
# What each use of a prompt may hold, and what it cannot do without. `candidate` is the answer that is judged, in turn the right one and the other.
USES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    'generate': ((*_SHARED, 'answer'), ('question', 'answer')),
    'yes_no': ((*_SHARED, 'candidate', 'answer'), ('question', 'candidate')),
    'pairwise': ((*_SHARED, 'first', 'second'), ('question', 'first', 'second')),
    'paper': ((*_SHARED, 'answer', 'candidate'), ('answer', 'candidate')),
    'rate': ((*_SHARED, 'answer'), ()),
}
CHOICES = {'yes_no': ('Yes', 'No'), 'pairwise': ('A', 'B'), 'paper': ('Yes', 'No')}
_EXAMPLE = dict.fromkeys(('question', 'context', 'answer', 'candidate', 'first', 'second'), 'An example.\nOf two lines.')


class Unread(str):
    """What kept a file from being read, in place of its name."""

    __slots__ = ()


def _was_read(value: object) -> object:
    if isinstance(value, Unread):
        raise ValueError(str(value))
    return value


def _one_or_several(value: object) -> object:
    return [value] if isinstance(value, str) else value


def _words(value: object) -> object:
    if isinstance(value, list | tuple) and any(isinstance(word, bool) for word in value):
        raise ValueError("expected words, found true or false, which is how YAML reads Yes and No without quotes; write ['Yes', 'No']")
    return value


def named_by_file(value: object) -> object:
    """Return what stands for a prompt of the recipe's own; raises ValueError for the bare name of a file."""
    if isinstance(value, str):
        raise ValueError(f'expected {{file: {value[:80]}}}, found {value[:80]!r}; the words that come with the mode need no prompt')
    return value


FileName = Annotated[str, BeforeValidator(_was_read, json_schema_input_type=str)]


class OwnPrompt(Section):
    """A prompt in a file beside the recipe: text with `{question}` and other fields, or Jinja where its name ends in .jinja."""

    file: FileName = Field(min_length=1)
    """The text file, beside the recipe that names it."""
    text: str = ''
    """What the file holds; it is read when the recipe is, so that the manifest says what was asked when the file is gone."""
    system: FileName = ''
    """Another file, for the system message in front."""
    system_text: str = ''
    """What that file holds; it is read when the recipe is."""

    @model_validator(mode='after')
    def _has_its_text(self) -> Self:
        for file, text, _ in self._files():
            if not text.strip():
                raise ValueError(f'{file}: expected the text of a prompt, found none')
        return self

    @property
    def name(self) -> str:
        """The short name by which rows and ids call it: its file's, whatever folder that lies in."""
        stem = Path(self.file.removesuffix('.jinja')).stem
        plain = re.sub(r'[^\w.-]+', '-', unicodedata.normalize('NFC', stem)).strip('-.')[:40] or 'prompt'
        return f'own-{plain}' if plain in PRESETS else plain

    @property
    def digest(self) -> str:
        """The first digits of the sha256 of its text."""
        return sha256('\0'.join((self.text, self.system_text)).encode('utf-8', 'replace')).hexdigest()[:8]

    def placeless(self) -> Self:
        """Return it without where its files lie: what rows depend on."""
        update = {'file': self.name + _ending(self.file), 'system': 'system' + _ending(self.system) if self.system_text else ''}
        return self.model_copy(update=update)

    def faults_for(self, use: str) -> list[str]:
        """Return what keeps it from being used so (one of USES), by file and line."""
        known, needed = USES[use]
        names: set[str] = set()
        faults: list[str] = []
        whole = True  # else what seems missing may stand behind the fault
        for file, text, in_front in self._files():
            template = _template(file, text)
            told = list(template.faults())
            whole = whole and not told
            allowed = tuple(name for name in known if name != IMAGES) if in_front else known
            told += field_faults(template.lines, allowed, _written(file))
            names |= template.fields
            faults += [f'{file} {fault}' if fault.startswith('line ') else f'{file}: {fault}' for fault in told or _tried(file, text)]
        missing = [_written(self.file) % name for name in needed if name not in names]
        if not needed and not names and whole:
            faults.append(f'{self.file}: expected {" or ".join(_written(self.file) % name for name in known)} somewhere, found none{self._hint()}')
        if missing and whole:
            faults.append(f'{self.file}: expected {" and ".join(missing)} somewhere, found none{self._hint()}')
        return faults

    def render(self, values: Mapping[str, str], *, pictures: bool) -> tuple[str, Rendered]:
        """Return the system text ('' without one) and the prompt; raises ValueError where a Jinja text cannot be filled with these values."""
        system = _render(self.system, self.system_text, values, pictures=pictures).text if self.system_text else ''
        return system, _render(self.file, self.text, values, pictures=pictures)

    def _files(self) -> Iterator[tuple[str, str, bool]]:
        """Yield (file, its text, whether it is the system message)."""
        yield self.file, self.text, False
        if self.system or self.system_text:
            yield self.system or 'system', self.system_text, True

    def _hint(self) -> str:
        """Return what is said to one who has written the fields of the other language."""
        if _ending(self.file) or not re.search(r'\{\{\s*(' + '|'.join(_EXAMPLE) + r')\s*\}\}', self.text):
            return ''
        return '; {{ and }} are braces as text here: write {name}, or end the name of a Jinja file in .jinja'


class GeneratorPrompt(OwnPrompt):
    """A prompt that asks for wrong answers. `kinds` is what it asks for: with `answers: json` one object with a key for each, else one answer."""

    answers: Literal['text', 'json'] = 'text'
    """text: a reply is one answer; json: it is one object with a key for each of `kinds`."""
    kinds: Annotated[tuple[Kind, ...], BeforeValidator(_one_or_several, json_schema_input_type=Kind | tuple[Kind, ...])] = Field(
        ('incorrect',), min_length=1)
    """What it asks for; with `answers: text` one of them."""

    @model_validator(mode='after')
    def _can_be_asked(self) -> Self:
        faults = self.faults_for('generate')
        if len(set(self.kinds)) < len(self.kinds):
            faults.append(f'kinds: expected each once, found {list(self.kinds)}')
        elif self.answers == 'text' and len(self.kinds) > 1:
            faults.append('kinds: expected one, since `answers: text` is one answer a reply; or say `answers: json`')
        if faults:
            raise ValueError('; '.join(faults))
        return self


class JudgePrompt(OwnPrompt):
    """A prompt that asks for a verdict in one of two words: `choices`, the right one first (yes_no, pairwise) or the wrong one's (paper)."""

    choices: Annotated[tuple[str, ...], BeforeValidator(_words, json_schema_input_type=tuple[str, ...])] = Field((), max_length=2)
    """[yes, no] of yes_no and paper, [first, second] of pairwise; none: Yes, No and A, B."""

    @model_validator(mode='after')
    def _can_be_told_apart(self) -> Self:
        words = [word.strip() for word in self.choices]
        if words and (len(words) != 2 or not all(words) or words[0][0].casefold() == words[1][0].casefold()):
            raise ValueError('choices: expected two words that begin with different letters, since the first token is what is read, '
                             f'found {list(self.choices)}')  # fmt: skip
        return self


def choices_of(mode: str, prompt: JudgePrompt | None) -> tuple[str, str]:
    """Return the two words that a judge may say in a mode; two empty ones where it says nothing."""
    if prompt is not None and prompt.choices:
        return prompt.choices[0].strip(), prompt.choices[1].strip()
    return CHOICES.get(mode, ('', ''))


def which_prompt(value: object) -> str:
    """Return the tag of what stands for a prompt; faults.py leaves out what begins with <."""
    return '<own>' if isinstance(value, dict | OwnPrompt) else '<preset>'


def placeless_prompt(section: Any) -> Any:
    """Return a section of the recipe with what its own prompt is, not where it lies; one with a preset as it is."""
    return section.model_copy(update={'prompt': section.prompt.placeless()}) if isinstance(section.prompt, OwnPrompt) else section


def _written(file: str) -> str:
    return '{{ %s }}' if _ending(file) else '{%s}'


def _ending(file: str) -> str:
    return '.jinja' if file.endswith('.jinja') else ''


def _template(file: str, text: str) -> Any:
    if not _ending(file):
        return plain_template(text)
    from schemas.prompt_jinja import jinja_template  # only a recipe with such a file waits for it

    return jinja_template(text)


def _render(file: str, text: str, values: Mapping[str, str], *, pictures: bool) -> Rendered:
    template = _template(file, text)
    if isinstance(template, PlainTemplate):
        return template.render(values)
    try:
        return template.render(values, pictures=pictures)
    except ValueError as e:
        raise ValueError(f'{file}: {e}') from e


def _tried(file: str, text: str) -> Iterator[str]:
    """Yield what keeps a text without other faults from being filled with examples: some faults of Jinja show only then."""
    for values in (_EXAMPLE, {**_EXAMPLE, 'context': ''}):
        for pictures in (True, False):
            try:
                repeated = _render(file, text, values, pictures=pictures).repeated
            except ValueError as e:
                yield str(e).removeprefix(f'{file}: ')
                return
            if repeated:
                yield f'expected {_written(file) % IMAGES} once in what is sent, found it again'
                return


class Beside(str):
    """The name of a file as it stands in a recipe, and the folder of that recipe: what it extends may lie elsewhere."""

    folder: Path

    def __new__(cls, name: str, folder: Path) -> Self:
        """Return the name with its folder."""
        found = super().__new__(cls, name)
        found.folder = folder
        return found


def remember_folder(data: dict, folder: Path) -> None:
    """Mark the root, and the files of prompts and ratings, that a recipe's plain values name with the folder they are seen from."""
    if isinstance(root := data.get('root'), str):
        data['root'] = Beside(root, folder)
    for rate in _ratings_of(data):
        rate['from'] = [Beside(name, folder) if isinstance(name, str) else name for name in rate['from']]
    for prompt in _prompts(data):
        for key in ('file', 'system'):
            if isinstance(name := prompt.get(key), str):
                prompt[key] = Beside(name, folder)


def read_prompts(data: dict, folder: Path) -> None:
    """Put the text of each prompt file beside its name, or in place of the name what kept it from being read; `folder`: of the recipe."""
    for prompt in _prompts(data):
        for key, held in (('file', 'text'), ('system', 'system_text')):
            name = prompt.get(key)
            if not isinstance(name, str) or not name or isinstance(name, Unread):
                continue
            path = place_of(name, folder)
            prompt[key] = str(name)
            text = read_prompt(path)
            if held not in prompt and isinstance(text, Unread):
                prompt[key] = text
            elif held in prompt and not isinstance(text, Unread) and text != prompt[held]:
                prompt[key] = Unread(f'expected the text of {path} beside it, found {held}: with other words; leave one of both out')
            else:
                prompt.setdefault(held, text)


def place_ratings(data: dict, folder: Path) -> None:
    """Put where each file of ratings lies in place of its name, or what kept it from being found, as Unread; `folder`: of the recipe."""
    for rate in _ratings_of(data):
        rate['from'] = [_placed(name, folder, 'a Parquet file of ratings') if isinstance(name, str) and name else name for name in rate['from']]


def place_excluded(data: dict, folder: Path, more: Iterable[Path]) -> None:
    """Put where each list of `exclude` lies in place of its name, and `more` lists behind them; as `place_ratings` does."""
    listed, added = data.get('exclude', []), [str(path.resolve()) for path in more]
    if not isinstance(listed, str | list):
        return
    names = [*([listed] if isinstance(listed, str) else listed), *added]
    if names:
        placed = [_placed(name, folder, 'a JSON file of tagged ids') if isinstance(name, str) and name else name for name in names]
        data['exclude'] = list(dict.fromkeys(placed)) if all(isinstance(name, str) for name in placed) else placed


def _placed(name: str, folder: Path, what: str) -> str:
    path = place_of(name, folder)
    try:
        return str(path.resolve()) if path.is_file() else Unread(f'expected {what}, found none: {path}')
    except (OSError, ValueError) as e:
        return Unread(f'expected {what}, found {str(path)[:200]!r}: {e}')


def _ratings_of(data: dict) -> Iterator[dict]:
    """Yield a recipe's `rate` with its `from` as a list, where it has one."""
    rate = data.get('rate')
    if isinstance(rate, dict) and 'from' in rate:
        rate['from'] = rate['from'] if isinstance(rate['from'], list) else [rate['from']]
        yield rate


def place_of(name: str, folder: Path) -> Path:
    """Return where a file lies: beside the recipe that names it; one that `--set` names there, or else where the command runs."""
    file = Path(os.path.expanduser(name))
    if isinstance(name, Beside):
        return name.folder / file
    beside = folder / file
    return file if not os.path.isfile(beside) and os.path.isfile(file) else beside


def read_prompt(path: Path) -> str:
    """Return the text of a prompt's file, line ends as \\n and no blank lines behind it; or what is wrong with it, as Unread."""
    try:
        if not path.is_file():
            return Unread(f'expected a text file, found {"something else at" if path.exists() else "none:"} {path}')
        with open(path, 'rb') as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            return Unread(f'{path}: expected at most {MAX_BYTES:,} bytes, found more')
        text = data.decode('utf-8-sig')
    except UnicodeDecodeError as e:
        line = data[:e.start].count(b'\n') + 1
        return Unread(f'{path} line {line}: expected UTF-8, found the byte 0x{data[e.start]:02x}')
    except (OSError, ValueError) as e:
        return Unread(f'expected a text file, found {path!s}: {e}')
    if '\0' in text:
        return Unread(f'{path}: expected text, found bytes that are none')
    text = text.replace('\r\n', '\n').replace('\r', '\n').rstrip()  # in front lines are kept, since faults count them
    return text or Unread(f'{path}: expected the text of a prompt, found an empty file')


def _prompts(data: dict) -> Iterator[dict]:
    """Yield the mappings that stand for prompts in a recipe's plain values, whatever else is wrong with those."""
    judge = data.get('judge')
    listed = data.get('generate')
    places = [*(listed if isinstance(listed, list) else []), judge, judge.get('second') if isinstance(judge, dict) else None]
    for place in places:
        if isinstance(place, dict) and isinstance(prompt := place.get('prompt'), dict):
            yield prompt
    rate = data.get('rate')
    asked = rate.get('ask') if isinstance(rate, dict) else None
    yield from (ask for ask in (asked if isinstance(asked, list) else [asked]) if isinstance(ask, dict))
