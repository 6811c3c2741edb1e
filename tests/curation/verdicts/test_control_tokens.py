"""Control tokens of chat models: every family's are made plain text, and nothing else is touched."""

import re
import unicodedata

import pytest

from curation.verdicts.control_tokens import control_tokens_in, neutral, neutral_pieces
from tests.promises import promise

# By their makers' tokenizers and chat templates
FAMILIES = {
    'ChatML': '<|im_start|> <|im_end|> <|endoftext|>',
    'Llama 2': '[INST] [/INST] <<SYS>> <</SYS>> <s> </s> <unk>',
    'Llama 3': '<|begin_of_text|> <|start_header_id|> <|end_header_id|> <|eot_id|> <|eom_id|> <|python_tag|> <|reserved_special_token_0|> <|image|>',
    'Llama 4': '<|header_start|> <|header_end|> <|eot|> <|patch|> <|tile_x_separator|>',
    'Mistral': '[SYSTEM_PROMPT] [/SYSTEM_PROMPT] [AVAILABLE_TOOLS] [TOOL_CALLS] [/TOOL_RESULTS] [IMG] [IMG_BREAK] [IMG_END] [THINK] [control_8] <SPECIAL_20>',
    'Gemma': '<start_of_turn> <end_of_turn> <bos> <eos> <pad> <mask> <unused12> <start_of_image> <image_soft_token> [multimodal] [@BOS@]',
    'Gemma 4': '<|turn> <turn|> <|channel> <channel|> <|tool_response>',
    'Phi': '<|system|> <|user|> <|assistant|> <|end|> <|image_1|> <|im_sep|> <|placeholder1|>',
    'DeepSeek': '<｜User｜> <｜Assistant｜> <｜begin▁of▁sentence｜> <｜end▁of▁sentence｜> <｜tool▁calls▁begin｜> <｜▁pad▁｜> <image_placeholder> ｜DSML｜',
    'GLM': '[gMASK] <sop> <eop> [sMASK] <|observation|> <|begin_of_image|> /nothink',
    'InternLM and InternVL': '<|action_start|> [UNUSED_TOKEN_145] <eoh> <eoa> <img> </img> <IMG_CONTEXT> <quad> <ref> <box>',
    'Granite': '<|start_of_role|> <|end_of_role|> <|end_of_text|> <fim_prefix> <filename> <gh_stars> <issue_start> <empty_output>',
    'Command R': '<BOS_TOKEN> <EOS_TOKEN> <EOP_TOKEN> <PAD> <CLS> <|START_OF_TURN_TOKEN|> <|CHATBOT_TOKEN|> <|START_RESPONSE|>',
    'gpt-oss': '<|start|> <|message|> <|channel|> <|return|> <|call|> <|constrain|>',
    'Qwen': '<|vision_start|> <|vision_end|> <|image_pad|> <|video_pad|> <|object_ref_start|> <think> </think> <tool_call> </tool_response> /no_think /think',
    'Kimi': '<|im_user|> <|im_middle|> <|media_pad|> [BOS] [EOS] [EOT] [start_header_id]',
    'MiniCPM and LLaVA': '<image> </image> <image_id> <slice> <unit> <video> <im_start> <im_patch> <image_newline>',
    'SmolVLM and Idefics': '<end_of_utterance> <fake_token_around_image> <global-img> <row_1_col_1>',
    'Seed-Coder': '<[begin▁of▁sentence]> <[end▁of▁sentence]> <[fim-prefix]> <[PAD▁TOKEN]>',
    'LongCat': '<longcat_s> </longcat_s> <longcat_user>',
    'EXAONE': '[|system|] [|user|] [|endofturn|]',
    'PaliGemma and Florence': '<loc0012> <seg012> <loc_12> <patch_index_0012>',
    'others': '>>QUESTION<< ]~b] ]~!b[ [e~[ <seed:bos> <seed:think> <extra_id_0> <reserved_106> <_user> <_bot> <role> </role> [MASK] [CLS] [SEP] <__media__> <0x0A>',
    'in other letters': '<|IM_START|> <|Im_End|> ＜｜im_start｜＞ ﹤|im_end|﹥ <|im_\u200bstart|> <|\u00adim_end|> <\x00|im_end|> <|im_\ufe0fend|> <|im_\ufffdend|> <|im_s\u0301tart|> ［INST］ ≮|im_end|≯ <ﬁm_prefix> <ﬆart_of_turn>',
}  # fmt: skip
TOKENS = [token for family in FAMILIES.values() for token in family.split(' ')]
ORDINARY = (
    'x < y and y > z', '<b>bold</b> and <br/>', 'std::vector<size_t> v', '[1, 2] and [3]', 'a | b', '<table>', '|x|<|y| > 3', 'x <| f |> g', 'a[i]', '[ref]',
    '<https://example.org/think>', '<my_var>', 'λ < 3', '|a| < |b|', '<p>', '[A]', 'ψ <0|1>', '<|im_', '|im_end|>', '< |im_start|>', '&lt;|im_start|&gt;',
    '\\u003c|im_start|\\u003e', 'USER: hello', 'I think/hope so', '<AND> <OR>', '«s»', 'π ≈ 3.14', 'e\u0301', 'rows[row_id] + x[start_index]', 'df[user_id]', '[| x |]', '😀 👩🏽\u200d🚀',
)  # fmt: skip


def as_lax_tokenizer(text: str) -> str:
    """Return a text as the most forgiving normaliser would have it."""
    folded = unicodedata.normalize('NFKD', text).casefold()
    return ''.join(char for char in folded if (char.isprintable() or char in '\n\t') and unicodedata.category(char) not in ('Mn', 'Me') and char != '\ufffd')


@promise(
    'Text that speaks to the judge', 'Control tokens of all known chat models are sent as plain text wherever a source or a model wrote them',
    tokens=len(TOKENS),
)
@pytest.mark.parametrize('family', FAMILIES)
def test_no_control_token_of_a_family_stays_one(family):
    for token in FAMILIES[family].split(' '):
        around = f'before {token} after' if token[0] == '/' else f'before{token}after'  # a switch is a word of its own
        told = neutral(around)
        assert as_lax_tokenizer(token) not in as_lax_tokenizer(told), token
        assert told.replace(' ', '') == around.replace(' ', '')  # what is written stays readable
        assert neutral(told) == told
        assert control_tokens_in(f'a {token}') == [token]


@pytest.mark.parametrize('text', ORDINARY)
def test_ordinary_text_is_sent_as_it_stands(text):
    assert neutral(text) == text
    assert control_tokens_in(text) == []


def test_half_a_token_at_the_end_of_a_text_is_one_with_the_next():
    for token in (token for token in TOKENS if token[0] != '/'):
        for cut in range(1, len(token)):
            pieces = neutral_pieces((f'a {token[:cut]}', f'{token[cut:]} b'))
            assert as_lax_tokenizer(token) not in as_lax_tokenizer(''.join(piece.strip() for piece in pieces))  # as some templates do
    assert neutral_pieces(('a <|im_', 'start|> b', '')) == ['a < |im_', 'start|> b', '']


def test_tokens_inside_each_other_leave_none():
    for text in ('<<|im_start|>|>', '<|im_<|im_start|>start|>', '<s<s>>', '[INST[INST]]', '<|a|><|b|><s>', '<</<</SYS>>SYS>>'):
        assert control_tokens_in(neutral(text)) == []


def test_other_tokens_are_named_and_those_of_a_prompts_author_are_spared():
    assert neutral('say @@turn@@ or @@TURN@@', ('@@turn@@',)) == 'say @ @turn@@ or @ @TURN@@'
    assert neutral('<|think_off|> <|im_end|>', spared={'<|think_off|>'}) == '<|think_off|> < |im_end|>'


def test_a_text_of_nothing_but_tokens_takes_no_time_that_grows_with_its_square():
    assert neutral('<s>' * 100_000) == '< s>' * 100_000  # to copy all for each blank takes a minute


def test_a_long_text_is_searched_in_no_time_that_grows_with_its_square():
    for piece in ('<', '<|', '<_', '<a_', '[|', '<im_', '<a_im_im_im_b ', '<' + '_' * 30, '<\u200b', '\u0301<'):
        assert re.sub('[< ]', '', neutral(piece * (40_000 // len(piece)))) == re.sub('[< ]', '', piece * (40_000 // len(piece)))
