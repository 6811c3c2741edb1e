"""The code that a saved folder carries, so that `trust_remote_code=True` loads it where this package is not installed: one file.

It is put together from our own sources each time a folder is saved, so the two cannot drift apart. It holds every module of ours that the
model and its processor need, those of lower floors first, without what they import from one another.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from schemas.publish import publish_bytes

ROOT = Path(__file__).parents[2]
ROOTS = ('model.phantom.modeling', 'model.phantom.processor')
OURS = ('model', 'schemas')
MODULE = 'modeling_phantom'
AUTO_MAP = {
    'AutoConfig': f'{MODULE}.PhantomConfig',
    'AutoModel': f'{MODULE}.PhantomForConditionalGeneration',
    'AutoModelForCausalLM': f'{MODULE}.PhantomForConditionalGeneration',
    'AutoModelForImageTextToText': f'{MODULE}.PhantomForConditionalGeneration',
    'AutoModelForMultimodalLM': f'{MODULE}.PhantomForConditionalGeneration',
    'AutoProcessor': f'{MODULE}.PhantomProcessor',
}


class CarriesCode:
    """Saves the code beside what it saves, and names it there; for transformers' models and processors."""

    def save_pretrained(self, save_directory: Any, *args, **kwargs) -> Any:
        """What transformers saves, modeling_phantom.py, and where its classes are."""
        described = getattr(self, 'config', self)  # a processor describes itself
        described.auto_map = dict(AUTO_MAP)
        saved = super().save_pretrained(save_directory, *args, **kwargs)
        if kwargs.get('is_main_process', True):
            publish_bytes(Path(save_directory) / f'{MODULE}.py', carried_code().encode())
        return saved


# Where the file is loaded from a folder, transformers itself copies it to the next one.
ALONE = '''
class CarriesCode:
    """Nothing to add: transformers saves this file with what it describes."""
'''


@dataclass(frozen=True, slots=True)
class Module:
    """A source of ours, taken apart."""

    name: str
    ours: tuple[str, ...]  # modules of ours that it imports
    foreign: tuple[tuple[str, str], ...]  # module, and the name taken from it as it is written; '' for the module itself
    names: tuple[str, ...]  # that it defines
    body: str


@cache
def carried_code() -> str:
    """The whole file."""
    modules = list(ordered(ROOTS, {}))
    refuse_clashes(modules)
    foreign: dict[str, set[str]] = {}
    for module in modules:
        for source, name in module.foreign:
            foreign.setdefault(source, set()).add(name)
    imports = [f'import {source}' for source in sorted(foreign) if '' in foreign[source]]
    imports += [f'from {source} import {", ".join(sorted(names - {""}))}' for source, names in sorted(foreign.items()) if names - {''}]
    parts = ['"""Phantom (arXiv 2409.14713) for transformers, put together from the sources of the package `phantom`. Apache-2.0."""']
    return '\n'.join([*parts, '', *imports, *(f'\n\n# {module.name}\n{module.body}' for module in modules), ''])


def ordered(names: tuple[str, ...], seen: dict[str, None]) -> Iterator[Module]:
    """The modules of these names and what they need, each after what it needs."""
    for name in names:
        if name in seen:
            continue
        seen[name] = None
        if name == __name__ or name == 'model.phantom.carried':
            yield Module(name, (), (), ('CarriesCode',), ALONE.strip('\n'))
            continue
        module = read_module(name)
        yield from ordered(module.ours, seen)
        yield module


def read_module(name: str) -> Module:
    """A module of ours as the house writes them: a docstring, imports, definitions."""
    source = ROOT.joinpath(*name.split('.')).with_suffix('.py').read_text('utf-8')
    tree = ast.parse(source)
    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    rest = [node for node in tree.body[1:] if node not in imports]
    assert not imports or not rest or imports[-1].end_lineno < rest[0].lineno, f'{name}: an import behind definitions'
    ours, foreign = [], []
    for node in imports:
        for alias in node.names:
            source_of = node.module if isinstance(node, ast.ImportFrom) else alias.name
            if source_of.partition('.')[0] in OURS:
                assert not alias.asname, f'{name}: {source_of} by another name'
                ours.append(source_of)
            elif isinstance(node, ast.ImportFrom):
                foreign.append((source_of, f'{alias.name} as {alias.asname}' if alias.asname else alias.name))
            else:
                foreign.append((f'{source_of} as {alias.asname}' if alias.asname else source_of, ''))
    body = source.splitlines()[imports[-1].end_lineno if imports else tree.body[0].end_lineno :]
    return Module(name, tuple(dict.fromkeys(ours)), tuple(foreign), tuple(defined(rest)), '\n'.join(body).strip('\n'))


def defined(nodes: list[ast.stmt]) -> Iterator[str]:
    """The names that some statements of a module define."""
    for node in nodes:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        for target in node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []:
            yield from (name.id for name in ast.walk(target) if isinstance(name, ast.Name))


def refuse_clashes(modules: list[Module]) -> None:
    """Names must mean one thing in the one file; raises AssertionError."""
    owners: dict[str, str] = {}
    for module in modules:
        for source, name in module.foreign:
            bound = (name or source).split(' as ')[-1].partition('.')[0]
            owner = source if name else f'import {source}'
            assert owners.setdefault(bound, owner) == owner, f'{bound}: of {owners[bound]} and of {owner}'
    for module in modules:
        for name in module.names:
            assert owners.setdefault(name, module.name) == module.name, f'{name}: of {owners[name]} and of {module.name}'
