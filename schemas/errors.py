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


class NotStored(PendingWork):
    """Calls that were never made, where nobody may be asked; `n` of them are known of."""

    def __init__(self, n: int) -> None:
        self.n = n
        super().__init__(f'expected stored replies alone, found at least {n:,} call(s) that were never made')

    def __reduce__(self) -> tuple[type['NotStored'], tuple[int]]:
        return type(self), (self.n,)


class DamagedPicture(UserError):
    """A packed picture is not what its name says: a later run packs it again. Exit code 4."""

    code = 4


class DamagedTable(UserError):
    """What a build stored is not what it wrote: a later run makes it again. Exit code 4."""

    code = 4


SHOWN = 5  # files named in a message


class Unreadable(PendingWork):
    """Files that the disk does not give at the moment, each named with why, what to do about it, and what else a user may say. Exit code 4."""

    def __init__(self, files: Iterable[str], remedies: Iterable[str] = (), or_else: str = '') -> None:
        self.files = tuple(file.encode('utf-8', 'backslashreplace').decode() for file in files)  # names on disk may be no UTF-8
        self.remedies, self.or_else = tuple(dict.fromkeys(remedies)), or_else
        steps = ', '.join([*(self.remedies or ('see to the disk',)), 'then run the same command again'])
        super().__init__(f'expected {len(self.files)} file(s) that can be read, found that the disk does not give them at the moment: '
                         f'{listed(self.files)}; {steps}{self.or_else}')

    def __reduce__(self) -> tuple[type['Unreadable'], tuple[object, ...], dict]:  # by its parts: workers send it to the process of the build
        return type(self), (self.files, self.remedies, self.or_else), self.__dict__

    @classmethod
    def together(cls, errors: Sequence['Unreadable'], or_else: str = '') -> 'Unreadable':
        """Return several errors as one."""
        files = [file for error in errors for file in error.files]
        others = dict.fromkeys(error.or_else for error in errors if error.or_else)
        return cls(files, [remedy for error in errors for remedy in error.remedies], or_else or ''.join(others))


def listed(files: Sequence[str]) -> str:
    """Return the first of some files and how many more there are."""
    more = f' and {len(files) - SHOWN} more' if len(files) > SHOWN else ''
    return f'{", ".join(files[:SHOWN])}{more}'


def refuse(faults: Iterable[UserError], *advice: str) -> None:
    """Raise several faults as one, a line each, with what to do about them; as PendingWork where each of them may pass by itself."""
    found = list(faults)
    if found:
        kind = PendingWork if all(isinstance(fault, PendingWork) for fault in found) else UserError
        raise kind('\n'.join([*map(str, found), *(() if kind is PendingWork else advice)]))
