"""Every command that README and docs tell a reader to type is one that the command line takes, and its verb is run by a test."""

import argparse
import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.exceptions import TyperException

import phantom
from model.training.settings import load_preset
from pipelines.benches.layouts.names import LayoutName
from pipelines.engine.options import check_options
from schemas.errors import UserError
from schemas.options import ANYWHERE
from schemas.recipe import load_recipe
from schemas.recipe_keys import help_on
from schemas.yaml_text import parse_settings
from tests.documented import PAGES, ROOT, SHELL, Typed, all_typed, blocks, commands, outside_blocks

# The test that runs each verb through the command line
RUN_BY = {
    'recipes': 'tests/test_front_door.py', 'help': 'tests/schemas/test_recipe_keys.py', 'schema': 'tests/schemas/test_recipe_keys.py',
    'init': 'tests/pipelines/look/begin/test_init.py', 'demo-data': 'tests/test_verbs.py', 'validate': 'tests/test_front_door.py',
    'preview': 'tests/pipelines/look/test_further_turns.py', 'build': 'tests/pipelines/look/test_further_turns.py',
    'select': 'tests/programmes/test_select.py', 'convert': 'tests/pipelines/sources/convert/test_convert.py', 'read-bench': 'tests/test_verbs.py',
    'show': 'tests/test_front_door.py', 'status': 'tests/pipelines/look/test_status.py', 'cost': 'tests/pipelines/look/test_spent.py',
    'verify': 'tests/test_front_door.py', 'seal': 'tests/test_verbs.py', 'gallery': 'tests/test_front_door.py',
    'explain': 'tests/pipelines/look/test_explain.py', 'audit': 'tests/test_front_door.py', 'diff': 'tests/test_front_door.py',
    'export': 'tests/test_front_door.py', 'push': 'tests/pipelines/snapshot/hub/test_push.py', 'join': 'tests/test_verbs.py',
    'train': 'tests/test_verbs.py', 'rate': 'tests/test_verbs.py', 'compare': 'tests/test_verbs.py', 'ask': 'tests/test_verbs.py',
    'serve': 'tests/model/serving/test_served.py', 'eval': 'tests/pipelines/benches/test_served.py', 'results': 'tests/pipelines/benches/test_served.py',
    'verify-model': 'tests/test_verbs.py', 'serve-demo': 'tests/pipelines/demo/test_server.py', 'replies': 'tests/programmes/test_money.py',
    'doctor': 'tests/pipelines/look/test_doctor.py', 'clean': 'tests/programmes/test_bad_input.py',
}  # fmt: skip
OTHERS_RUN_BY = {('ray', 'start'): 'tests/clusters.py', ('ray', 'stop'): 'tests/clusters.py', ('prism',): 'tests/prism.py'}
DOOR = typer.main.get_command(phantom.app)
TYPED = all_typed()
OURS = ('phantom', 'make', 'python', '.venv/bin/pytest', 'do', 'done', 'break', 'sleep', '[')  # and what a shell has itself


def faults(command: Typed) -> Iterator[str]:
    """Yield what the command line, make or a script would refuse of a command."""
    program, *words = command.words
    if program == 'phantom':
        yield from faults_of_phantom(words, command.quoted)
    elif program == 'make':
        yield from (f'no target {word}' for word in words if not re.search(rf'^{re.escape(word)}:', (ROOT / 'Makefile').read_text(), re.M))
    elif program == '.venv/bin/pytest':
        yield from (f'{word} is not there' for word in words if word.startswith('tests/') and not (ROOT / word).exists())
    elif words[:2] == ['-m', 'benchmarks.NAME']:
        return
    elif program == 'python' and words[0] == '-m' and words[1].startswith('benchmarks.'):
        yield from faults_of_benchmark(words[1], words[2:])
    elif program == 'python' and words[0] == '-m' and not command.not_run:
        yield from () if importlib.util.find_spec(words[1]) else (f'no module {words[1]}',)
    elif program not in OURS and not command.not_run and not any(command.words[: len(words)] == words for words in OTHERS_RUN_BY):
        yield 'no test runs it: say `# not run here` behind it'


def faults_of_phantom(words: list[str], quoted: bool) -> Iterator[str]:
    """Yield what `phantom` would refuse, without running the verb. Within a sentence required arguments may be left out."""
    at = next((at for at, word in enumerate(words) if word[:1] != '-'), len(words))
    known = {option for param in DOOR.params for option in param.opts} | {'--help'}
    yield from (f'no option {word}' for word in words[:at] if word not in known)
    if words[at:] and words[at] != 'VERB':
        yield from faults_of_verb(words[at], [word for word in words[at + 1:] if word not in ANYWHERE], quoted)


def faults_of_verb(verb: str, words: list[str], quoted: bool) -> Iterator[str]:
    if verb not in DOOR.commands:
        yield f'no verb {verb}'
        return
    try:
        context = DOOR.commands[verb].make_context(verb, list(words))
    except typer.Exit:  # --help
        return
    except TyperException as refused:
        incomplete = type(refused).__name__ == 'MissingParameter' or 'requires an argument' in refused.format_message()
        if not (quoted and incomplete):
            yield refused.format_message()
        return
    yield from faults_of_values(verb, context.params, context.args)


def faults_of_values(verb: str, given: dict, more: list[str]) -> Iterator[str]:
    """Yield what the verb itself would refuse of its options: keys and settings, presets, benchmarks, what is handed on."""
    sets, preset = given.get('set_') or [], given.get('preset', '')
    try:
        if verb == 'build':
            check_options(more)
        if preset and preset != 'NAME' and not preset.endswith('.yaml'):
            load_preset(preset, **parse_settings([one for one in sets if one != 'name=value']))
        elif preset:
            load_preset('tiny', **parse_settings([one for one in sets if one != 'name=value']))
        elif sets:
            for one in sets:
                known_key(one.partition('=')[0])
        if 'bench' in given:
            LayoutName(given['bench'])
    except (UserError, ValueError) as refused:
        yield str(refused)


def known_key(key: str) -> None:
    """Raise UserError for a key that no recipe has; below a mapping a name may be any."""
    above = key.rpartition('.')[0]
    if not (above and 'mapping: name' in help_on(above)):
        help_on(key)


class Parsed(BaseException):
    """The arguments were taken; nothing is to run."""


def faults_of_benchmark(module: str, words: list[str]) -> Iterator[str]:
    """Yield what a script's own parser refuses; its work is not begun."""
    try:
        main = importlib.import_module(module).main
    except (ImportError, AttributeError) as error:
        yield str(error)
        return
    take = argparse.ArgumentParser.parse_args

    def parse(parser: argparse.ArgumentParser, arguments: object = None) -> None:
        parser.error = lambda message: (_ for _ in ()).throw(UserError(message))
        for action in parser._actions:
            action.required = False  # argparse would tell of what lacks, and of nothing else
        take(parser, words)
        raise Parsed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(argparse.ArgumentParser, 'parse_args', parse)
        try:
            if words:
                main()
        except Parsed:
            pass
        except UserError as refused:
            yield str(refused)


def test_every_command_of_the_documents_is_taken():
    assert len([command for command in TYPED if command.words[0] == 'phantom' and not command.quoted]) > 80
    assert [f'{command}: {fault}' for command in TYPED for fault in faults(command)] == []


def test_every_command_of_the_makefile_is_taken():
    lines = re.findall(r'^\t.*?\$\(BIN\)/((?:phantom|python) .*)$', (ROOT / 'Makefile').read_text('utf-8'), re.M)
    assert len(lines) > 8
    assert [f'{line}: {fault}' for line in lines for words in commands(line) for fault in faults(Typed(words, 'Makefile', 1))] == []


@pytest.mark.parametrize(('line', 'told'), [
    ('phantom biuld mine.yaml --out mine', 'no verb biuld'),
    ('phantom --quite show mine', 'no option --quite'),
    ('phantom show mine --jsno', '--jsno'),
    ('phantom build mine.yaml --out mine --dry-rnu', 'dry_rnu'),
    ('phantom build mine.yaml', '--out'),
    ('phantom preview mine.yaml -n many --out mine', "'-n'"),
    ('phantom export mine --to tlr --out x', 'tlr'),
    ('phantom select mine.yaml --out b --set judge.margni=0.5', 'judge.margni'),
    ('phantom train --snapshot mine --preset tiyn --out ckpt', 'tiyn'),
    ('phantom train --snapshot mine --preset tiny --out ckpt --set validate_evry=50', 'validate_evry'),
    ('phantom eval ckpt --bench poppe --root a --out b', 'poppe'),
    ('until phantom bild my.yaml --out out; do sleep 600; done', 'no verb bild'),
    ("srun bash -c 'phantom bild my.yaml --shard $((SLURM_PROCID + 1))/8'", 'no verb bild'),
    ('make dmeo', 'no target dmeo'),
    ('python -m benchmarks.no_such', 'no_such'),
    ('python -m benchmarks.reading -m 5000', '-m'),
    ('.venv/bin/pytest -q tests/gone', 'tests/gone'),
    ('docker run it', 'not run here'),
])
def test_a_mistake_in_a_document_is_told(line, told):
    found = [fault for words in commands(line) for fault in faults(Typed(words, 'page', 1))]
    assert [fault for fault in found if told in fault], found


def test_every_verb_is_shown_by_a_document_and_run_by_a_test():
    assert {*RUN_BY} == {*DOOR.commands}
    shown = {command.words[1] for command in TYPED if command.page == 'docs/commands.md' and not command.quoted and command.words[0] == 'phantom'}
    assert shown == {*DOOR.commands}
    assert [f'{path} does not run {verb}' for verb, path in RUN_BY.items() if verb not in first_words(path)] == []
    assert [path for path in OTHERS_RUN_BY.values() if not (ROOT / path).exists()] == []


def first_words(path: str) -> set[str]:
    """Return what a test gives to the command line as its first word: of front(...), or of a list of words."""
    tree = ast.parse((ROOT / path).read_text('utf-8'))
    lines = [node.args for node in ast.walk(tree) if isinstance(node, ast.Call)] + [node.elts for node in ast.walk(tree) if isinstance(node, ast.List | ast.Tuple)]
    return {word.value for line in lines for word in line[:5] if isinstance(word, ast.Constant) and isinstance(word.value, str)}


def test_commands_stand_in_blocks_of_their_language():
    """A command in a block of another language, or in an indented one, would be seen by no test."""
    starts = re.compile(r'\s*(?:phantom|python -m|make|pip) \w')
    stray = [f'{page.name}: {line}' for page in PAGES for _, language, lines in blocks(page.read_text('utf-8')) if language not in SHELL
             for line in lines if starts.match(line)]
    stray += [f'{page.name}: {line}' for page in PAGES for line in outside_blocks(page.read_text('utf-8')) if line.startswith('    ') and starts.match(line)]
    assert stray == []


def test_the_recipe_of_the_documents_loads(tmp_path):
    """docs/own_data.md shows a whole recipe: its keys and values are those of a recipe."""
    [text] = [lines for _, language, lines in blocks((ROOT / 'docs/own_data.md').read_text('utf-8')) if language == 'yaml']
    (tmp_path / 'mine.yaml').write_text('\n'.join(text), 'utf-8')
    assert load_recipe(tmp_path / 'mine.yaml').name == 'mine'


# --- links ---

LINK = re.compile(r'\]\(([^)\s]+)\)')


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    heads = [line.lstrip('#').strip() for line in outside_blocks(page.read_text('utf-8')) if re.match(r'#+ ', line)]
    return {re.sub(r'[^\w\- ]', '', re.sub(r'[`*]', '', head).lower()).replace(' ', '-') for head in heads}


def lost_links(page: Path, text: str) -> list[str]:
    """Return the links of a page to files, or headings of them, that are not there."""
    lost = []
    for link in LINK.findall('\n'.join(outside_blocks(text))):
        path, _, anchor = link.partition('#')
        at = page.parent / path if path else page
        if '://' not in link and not (at.exists() and (not anchor or anchor in anchors(at))):
            lost.append(link)
    return lost


def test_every_link_of_the_documents_leads_somewhere():
    assert {str(page.relative_to(ROOT)): lost for page in PAGES if (lost := lost_links(page, page.read_text('utf-8')))} == {}


@pytest.mark.parametrize('link', ['gone.md', 'operations.md#no-such-heading', '#no-such-heading', 'gallery/gone.png'])
def test_a_link_that_leads_nowhere_is_told(link):
    assert lost_links(ROOT / 'docs/tree.md', f'see [this]({link})') == [link]


def test_every_document_is_in_the_table_of_the_readme():
    linked = {link.partition('#')[0] for link in LINK.findall((ROOT / 'README.md').read_text('utf-8'))}
    assert {str(page.relative_to(ROOT)) for page in PAGES} - {'README.md'} <= linked
