from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from curation.selection import hamming
from curation.selection.hamming import build_index, distance256, iter_pairs, matches_within, open_index, pairs_within, words256

BOUNDED = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


def clustered(n: int, seed: int, flips: int = 6) -> np.ndarray:
    """uint64[n] around n / 4 centres, so that every small distance occurs."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, max(1, n // 4), dtype=np.uint64)[rng.integers(0, max(1, n // 4), n)]
    for _ in range(flips):
        flipped = hashes ^ (np.uint64(1) << rng.integers(0, 64, n).astype(np.uint64))
        hashes = np.where(rng.random(n) < 0.5, flipped, hashes)
    return hashes


def brute_pairs(codes: np.ndarray, max_distance: int) -> set[tuple[int, int, int]]:
    distances = np.bitwise_count(codes[:, None] ^ codes[None])
    i, j = np.nonzero(np.triu(distances <= max_distance, 1))
    return set(zip(i.tolist(), j.tolist(), distances[i, j].tolist(), strict=True))


def found(*parts: hamming.Matches) -> list[tuple[int, int, int]]:
    return [pair for m in parts for pair in zip(m.i.tolist(), m.j.tolist(), m.distance.tolist(), strict=True)]


@BOUNDED
@given(st.integers(0, 2**32), st.integers(1, 300), st.integers(0, 8), st.integers(1, 99))
def test_blocks_find_every_pair_of_brute_force_once(tmp_path: Path, seed: int, n: int, distance: int, block: int):
    index = build_index(clustered(n, seed), tmp_path)
    n_codes = len(index.codes)
    pairs = found(*(pairs_within(index, slice(at, at + block), distance) for at in range(0, n_codes, block)))
    assert sorted(pairs) == sorted(brute_pairs(np.asarray(index.codes), distance))


@pytest.mark.parametrize('distance', [10, 12])
def test_large_distances_are_exact_too(tmp_path: Path, distance: int):
    index = build_index(clustered(400, 7), tmp_path)
    assert sorted(found(pairs_within(index, slice(None), distance))) == sorted(brute_pairs(index.codes, distance))


@BOUNDED
@given(st.integers(0, 2**32), st.integers(1, 200), st.integers(0, 8))
def test_queries_match_what_brute_force_matches(tmp_path: Path, seed: int, n: int, distance: int):
    hashes = clustered(n, seed)
    index = build_index(hashes[: n // 2 + 1], tmp_path)
    queries = hashes[n // 3 :]
    distances = np.bitwise_count(queries[:, None] ^ index.codes[None])
    i, j = np.nonzero(distances <= distance)
    assert found(matches_within(index, queries, distance)) == list(
        zip(i.tolist(), j.tolist(), distances[i, j].tolist(), strict=True))


def test_equal_hashes_are_one_code_that_knows_its_rows(tmp_path: Path):
    index = build_index(np.array([9, 5, 9, 9], np.uint64), tmp_path)
    rows, starts = hamming.rows_by_code(index)
    assert index.codes.tolist() == [5, 9]
    assert [rows[starts[c] : starts[c + 1]].tolist() for c in (0, 1)] == [[1], [0, 2, 3]]
    assert found(pairs_within(index, slice(None), 7)) == [(0, 1, 2)]  # 0101 and 1001


def test_an_index_opened_again_is_memory_mapped_and_finds_the_same(tmp_path: Path):
    built = build_index(clustered(100, 1), tmp_path)
    opened = open_index(tmp_path)
    assert isinstance(opened.codes, np.memmap)
    assert found(pairs_within(opened, slice(None), 7)) == found(pairs_within(built, slice(None), 7))


def test_a_crowded_bucket_is_searched_in_bounded_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """3,000 hashes share all 22 bits of band 0: with WIDE at 256 they take the slice path, with 1 << 30 the batches."""
    rng = np.random.default_rng(3)
    mask = hamming.BAND_MASKS[0]
    hashes = clustered(3000, 5) & ~mask | (rng.integers(0, 2**64, dtype=np.uint64) & mask)
    index = build_index(hashes, tmp_path)
    expected = brute_pairs(np.asarray(index.codes), 5)
    for wide in (256, 1 << 30):
        monkeypatch.setattr(hamming, 'WIDE', wide)
        monkeypatch.setattr(hamming, 'CANDIDATES', 10_000)
        batches = list(iter_pairs(index, slice(None), 5))
        assert sorted(found(*batches)) == sorted(expected)
        assert max(len(m.i) for m in batches) <= 13_000  # CANDIDATES, or one query's own bucket


def test_no_hashes_give_no_pairs(tmp_path: Path):
    index = build_index(np.empty(0, np.uint64), tmp_path)
    assert found(pairs_within(index, slice(None), 7)) == []
    assert found(matches_within(index, np.array([1], np.uint64), 7)) == []


def test_a_distance_out_of_range_is_refused(tmp_path: Path):
    index = build_index(np.array([1], np.uint64), tmp_path)
    with pytest.raises(ValueError, match='0 to 12 bits, found 13'):
        pairs_within(index, slice(None), 13)


def test_256_bit_distances_count_differing_bits():
    words = words256([b'\x00' * 32, b'\xff' + b'\x00' * 30 + b'\x01'])
    assert words.shape == (2, 4)
    assert distance256(words[:1], words).tolist() == [0, 9]
