"""Errors a user can act on, named by what the caller should do. The front door prints the message and exits with `code`."""

from collections.abc import Iterable, Sequence


class UserError(Exception):
    """A mistake in a recipe, a path or a service: expected, found, where, what to do next. Exit code 2."""

    code = 2


class NothingThere(UserError):
    """No file or folder of a name that the recipe gives: it is missing, where another UserError says that it is of no use."""


class SnapshotExists(UserError):
    """The output folder already holds another sealed snapshot; it is never overwritten."""


class BudgetExceeded(UserError):
    """The build's budget is spent: nothing is sealed, every stored reply stays, a larger budget goes on. Exit code 3."""

    code = 3


class PendingWork(UserError):
    """Something is not there yet that a later run may find: replies of a model, a file on a disk that fails for the moment, another process.

    Nothing is sealed, what is finished is kept. Exit code 4.
    """

    code = 4


class Unreadable(PendingWork):
    """Files that the disk does not give at the moment. Exit code 4.

    `files` are they, each with why; the message of this error says what became of them as a whole.
    """

    def __init__(self, message: str, files: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.files = tuple(files)


def refuse(faults: Iterable[UserError], *advice: str) -> None:
    """Raise several faults as one, a line each, with what to do about them; as PendingWork where each of them may pass by itself."""
    found = list(faults)
    if found:
        kind = PendingWork if all(isinstance(fault, PendingWork) for fault in found) else UserError
        raise kind('\n'.join([*map(str, found), *(() if kind is PendingWork else advice)]))
