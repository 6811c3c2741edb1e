"""Samples of text alone that ask a benchmark's item in other words, found among others and in any turn."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.texts.rewording import Rewording
from pipelines.engine.step import make_here
from pipelines.mix.flat_turns import turns_of
from pipelines.mix.paraphrases import FindParaphrases, Paraphrases
from schemas.records import SAMPLES
from tests.pipelines.mix.mixes import item, table_of, written

ITEM = 'Lena sells 24 baskets of apples at the market for 3 dollars each and pays 15 dollars for her stall. How many dollars does she keep?'
REWORDED = 'Selling 24 apple baskets at a market, 3 dollars apiece, and paying 15 dollars for the stall, what does Lena keep in dollars?'
OTHER_NUMBERS = ITEM.replace('24', '26').replace('15', '10')


def row(*said: str) -> list[dict]:
    return [{'role': ('user', 'assistant')[at % 2], 'text': text} for at, text in enumerate(said)]


def items(*more: dict) -> list[dict]:
    asked = [{'bench': 'b', 'item_id': f'x{at}', 'question': f'Which of the {word} animals in the forest sleeps in summer near the river bank?', 'answers': ['fox'], 'pictures': []}
             for at, word in enumerate(('brown', 'tiny', 'noisy'))]  # fmt: skip
    return [*asked, {'bench': 'b', 'item_id': 'sold', 'question': ITEM, 'answers': ['57'], 'pictures': []}, *more]


@pytest.mark.parametrize(('turns', 'expected'), [
    (row(REWORDED, '57'), {0: ('sold', Rewording.SURE, 0)}), (row('Hello!', 'Hi.', REWORDED, 'She keeps $57.'), {0: ('sold', Rewording.SURE, 2)}),
    (row(ITEM, '57'), {0: ('sold', Rewording.SURE, 0)}), (row(OTHER_NUMBERS, '68'), {}), (row(OTHER_NUMBERS, '57'), {}), (row('What is it?', '57'), {}),
    ([{'role': 'user', 'text': REWORDED}], {}),
])  # fmt: skip
def test_what_asks_an_item_in_other_words(turns, expected):
    found = {at: (told['item_id'], what, told['turn']) for at, what, told in Paraphrases(items()).find(turns_of([turns]), np.array([False]))}
    assert found == expected


def test_what_shows_a_picture_and_items_with_pictures_are_left_to_other_rules():
    assert list(Paraphrases(items()).find(turns_of([row(REWORDED, '57')]), np.array([True]))) == []
    pictured = [{**one, 'pictures': ['0' * 64]} for one in items()]
    assert list(Paraphrases(pictured).find(turns_of([row(REWORDED, '57')]), np.array([False]))) == []


def test_the_table_says_which_row_and_counts(tmp_path):
    bench = written(tmp_path / 'bench', [item('sold', ITEM, '57')])
    rows = [{'sample_id': f's/{at}', 'source': 's', 'turns': turns, 'images': images}
            for at, (turns, images) in enumerate([(row('A', 'B'), []), (row(REWORDED, '57'), []), (row(REWORDED, '57'), ['s/a.png']), (row(OTHER_NUMBERS, '68'), [])])]  # fmt: skip
    samples = table_of(tmp_path / 'samples', pa.Table.from_pylist(rows, SAMPLES))
    table = make_here(FindParaphrases(samples, (bench,)), tmp_path / 'found')
    (found,) = table.read().to_pylist()
    assert (found['row'], found['sample_id'], found['bench'], found['sure']) == (1, 's/1', 'b', True)
    assert pq.read_metadata(table.parts()[0]).num_rows == 1
