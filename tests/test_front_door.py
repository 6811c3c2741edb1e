"""What a user of the command line relies on: version, completion, --json, folders found from either side, commands that can be pasted."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.snapshot.seal import check_free
from schemas.errors import SnapshotExists
from schemas.revision import git_revision
from schemas.snapshot import open_snapshot
from tests.pipelines.snapshot.sealed import rejection, sample, says, seal_rows, triple
from tests.programmes.project import phantom, run

ROOT = Path(__file__).parent.parent


def build_at(folder: Path, *kinds: str, n: int = 3) -> Path:
    """Return `folder` with small sealed snapshots of these kinds in it, as a build leaves it."""
    if 'mix' in kinds:
        seal_rows(folder / 'mix', 'mix', [sample(i) for i in range(n)], [rejection(9, 'EMPTY_ANSWER', unit='sample')])
    if 'triples' in kinds:
        seal_rows(folder / 'triples', 'triples', [triple(i) for i in range(n)], [rejection(8)])
    return folder


@pytest.fixture
def out(tmp_path) -> Path:
    return build_at(tmp_path / 'out', 'mix', 'triples')


def refused(told: tuple[int, str, str]) -> str:
    """Return the message of a command that a mistake ended; it printed nothing else."""
    assert (told[0], told[1]) == (2, ''), told
    assert told[2].startswith('phantom: ')
    assert 'Traceback' not in told[2]
    return told[2]


# --- version, completion, quiet ---


def test_the_version_is_told_with_the_revision_of_a_checkout(front):
    code, told, _ = front('--version')
    assert code == 0
    assert re.fullmatch(r'phantom (\d+\.\d+\.\d+|not installed)( \(git [0-9a-f]+(-dirty)?\))?\n', told), told
    assert ('git' in told) == ((ROOT / '.git').exists() and shutil.which('git') is not None)


@pytest.mark.skipif(shutil.which('git') is None, reason='needs git')
def test_a_package_inside_somebody_elses_repository_is_no_checkout(tmp_path):
    mine = tmp_path / 'repository'
    site = mine / 'site-packages'
    site.mkdir(parents=True)
    for words in (['init', '-q'], ['-c', 'user.name=a', '-c', 'user.email=a@b', 'commit', '-q', '--allow-empty', '-m', 'x']):
        subprocess.run(['git', '-C', mine, *words], check=True)
    assert git_revision(site) == ''
    assert re.fullmatch('[0-9a-f]{7,}', git_revision(mine))


def test_the_shell_completes_verbs():
    told = run([phantom()], _PHANTOM_COMPLETE='complete_bash', COMP_WORDS='phantom ver', COMP_CWORD='1')
    assert told.stdout.split() == ['verify', 'verify-model']


def test_completion_can_be_installed(front):
    assert '--install-completion' in front('--help')[1]


@pytest.mark.parametrize('words', [['--quiet', 'gallery'], ['gallery', '--quiet'], ['gallery', '-q']])
def test_quiet_keeps_news_back_and_the_result_stays(front, out, monkeypatch, words):
    """Nothing is served: what is said before the server waits for requests is looked at."""
    monkeypatch.setattr('http.server.ThreadingHTTPServer.serve_forever', lambda server: None)
    _, loud, news = front('gallery', out, '--port', 0)
    _, told, quiet = front(*words, out, '--port', 0)
    assert 'indexing ...' in news
    assert quiet == ''
    assert told.startswith(f'gallery of {out}/triples: http://127.0.0.1:')
    assert re.sub(r':\d+/', '', told) == re.sub(r':\d+/', '', loud)


def test_what_was_asked_for_is_not_kept_back(front, out):
    assert front('show', out, '--quiet')[1] == front('show', out)[1]
    assert front('-q', 'show', out / 'none')[2].startswith('phantom: ')


# --- JSON ---


def documented(verb: str) -> set[str]:
    """Return the keys that docs/json.md names for a verb."""
    section = (ROOT / 'docs/json.md').read_text().split(f'\n## {verb}\n')[1].split('\n## ')[0]
    return set(re.findall(r'^\| `([^`]+)` \|', section, re.M))


def paths(value: object, at: str = '') -> set[str]:
    if isinstance(value, dict):
        return set().union(*({f'{at}{key}'} | paths(part, f'{at}{key}.') for key, part in value.items()))
    return set().union(*(paths(part, f'{at[:-1]}[].') for part in value)) if isinstance(value, list) else set()


def the_object(told: tuple[int, str, str], verb: str, code: int = 0) -> dict:
    """Return the one JSON object that was printed: strict JSON, every key documented, nothing beside it."""
    assert (told[0], told[2]) == (code, ''), told
    value = json.loads(told[1], parse_constant=pytest.fail)
    known = documented(verb)
    leaves = tuple(f'{key}{sign}' for key in known if not any(other.startswith((f'{key}.', f'{key}[]')) for other in known) for sign in ('.', '['))
    for path in paths(value):
        assert path in known or path.startswith(leaves) or any(key.startswith((f'{path}.', f'{path}[')) for key in known), f'{path} is not documented'
    assert {key.partition('.')[0].removesuffix('[]') for key in known} == set(value)
    return value


def test_show_as_json(front, out):
    told = the_object(front('show', out, '--json'), 'show')
    assert [(one['kind'], one['rows'], one['path']) for one in told['snapshots']] == [('mix', 3, f'{out}/mix'), ('triples', 3, f'{out}/triples')]
    assert told['snapshots'][1]['books'][0] == {'unit': 'candidate', 'source': 'shapes', 'kept': 3, 'rejected': {'LOW_MARGIN': 1}, 'n_in': 4}
    assert told['snapshots'][1]['snapshot_id'] == open_snapshot(out / 'triples').snapshot_id


def test_numbers_that_json_has_no_word_for_are_null(front, tmp_path):
    out = tmp_path / 'out'
    seal_rows(out / 'triples', 'triples', [triple(0)], calibration={'reports': [], 'accepted_faults': {}, 'auc': float('nan')})
    assert the_object(front('show', out, '--json'), 'show')['snapshots'][0]['calibration']['auc'] is None


def test_verify_as_json(front, out):
    told = the_object(front('verify', out, '--json'), 'verify')
    assert told['ok'] is True
    assert [(one['kind'], one['n_faults'], one['faults']) for one in told['snapshots']] == [('mix', 0, []), ('triples', 0, [])]
    (out / 'mix/README.md').write_text('# another')
    told = the_object(front('verify', out, '--json'), 'verify', code=1)
    assert told['ok'] is False
    assert [one['n_faults'] for one in told['snapshots']] == [1, 0]
    assert (told['snapshots'][0]['faults'][0]['file'], told['snapshots'][0]['faults'][0]['row']) == ('README.md', None)


def test_diff_as_json(front, tmp_path):
    a, b = tmp_path / 'a', tmp_path / 'b'
    seal_rows(a, 'triples', [triple(0), triple(1), triple(2, score=float('nan'))])
    seal_rows(b, 'triples', [triple(0, rejected=[says('assistant', 'other')]), triple(2, score=0.5)], [rejection(1)])
    told = the_object(front('diff', a, b, '--json'), 'diff')
    assert (told['kind'], told['removed'], told['changed'], told['same']) == ('triples', 1, 2, 0)
    assert [move['after'] for move in told['moves']] == ['LOW_MARGIN']
    assert {example['id']: example.get('score') for example in told['changed_examples']}[triple(2)['triple_id']] == [None, 0.5]


def test_validate_as_json(front, tmp_path):
    (tmp_path / 'a.json').write_text(json.dumps([{'instruction': f'Q{i}?', 'output': 'yes'} for i in range(5)]))
    sources = {name: {'format': 'instruction', 'annotations': [f'{name}.json'], 'licence': 'MIT'} for name in 'ab'}
    recipe = {'name': 'r', 'root': str(tmp_path), 'sources': sources, 'contamination': {'benchmarks': [{'name': 'a', 'path': 'bench'}]}}
    (tmp_path / 'r.yaml').write_text(json.dumps(recipe))
    told = the_object(front('validate', tmp_path / 'r.yaml', '--json'), 'validate', code=2)
    assert [(source['name'], source['state'], source['records']) for source in told['sources']] == [('a', 'ok', 5), ('b', 'missing', None)]
    assert 'found none' in told['sources'][1]['faults'][0]
    assert [(bench['state'], 'records' in bench) for bench in told['benchmarks']] == [('missing', False)]
    assert told['ok'] is False
    (tmp_path / 'b.json').write_text((tmp_path / 'a.json').read_text())
    told = the_object(front('validate', tmp_path / 'r.yaml', '--json', '--set', 'contamination={}'), 'validate')
    assert (told['ok'], told['root'], told['benchmarks']) == (True, str(tmp_path), [])


@pytest.mark.parametrize('verb', ['show', 'verify', 'validate', 'diff', 'explain'])
def test_a_mistake_leaves_standard_output_empty(front, tmp_path, verb):
    more = {'diff': [tmp_path], 'explain': ['--build', tmp_path]}.get(verb, [])
    refused(front(verb, tmp_path / 'none', *more, '--json'))


# --- a snapshot or a build's folder ---


def test_verify_checks_every_snapshot_of_a_build(front, out):
    code, told, _ = front('verify', out)
    assert code == 0
    assert [line.split(':')[0] for line in told.splitlines()] == [f'{out}/mix', f'{out}/triples']
    (out / 'mix/README.md').write_text('# another')
    code, told, _ = front('verify', out)
    assert code == 1
    assert f'{out}/mix: 1 fault(s)' in told
    assert f'{out}/triples: 3 rows verified' in told


@pytest.mark.parametrize(('kinds', 'taken'), [(('mix', 'triples'), 'triples'), (('mix',), 'mix')])
def test_export_takes_the_triples_of_a_build_else_its_mix(front, tmp_path, kinds, taken):
    build_at(tmp_path / 'out', *kinds)
    assert front('export', tmp_path / 'out', '--to', 'jsonl', '--out', tmp_path / 'x')[0] == 0
    assert json.loads((tmp_path / 'x/export.json').read_text())['snapshot_id'] == open_snapshot(tmp_path / 'out' / taken).snapshot_id


@pytest.mark.parametrize(('kinds', 'taken'), [(('mix', 'triples'), 'triples'), (('mix',), 'mix')])
def test_gallery_takes_the_triples_of_a_build_else_its_mix(front, tmp_path, kinds, taken):
    build_at(tmp_path / 'out', *kinds)
    assert front('gallery', tmp_path / 'out', '--export', tmp_path / 'page')[0] == 0
    assert open_snapshot(tmp_path / 'out' / taken).snapshot_id in (tmp_path / 'page/about.js').read_text()


def test_audit_and_train_take_the_triples_of_a_build_and_nothing_else(front, out, tmp_path):
    code, told, _ = front('audit', out, '-n', 2, '--out', tmp_path / 'labels')
    assert code == 0
    assert shlex.split(told.split('then: ')[1])[:3] == ['phantom', 'audit', f'{out}/triples']
    for verb in (['audit', out / 'mix', '--out', tmp_path / 'y'], ['train', '--snapshot', out / 'mix', '--out', tmp_path / 'y']):
        assert f'expected kind triples, found mix; did you mean {out}/triples' in refused(front(*verb))
    only = build_at(tmp_path / 'only', 'mix')
    for verb in (['audit', only, '--out', tmp_path / 'y'], ['train', '--snapshot', only, '--out', tmp_path / 'y']):
        assert f'{only}: expected sealed triples in this folder of a build, found only {only}/mix' in refused(front(*verb))


def test_train_opens_the_triples_of_a_build(front, out, tmp_path, monkeypatch):
    taken = []
    monkeypatch.setattr('model.training.train.train', lambda snapshot, out, **settings: taken.append(snapshot))
    assert front('train', '--snapshot', out, '--out', tmp_path / 'c')[0] == 0
    assert taken == [out / 'triples']


def test_show_finds_the_build_of_a_snapshot(front, out, monkeypatch):
    whole = front('show', out)[1]
    assert whole
    assert front('show', out / 'triples')[1] == whole
    monkeypatch.chdir(out / 'mix')
    assert front('show', '.')[1] == whole
    assert f'did you mean {out}/mix or {out}/triples' in refused(front('show', out / 'work'))


def test_clean_finds_the_build_of_a_snapshot_but_removes_snapshots_only_by_the_builds_own_name(front, out):
    (out / 'work').mkdir()
    (out / 'work/.lock-0').touch()
    assert f'did you mean {out}\n' in refused(front('clean', out / 'triples', '--yes'))
    assert sorted(path.name for path in out.iterdir()) == ['mix', 'triples', 'work']
    assert front('clean', out / 'triples')[1].startswith(f'{out}: removed work; kept sealed')
    assert sorted(path.name for path in out.iterdir()) == ['mix', 'triples']


def test_explain_looks_for_the_work_of_a_snapshots_build(front, out):
    assert f'{out}/work: expected the tables of a finished mix' in refused(front('explain', 'abc', '--build', out / 'triples'))


def test_diff_compares_the_same_kind(front, tmp_path, out):
    other, mix = build_at(tmp_path / 'other', 'mix', 'triples', n=2), build_at(tmp_path / 'mix-only', 'mix', n=2)
    assert front('diff', out, other)[1].startswith('triples ')
    assert front('diff', out, mix)[1].startswith('mix ')
    assert front('diff', out, other / 'mix')[1].startswith('mix ')
    assert f'did you mean {other}/triples' in refused(front('diff', out / 'triples', other / 'mix'))
    assert 'expected manifest.json, found none' in refused(front('diff', out, tmp_path / 'none'))


@pytest.mark.parametrize(('wrong', 'meant'), [('triple', '{0}/mix or {0}/triples'), ('work', '{0}/mix or {0}/triples'), ('mix/data', '{0}/mix')])
def test_a_wrong_folder_is_told_the_right_one(front, out, wrong, meant):
    for verb in (['verify'], ['export', '--to', 'jsonl', '--out', out / 'x'], ['gallery']):
        assert refused(front(*verb, out / wrong)).endswith(f'did you mean {meant.format(out)}\n')


# --- commands in messages ---

AWKWARD = "it's mine"


def test_commands_in_messages_can_be_pasted(front, tmp_path):
    out = build_at(tmp_path / AWKWARD, 'mix', 'triples')
    _, told, _ = front('show', out)
    shown = [shlex.split(line) for line in told.split('next: ')[1].splitlines()[1:]]
    assert shown == [['phantom', 'gallery', f'{out}/triples'],
                     ['phantom', 'train', '--snapshot', f'{out}/triples', '--preset', 'tiny', '--max-steps', '60', '--out', f'{out}/checkpoint']]
    _, told, _ = front('audit', out, '--out', out / 'audit')
    assert shlex.split(told.split('then: ')[1]) == ['phantom', 'audit', f'{out}/triples', '--labels', f'{out}/audit/labels.csv']
    nothing = tmp_path / f'{AWKWARD} not'
    assert f'--out {shlex.quote(str(nothing))}`' in refused(front('show', nothing))
    assert f'--out {shlex.quote(str(nothing))} (' in refused(front('explain', 'x', '--build', nothing))
    told = refused(front('build', 'demo', '--root', nothing, '--out', nothing))
    assert f'phantom demo-data {shlex.quote(str(nothing))})' in told
    with pytest.raises(SnapshotExists) as exists:
        check_free(out, 'mix', 'another', str)
    told = str(exists.value)
    assert f'--work {shlex.quote(f"{out}/work")} ' in told
    assert told.endswith(f'phantom clean {shlex.quote(str(out))} --yes')


def test_an_archive_that_must_be_unpacked_is_named_so_that_the_command_runs(front, tmp_path):
    root = tmp_path / AWKWARD
    for name in ('in', 'pictures'):
        (root / name).mkdir(parents=True)
    (root / 'in/a.json').write_text('[]')
    subprocess.run(['tar', '-czf', root / 'pictures.tar.gz', '-C', root, 'pictures'], check=True)
    (root / 'pictures').rmdir()
    recipe = {'name': 'r', 'root': str(root), 'sources': {'s': {'format': 'llava', 'annotations': ['in/a.json'], 'images': ['pictures.tar.gz'], 'licence': 'MIT'}}}
    (tmp_path / 'r.yaml').write_text(json.dumps(recipe))
    code, told, _ = front('validate', tmp_path / 'r.yaml', '--json')
    assert code == 2
    command = json.loads(told)['sources'][0]['faults'][0].split('unpack it first: ')[1]
    subprocess.run(command, shell=True, check=True, cwd='/')
    assert (root / 'pictures').is_dir()


# --- recipes ---


def test_recipes_that_come_with_the_package_are_listed(front):
    code, told, _ = front('recipes')
    assert code == 0
    names = [line.split()[0] for line in told.splitlines()[::2]]
    assert sorted(names) == ['demo', 'phantom', 'phantom-clean']
    assert all(Path(line.strip()).is_file() for line in told.splitlines()[1::2])


def test_a_recipe_goes_by_its_name_anywhere_unless_a_file_is_called_so(front, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path('demo').mkdir()  # a folder is no recipe
    for name in ('demo', 'phantom', 'phantom-clean'):
        told = json.loads(front('validate', name, '--root', '.', '--json')[1])
        assert told['recipe'] == name
    assert len(told['sources']) == 14
    Path('mine.yaml').write_text('extends: phantom-clean\nname: mine\n', encoding='utf-8')
    assert len(json.loads(front('validate', 'mine.yaml', '--root', '.', '--json')[1])['sources']) == 14
    Path('phantom').write_text('name: other\nsources: {a: {format: llava, annotations: [a], licence: MIT}}\n', encoding='utf-8')
    assert json.loads(front('validate', 'phantom', '--root', '.', '--json')[1])['recipe'] == 'other'


@pytest.mark.parametrize(('wrong', 'meant'), [('demoo', 'demo'), ('recipes/demo.yaml', 'demo'), ('phantom-claen.yaml', 'phantom-clean'), ('mien.yaml', 'mine.yaml')])
def test_a_wrong_recipe_is_told_the_right_one(front, tmp_path, monkeypatch, wrong, meant):
    monkeypatch.chdir(tmp_path)
    Path('mine.yaml').write_text('name: x\n', encoding='utf-8')
    told = refused(front('validate', wrong))
    assert f'recipe {wrong}: expected a YAML file, found none; with the package come demo, phantom-clean, phantom; did you mean {meant}\n' in told


@pytest.mark.integration
def test_the_wheel_holds_the_recipes(tmp_path):
    """Built and unpacked elsewhere, used from an empty folder."""
    shutil.copytree(ROOT, tmp_path / 'source', ignore=shutil.ignore_patterns('.*', 'tests', 'demo-out', 'build', '*.egg-info', '__pycache__'))
    pip = [sys.executable, '-m', 'pip', '--no-input', '--disable-pip-version-check', '-q']
    subprocess.run([*pip, 'wheel', '--no-deps', '--no-build-isolation', '-w', tmp_path / 'wheel', tmp_path / 'source'], check=True, capture_output=True)
    [wheel] = (tmp_path / 'wheel').glob('*.whl')
    subprocess.run([*pip, 'install', '--no-deps', '--target', tmp_path / 'site', wheel], check=True, capture_output=True)
    (tmp_path / 'empty').mkdir()

    def there(*words: str) -> subprocess.CompletedProcess:
        return subprocess.run([sys.executable, '-m', 'phantom', *words], capture_output=True, text=True, check=False, cwd=tmp_path / 'empty',
                              env={'PYTHONPATH': str(tmp_path / 'site'), 'PATH': '/usr/bin:/bin'})

    assert f'{tmp_path}/site/recipes/phantom-clean.yaml' in there('recipes').stdout
    told = there('validate', 'phantom-clean', '--root', '.', '--json')
    assert (told.returncode, json.loads(told.stdout)['recipe']) == (2, 'phantom-clean'), told.stderr
    assert there('--version').stdout == f'phantom {wheel.name.split("-")[1]}\n'


# --- validate passes nothing that build refuses: models ---

def test_validate_tries_the_models_that_a_build_would_ask(front, tmp_path):
    (tmp_path / 'a.json').write_text(json.dumps([{'instruction': f'Q{i}?', 'output': 'yes'} for i in range(5)]))
    source = {'format': 'instruction', 'annotations': ['a.json'], 'licence': 'MIT'}
    recipe = {'name': 'r', 'root': str(tmp_path), 'sources': {'a': source}, 'generate': [{'prompt': 'rules'}]}
    (tmp_path / 'r.yaml').write_text(json.dumps(recipe))
    for reach in ((), ('--no-reach',)):  # open answers and no judge: build refuses, so does validate
        told = the_object(front('validate', tmp_path / 'r.yaml', '--json', *reach), 'validate', code=2)
        assert 'judge.model: expected a model, since a have open answers' in told['models']['faults'][0]
        assert told['models']['reached'] is (reach == ())
    model = {'model': 'm', 'revision': '1', 'base_urls': ['http://127.0.0.1:9/v1']}
    (tmp_path / 'r.yaml').write_text(json.dumps({**recipe, 'models': {'m': model}, 'judge': {'model': 'm'}}))
    told = the_object(front('validate', tmp_path / 'r.yaml', '--json'), 'validate', code=2)
    assert told['models']['faults'][0].startswith('model server http://127.0.0.1:9/v1: expected')
    told = the_object(front('validate', tmp_path / 'r.yaml', '--json', '--no-reach'), 'validate')
    assert told['models'] == {'reached': False, 'faults': []}
    assert 'no server was asked' in front('validate', tmp_path / 'r.yaml', '--no-reach')[1]
