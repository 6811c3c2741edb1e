"""The file of labels as it comes back from a spreadsheet: read where it can be read in one way only, else named for what it is."""

import csv
import io
import re
import sys
import zipfile
from pathlib import Path

from curation.calibration.audit import LABELS
from schemas.errors import UserError
from schemas.regular import read_regular

MOST_BYTES = 200_000_000  # of a file of labels, which is read whole
NEEDED = ('snapshot', 'id', 'label')
SEPARATORS = {',': 'commas', ';': 'semicolons', '\t': 'tabs', '|': 'bars'}
SAVE_AS_CSV = 'save it as CSV with commas, in UTF-8 (Excel: "CSV UTF-8 (Comma delimited)"; LibreOffice: Text CSV, "Edit filter settings")'
# How files begin that are no text: Excel before 2007, PDF, gzip.
BEGINNINGS = ((b'\xd0\xcf\x11\xe0', 'an Excel workbook of the old form (.xls)'), (b'%PDF', 'a PDF'), (b'\x1f\x8b', 'a file packed by gzip'))
AS_NUMBER = re.compile(r'\d+[.,]\d+E[+-]?\d+|\d+E\+\d+', re.IGNORECASE)  # what spreadsheets make of digits with an e among them


def read_labels(path: Path, short: str) -> list[dict[str, str]]:
    """Return the rows of a file of labels, each with snapshot, id and label ('': none); raises UserError with every line that cannot be used.

    Another separator or encoding is told, and read, since ids and labels are plain letters in all of them.
    """
    text, encoding = _text_of(path)
    separator, table = _table(path, text)
    unusual = [SEPARATORS[separator]] * (separator != ',') + [encoding] * (encoding != 'UTF-8')
    if unusual:
        print(f'{path}: read with {" and ".join(unusual)}, expected commas and UTF-8', file=sys.stderr)
    rows = [(number, {name: _plain(row.get(name)) for name in NEEDED}) for number, row in table]
    faults: list[str] = []
    seen: set[str] = set()
    for number, row in rows:
        row['label'] = row['label'].casefold()
        faults += [f'line {number}: {fault}' for fault in _faults(row, short, seen)]
        seen.add(row['id'])
    if faults:
        raise UserError('\n'.join(f'{path}: {fault}' for fault in faults[:10]) + (f'\n... {len(faults) - 10} more' if len(faults) > 10 else ''))
    return [row for _, row in rows]


def _faults(row: dict[str, str], short: str, seen: set[str]) -> list[str]:
    faults = []
    if row['label'] and row['label'] not in LABELS:
        faults.append(f'expected one of {", ".join(LABELS)}, found {row["label"][:40]!r}')
    damaged = [name for name in ('snapshot', 'id') if AS_NUMBER.fullmatch(row[name])]
    if damaged:
        return [*faults, f'expected the {damaged[0]} as it was written, found the number {row[damaged[0]][:40]!r}: the spreadsheet took it for one; '
                         'open labels.csv anew with that column as text, and copy the labels over']  # fmt: skip
    if row['snapshot'] != short:
        faults.append(f'expected a row of snapshot {short}, found {row["snapshot"][:40]!r}')
    if row['id'] in seen:
        faults.append(f'expected each id once, found {row["id"]!r} again')
    return faults


def _text_of(path: Path) -> tuple[str, str]:
    """Return the text of a file and its encoding in words; raises UserError for what is no text."""
    try:
        data = read_regular(path, MOST_BYTES)
    except OSError as e:
        raise UserError(f'{path}: expected a CSV file, found: {e.strerror or e}') from e
    except ValueError as e:
        raise UserError(f'{path}: expected a CSV file, found: {e}') from e
    if found := _other_form(data):
        raise UserError(f'{path}: expected a CSV file, found {found}')
    if data.startswith((b'\xff\xfe', b'\xfe\xff')):
        return data.decode('utf-16', 'replace'), 'UTF-16'
    if b'\0' in data[:1000]:
        raise UserError(f'{path}: expected UTF-8, found zero bytes: UTF-16 without its mark at the beginning? {SAVE_AS_CSV}')
    try:
        return data.decode('utf-8-sig'), 'UTF-8'
    except UnicodeDecodeError:
        return data.decode('latin-1'), 'another encoding (Windows-1252?)'  # what is read of it is ASCII, which all of them spell alike


def _other_form(data: bytes) -> str:
    """Return what a file is that is no CSV, and what to do; '' for what may be one."""
    if data.startswith(b'PK'):
        return f'{_spreadsheet(data)}: {SAVE_AS_CSV}'
    for beginning, name in BEGINNINGS:
        if data.startswith(beginning):
            return f'{name}: {SAVE_AS_CSV}'
    start = data.removeprefix(b'\xef\xbb\xbf').lstrip()[:200].lower()
    if start.startswith((b'<!doctype', b'<html', b'<?xml', b'<table', b'<meta')):
        return 'a web page; the labels are in the file that its button "save" wrote, labels.csv'
    if start[:1] in (b'{', b'['):
        return f'JSON: {SAVE_AS_CSV}'
    return '' if start else 'nothing in it'


def _spreadsheet(data: bytes) -> str:
    try:
        names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    except (zipfile.BadZipFile, OSError, ValueError):
        names = []
    if any(name.startswith('xl/') for name in names):
        return 'an Excel workbook (.xlsx)'
    if any(name.endswith('.iwa') for name in names) or 'Index.zip' in names:
        return 'a Numbers document'
    return 'an OpenDocument spreadsheet (.ods)' if 'content.xml' in names else 'a zip archive'


def _table(path: Path, text: str) -> tuple[str, list[tuple[int, dict[str, str]]]]:
    """Return the separator under which the columns are there, and the rows that hold anything, each with the number of its line."""
    first, _, rest = text.partition('\n')
    skipped = 1 if re.fullmatch(r'"?sep=.?"?\s*', first, re.IGNORECASE) else 0  # Excel's own note
    lines = io.StringIO(rest if skipped else text, newline='')
    csv.field_size_limit(2**31 - 1)  # a question may be longer than the library's 128 KB
    names: list[str] = []
    for separator in SEPARATORS:
        lines.seek(0)
        reader = csv.reader(lines, delimiter=separator)
        try:
            header = [name.strip().strip('"\'').casefold() for name in next(reader, [])]
            if twice := [name for name in NEEDED if header.count(name) > 1]:
                raise UserError(f'{path}: expected one column {twice[0]}, found {header.count(twice[0])}; delete the others')
            if set(NEEDED) <= set(header):
                rows = [(reader.line_num + skipped, dict(zip(header, cells))) for cells in reader if any(cell.strip() for cell in cells)]
                return separator, rows
        except csv.Error as e:
            raise UserError(f'{path}: line {reader.line_num + skipped}: expected a row of CSV, found: {e}; {SAVE_AS_CSV}') from e
        names = max(names, header, key=len)
    missing = [name for name in NEEDED if name not in names]
    raise UserError('\n'.join(f'{path}: expected a column {name}, found {names[:10]}; {SAVE_AS_CSV}' for name in missing))


def _plain(cell: str | None) -> str:
    """Return a cell without what spreadsheets put around a text: blanks, quotes, ="..." and a leading apostrophe."""
    text = (cell or '').replace('\ufeff', '').strip()
    text = text[1:] if text.startswith('="') else text
    return text.strip('"\'\u2018\u2019\u201c\u201d').strip()
