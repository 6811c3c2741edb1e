"""Samples of nearly equal text about the same pictures: found whatever the size of the crowd, and capped in a cluster."""

import itertools

import numpy as np
import pyarrow as pa
import pytest

from curation.selection.select import KEPT, MixRules, SampleKeys, select
from pipelines.engine.step import make_here
from pipelines.mix.near_texts import CROWD, ConfirmTexts, JoinTexts
from pipelines.mix.text_sketches import SketchTexts
from pipelines.mix.text_stars import MakeTextStars
from schemas.records import SAMPLES
from tests.pipelines.mix.mixes import table_of

FEATURES = pa.schema([
    ('sample_id', pa.string()), ('source', pa.string()), ('stars', pa.list_(pa.int64())), ('bad_image', pa.string()), ('same_as', pa.binary(16))])  # fmt: skip
WORDS = [f'word{chr(97 + at // 26)}{chr(97 + at % 26)}' for at in range(400)]


def text(seed: int, n: int = 60) -> list[str]:
    return np.random.default_rng(seed).choice(WORDS, n).tolist()


def clusters(folder, samples: list[tuple[list[str], list[int]]], *, least: float = 0.85, size: int = 7) -> dict[int, int]:
    """Return place -> place of the first of its cluster, of samples that are (words of the question, stars), cut into parts of `size`."""
    rows = [{'sample_id': f's/{at}', 'source': 's', 'turns': [{'role': 'user', 'text': ' '.join(words)}, {'role': 'assistant', 'text': 'Yes'}], 'images': []}
            for at, (words, _) in enumerate(samples)]  # fmt: skip
    known = [{'sample_id': f's/{at}', 'source': 's', 'stars': stars, 'bad_image': '', 'same_as': f'{hash((tuple(words), tuple(stars))) % 10**16:016d}'.encode()}
             for at, (words, stars) in enumerate(samples)]  # fmt: skip
    parts = lambda listed, schema: [pa.Table.from_pylist(listed[at : at + size], schema) for at in range(0, len(listed), size)]  # noqa: E731
    sampled, features = table_of(folder / 'samples', *parts(rows, SAMPLES)), table_of(folder / 'features', *parts(known, FEATURES))
    sketches = make_here(SketchTexts(sampled), folder / 'sketches')
    candidates = make_here(JoinTexts((sketches,), features), folder / 'candidates')
    near = make_here(ConfirmTexts(candidates, (sampled,)), folder / 'near')
    found = make_here(MakeTextStars(near, features, least), folder / 'stars').read().to_pylist()
    return {row['place']: row['first'] for row in found}


def reworded(words: list[str], at: int) -> list[str]:
    return [*words[:at], 'other', *words[at + 1 :]]


def test_near_texts_meet_where_their_pictures_are_the_same(tmp_path):
    base, else_ = text(1), text(2)
    samples = [(base, []), (else_, []), (reworded(base, 5), []), (base, [3]), (reworded(base, 9), [3]), (reworded(base, 9), [4]), (base, [3, 4]), (base, [4, 3]),
               (reworded(base, 30), [4, 3]), (else_[:2], []), (else_[:2], [9])]  # fmt: skip
    assert clusters(tmp_path, samples) == {2: 0, 4: 3, 8: 7}


def test_a_threshold_is_another_selection_of_the_same_pairs(tmp_path):
    base = text(1)
    thrice = reworded(reworded(base, 5), 40)
    samples = [(base, []), (reworded(base, 5), []), (thrice, [])]
    assert clusters(tmp_path / 'a', samples, least=0.8) == {1: 0, 2: 0}
    assert clusters(tmp_path / 'b', samples, least=0.85) == {1: 0}
    assert clusters(tmp_path / 'c', samples, least=0.95) == {}


def test_all_of_a_crowd_are_found_near_its_first(tmp_path):
    base = text(3, 120)
    samples = [(base, []), *((reworded(base, at % 120), []) for at in range(3 * CROWD))]
    found = clusters(tmp_path, samples, size=20)
    assert found == dict.fromkeys(range(1, 3 * CROWD + 1), 0)


def test_almost_every_planted_pair_at_the_threshold_is_found(tmp_path):
    samples = list(itertools.chain.from_iterable(((words, []), (reworded(words, 20), [])) for words in map(text, range(100, 300))))
    found = clusters(tmp_path, samples, size=50)
    assert sum(found.get(at) == at - 1 for at in range(1, len(samples), 2)) >= 198
    assert len(found) <= 200


@pytest.mark.parametrize(('most', 'expected'), [(1, [2]), (2, [0, 2])])
def test_so_many_of_a_cluster_stay_lowest_lots_first(most, expected):
    keys = SampleKeys(
        source=np.zeros(4, np.int32), category=np.zeros(4, np.int32), licence_ok=np.array([True, True, True, False]), bad_image=np.zeros(4, bool),
        contaminated=np.zeros(4, bool), content=np.array([b'a', b'b', b'c', b'd'], 'S16'), stars=np.empty(0, np.int64), n_stars=np.zeros(4, np.int64),
        lot=np.array([5, 9, 1, 0], np.uint64), text_cluster=np.zeros(4, np.int64))  # fmt: skip
    assert np.flatnonzero(select(keys, MixRules(True, None, {}, max_per_near_text=most)) == KEPT).tolist() == expected
