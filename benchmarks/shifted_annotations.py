"""Annotations shifted against their pictures: how often clean sources are called shifted, and how often shifted ones are found, without a model.

Sources: easy-vqa's pictures with all their questions and with one, and those of a mix (--mix DIR, such as the demo's). Each is cut into windows in
the order of the file; a window is looked at as it is, sorted by its words (neighbours are alike), with the texts of strangers (ten times), and
with its texts moved by 1, -1 and 2 pictures, all of them or those behind a row that is missing at 60 %.

    python -m benchmarks.shifted_annotations [--mix demo-out/mix] [--sizes 100 200 400]
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import groupby
from pathlib import Path

import easy_vqa
import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from curation.pictures.images import colour_thumb
from curation.texts.alignment import Alignment, alignment, picture_features, together, words_about

LAGS = (1, -1, 2)
Pictured = list[tuple[np.ndarray, dict[str, float]]]


def features_of(data: bytes) -> np.ndarray:
    image = Image.open(BytesIO(data)).convert('RGB')
    return picture_features(colour_thumb(image), *image.size, document=False)


def easy(*, most: int) -> Pictured:
    """Return easy-vqa's test pictures, each with `most` questions."""
    folder = Path(easy_vqa.__file__).parent / 'data/test'
    asked = defaultdict(list)
    for question, answer, number in json.loads((folder / 'questions.json').read_text()):
        asked[number].append([{'role': 'user', 'text': question}, {'role': 'assistant', 'text': answer}])
    return [(features_of((folder / f'images/{number}.png').read_bytes()), together(map(words_about, asked[number][:most])))
            for number in sorted(asked)]  # fmt: skip


def mixes(folder: Path) -> dict[str, Pictured]:
    """Return the pictures of each source of a mix, in the order of its files."""
    rows = [row for path in sorted(folder.glob('data/*.parquet')) for row in pq.read_table(path).to_pylist() if row['images']]
    found: dict[str, Pictured] = {}
    for row in rows:
        row['turns'] = [{'role': one['role'], 'text': ' '.join(part['text'] or '' for part in one['content'])} for one in row['messages']]
    for source, of_source in groupby(sorted(rows, key=lambda row: (row['source'], row['file'], row['ordinal'])), key=lambda row: row['source']):
        found[source] = [(features_of(data), together(words_about(row['turns']) for row in some))
                         for data, some in groupby(of_source, key=lambda row: row['images'][0]['bytes'])]  # fmt: skip
    return found


def windows(source: Pictured, size: int) -> Iterator[Pictured]:
    """Yield pieces of a source, half of each in the next."""
    yield from (source[start : start + size] for start in range(0, max(1, len(source) - size + 1), size // 2))


def shifted(piece: Pictured) -> Alignment | None:
    """Return what is found of the pictures with the texts about them, if that is called shifted."""
    found = alignment(np.array([features for features, _ in piece]), [words for _, words in piece], [0] * len(piece))
    return found if found and found.shifted else None


def moved(piece: Pictured, lag: int) -> Pictured:
    return [(features, piece[(at + lag) % len(piece)][1]) for at, (features, _) in enumerate(piece)]


def cut(piece: Pictured, lag: int) -> Pictured:
    """Return the pictures with the texts of those behind 60 % of them moved."""
    start = 6 * len(piece) // 10
    return piece[:start] + moved(piece[start:], lag)


def found_in(pieces: list[Pictured], move: Callable[[Pictured, int], Pictured]) -> int:
    """Return how many of the pieces moved by each of LAGS are called shifted, by that lag."""
    told = [(lag, shifted(move(piece, lag))) for piece in pieces for lag in LAGS]
    return sum(found is not None and found.lag == -lag for lag, found in told)


def strangers(piece: Pictured, seed: int) -> Pictured:
    """Return the pictures with the texts of others: nothing belongs to anything."""
    order = np.random.default_rng(seed).permutation(len(piece))
    return [(features, piece[at][1]) for (features, _), at in zip(piece, order, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--mix', type=Path)
    parser.add_argument('--sizes', type=int, nargs='+', default=[100, 200, 400])
    given = parser.parse_args()
    sources = {'easy-vqa, all questions': easy(most=99), 'easy-vqa, one question': easy(most=1), **(mixes(given.mix) if given.mix else {})}
    false, clean = 0, 0
    for size in given.sizes:
        for name, source in sources.items():
            pieces = [piece for piece in windows(source, size) if len(piece) >= min(size, 60)]
            unmoved = [*pieces, *(sorted(piece, key=lambda one: sorted(one[1])) for piece in pieces)]
            unmoved += [strangers(piece, seed) for seed in range(10) for piece in pieces]
            wrong, n = sum(map(bool, map(shifted, unmoved))), len(LAGS) * len(pieces)
            false, clean = false + wrong, clean + len(unmoved)
            print(f'{name}, {size} pictures: {wrong} of {len(unmoved)} clean called shifted; found: {found_in(pieces, moved)} of {n} shifted, '
                  f'{found_in(pieces, cut)} of {n} from 60 % on')
    print(f'false alarms: {false} of {clean}')


if __name__ == '__main__':
    main()
