"""Replies that hold the key they were asked with: rejected whole, since what a model wrote is never rewritten, and never kept."""

import json

from pipelines.chat.counting import told_usage
from pipelines.chat.keys import Key
from pipelines.chat.responses import decode_body
from schemas.replies import Failure, Outcome

LEAKED = 'leaked_key'  # of Failure.kind
DETAIL = 'the reply holds the API key that it was asked with: a server or a router quotes what it is sent'


def without_text(outcome: Outcome) -> Failure:
    """Return the failure that a reply with the key in it amounts to: paid for, and nothing of it kept."""
    return Failure(
        outcome.key, LEAKED, DETAIL, False, outcome.model, outcome.revision, prompt_tokens=outcome.prompt_tokens,
        completion_tokens=outcome.completion_tokens, resized=outcome.resized,
    )


def without_leaks(lines: bytes, key: Key) -> bytes:
    """Return the output of a batch as it may lie on a disk: in place of each line that holds the key one that says so, and what it cost."""
    if not key.is_secret:
        return lines
    return b''.join(_harmless(line) if key.leaked_by(decode_body(line)) else line for line in lines.splitlines(keepends=True))


def _harmless(line: bytes) -> bytes:
    answer = decode_body(line)
    if not isinstance(answer, dict):
        return b''  # a torn line answers nothing
    response = answer.get('response')
    body = response.get('body') if isinstance(response, dict) else None
    usage = body.get('usage') if isinstance(body, dict) else None
    counted = {name: n for name, n in usage.items() if isinstance(n, int)} if isinstance(usage, dict) else {}
    said = {'error': {'code': LEAKED, 'message': DETAIL}, 'response': {'status_code': 200, 'body': {'usage': counted}}}
    return json.dumps({'custom_id': answer.get('custom_id'), **said}).encode() + b'\n'


def paid_for_leak(answer: dict) -> tuple[int, int] | None:
    """Return the prompt and completion tokens of a line that stands for one with the key in it, None for any other line."""
    error = answer.get('error')
    return told_usage(answer['response']['body']) if isinstance(error, dict) and error.get('code') == LEAKED else None
