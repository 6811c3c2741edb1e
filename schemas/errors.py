"""Errors a user can act on, named by what the caller should do. The front door prints the message and exits with `code`."""


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
    """Model calls have no reply yet: a later run asks again; or too many failed for good. Nothing is sealed, replies are kept. Exit code 4."""

    code = 4


class DamagedPicture(UserError):
    """A packed picture is not what its name says: a later run packs it again. Exit code 4."""

    code = 4


class DamagedTable(UserError):
    """What a build stored is not what it wrote: a later run makes it again. Exit code 4."""

    code = 4
