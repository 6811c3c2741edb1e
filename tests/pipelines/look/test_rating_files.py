"""What `phantom validate` says of files of ratings: what a build would refuse, without one."""

import json
import math
import os
import signal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.build import Way, build_all
from pipelines.look.validate import validate_sources
from pipelines.mix import rating_files
from schemas.errors import UserError
from schemas.recipe import Recipe
from schemas.records import RATINGS

ROWS = [{'instruction': f'Question {n}?', 'input': '', 'output': f'Answer {n}'} for n in range(5)]


def rated(path, *rows):
    pq.write_table(pa.Table.from_pylist([dict(zip(RATINGS.names, row, strict=True)) for row in rows], RATINGS), path)
    return str(path)


def sample(n, file='a.json', source='s'):
    return f'{source}/{file}#{n}/0'


@pytest.fixture
def validated(tmp_path, capsys):
    """Return what is said of a recipe with these files of ratings: (whether all is well, faults, remarks)."""
    (tmp_path / 'a.json').write_text(json.dumps(ROWS))

    def look(*files, **rate):
        sources = {'s': {'format': 'instruction', 'licence': 'MIT', 'annotations': ['*.json']}}
        recipe = Recipe.model_validate({'name': 'r', 'sources': sources, 'rate': {'from': list(files), **rate}})
        whole = validate_sources(recipe, tmp_path, reach=False, as_json=True)
        told = json.loads(capsys.readouterr().out)['ratings']
        return whole, told['faults'], told['remarks']

    return look


def test_a_sound_file_is_no_fault_and_what_stands_in_it_is_told(validated, tmp_path):
    file = rated(tmp_path / 'r.parquet', *((sample(n), 'correct', None if n == 4 else 0.5, 'fold0') for n in range(5)))
    whole, faults, (remark,) = validated(file, drop={'correct': 0.1})
    assert (whole, faults) == (True, [])
    assert remark.startswith(f'rate.from: {file}: ratings of 5 samples (correct by fold0: 4)')


@pytest.mark.parametrize(('rows', 'fault'), [
    ([(sample(5), 'correct', 0.5, 'x'), (sample(1), 'correct', 0.5, 'x')], f'found 1 id(s) that are not in it, of 2: {sample(5)};'),
    ([(sample(1, file='b.json'), 'correct', 0.5, 'x')], 'b.json'),
    ([(sample(1, source='other'), 'correct', 0.5, 'x')], 'other/a.json#1/0'),
    ([('nonsense', 'correct', 0.5, 'x')], 'nonsense'),
    ([(sample(1), 'correct', 0.5, 'x'), (sample(1), 'correct', 0.6, 'x')], 'expected one rating of a sample, a question and a rater, found 2'),
    ([(sample(1), 'correct', math.inf, 'x')], 'expected numbers as scores'),
    ([(sample(1), None, 0.5, 'x')], 'expected ask in each row, found none in row 0'),
    ([(sample(1), 'safe', 0.5, 'x')], 'rate.drop: expected questions that are rated, of safe, found correct'),
    ([], 'expected at least one rating, found none'),
])  # fmt: skip
def test_what_a_build_would_refuse_is_a_fault(validated, tmp_path, rows, fault):
    whole, (told,), _ = validated(rated(tmp_path / 'r.parquet', *rows), drop={'correct': 0.1})
    assert not whole
    assert fault in told


def test_all_faults_of_several_files_are_told_in_words(validated, tmp_path, capsys):
    pq.write_table(pa.table({'sample_id': [sample(1)], 'score': [1.0]}), tmp_path / 'columns.parquet')
    (tmp_path / 'text.parquet').write_text('sample_id,ask\n')
    pq.write_table(pa.table({'sample_id': [sample(1)], 'ask': ['correct'], 'score': ['much'], 'by': ['x']}), tmp_path / 'kind.parquet')
    files = [str(tmp_path / f'{name}.parquet') for name in ('columns', 'text', 'kind', 'gone')]
    whole, faults, remarks = validated(*files, rated(tmp_path / 'r.parquet', (sample(1), 'correct', 0.5, 'x')))
    expected = ['found no ask, by', 'expected a Parquet file of ratings', 'expected a Parquet file of ratings', 'expected a Parquet file of ratings, found none']
    assert not whole
    assert [words for words, fault in zip(expected, faults, strict=True) if words not in fault] == []
    assert len(remarks) == 1


def test_ids_of_a_source_that_is_not_there_are_no_second_fault(validated, tmp_path):
    file = rated(tmp_path / 'r.parquet', (sample(1), 'correct', 0.5, 'x'))
    (tmp_path / 'a.json').unlink()
    whole, faults, _ = validated(file)
    assert (whole, faults) == (False, [])


def test_a_file_whose_bytes_end_the_reader_ends_nothing_else(validated, tmp_path, monkeypatch):
    monkeypatch.setattr(rating_files, 'read_ratings', lambda path: os.kill(os.getpid(), signal.SIGKILL))
    whole, (fault,), _ = validated(rated(tmp_path / 'r.parquet', (sample(1), 'correct', 0.5, 'x')))
    assert not whole
    assert 'found one whose bytes end the process that reads them (SIGKILL' in fault


def test_a_build_refuses_them_before_it_reads_a_source(tmp_path):
    (tmp_path / 'a.json').write_text(json.dumps(ROWS))
    files = [rated(tmp_path / 'r.parquet', (sample(1, source='other'), 'correct', 0.5, 'x')), rated(tmp_path / 'none.parquet')]
    sources = {'s': {'format': 'instruction', 'licence': 'MIT', 'annotations': ['a.json']}}
    recipe = Recipe.model_validate({'name': 'r', 'sources': sources, 'rate': {'from': files, 'drop': {'correct': 0.1}}})
    with pytest.raises(UserError, match=r'not in it, of 1: other/a.json#1/0(?s:.*)expected at least one rating, found none'):
        build_all(recipe, tmp_path / 'out', Way(root=tmp_path, mix_only=True, workers=0))
    assert not (tmp_path / 'out/work/samples').exists()
