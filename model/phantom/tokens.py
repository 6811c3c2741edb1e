"""Text as token ids: the byte-level tokenizer of `tiny`, chat templates, and rows as ids with their answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

IMAGE_START, IMAGE_END, IMAGE_TOKEN = '<img>', '</img>', '<IMG_CONTEXT>'
TINY_SPECIALS = ('<|im_start|>', '<|im_end|>', IMAGE_START, IMAGE_END, IMAGE_TOKEN, '<pad>')


@dataclass(frozen=True, slots=True)
class Special:
    """A special token of the template; the same characters inside data stay plain text."""

    token: str


Piece = Special | str


@dataclass(frozen=True, slots=True)
class ChatTemplate:
    """What stands around a user's, an assistant's and a system's words. No BOS, no system turn of its own, nothing between turns."""

    user_start: tuple[Piece, ...]
    assistant_start: tuple[Piece, ...]
    turn_end: str
    system_start: tuple[Piece, ...]

    def start(self, role: str) -> tuple[Piece, ...]:
        """What opens the turn of a role."""
        return {'user': self.user_start, 'assistant': self.assistant_start, 'system': self.system_start}[role]


_IM_TEMPLATE = ChatTemplate(
    (Special('<|im_start|>'), 'user\n'), (Special('<|im_start|>'), 'assistant\n'), '<|im_end|>', (Special('<|im_start|>'), 'system\n')
)
TEMPLATES = {
    'qwen2': _IM_TEMPLATE,
    'qwen3': _IM_TEMPLATE,
    'internlm2': _IM_TEMPLATE,
    'phi3': ChatTemplate((Special('<|user|>'), '\n'), (Special('<|assistant|>'), '\n'), '<|end|>', (Special('<|system|>'), '\n')),
}


def needed_tokens(decoder_type: str) -> list[str]:
    """The special tokens that a decoder's prompts, answers and pictures are made with."""
    template = TEMPLATES[decoder_type]
    turns = (piece.token for piece in (*template.user_start, *template.assistant_start) if isinstance(piece, Special))
    return list(dict.fromkeys((*turns, template.turn_end, IMAGE_START, IMAGE_END, IMAGE_TOKEN)))


def make_byte_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer of 256 bytes and six specials that needs no download: byte alphabet in order, ids 0-255."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: index for index, letter in enumerate(alphabet)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in TINY_SPECIALS])
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token='<|im_end|>', pad_token='<pad>', clean_up_tokenization_spaces=False
    )


def encode_pieces(tokenizer: PreTrainedTokenizerBase, pieces: Iterable[Piece]) -> list[int]:
    """Ids of template specials and texts; neighbouring texts are joined first, as the tokenizer sees them."""
    ids: list[int] = []
    known: dict[str, int] = {}  # 1,792 image tokens a row would else be looked up one by one, in 50 us each
    text = ''
    for piece in [*pieces, None]:
        if isinstance(piece, str):
            text += piece
            continue
        if text:
            # Data may spell special tokens: they must not end a turn or claim to be an image.
            ids += tokenizer(text, add_special_tokens=False, split_special_tokens=True)['input_ids']
            text = ''
        if piece is not None:
            if piece.token not in known:
                known[piece.token] = special_id(tokenizer, piece.token)
            ids.append(known[piece.token])
    return ids


def special_id(tokenizer: PreTrainedTokenizerBase, token: str) -> int:
    """The id of a token that must be in the vocabulary."""
    index = tokenizer.convert_tokens_to_ids(token)
    if index is None or index == tokenizer.unk_token_id:
        raise ValueError(
            f'tokenizer {tokenizer.name_or_path!r}: expected the token {token!r}, found none; add it first'
        )
    return index


def image_pieces(tokens: int) -> list[Piece]:
    """The pieces that one image of `tokens` tokens becomes."""
    return [Special(IMAGE_START), *[Special(IMAGE_TOKEN)] * tokens, Special(IMAGE_END)]


def prompt_pieces(template: ChatTemplate, messages: Sequence[dict], image_tokens: Sequence[int]) -> list[Piece]:
    """Pieces of `messages` (TRL's conversational form) with the assistant's turn opened at the end."""
    pieces: list[Piece] = []
    left = list(image_tokens)
    for message in messages:
        pieces += template.start(message['role'])
        for part in message['content']:
            if part['type'] == 'image' and left:
                pieces += image_pieces(left.pop(0))
            elif part['type'] == 'image':
                raise ValueError(f'expected {len(image_tokens)} image parts, found more')
            else:
                pieces.append(part['text'])
        pieces.append(Special(template.turn_end))
    if left:
        raise ValueError(f'expected {len(image_tokens)} image parts, found {len(image_tokens) - len(left)}')
    return pieces + list(template.assistant_start)


def answer_pieces(template: ChatTemplate, messages: Sequence[dict]) -> list[Piece]:
    """Pieces of an answer and the end token: what is supervised."""
    return [part['text'] for message in messages for part in message['content']] + [Special(template.turn_end)]
