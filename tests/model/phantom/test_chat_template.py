"""chat_template.jinja gives exactly the prompt that the model was trained on, for each of the three decoders."""

import pytest
from jinja2.exceptions import TemplateError
from transformers import AutoProcessor, AutoTokenizer

from model.phantom.chat_template import jinja_template, spelled
from model.phantom.config import PhantomConfig
from model.phantom.processor import PhantomProcessor
from model.phantom.tokens import IMAGE_END, IMAGE_START, IMAGE_TOKEN, TEMPLATES, make_byte_tokenizer, prompt_pieces

TURNS = [
    {'role': 'system', 'content': [{'type': 'text', 'text': ' Be short.\n'}]},
    {'role': 'user', 'content': [{'type': 'image', 'text': None}, {'type': 'text', 'text': 'What\n is this? '}]},
    {'role': 'assistant', 'content': [{'type': 'text', 'text': '  a {{ cat }}\t'}]},
    {'role': 'user', 'content': [{'type': 'text', 'text': 'two: '}, {'type': 'image', 'text': None}, {'type': 'image', 'text': None}]},
]


def make_processor(decoder: str) -> PhantomProcessor:
    return PhantomProcessor(make_byte_tokenizer(), decoder_type=decoder)


@pytest.mark.parametrize('decoder', sorted(TEMPLATES))
def test_it_renders_the_trained_prompt(decoder):
    processor = make_processor(decoder)
    expected = spelled(tuple(prompt_pieces(TEMPLATES[decoder], TURNS, [1, 1, 1])))
    expected = expected.replace(IMAGE_START, '').replace(IMAGE_END, '')
    assert processor.apply_chat_template(TURNS, add_generation_prompt=True) == expected
    opened = spelled(TEMPLATES[decoder].assistant_start)
    assert processor.apply_chat_template(TURNS) == expected.removesuffix(opened)


def test_a_message_may_be_a_string():
    for decoder in TEMPLATES:
        processor = make_processor(decoder)
        parts = [{'role': 'user', 'content': [{'type': 'text', 'text': 'Hi'}]}]
        assert processor.apply_chat_template([{'role': 'user', 'content': 'Hi'}]) == processor.apply_chat_template(parts)


def test_the_prompt_of_phi_3_is_written_out():
    """By hand, so that a change of the pieces themselves is seen."""
    messages = [{'role': 'user', 'content': [{'type': 'image'}, {'type': 'text', 'text': 'Hi'}]}]
    text = make_processor('phi3').apply_chat_template(messages, add_generation_prompt=True)
    assert text == f'<|user|>\n{IMAGE_TOKEN}Hi<|end|><|assistant|>\n'
    text = make_processor('internlm2').apply_chat_template(messages, add_generation_prompt=True)
    assert text == f'<|im_start|>user\n{IMAGE_TOKEN}Hi<|im_end|><|im_start|>assistant\n'


@pytest.mark.parametrize('message', [
    {'role': 'tool', 'content': 'x'},
    {'role': 'assistant', 'content': None},
    {'role': 'user', 'content': [{'type': 'video', 'video': 'x.mp4'}]},
])  # fmt: skip
def test_what_the_model_never_saw_is_refused(message):
    with pytest.raises(TemplateError, match='expected .* found (tool|video|none)'):
        make_processor('qwen2').apply_chat_template([message])


def test_it_needs_no_trimming_of_jinjas():
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    messages = [{'role': 'user', 'content': [{'type': 'image'}, {'type': 'text', 'text': ' a\n'}]}]
    for trim in (False, True):
        environment = ImmutableSandboxedEnvironment(trim_blocks=trim, lstrip_blocks=trim)
        text = environment.from_string(jinja_template(TEMPLATES['phi3'])).render(messages=messages, add_generation_prompt=True)
        assert text == f'<|user|>\n{IMAGE_TOKEN} a\n<|end|><|assistant|>\n'


def test_a_saved_folder_has_it_for_processor_and_tokenizer(tmp_path):
    config = PhantomConfig(llm_config={'architectures': ['Phi3ForCausalLM']})
    tokenizer = make_byte_tokenizer()
    tokenizer.chat_template = 'somebody else\'s'
    PhantomProcessor.for_model(tokenizer, config).save_pretrained(tmp_path)
    expected = jinja_template(TEMPLATES['phi3'])
    assert (tmp_path / 'chat_template.jinja').read_text('utf-8') == expected
    assert AutoProcessor.from_pretrained(tmp_path).chat_template == expected
    assert AutoTokenizer.from_pretrained(tmp_path).chat_template == expected
