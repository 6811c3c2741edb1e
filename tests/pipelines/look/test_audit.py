"""The page to label by hand, the CSV, and the way back."""

import csv
import io
import json
import os
import zipfile

import pytest

from pipelines.look.audit import print_audit, read_audit, write_audit
from schemas.errors import UserError
from tests.pipelines.look.browser import Browser
from tests.pipelines.snapshot.sealed import picture, rejection, sample, says, seal_rows, triple

HOSTILE = '=HYPERLINK("http://x")<script>document.title = "broken in"</script>{{ 7*7 }}{% if x %}'


@pytest.fixture
def folder(tmp_path):
    """30 accepted (one hostile, one with a picture), 20 refused by the judge, 5 that were never judged."""
    mix = [sample(i) for i in range(60)]
    sealed = seal_rows(tmp_path / 'mix', 'mix', mix)
    kept = [triple(0, images=[picture('red')]), triple(1, rejected=[says('assistant', HOSTILE)]), *(triple(i) for i in range(2, 30))]
    refused = [rejection(i, 'LOW_MARGIN', question=f'Q{i}?', chosen='a', rejected=f'refused {i}', score=-1.0, sample_id=mix[i]['sample_id']) for i in range(30, 50)]
    unjudged = [rejection(i, reason, chosen='a') for i, reason in zip(range(50, 53), ('NO_NEGATIVE', 'GIVEN_UP', 'SURPLUS'))]
    return seal_rows(tmp_path / 'triples', 'triples', kept, refused + unjudged + [rejection(55, 'OVER_QUOTA', unit='sample')],
                     parent=json.loads((sealed / 'manifest.json').read_text())['snapshot_id'])


def rows_of(path):
    with open(path, encoding='utf-8', newline='') as file:
        return list(csv.DictReader(file))


def labelled(folder, rows, label_of):
    path = folder / 'mine.csv'
    with open(path, 'w', encoding='utf-8', newline='') as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows({**row, 'label': label_of(row)} for row in rows)
    return path


def test_the_sample_holds_both_sides_and_tells_nothing_of_the_judge(folder, tmp_path):
    assert write_audit(folder, 20, tmp_path / 'audit') == 20
    rows, page = rows_of(tmp_path / 'audit/labels.csv'), (tmp_path / 'audit/audit.html').read_text()
    sides = [row['candidate'].startswith('refused') for row in rows]
    assert 7 <= sum(sides) <= 13
    assert sides != sorted(sides) != sides[::-1]
    assert {row['label'] for row in rows} == {''}
    assert len({row['id'] for row in rows}) == 20
    assert 'LOW_MARGIN' not in page
    assert '-1.0' not in page
    assert all(row['question'].startswith('Question number') for row in rows)


def test_hostile_text_is_text_in_the_page_and_in_a_spreadsheet(folder, tmp_path):
    write_audit(folder, 100, tmp_path / 'audit')
    page = (tmp_path / 'audit/audit.html').read_text()
    assert '<script>document' not in page
    assert '&lt;script&gt;document' in page
    assert '&lt;/script&gt;{{ 7*7 }}{% if x %}</div>' in page
    assert page.count('<section') == 50
    assert 'data:image/png;base64,' in page
    assert next(row for row in rows_of(tmp_path / 'audit/labels.csv') if 'HYPERLINK' in row['candidate'])['candidate'] == "'" + HOSTILE


def test_labels_come_back_as_precision_and_recall(folder, tmp_path, capsys):
    """All 50 labelled: 24 of 30 accepted good (0.8), 5 of 20 refused good; recall 24 / 29."""
    write_audit(folder, 50, tmp_path / 'audit')
    rows = rows_of(tmp_path / 'audit/labels.csv')
    good = {row['id'] for row in [r for r in rows if not r['candidate'].startswith('refused')][:24] + [r for r in rows if r['candidate'].startswith('refused')][:5]}
    path = labelled(tmp_path, rows, lambda row: 'good' if row['id'] in good else 'rejected-is-right')
    found, unlabelled = read_audit(folder, path)
    assert [line.source for line in found] == ['shapes', '(all)']
    assert (found[0].accepted, found[0].refused, unlabelled) == (30, 20, 0)
    assert (found[0].precision.value, found[0].lost.value) == (0.8, 0.25)
    assert found[0].recall.value == pytest.approx(24 / 29)
    print_audit(found, unlabelled, tmp_path / 'audit.json')
    assert '80% (63%-90%)' in capsys.readouterr().out
    assert json.loads((tmp_path / 'audit.json').read_text())['sources'][0]['precision']['n'] == 30


def test_rows_without_a_label_are_counted_and_left_out(folder, tmp_path):
    write_audit(folder, 10, tmp_path / 'audit')
    rows = rows_of(tmp_path / 'audit/labels.csv')
    found, unlabelled = read_audit(folder, labelled(tmp_path, rows, lambda row: 'good' if row is rows[0] else ''))
    assert unlabelled == 9
    assert found[-1].precision.n + found[-1].lost.n == 1


def test_unusable_labels_are_told_with_their_line(folder, tmp_path):
    write_audit(folder, 3, tmp_path / 'audit')
    rows = rows_of(tmp_path / 'audit/labels.csv')
    for change, told in (({'label': 'yes'}, "line 2: expected one of good, .* found 'yes'"), ({'snapshot': 'other'}, 'line 2: expected a row of snapshot'),
                         ({'id': rows[1]['id'], 'label': 'good'}, 'line 3: expected each id once'), ({'id': 'nobody', 'label': 'good'}, 'judged candidates')):
        with pytest.raises(UserError, match=told):
            read_audit(folder, labelled(tmp_path, [{**rows[0], **change}, *rows[1:]], lambda row: row['label']))
    with pytest.raises(UserError, match='expected labels, found none'):
        read_audit(folder, tmp_path / 'audit/labels.csv')
    (tmp_path / 'x.csv').write_text('a,b\n1,2\n')
    with pytest.raises(UserError, match='expected a column snapshot'):
        read_audit(folder, tmp_path / 'x.csv')


def saved(tmp_path, rows, *, separator=',', encoding='utf-8', label='good', first='', end='\r\n'):
    """Write `rows` as a spreadsheet of some country saves them."""
    path = tmp_path / 'saved.csv'
    with open(path, 'w', newline='', encoding=encoding, errors='replace') as file:
        file.write(first)
        writer = csv.DictWriter(file, rows[0].keys(), delimiter=separator, lineterminator=end)
        writer.writeheader()
        writer.writerows({**row, 'question': 'Où est «là»?', 'label': label} for row in rows)
    return path


@pytest.mark.parametrize(('how', 'told'), [
    ({}, ''), ({'encoding': 'utf-8-sig'}, ''), ({'label': ' good '}, ''), ({'label': 'Good'}, ''), ({'label': '"GOOD"'}, ''), ({'label': "'good"}, ''), ({'label': '="good"'}, ''),
    ({'separator': ';'}, 'read with semicolons, expected commas and UTF-8'), ({'separator': '\t', 'encoding': 'utf-16'}, 'read with tabs and UTF-16, expected'),
    ({'separator': ';', 'encoding': 'cp1252', 'first': 'sep=;\r\n'}, 'read with semicolons and another encoding (Windows-1252?), expected'),
    ({'separator': '\t'}, 'read with tabs'), ({'end': '\r'}, ''), ({'end': '\n', 'first': '\ufeff'}, '')])  # fmt: skip
def test_what_spreadsheets_of_other_countries_make_of_the_file_is_read_and_told(folder, tmp_path, capsys, how, told):
    write_audit(folder, 5, tmp_path / 'audit')
    found, unlabelled = read_audit(folder, saved(tmp_path, rows_of(tmp_path / 'audit/labels.csv'), **how))
    assert (unlabelled, found[-1].precision.n + found[-1].lost.n) == (0, 5)
    err = capsys.readouterr().err
    assert told in err if told else err == ''


def zipped(*names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w') as archive:
        for name in names:
            archive.writestr(name, 'x')
    return out.getvalue()


@pytest.mark.parametrize(('data', 'told'), [
    (zipped('[Content_Types].xml', 'xl/workbook.xml'), r'an Excel workbook \(.xlsx\): save it as CSV with commas, in UTF-8'), (zipped('Index/Document.iwa'), 'a Numbers document'),
    (zipped('mimetype', 'content.xml'), 'an OpenDocument spreadsheet'), (zipped('x'), 'a zip archive'), (b'PK\x03\x04torn', 'a zip archive'),
    (b'\xd0\xcf\x11\xe0\xa1\xb1', 'an Excel workbook of the old form'), (b'\n <!DOCTYPE html><html>', 'a web page; the labels are in'), (b'', 'found nothing in it'), (b'[{"id": 1}]', 'JSON'),
    (b'%PDF-1.7', 'a PDF'), ('snapshot,id,label'.encode('utf-16-le'), 'UTF-16 without its mark'), (b'id,label\n1,good\n', r"expected a column snapshot, found \['id', 'label'\]"),
    (b'snapshot id label\n', 'expected a column'), (b'snapshot,id,label,label\n', 'expected one column label, found 2'), (b'\x00' * 50, 'zero bytes'), (b'snapshot,id,label\n"open', 'expected a row of snapshot'), (b'\xff\xfe', 'expected a column')])  # fmt: skip
def test_what_is_no_table_of_labels_is_named_for_what_it_is(folder, tmp_path, data, told):
    (tmp_path / 'x.csv').write_bytes(data)
    with pytest.raises(UserError, match=told):
        read_audit(folder, tmp_path / 'x.csv')
    for path in (tmp_path, tmp_path / 'none.csv'):
        with pytest.raises(UserError, match='expected a CSV file, found: '):
            read_audit(folder, path)


def test_what_a_spreadsheet_does_to_ids_is_named(folder, tmp_path):
    write_audit(folder, 3, tmp_path / 'audit')
    rows = rows_of(tmp_path / 'audit/labels.csv')
    for name, damaged in (('id', '1.23E+15'), ('id', '4,2e17'), ('snapshot', '1E+11')):
        with pytest.raises(UserError, match=f'line 2: expected the {name} as it was written, found the number .*{damaged[:3]}.*: the spreadsheet took it for one'):
            read_audit(folder, saved(tmp_path, [{**rows[0], name: damaged}, *rows[1:]]))
    found, _ = read_audit(folder, saved(tmp_path, [{**row, 'id': f"'{row['id']}", 'snapshot': f'="{row["snapshot"]}"'} for row in rows]))
    assert found[-1].precision.n + found[-1].lost.n == 3
    blank = dict.fromkeys(rows[0], '')
    path = saved(tmp_path, rows)
    path.write_text(path.read_text() + ','.join(blank.values()) + '\r\n\r\n')
    assert read_audit(folder, path)[1] == 0


def test_a_folder_with_labels_is_never_written_over_and_a_mix_has_no_judge(folder, tmp_path):
    write_audit(folder, 3, tmp_path / 'audit')
    with pytest.raises(UserError, match='holds something'):
        write_audit(folder, 3, tmp_path / 'audit')
    with pytest.raises(UserError, match='expected kind triples, found mix'):
        write_audit(folder.parent / 'mix', 3, tmp_path / 'other')


@pytest.mark.integration
def test_a_person_labels_by_keys_in_a_browser(folder, tmp_path):
    write_audit(folder, 6, tmp_path / 'audit')
    with Browser(tmp_path / 'profile') as browser:
        browser.open((tmp_path / 'audit/audit.html').as_uri())
        for key in '121':
            browser.press(key)
        browser.wait('return document.getElementById("done").textContent === "3 of 6 labelled"')
        browser.run('localStorage.setItem(kept, JSON.stringify({ ...read(), [items[5].dataset.id]: "unsure" }))')  # as another window does
        browser.press('1')
        browser.wait('return document.getElementById("done").textContent === "5 of 6 labelled"')
        browser.run('const held = read(); delete held[items[5].dataset.id]; delete held[items[3].dataset.id]; localStorage.setItem(kept, JSON.stringify(held))')

        def opened_again() -> bool:  # Chromium hands what a page stored to the next one a moment later
            browser.open((tmp_path / 'audit/audit.html').as_uri())
            return browser.run('return document.getElementById("done").textContent') == '3 of 6 labelled'

        browser.until(opened_again)
        (tmp_path / 'labels.csv').write_text(browser.run('return csv()'), newline='')
        assert browser.complaints() == []
    found, unlabelled = read_audit(folder, tmp_path / 'labels.csv')
    assert (unlabelled, found[-1].precision.n + found[-1].lost.n) == (3, 3)


def test_labels_in_a_fifo_are_not_waited_for(folder, tmp_path):
    os.mkfifo(tmp_path / 'labels.csv')
    with pytest.raises(UserError, match='labels.csv: expected a CSV file, found: a FIFO, not a file'):
        read_audit(folder, tmp_path / 'labels.csv')
