"""What is expected of sources whose sizes alone are known, held against what the steps of a build do with real samples."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.step import make_here
from pipelines.look.expected import expected_mix, shared_out, strata
from pipelines.triples.picks import MixFile, pick_samples
from schemas.recipe import Recipe
from schemas.records import MIX_ROWS
from tests.pipelines.snapshot.sealed import sample


def recipe(generate=None, triples=None, mix=None, **sources):
    named = {name: {'format': 'llava', 'annotations': ['a'], 'licence': 'MIT', 'answers': 'exact', **more} for name, more in sources.items()}
    models = {'m': {'model': 'm', 'revision': '1'}}
    return Recipe.model_validate({'name': 'r', 'sources': named, 'models': models, 'generate': generate or [{'prompt': 'rules'}], 'triples': triples or {}, 'mix': mix or {}})


def counts(recipe, n):
    return {stratum: round(n[stratum[0]] * (high - low), 6) for stratum, (low, high) in strata(recipe, n).items()}


def test_prompts_take_the_lowest_lots_of_all_their_sources():
    """40 of 400 samples are a tenth of each source; a source that gives 5 leaves 35 to the other, a share of 35 / 300."""
    paper = {'prompt': 'paper', 'model': 'm', 'max_samples': 40}
    both = [{'prompt': 'rules'}, paper]
    n = {'a': 100, 'b': 300}
    assert counts(recipe(both, a={}, b={}), n) == {('a', '0', '1'): 10, ('a', '0'): 90, ('b', '0', '1'): 30, ('b', '0'): 270}
    assert counts(recipe(both, {'max_samples': {'a': 5}}, a={}, b={}), n) == {('a', '0', '1'): 5, ('b', '0', '1'): 35, ('b', '0'): 265}
    assert counts(recipe([{'prompt': 'rules'}, {**paper, 'sources': ['a']}], a={}, b={}), n) == {('a', '0', '1'): 40, ('a', '0'): 60, ('b', '0'): 300}
    assert counts(recipe(both, a={}, b={}), {'a': 0, 'b': 3}) == {('b', '0', '1'): 3}


def test_the_strata_are_those_of_a_real_pick(tmp_path):
    """3,000 samples: the numbers that PickSamples gives are within 4 standard deviations of a binomial draw."""
    wanted = recipe([{'prompt': 'rules'}, {'prompt': 'paper', 'model': 'm', 'max_samples': 900}], {'max_samples': {'a': 400}}, a={}, b={})
    rows = [{**sample(i), 'source': 'ab'[i % 3 > 0], 'sample_id': f'{"ab"[i % 3 > 0]}/{i}'} for i in range(3000)]
    pq.write_table(pa.Table.from_pylist(rows, MIX_ROWS), tmp_path / 'mix.parquet')
    picks = make_here(pick_samples(wanted, (MixFile('mix.parquet', 'train', ''),), tmp_path), tmp_path).read().to_pylist()
    expected = counts(wanted, {'a': 1000, 'b': 2000})
    for stratum, n in expected.items():
        found = sum((row['source'], *row['prompts']) == stratum for row in picks)
        assert abs(found - n) <= 4 * (n ** 0.5)
    assert sum(expected.values()) == pytest.approx(len(picks))


def test_a_mix_is_bounded_by_quotas_weights_and_licences():
    n = {'a': 100.0, 'b': 300.0}
    assert expected_mix(recipe(a={'quota': 10}, b={}), n) == {'a': 10, 'b': 300}
    assert expected_mix(recipe(mix={'weights': {'a': 1, 'b': 1}}, a={}, b={}), n) == {'a': 100, 'b': 100}
    assert expected_mix(recipe(mix={'licences': ['MIT']}, a={'licence': 'MIT AND GPL'}, b={}), n) == {'a': 0, 'b': 300}
    assert expected_mix(recipe(mix={'category_quotas': {'c': 40}}, a={'category': 'c'}, b={'category': 'c'}), n) == {'a': 10, 'b': 30}
    assert expected_mix(recipe(mix={'category_quotas': {'c': 40}}, a={'category': 'c'}, b={}), {'a': 0.0, 'b': 1.0}) == {'a': 0, 'b': 1}


def test_previewed_samples_are_shared_out_in_turn_and_what_is_small_gives_what_it_has():
    assert shared_out({('a',): 1000, ('b',): 2, ('c',): 0}, 10) == {('a',): 8, ('b',): 2, ('c',): 0}
    assert shared_out({('a',): 1}, 10) == {('a',): 1}
    assert shared_out({('a',): 5, ('b',): 5}, 1) == {('a',): 1, ('b',): 0}
    assert shared_out({}, 3) == {}
