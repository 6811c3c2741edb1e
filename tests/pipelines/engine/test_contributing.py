"""The worked example of CONTRIBUTING.md works."""

import re
import sys
import types
from pathlib import Path

import pyarrow as pa

from pipelines.engine.engine import Engine
from schemas.records import SAMPLES
from tests.pipelines.mix.mixes import table_of

TEXT = (Path(__file__).parents[3] / 'CONTRIBUTING.md').read_text('utf-8')


def test_the_step_of_the_worked_example_runs_and_knows_its_inputs(tmp_path, monkeypatch):
    module = types.ModuleType('worked_example')
    monkeypatch.setitem(sys.modules, 'worked_example', module)  # workers find the class of a step by its module
    step, line = re.findall('```python\n(.*?)```', TEXT, re.DOTALL)
    exec(step, module.__dict__)
    turns = [{'role': 'user', 'text': 'Why?'}, {'role': 'assistant', 'text': 'So.'}]
    row = dict.fromkeys(SAMPLES.names) | {'sample_id': 's/a#0/0', 'source': 's', 'turns': turns}
    names = {'engine': Engine(tmp_path), 'samples': [table_of(tmp_path / 'samples' / 'x', pa.Table.from_pylist([row], SAMPLES))], **module.__dict__}
    exec(line, names)
    (made,) = names['lengths']
    assert made.read().to_pylist() == [{'sample_id': 's/a#0/0', 'n_chars': 3}]
    (asked,) = names['engine'].run_each(module.MeasureTurns(table, role='user') for table in names['samples'])
    assert (asked.name, asked.read()['n_chars'].to_pylist()) == ('turn_lengths', [4])
    assert asked != made
