"""What a server was seen to do when it was checked, kept beside the replies for the processes that ask it."""

from dataclasses import asdict, dataclass
from pathlib import Path

from schemas.publish import publish_checked, read_checked


@dataclass(frozen=True, slots=True)
class Manners:
    """How a model's server answers. The defaults are those of one that was not looked at: nothing is taken for granted."""

    served_by: str = ''  # its own words for its version; '' where it tells none
    usage: bool = True  # whether it counts tokens
    finish_reason: bool = True  # whether it says how a reply ended: where it never does, a whole reply without is accepted
    reasons: bool = False  # whether it thinks before it answers
    streams: bool = False  # whether it sends a reply piece by piece, with usage
    tokenizer: bool = False  # whether its tokenizer was asked: no text of others can speak with its control tokens; left out where it was not


UNSEEN = Manners()  # of a server that nobody looked at


def write_manners(folder: Path, name: str, manners: Manners) -> None:
    """Keep the manners of the model called `name` in a recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    publish_checked(folder / f'{name}.json', {fact: value for fact, value in asdict(manners).items() if value or fact != 'tokenizer'})


def read_manners(folder: Path, name: str) -> Manners:
    """Return what was kept of the model called `name`, the defaults where nothing was."""
    try:
        return Manners(**(read_checked(folder / f'{name}.json') or {}))  # none yet, or one that a fault of the disk spoiled
    except TypeError:  # of another version: nothing is taken for granted
        return Manners()
