"""Who sealed a snapshot: a signature of manifest.json's bytes, made and checked by `ssh-keygen -Y` (OpenSSH 8.2 on), or by minisign for its keys.

The manifest vouches for every other file, so that its signature does for all. The namespace keeps a signature made for something else (a commit,
a letter) from being taken for one of a snapshot.
"""

import os
import re
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from schemas.errors import UserError
from schemas.inside import kind_of, open_file
from schemas.manifest import DIGEST, MANIFEST, SIGNATURES, manifest_bytes, parse_manifest
from schemas.publish import publish_bytes
from schemas.snapshot import Snapshot

NAMESPACE = 'phantom-snapshot'
SSH, MINISIGN = SIGNATURES
PATIENCE_S = 300  # for who types a passphrase or touches a security key
MOST_KEY_BYTES = 1_000_000
_PUBLIC = re.compile(r'(ssh-|ecdsa-|sk-)[\w@.-]+ [A-Za-z0-9+/=]+')  # how a line of a public key begins; allowed signers have names in front


def sign(snapshot: Snapshot, key: Path) -> Path:
    """Return the file of the signature that was put beside the manifest of a snapshot without faults.

    Raises UserError for a snapshot that was sealed before manifests vouched for all files, and for a key that does not sign.
    """
    if DIGEST not in snapshot.manifest:
        raise UserError(f'{snapshot.path}: expected a manifest that vouches for card and files ({DIGEST}), found one sealed before they did; '
                        '`phantom select` with its recipe, --work and a new --out seals it again without asking anybody')  # fmt: skip
    data = _bytes_of(snapshot)
    text = read_key(key)
    if b'minisign' in text:
        with tempfile.TemporaryDirectory() as folder:
            message, made = Path(folder, MANIFEST), Path(folder, MINISIGN)
            message.write_bytes(data)
            _signed(key, _run(['minisign', '-S', '-s', str(key), '-m', str(message), '-x', str(made)]))
            signature, path = made.read_bytes(), snapshot.path / MINISIGN
    else:
        done = _run(['ssh-keygen', '-Y', 'sign', '-f', str(key), '-n', NAMESPACE], data)
        _signed(key, done)
        signature, path = done.stdout, snapshot.path / SSH
    publish_bytes(path, signature)
    return path


def _signed(key: Path, done: subprocess.CompletedProcess) -> None:
    if done.returncode:
        raise UserError(f'--sign {key}: expected a private key that signs, found: {_last_line(done)}; is it the private half, its passphrase right '
                        '(without a terminal: an agent that holds it, and --sign KEY.pub), and readable for you alone (chmod 600)?')


def signature_fault(snapshot: Snapshot, key: Path) -> str:
    """Return why the manifest is not signed by a public key, or one of a file of allowed signers; '' if it is. Raises UserError for no such key."""
    text = read_key(key)
    name = MINISIGN if b'minisign' in text else SSH
    if (kind := kind_of(snapshot.path / name)) != '':
        return f'expected a signature by {key} ({name}), found {kind}: nobody answers for what it says'
    with open_file(snapshot.path / name) as file:
        signature = file.read(MOST_KEY_BYTES)
    with tempfile.TemporaryDirectory() as folder:
        done = _check(Path(folder), _bytes_of(snapshot), signature, (key, text))
    if done.returncode == 0:
        return ''
    return f'expected a signature by {key}, found another in {name}: {_last_line(done)}: the manifest changed since it was signed, or by another key'


def _check(folder: Path, data: bytes, signature: bytes, by: tuple[Path, bytes]) -> subprocess.CompletedProcess:
    """Return how the check of a signature ended: 0 for one of these bytes by this key."""
    (key, text), signed, allowed = by, folder / 'signature', folder / 'allowed'
    signed.write_bytes(signature)
    if b'minisign' in text:
        (folder / MANIFEST).write_bytes(data)
        return _run(['minisign', '-V', '-p', str(key), '-m', str(folder / MANIFEST), '-x', str(signed)])
    lines = [line.strip() for line in text.decode('utf-8', 'replace').splitlines()]
    keys = [line for line in lines if _PUBLIC.match(line)]
    if not keys and not any(_PUBLIC.search(line) for line in lines if not line.startswith('#')):
        raise UserError(f'--signature {key}: expected a public key (KEY.pub) or a file of allowed signers, found neither; name the public half')
    allowed.write_bytes(b''.join(f'{NAMESPACE} {line}\n'.encode() for line in keys) or text)
    names = [NAMESPACE]
    if not keys:
        listed = _run(['ssh-keygen', '-Y', 'find-principals', '-s', str(signed), '-f', str(allowed)])
        if listed.returncode:
            return listed
        names = listed.stdout.decode('utf-8', 'replace').splitlines() or ['']
    return _run(['ssh-keygen', '-Y', 'verify', '-f', str(allowed), '-I', names[0], '-n', NAMESPACE, '-s', str(signed)], data)


def _bytes_of(snapshot: Snapshot) -> bytes:
    """Return the bytes that a snapshot's manifest was read from; raises UserError where others lie there by now."""
    data = manifest_bytes(snapshot.path)
    if parse_manifest(snapshot.path, data) != snapshot.manifest:
        raise UserError(f'{snapshot.path}: expected {MANIFEST} to stay as it was read, found another by now; run the same command again')
    return data


def read_key(key: Path) -> bytes:
    """Return what a file of a key holds, to tell what kind it is of; raises UserError where none can be read."""
    try:
        if not key.is_file():
            raise UserError(f'{key}: expected the file of a key, found none; ssh-keygen -t ed25519 makes a pair of them')
        with open(key, 'rb') as file:
            return file.read(MOST_KEY_BYTES)
    except OSError as e:
        raise UserError(f'{key}: expected a key that you may read, found: {e.strerror or e}') from e


def _run(words: Sequence[str], data: bytes = b'') -> subprocess.CompletedProcess:
    """Return how a tool ended; raises UserError where it is not there or does not come to an end."""
    asked = {**os.environ, 'LC_ALL': 'C', 'SSH_ASKPASS_REQUIRE': 'never'}
    try:
        return subprocess.run(words, input=data, capture_output=True, env=asked, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired as e:
        raise UserError(f'{words[0]}: expected an answer within {PATIENCE_S} s, found none; does it wait for a passphrase?') from e
    except OSError as e:
        package = 'OpenSSH, 8.2 or newer' if words[0] == 'ssh-keygen' else 'minisign'
        raise UserError(f'{words[0]}: expected this program, found: {e.strerror or e}; install {package}') from e


def _last_line(done: subprocess.CompletedProcess) -> str:
    lines = [line.strip() for line in (done.stderr.strip() or done.stdout).decode('utf-8', 'replace').splitlines() if line.strip()]
    return lines[-1][:200] if lines else f'exit code {done.returncode}'
