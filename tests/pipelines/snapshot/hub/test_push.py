"""Snapshots on the Hub: the library's client talks to a server that answers as the Hub does (tests/pipelines/snapshot/hub/fake_hub.py)."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from schemas.snapshot import open_snapshot
from tests.pipelines.snapshot.hub.fake_hub import TOKEN, Repo, running_hub
from tests.pipelines.snapshot.sealed import picture, rejection, seal_rows, triple, vouch

ROOT = Path(__file__).parents[4]
REPO = 'user/little'
SHARDS = 6


@pytest.fixture
def snapshot(tmp_path) -> Path:
    rows = [[triple(3 * shard + i, images=[picture('red')] if i else []) for i in range(3)] for shard in range(SHARDS - 1)]
    splits = {'train': rows, 'validation': [[triple(100), triple(101)]]}
    folder = seal_rows(tmp_path / 'sealed', 'triples', splits, [rejection(200)], extras={'calibration/report.json': b'{}'})
    card = (folder / 'README.md').read_text('utf-8')
    files = ''.join(f'  - split: {split}\n    path: data/{split}-*.parquet\n' for split in splits)
    (folder / 'README.md').write_text(f'---\nconfigs:\n- config_name: default\n  data_files:\n{files}---\n{card}', 'utf-8')
    manifest = json.loads((folder / 'manifest.json').read_text())
    names = [entry['file'] for name in ('shards', 'rejections', 'extras') for entry in manifest[name]]
    return vouch(folder, files=sorted([*names, 'README.md']))


@pytest.fixture
def hub(monkeypatch, tmp_path):
    with running_hub() as found:
        monkeypatch.setattr('huggingface_hub.constants.ENDPOINT', found.url)
        monkeypatch.setattr('huggingface_hub.constants.HF_HUB_DISABLE_XET', True)
        monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', False)
        monkeypatch.setattr('huggingface_hub.constants.HF_TOKEN_PATH', str(tmp_path / 'no token'))
        monkeypatch.setenv('HF_TOKEN', TOKEN)
        monkeypatch.setattr('time.sleep', lambda _: None)  # the library waits before it asks again
        yield found


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file()}


def held(hub, repo: str = REPO) -> dict[str, bytes]:
    return {name: data for name, (data, _) in hub.repos[repo].files.items() if name != '.gitattributes'}


def there(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in names_in(folder)}


def there_is_no_token(*told: str) -> None:
    assert TOKEN not in ''.join(told)


def environment(hub, tmp_path: Path) -> dict[str, str]:
    """Return what a process of its own needs to take the fake for the Hub."""
    return {**os.environ, 'HF_ENDPOINT': hub.url, 'HF_TOKEN': TOKEN, 'HF_HUB_DISABLE_XET': '1', 'HF_HUB_OFFLINE': '0', 'HF_HOME': str(tmp_path / 'hf'),
            'PYTHONPATH': str(ROOT)}


@pytest.mark.parametrize('part', [250, 2])
def test_a_snapshot_is_there_whole_after_one_commit(front, hub, snapshot, monkeypatch, part):
    monkeypatch.setattr('pipelines.snapshot.hub.push.PART_FILES', part)
    code, told, news = front('push', snapshot, REPO)
    assert code == 0, news
    assert held(hub) == there(snapshot)
    [_, commit] = hub.repos[REPO].commits
    assert commit['summary'] == f'little: triples snapshot {open_snapshot(snapshot).snapshot_id[:16]}'
    assert f'{hub.url}/datasets/{REPO}: 10 file(s) sent' in told
    assert f"load_dataset('{REPO}', revision='{hub.repos[REPO].sha}')" in told
    assert news.count('files stored') == -(-10 // part)
    there_is_no_token(told, news, *[data.decode('latin-1') for data in held(hub).values()])


def test_pushed_again_nothing_is_sent(front, hub, snapshot):
    front('push', snapshot, REPO)
    asked, n_commits = len(hub.asked), len(hub.repos[REPO].commits)
    code, told, _ = front('push', snapshot, REPO)
    assert code == 0
    assert 'nothing to send, 10 there before' in told
    assert {method for method, _ in hub.asked[asked:]} == {'GET'}
    assert (len(hub.repos[REPO].commits), set(hub.put.values())) == (n_commits, {1})


@pytest.mark.parametrize('n_put', [1, 4])
def test_killed_on_the_way_it_goes_on_with_what_is_missing(hub, snapshot, tmp_path, n_put):
    words = [sys.executable, '-m', 'phantom', 'push', str(snapshot), REPO]
    process = subprocess.Popen(words, env=environment(hub, tmp_path), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill():
        if len(hub.put) == n_put:
            os.kill(process.pid, signal.SIGKILL)

    hub.after_put = kill
    assert process.wait() == -signal.SIGKILL
    assert held(hub) == {}, 'nothing of it is shown before all of it is there'
    before = dict(hub.put)
    assert len(before) >= n_put
    hub.after_put = lambda: None
    again = subprocess.run(words, env=environment(hub, tmp_path), cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert held(hub) == there(snapshot)
    assert {oid: hub.put[oid] for oid in before} == before, 'what was stored is not sent again'
    there_is_no_token(again.stdout, again.stderr)


def test_datasets_loads_what_was_pushed(front, hub, snapshot, tmp_path):
    front('push', snapshot, REPO)
    code = (f'import datasets; rows = datasets.load_dataset("{REPO}", revision="{hub.repos[REPO].sha}");'
            'print({name: len(part) for name, part in rows.items()}, rows["train"][1]["images"][0].size, rows["train"][0]["prompt"][0]["role"])')
    done = subprocess.run([sys.executable, '-c', code], env=environment(hub, tmp_path), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("{'train': 15, 'validation': 2} (")
    assert done.stdout.endswith(') user\n')


def test_a_dry_run_lists_files_and_bytes_and_asks_nobody(front, hub, snapshot, monkeypatch):
    monkeypatch.delenv('HF_TOKEN')
    code, told, _ = front('push', snapshot, REPO, '--dry-run')
    assert (code, hub.asked) == (0, [])
    listed = {line.split()[1]: int(line.split()[0].replace(',', '')) for line in told.splitlines()[:-1]}
    assert listed == {name: len(data) for name, data in there(snapshot).items()}
    assert told.splitlines()[-1].split()[0] == f'{sum(listed.values()):,}'


def test_private_is_asked_for_and_an_open_repository_is_refused(front, hub, snapshot):
    assert '; private' in front('push', snapshot, REPO, '--private')[1]
    assert hub.repos[REPO].private
    hub.repos['user/open'] = Repo()
    code, _, told = front('push', snapshot, 'user/open', '--private')
    assert code == 2
    assert 'user/open: expected a private repository, found a public one' in told
    assert held(hub, 'user/open') == {}


def test_other_contents_are_told_and_replaced_in_one_commit_only_if_asked(front, hub, snapshot):
    hub.repos[REPO] = Repo(files={'README.md': (b'# mine', False), 'data/old.parquet': (b'old', True), '.gitattributes': (b'', False)})
    code, _, told = front('push', snapshot, REPO)
    assert code == 2
    assert f'{REPO}: expected an empty repository or this snapshot, found other contents (README.md, data/old.parquet); nothing was sent' in told
    assert not hub.put
    assert front('push', snapshot, REPO, '--replace')[0] == 0
    assert held(hub) == there(snapshot)
    assert len(hub.repos[REPO].commits) == 2


def test_a_card_edited_on_the_hub_is_not_overwritten(front, hub, snapshot):
    front('push', snapshot, REPO)
    hub.repos[REPO].files['README.md'] = b'# better', False
    code, _, told = front('push', snapshot, REPO)
    assert code == 2
    assert 'found other contents (README.md)' in told
    assert held(hub)['README.md'] == b'# better'


@pytest.mark.parametrize('extra', [(), ('--dry-run',)])
def test_a_damaged_snapshot_is_never_sent(front, hub, snapshot, extra):
    shard = snapshot / 'data/validation-00000-of-00001.parquet'
    shard.write_bytes(shard.read_bytes()[:-1] + b'x')
    code, out, told = front('push', snapshot, REPO, *extra)
    assert (code, out, hub.asked) == (2, '', [])
    assert 'expected a snapshot as it was sealed, found: data/validation-00000-of-00001.parquet: expected sha256' in told


def test_a_file_changed_while_it_is_sent_gets_no_name(front, hub, snapshot):
    shard = snapshot / 'data/validation-00000-of-00001.parquet'
    hub.repos[REPO] = Repo()
    seen = []

    def change():
        seen.append(1)
        (snapshot / 'README.md').write_text('another', 'utf-8')

    hub.after_put = change
    code, _, told = front('push', snapshot, REPO)
    assert code == 2
    assert f'{snapshot}/README.md: expected the bytes that were verified, found others by now' in told
    assert held(hub) == {}
    assert shard.exists()


@pytest.mark.parametrize(
    ('refusals', 'code', 'told'),
    [
        ({'GET /api/datasets': (403, f'no for {TOKEN}')}, 2, 'found 403 (no for ***); use a token that may write'),
        ({'POST .*/preupload': (404, 'gone')}, 2, 'found 404 (gone); look at the name'), ({'POST .*/commit': (412, 'A commit has happened')}, 4, 'somebody changed it meanwhile'),
        ({'GET /api/datasets': (429, 'slow down')}, 4, 'found 429 (slow down); too many requests: wait; what was sent stays'),
        ({'PUT /lfs': (503, 'down')}, 4, 'found 503 ('), ({'POST .*/batch': (429, 'slow\x1b[2J')}, 4, 'found 429 (slow [2J)'),
    ],
)
def test_what_the_hub_refuses_is_one_message(front, hub, snapshot, refusals, code, told):
    hub.refusals = refusals
    found, out, err = front('push', snapshot, REPO)
    message = [line for line in err.splitlines() if line.startswith('phantom: ')]
    assert (found, out, len(message)) == (code, '', 1), err
    assert told in message[0]
    assert 'Traceback' not in err
    there_is_no_token(err)


def test_a_wrong_token_no_token_and_a_namespace_of_others(front, hub, snapshot, monkeypatch):
    code, _, told = front('push', snapshot, 'others/little')
    assert code == 2
    assert 'found 403 (You do not have the right to create here' in told
    monkeypatch.setenv('HF_TOKEN', 'hf_wrong')
    code, _, told = front('push', snapshot, REPO)
    assert code == 2
    assert 'found 401 (Invalid credentials in Authorization header); log in with `hf auth login`' in told
    monkeypatch.delenv('HF_TOKEN')
    code, _, told = front('push', snapshot, REPO)
    assert code == 2
    assert 'expected a token of the Hub, found none' in told


def test_no_network_and_offline(front, hub, snapshot, monkeypatch):
    monkeypatch.setattr('huggingface_hub.constants.ENDPOINT', 'http://127.0.0.1:9')
    code, _, told = front('push', snapshot, REPO)
    assert code == 4
    assert 'http://127.0.0.1:9: expected an answer of the Hub, found none' in told
    monkeypatch.setattr('huggingface_hub.constants.HF_HUB_OFFLINE', True)
    code, _, told = front('push', snapshot, REPO)
    assert code == 2
    assert 'found HF_HUB_OFFLINE set; unset it' in told


@pytest.mark.parametrize('name', ['little', 'https://huggingface.co/datasets/user/little', 'user/lit tle', 'a/b/c', '-x/y'])
def test_a_name_that_is_none_is_told(front, hub, snapshot, name):
    code, _, told = front('push', snapshot, '--', name) if name.startswith('-') else front('push', snapshot, name)
    assert code == 2
    assert 'expected the name of a repository, user/name' in told


def test_a_file_that_the_hub_did_not_take_is_missed(front, hub, snapshot):
    """A `.gitignore` of the repository makes the Hub leave files out without a word."""
    hub.repos[REPO] = Repo()
    hub.ignored = {'calibration/report.json'}
    code, out, told = front('push', snapshot, REPO)
    assert (code, out) == (4, '')
    assert f'{REPO}: expected all 10 files there, found calibration/report.json missing' in told
