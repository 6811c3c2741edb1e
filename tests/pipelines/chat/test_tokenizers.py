"""The served tokenizer: asked where a server says that it can be, and a control token of no known family stops a build before it is paid for."""

import json

import pytest

from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.tokenizers import unknown_special
from schemas.errors import UserError
from tests.fakes import completion
from tests.pipelines.chat.test_contact import serving
from tests.pipelines.chat.test_openai_backend import settings
from tests.promises import promise

NEEDS = frozenset({'logprobs'})


def served(turns: str, *, info: dict | None = None, llama: bool = False, breaks: bool = False):
    """Serve a model whose chats hold the tokens `turns`, with vLLM's paths or llama.cpp's; `breaks`: its tokenizer joins what blanks part."""
    split = turns.split(' ')
    asked = []

    def get(path):
        if path.endswith('/openapi.json') and not llama:
            return 200, json.dumps({'paths': {'/tokenize': {}, '/v1/chat/completions': {}}}).encode(), {}
        if path.endswith('/props') and llama:
            return 200, json.dumps({'chat_template': '...'}).encode(), {}
        if path.endswith('/tokenizer_info') and info:
            return 200, json.dumps(info).encode(), {}
        return None if path.endswith('/models') else (404, b'{}', {})

    def post(body):
        asked.append(body)
        if 'prompt' in body or 'content' in body:
            text = body.get('prompt') or body['content']
            pieces = split if text == 'a chat' else ['<|im_end|>'] if breaks else text.split(' ')
            told = {'tokens': [{'id': 1, 'piece': piece} for piece in pieces]} if llama else {'token_strs': pieces}
            return 200, json.dumps(told).encode(), {}
        if 'max_completion_tokens' in body:
            return 200, json.dumps(completion(body)).encode(), {}
        return 200, json.dumps({'prompt': 'a chat'} if llama else {'token_strs': [*split, 'Hello']}).encode(), {}

    return serving(get, post), asked


def check(around, **changes):
    with around as (url, _):
        backend = OpenAIBackend(settings(url, **changes))
        try:
            return backend.check(NEEDS)
        finally:
            backend.close()


@pytest.mark.parametrize('llama', [False, True])
@promise('Text that speaks to the judge', 'A served model with control tokens of no known family stops a build before anything is paid for, by name', servers=2)
def test_a_control_token_of_no_known_family_is_named_before_anything_is_paid(llama):
    around, _ = served('@ <<turn-of-user>> Hello <|im_end|>', llama=llama)
    with pytest.raises(UserError, match=r"expected control tokens of known families, found others.*'<<turn-of-user>>'.*write control_tokens: \['<<turn-of-user>>'\]"):
        check(around)
    around, _ = served('@ <<turn-of-user>> Hello <|im_end|>', llama=llama)
    assert check(around, control_tokens=['<<turn-of-user>>']).tokenizer is True


def test_known_families_pass_and_a_tokenizer_that_undoes_the_blank_does_not():
    around, asked = served('<|im_start|> user Ċ <|im_end|>')
    assert check(around).tokenizer is True
    assert sum('prompt' in body or 'messages' in body and 'max_completion_tokens' not in body for body in asked) == 2
    around, _ = served('<|im_start|>', breaks=True)
    with pytest.raises(UserError, match=r"'<\|im_end\|>'"):
        check(around)


def test_special_tokens_that_a_server_lists_are_looked_at():
    info = {'bos_token': '<s>', 'eos_token': '%%end%%', 'additional_special_tokens': ['<|x|>'],
            'added_tokens_decoder': {'1': {'content': '<h1>', 'special': False}, '2': {'content': '<turn of user>', 'special': True}, '3': '<h2>'}}  # fmt: skip
    around, _ = served('<|im_start|>', info=info)
    with pytest.raises(UserError, match=r"found others, .*: \['%%end%%', '<turn of user>'\];"):
        check(around)


def test_a_server_that_does_not_say_so_is_asked_nothing_more_than_prompts():
    posted = []
    with serving(lambda path: None, lambda body: posted.append(body)) as (url, _):
        backend = OpenAIBackend(settings(url))
        assert backend.check(NEEDS).tokenizer is False
        backend.close()
    assert all('max_completion_tokens' in body for body in posted)


def test_an_engine_in_this_process_tells_its_special_tokens():
    class Token(str):
        special = True

    class Plain(str):
        special = False

    class Tokenizer:
        all_special_tokens = ('<s>', '%%end%%')
        added_tokens_decoder = {1: Token('<turn of user>'), 2: Plain('<h1>'), 3: Token('<|im_end|>')}

    assert unknown_special(Tokenizer(), ()) == ['%%end%%', '<turn of user>']
    assert unknown_special(Tokenizer(), ('%%end%%', '<turn of user>')) == []
    assert unknown_special(object(), ()) == []
