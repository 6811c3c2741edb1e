import re
from collections import Counter

import annotated_types
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from curation.pictures.edits import edit
from curation.selection.hamming import MAX_DISTANCE
from pipelines.engine.engine import Engine
from pipelines.engine.step import make_here
from pipelines.engine.tables import Table
from pipelines.mix import compare as compare_pictures
from pipelines.mix import duplicates
from pipelines.mix.description import FEATURES
from pipelines.mix.index import ImageIndex
from pipelines.mix.selection import SelectMix
from schemas.recipe import Contamination, Duplicates
from tests.curation.drawn import chart, encoded, photo
from tests.pipelines.mix.mixes import build, crowd, find_stars, indexed, table_of
from tests.programmes.project import write_project

SELECTED = {'plan', 'rejected', 'spread', 'mix_rows', 'rejections', 'digests'}


@pytest.fixture(scope='module')
def pictures(tmp_path_factory):
    """Two photos and two charts, each with a smaller copy, and a chart of which one digit differs."""
    whole = {'photo1': encoded(photo(1)), 'photo2': encoded(photo(2)), 'chart': encoded(chart()), 'other': encoded(chart((90, 10, 20, 70, 50), 'Rain'))}
    copies = {f'{name}_half': edit(data, 'half', 'x') for name, data in whole.items()}
    return indexed(tmp_path_factory.mktemp('near'), {**whole, **copies, 'digit': encoded(chart(title='Sales in 1986'))})


def stars_of(pictures, rules: Duplicates) -> dict[str, str]:
    """Return the survivor of each member, by name."""
    found = find_stars(pictures.engine, pictures.index, pictures.store, rules)
    survivor = np.load(found.path / 'survivor.npy')
    names = [re.sub('^s/', '', ref) for ref in pq.read_table(next(pictures.index.path.glob('part-*')))['ref'].to_pylist()]
    return {names[i]: names[s] for i, s in enumerate(survivor) if i != s}


def about(stars: Table) -> dict[str, int]:
    return {name: stars.counts()[name] for name in ('images', 'members', 'stars')}


def test_copies_join_the_larger_picture_and_a_changed_digit_stays_apart(pictures):
    expected = {f'{name}_half': name for name in ('photo1', 'photo2', 'chart', 'other')}
    assert stars_of(pictures, Duplicates()) == expected


def test_each_kind_has_its_thresholds_and_changing_them_opens_no_picture(pictures, monkeypatch):
    whole = stars_of(pictures, Duplicates())
    monkeypatch.setattr(compare_pictures, 'open_to_compare', None)
    pictures.engine.ran.clear()
    # With 0 bits only copies of the very same hash are left, here that of the second chart.
    assert stars_of(pictures, Duplicates(photo_bits_256=0)) == {m: s for m, s in whole.items() if 'photo' not in m}
    assert stars_of(pictures, Duplicates(document_bits_256=0)) == {m: s for m, s in whole.items() if m != 'chart_half'}
    assert pictures.engine.ran == ['stars', 'stars']


@pytest.mark.parametrize('copied', ['half', 'jpeg_q30'])
def test_a_symmetrical_drawing_finds_its_copy_by_the_steady_hash(tmp_path, copied):
    """imagehash's bits of a ring are rounding errors: by them alone the copy is too far."""
    rings = [Image.new('RGB', (160, 160), 'white') for _ in range(3)]
    for at, box in enumerate([(20, 20, 140, 140), (50, 30, 110, 130), (35, 60, 125, 100)]):
        ImageDraw.Draw(rings[at]).ellipse(box, outline=(60 * at, 90, 160), width=9)
    whole = {f'ring{at}': encoded(ring) for at, ring in enumerate(rings)}
    made = indexed(tmp_path, {**whole, **{f'{name}_copy': edit(data, copied, 'x') for name, data in whole.items()}})
    found = stars_of(made, Duplicates())
    assert {frozenset(pair) for pair in found.items()} == {frozenset((f'{name}_copy', name)) for name in whole}
    index = ImageIndex(made.index.path)
    assert len(index.of_image) > len(index.image_id)
    by_phash = [np.bitwise_count(index.phash64[i] ^ index.phash64[j]) for i in range(6) for j in range(i)]
    assert sum(int(bits) <= 7 for bits in by_phash) < 3
    near = [index.apart(i, j) for i in range(6) for j in range(i)]
    assert sum(narrow <= 7 and wide <= 64 for narrow, wide in near) >= 3


def test_a_larger_threshold_joins_again(pictures):
    stars_of(pictures, Duplicates())
    pictures.engine.ran.clear()
    stars_of(pictures, Duplicates(photo_bits=9))
    assert pictures.engine.ran == ['pairs', 'stars']


@pytest.mark.parametrize('n', [10_000, pytest.param(30_000, marks=pytest.mark.integration)])  # 100,000: benchmarks/near_duplicates.py
def test_a_crowd_of_images_of_one_hash_is_one_star(tmp_path, n):
    found = find_stars(Engine(tmp_path / 'work'), crowd(tmp_path, n, document=False), None)
    assert about(found) == {'images': n, 'members': n - 1, 'stars': 1}


def test_a_crowd_of_photos_near_each_other_is_one_star_and_keeps_few_pairs(tmp_path, monkeypatch):
    """Frames of a film: hashes of two bits each in 30 places, all within 4 of each other. All pairs were 94,000."""
    monkeypatch.setattr(duplicates, 'PENDING_PAIRS', 10_000)
    bits = [1 << a | 1 << b for a in range(30) for b in range(a)]
    index = crowd(tmp_path, len(bits), document=False)
    np.save(index.path / 'phash64.npy', np.array(bits, np.uint64))
    engine = Engine(tmp_path / 'work')
    found = find_stars(engine, index, None)
    assert about(found) == {'images': len(bits), 'members': len(bits) - 1, 'stars': 1}
    n_pairs = sum(pq.read_metadata(path).num_rows for path in (tmp_path / 'work/pairs').glob('*/part-*'))
    assert 0 < n_pairs <= duplicates.CROWD * len(bits)


def test_of_many_documents_of_one_hash_each_is_compared_with_a_few(tmp_path, monkeypatch):
    compared = Counter()

    def differ(self, pairs):
        compared.update(j for _, j in pairs)
        assert all(i < j for i, j in pairs)
        return iter([False] * len(pairs))

    monkeypatch.setattr(compare_pictures.Pictures, 'same', differ)
    found = find_stars(Engine(tmp_path / 'work'), crowd(tmp_path, 3_000, document=True), None)
    assert about(found) == {'images': 3_000, 'members': 0, 'stars': 0}
    assert max(compared.values()) == duplicates.DOCUMENTS_COMPARED
    assert len(compared) == 2_999


def test_nearest_documents_are_the_same_however_the_pairs_come(monkeypatch, tmp_path):
    rng = np.random.default_rng(4)
    pairs = {'i': rng.integers(0, 500, 4000), 'j': rng.integers(500, 560, 4000), 'distance': rng.integers(0, 7, 4000), 'distance256': rng.integers(0, 9, 4000)}
    whole = duplicates._nearest([pairs])
    parts = [{name: values[at : at + 700] for name, values in pairs.items()} for at in range(0, 4000, 700)]
    one_by_one = parts[0]
    for part in parts[1:]:
        one_by_one = duplicates._nearest([one_by_one, part])
    for name in pairs:
        assert whole[name].tolist() == one_by_one[name].tolist()


def test_the_recipe_allows_as_many_bits_as_the_join_can(tmp_path):
    for model, fields in ((Duplicates, ('photo_bits', 'document_bits')), (Contamination, ('image_bits',))):
        for name in fields:
            assert [m.le for m in model.model_fields[name].metadata if isinstance(m, annotated_types.Le)] == [MAX_DISTANCE]


def splits(folder, rows: list[tuple[str, list[str]]], seed: str) -> list[str]:
    """Return the split of each row (sample id, its stars), as the step that selects decides it."""
    plain = {'source': 's', 'licence': 'MIT', 'image_ids': [], 'content_sha': '', 'cluster_ids': [], 'lot': 0, 'n_bytes': 1, 'bad_image': '', 'contamination': ''}
    number = {star: at for at, star in enumerate(sorted({star for _, stars in rows for star in stars}))}
    given = [{**plain, 'sample_id': name, 'stars': [number[star] for star in stars], 'same_as': k.to_bytes(16)} for k, (name, stars) in enumerate(rows, start=1)]
    features = table_of(folder, pa.Table.from_pylist(given[:100], FEATURES), pa.Table.from_pylist(given[100:], FEATURES))
    step = SelectMix(
        index=Table(folder / 'none'), features=features, sources=['s'], licences=[], drop_contaminated=True,
        max_per_near_duplicate=None, quotas={}, categories={'s': 'c'}, weights={}, total=None, category_quotas={}, validation_fraction=0.3,
        shard_bytes=10**9, seed=seed,
    )  # fmt: skip
    plan = make_here(step, folder / 'made').read().to_pylist()
    where = {row['part'] * 100 + row['row']: row['split'] for row in plan}
    return [where[k] for k in range(len(rows))]


def test_rows_that_share_a_star_through_a_third_fall_into_one_split(tmp_path):
    """A row of two pictures ties the stars of both: a-b and b-c bring a and c together, which share no picture."""
    rng = np.random.default_rng(0)
    chains = [[[f'{k}a'], [f'{k}a', f'{k}b'], [f'{k}b', f'{k}c'], [f'{k}c'], [f'{k}c', f'{k}c']] for k in range(60)]
    rows = [(f's/{k}/{at}', ids) for k, chain in enumerate(chains) for at, ids in enumerate(chain)] + [(f's/text/{k}', []) for k in range(60)]
    rows = [rows[at] for at in rng.permutation(len(rows))]
    for seed in ('one', 'two'):
        of_chain: dict[str, set] = {}
        for (name, ids), where in zip(rows, splits(tmp_path / seed, rows, seed), strict=True):
            of_chain.setdefault(name.split('/')[1] if ids else name, set()).add(where)
        assert all(len(where) == 1 for where in of_chain.values())
        assert Counter(where for found in of_chain.values() for where in found).keys() == {'train', 'validation'}


@settings(max_examples=25)
@given(st.lists(st.lists(st.integers(0, 40), max_size=4), min_size=1, max_size=60))
def test_train_and_validation_never_share_a_star(tmp_path_factory, rows):
    """Rows of several pictures join the stars of all of them, however long the chain; a picture has one star, so none is shared either."""
    named = [(f's/{at}', [str(star) for star in stars]) for at, stars in enumerate(rows)]
    of_split: dict[str, set[str]] = {'train': set(), 'validation': set()}
    for (_, stars), where in zip(named, splits(tmp_path_factory.mktemp('split') / 'x', named, 'seed'), strict=True):
        of_split[where].update(stars)
    assert not of_split['train'] & of_split['validation']


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    return write_project(tmp_path_factory.mktemp('small'))


@pytest.mark.integration
def test_a_changed_threshold_remakes_what_depends_on_it_and_nothing_else(project, tmp_path):
    work = tmp_path / 'work'
    whole, ran = build(project, tmp_path / 'a', work)
    assert {'samples', 'image_facts', 'pairs', 'bench_hits', 'canaries', 'described', 'features'} <= set(ran)

    def remade(number: int, *sets: str) -> set[str]:
        return set(build(project, tmp_path / str(number), work, *sets)[1])

    assert remade(1, 'mix.validation_fraction=0.2') == SELECTED
    assert remade(2, 'duplicates.max_per_near_duplicate=1') == SELECTED
    assert remade(3, 'contamination.action=flag') == SELECTED
    assert remade(4, 'contamination.min_overlap=0.7') == {*SELECTED, 'canary_recall', 'described', 'asked_pictures', 'copy_hits', 'features'}
    assert remade(7, 'sources.facts.quota=50') == SELECTED
    assert remade(5, 'duplicates.photo_bits=5') == {*SELECTED, 'stars', 'features'}  # neither pictures nor texts are looked up again
    again, ran = build(project, tmp_path / '6', work)
    assert again.snapshot_id == whole.snapshot_id
    assert ran == [], 'what was made before lies there still'
