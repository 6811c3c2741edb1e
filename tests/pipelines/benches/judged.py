"""`phantom eval` to `phantom results` with a server as the judge, from benchmarks in their published layouts; used where a real one runs."""

import io
import json
import re
from dataclasses import replace

from PIL import Image
from typer.testing import CliRunner

import phantom
from pipelines.benches import judge as judge_bench
from pipelines.benches import judge_asking
from pipelines.demo.server import MODEL

N = 2
SECRET = 'sk-test-secret'


def png(shade):
    out = io.BytesIO()
    Image.new('L', (40, 30), shade).save(out, 'PNG')
    return out.getvalue()


def write_benchmarks(root):
    for name in ('mm-vet', 'llava-w'):
        (root / name / 'images').mkdir(parents=True)
        for i in range(N):
            (root / name / 'images' / f'{i}.png').write_bytes(png(90 * i))
    grades = {f'v{i}': {'imagename': f'{i}.png', 'question': f'What is {i} + 1?', 'answer': f'{i + 1}<OR>x', 'capability': ['math']} for i in range(N)}
    (root / 'mm-vet' / 'mm-vet.json').write_text(json.dumps(grades))
    lines = {
        'questions.jsonl': [{'question_id': i, 'image': f'{i}.png', 'text': 'What is shown?', 'category': 'conv'} for i in range(N)],
        'answers_gpt4.jsonl': [{'question_id': i, 'text': 'A grey ground.'} for i in range(N)],
        'context.jsonl': [{'image': f'{i}.png', 'caption': ['Nothing.', 'A grey ground.']} for i in range(N)],
    }
    for name, rows in lines.items():
        (root / 'llava-w' / name).write_text(''.join(json.dumps(row) + '\n' for row in rows))


def run(*words):
    """Return what a verb prints as its result; what it tells of a wait on standard error depends on how busy the machine is."""
    done = CliRunner().invoke(phantom.app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    assert SECRET.removeprefix('sk-') not in done.output
    return done.stdout


def evaluate_with_judge(server, tmp_path, monkeypatch):
    """Assert that benchmarks are answered, judged and tabled, that unread replies are listed, and that nothing is asked twice."""
    from model.evaluation.rules import BENCHES
    from model.phantom.build import build_scratch
    from model.training.settings import load_preset

    model, processor = build_scratch(load_preset('tiny').model, seed=0)
    for part in (model, processor):
        part.save_pretrained(tmp_path / 'ckpt')
    monkeypatch.setitem(BENCHES, 'mm-vet', replace(BENCHES['mm-vet'], max_new_tokens=4))
    monkeypatch.setitem(BENCHES, 'llava-w', replace(BENCHES['llava-w'], max_new_tokens=4))
    monkeypatch.setattr(judge_asking, 'ATTEMPTS', 2)
    monkeypatch.setattr(judge_bench, 'FEW_TOKENS', 24)
    monkeypatch.setattr(judge_bench, 'MAX_TOKENS', {})
    monkeypatch.setenv('OPENAI_API_KEY', SECRET)
    write_benchmarks(tmp_path)
    spoken = []
    for name in ('mm-vet', 'llava-w', 'mm-vet'):
        judge = ('--judge-url', server.url, '--judge-model', MODEL)
        spoken.append(run('eval', tmp_path / 'ckpt', '--bench', name, '--root', tmp_path / name, '--out', tmp_path / 'res' / name, *judge))
        spoken.append(server.log.read_text().count('POST /v1/chat/completions'))
    assert spoken[0] == spoken[4], spoken
    assert 0 < spoken[1] < spoken[3] == spoken[5]
    for name in ('mm-vet', 'llava-w'):
        result = json.loads((tmp_path / 'res' / name / 'score.json').read_text())
        assert (result['items'], result['judge']['model'], len(result['judge']['answered'])) == (N, MODEL, 1)
        answered = result['judge']['answered'][0]['served_by']
        assert re.search(r'version \d', answered) or re.search(r'\d+\.\d+', answered)
        assert answered.endswith(f'at {server.url}')
        rows = [json.loads(line) for line in (tmp_path / 'res' / name / 'judged.jsonl').read_text().split('\n') if line]
        assert len(rows) == N
        assert all((row['found'] is None) == (row['unread'] is not None) for row in rows)
        assert result['unread'] == sum(row['unread'] is not None for row in rows)
        assert ('score' in result) == (name == 'mm-vet' or result['unread'] < N)
    table = run('results', tmp_path / 'res')
    assert [line.split()[:2] for line in table.splitlines()[1:3]] == [['llava-w*', str(N)], ['mm-vet*', str(N)]]
    assert re.search(f'judged by {re.escape(MODEL)}: .*at {re.escape(server.url)}', table)
    assert [path for path in tmp_path.rglob('*') if path.is_file() and SECRET.removeprefix('sk-').encode() in path.read_bytes()] == []
