"""What a model thought before it answered, told apart from its answer in one text.

The rule. A text holds thoughts where a model has marked them:
- it, or a line of it, begins (after blanks) with an opening mark: thoughts go on to the closing mark;
- it has a closing mark without an opening one, whose opening mark stood in the prompt: all before it are thoughts;
- it has a mark that is a token of a model's own and no word of anybody's, wherever that stands.
A mark in quotes, in backticks or in fenced code is spoken about, and so is a tag in the middle of a sentence, as long as the text has shown none of
the above. What is one JSON value as a whole is an answer. A text that ends before its thoughts do has no answer that one may rely on.
"""

import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import NamedTuple

# A tag's name, with a namespace (<seed:think> of Seed-OSS, <mm:think> of MiniMax-M3) or a suffix behind it (<think:opensource> of Hunyuan).
_NAME = r'(?:\w{1,12}:)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|analysis|reflection|scratchpad|longcat_think)(?::\w{1,20})?'
# (opening mark, closing mark, whether people write it in prose, whether a template may hold the opening one), each with who writes it.
_PAIRS = (
    (rf'<{_NAME}(?:\s[^<>]{{0,200}})?>', rf'</{_NAME}\s?>', True, True),  # DeepSeek-R1, Qwen3, GLM-4.5, Gemini's OpenAI endpoint (<thought>), LongCat
    (r'\[THINK\]', r'\[/THINK\]', False, True),  # Magistral
    ('◁think▷', '◁/think▷', False, True),  # Kimi-VL
    (r'<\|begin_of_thought\|>', r'<\|end_of_thought\|>', False, True),  # Sky-T1, OpenThinker
    (r'<\|START_THINKING\|>', r'<\|END_THINKING\|>', False, True),  # Command A Reasoning, vLLM reasoning/cohere_command
    (r'<\|inner_prefix\|>', r'<\|inner_suffix\|>', False, True),  # Apertus
    (r'<\|channel>thought', r'<channel\|>', False, True),  # Gemma 4
    (r'<unused94>(?:thought)?', '<unused95>', False, True),  # MedGemma
    (r'\[unused16\]', r'\[unused17\]', False, True),  # openPangu
    (r'<\|think\|>', r'<\|(?:/think|end)\|>', False, False),  # Solar Open
    (r"here(?:['’]s| is) my thought process:", r"here(?:['’]s| is) my response:", True, False),  # Granite 3.2, vLLM reasoning/granite
    (r'<details type="reasoning"[^<>]{0,200}>', '</details>', True, False),  # Open WebUI
)
_QUOTES = '`\'"“”‘’«»'
_BEGINNING = re.compile(r'(?:\s|\ufeff|<s>|<bos>|<\|im_start\|>(?:assistant)?)*')
# OpenAI's Harmony response format: <|start|>assistant<|channel|>analysis<|message|>...<|end|>; servers that do not know it hand it on.
_HEADER = re.compile(r'(?:<\|start\|>\s?assistant[^<]{0,200})?<\|channel\|>\s?(\w{1,20})[^<]{0,200}(?:<\|constrain\|>[^<]{0,50})?<\|message\|>'
                     r'|<\|start\|>\s?assistant<\|message\|>')
_HEADER_WORD = '<|message|>'
_END_OF_MESSAGE = re.compile(r'<\|(?:end|return|call)\|>')
_BARE_FINAL = 'assistantfinal'  # the same where the server drops special tokens
_BARE_ANALYSIS = re.compile(r'\s*(?:assistant)?analysis(?=[A-Z])')
# Marks around an answer: Hunyuan-A13B and R1-like training (<answer>), ERNIE 4.5 (<response>), Reflection (<output>).
_WRAPPED = re.compile(r'\s*<(answer|final_answer)>', re.IGNORECASE)
_WRAPPED_THINKER = re.compile(r'\s*<(answer|final_answer|response|output|solution|conclusion)>', re.IGNORECASE)
_AROUND = re.compile(  # Sky-T1, GLM-4.1V; Command; Solar Open
    r'<\|(?:begin|end)_of_(?:solution|box)\|>|<\|(?:START|END)_(?:RESPONSE|TEXT)\|>|(?:<\|begin\|>assistant)?<\|content\|>')
_ENDS = re.compile(
    r'(?:\s*(?:<\|(?:im_end|eot_id|eom_id|end|return|endoftext|end_of_text|END_OF_TURN_TOKEN)\|>|<end_of_turn>|<turn\|>|<eos>|<｜end▁of▁sentence｜>'
    r'|\[unused10\]))+\s*\Z')
ROUNDS = 8  # marks in marks that are taken off: models nest two or three
_LONGEST_ENDS = 400  # characters at the end of a text that may be such tokens


class Parted(NamedTuple):
    """A reply's text in its parts. Not `ended`: it stopped inside its thoughts, and `answer` is no answer."""

    thoughts: str
    answer: str
    ended: bool = True


def part(text: str) -> Parted:
    """Return the thoughts and the answer of a model's text. The answer is the text as it stands, without marks around all of it and end tokens.

    An answer without thoughts is parted again into itself. A text with marks in marks, ROUNDS deep, has no answer that one may rely on.
    """
    thoughts: list[str] = []
    answer = text
    for _ in range(ROUNDS):
        found = _part_once(answer, thinks=bool(thoughts))
        thoughts += [found.thoughts] if found.thoughts else []
        if found.answer == answer or not found.ended:
            return Parted(_joined(thoughts), found.answer, found.ended)
        answer = found.answer
    return Parted(_joined(thoughts), answer, ended=False)


def _part_once(text: str, *, thinks: bool) -> Parted:
    if _is_json(text):
        return Parted('', text)
    thoughts: list[str] = []
    answer, ended = text, True
    for read in _READERS:
        found = read(answer)
        if found is not None:
            thoughts.append(found.thoughts)
            answer, ended, thinks = found.answer, ended and found.ended, True
    plain = _unwrapped(answer, thinks=thinks)
    return Parted(_joined(thoughts), plain.strip() if thinks else plain, ended)


def _is_json(text: str) -> bool:
    if text.lstrip()[:1] not in ('{', '['):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _by_marks(text: str, mark: re.Pattern, in_prose: bool, in_template: bool) -> Parted | None:
    """Return the parts of `text` by one pair of marks, None if nothing in it is marked as a thought."""
    thoughts: list[str] = []
    answer: list[str] = []
    at, inside, thinks, spoken_about, in_fence = 0, False, False, False, False
    begins, last_fence = _BEGINNING.match(text).end(), text.rfind('```')  # type: ignore[union-attr]  # it matches an empty text, too
    for found in mark.finditer(text):
        piece, opens = text[at:found.start()], found['open'] is not None
        at = found.end()
        if inside:
            thoughts.append(piece)
            inside = opens  # a second opening mark opens nothing more
            continue
        in_fence ^= piece.count('```') % 2 == 1
        if in_fence and found.start() < last_fence or _is_quoted(text, found):
            answer += [piece, found[0]]
        elif opens and (thinks or not in_prose or found.start() <= begins or in_template and _begins_a_line(text, found)):
            answer.append(piece if found.start() > begins else '')
            inside = thinks = True
        elif opens or spoken_about or not in_template:
            spoken_about = opens
            answer += [piece, found[0]]
        else:  # what looked like an answer was thought, too
            thoughts += [*answer, piece]
            answer, thinks, in_fence = [], True, False
    if not thinks:
        return None
    (thoughts if inside else answer).append(text[at:])
    return Parted(_joined(thoughts), ''.join(answer), not inside)


def _joined(pieces: Iterable[str]) -> str:
    return '\n\n'.join(piece for piece in (piece.strip() for piece in pieces) if piece)


def _is_quoted(text: str, mark: re.Match) -> bool:
    before, after = text[mark.start() - 1:mark.start()], text[mark.end():mark.end() + 1]
    return bool(before) and bool(after) and before in _QUOTES and after in _QUOTES


def _begins_a_line(text: str, mark: re.Match) -> bool:
    """Return whether nothing but a few blanks stands before the mark in its line."""
    _, end, blanks = text[max(0, mark.start() - 9):mark.start()].rpartition('\n')
    return bool(end) and not blanks.strip()


def _by_stages(text: str) -> Parted | None:
    """Return the parts of a text in the stages of LLaVA-CoT: <SUMMARY>, <CAPTION> and <REASONING> are thoughts, <CONCLUSION> is the answer."""
    if not text.lstrip().startswith('<SUMMARY>'):
        return None
    thoughts, conclusion, answer = text.rpartition('<CONCLUSION>')
    return Parted(thoughts, answer.strip().removesuffix('</CONCLUSION>')) if conclusion else Parted(text, '', ended=False)


def _by_harmony(text: str) -> Parted | None:
    """Return the parts of a text in the Harmony format: the last `final` message is the answer, all others are thoughts."""
    if _HEADER_WORD not in text:
        return None
    headers = [header for header in _HEADER.finditer(text) if not _is_quoted(text, header) and text[header.start() - 1:header.start()] != '`']
    if not headers or text[:headers[0].start()].count('```') % 2:
        return None
    thoughts, finals = [text[:headers[0].start()]], list[str]()
    for number, header in enumerate(headers):
        end = headers[number + 1].start() if number + 1 < len(headers) else len(text)
        body, *rest = _END_OF_MESSAGE.split(text[header.end():end], maxsplit=1)
        (finals if header[1] in ('final', None) else thoughts).append(body)
        thoughts += rest
    said = _joined(_END_OF_MESSAGE.sub('', thought) for thought in thoughts)
    return Parted(said, next((final for final in reversed(finals) if final.strip()), ''), bool(finals))


def _by_bare_harmony(text: str) -> Parted | None:
    """Return the parts of a text in the Harmony format whose special tokens the server dropped: analysisWe need ...assistantfinalBlue."""
    opening = _BARE_ANALYSIS.match(text)
    thoughts, final, answer = text.rpartition(_BARE_FINAL)
    if final and (opening or not thoughts[-1:].isspace() and thoughts[-1:] not in (*_QUOTES,)):  # not a word of a sentence
        return Parted(thoughts[opening.end() if opening else 0:], answer)
    return Parted(text[opening.end():], '', ended=False) if opening else None


def _unwrapped(answer: str, *, thinks: bool) -> str:
    """Return the answer without the marks that models put around it and without tokens that end a turn."""
    tail = answer[-_LONGEST_ENDS:]
    answer = answer[:len(answer) - len(tail)] + _ENDS.sub('', tail)
    answer = _AROUND.sub('', answer)
    wrapped = (_WRAPPED_THINKER if thinks else _WRAPPED).match(answer)
    if wrapped is None:
        return answer
    inner, closing, rest = answer[wrapped.end():].partition(f'</{wrapped[1]}>')
    return answer if rest.strip() else inner.strip()


def _reader(opening: str, closing: str, in_prose: bool, in_template: bool) -> Callable[[str], Parted | None]:
    mark = re.compile(f'(?P<open>{opening})|(?P<close>{closing})', re.IGNORECASE)
    return partial(_by_marks, mark=mark, in_prose=in_prose, in_template=in_template)


_READERS = (_by_stages, _by_harmony, *(_reader(*pair) for pair in _PAIRS), _by_bare_harmony)
