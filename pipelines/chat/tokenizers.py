"""The served model's tokenizer, asked where a server lets it be asked: whether any control token of the model could come out of what others wrote.

vLLM and SGLang have /tokenize beside /v1 (vLLM's takes a chat, too, and with --enable-tokenizer-info-endpoint there is /tokenizer_info), llama.cpp
has /tokenize, /apply-template and /props. Nothing is posted to a server that does not say that it has these; others are taken at the families' word.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

import httpx2

from curation.verdicts.control_tokens import neutral
from pipelines.chat.contact import ELSEWHERE_S, LIST_S, ask
from pipelines.chat.keys import Key
from schemas.errors import UserError
from schemas.recipe import Model

CHAT = ({'role': 'user', 'content': 'Hello'}, {'role': 'assistant', 'content': 'Hello'}, {'role': 'user', 'content': 'Hello'})
# One token of each form that the families have: what is sent in place of them
FORMS = (
    '<|im_start|>', '<|im_end|>', '<|endoftext|>', '<|eot_id|>', '<|start_header_id|>', '<|end|>', '<|user|>', '<|turn>', '<turn|>',
    '<start_of_turn>', '<end_of_turn>', '<bos>', '<eos>', '<s>', '</s>', '<unk>', '<pad>', '[INST]', '[/INST]', '[SYSTEM_PROMPT]', '[gMASK]', '<sop>',
    '<image>', '<|image_pad|>', '<|vision_start|>', '<IMG_CONTEXT>', '[IMG]', '<think>', '</think>', '<tool_call>', '[TOOL_CALLS]', '<｜User｜>',
    '<｜end▁of▁sentence｜>', '<|START_OF_TURN_TOKEN|>', '<|channel|>', '[|user|]', '<end_of_utterance>', '<fake_token_around_image>',
)  # fmt: skip
_BRACKETED = re.compile(r'[<\[\]>|＜｜].*\w.*[>\]|\[<＞｜]', re.DOTALL)  # how a token of a chat is told from a word
_SHOWN = 10


async def tokenizer_asked(http: httpx2.AsyncClient, url: str, settings: Model, key: Key) -> bool:
    """Return whether the server's tokenizer could be asked; raises UserError that names the control tokens which others' texts could bring in."""
    root = url.rstrip('/').removesuffix('/v1')
    others = settings.control_tokens
    sent = '\n'.join(neutral(form, others) for form in (*FORMS, *others))
    if '/tokenize' in await _paths(http, root, key):
        arisen, told = await _of_vllm(http, root, settings, sent, key)
    elif await _is_llama(http, root, key):
        arisen, told = await _of_llama(http, root, sent, key)
    else:
        return False
    found = [piece for piece in _bracketed(arisen) if neutral(piece, others) != piece]
    refuse_unknown([*found, *_unknown(told, others)], f'model {settings.model!r} at {url}')
    return bool(arisen or told)


def refuse_unknown(found: Sequence[str], where: str) -> None:
    """Raise UserError where a tokenizer has control tokens that would be sent as such."""
    if names := list(dict.fromkeys(found)):
        more = f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''
        raise UserError(
            f'{where}: expected control tokens of known families, found others, which a text of a source could speak with: {names[:_SHOWN]}{more}; '
            f'write control_tokens: {names[:_SHOWN]} into this model, and they are sent as plain text'
        )


def unknown_special(tokenizer: Any, others: Sequence[str]) -> list[str]:
    """Return the special tokens of a Hugging Face tokenizer that are of no known family, and none of `others`."""
    added = getattr(tokenizer, 'added_tokens_decoder', None)
    added = [str(token) for token in added.values() if getattr(token, 'special', False)] if isinstance(added, dict) else []
    return _unknown([*(getattr(tokenizer, 'all_special_tokens', None) or ()), *added], others)


def _unknown(tokens: Sequence[str], others: Sequence[str]) -> list[str]:
    return [token for token in tokens if len(token.strip()) > 1 and neutral(token, others) == token]


async def _of_vllm(http: httpx2.AsyncClient, root: str, settings: Model, sent: str, key: Key) -> tuple[list, list[str]]:
    """Return the tokens of a text that should hold no control token, and the control tokens of a chat and of the tokenizer's configuration."""
    wanted = {'model': settings.model, 'return_token_strs': True}
    plain = await _post(http, f'{root}/tokenize', {**wanted, 'prompt': sent, 'add_special_tokens': False}, key)
    chat = await _post(http, f'{root}/tokenize', {**wanted, 'messages': list(CHAT)}, key)
    info = await ask(http, 'GET', f'{root}/tokenizer_info', key=key, limit_s=ELSEWHERE_S)
    special = list(_special(info.body)) if info.status == 200 and isinstance(info.body, dict) else []
    return plain.get('token_strs') or [], [*_bracketed(chat.get('token_strs') or []), *special]


async def _of_llama(http: httpx2.AsyncClient, root: str, sent: str, key: Key) -> tuple[list, list[str]]:
    """Return the same of llama.cpp's server, which tells a token's text as its `piece`."""
    chat = (await _post(http, f'{root}/apply-template', {'messages': list(CHAT)}, key)).get('prompt')
    pieces = []
    for text in (sent, chat if isinstance(chat, str) else ''):
        body = {'content': text, 'with_pieces': True, 'parse_special': True, 'add_special': False}
        tokens = (await _post(http, f'{root}/tokenize', body, key)).get('tokens')
        pieces.append([token.get('piece') for token in tokens if isinstance(token, dict)] if isinstance(tokens, list) else [])
    return pieces[0], _bracketed(pieces[1])


def _bracketed(pieces: Sequence[object]) -> list[str]:
    return [piece for piece in pieces if isinstance(piece, str) and _BRACKETED.fullmatch(piece)]


async def _paths(http: httpx2.AsyncClient, root: str, key: Key) -> frozenset[str]:
    """Return the paths that a server says it has (FastAPI's description of itself)."""
    answer = await ask(http, 'GET', f'{root}/openapi.json', key=key, limit_s=LIST_S)
    paths = answer.body.get('paths') if answer.status == 200 and isinstance(answer.body, dict) else None
    return frozenset(paths) if isinstance(paths, dict) else frozenset()


async def _is_llama(http: httpx2.AsyncClient, root: str, key: Key) -> bool:
    answer = await ask(http, 'GET', f'{root}/props', key=key, limit_s=ELSEWHERE_S)
    return answer.status == 200 and isinstance(answer.body, dict) and isinstance(answer.body.get('chat_template'), str)


async def _post(http: httpx2.AsyncClient, url: str, body: dict[str, Any], key: Key) -> dict[str, Any]:
    answer = await ask(http, 'POST', url, key=key, body=body, limit_s=LIST_S)
    return answer.body if answer.status == 200 and isinstance(answer.body, dict) else {}


def _special(info: dict[str, Any]) -> Iterator[str]:
    """Yield the special tokens of a tokenizer's configuration."""
    for name, value in info.items():
        if name.endswith('_token') and isinstance(value, str):
            yield value
    for name in ('additional_special_tokens', 'extra_special_tokens'):
        listed = info.get(name)
        yield from (token for token in (listed.values() if isinstance(listed, dict) else listed or ()) if isinstance(token, str))
    added = info.get('added_tokens_decoder')
    for token in added.values() if isinstance(added, dict) else ():  # vLLM leaves out which of them are special, and HTML may be among them
        if isinstance(token, dict) and token.get('special') and isinstance(token.get('content'), str):
            yield token['content']
