"""What a response with status 200 is that is no chat completion: an error in its body, or another API's form."""

import json
from typing import Any

# What tells the form of another API, by a name at the top of its body.
_FORMS = (
    ('output', 'a body of /responses or of a native API'), ('candidates', "a body of Gemini's own API"),
    ('generated_text', "a body of TGI's own API"),
    ('response', "a body of Ollama's own API"), ('done', "a body of Ollama's own API"), ('stop_reason', "a body of Anthropic's own API"),
)


def error_in(payload: Any) -> tuple[int, str] | None:
    """Return (code, the error as JSON) that a body tells, 0 where its code is no status of HTTP; None where it tells none.

    OpenRouter answers 200 before its provider does, and then has the error at the top or in the first choice. vLLM before 0.10 and FastAPI
    have it without a name of its own, MiniMax in base_resp, DashScope as code and message.
    """
    if not isinstance(payload, dict):
        return None
    choices = payload.get('choices')
    first = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    for told in (payload.get('error'), payload.get('errors'), first.get('error')):
        if told and not (isinstance(told, dict) and not any(told.values())):
            return _told(told)
    base = payload.get('base_resp')
    if isinstance(base, dict) and base.get('status_code'):
        return _told({'code': base['status_code'], 'message': base.get('status_msg')})
    if choices:
        return None
    message = payload.get('message') or payload.get('detail') or payload.get('msg')
    says = isinstance(message, str | list) or payload.get('object') == 'error' or payload.get('type') == 'error'  # Ollama's message is an object
    return _told({**payload, 'message': message}) if says else None


def _told(error: Any) -> tuple[int, str]:
    return told_status(error), json.dumps(error, default=str, ensure_ascii=False)


def told_status(error: Any) -> int:
    """Return the HTTP status that an error inside a body names (vLLM, OpenRouter: `code`), 0 where it names none."""
    codes = [error.get(name) for name in ('code', 'status', 'status_code')] if isinstance(error, dict) else []
    return next((int(c) for c in codes if isinstance(c, int | str) and str(c).isdigit() and 400 <= int(c) < 600), 0)


def first_choice(payload: Any) -> dict | None:
    """Return the first choice of a chat completion, None where a body is none; Gemini leaves the message out of one that it refused."""
    choices = payload.get('choices') if isinstance(payload, dict) else None
    first = choices[0] if isinstance(choices, list) and choices else None
    return first if isinstance(first, dict) and ('message' in first or 'finish_reason' in first and 'text' not in first) else None


def form_of(payload: Any) -> str:
    """Return what a body looks like that is no chat completion."""
    if isinstance(payload, str):
        page = payload.lstrip()[:200].lower()
        return 'a web page' if page.startswith(('<!doctype', '<html', '<head', '<?xml')) else 'a text that is no JSON' if page else 'an empty body'
    if not isinstance(payload, dict):
        return 'JSON that is no object'
    choices = payload.get('choices')
    if isinstance(choices, list) and choices and isinstance(choices[0], dict) and 'text' in choices[0]:
        return 'a body of /completions'
    return next((form for name, form in _FORMS if name in payload), 'none in it')
