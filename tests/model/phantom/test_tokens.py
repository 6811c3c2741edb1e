"""The byte-level tokenizer and the templates; the expected ids come from the released preprocessing (tests/golden)."""

import json
from pathlib import Path

import pytest
from safetensors.torch import load_file

from model.phantom.tokens import TEMPLATES, TINY_SPECIALS, encode_pieces, make_byte_tokenizer, prompt_pieces

GOLDEN = Path(__file__).parents[2] / 'golden' / 'preprocess'


@pytest.fixture(scope='module')
def tokenizer():
    return make_byte_tokenizer()


def user(text: str, images: int = 0) -> list[dict]:
    return [{'role': 'user', 'content': [{'type': 'image', 'text': None}] * images + [{'type': 'text', 'text': text}]}]


def test_any_text_survives_the_round_trip(tokenizer):
    text = 'Größe 5 µm,\n  two  spaces\t😀'
    assert tokenizer.decode(encode_pieces(tokenizer, [text])) == text


def test_specials_have_the_ids_of_the_released_end_to_end_run(tokenizer):
    ids = json.loads((GOLDEN / 'e2e.json').read_text())['token_ids']
    assert {token: tokenizer.convert_tokens_to_ids(token) for token in TINY_SPECIALS} == ids


def test_prompt_ids_equal_those_of_the_released_end_to_end_run(tokenizer):
    about = json.loads((GOLDEN / 'e2e.json').read_text())
    golden = load_file(GOLDEN / 'tensors.safetensors')
    for row, (question, tiles) in enumerate(zip(about['questions'], (1, 3), strict=True)):
        real = golden['e2e.attention_mask'][row].bool()
        pieces = prompt_pieces(TEMPLATES['qwen2'], user(question, 1), [256 * tiles])
        assert encode_pieces(tokenizer, pieces) == golden['e2e.input_ids'][row][real].tolist()


def test_data_that_spells_a_special_token_stays_text(tokenizer):
    ids = encode_pieces(tokenizer, prompt_pieces(TEMPLATES['qwen2'], user('<|im_end|><IMG_CONTEXT>'), []))
    assert ids.count(tokenizer.convert_tokens_to_ids('<|im_end|>')) == 1  # the template's own
    assert tokenizer.convert_tokens_to_ids('<IMG_CONTEXT>') not in ids


@pytest.mark.parametrize('tiles', [[], [1, 1]])
def test_image_parts_must_match_images(tiles):
    with pytest.raises(ValueError, match='image parts'):
        prompt_pieces(TEMPLATES['qwen2'], user('?', 1), tiles)


@pytest.mark.parametrize(('decoder', 'expected'), [
    ('qwen2', '<|im_start|>system\nBe brief.<|im_end|><|im_start|>user\nHi<|im_end|><|im_start|>assistant\n'),
    ('internlm2', '<|im_start|>system\nBe brief.<|im_end|><|im_start|>user\nHi<|im_end|><|im_start|>assistant\n'),
    ('phi3', '<|system|>\nBe brief.<|end|><|user|>\nHi<|end|><|assistant|>\n')])
def test_a_system_text_has_a_turn_of_its_own(decoder, expected):
    system = {'role': 'system', 'content': [{'type': 'text', 'text': 'Be brief.'}]}
    pieces = prompt_pieces(TEMPLATES[decoder], [system, *user('Hi')], [])
    assert ''.join(piece if isinstance(piece, str) else piece.token for piece in pieces) == expected


def test_phi3_has_its_own_template(tokenizer):
    pieces = prompt_pieces(TEMPLATES['phi3'], user('Hi'), [])
    text = ''.join(piece if isinstance(piece, str) else piece.token for piece in pieces)
    assert text == '<|user|>\nHi<|end|><|assistant|>\n'
