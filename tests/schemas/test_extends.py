from pathlib import Path

import pytest

from schemas.errors import UserError
from schemas.recipe import load_recipe

RECIPES = Path(__file__).parents[2] / 'recipes'


def test_the_clean_recipe_is_the_papers_with_another_action():
    paper, clean = load_recipe(RECIPES / 'phantom.yaml'), load_recipe(RECIPES / 'phantom-clean.yaml')
    assert (paper.contamination.action, clean.contamination.action) == ('flag', 'drop')
    changed = {'name': 'phantom-clean', 'contamination': paper.contamination.model_copy(update={'action': 'drop'})}
    assert paper.model_copy(update=changed) == clean


def test_the_papers_counts_add_up():
    """PAPER's README: 2,852,771 records; 1,218,630 of them images of the world, 143,000 its text, 743,850 documents, 747,291 mathematics."""
    sources = load_recipe(RECIPES / 'phantom.yaml').sources.values()
    by_category: dict[str, int] = {}
    for source in sources:
        by_category[source.category] = by_category.get(source.category, 0) + source.expected_paper
    assert len(sources) == 14
    assert list(by_category.values()) == [1_218_630, 143_000, 743_850, 747_291]


def test_mappings_are_merged_lists_replaced_and_the_order_of_sources_stays(tmp_path):
    (tmp_path / 'base.yaml').write_text("""
name: base
sources:
  a: {format: llava, annotations: [a.json], licence: MIT, images: [x, y]}
  b: {format: llava, annotations: [b.json], licence: MIT}
""")
    (tmp_path / 'over.yaml').write_text("""
extends: base.yaml
name: over
sources:
  b: {quota: 3}
  a: {images: [z]}
  c: {format: instruction, annotations: [c.json], licence: MIT}
""")
    found = load_recipe(tmp_path / 'over.yaml', ('sources.a.turns=each',))
    assert list(found.sources) == ['a', 'b', 'c']
    assert (found.sources['a'].images, found.sources['a'].turns, found.sources['b'].quota) == (['z'], 'each', 3)


def test_a_source_that_is_null_is_left_out(tmp_path):
    source = 'format: llava, annotations: [a.json], licence: MIT'
    (tmp_path / 'base.yaml').write_text(f'name: base\nsources:\n  a: {{{source}}}\n  b: {{{source}}}\n  c: {{{source}}}\n')
    (tmp_path / 'over.yaml').write_text('extends: base.yaml\nsources: {b: null}\n')
    assert list(load_recipe(tmp_path / 'over.yaml', ('sources.c=null',)).sources) == ['a']
    with pytest.raises(UserError, match=r"expected one of \['a', 'b', 'c'\], found 'd'"):
        load_recipe(tmp_path / 'base.yaml', ('sources.d=null',))
    with pytest.raises(UserError, match='sources'):
        load_recipe(tmp_path / 'base.yaml', ('sources.a=null', 'sources.b=null', 'sources.c=null'))


@pytest.mark.parametrize(('text', 'message'), [('extends: self.yaml', 'found a circle'), ('extends: none.yaml', 'found none'), ('extends: [a]', 'the name of a recipe')])
def test_a_base_that_cannot_be_used_is_told(tmp_path, text, message):
    (tmp_path / 'self.yaml').write_text(text)
    with pytest.raises(UserError, match=message):
        load_recipe(tmp_path / 'self.yaml')
