"""No file that others made runs code here: models, tokenizers, weights and arrays are read as data, and nobody is asked whether that should change."""

import ast
from pathlib import Path

import pytest

from tests.promises import promise

ROOT = Path(__file__).parent.parent
OURS = ('schemas', 'curation', 'pipelines', 'model')
MUST = {  # call -> what it must say
    'from_pretrained': {'trust_remote_code': False}, 'LLM': {'trust_remote_code': False}, 'torch.load': {'weights_only': True},
}
NEVER = {'allow_pickle', 'code_revision'}
PIPES = {'pipelines/sources/apart.py', 'pipelines/engine/worker.py', 'pipelines/engine/ray_worker.py'}  # pickles between our own processes


def calls(text: str):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), {word.arg: getattr(word.value, 'value', None) for word in node.keywords}
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and 'from_pretrained(' in node.value and 'import' in node.value:
            yield from calls(node.value)  # a programme in a text


def faults(name: str, text: str):
    for call, words in calls(text):
        for what, must in MUST.items():
            if call.endswith(what) and not must.items() <= words.items():
                yield f'{name}: {call} without {must}'
        if NEVER & words.keys() or call.startswith(('pickle.load', 'eval', 'exec(')) and name not in PIPES:
            yield f'{name}: {call}'
        if call == 'PhantomForConditionalGeneration.from_pretrained' and words.get('use_safetensors') is not True:
            yield f'{name}: {call} without use_safetensors'


@promise('Hostile files', 'No code of a model, tokenizer or weight file is run, nobody is asked whether it may, and weights are read from safetensors only')
def test_every_call_that_could_run_a_models_code_says_that_it_must_not():
    files = [path for folder in OURS for path in sorted((ROOT / folder).rglob('*.py'))]
    assert len(files) > 200
    assert [fault for path in files for fault in faults(path.relative_to(ROOT).as_posix(), path.read_text('utf-8'))] == []


@pytest.mark.parametrize('line', [
    'AutoModel.from_pretrained(x)', 'LLM(model=x, trust_remote_code=True)', 'torch.load(x)', 'np.load(x, allow_pickle=True)', 'pickle.loads(x)',
    'PhantomForConditionalGeneration.from_pretrained(x, trust_remote_code=False)'])
def test_a_call_that_could_is_found(line):
    assert list(faults('a.py', line))
