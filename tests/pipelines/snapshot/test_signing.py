"""Who sealed it: signed by one key, told from all others."""

import json
import shutil
import subprocess

import pytest

from pipelines.look.verify import sign_snapshot, verify_snapshot
from schemas.errors import UserError
from tests.pipelines.snapshot.sealed import seal_rows, triple, vouch
from tests.promises import promise

ssh = pytest.mark.skipif(shutil.which('ssh-keygen') is None, reason='needs ssh-keygen')


@pytest.fixture
def snapshot(tmp_path):
    return vouch(seal_rows(tmp_path / 's', 'triples', [triple(0), triple(1)], recipe={'licence': 'MIT'}))


def key(tmp_path, name='id', passphrase=''):
    subprocess.run(['ssh-keygen', '-q', '-t', 'ed25519', '-N', passphrase, '-f', tmp_path / name], check=True)
    return tmp_path / name


@ssh
@promise('Snapshots', 'A signature tells its publisher from everybody else: another key, a changed manifest and no signature are faults')
def test_a_signed_snapshot_is_verified_by_its_key_alone(snapshot, tmp_path, capsys):
    mine, other = key(tmp_path), key(tmp_path, 'other')
    public, theirs = mine.with_suffix('.pub'), other.with_suffix('.pub')
    assert verify_snapshot(snapshot, signature=public) == 1
    assert 'expected a signature by' in capsys.readouterr().out
    assert sign_snapshot(snapshot, mine) == 0
    assert (verify_snapshot(snapshot, signature=public), verify_snapshot(snapshot, signature=theirs), verify_snapshot(snapshot)) == (0, 1, 0)
    told = ''.join(capsys.readouterr())
    assert f'signed by {public}' in told
    assert f'expected a signature by {theirs}, found another' in told
    assert 'manifest.json.sig was not looked at' in told
    allowed = tmp_path / 'allowed'
    allowed.write_text(f'somebody@x {theirs.read_text()}me@x namespaces="phantom-snapshot" {public.read_text()}')
    assert verify_snapshot(snapshot, signature=allowed) == 0
    allowed.write_text(f'me@x namespaces="git" {public.read_text()}')
    assert verify_snapshot(snapshot, signature=allowed) == 1


@ssh
def test_a_manifest_made_to_fit_by_somebody_else_is_not_signed_any_more(snapshot, tmp_path):
    mine = key(tmp_path)
    sign_snapshot(snapshot, mine)
    vouch(snapshot, recipe={'licence': 'CC0'})
    assert verify_snapshot(snapshot) == 0  # a digest shows accidents only
    assert verify_snapshot(snapshot, signature=mine.with_suffix('.pub')) == 1
    (snapshot / 'manifest.json.sig').write_text('-----BEGIN SSH SIGNATURE-----\nnone\n-----END SSH SIGNATURE-----\n')
    assert verify_snapshot(snapshot, signature=mine.with_suffix('.pub')) == 1


@ssh
def test_what_does_not_sign_is_told_and_leaves_nothing(snapshot, tmp_path, monkeypatch):
    (tmp_path / 'note').write_text('no key')
    for bad, told in ((tmp_path / 'none', 'expected the file of a key, found none'), (tmp_path / 'note', 'expected a private key that signs')):
        with pytest.raises(UserError, match=told):
            sign_snapshot(snapshot, bad)
    sign_snapshot(snapshot, key(tmp_path))
    with pytest.raises(UserError, match='expected a public key'):
        verify_snapshot(snapshot, signature=tmp_path / 'id')
    (snapshot / 'manifest.json.sig').unlink()
    monkeypatch.setenv('PATH', str(tmp_path))
    with pytest.raises(UserError, match='ssh-keygen: expected this program, found: No such file'):
        sign_snapshot(snapshot, tmp_path / 'id')
    assert not (snapshot / 'manifest.json.sig').exists()


@ssh
def test_a_faulty_or_an_old_snapshot_is_not_signed(snapshot, tmp_path, capsys):
    mine = key(tmp_path)
    old = seal_rows(tmp_path / 'old', 'triples', [triple(0)])
    with pytest.raises(UserError, match='sealed before they did'):
        sign_snapshot(old, mine)
    (snapshot / 'README.md').write_text('edited')
    assert sign_snapshot(snapshot, mine) == 1
    assert 'expected the card that was sealed' in capsys.readouterr().out
    assert not (snapshot / 'manifest.json.sig').exists()


@pytest.mark.skipif(shutil.which('minisign') is None, reason='needs minisign')
def test_a_minisign_key_signs_as_well(snapshot, tmp_path):
    for name in ('a', 'b'):
        subprocess.run(['minisign', '-G', '-W', '-p', tmp_path / f'{name}.pub', '-s', tmp_path / f'{name}.key'], check=True, capture_output=True)
    assert sign_snapshot(snapshot, tmp_path / 'a.key') == 0
    assert json.loads((snapshot / 'manifest.json').read_text())['files']
    assert [verify_snapshot(snapshot, signature=tmp_path / f'{name}.pub') for name in ('a', 'b')] == [0, 1]
