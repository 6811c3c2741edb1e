"""The gallery as a small web server on loopback. It answers a closed list of addresses; nothing in an address is ever a path of a file."""

import json
import re
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import duckdb

from pipelines.look.gallery.against import Against, open_against
from pipelines.look.gallery.condition import first_line
from pipelines.look.gallery.entry import entry, first_picture, open_replies, work_picture
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.overview import about, edges, overview
from pipelines.look.gallery.prompts import prompts_of
from pipelines.look.gallery.query import BadRequest, Query, read_query, read_view
from pipelines.look.gallery.thumbnail import thumbnail
from pipelines.look.gallery.work import WorkPictures, find_work
from pipelines.replies.store import ReplyStore
from pipelines.snapshot.inline_picture import for_browser
from schemas.errors import UserError
from schemas.json_text import strict
from schemas.telling import tell_news

SCRIPTS = (
    'page', 'state', 'served', 'exported', 'plots', 'filters', 'where', 'tags', 'overview', 'scroller', 'rows', 'words', 'row', 'compare', 'gallery'
)
FILES = (*(f'{name}.js' for name in SCRIPTS), 'gallery.css')
KINDS = {'html': 'text/html; charset=utf-8', 'js': 'text/javascript; charset=utf-8', 'css': 'text/css; charset=utf-8'}
PAGE = {'/': 'index.html', **{f'/{name}': name for name in FILES}}
POLICY = ("default-src 'none'; img-src 'self' data:; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; "
          "frame-ancestors 'none'")
IMAGE_PATH = re.compile(r'/(before/)?image/([0-9a-f]{64})')
THUMB_PATH = re.compile(r'/thumb/(kept|rejected)/([0-9]{1,10})')
WORK_PATH = re.compile(r'/work/(kept|rejected)/([0-9]{1,10})/([0-9]{1,4})')
MOST_CONNECTIONS = 200  # that wait; a browser opens six
PATIENCE_S = 30.0  # with a connection on which nothing comes
SAID_CHARS = 500  # of an error
CONDITION_S = 5.0  # for all that is asked of one that a user typed
LAST_ROW = 2**31 - 1  # the index counts rows in 32 bits


class Gallery(ThreadingHTTPServer):
    """The server and what it shows. Of MOST_CONNECTIONS the one that has waited longest for its next request makes room for a new one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, index: GalleryIndex, replies: ReplyStore | None, port: int, work: WorkPictures | None = None, against: Against | None = None
    ):
        self.index, self.replies, self.work, self.against, self.lock = index, replies, work, against, threading.Lock()
        index.seal()
        self.edges = edges(index)  # of all rows, which stay as they are
        self.waiting: dict[socket.socket, None] = {}  # for a request, or for the rest of one; in the order in which they began to
        super().__init__(('127.0.0.1', port), partial(_Handler))

    def process_request(self, request: socket.socket, client_address: tuple) -> None:  # type: ignore[override]
        """Answer a connection on a thread of its own."""
        while len(self.waiting) >= MOST_CONNECTIONS:
            with suppress(OSError, StopIteration, RuntimeError):  # it ended meanwhile, and what reads from it does
                oldest = next(iter(self.waiting))
                self.waiting.pop(oldest, None)
                oldest.shutdown(socket.SHUT_RDWR)
        self.waiting[request] = None
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """Close a connection."""
        self.waiting.pop(request, None)
        super().shutdown_request(request)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say in one line what went wrong with a connection; one that the browser closed is no news."""
        if not isinstance(e := sys.exception(), ConnectionError | TimeoutError):
            print(f'gallery: {type(e).__name__}: {e}', file=sys.stderr)


class _Handler(BaseHTTPRequestHandler):
    server: Gallery
    protocol_version = 'HTTP/1.1'
    server_version, sys_version = 'phantom-gallery', ''
    timeout = PATIENCE_S

    def handle_one_request(self) -> None:
        """Wait for a request and answer it."""
        self.server.waiting.setdefault(self.connection)
        super().handle_one_request()

    def do_GET(self) -> None:
        """Answer one request."""
        self.server.waiting.pop(self.connection, None)
        host = (self.headers.get('Host') or '').rsplit(':', 1)[0]
        if host not in ('127.0.0.1', 'localhost'):  # another name for this address is a page elsewhere that wants to read ours
            return self._send(403, 'text/plain', b'open this page as http://127.0.0.1')
        try:
            address = urlsplit(self.path)
        except ValueError as e:  # half a bracket of an IPv6 address
            return self._send(400, 'text/plain; charset=utf-8', f'address: {e}'.encode())
        try:
            status, kind, body = self._answer(address.path, parse_qs(address.query))
        except BadRequest as e:
            status, kind, body = 400, 'text/plain; charset=utf-8', str(e).encode()
        except UserError as e:  # a shard that changed, or cannot be read any more
            status, kind, body = 503, 'text/plain; charset=utf-8', str(e).encode()
        except Exception as e:  # whatever else data or a disk does, a page is told
            print(f'gallery: {address.path}: {e!r}'[:SAID_CHARS], file=sys.stderr)
            status, kind, body = 500, 'text/plain; charset=utf-8', f'{type(e).__name__}: {e}'[:SAID_CHARS].encode('utf-8', 'backslashreplace')
        return self._send(status, kind, body)

    def _answer(self, path: str, asked: dict[str, list[str]]) -> tuple[int, str, bytes]:
        if path in PAGE:
            return 200, KINDS[PAGE[path].rpartition('.')[2]], page_file(PAGE[path])
        if path in ANSWERS:
            found = ANSWERS[path](self.server, asked)
            return _json(found) if found is not None else (404, 'text/plain', b'no such row')
        data = None
        if image := IMAGE_PATH.fullmatch(path):
            against = self.server.against
            of = self.server.index if image[1] is None else against.before if against else None
            data = of.picture(image[2]) if of else None
        elif place := WORK_PATH.fullmatch(path):
            with self.server.lock:
                data = work_picture(self.server.index, self.server.work, place[1], int(place[2]), int(place[3]))
        elif row := THUMB_PATH.fullmatch(path):
            with self.server.lock:
                data = first_picture(self.server.index, self.server.work, row[1], min(int(row[2]), LAST_ROW))
            data = thumbnail(data) if data else None
        return (200, *for_browser(data)) if data else (404, 'text/plain', b'nothing here')

    def _send(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header('Content-Type', kind)
        self.send_header('Content-Length', str(len(body)))
        self.send_header('Content-Security-Policy', POLICY)
        self.send_header('X-Content-Type-Options', 'nosniff')
        self.send_header('Cross-Origin-Resource-Policy', 'same-origin')
        self.send_header('Referrer-Policy', 'no-referrer')
        self.send_header('Cache-Control', 'max-age=3600' if kind.startswith('image/') else 'no-store')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Stay silent: a request is not news."""


def page_file(name: str) -> bytes:
    """Return one of the page's own files."""
    return files('pipelines.look.gallery').joinpath(name).read_bytes()


def _entry(server: Gallery, asked: dict[str, list[str]]) -> dict | None:
    with server.lock:  # the reply store is not made for threads
        return entry(server.index, server.replies, read_view(asked), _number(asked, 'n', 0), server.work)


def _changes(server: Gallery, asked: dict[str, list[str]]) -> dict | None:
    said = {name: values[0] for name, values in asked.items()}
    return server.against.page(said, _number(asked, 'offset', 0), _number(asked, 'limit', 50)) if server.against else None


def _change_place(server: Gallery, asked: dict[str, list[str]]) -> dict | None:
    said = {name: values[0] for name, values in asked.items()}
    return {'place': server.against.place(said, _number(asked, 'n', 0))} if server.against else None


def _of_rows(server: Gallery, asked: dict[str, list[str]], answer: Callable[[Query], object]) -> object:
    """Return what is asked of the rows that an address chooses; raises BadRequest where the condition in it fails or takes too long."""
    query = read_query(asked)
    if not query.typed:
        return answer(query)
    try:
        with server.index.limited(CONDITION_S):
            return answer(query)
    except duckdb.InterruptException as e:
        raise BadRequest(f'where: expected an answer within {CONDITION_S:g} s, found none; choose a source first or ask for less') from e
    except duckdb.Error as e:
        raise BadRequest(f'where: expected values that fit their columns, found: {first_line(e)}') from e


ANSWERS: dict[str, Callable[[Gallery, dict[str, list[str]]], object]] = {
    '/api/about': lambda server, asked: about(server.index, work=server.work is not None, against=server.against is not None),
    '/api/overview': lambda server, asked: _of_rows(server, asked, lambda query: overview(server.index, query, server.edges)),
    '/api/page': lambda server, asked: _of_rows(
        server, asked, lambda query: server.index.page(query, _number(asked, 'offset', 0), _number(asked, 'limit', 50))),
    '/api/place': lambda server, asked: _of_rows(
        server, asked, lambda query: {'place': server.index.place(query, _number(asked, 'n', 0))}),
    '/api/row': _entry,
    '/api/prompts': lambda server, asked: prompts_of(server.index, read_view(asked), _number(asked, 'n', 0)),
    '/api/compared': lambda server, asked: server.against.told() if server.against else None,
    '/api/changes': _changes,
    '/api/changes/place': _change_place,
    '/api/pair': lambda server, asked: server.against.pair(_number(asked, 'n', 0)) if server.against else None,
    '/api/related': lambda server, asked: server.index.related(read_view(asked), _number(asked, 'n', 0)),
}


def _number(asked: dict[str, list[str]], name: str, default: int) -> int:
    text = asked.get(name, [str(default)])[0]
    if not re.fullmatch(r'[0-9]{1,10}', text):
        raise BadRequest(f'{name}: expected a number, found {text[:20]!r}')
    return min(int(text), LAST_ROW)


def _json(value: object) -> tuple[int, str, bytes]:
    return 200, 'application/json; charset=utf-8', json.dumps(strict(value), ensure_ascii=False, default=str, allow_nan=False).encode()


def serve_gallery(snapshot: Path, port: int, replies: Path | None = None, work: Path | None = None, against: Path | None = None) -> None:
    """Serve the page until Ctrl-C; raises UserError for a port that is taken."""
    pictures = find_work(snapshot, work)
    tell_news(f'{snapshot}: indexing ...')
    index = GalleryIndex(snapshot)
    index.measure()
    if pictures:
        pictures.flagged.mark(index)
    compared = open_against(index, against)
    try:
        server = Gallery(index, open_replies(snapshot, replies), port, pictures, compared)
    except OSError as e:
        raise UserError(f'port {port}: expected a free port on 127.0.0.1, found: {e.strerror}; choose another --port') from e
    print(f'gallery of {snapshot}: http://127.0.0.1:{server.server_port}/ (Ctrl-C ends it)', flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass
    finally:
        server.server_close()
        if compared:
            compared.close()
        index.close()
