"""A data set's repository on the Hub, looked at: which of a snapshot's files it holds, and what else."""

from dataclasses import dataclass, field

from huggingface_hub import HfApi, RepoFile
from huggingface_hub.errors import RepositoryNotFoundError

from pipelines.snapshot.hub.files import SealedFile
from schemas.errors import UserError

HUBS_OWN = '.gitattributes'  # the Hub puts it into every repository, and keeps it
SHOWN = 3  # files named in a message


@dataclass(frozen=True, slots=True)
class Repository:
    """What lies in a repository at `revision` (of a commit, '' where there is no repository): ids of contents by file name."""

    name: str
    revision: str = ''
    is_private: bool = False
    contents: dict[str, str] = field(default_factory=dict)

    def missing(self, files: list[SealedFile]) -> list[SealedFile]:
        """Return the files that are not there, or have other contents there."""
        return [file for file in files if self.contents.get(file.name) not in (file.sha256, file.blob_id() if self._is_small(file) else '')]

    def foreign(self, files: list[SealedFile]) -> list[str]:
        """Return the names of files there that are none of these."""
        return sorted(self.contents.keys() - {file.name for file in files} - {HUBS_OWN})

    def _is_small(self, file: SealedFile) -> bool:
        return len(self.contents.get(file.name, '')) == 40  # git's id; of a large file the Hub tells its sha256


def look_at_repository(api: HfApi, name: str) -> Repository:
    """Return what a repository holds now."""
    try:
        told = api.dataset_info(name)
    except RepositoryNotFoundError as e:
        if e.response.status_code != 404:
            raise
        return Repository(name)
    listed = api.list_repo_tree(name, recursive=True, revision=told.sha, repo_type='dataset')
    contents = {file.path: file.lfs.sha256 if file.lfs else file.blob_id for file in listed if isinstance(file, RepoFile)}
    return Repository(name, told.sha or '', bool(told.private), contents)


def refuse_others(there: Repository, files: list[SealedFile], *, private: bool, replace: bool) -> None:
    """Return if the files may go there; raises UserError where the repository is open and should not be, or holds something else."""
    if private and there.revision and not there.is_private:
        raise UserError(f'{there.name}: expected a private repository, found a public one; make it private in its settings on the Hub, '
                        'choose another name, or leave --private out')
    other = [file.name for file in there.missing(files) if file.name in there.contents]
    strange = [*other, *there.foreign(files)]
    if strange and not replace:
        named = ', '.join(name if name.isprintable() else ascii(name) for name in strange[:SHOWN])
        more = f' and {len(strange) - SHOWN:,} more' if len(strange) > SHOWN else ''
        raise UserError(f'{there.name}: expected an empty repository or this snapshot, found other contents ({named}{more}); nothing was sent. '
                        'Choose another name, or --replace: one commit that makes it this snapshot, what it holds now stays in its history')
