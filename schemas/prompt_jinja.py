"""A prompt of the user's own with conditions: Jinja, in the library's sandbox, and of its language what a prompt needs.

What a file from a stranger could do harm with is refused by line: other files, macros, loops inside loops, assignments and arithmetic that
make texts longer and longer. So the work is bounded by the texts that are put in, and the length of what comes out is, too.
"""

import traceback
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from hashlib import sha256

from jinja2 import StrictUndefined, TemplateSyntaxError, nodes
from jinja2.environment import Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from schemas.prompt_text import IMAGES, Rendered

MAX_CHARS = 2_000_000  # of a rendered prompt: longer than any context
MAX_DEPTH = 30  # of conditions, filters and brackets inside each other: 250 filters in a chain took Jinja a minute to compile
MAX_NODES = 3_000  # of its tree, in which text between two marks is one node
FILTERS = frozenset({'capitalize', 'default', 'd', 'first', 'join', 'last', 'length', 'count', 'list', 'lower', 'replace', 'reverse', 'title', 'trim',
                     'truncate', 'upper', 'wordcount', 'int', 'unique', 'sort'})  # fmt: skip
METHODS = frozenset({'count', 'endswith', 'find', 'lower', 'removeprefix', 'removesuffix', 'split', 'splitlines', 'startswith', 'strip', 'upper'})
REFUSED = {
    nodes.Include: 'include', nodes.Import: 'import', nodes.FromImport: 'import', nodes.Extends: 'extends', nodes.Block: 'block',
    nodes.Macro: 'macro', nodes.CallBlock: 'call', nodes.Assign: 'set', nodes.AssignBlock: 'set', nodes.With: 'with',
    nodes.Mul: '*', nodes.Pow: '**', nodes.Mod: '%', nodes.ScopedEvalContextModifier: 'autoescape',
}  # fmt: skip


class JinjaTemplate:
    """A Jinja text. `lines` says on which line each name stands first."""

    def __init__(self, text: str):
        self.lines: dict[str, int] = {}
        self._faults: list[str] = []
        self._template: Template | None = None
        environment = _environment()
        try:
            tree = environment.parse(text)
            if too_much := _too_much(tree):
                self._faults = [too_much]
                return
            self._faults = list(_refused(tree))
            self.lines = _names(tree)
            if not self._faults:  # Jinja works out constants as it compiles, and where it looks for undeclared names
                self._template = environment.from_string(text)
        except TemplateSyntaxError as e:
            self._faults.append(f'line {e.lineno}: {e.message}')
        except ValueError as e:  # a number of too many digits
            self._faults.append(str(e))
        except (RecursionError, SyntaxError):  # Python's own, of the code that Jinja makes
            self._faults.append('expected a text that can be followed, found brackets too deep')

    @property
    def fields(self) -> frozenset[str]:
        """The names that stand in it."""
        return frozenset(self.lines)

    def faults(self) -> Iterator[str]:
        """Yield what is wrong with it, whatever the prompt is for."""
        yield from self._faults

    def render(self, values: Mapping[str, str], *, pictures: bool = True) -> Rendered:
        """Return the prompt; `images` is true in conditions where pictures are shown. Raises ValueError with the line where it cannot be filled."""
        assert self._template is not None, 'faults are told before anything is rendered'
        # a mark that no value can hold, for it hangs on all of them; digits, so that `upper` leaves it alone
        mark = f'\0{int(sha256(repr(sorted(values.items())).encode("utf-8", "replace")).hexdigest(), 16)}\0'
        said, n = [], 0
        try:
            for piece in self._template.generate({**values, IMAGES: mark if pictures else ''}):
                n += len(piece)
                if n > MAX_CHARS:
                    raise ValueError(f'line 1: expected at most {MAX_CHARS:,} characters, found more')
                said.append(piece)
        except ValueError as e:
            raise ValueError(str(e) if str(e).startswith('line ') else f'line {_line_of(e)}: {e}') from e
        except Exception as e:  # whatever a stranger's text makes Jinja raise: NameError for 1e999, AssertionError for truncate(1), ...
            raise ValueError(f'line {_line_of(e)}: {type(e).__name__}: {e}') from e
        whole = ''.join(said).encode('utf-8', 'replace').decode()  # '\ud800' in a template is half a character
        before, marked, after = whole.partition(mark)
        return Rendered(before, after.replace(mark, ''), mark in after) if marked else Rendered('', before)


def _line_of(error: Exception) -> int:
    """Return the line of the template at which it failed; Jinja writes its own lines into the traceback."""
    lines = [line for frame, line in traceback.walk_tb(error.__traceback__) if frame.f_code.co_filename == '<template>']
    return lines[-1] if lines else 1


def _names(tree: nodes.Template) -> dict[str, int]:
    """Return the names that stand for a value, but those of loops, each with the first line it stands on."""
    names = list(tree.find_all(nodes.Name))
    bound = {name.name for name in names if name.ctx == 'store'} | ({'loop'} if tree.find(nodes.For) else set())
    lines: dict[str, int] = {}
    for name in names:
        if name.name not in bound:
            lines[name.name] = min(name.lineno, lines.get(name.name, name.lineno))
    return lines


def _too_much(tree: nodes.Template) -> str:
    """Return what keeps a tree from being compiled, '' where nothing does; without recursion, since it may be deeper than Python's stack."""
    waiting: list[tuple[int, nodes.Node]] = [(0, tree)]
    n = 0
    while waiting:
        depth, node = waiting.pop()
        n += 1
        if depth > MAX_DEPTH:
            return f'line {node.lineno}: expected at most {MAX_DEPTH} conditions, filters and brackets inside each other, found more'
        if n > MAX_NODES:
            return f'expected at most {MAX_NODES:,} fields, conditions and texts between them, found more'
        waiting += [(depth + 1, child) for child in node.iter_child_nodes()]
    return ''


def _refused(tree: nodes.Template) -> Iterator[str]:
    for node in tree.find_all(tuple(REFUSED)):
        yield f'line {node.lineno}: {REFUSED[type(node)]!r} is not for prompts; conditions, one loop, filters and fields are'
    for loop in tree.find_all(nodes.For):
        if loop.recursive or any(inner is not loop for inner in loop.find_all(nodes.For)):
            yield f'line {loop.lineno}: expected no loop inside a loop, found one'
    for call in tree.find_all(nodes.Call):
        if not (isinstance(call.node, nodes.Getattr) and call.node.attr in METHODS):
            called = call.node.attr if isinstance(call.node, nodes.Getattr) else getattr(call.node, 'name', 'something')
            yield f'line {call.lineno}: {called}() is not for prompts; expected one of {", ".join(sorted(METHODS))}'


def _replace(text: object, old: object, new: object, count: int = -1) -> str:
    """Return a text with `new` for `old`; raises ValueError before one in a chain of them fills the memory."""
    said, gone, put = str(text), str(old), str(new)
    found = said.count(gone)
    _refuse_long(len(said) + (found if count < 0 else min(found, count)) * max(0, len(put) - len(gone)))
    return said.replace(gone, put, count)


def _join(values: Iterable[object], between: object = '') -> str:
    """Return the texts of `values` as one; raises ValueError before that fills the memory."""
    texts, separator = [str(value) for value in values], str(between)
    _refuse_long(sum(map(len, texts)) + len(separator) * len(texts))
    return separator.join(texts)


def _refuse_long(chars: int) -> None:
    if chars > MAX_CHARS:
        raise ValueError(f'expected at most {MAX_CHARS:,} characters, found {chars:,}')


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    found = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True)
    found.globals.clear()  # range, namespace, lipsum, ...
    found.filters = {name: used for name, used in found.filters.items() if name in FILTERS} | {'replace': _replace, 'join': _join}
    return found


@lru_cache(maxsize=64)
def jinja_template(text: str) -> JinjaTemplate:
    """Return the template of a Jinja text."""
    return JinjaTemplate(text)
