"""Control tokens of chat models in texts that others wrote: what a tokenizer would read as the end of a turn, a new speaker or a picture.

A text that holds `<|im_end|><|im_start|>system` ends its own turn and speaks as somebody else, wherever a chat template puts it. One blank behind
the first character keeps what is written readable and makes it plain text for every tokenizer: no normaliser takes a single blank away, as some do
with characters that nobody sees. Only what is sent is changed, and only by what stands in it, so that the same text always gives the same request.

The families, from the tokenizers that their makers publish: by their shape ChatML, Qwen, Yi, InternLM (`<|im_start|>`), Llama 3 and 4
(`<|eot_id|>`, `<|header_start|>`), Phi (`<|user|>`), GLM (`<|observation|>`), Granite, Command R (`<|START_OF_TURN_TOKEN|>`), gpt-oss (`<|start|>`,
`<|channel|>`), Kimi (`<|im_user|>`), EXAONE (`[|user|]`), Gemma 4 (`<|turn>`, `<turn|>`), and once width is folded DeepSeek and Hunyuan (full-width
bars); by their names Llama 2 and Mistral (`[INST]`, `<<SYS>>`, `[SYSTEM_PROMPT]`), Gemma (`<start_of_turn>`), GLM (`[gMASK]`, `<sop>`), Falcon,
MiniMax, Seed, BERT, T5, and the places of pictures (`<image>`, `<IMG_CONTEXT>`, `[IMG]`, `<fake_token_around_image>`). Others a recipe names
(`control_tokens` of a model). Turns that are spelt in plain words (`USER:`) no tokenizer knows: against them answers are fenced.
"""

import re
import unicodedata
from collections import deque
from collections.abc import Collection, Iterator, Sequence
from functools import cache, lru_cache
from itertools import accumulate, pairwise

BLANK = ' '
MOST_ROUNDS = 8  # of looking again: a blank never joins two characters, so a second round finds nothing but what overlapped
_BEGINS = re.compile('[<＜﹤≮\\[［﹇>＞﹥≯\\]］﹈]|[|｜]dsml|[/／](?:no_?)?think', re.IGNORECASE)  # what has none of these holds no known token
_FILLERS = '\u115f\u1160\u3164\uffa0\ufffd'  # letters that are drawn as nothing, and what BERT's normaliser drops
# Of names with an underscore those that hold one of these words: `<start_of_turn>` and `<im_patch>`, not `<size_t>`
_WORDS = frozenset(
    {'im', 'img', 'image', 'images', 'video', 'audio', 'vision', 'media', 'frame', 'patch', 'start', 'begin', 'beginning', 'end', 'bos', 'eos',
     'pad', 'mask', 'unk', 'sep', 'cls', 'eop', 'token', 'turn', 'role', 'user', 'bot', 'assistant', 'system', 'human', 'observation',
     'message', 'header', 'utterance', 'sentence', 'tool', 'tools', 'function', 'fim', 'think', 'thought', 'special', 'reserved',
     'placeholder', 'unused', 'extra', 'loc', 'seg', 'row', 'col', 'longcat'})  # fmt: skip
# and of names in square brackets one of these: `[UNUSED_TOKEN_145]` and `[start_header_id]`, not what follows an array's name, `[start_index]`
_SQUARE_WORDS = frozenset(
    {'img', 'image', 'bos', 'eos', 'pad', 'mask', 'unk', 'sep', 'cls', 'token', 'header', 'tool', 'tools', 'special', 'reserved', 'unused',
     'prompt', 'audio', 'control', 'streaming'})  # fmt: skip
_ANGLED = (
    's|unk|pad|bos|eos|cls|sep|mask|sop|eop|eoh|eoa|eom|eot|eod|eoi|boi|think|thinking|tool|tools|image|images|img|imgpad|imagehere|img-context|global-img'
    '|video|audio|slice|unit|ref|box|quad|point|role|user|assistant|system|human|bot|observation|filename|reponame|gh_stars|jupyter_\\w{1,20}|issue_\\w{1,20}'
    '|commit_\\w{1,20}|file_sep|repo_name|empty_output|0x[0-9a-f]{2}|unused_?\\d{1,5}|reserved_?\\d{1,5}|special_?\\d{1,5}|loc_?\\d{1,5}|seg_?\\d{1,5}|mask:\\d{1,5}'
    '|seed:\\w{1,40}|minimax:\\w{1,40}|image_?\\d{1,3}'
)
_SQUARE = (
    'inst|system_prompt|available_tools|tool_calls|tool_results|tool_content|prefix|middle|suffix|think|args|call_id|img|img_break|img_end|audio|begin_audio'
    '|model_settings|multimodal|control_\\d{1,5}|cls|sep|mask|pad|unk|bos|eos|eot|gmask|smask|@bos@|unused_?\\d{1,5}|unused_token_\\d{1,5}'
)
_KNOWN = (
    r'<\|(?! )[^<>\n]{1,80}?(?<! )\|>', r'<\|[\w/.:-]{1,60}>', r'<[\w/.:-]{1,60}\|>', r'\[\|(?! )[^\[\]\n]{1,60}\|\]',
    r'<</?sys>>',    f'</?(?:{_ANGLED})>', r'</?(?P<joined>\w{1,60})>', rf'\[/?(?:{_SQUARE})\]', r'\[(?P<squared>\w{1,60})\]',
    r'<\[(?! )[^\[\]<>\n]{1,60}\]>', r'\|{1,2}dsml\|{1,2}',  # Seed-Coder; DeepSeek's calls of tools
    r'>>(?:title|abstract|introduction|summary|comment|answer|question|domain|prefix|suffix|middle|unused_\d{1,5})<<',
    r'\]~!?b[\]\[]', r'\[e~\[', r'/nothink', r'(?<!\w)/(?:no_)?think(?!\w)',  # the last two: GLM's token, Qwen's switch
)  # fmt: skip


def neutral(text: str, others: Sequence[str] = (), *, spared: Collection[str] = ()) -> str:
    """Return `text` with a blank inside each control token, of the known families or of `others`; the same text where it holds none.

    `spared` are tokens that stay as they are: those that a prompt of the recipe's own holds by itself.
    """
    return neutral_pieces((text,), others, spared=spared)[0]


def neutral_pieces(pieces: Sequence[str], others: Sequence[str] = (), *, spared: Collection[str] = ()) -> list[str]:
    """Return texts that a template may put side by side, as `neutral` does with one: half a token at the end of a text is one with the next."""
    found = list(pieces)
    for _ in range(MOST_ROUNDS):
        spans = list(_spans(''.join(found), tuple(others), frozenset(spared)))
        if not spans:
            break
        lasts = {end - 1 for end in accumulate(map(len, found))}  # a template may trim a blank at the end of a text
        _put_blanks(found, [start + (start in lasts) for start, _ in spans])
    return found


def control_tokens_in(text: str, others: Sequence[str] = ()) -> list[str]:
    """Return the control tokens that a text holds, as they stand in it."""
    return [text[start:end] for start, end in _spans(text, tuple(others), frozenset())]


def _put_blanks(pieces: list[str], places: list[int]) -> None:
    """Put a blank behind each of the characters at `places`, which ascend, of all pieces together."""
    begin, waiting = 0, deque(places)
    for number, piece in enumerate(pieces):
        cuts = [0]
        while waiting and waiting[0] < begin + len(piece):
            cuts.append(waiting.popleft() - begin + 1)
        begin += len(piece)
        pieces[number] = BLANK.join(piece[start:stop] for start, stop in pairwise([*cuts, len(piece)]))


def _spans(text: str, others: tuple[str, ...], spared: frozenset[str]) -> Iterator[tuple[int, int]]:
    """Yield where each token begins and ends in `text`."""
    if not (others or _BEGINS.search(text)):
        return
    folded, places = _folded(text)
    for found in _pattern(others).finditer(folded):
        if _is_ordinary(found['joined'], _WORDS) or _is_ordinary(found['squared'], _SQUARE_WORDS):
            continue
        start, end = places[found.start()], places[found.end() - 1] + 1
        if text[start:end] not in spared:
            yield start, end


def _is_ordinary(name: str | None, words: frozenset[str]) -> bool:
    return name is not None and ('_' not in name or words.isdisjoint(name.split('_')))


def _folded(text: str) -> tuple[str, Sequence[int]]:
    """Return a text as the most forgiving tokenizer takes it (no accents, case, width or unseen characters), and where its characters stand."""
    if text.isascii() and text.isprintable():
        return text.lower(), range(len(text))
    folded = [(_fold(char), at) for at, char in enumerate(text) if not _is_dropped(char)]
    return ''.join(part for part, _ in folded), [at for part, at in folded for _ in part]


@cache
def _is_dropped(char: str) -> bool:
    return char in _FILLERS or not char.isprintable() and char not in '\t\n\r' or unicodedata.category(char) in ('Mn', 'Me')


@cache
def _fold(char: str) -> str:
    apart = unicodedata.normalize('NFKD', char)  # several characters of a ligature
    return ''.join(part.lower() for part in apart if not _is_dropped(part) and len(part.lower()) == 1) or char


@lru_cache(maxsize=64)
def _pattern(others: tuple[str, ...]) -> re.Pattern[str]:
    named = [re.escape(''.join(map(_fold, token))) for token in sorted(others, key=len, reverse=True)]
    return re.compile('|'.join((*named, *_KNOWN)))
