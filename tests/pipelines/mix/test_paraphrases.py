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


def test_items_of_one_template_are_told_apart_by_their_numbers_however_many_there_are():
    """300 of one template: no word tells them apart, and the one that is asked stands behind those that are compared first."""
    many = [{'bench': 'b', 'item_id': f'{n}', 'question': ITEM.replace('24', str(n)), 'answers': [str(3 * n - 15)], 'pictures': []} for n in range(100, 400)]
    asked = [row(REWORDED.replace('24', str(n)), str(3 * n - 15)) for n in (100, 250, 399)]
    found = {at: (told['item_id'], what) for at, what, told in Paraphrases(many).find(turns_of(asked), np.zeros(3, bool))}
    assert found == {at: (n, Rewording.SURE) for at, n in enumerate(('100', '250', '399'))}
    missed = [row(REWORDED.replace('24', str(n)), '1') for n in (99, 400)]
    assert list(Paraphrases(many).find(turns_of(missed), np.zeros(2, bool))) == []


TRANSLATED = 'Lena verkauft 24 Körbe zu je 3 Talern und zahlt 15 für den Stand. Was bleibt?'


@pytest.mark.parametrize(('text', 'answer', 'found'), [
    (TRANSLATED, '57', True), (TRANSLATED, '58', False), (TRANSLATED.replace('24', '25'), '57', False), ('莉娜以每篮3元卖出24篮苹果,付摊位费15元。剩多少?', '57', False),
    ('莉娜卖出24篮苹果,每篮3元,付摊位费15元。剩多少?', '57', True),
], ids=['German', 'another answer', 'another number', 'another order', 'Chinese'])  # fmt: skip
def test_a_translation_is_near_by_its_numbers_in_order_and_the_answer(text, answer, found):
    assert [what for _, what, _ in Paraphrases(items()).find(turns_of([row(text, answer)]), np.array([False]))] == [Rewording.NEAR] * found


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
