"""What a generator's reply says: the answers it proposes."""

import json
from collections.abc import Sequence

from schemas.records import Reason


def read_paper_answer(text: str, kind: str = 'incorrect') -> tuple[tuple[str, str], ...] | Reason:
    """Return ((answer, kind),) from a reply that is one answer, or the reason why there is none."""
    answer = _unquoted(text.strip())
    return ((answer, kind),) if answer else Reason.UNPARSABLE_REPLY


def read_grounded_answers(text: str, kinds: Sequence[str] = ('incorrect', 'ambiguous')) -> tuple[tuple[str, str], ...] | Reason:
    """Return ((answer, kind), ...) from a reply that is one JSON object with an answer for each of `kinds`, or the reason."""
    body = text.strip().removeprefix('```json').removeprefix('```').removesuffix('```')
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):  # a model may write a thousand brackets
        return Reason.UNPARSABLE_REPLY
    if not isinstance(found, dict):
        return Reason.UNPARSABLE_REPLY
    # half a surrogate pair, which JSON can escape and no file takes, becomes '?'
    answers = tuple((str(found.get(kind) or '').encode('utf-8', 'replace').decode().strip(), kind) for kind in kinds)
    texts = all(isinstance(found.get(kind), str) for _, kind in answers)
    return answers if texts and all(answer for answer, _ in answers) else Reason.UNPARSABLE_REPLY


def _unquoted(text: str) -> str:
    pairs = (('"', '"'), ("'", "'"), ('“', '”'))
    for opening, closing in pairs:
        if len(text) > 1 and text[0] == opening and text[-1] == closing:
            return text[1:-1].strip()
    return text
