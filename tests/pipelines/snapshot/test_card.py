"""What strangers write into a recipe stays text in the card."""

import html
import re

import pytest
from markdown_it import MarkdownIt

from pipelines.mix.canaries import Recall, markdown_recall
from pipelines.snapshot.card import mix_card, triples_card
from schemas.recipe import Recipe

HOSTILE = 'a | b\n| --- |\n\n# now <script>alert(1)</script> ``` *so* [x](javascript:y) \\ &amp; {snapshot_id'
SHOWN = ' '.join(HOSTILE.split())


@pytest.fixture
def recipe():
    return Recipe.model_validate({
        'name': 'r', 'sources': {'s': {'format': 'llava', 'annotations': ['a'], 'category': HOSTILE, 'licence': HOSTILE, 'revision': HOSTILE}},
        'models': {'m': {'model': HOSTILE, 'revision': HOSTILE}}, 'generate': [{'prompt': 'rules'}], 'judge': {'model': 'm'},
    })  # fmt: skip


def rendered(card):
    """Return the card's Markdown as HTML, without its YAML."""
    return MarkdownIt('commonmark').enable('table').render(card.split('\n---\n', 1)[1])


def test_hostile_text_of_a_recipe_stays_in_its_cell(recipe):
    page = rendered(mix_card(recipe, ['train'], [], {}, ''))
    cells = [html.unescape(cell) for cell in re.findall('<td>(.*?)</td>', page)]
    assert cells == ['s', 'llava', SHOWN, SHOWN, SHOWN]
    assert page.count('<h1>') == 1


def test_the_name_of_a_model_is_text(recipe):
    page = rendered(triples_card(recipe, ['train'], [], [], {}, ''))
    assert f'judged by {SHOWN} ({SHOWN}), mode <code>likelihood</code>, margin 0.' in html.unescape(page)
    assert page.count('<h1>') == 1


def test_ordinary_names_are_written_as_they_are(recipe):
    card = mix_card(recipe.model_copy(update={'sources': {'s': recipe.sources['s'].model_copy(update={
        'category': 'charts', 'licence': 'CC-BY-4.0 AND MIT', 'revision': 'v1.2+3'})}}), ['train'], [], {}, '')  # fmt: skip
    assert '| s | llava | charts | CC-BY-4.0 AND MIT | v1.2+3 |' in card


def test_figures_of_the_paper_stand_on_the_cards_of_its_sources_alone(recipe):
    of_paper = recipe.model_copy(update={'sources': {'s': recipe.sources['s'].model_copy(update={'expected_paper': 10})}})
    told = [triples_card(one, ['train'], [], [], {}, '') for one in (recipe, of_paper)]
    assert [card.count("The paper's own yield") for card in told] == [0, 1]
    assert [card.count('\n## Judge\n') for card in told] == [1, 1]


def test_the_table_of_canaries_says_which_misses_are_no_fault():
    card = markdown_recall([Recall('copy', 10, 10, must=True), Recall('crop_5', 16, 0, must=False)])
    assert '| crop_5 | 16 | 0 | 0.00 | no promise |' in card
    assert '0.00 there is no fault of your data' in card
