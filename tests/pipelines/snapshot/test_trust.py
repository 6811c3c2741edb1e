"""What verify answers for beside the rows: the manifest itself, the card, every file of the folder; and that nothing in it ends verify."""

import json
import os
import re
import shutil
import signal
from pathlib import Path

import pytest

from pipelines.look.verify import _Looked, verify_snapshot
from pipelines.snapshot import verify
from pipelines.snapshot.apart import DiedApart, apart
from pipelines.snapshot.verify import Fault, find_faults, find_remarks
from schemas.errors import UserError
from schemas.inside import COPY
from schemas.manifest import DIGEST, MANIFEST, manifest_digest
from schemas.snapshot import file_sha256, look_at, open_snapshot
from tests.pipelines.snapshot.sealed import picture, rejection, seal_rows, triple, vouch
from tests.promises import promise

ROOT = Path(__file__).parents[3]
RED = picture('red')
SHARD, REJECTED = 'data/train-00000-of-00001.parquet', 'rejections/part-00000.parquet'
FILES = (SHARD, REJECTED, 'croissant.json', 'README.md', MANIFEST)
FLIPS, REFITTED, FIELDS = 2, 12, 60
ABOUT = {  # every key that docs/manifest.md describes and `seal_rows` does not write
    'recipe': {'sources': {'shapes': {'licence': 'MIT', 'revision': 'r1'}}, 'judge': {'model': 'm', 'margin': 0.25}}, 'parent': 'a' * 64,
    'steps': {'picks': 5}, 'code': {'git': 'abc'}, 'sealed_at': '2026-11-30T00:00:00Z', 'inputs': {'annotations': {'shapes': {'a.json': 'f' * 64}}},
    'contamination': {'samples_per_benchmark': {'pope': 3}}, 'duplicates': {'images': 4, 'members': 1}, 'invisible': {'shapes': {'samples': 1}},
    'contradictions': {'groups': 1, 'shapes': {'samples': 2}}, 'near_texts': {'clusters': 1, 'members': {'shapes': {'shapes': 1}}},
    'ratings': {'summary': [{'source': 'shapes', 'rated': 3}], 'reports': [], 'refused': []}, 'copies': [{'kind': 'flip', 'planted': 3, 'found': 3}],
    'excluded': {'lists': [{'file': 't.json', 'sha256': 'f' * 64, 'tags': {'blurry': 1}}], 'samples': 1, 'unknown': 0},
    'canaries': [{'planted': 3, 'found': 3, 'must': True}], 'calibration': {'judge': 'm', 'reports': [{'source': 'shapes', 'auc': 0.91}], 'accepted_faults': {}},
    'second_judge': {'judges_agree': 2}, 'shortcuts': {'shapes': {'auc': 0.5}}, 'differs_at': {'from': [0, 4], 'triples': {'shapes': [4, 0]}},
    'models': {'m': ['org/m', 'r1', True, 1024]}, 'served_by': {'m': {'m (vllm)': 9}},
    'control_tokens': {'shapes': {'texts': 2, 'tokens': {'<|im_end|>': 2}}}, 'cost': {'total': {'requests': 9, 'money': 0.5}},
}  # fmt: skip


@pytest.fixture(scope='module')
def whole(tmp_path_factory) -> Path:
    rows = [triple(0, images=[RED]), triple(1), triple(2, images=[picture('blue')])]
    folder = seal_rows(tmp_path_factory.mktemp('trust') / 's', 'triples', rows, [rejection(9)], extras={'croissant.json': b'{"a": 1}'}, **ABOUT)
    return vouch(folder)


def copy(whole, tmp_path, name='s') -> Path:
    return Path(shutil.copytree(whole, tmp_path / name))


def faults_of(folder):
    return [str(fault) for fault in find_faults(look_at(folder))]


def leaves(value, at=()):
    """Yield the path to every value that holds no others, and to every empty one."""
    inner = list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    for key, one in inner:
        yield from leaves(one, (*at, key))
    if not inner:
        yield at


def changed(value):
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return value[:-1] + ('0' if value[-1:] != '0' else '1') if value else 'x'
    return value + 1 if isinstance(value, int | float) else 'something'


@promise('Snapshots', 'Any field of a manifest that changes after sealing is found: licence, calibration, cost, recipe, models, code, parent', manifest_fields=FIELDS)
def test_every_field_of_the_manifest_is_vouched_for(whole, tmp_path):
    folder = copy(whole, tmp_path)
    told = json.loads((folder / MANIFEST).read_text())
    tables = (ROOT / 'docs/manifest.md').read_text().partition('\n## ')[0]
    documented = {name for row in re.findall(r'^\|((?: `\w+`,?)+) \|', tables, re.M) for name in re.findall(r'\w+', row)}
    assert documented == set(told), 'the document names all keys, and all keys are tried here'
    paths = list(leaves(told))
    assert len(paths) >= FIELDS
    for path in paths:
        one = json.loads(json.dumps(told))
        place = one
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = changed(place[path[-1]])
        (folder / MANIFEST).write_text(json.dumps(one))
        try:
            found = str(next(find_faults(look_at(folder)), ''))
        except UserError as e:  # of another schema version
            found = str(e)
        assert found, path
        with pytest.raises(UserError):
            open_snapshot(folder)
    for key in told:
        (folder / MANIFEST).write_text(json.dumps({name: value for name, value in told.items() if name != key}))
        assert next(_Looked(folder, None).faults()).file == MANIFEST, key


def test_a_manifest_may_be_written_anew_as_long_as_it_says_the_same(whole, tmp_path):
    folder = copy(whole, tmp_path)
    told = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(dict(reversed(told.items())), indent=3))
    assert faults_of(folder) == []
    assert manifest_digest(told) == told[DIGEST]


@promise('Snapshots', 'Each file of a snapshot that is flipped, cut, zeroed, made longer, removed, or a link, pipe or folder in its place is named by verify',
         damaged_files=len(FILES) * (FLIPS + 7))  # fmt: skip
def test_damage_to_any_file_is_a_fault_and_nothing_ends_verify(whole, tmp_path, capsys):
    for name in FILES:
        data = (whole / name).read_bytes()
        damages = {f'flip{i}': data[:at] + bytes([data[at] ^ 16]) + data[at + 1:] for i in range(FLIPS) for at in [len(data) * (2 * i + 1) // (2 * FLIPS)]}
        damages |= {'cut': data[:-9], 'zero': bytes(len(data)), 'more': data + b' x', 'empty': b'', 'removed': None, 'link': None, 'pipe': None}
        for damage, bad in damages.items():
            folder = copy(whole, tmp_path, f'{Path(name).stem}-{damage}')
            path = folder / name
            path.unlink()
            if bad is not None:
                path.write_bytes(bad)
            elif damage == 'link':
                path.symlink_to(whole / name)
            elif damage == 'pipe':
                os.mkfifo(path)
            if name == MANIFEST and damage in ('removed', 'pipe'):
                with pytest.raises(UserError, match='expected manifest'):
                    verify_snapshot(folder)
            else:
                assert name not in (SHARD, REJECTED) or verify_snapshot(folder) == 1, (name, damage)
                assert name in (SHARD, REJECTED) or next(_Looked(folder, None).faults()).file == name, (name, damage)
            shutil.rmtree(folder)
    assert 'Traceback' not in capsys.readouterr().err


@promise('Hostile files', 'A damaged shard whose manifest was made to fit ends verify with faults, never by a signal', refitted_files=REFITTED)
def test_a_damaged_shard_that_the_manifest_was_made_to_fit_ends_nothing(whole, tmp_path):
    data = (whole / SHARD).read_bytes()
    for i in range(REFITTED):
        at = 4 + (len(data) - 8) * (2 * i + 1) // (2 * REFITTED)
        folder = copy(whole, tmp_path, f'n{i}')
        (folder / SHARD).write_bytes(data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1:])
        shard = {**look_at(folder).manifest['shards'][0], 'sha256': file_sha256(folder / SHARD)}
        vouch(folder, shards=[shard])
        assert isinstance(faults_of(folder), list)


def dies():
    yield 'first'
    os.kill(os.getpid(), signal.SIGSEGV)


def test_what_ends_a_process_apart_is_told_by_its_signal(whole, monkeypatch):
    found = apart(dies)
    assert next(found) == 'first'
    with pytest.raises(DiedApart, match='SIGSEGV'):
        next(found)
    monkeypatch.setattr(verify, '_file_faults', lambda *_: dies())
    told = [fault for fault in find_faults(look_at(whole)) if isinstance(fault, Fault)]
    assert [fault.file for fault in told] == [SHARD, REJECTED]
    assert all('bytes end the process that reads them (SIGSEGV)' in fault.what for fault in told)


@pytest.mark.parametrize(('name', 'kind', 'told'), [
    ('notes.txt', 'file', 'notes.txt: expected only files that manifest.json lists, found one more'),
    ('data/.hidden', 'file', 'data/.hidden: expected only files that manifest.json lists, found one more'),
    ('data/pipe', 'pipe', 'data/pipe: expected a file, found a pipe'), ('rejections/link', 'link', 'rejections/link: expected a file, found a link'),
    ('empty', 'folder', 'empty: expected no such folder, found a folder'), ('.cache/other', 'file', '.cache/other: expected only files that manifest.json lists, found one more'),
    ('.git', 'link', '.git: expected a file, found a link'), ('README.md', 'link', f'README.md: expected a file, found a link; {COPY}'), ('.gitattributes', 'file', None), ('.git/HEAD', 'file', None), ('.huggingface/x', 'file', None),
    ('.cache/huggingface/download/x.metadata', 'file', None), ('a\nb\x1b[2J', 'file', "'a\\nb\\x1b[2J': expected only files that manifest.json lists, found one more"),
])  # fmt: skip
@promise('Snapshots', 'Anything in the folder that the manifest does not list is a fault; what git and the Hub leave there is not')
def test_what_else_lies_in_the_folder_is_told(whole, tmp_path, name, kind, told):
    folder = copy(whole, tmp_path)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    {'file': lambda: path.write_text('x'), 'pipe': lambda: os.mkfifo(path), 'link': lambda: path.symlink_to('/etc/passwd'), 'folder': path.mkdir}[kind]()
    assert faults_of(folder) == ([told] if told else [])


def test_an_edited_card_is_told_as_that(whole, tmp_path):
    folder = copy(whole, tmp_path)
    (folder / 'README.md').write_text('---\nlicense: other\n---\n' + (folder / 'README.md').read_text())
    (told,) = faults_of(folder)
    assert told.startswith('README.md: expected the card that was sealed, found another text: it was edited since, on the Hub perhaps')


def test_a_snapshot_sealed_before_manifests_vouched_is_whole_with_a_remark(tmp_path, capsys):
    folder = seal_rows(tmp_path / 's', 'triples', [triple(0)])
    assert verify_snapshot(folder) == 0
    assert 'sealed before manifests vouched for themselves' in capsys.readouterr().err
    assert verify_snapshot(vouch(folder)) == 0
    assert 'sealed before' not in capsys.readouterr().err
    assert list(find_remarks(look_at(folder), signed=False)) == []


def test_a_snapshot_of_a_build_that_lost_its_manifest_is_told(whole, tmp_path, capsys):
    for kind in ('mix', 'triples'):
        copy(whole, tmp_path / 'out', kind)
    (tmp_path / 'out/triples' / MANIFEST).unlink()
    with pytest.raises(UserError, match=r'triples: expected manifest\.json, found none'):
        verify_snapshot(tmp_path / 'out')


def in_hub_cache(whole: Path, repo: Path) -> Path:
    """Return a snapshot as the Hub's client keeps it: links to blobs that bear the name of their bytes."""
    folder = repo / 'snapshots/0123abcd'
    (repo / 'blobs').mkdir(parents=True)
    for path in (path for path in whole.rglob('*') if path.is_file()):
        blob = repo / 'blobs' / file_sha256(path)
        shutil.copy(path, blob)
        link = folder / path.relative_to(whole)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(blob, link.parent))
    return folder


def test_links_of_the_hubs_cache_are_files_and_no_other_link_is(whole, tmp_path):
    folder = in_hub_cache(whole, tmp_path / 'datasets--me--mine')
    assert list(find_faults(open_snapshot(folder))) == []
    (folder / 'croissant.json').unlink()
    (folder / 'croissant.json').symlink_to(whole / 'croissant.json')
    assert [fault.file for fault in find_faults(look_at(folder))] == ['croissant.json']
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).symlink_to(whole / MANIFEST)
    with pytest.raises(UserError, match='found a link'):
        open_snapshot(folder)
