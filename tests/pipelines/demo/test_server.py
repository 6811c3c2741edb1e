"""The demo server: ready or refused with a message, and never left behind. The real vLLM is in test_real_vllm.py."""

import contextlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import phantom
from pipelines.demo import server as serve_demo
from schemas.errors import UserError
from tests.fakes import group_is_empty

ROOT = str(Path(__file__).parents[3])
# stands in for vLLM: answers /v1/models, starts a child of its own, ignores being asked to end
STAND_IN = """
import http.server, json, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('loading weights')
if sys.argv[2] == 'dies':
    sys.exit('no weights in this box')
subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', 'grandchild-' + sys.argv[1]])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        data = json.dumps({'data': [{'id': sys.argv[3]}]}).encode()
        self.send_response(200); self.send_header('Content-Length', str(len(data))); self.end_headers(); self.wfile.write(data)
    def log_message(self, *a): pass
http.server.HTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.fixture
def stand_in(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(serve_demo, 'model_folder', lambda say: tmp_path)
    monkeypatch.setattr(serve_demo, 'require_vllm', lambda: None)
    monkeypatch.setattr(serve_demo, 'STOP_S', 0.3)
    monkeypatch.setattr(serve_demo, 'choose_dtype', lambda asked: ('bfloat16', 'it is fast') if asked == 'auto' else (asked, 'as asked'))

    def use(behaviour: str) -> None:
        monkeypatch.setattr(
            serve_demo, 'server_command',
            lambda folder, port, dtype: [sys.executable, '-c', STAND_IN, str(port), behaviour, serve_demo.MODEL],
        )

    use('lives')
    return use


def test_the_server_is_ready_inside_the_block_and_gone_after_it_with_its_children(stand_in):
    said = []
    with serve_demo.demo_server(port=0, say=said.append) as server:
        assert serve_demo.served_models(server.url) == [serve_demo.MODEL] == [server.model]
        assert not group_is_empty(server.pid, 0.01)
    assert group_is_empty(server.pid)
    assert serve_demo.served_models(server.url) == []
    assert any('ready after' in line for line in said)


@pytest.mark.parametrize(('asked', 'served'), [({}, 'bfloat16'), ({'dtype': 'float32'}, 'float32')])
def test_what_starts_where_in_which_dtype_is_said_first_and_is_what_starts(stand_in, monkeypatch, asked, served):
    commands, command = [], serve_demo.server_command
    monkeypatch.setattr(serve_demo, 'server_command', lambda *args: commands.append(args) or command(*args))
    said = []
    with serve_demo.demo_server(port=0, say=said.append, **asked) as server:
        port = int(server.url.split(':')[2].split('/')[0])
    assert said[0] == f'demo model: starting {serve_demo.MODEL} on port {port}'
    assert said[1].startswith(f'demo model: {served}, ')
    assert [args[1:] for args in commands] == [(port, served)]


def test_the_verb_serves_until_ctrl_c(stand_in, monkeypatch, capsys):
    def pressed(pid: int) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(serve_demo, 'alive', pressed)
    monkeypatch.setattr(signal, 'signal', lambda *order: None)
    told = CliRunner().invoke(phantom.app, ['serve-demo', '--port', '0'])
    assert told.exit_code == 0
    assert f'demo model {serve_demo.MODEL} answers at http://127.0.0.1:' in told.output + ''.join(capsys.readouterr())


def test_a_wrong_dtype_is_one_message_and_nothing_starts(stand_in, monkeypatch):
    monkeypatch.setattr(serve_demo, 'guarded_server', None)
    told = CliRunner().invoke(phantom.app, ['serve-demo', '--port', '0', '--dtype', 'half'])
    assert told.exit_code == 2
    assert all(word in told.output for word in ("'half'", "'float32'", "'bfloat16'")), 'what is known is named'


def test_an_exception_in_the_block_ends_the_server_too(stand_in):
    with pytest.raises(ZeroDivisionError), serve_demo.demo_server(port=0, say=str) as server:
        1 / 0  # noqa: B018
    assert group_is_empty(server.pid)


def test_a_server_that_does_not_start_is_reported_with_the_end_of_its_log(stand_in):
    stand_in('dies')
    with pytest.raises(UserError, match='(?s)found that it ended; its log .*no weights in this box'), serve_demo.demo_server(port=0, say=str):
        pass


def test_a_taken_port_is_refused_before_anything_starts(stand_in):
    with serve_demo.demo_server(port=0, say=str) as server:
        port = int(server.url.split(':')[2].split('/')[0])
        with pytest.raises(UserError, match=f'expected port {port} .* to be free, found it taken'), serve_demo.demo_server(port=port, say=str):
            pass
        with serve_demo.demo_server(port=port, say=str, reuse=True) as again:
            assert (again.url, again.pid) == (server.url, 0)
        assert serve_demo.served_models(server.url) == [serve_demo.MODEL]


@pytest.mark.parametrize(
    ('number', 'forked'), [(signal.SIGKILL, False), (signal.SIGTERM, False), (signal.SIGINT, False), (signal.SIGKILL, True)]
)
def test_nothing_is_left_when_our_own_process_is_killed(stand_in, tmp_path, number, forked):
    """`forked`: a worker of ours survives and holds our end of the guard's pipe open."""
    code = f"""
import os, sys, time
from pathlib import Path
from pipelines.demo import server as serve_demo
serve_demo.model_folder = lambda say: Path({str(tmp_path)!r})
serve_demo.STOP_S = 0.3
serve_demo.server_command = lambda folder, port, dtype: [sys.executable, '-c', {STAND_IN!r}, str(port), 'lives', serve_demo.MODEL]
with serve_demo.demo_server(port=0, dtype='float32', say=str) as server:
    if {forked} and os.fork() == 0:
        time.sleep(600)
    print(server.pid, flush=True)
    time.sleep(600)
"""
    child = subprocess.Popen([sys.executable, '-c', code], stdout=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)
    try:
        group = int(child.stdout.readline())
        os.kill(child.pid, number)
        child.wait()
        assert group_is_empty(group)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def test_missing_packages_are_named_with_what_to_do(monkeypatch):
    found = serve_demo.importlib.util.find_spec
    monkeypatch.setattr(serve_demo.importlib.util, 'find_spec', lambda name: None if name == 'vllm' else found(name))
    with pytest.raises(UserError, match='found no vllm; run `make demo`.*base_urls'), serve_demo.demo_server(port=0):
        pass


def test_the_cache_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'x'))
    assert serve_demo.cache_folder() == tmp_path / 'x' / 'phantom'
    monkeypatch.delenv('XDG_CACHE_HOME')
    monkeypatch.setenv('HOME', str(tmp_path))
    assert serve_demo.cache_folder() == tmp_path / '.cache' / 'phantom'


def test_the_conversion_imports_nothing_from_where_the_user_stands(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    monkeypatch.setattr(serve_demo, 'CONVERT', 'import os, sys, colorsys; os.mkdir(sys.argv[3])')
    (tmp_path / 'colorsys.py').write_text('raise ImportError("the user has a file of this name")')
    monkeypatch.chdir(tmp_path)
    assert serve_demo.model_folder(str).is_dir()


def test_a_failed_conversion_leaves_nothing_and_says_why(monkeypatch, tmp_path):
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path))
    monkeypatch.setattr(serve_demo, 'CONVERT', 'import os, sys; os.mkdir(sys.argv[3]); sys.exit("disk on fire")')
    with pytest.raises(UserError, match='disk on fire'):
        serve_demo.model_folder(str)
    assert list((tmp_path / 'phantom').iterdir()) == []
