"""Files appear in one way, schemas/publish.py: no other code renames, opens a file to write, or names a draft by a process id.

Who writes another way is listed, with the reason. Code that fills a draft (a step in `writer.folder`, an export in its folder) may open files there.
"""

import ast
from pathlib import Path

import pytest

from tests.promises import promise

ROOT = Path(__file__).parent.parent
PUBLISH = 'schemas/publish.py'
ALLOWED = {  # file -> what it may call, and why
    'pipelines/engine/tables.py': {'os.replace'},  # a shard's files, each flushed, before what vouches for them
    'pipelines/engine/clean.py': {'os.rename'}, 'model/training/checkpoint.py': {'rename'},  # what is removed
    'pipelines/engine/pool.py': {'open'},  # the workers' log, appended
    'pipelines/engine/boot.py': {'open', 'os.rename', 'write_bytes'},  # installs the wheel on a node that has nothing of ours
    'pipelines/engine/peers.py': {'os.getpid'}, 'pipelines/engine/worker.py': {'os.getpid'}, 'pipelines/sources/apart.py': {'os.getpid'},  # who says it, names nothing
    # into a folder of this run alone, which nothing vouches for: a probe, what a worker of a host is at; stacks are appended to a log
    'pipelines/engine/ray_cluster.py': {'write_text'}, 'pipelines/engine/ray_worker.py': {'os.open', 'os.getpid'},
    'pipelines/engine/ray_deaths.py': {'open'},
    'pipelines/replies/packs.py': {'open', 'os.replace'},  # into a draft; what is damaged is put aside
    'pipelines/replies/segments.py': {'os.replace', 'os.open', 'os.getpid'},  # appends and flushes; what is damaged is put aside
    'pipelines/replies/ledger.py': {'open', 'os.getpid'},  # appends; a file for each process
    'pipelines/replies/store.py': {'os.getpid'},
    'pipelines/chat/batch_files.py': {'open', 'os.replace'},  # a draft whose name is known by its last line
    'model/evaluation/reply_log.py': {'open'},  # appends and flushes
    'model/training/runlog.py': {'open'},  # appends
    'schemas/arrays.py': {'open', 'np.save'},  # into a draft
    # into a folder that is published when it is full: a shard's, an export's, a snapshot's, a page's, the demo's
    'pipelines/mix/duplicates.py': {'np.save'}, 'pipelines/mix/index.py': {'np.save'}, 'pipelines/mix/fingerprints.py': {'np.save'},
    'curation/selection/hamming.py': {'np.save'}, 'pipelines/snapshot/spread.py': {'np.save'},
    'pipelines/snapshot/exports/web_dataset.py': {'tarfile.open'}, 'pipelines/snapshot/exports/parts.py': {'open', 'write_bytes'},
    'pipelines/snapshot/exports/jsonl.py': {'open'}, 'pipelines/snapshot/exports/export.py': {'write_text'},
    'pipelines/snapshot/seal.py': {'write_bytes'},
    'pipelines/snapshot/signing.py': {'write_bytes'},  # for a tool, in a folder that is gone after it
    'pipelines/look/gallery/static.py': {'write_text', 'write_bytes'}, 'pipelines/look/audit.py': {'open'},
    'pipelines/demo/files.py': {'write_bytes'}, 'pipelines/sources/convert/convert.py': {'open', 'write_text'},
    'pipelines/demo/server.py': {'open', 'os.getpid'},  # a log; who watches over whom
}  # fmt: skip
RENAMES = {'os.rename', 'os.replace', 'os.renames', 'shutil.move', 'os.getpid', 'np.save', 'np.savez', 'tempfile.mkdtemp', 'mkdtemp', 'tempfile.mkstemp'}
METHODS = {'write_text', 'write_bytes', 'touch'}


def calls(path: Path) -> set[str]:
    """Return what a file calls that makes, fills or renames files."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            last = name.rpartition('.')[2]
            modes = [of.value for of in [*node.args, *(key.value for key in node.keywords if key.arg == 'mode')] if isinstance(of, ast.Constant)]
            writes = any(isinstance(mode, str) and mode and set(mode) <= set('rwaxbt+') and set(mode) & set('wax+') for mode in modes)
            if name in RENAMES or (last in METHODS and last != 'touch'):
                found.add(last if last in METHODS else name)
            elif last == 'rename' and 'columns' not in [key.arg for key in node.keywords]:
                found.add('rename')
            elif last == 'open' and (writes or (name == 'os.open' and 'O_CREAT' in ast.unparse(node))):
                found.add(name if name != 'open' and '.' in name and name.split('.')[0] in ('os', 'tarfile') else 'open')
    return found


@promise('Power cuts and kills', 'Every file is published in one way: flushed to the disk before what vouches for it, under a name that no other host uses')
def test_files_appear_in_one_way_and_whoever_does_otherwise_says_why():
    strange = {}
    for top in ('schemas', 'curation', 'pipelines', 'model'):
        for path in sorted((ROOT / top).rglob('*.py')):
            name = path.relative_to(ROOT).as_posix()
            if name != PUBLISH and (found := calls(path) - ALLOWED.get(name, set())):
                strange[name] = found
    assert strange == {}


@pytest.mark.parametrize('line', ["open('x', 'w')", "p.open('ab')", 'p.write_text(t)', 'os.replace(a, b)', 'p.rename(q)', "open(p, mode='r+b')", 'mkdtemp()'])
def test_the_search_finds_what_writes(tmp_path, line):
    (tmp_path / 'a.py').write_text(line)
    assert calls(tmp_path / 'a.py')


def test_nobody_is_allowed_what_he_does_not_do():
    assert {name: extra for name, allowed in ALLOWED.items() if (extra := allowed - calls(ROOT / name))} == {}
