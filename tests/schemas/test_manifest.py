"""A manifest that came from elsewhere is read with bounds, and refused in one line."""

import json
import os

import pytest

from schemas import manifest as reading
from schemas.errors import UserError
from schemas.inside import is_inside
from schemas.snapshot import open_snapshot
from tests.promises import promise

SHARD = {'split': 'train', 'file': 'data/t.parquet', 'sha256': 'a' * 64, 'bytes': 1, 'rows': 1}
GOOD = {'schema_version': 1, 'kind': 'mix', 'name': 'n', 'snapshot_id': 'b' * 64, 'shards': [SHARD], 'rejections': [], 'yield': []}
TEXTS = {
    'twice': ('{"kind": "mix", "kind": "triples"}', 'a key stands twice'), 'nan': ('{"cost": NaN, "manifest_sha256": ""}', 'not JSON compliant'),
    'infinite': ('{"cost": 1e999, "manifest_sha256": ""}', 'not JSON compliant'), 'deep': ('[' * 100_000, 'lists within lists'),
    'rather deep': ('{"a":' * 500 + '1' + '}' * 500, 'lists within lists'), 'deep objects': ('{"a":' * 50_000, 'lists within lists'), 'surrogate': ('{"name": "\\ud83d"}', 'surrogates not allowed'),
    'digits': ('{"rows": ' + '9' * 10_000 + '}', 'Exceeds the limit'), 'many': ('[' + '{},' * 2_100_000 + '{}]', 'at most'),
    'no text': (b'\xff\xfe\x00', "can't decode"), 'empty': ('', 'Expecting value'), 'a list': ('[1]', 'expected an object'),
}  # fmt: skip


@pytest.mark.parametrize('name', TEXTS)
@promise('Hostile files', 'A manifest that is no strict JSON, or far too large, is refused in one line', manifests=len(TEXTS))
def test_what_is_no_manifest_is_refused_in_one_line(tmp_path, name):
    text, told = TEXTS[name]
    (tmp_path / 'manifest.json').write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=told) as refused:
        open_snapshot(tmp_path)
    assert 'remove it and build it again' in str(refused.value)  # where it lies, no build makes another
    assert len(str(refused.value)) < 600
    assert '\n' not in str(refused.value)


def test_of_a_manifest_of_a_gigabyte_no_more_is_read_than_one_may_have(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, 'MOST_BYTES', 1000)
    with open(tmp_path / 'manifest.json', 'wb') as file:
        file.truncate(1 << 30)
    with pytest.raises(UserError, match='at most 1,000 bytes'):
        open_snapshot(tmp_path)


@pytest.mark.parametrize('name', ['../x', '/etc/passwd', 'a/../../x', 'a//b', './a', '', 'a\\b', 'a\nb', 'data/*.parquet', 'data/[a].parquet', 'x' * 2000])
@promise('Hostile files', 'A manifest that names a file outside its folder is refused by every reader')
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    assert not is_inside(name)
    for key in ('shards', 'rejections', 'extras'):
        (tmp_path / 'manifest.json').write_text(json.dumps({**GOOD, key: [{**SHARD, 'file': name}]}))
        with pytest.raises(UserError, match='expected file names inside the snapshot'):
            open_snapshot(tmp_path)


@pytest.mark.parametrize(('change', 'told'), [
    ({'split': '../x'}, 'split: expected letters'), ({'split': 'a/b'}, 'split: expected letters'), ({'split': ''}, 'split: expected letters'),
    ({'sha256': 'A' * 64}, 'sha256: expected 64 hex digits'), ({'sha256': None}, 'sha256: expected a text'), ({'bytes': True}, 'bytes: expected a number'),
    ({'file': 'README.md'}, 'expected no entry for README.md'),
])  # fmt: skip
def test_entries_of_another_form_are_refused(tmp_path, change, told):
    (tmp_path / 'manifest.json').write_text(json.dumps({**GOOD, 'shards': [{**SHARD, **change}]}))
    with pytest.raises(UserError, match=told):
        open_snapshot(tmp_path)


def test_a_file_listed_twice_is_refused(tmp_path):
    (tmp_path / 'manifest.json').write_text(json.dumps({**GOOD, 'shards': [SHARD, SHARD]}))
    with pytest.raises(UserError, match=r'expected each file once, found .data/t\.parquet. again'):
        open_snapshot(tmp_path)


def test_of_many_files_the_one_that_is_listed_twice_is_found_in_one_pass():
    compared = 0

    class Name(str):
        __slots__ = ()
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)

    names = [Name(f'data/{i}.parquet') for i in range(1000)]  # each held against all others, a million of them take a day
    faults = list(reading.form_faults({**GOOD, 'shards': [{**SHARD, 'file': name} for name in [*names, Name(names[-1])]]}))
    assert faults == ["expected each file once, found 'data/999.parquet' again"]
    assert compared < 10 * len(names)


@pytest.mark.parametrize(('kind', 'told'), [('pipe', 'found a pipe'), ('link', 'found a link'), ('folder', 'found a folder'), ('device', 'found a device')])
@promise('Hostile files', 'A pipe, link, device or folder in the place of a shard is refused and never opened')
def test_what_is_no_plain_file_is_refused_unopened(tmp_path, kind, told):
    (tmp_path / 'manifest.json').write_text(json.dumps(GOOD))
    (tmp_path / 'data').mkdir()
    path = tmp_path / 'data/t.parquet'
    if kind == 'device':
        if os.geteuid():
            pytest.skip('making a device needs root')
        os.mknod(path, 0o20600, os.makedev(1, 3))
    else:
        {'pipe': lambda: os.mkfifo(path), 'link': lambda: path.symlink_to('/etc/passwd'), 'folder': path.mkdir}[kind]()
    with pytest.raises(UserError, match=told):
        open_snapshot(tmp_path)


def test_a_folder_that_is_a_link_is_refused(tmp_path):
    (tmp_path / 'manifest.json').write_text(json.dumps(GOOD))
    (tmp_path / 'data').symlink_to('/etc')
    with pytest.raises(UserError, match='data: expected a folder of the snapshot, found a link'):
        open_snapshot(tmp_path)
