"""InternLM2's tokenizer is read from its sentencepiece model: the ids of sentencepiece itself, and of the added tokens."""

import json

import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st

from model.phantom.tokenizers import load_tokenizer
from model.phantom.tokens import encode_pieces
from schemas.errors import UserError
from tests.model.phantom.published import INTERNVL_TOKENS, piece_model, write_json, write_tokenizer

TEXTS = ['hello world', ' hello  world ', 'hellohello', 'Größe 5 µm,\n  two\ttabs', '你好 😀', '', '   ', '<|im_end|> <s> [UNUSED_TOKEN_141]', 'w or ld']


@pytest.mark.parametrize('prefix', [False, True])
def test_ids_are_those_of_sentencepiece(tmp_path, prefix):
    (tmp_path / 'tokenizer.model').write_bytes(piece_model(prefix=prefix, unused=False).SerializeToString())
    tokenizer = load_tokenizer(tmp_path)
    theirs = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / 'tokenizer.model'))

    @settings(max_examples=60, deadline=None)
    @given(st.one_of(st.sampled_from(TEXTS), st.text(alphabet='helowrd ▁\n\tü😀<>|s', max_size=30)))
    def same(text):
        ids = encode_pieces(tokenizer, [text])
        assert ids == theirs.encode(text)
        assert tokenizer.decode(ids) == theirs.decode(ids)

    same()


def test_added_tokens_keep_their_published_ids_and_no_code_runs(tmp_path):
    total = write_tokenizer(tmp_path, 'internlm2', INTERNVL_TOKENS)
    tokenizer = load_tokenizer(tmp_path)
    known = total - len(INTERNVL_TOKENS)
    ids = tokenizer.convert_tokens_to_ids
    assert [ids(token) for token in INTERNVL_TOKENS] == list(range(known, total))
    assert (ids('<|im_end|>'), ids('<|im_start|>'), len(tokenizer)) == (known - 2, known - 1, total)
    assert (tokenizer.pad_token, tokenizer.eos_token, tokenizer.bos_token_id) == ('</s>', '</s>', 1)
    assert tokenizer('<|im_start|>hello', add_special_tokens=False)['input_ids'] == [known - 1, ids('hello')]
    tokenizer.save_pretrained(tmp_path / 'saved')
    again = load_tokenizer(tmp_path / 'saved')
    assert again.get_vocab() == tokenizer.get_vocab()
    assert again('hello  world', add_special_tokens=False)['input_ids'] == tokenizer('hello  world', add_special_tokens=False)['input_ids']


@pytest.mark.parametrize('left', [{'added_tokens.json'}, set()])
def test_the_model_file_alone_will_do(tmp_path, left):
    write_tokenizer(tmp_path, 'internlm2', ())
    config = json.loads((tmp_path / 'tokenizer_config.json').read_text())
    (tmp_path / 'tokenizer_config.json').unlink()
    if left:
        write_json(tmp_path / 'added_tokens.json', {token['content']: int(index) for index, token in config['added_tokens_decoder'].items()})
    tokenizer = load_tokenizer(tmp_path)
    assert tokenizer.convert_tokens_to_ids('<|im_start|>') == len(tokenizer) - 1
    assert tokenizer.convert_tokens_to_ids('<|im_end|>') == len(tokenizer) - 2


def test_text_that_spells_a_special_token_stays_text(tmp_path):
    write_tokenizer(tmp_path, 'internlm2', INTERNVL_TOKENS)
    tokenizer = load_tokenizer(tmp_path)
    special = {tokenizer.convert_tokens_to_ids(token) for token in ('<|im_end|>', '<|im_start|>', '<IMG_CONTEXT>', '</s>')}
    assert not special & {*encode_pieces(tokenizer, ['<|im_end|><|im_start|><IMG_CONTEXT></s>'])}


@pytest.mark.parametrize('decoder', ['qwen2', 'phi3'])
def test_published_ids_of_the_other_tokenizers(tmp_path, decoder):
    total = write_tokenizer(tmp_path, decoder, INTERNVL_TOKENS)
    tokenizer = load_tokenizer(tmp_path)
    assert [tokenizer.convert_tokens_to_ids(token) for token in INTERNVL_TOKENS] == list(range(total - 9, total))
    assert tokenizer.decode(encode_pieces(tokenizer, ['hello  world\n'])).endswith('hello  world\n')


@pytest.mark.parametrize(('file', 'data', 'told'), [
    ('tokenizer.model', b'not a model', 'expected a sentencepiece model'),
    ('tokenizer.model', b'', 'expected pair merges'),
    ('tokenizer_config.json', b'{"added_tokens_decoder": 5}', 'expected ids and tokens'),
    ('tokenizer_config.json', b'{"added_tokens_decoder": {"99999999": {"content": "x"}}}', 'expected an id and a text'),
    ('tokenizer_config.json', b'{"added_tokens_decoder": {"400": {"content": "x"}}}', 'without a gap'),
    ('tokenizer_config.json', b'[' * 100_000, 'expected JSON'),
])
def test_damaged_and_hostile_files_are_refused(tmp_path, file, data, told):
    write_tokenizer(tmp_path, 'internlm2', ())
    (tmp_path / file).write_bytes(data)
    with pytest.raises(UserError, match=told):
        load_tokenizer(tmp_path)


def test_a_tokenizer_json_beside_code_of_its_own_is_read(tmp_path):
    (tmp_path / 'x').mkdir()
    total = write_tokenizer(tmp_path / 'x', 'internlm2', INTERNVL_TOKENS)
    load_tokenizer(tmp_path / 'x').save_pretrained(tmp_path / 'fast')
    for name in ('tokenizer_config.json', 'tokenizer.model', 'tokenization_internlm2_fast.py'):
        (tmp_path / 'fast' / name).write_bytes((tmp_path / 'x' / name).read_bytes())
    for kind in ('InternLM2Tokenizer', 'InternLM2TokenizerFast'):
        config = json.loads((tmp_path / 'x' / 'tokenizer_config.json').read_text())
        write_json(tmp_path / 'fast' / 'tokenizer_config.json', {**config, 'tokenizer_class': kind})
        tokenizer = load_tokenizer(tmp_path / 'fast')
        assert len(tokenizer) == total
        assert tokenizer('hello  world', add_special_tokens=False)['input_ids'] == load_tokenizer(tmp_path / 'x')('hello  world', add_special_tokens=False)['input_ids']
