"""A reply that comes piece by piece, put together into the body that a plain call would have brought."""

import json
from typing import Any

from pipelines.chat.responses import decode_body

STREAMED = {'stream': True, 'stream_options': {'include_usage': True}}  # what asks for pieces: fields of transport, never part of a reply's key
SPARE_BYTES = 16 * 2**20  # of a reply beyond its tokens: the log-probabilities of a long prompt, a server's own fields
BYTES_PER_TOKEN = 8192  # a piece with one token, 20 alternatives and ids around it has under 4 KiB
SPARE_PIECES = 4096  # beyond PIECES_PER_TOKEN for each token asked for: thoughts that a server does not count, signs of life
PIECES_PER_TOKEN = 8
HOLDERS = ('message', 'logprobs')  # of a choice: objects, whatever comes
ONCE = ('role', 'type', 'id', 'name', 'object', 'format', 'signature', 'index')  # told whole; all other texts of a piece continue the last
NAMES = (b':', b'data:', b'event:', b'id:', b'retry:')  # what a line of server-sent events begins with


class Endless(Exception):
    """More came than a reply of so many tokens can have."""


class Pieces:
    """The bytes of one response as they come: server-sent events, or a body in one piece from a server that does not stream."""

    def __init__(self, max_tokens: int):
        self._most_bytes = SPARE_BYTES + BYTES_PER_TOKEN * max_tokens
        self._most_pieces = SPARE_PIECES + PIECES_PER_TOKEN * max_tokens
        self._bytes = self._n_pieces = 0
        self._rest = b''  # of a line that is not whole yet
        self._whole: list[bytes] = []  # a body in one piece
        self._half = ''  # data of an event whose JSON goes on in the next line
        self._body: dict[str, Any] = {}
        self._choices: dict[int, dict] = {}
        self.streamed: bool | None = None  # None: nothing has come but blanks
        self.produced = 0  # pieces that brought something of the reply: not signs of life
        self.done = False  # [DONE] has come
        self.broken = ''  # a piece that is no JSON

    def feed(self, data: bytes) -> None:
        """Take more bytes; raises Endless for more than a reply can have."""
        self._bytes += len(data)
        if self._bytes > self._most_bytes:
            raise Endless(f'more than {self._most_bytes} bytes')
        if self.streamed is None:
            data = (self._rest + data).lstrip(b'\xef\xbb\xbf \t\r\n')
            self._rest = b''
            if not data or any(name.startswith(data) for name in NAMES if name != data):  # too little to see what it is
                self._rest = data
                return
            self.streamed = data.startswith(NAMES)
        if not self.streamed:
            self._whole.append(data)
            return
        *lines, self._rest = (self._rest + data).replace(b'\r\n', b'\n').split(b'\n')
        for line in lines:
            self._take(line)

    def end(self) -> None:
        """Take what is left: the last line may have no end."""
        if self.streamed and self._rest:
            last, self._rest = self._rest, b''
            self._take(last)

    @property
    def finished(self) -> bool:
        """Return whether the reply says that it has ended: what may still come is no part of it."""
        return self.done or any(choice.get('finish_reason') for choice in self._choices.values())

    @property
    def failed(self) -> bool:
        """Return whether an error came in place of a piece."""
        return 'error' in self._body

    def payload(self) -> Any:
        """Return the decoded body, as far as it has come."""
        if not self.streamed:
            return decode_body(b''.join(self._whole) or self._rest)
        body = {**self._body, 'choices': [self._choices[i] for i in sorted(self._choices)]} if self._choices else self._body
        # through JSON, so that halves of a character that came in two pieces find each other
        return decode_body(json.dumps(body).encode())

    def _take(self, line: bytes) -> None:
        if self.done:
            return
        line = line.strip(b'\r')
        name, _, value = line.partition(b':')
        if line[:1] == b'{':  # an error that a server writes into its stream as it is
            value = line
        elif name != b'data':
            if not line:
                self._half = ''
            return
        text = self._half + value.decode(errors='replace').strip()
        if text == '[DONE]':
            self.done = True
            return
        self._n_pieces += 1
        if self._n_pieces > self._most_pieces:
            raise Endless(f'more than {self._most_pieces} pieces')
        try:
            piece = json.loads(text)
        except (ValueError, RecursionError):
            self._half = text  # an event of several lines; if it does not become JSON, `broken` says so
            self.broken = text
            return
        self._half = self.broken = ''
        if isinstance(piece, dict):
            self._add(piece)

    def _add(self, piece: dict) -> None:
        choices = piece.pop('choices', None)
        for name, value in piece.items():
            if value is not None:
                self._body[name] = value  # the last one counts: usage may be told more than once
        if self._body.get('object') == 'chat.completion.chunk':
            self._body['object'] = 'chat.completion'
        if piece.get('error') is not None or piece.get('usage') is not None:
            self.produced += 1
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, dict):
                self._add_choice(choice)

    def _add_choice(self, choice: dict) -> None:
        index = choice.get('index')
        index = index if isinstance(index, int) else 0
        whole = self._choices.setdefault(index, {'index': index, 'message': {'role': 'assistant', 'content': None}, 'finish_reason': None})
        delta = choice.pop('delta', None)
        if isinstance(delta, dict):
            self.produced += any(value not in (None, '', [], {}) for name, value in delta.items() if name != 'role')
            extend(whole['message'], delta)
        elif isinstance(choice.get('message'), dict):
            self.produced += 1
        if choice.get('finish_reason'):
            self.produced += 1
        for name, value in choice.items():
            if name in HOLDERS and not isinstance(value, dict):
                continue  # null, or nothing that any server writes there
            if name == 'logprobs':
                extend(whole.setdefault('logprobs', {}), value)
            elif value is not None and (value != '' or name not in whole or whole[name] is None):
                whole[name] = value


def extend(whole: dict, more: dict) -> None:
    """Continue the values of `whole` by those of `more`: texts and lists go on, tool calls by their index, what stands in ONCE is told whole."""
    for name, value in more.items():
        known = whole.get(name)
        if value is None:
            whole.setdefault(name, None)
        elif name == 'tool_calls':
            whole[name] = _extend_calls(known if isinstance(known, list) else [], value)
        elif known is None or name in ONCE:
            whole[name] = value
        elif isinstance(known, list) or isinstance(value, list):
            whole[name] = _parts(known) + _parts(value)  # content in parts, as Mistral streams thoughts
        elif isinstance(known, dict) and isinstance(value, dict):
            extend(known, value)
        elif isinstance(known, str) and isinstance(value, str):
            whole[name] = known + value
        else:
            whole[name] = value


def _parts(content: Any) -> list:
    if isinstance(content, list):
        return content
    return [{'type': 'text', 'text': content}] if content else []


def _extend_calls(calls: list, more: Any) -> list:
    for call in more if isinstance(more, list) else ():
        if isinstance(call, dict):
            index = call.get('index', len(calls))
            known = next((c for c in calls if c.get('index', 0) == index), None)
            if known is None:
                calls.append(dict(call, index=index))
            else:
                extend(known, call)
    return calls
