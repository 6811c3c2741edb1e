"""`python -m tests.pipelines.chat.tiny_vlm SMOLLM2 OUT`: a model that sees, of two layers with random weights, as a folder that vLLM serves.

Idefics3, because it is the one family with several pictures a prompt that vLLM's CPU build imports without torchvision, and its tokenizer
is SmolLM2's. What it says means nothing; how pictures become prompt tokens is as in a large one: tiles of 64 px, four tokens each.
"""

import sys

import torch
from transformers import AutoTokenizer, Idefics3Config, Idefics3ForConditionalGeneration, Idefics3ImageProcessor, Idefics3Processor

TILE_PX, PATCH_PX, MERGED = 64, 16, 2
TOKENS_A_TILE = (TILE_PX // PATCH_PX // MERGED) ** 2
GRID = 4  # tiles in a row or column, at most
MARKS = ['<fake_token_around_image>', '<image>', '<end_of_utterance>', '<global-img>']
TEMPLATE = """{% for message in messages %}<|im_start|>{{ message['role'] }}
{% if message['content'] is string %}{{ message['content'] }}{% else %}{% for part in message['content'] %}\
{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>
{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant
{% endif %}"""


def write_model(smollm2: str, out: str) -> None:
    """Write weights, tokenizer and processor to `out`."""
    tokenizer = AutoTokenizer.from_pretrained(smollm2)
    places = [f'<row_{row + 1}_col_{column + 1}>' for row in range(6) for column in range(6)]
    tokenizer.add_special_tokens({'additional_special_tokens': MARKS + places})
    ends = {'bos_token_id': tokenizer.bos_token_id, 'eos_token_id': tokenizer.eos_token_id, 'pad_token_id': tokenizer.pad_token_id}
    small = {'hidden_size': 128, 'intermediate_size': 128, 'num_attention_heads': 2}  # heads of 64: of 16 they end vLLM's CPU engine
    text = {'model_type': 'llama', **small, 'num_hidden_layers': 2, 'num_key_value_heads': 2, 'vocab_size': len(tokenizer),
            'max_position_embeddings': 4096, 'tie_word_embeddings': True, **ends}
    vision = {**small, 'num_hidden_layers': 1, 'image_size': TILE_PX, 'patch_size': PATCH_PX}
    torch.manual_seed(0)
    model = Idefics3ForConditionalGeneration(Idefics3Config(
        image_token_id=tokenizer.convert_tokens_to_ids('<image>'), scale_factor=MERGED, tie_word_embeddings=True,
        pad_token_id=tokenizer.pad_token_id, text_config=text, vision_config=vision,
    ))
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    model.save_pretrained(out)
    pictures = Idefics3ImageProcessor(size={'longest_edge': GRID * TILE_PX}, max_image_size={'longest_edge': TILE_PX})
    Idefics3Processor(pictures, tokenizer, image_seq_len=TOKENS_A_TILE, chat_template=TEMPLATE).save_pretrained(out)


if __name__ == '__main__':
    write_model(*sys.argv[1:])
