"""What the Hub or the way to it refuses, as one message: what was found, and what to do next. No message holds a token."""

from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import get_token
from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

from schemas.errors import PendingWork, UserError
from schemas.refusals import refusal_of

AGAIN = 'what was sent stays: run the same command again'
MOST_SAID = 200  # characters of a server's own words
_ADVICE = {  # HTTP status: what to do. Those from 500 on, and what is not here, are the server's
    400: 'the name may be taken in another spelling, or the card be one that the Hub does not take',
    401: 'log in with `hf auth login`, or set HF_TOKEN to a token that may write (huggingface.co/settings/tokens)',
    402: 'look at the storage and the plan of this namespace on the Hub',
    403: 'use a token that may write to this namespace: HF_TOKEN, or `hf auth login`',
    404: 'look at the name; where the repository is somebody else\'s, a token that may write to it is needed',
}  # fmt: skip
_MOMENT = {  # what passes by itself, or by looking again
    409: f'somebody changed it meanwhile; {AGAIN}', 412: f'somebody changed it meanwhile; {AGAIN}', 429: f'too many requests: wait; {AGAIN}',
}  # fmt: skip


@contextmanager
def hub_refusals(repo: str, endpoint: str) -> Iterator[None]:
    """Turn what fails inside into a UserError, or into PendingWork where the same command may go on later."""
    try:
        yield
    except OfflineModeIsEnabled as e:
        raise UserError(f'{endpoint}: expected to ask the Hub, found HF_HUB_OFFLINE set; unset it') from e
    except (HTTPError, OSError, RuntimeError, ValueError) as e:  # uploads wrap what stopped them; hf_xet has no errors of its own
        raise _told(repo, endpoint, e) from e


def _told(repo: str, endpoint: str, error: BaseException) -> UserError:
    chain = list(_causes(error))
    for one in chain:
        if isinstance(one, HfHubHTTPError):
            return _answered(repo, one)
    if any(isinstance(one, HTTPError) for one in chain):
        found = _clean(str(chain[-1]))
        return PendingWork(f'{endpoint}: expected an answer of the Hub, found none ({found}); look at the network, or HF_ENDPOINT; {AGAIN}')
    return refusal_of(error) or PendingWork(f'{repo}: expected to send its files to {endpoint}, found: {_clean(str(chain[-1]))}; {AGAIN}')


def _answered(repo: str, error: HfHubHTTPError) -> UserError:
    """Return what a status of the Hub means."""
    status = error.response.status_code
    said = error.server_message or error.response.headers.get('x-error-message') or error.response.reason_phrase
    found = f'{repo}: expected the Hub to take it, found {status} ({_clean(said)})'
    if status in _MOMENT or status >= 500:
        return PendingWork(f'{found}; {_MOMENT.get(status, AGAIN)}')
    return UserError(f'{found}; {_ADVICE.get(status, "nothing else was sent")}')


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _clean(said: str) -> str:
    """Return a server's words on one line, without what is not printable and without the token, which a server might send back."""
    token = get_token()
    said = said.replace(token, '***') if token else said
    return ' '.join(''.join(letter if letter.isprintable() else ' ' for letter in said).split())[:MOST_SAID]
