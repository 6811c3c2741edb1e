"""The endpoints of the Hub that `huggingface_hub` 2.4 asks of a data set, with its answers' form, over HTTP on loopback; nothing is checked but the token.

A commit is one request of NDJSON; files that Git LFS holds are put one by one under their sha256 before it. The library's own client is on the
other side, so what it would not take fails the test.
"""

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = 'hf_aTokenThatNobodyMaySee'
PAGE = 3  # entries of a listing's page: the real one has 1,000


def git_id(data: bytes) -> str:
    return hashlib.sha1(b'blob %d\0' % len(data) + data).hexdigest()


@dataclass
class Repo:
    """One data set: the files of its newest commit, name -> (bytes, whether LFS holds them)."""

    private: bool = False
    files: dict = field(default_factory=lambda: {'.gitattributes': (b'*.parquet filter=lfs\n', False)})
    commits: list = field(default_factory=lambda: [{'summary': 'initial commit'}])

    @property
    def sha(self) -> str:
        return hashlib.sha1(json.dumps([len(self.commits), sorted(self.files)]).encode()).hexdigest()

    def entry(self, name: str) -> dict:
        data, is_lfs = self.files[name]
        told = {'type': 'file', 'path': name, 'size': len(data), 'oid': git_id(data)}
        return {**told, 'lfs': {'oid': hashlib.sha256(data).hexdigest(), 'size': len(data), 'pointerSize': 130}} if is_lfs else told


class Hub:
    """What the server holds and saw, and what it is told to refuse."""

    def __init__(self):
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}  # of LFS
        self.asked: list[tuple[str, str]] = []  # (method, path)
        self.put: Counter = Counter()  # oid -> times its bytes came
        self.refusals: dict[str, tuple[int, str]] = {}  # pattern of 'METHOD path' -> (status, words)
        self.after_put = lambda: None
        self.ignored: set[str] = set()
        self.url = ''

    def refusal(self, method: str, path: str) -> tuple[int, str] | None:
        return next((told for pattern, told in self.refusals.items() if re.search(pattern, f'{method} {path}')), None)


class Handler(BaseHTTPRequestHandler):
    """One request; the path decides."""

    protocol_version = 'HTTP/1.1'
    hub: Hub

    def log_message(self, *_):
        pass

    def _answer(self):
        url = urlsplit(self.path)
        path, self.asked_for = unquote(url.path), parse_qs(url.query)
        body = self.rfile.read(int(self.headers.get('content-length') or 0))
        if self.headers.get('transfer-encoding') == 'chunked':
            body = self._chunks()
        self.hub.asked.append((self.command, path))
        if told := self.hub.refusal(self.command, path):
            return self._say({'error': told[1]}, told[0], {'X-Error-Message': told[1]})
        if not path.startswith('/lfs/') and self.headers.get('authorization') != f'Bearer {TOKEN}':
            words = 'Invalid credentials in Authorization header'
            return self._say({'error': words}, 401, {'X-Error-Message': words})
        for method, pattern, answer in ROUTES:
            if method in (self.command, 'ANY') and (found := re.fullmatch(pattern, path)):
                return answer(self, body, *found.groups())
        return self._say({'error': f'no such endpoint: {self.command} {path}'}, 404)

    do_GET = do_POST = do_PUT = do_HEAD = _answer

    def _chunks(self) -> bytes:
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b''.join(parts)

    def _say(self, value, status=200, headers=None):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {'Content-Type': 'application/json', 'Content-Length': str(len(data)), **(headers or {})}.items():
            self.send_header(name, text)
        self.end_headers()
        if self.command != 'HEAD':
            self.wfile.write(data)

    def _repo(self, name) -> Repo | None:
        if name not in self.hub.repos:
            self._say({'error': 'Repository not found'}, 404, {'X-Error-Code': 'RepoNotFound', 'X-Error-Message': 'Repository not found'})
        return self.hub.repos.get(name)

    def create(self, body):
        asked = json.loads(body)
        name = f'{asked["organization"]}/{asked["name"]}'
        assert asked['type'] == 'dataset'
        if asked['organization'] != 'user':
            return self._say({'error': 'no'}, 403, {'X-Error-Message': 'You do not have the right to create here'})
        if name in self.hub.repos:
            return self._say({'error': 'You already created this dataset repo'}, 409)
        self.hub.repos[name] = Repo(private=asked.get('visibility') == 'private')
        return self._say({'url': f'{self.hub.url}/datasets/{name}', 'name': name})

    def info(self, body, name, *_):
        if repo := self._repo(name):
            self._say({'id': name, 'sha': repo.sha, 'private': repo.private, 'tags': [], 'siblings': [{'rfilename': path} for path in repo.files]})

    def tree(self, body, name, revision, folder):
        """List a page of a folder's files and, where everything below it is not asked for, of its folders."""
        if repo := self._repo(name):
            at, start = f'{folder}/' if folder else '', int(self.asked_for.get('cursor', ['0'])[0])
            below = sorted(path for path in repo.files if path.startswith(at))
            if self.asked_for['recursive'][0].lower() == 'false':
                below = sorted({at + path[len(at):].split('/')[0] for path in below})
            listed = [repo.entry(path) if path in repo.files else {'type': 'directory', 'path': path, 'oid': git_id(path.encode())} for path in below]
            query = f'recursive={self.asked_for["recursive"][0]}&cursor={start + PAGE}'
            more = {'Link': f'<{self.hub.url}/api/datasets/{name}/tree/{revision}{"/" + folder if folder else ""}?{query}>; rel="next"'}
            self._say(listed[start:start + PAGE], 200, more if start + PAGE < len(listed) else {})

    def paths_info(self, body, name, revision):
        asked = json.loads(body) if body[:1] == b'{' else parse_qs(body.decode())
        if repo := self._repo(name):
            self._say([repo.entry(path) for path in asked['paths'] if path in repo.files])

    def preupload(self, body, name, revision):
        if repo := self._repo(name):
            files = [{'path': file['path'], 'uploadMode': 'lfs' if file['path'].endswith('.parquet') else 'regular', 'shouldIgnore': file['path'] in self.hub.ignored,
                      'oid': repo.entry(file['path'])['oid'] if file['path'] in repo.files else None} for file in json.loads(body)['files']]
            self._say({'files': files})

    def batch(self, body, name):
        """Say where each object goes; nothing of one that is there (Git LFS batch API)."""
        def of(one):
            actions = {'upload': {'href': f'{self.hub.url}/lfs/{one["oid"]}'}, 'verify': {'href': f'{self.hub.url}/verify'}}
            return one if one['oid'] in self.hub.objects else {**one, 'actions': actions}
        self._say({'transfer': 'basic', 'objects': [of(one) for one in json.loads(body)['objects']]})

    def put(self, body, oid):
        assert hashlib.sha256(body).hexdigest() == oid
        self.hub.put[oid] += 1
        self.hub.objects[oid] = body
        self.hub.after_put()
        self._say({})

    def commit(self, body, name, revision):
        lines = [json.loads(line) for line in body.splitlines()]
        repo, head = self.hub.repos[name], lines[0]['value']
        if head.get('parentCommit') not in (None, repo.sha):
            return self._say({'error': 'A commit has happened since. Please refresh and try again.'}, 412)
        for line in lines[1:]:
            value = line['value']
            if line['key'] == 'file':
                repo.files[value['path']] = base64.b64decode(value['content']), False
            elif line['key'] == 'lfsFile':
                repo.files[value['path']] = self.hub.objects[value['oid']], True
            else:
                assert line['key'] == 'deletedFile', line
                del repo.files[value['path']]
        repo.commits.append(head)
        return self._say({'commitUrl': f'{self.hub.url}/datasets/{name}/commit/{repo.sha}', 'commitOid': repo.sha, 'pullRequestUrl': None})

    def resolve(self, body, name, revision, path):
        repo = self.hub.repos[name]
        if path not in repo.files:
            return self._say({}, 404, {'X-Error-Code': 'EntryNotFound', 'X-Error-Message': 'Entry not found'})
        entry = repo.entry(path)
        etag = entry.get('lfs', entry)['oid']
        return self._say(repo.files[path][0], 200, {'X-Repo-Commit': repo.sha, 'ETag': f'"{etag}"', 'Accept-Ranges': 'none'})

    def nothing(self, body, *_):
        self._say({})


NAME = '([^/]+/[^/]+)'
ROUTES = [
    ('POST', '/api/repos/create', Handler.create), ('POST', '/api/validate-yaml', Handler.nothing), ('POST', '/verify', Handler.nothing),
    ('GET', f'/api/datasets/{NAME}(?:/revision/.+)?', Handler.info), ('GET', f'/api/datasets/{NAME}/tree/([^/]+)(?:/(.+))?', Handler.tree),
    ('POST', f'/api/datasets/{NAME}/paths-info/([^/]+)', Handler.paths_info),
    ('POST', f'/api/datasets/{NAME}/preupload/([^/]+)', Handler.preupload), ('POST', f'/datasets/{NAME}.git/info/lfs/objects/batch', Handler.batch),
    ('PUT', '/lfs/([0-9a-f]{64})', Handler.put), ('POST', f'/api/datasets/{NAME}/commit/([^/]+)', Handler.commit),
    ('ANY', f'/datasets/{NAME}/resolve/([^/]+)/(.+)', Handler.resolve),
]  # fmt: skip


@contextmanager
def running_hub():
    """Give a Hub that answers until the block ends."""
    hub = Hub()
    server = ThreadingHTTPServer(('127.0.0.1', 0), type('Bound', (Handler,), {'hub': hub}))
    hub.url = f'http://127.0.0.1:{server.server_port}'
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
