"""Whole columns of plain text at once: ASCII of which the rules of the strict and of the loose form read every byte as it stands; quotes, too.

Nearly all of a mix is such text, and text by text Python spends more on calls than on letters. What may be read as something else (an entity, a tag,
TeX, a word parted at a line's end, a letter beyond ASCII) is left to textmatch.py, text by text. One too many there costs time, one too few would
change a result: every doubt counts.
"""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_BLANK, _LINE_END = ord(' '), ord('\n')
_MARK = np.frombuffer(b'<image>', np.uint8)
# What a byte is in the loose form: a small letter or digit, all of which come behind these; a blank; or one of these, of which its neighbours decide.
_DOUBT, _HASH, _AND, _OPEN, _CLOSE, _COMMA, _HYPHEN, _POINT, _SLASH = 33, 35, 38, 40, 41, 44, 45, 46, 47
_DECIDED = {'#': _HASH, '&': _AND, '<': _OPEN, '>': _CLOSE, ',': _COMMA, '-': _HYPHEN, '.': _POINT, '/': _SLASH, '\\': _DOUBT, '~': _DOUBT}

# Signs beyond ASCII that are nothing but a blank to the loose form, whatever stands beside them; all others are left to textmatch.py.
_AS_BLANKS = tuple(sign.encode() for sign in '\u2018\u2019\u201c\u201d\u2014\u2026\u2022\u00b0\u00b7\u00d7\u00a0')


def _loose(code: int) -> int:
    char = chr(code)
    if char.isascii() and char.isalnum():
        return ord(char.lower())
    return _DECIDED.get(char, _BLANK if char.isascii() and (char.isprintable() or char.isspace()) else _DOUBT)


_LOOSE = bytes(map(_loose, range(256)))


@dataclass(frozen=True, slots=True)
class PlainUnits:
    """The units of the loose form of those of many texts that are plain, one text after the other."""

    plain: np.ndarray  # bool[texts]
    lengths: np.ndarray  # int64[texts]: how many units a plain text has, 0 of others
    distinct: list[str]
    codes: np.ndarray  # int32[units]: which of `distinct` each is
    decimal: np.ndarray  # bool[texts]: a point or a comma stands in a number


class Column:
    """Texts as bytes, a blank behind each, so that no rule reads from one into the next."""

    def __init__(self, texts: pa.StringArray) -> None:
        padded = pc.binary_join_element_wise(texts, '', ' ')
        bounds = np.frombuffer(padded.buffers()[1], np.int32)[: len(texts) + 1].astype(np.int64)
        self._starts, self._stops = bounds[:-1], bounds[1:]
        self._bytes = np.frombuffer(padded.buffers()[2], np.uint8)[: bounds[-1]] if len(texts) else np.empty(0, np.uint8)
        self._ascii = self._are_ascii(self._bytes)

    def strict(self) -> tuple[np.ndarray, np.ndarray]:
        """Return (bool[texts], bool[texts]): surely its own strict form; and whether marks of pictures stand in it."""
        of = self._bytes
        sure = self._ascii & (of[self._starts] > _BLANK) & (of[np.maximum(self._stops - 2, 0)] != _LINE_END)
        marked = np.zeros(len(sure), bool)
        told = (of < _BLANK) & (of != _LINE_END)
        told[1:] |= (of[:-1] == _BLANK) & ((of[1:] == _BLANK) | (of[1:] == _LINE_END))  # at a text's end too: a blank is behind it
        told |= of == _MARK[0]
        at = np.flatnonzero(told)
        opens = of[at] == _MARK[0]
        sure[self._texts_at(at[~opens])] = False
        marked[self._texts_at(self._marks(at[opens]))] = True
        return sure, marked

    def units(self) -> PlainUnits:
        """Return the units of those that are plain: what textmatch.units gives, marks of pictures read as blanks."""
        data = self._bytes.tobytes()
        for char in _AS_BLANKS if not self._ascii.all() else ():
            data = data.replace(char, b' ' * len(char))
        of = np.frombuffer(bytearray(data.translate(_LOOSE)), np.uint8)
        plain, decimal = self._are_ascii(np.frombuffer(data, np.uint8)), np.zeros(len(self._ascii), bool)
        self._blank(of, ~plain)
        at = np.flatnonzero((of > _BLANK) & (of <= _SLASH))
        marks = self._marks(at[of[at] == _OPEN])
        of[(marks[:, None] + np.arange(len(_MARK))).ravel()] = _BLANK
        at = at[of[at] > _BLANK]
        sign, before, after = of[at], of[at - 1], of[at + 1]  # before the first: the blank behind the last
        of_number = _is_digit(after) & np.where(sign == _HYPHEN, before <= _SLASH, _is_digit(before)) & np.isin(sign, (_HYPHEN, _POINT, _COMMA))
        doubtful = _doubtful(sign, before, after)
        of[at[~of_number]] = _BLANK
        decimal[self._texts_at(at[of_number & (sign != _HYPHEN)])] = True
        not_plain = np.zeros(len(plain), bool)
        not_plain[self._texts_at(at[doubtful])] = True
        self._blank(of, not_plain)
        return self._read(of, plain & ~not_plain, decimal)

    def _read(self, of: np.ndarray, plain: np.ndarray, decimal: np.ndarray) -> PlainUnits:
        """Return the words in bytes of which nothing but words is left: each with the blanks behind it, which saves copying them together."""
        is_word = of > _BLANK
        begins = is_word.copy()
        begins[1:] &= ~is_word[:-1]
        starts = np.flatnonzero(begins).astype(np.int32)
        lengths = np.searchsorted(starts, self._stops) - np.searchsorted(starts, self._starts)
        bounds = pa.py_buffer(np.append(starts, np.int32(len(of))))
        encoded = pa.StringArray.from_buffers(len(starts), bounds, pa.py_buffer(of)).dictionary_encode()
        return PlainUnits(plain, lengths, _words_of(encoded.dictionary), encoded.indices.to_numpy(), decimal & plain)

    def _are_ascii(self, of: np.ndarray) -> np.ndarray:
        return np.maximum.reduceat(of, self._starts) < 128 if len(self._starts) else np.empty(0, bool)

    def _blank(self, of: np.ndarray, texts: np.ndarray) -> None:
        for start, stop in zip(self._starts[texts].tolist(), self._stops[texts].tolist(), strict=True):
            of[start:stop] = _BLANK

    def _texts_at(self, places: np.ndarray) -> np.ndarray:
        """Return int64[places]: which text each byte is of."""
        return np.searchsorted(self._stops, places, 'right')

    def _marks(self, opening: np.ndarray) -> np.ndarray:
        """Return those of some places where the mark of a picture begins."""
        places = opening[opening + len(_MARK) < len(self._bytes)]  # a blank is behind the last
        return places[(self._bytes[places[:, None] + np.arange(len(_MARK))] == _MARK).all(axis=1)]


def _words_of(spelled: pa.StringArray) -> list[str]:
    """Return words without the blanks behind each; all are cut apart at once."""
    end = np.frombuffer(spelled.buffers()[1], np.int32)[len(spelled)] if len(spelled) else 0
    return str(memoryview(spelled.buffers()[2])[:end], 'ascii').split() if end else []


def _doubtful(sign: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Return bool[signs]: may begin an entity, a tag, a comment's line, or part a word at a line's end; or is in any case read as something else."""
    doubtful = (sign == _DOUBT) | (sign == _OPEN) | (sign == _CLOSE)
    doubtful |= (sign == _AND) & (_is_letter(after) | (after == _HASH))
    doubtful |= (sign == _SLASH) & (before == _SLASH) & (after == _BLANK)
    return doubtful | (sign == _HYPHEN) & _is_letter(before) & (after == _BLANK)


def _is_digit(of: np.ndarray) -> np.ndarray:
    return (of >= ord('0')) & (of <= ord('9'))


def _is_letter(of: np.ndarray) -> np.ndarray:
    return of > ord('9')
