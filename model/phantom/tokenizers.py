"""The tokenizer of a folder, without running its code: as transformers reads it, or from its sentencepiece model (InternLM2, Phi-3)."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from google.protobuf.message import DecodeError
from google.protobuf.runtime_version import VersionError
from huggingface_hub.errors import StrictDataclassError
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers
from tokenizers.models import BPE
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import generate_merges

from schemas.errors import UserError
from schemas.regular import read_regular

try:
    from sentencepiece import sentencepiece_model_pb2 as pieces
except VersionError:  # sentencepiece 0.2.3 wants protobuf 7, which Beam does not allow; this is an older copy of the same file
    from transformers.utils import sentencepiece_model_pb2_new as pieces

MODEL, FAST, CONFIG, ADDED = 'tokenizer.model', 'tokenizer.json', 'tokenizer_config.json', 'added_tokens.json'
MODEL_BYTES, JSON_BYTES = 64 << 20, 16 << 20  # InternLM2's model has 1.5 MB
MOST_ADDED = 10_000
# Unused pieces of InternLM2's model that its chat uses, where no file beside it says so (the chat format in InternLM/InternLM).
CHAT_PIECES = {
    '[UNUSED_TOKEN_146]': '<|im_start|>',
    '[UNUSED_TOKEN_145]': '<|im_end|>',
    '[UNUSED_TOKEN_144]': '<|action_start|>',
    '[UNUSED_TOKEN_143]': '<|action_end|>',
    '[UNUSED_TOKEN_142]': '<|interpreter|>',
    '[UNUSED_TOKEN_141]': '<|plugin|>',
}
SPECIAL_NAMES = ('bos_token', 'eos_token', 'unk_token', 'pad_token')
CONTROL = (pieces.ModelProto.SentencePiece.CONTROL, pieces.ModelProto.SentencePiece.UNKNOWN)
USER_DEFINED, BYTE = pieces.ModelProto.SentencePiece.USER_DEFINED, pieces.ModelProto.SentencePiece.BYTE


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The folder's tokenizer, with a padding token; raises UserError, OSError or ValueError."""
    try:
        tokenizer = read_tokenizer(folder)
    except Exception as e:
        if type(e) is not Exception:
            raise
        raise ValueError(f'tokenizer files do not read ({e})') from e  # the library `tokenizers` says it by nothing more special
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def read_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The same as it is stored; raises Exception, too."""
    about = read_json(folder / CONFIG) if (folder / CONFIG).is_file() else {}
    if (folder / MODEL).is_file() and not (folder / FAST).is_file():
        tokenizer = piece_tokenizer(folder, about)
    else:
        try:
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        except ValueError as e:
            if 'trust_remote_code' not in str(e):
                raise
            if not (folder / FAST).is_file():
                raise UserError(
                    f'weights {folder}: expected a saved model, found one whose tokenizer is code of its own, which is never run; '
                    'save its tokenizer as tokenizer.json, and take auto_map out of tokenizer_config.json'
                ) from e
            tokenizer = with_names(Tokenizer.from_file(str(folder / FAST)), about, {})
        except (StrictDataclassError, ArithmeticError, AttributeError, LookupError, TypeError) as e:  # of config.json, which it reads, too
            raise ValueError(f'config.json or tokenizer files do not read ({e})') from e
    return tokenizer


def piece_tokenizer(folder: Path, about: dict[str, Any]) -> PreTrainedTokenizerFast:
    """The tokenizer of a tokenizer.model: the ids of sentencepiece, so those of InternLM2's own code (tokenization_internlm2_fast.py).

    Tokens that were added later have the ids that tokenizer_config.json or added_tokens.json gives them.
    """
    try:
        proto = pieces.ModelProto.FromString(read_regular(folder / MODEL, MODEL_BYTES))
    except (OSError, ValueError, DecodeError) as e:
        raise UserError(f'weights {folder / MODEL}: expected a sentencepiece model, found a fault ({" ".join(str(e).split())}); copy it again') from e
    if proto.trainer_spec.model_type != pieces.TrainerSpec.BPE or not proto.pieces:
        raise UserError(f'weights {folder / MODEL}: expected pair merges (BPE) as InternLM2 and Phi-3 have them, found another kind; copy it again')
    added = added_tokens(folder, about, [piece.piece for piece in proto.pieces])
    names = [added.get(index, piece.piece) for index, piece in enumerate(proto.pieces)]
    core = Tokenizer(pair_merges(proto, names, added))
    core.normalizer = normalizers.Sequence(list(normalising(proto)))
    strip = [decoders.Strip(' ', 1, 0)] if proto.normalizer_spec.add_dummy_prefix else []
    core.decoder = decoders.Sequence([decoders.Replace('▁', ' '), decoders.ByteFallback(), decoders.Fuse(), *strip])
    kinds = list(zip(names, (piece.type for piece in proto.pieces), strict=True))
    core.add_tokens([AddedToken(name, normalized=False) for name, kind in kinds if kind == USER_DEFINED and name not in added.values()])
    control = [name for name, kind in kinds if kind in CONTROL]
    core.add_special_tokens([AddedToken(name, normalized=False, special=True) for name in [*control, *(added[index] for index in sorted(added))]])
    if wrong := [index for index, name in added.items() if core.token_to_id(name) != index]:
        told = f'expected added tokens to follow the {len(names):,} pieces without a gap'
        raise UserError(f'weights {folder}: {told}, found id {min(wrong)}; copy {CONFIG}')
    usual = {'bos_token': '<s>', 'eos_token': '</s>', 'unk_token': names[proto.trainer_spec.unk_id], 'pad_token': '</s>'}  # InternLM2Tokenizer's
    return with_names(core, about, usual)


def with_names(core: Tokenizer, about: dict[str, Any], usual: dict[str, str]) -> PreTrainedTokenizerFast:
    """The tokenizer for transformers, its special tokens named as tokenizer_config.json says, else as `usual`."""
    said = {name: text for name in SPECIAL_NAMES if (text := token_text(about.get(name)))}
    special = {name: text for name, text in {**usual, **said}.items() if core.token_to_id(text) is not None}
    return PreTrainedTokenizerFast(tokenizer_object=core, clean_up_tokenization_spaces=False, **special)


def pair_merges(proto: Any, names: list[str], added: dict[int, str]) -> BPE:
    """The model of pairs to merge, best score first; what is not text (control, bytes, added tokens) is never merged into."""
    apart = {name for name, piece in zip(names, proto.pieces, strict=True) if piece.type in (*CONTROL, USER_DEFINED, BYTE)} | {*added.values()}
    vocab = {name: index for index, name in enumerate(names)}
    scores = {name: piece.score for name, piece in zip(names, proto.pieces, strict=True)}
    merges = generate_merges(vocab, scores, apart)
    unknown = names[proto.trainer_spec.unk_id]
    return BPE(vocab, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True)


def normalising(proto: Any) -> Iterable[normalizers.Normalizer]:
    """What the sentencepiece model does to a text before it looks for pieces."""
    spec = proto.normalizer_spec
    if spec.precompiled_charsmap:
        yield normalizers.Precompiled(spec.precompiled_charsmap)
    if spec.remove_extra_whitespaces:
        yield normalizers.Strip()
        yield normalizers.Replace(Regex(' {2,}'), ' ')
    if spec.add_dummy_prefix:
        yield normalizers.Prepend('▁')
    yield normalizers.Replace(' ', '▁')


def added_tokens(folder: Path, about: dict[str, Any], known: list[str]) -> dict[int, str]:
    """Id -> text of the tokens that a folder adds to the pieces `known`, or puts in their place; raises UserError."""
    told = about.get('added_tokens_decoder')
    if told is None and (folder / ADDED).is_file():
        told = {index: name for name, index in read_json(folder / ADDED).items()}
    if told is None:
        return {known.index(piece): name for piece, name in CHAT_PIECES.items() if piece in known}
    try:
        added = {int(index): token_text(token) for index, token in told.items()}
    except (AttributeError, TypeError, ValueError) as e:
        raise UserError(f'weights {folder / CONFIG}: expected ids and tokens under added_tokens_decoder, found a fault ({e}); copy it again') from e
    if not all(0 <= index < len(known) + MOST_ADDED and text for index, text in added.items()) or len({*added.values()}) < len(added):
        raise UserError(f'weights {folder / CONFIG}: expected an id and a text for each added token, each once, found others; copy it again')
    return {index: str(text) for index, text in added.items()}


def token_text(token: Any) -> str | None:
    """The text of a token as these files hold it: a string, or an object with `content`."""
    text = token.get('content') if isinstance(token, dict) else token
    return text if isinstance(text, str) else None


def read_json(file: Path) -> dict[str, Any]:
    """A small JSON object; raises UserError."""
    try:
        value = json.loads(read_regular(file, JSON_BYTES))
    except (OSError, ValueError, RecursionError) as e:
        raise UserError(f'{file}: expected JSON, found a fault ({e}); copy it again') from e
    if not isinstance(value, dict):
        raise UserError(f'{file}: expected a JSON object, found {type(value).__name__}; copy it again')
    return value
