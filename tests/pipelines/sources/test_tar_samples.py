"""WebDataset tars as people make them: by one tool or another, on a Mac, sorted by extension."""

import io
import json
import tarfile

import pytest

from curation.rows.formats import Conversation, read_record
from curation.rows.webdataset import HIDDEN, NO_PICTURE
from pipelines.sources.containers import Malformed, chunks, rows
from pipelines.sources.peek import peek
from schemas.recipe import Source
from schemas.records import as_content

TALK = json.dumps({'conversations': [{'from': 'human', 'value': '<image>\nWhat?'}, {'from': 'gpt', 'value': 'This.'}]}).encode()
SOURCE = Source.model_validate({'format': 'webdataset', 'licence': 'MIT', 'annotations': ['a.tar']})


def write(path, *members, encoding='utf-8', format=tarfile.GNU_FORMAT):
    with tarfile.open(path, 'w', format=format, encoding=encoding) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def read(root):
    found = [row for chunk in chunks('s', root, 'a.tar', root / 'index') for _, row in rows(chunk, root)]
    assert [row for chunk in chunks('s', root, 'a.tar') for _, row in rows(chunk, root)] == found
    assert peek('s', root, ['a.tar'], 400).looks[0].rows == found
    return found


@pytest.mark.parametrize('order', ['json first', 'in turns'])
def test_a_key_that_comes_back_makes_none_of_its_parts_a_sample(tmp_path, order):
    members = [('1.jpg', b'x'), ('2.jpg', b'y'), ('1.json', TALK), ('2.json', TALK)] if order == 'json first' else [('1.jpg', b'x'), ('2.jpg', b'y'), ('2.json', TALK), ('1.json', TALK)]
    write(tmp_path / 'a.tar', *members, ('3.jpg', b'z'), ('3.json', TALK))
    *found, good = read(tmp_path)
    torn = [row for row in found if isinstance(row, Malformed)]
    assert len(torn) == (4 if order == 'json first' else 2)
    assert torn[0].found == "no sample of a tar: members of '1' stand in several places of the archive; pack it again in the order of names: tar --sort=name -cf"
    assert [row['__key__'] for row in found if isinstance(row, dict)] == ([] if order == 'json first' else ['2'])
    assert isinstance(read_record(good, SOURCE), Conversation)


def test_a_sample_without_a_picture_is_marked_where_others_have_one(tmp_path):
    write(tmp_path / 'a.tar', ('1.JPG', b'x'), ('1.Json', TALK), ('2.json', TALK), ('3.avif', b'x'), ('3.json', TALK))
    assert [NO_PICTURE in row for row in read(tmp_path)] == [False, True, False]
    write(tmp_path / 'a.tar', ('1.json', TALK), ('2.json', TALK))
    assert [NO_PICTURE in row for row in read(tmp_path)] == [False, False]


def test_hidden_members_are_passed_over_and_counted(tmp_path):
    write(tmp_path / 'a.tar', ('._a', b'x'), ('d/._1.jpg', b'x'), ('d/1.jpg', b'x'), ('d/._1.json', b'{'), ('d/1.json', TALK), ('__MACOSX/d/._1.jpg', b'x'), ('d/.DS_Store', b'x'),
          ('d/2.jpg', b'y'), ('d/2.json', TALK), ('__MACOSX/x.json', b'x'))
    found = read(tmp_path)
    assert [(row['__key__'], row.get(HIDDEN)) for row in found] == [('d/1', 5), ('d/2', 1)]
    assert [read_record(row, SOURCE).images for row in found] == [(b'x',), (b'y',)]


def test_two_members_that_differ_in_case_or_behind_a_dot_are_told_with_what_a_key_is(tmp_path):
    write(tmp_path / 'a.tar', ('v1.0.jpg', b'x'), ('v1.0.JPG', b'y'))
    (bad,) = read(tmp_path)
    assert bad.found == "no sample of a tar: two members named 'v1.0.JPG': the key 'v1' ends at the first dot of a name, the extension '0.jpg' is read in lower case"
    write(tmp_path / 'a.tar', ('v1.0.jpg', b'x'), ('v1.0.json', TALK), ('v1.1.jpg', b'y'), ('v1.1.json', TALK))
    (row,) = read(tmp_path)
    assert "several samples under the key 'v1'" in read_record(row, SOURCE).detail


@pytest.mark.parametrize('format', [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_names_in_another_encoding_keep_their_bytes(tmp_path, format):
    write(tmp_path / 'a.tar', ('größe/1.jpg', b'x'), ('größe/1.json', TALK), ('grüße/1.jpg', b'y'), ('grüße/1.json', b'{'), encoding='latin-1', format=format)
    good, bad = read(tmp_path)
    assert good['__key__'].encode('utf-8', 'surrogateescape') == 'größe/1'.encode('latin-1')
    assert read_record(good, SOURCE).images == (b'x',)
    as_content(good).encode()
    assert isinstance(bad, Malformed)
    write(tmp_path / 'a.tar', ('größe/1.jpg', b'x'), ('größe/1.JPG', TALK), encoding='latin-1', format=format)
    (bad,) = read(tmp_path)
    bad.found.encode()
    assert "two members named 'gr\\udcf6\\udcdfe/1.JPG'" in bad.found
