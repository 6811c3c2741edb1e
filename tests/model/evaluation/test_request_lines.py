"""The lines of benchmarks stand in one file, and all that the released evaluation appends is there."""

import json
from pathlib import Path

from model.evaluation import request_lines
from model.evaluation.rules import BENCHES

ROOT = Path(__file__).parents[3]
GOLDEN = ROOT / 'tests' / 'golden' / 'preprocess' / 'prompts.json'
LINES = {text for name, text in vars(request_lines).items() if name.startswith('ASK_')}
TEXTS = {'.py', '.md', '.yaml', '.html', '.js'}
FOLDERS = ('benchmarks', 'curation', 'docs', 'model', 'pipelines', 'recipes', 'schemas', 'tests')


def test_the_lines_are_those_that_the_released_evaluation_appends():
    golden = json.loads(GOLDEN.read_text())
    asked = golden['prompts']['0_5b'].values()
    appended = {text.partition(golden['question'])[2].partition('<|im_end|>')[0].strip() for text in asked}
    assert appended - {''} == LINES == {rule.ask for rule in BENCHES.values()} - {''}


def test_no_other_file_repeats_them():
    files = [ROOT / 'phantom.py', ROOT / 'README.md', *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob('*')))]
    texts = {path: path.read_text().replace('\\', '') for path in files if path.suffix in TEXTS}
    assert len(texts) > 100
    held = {str(path.relative_to(ROOT)) for path, text in texts.items() if any(line.rstrip('.') in text for line in LINES)}
    assert held == {'model/evaluation/request_lines.py'}
