"""A sealed snapshot on the Hub: verified, its files sent in parts, then one commit that makes all of it appear.

A repository never shows half a snapshot: contents are stored first, under the ids of their bytes, and named by the last request alone. Killed before
it, the same command finds what is stored and sends the rest.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi, get_token
from huggingface_hub.errors import HFValidationError
from huggingface_hub.utils import validate_repo_id

from pipelines.snapshot.hub.files import SealedFile, files_of
from pipelines.snapshot.hub.news import told_by_us
from pipelines.snapshot.hub.refusals import AGAIN, hub_refusals
from pipelines.snapshot.hub.repository import Repository, look_at_repository, refuse_others
from pipelines.snapshot.verify import find_faults
from schemas.errors import PendingWork, UserError
from schemas.snapshot import Snapshot, open_snapshot
from schemas.telling import tell_news

PART_BYTES, PART_FILES = 2_000_000_000, 250  # stored for good at once: what a kill may make to be sent again


def push_snapshot(folder: Path, name: str, *, private: bool = False, replace: bool = False, dry_run: bool = False) -> str:
    """Make the repository `name` (user/name) hold the snapshot at `folder`; return what a person is told.

    Raises UserError for a snapshot with faults and for a repository with other contents, before anything is sent; PendingWork for what may pass.
    """
    _refuse_name(name)
    snapshot = open_snapshot(folder)
    _refuse_faults(snapshot)
    files = files_of(snapshot)
    if dry_run:
        return _listing(files, name)
    if get_token() is None:
        raise UserError('expected a token of the Hub, found none; log in with `hf auth login`, or set HF_TOKEN to one that may write')
    api = HfApi()
    with hub_refusals(name, api.endpoint), told_by_us():
        there = look_at_repository(api, name)
        refuse_others(there, files, private=private, replace=replace)
        if not there.revision:
            api.create_repo(name, repo_type='dataset', private=private or None)
            there = look_at_repository(api, name)
        sent = _send(api, snapshot, there, files)
        now = look_at_repository(api, name) if sent else there
    if lost := now.missing(files):
        raise PendingWork(f'{name}: expected all {len(files):,} files there, found {lost[0].name} missing or another; {AGAIN}')
    return _summary(api.endpoint, now, files, sent)


def _refuse_name(name: str) -> None:
    try:
        validate_repo_id(name)
        if name.count('/') == 1:
            return
        found = repr(name)
    except HFValidationError:
        found = ascii(name)
    raise UserError(f'expected the name of a repository, user/name (letters, digits, -, _ and .), found {found}')


def _refuse_faults(snapshot: Snapshot) -> None:
    if faults := list(islice(find_faults(snapshot, show=True), 2)):
        raise UserError(f'{snapshot.path}: expected a snapshot as it was sealed, found: {faults[0]}{" and more" if faults[1:] else ""}; nothing was '
                        'sent. `phantom verify` names all faults: copy it again from where it came, or build it again')


def _send(api: HfApi, snapshot: Snapshot, there: Repository, files: list[SealedFile]) -> list[SealedFile]:
    """Store what is missing and commit it, with what is foreign taken out; return the files of the commit."""
    missing, foreign = there.missing(files), there.foreign(files)
    if not missing and not foreign:
        return []
    additions, size = [], sum(file.size for file in missing)
    for part in _parts(missing):
        some = [CommitOperationAdd(file.name, file.path) for file in part]
        api.preupload_lfs_files(there.name, some, repo_type='dataset', free_memory=False)
        additions += some
        done = _size(sum(addition.upload_info.size for addition in additions))
        tell_news(f'push: {len(additions):,} of {len(missing):,} files stored ({done} of {_size(size)})')
    _refuse_changed(additions, missing)
    deletions = [CommitOperationDelete(name, is_folder=False) for name in foreign]
    api.create_commit(
        there.name, [*additions, *deletions], repo_type='dataset', parent_commit=there.revision,
        commit_message=f'{snapshot.manifest["name"]}: {snapshot.kind} snapshot {snapshot.snapshot_id[:16]}',
    )  # fmt: skip
    return missing


def _parts(files: list[SealedFile]) -> Iterator[list[SealedFile]]:
    part: list[SealedFile] = []
    for file in files:
        if part and (len(part) == PART_FILES or sum(one.size for one in part) + file.size > PART_BYTES):
            yield part
            part = []
        part.append(file)
    if part:
        yield part


def _refuse_changed(additions: list[CommitOperationAdd], files: list[SealedFile]) -> None:
    """Return if what was sent is what was verified; raises UserError before it gets a name."""
    for addition, file in zip(additions, files, strict=True):
        if addition.upload_info.sha256.hex() != file.sha256:
            raise UserError(f'{file.path}: expected the bytes that were verified, found others by now: it was changed while it was sent; '
                            'the repository is as it was. Let nothing write there, and run the same command again')


def _listing(files: list[SealedFile], name: str) -> str:
    lines = [f'{file.size:>16,}  {file.name}' for file in files]
    total = f'{sum(file.size for file in files):>16,}  bytes in {len(files):,} files for {name}; the Hub was not asked, nothing was sent'
    return '\n'.join([*lines, total])


def _summary(endpoint: str, now: Repository, files: list[SealedFile], sent: list[SealedFile]) -> str:
    what = f'{len(sent):,} file(s) sent, {_size(sum(file.size for file in sent))}' if sent else 'nothing to send'
    return (f'{endpoint}/datasets/{now.name}: {what}, {len(files) - len(sent):,} there before; {"private" if now.is_private else "public"}\n'
            f"load it: datasets.load_dataset('{now.name}', revision='{now.revision}')")


def _size(n_bytes: int) -> str:
    return f'{n_bytes / 1e9:,.1f} GB' if n_bytes >= 1e9 else f'{n_bytes / 1e6:,.1f} MB'
