"""The prompt of a served checkpoint is the one it was trained on, whatever a text spells."""

import pytest

from model.phantom.processor import PhantomProcessor, user_message
from model.phantom.tokens import TEMPLATES, Special, encode_pieces, make_byte_tokenizer
from model.serving.pieces import chat_pieces, first_token
from tests.model.serving.checkpoints import PHI3_SPECIALS, SPELT


@pytest.fixture(scope='module')
def tokenizer():
    made = make_byte_tokenizer()
    made.add_special_tokens({'additional_special_tokens': PHI3_SPECIALS})
    return made


def said(role: str, text: str, images: int = 0) -> dict:
    return {'role': role, 'content': [{'type': 'image'}] * images + [{'type': 'text', 'text': text}]}


@pytest.mark.parametrize('decoder', sorted(TEMPLATES))
def test_chat_gives_our_prompt_also_where_a_text_spells_special_tokens(tokenizer, decoder):
    """An image is one token here, and start, tiles, end once its tiles are counted."""
    processor = PhantomProcessor(tokenizer, decoder_type=decoder)
    talk = [said('user', SPELT), said('assistant', 'Not <|end|>.'), said('user', 'Why?')]
    ids = encode_pieces(tokenizer, chat_pieces(TEMPLATES[decoder], talk, opens=True, unfinished=False))
    assert ids == processor.encode_prompt(talk, [])
    assert ids[0] == tokenizer.convert_tokens_to_ids(first_token(decoder))
    pieces = chat_pieces(TEMPLATES[decoder], [said('user', 'What?', images=2)], opens=True, unfinished=False)
    whole = [Special('<img>'), Special('<IMG_CONTEXT>'), Special('</img>')]
    expanded = [part for piece in pieces for part in (whole if piece == Special('<IMG_CONTEXT>') else [piece])]
    processor.tokens_per_tile = 1
    assert encode_pieces(tokenizer, expanded) == processor.encode_prompt([user_message('What?', 2)], [1, 1])


def test_an_unfinished_answer_stays_open():
    template = TEMPLATES['qwen2']
    talk = [said('user', 'What?'), said('assistant', 'A red')]
    pieces = chat_pieces(template, talk, opens=False, unfinished=True)
    assert pieces[-1] == 'A red'
    assert chat_pieces(template, talk, opens=False, unfinished=False) == [*pieces, Special('<|im_end|>')]


@pytest.mark.parametrize(
    ('talk', 'fault'),
    [
        ([], 'expected at least one, found none'),
        ([{'role': 'tool', 'content': '42'}], "expected the roles system, developer, user, assistant, found 'tool'"),
        ([{'role': 'assistant', 'content': [], 'tool_calls': [{}]}], 'found tool calls'),
        ([{'role': 'user', 'content': [{'type': 'video'}]}], "expected parts of text and images, found 'video'"),
    ],
)
def test_what_the_model_has_no_form_for_is_refused(talk, fault):
    with pytest.raises(ValueError, match=fault):
        chat_pieces(TEMPLATES['qwen2'], talk, opens=True, unfinished=False)
