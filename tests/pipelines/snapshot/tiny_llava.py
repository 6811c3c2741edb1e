"""A LLaVA of a few thousand weights with its own tokenizer over bytes, from nothing: what trainers need before they look at data."""

import json
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlavaConfig, PreTrainedTokenizerFast

IMAGE_SIDE, PATCH = 28, 14
TOKENS_PER_IMAGE = (IMAGE_SIDE // PATCH) ** 2
CHAT = """{% for message in messages %}{{ message.role }}: {% if message.content is string %}{{ message.content }}{% else %}
{%- for part in message.content %}{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}
{%- if message.role == 'assistant' %}</s>{% endif %}
{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"""


def save(folder: Path) -> Path:
    """Write configuration, tokenizer and image processor to `folder`; no weights."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    inner = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    inner.pre_tokenizer, inner.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token='<s>', eos_token='</s>', pad_token='<pad>', extra_special_tokens=['<image>'], chat_template=CHAT)
    tokenizer.save_pretrained(folder)
    small = {'hidden_size': 16, 'intermediate_size': 16, 'num_hidden_layers': 1, 'num_attention_heads': 2}
    config = LlavaConfig(
        text_config={'model_type': 'llama', 'vocab_size': 300, 'num_key_value_heads': 1, **small}, image_seq_length=TOKENS_PER_IMAGE,
        vision_config={'model_type': 'clip_vision_model', 'image_size': IMAGE_SIDE, 'patch_size': PATCH, **small},
        image_token_index=tokenizer.convert_tokens_to_ids('<image>'))
    config.architectures = ['LlavaForConditionalGeneration']
    config.save_pretrained(folder)
    for name, told in {
        'preprocessor_config': {'image_processor_type': 'CLIPImageProcessor', 'size': {'shortest_edge': IMAGE_SIDE}, 'do_center_crop': True,
                                'crop_size': {'height': IMAGE_SIDE, 'width': IMAGE_SIDE}},
        'processor_config': {'image_token': '<image>', 'patch_size': PATCH, 'vision_feature_select_strategy': 'default', 'num_additional_image_tokens': 1},
    }.items():  # fmt: skip
        (folder / f'{name}.json').write_text(json.dumps({'processor_class': 'LlavaProcessor', **told}))
    return folder
