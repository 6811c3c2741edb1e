"""No reader hands on a row of a damaged or hostile snapshot, and none leaves a part of its work behind."""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from itertools import islice

import pytest

from model.training.data import endless_rows, list_groups
from pipelines.look.audit import write_audit
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.static import export_gallery
from pipelines.snapshot.diff import diff_snapshots
from pipelines.snapshot.exports.export import TARGETS, export_snapshot
from pipelines.snapshot.mix_rows import mix_rows
from schemas.errors import PendingWork, UserError
from schemas.inside import InsideFile, unreadable
from schemas.snapshot import open_snapshot
from tests.pipelines.snapshot.sealed import picture, rejection, sample, says, seal_rows, triple, vouch
from tests.promises import promise

SHARD = 'data/train-00000-of-00001.parquet'
RED = picture('red')
FLIPPED = 24
READERS = {
    **{f'export {target}': lambda folder, out, target=target: export_snapshot(folder, target, out) for target in TARGETS},
    'gallery --export': lambda folder, out: export_gallery(folder, out, limit=10),
    'audit': lambda folder, out: write_audit(folder, 5, out),
    'diff': lambda folder, out: diff_snapshots(folder, folder),
    'train': lambda folder, out: list(islice(endless_rows(list_groups(open_snapshot(folder)), seed=0, window=1), 4)),
    'build': lambda folder, out: open_snapshot(folder).prove_all(),
}


def snapshot(folder, **first):
    rows = [{**triple(0, images=[RED]), **first}, triple(1), triple(2, images=[picture('blue')]), triple(3)]
    return vouch(seal_rows(folder, 'triples', rows, [rejection(9)]))


@pytest.fixture
def whole(tmp_path):
    return snapshot(tmp_path / 'snap' / 's')


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 16
    path.write_bytes(data)


@pytest.mark.parametrize('name', READERS)
@promise('Snapshots', 'Export, gallery, audit, diff, train and builds refuse a shard with a flipped bit and leave nothing behind', flipped_shards=len(READERS))
def test_every_reader_refuses_a_flipped_bit(whole, tmp_path, name):
    flip(whole / SHARD, (whole / SHARD).read_bytes().index(b'Question number'))
    with pytest.raises(UserError, match=rf'{SHARD}: expected sha256 .* changed since it was sealed'):
        READERS[name](whole, tmp_path / 'out' / 'x')
    assert not list((tmp_path / 'out').rglob('*')) if (tmp_path / 'out').exists() else True


@promise('Snapshots', 'A snapshot with one flipped bit is never exported', flipped_shards=FLIPPED)
def test_no_flipped_bit_is_exported(whole, tmp_path):
    size = (whole / SHARD).stat().st_size
    for k in range(FLIPPED):
        folder = shutil.copytree(whole, tmp_path / f's{k}')
        flip(folder / SHARD, 4 + (size - 8) * (2 * k + 1) // (2 * FLIPPED))
        with pytest.raises(UserError):
            export_snapshot(folder, 'jsonl', tmp_path / f'x{k}')
        assert not (tmp_path / f'x{k}').exists()


@pytest.mark.parametrize('image_id', ['../../../escaped', '/tmp/escaped', 'A' * 64, '', hashlib.sha256(b'another').hexdigest()])
@pytest.mark.parametrize('target', TARGETS)
@promise('Hostile files', 'An image id that is a path, or not the sha256 of its picture, is refused by every export; nothing is written outside --out')
def test_an_image_id_never_becomes_a_path(tmp_path, target, image_id):
    folder = snapshot(tmp_path / 'snap' / 's', image_ids=[image_id], images=[{'bytes': b'#!/bin/sh\n', 'path': image_id}])
    before = sorted(tmp_path.rglob('*'))
    with pytest.raises(UserError, match='row 0: .*expected'):
        export_snapshot(folder, target, tmp_path / 'deep' / 'x')
    assert sorted(tmp_path.rglob('*')) == sorted([*before, tmp_path / 'deep'])


@pytest.mark.parametrize('hole', [{'chosen': None}, {'prompt': [None]}, {'prompt': [{'role': 'user', 'content': [None]}]}, {'image_ids': None}, {'images': [None]}])
@pytest.mark.parametrize('name', ['export trl', 'export jsonl', 'export ms-swift', 'gallery --export', 'audit'])
def test_rows_with_holes_end_in_a_message(tmp_path, name, hole):
    with suppress(UserError) if name in ('gallery --export', 'audit') else pytest.raises(UserError, match='row 0: '):  # these show what is there
        READERS[name](snapshot(tmp_path / 's', **hole), tmp_path / 'x')


def test_a_picture_of_another_id_is_not_shown(tmp_path):
    folder = snapshot(tmp_path / 's', images=[{'bytes': picture('green'), 'path': 'x'}])
    index = GalleryIndex(folder)
    try:
        with pytest.raises(UserError, match='row 0: expected a picture with sha256'):
            index.picture(hashlib.sha256(RED).hexdigest())
        assert index.picture(hashlib.sha256(picture('blue')).hexdigest()) == picture('blue')
    finally:
        index.close()


def test_a_shard_that_changes_under_the_gallery_is_shown_no_more(whole):
    index = GalleryIndex(whole)
    try:
        assert index.row('kept', 1)['triple_id'] == triple(1)['triple_id']
        flip(whole / SHARD, 40)
        os.utime(whole / SHARD)
        with pytest.raises(UserError, match='changed since it was sealed'):
            index.row('kept', 1)
    finally:
        index.close()


def test_the_picture_of_a_mix_is_the_one_that_its_id_names(tmp_path):
    folder = seal_rows(tmp_path / 'm', 'mix', [sample(0, images=[RED]), sample(1, images=[RED], image_ids=['f' * 64])])
    assert [row.images[0][1] for row in mix_rows(str(folder / SHARD), [0], pixels=True)] == [RED]
    with pytest.raises(UserError, match='row 1: expected a picture with sha256 ffff'):
        list(mix_rows(str(folder / SHARD), [1], pixels=True))


@pytest.mark.parametrize('name', ['export jsonl', 'gallery --export', 'train', 'diff'])
def test_a_disk_that_fails_for_the_moment_ends_pending_with_the_files_name(whole, tmp_path, monkeypatch, name):
    def fails(file, buffer):
        raise unreadable(file.path, OSError(5, 'Input/output error'))

    monkeypatch.setattr(InsideFile, 'readinto', fails)
    with pytest.raises(PendingWork, match=rf'{SHARD}: expected to read this file, found: Input/output error'):
        READERS[name](whole, tmp_path / 'out' / 'x')


def test_a_changed_licence_is_refused_by_every_reader(whole):
    manifest = json.loads((whole / 'manifest.json').read_text())
    (whole / 'manifest.json').write_text(json.dumps({**manifest, 'name': 'another'}))
    with pytest.raises(UserError, match='something in it changed since it was sealed'):
        open_snapshot(whole)


def test_texts_are_handed_on_as_they_are(whole, tmp_path):
    assert export_snapshot(whole, 'jsonl', tmp_path / 'x')['rows'] == 4
    assert says('assistant', 'right 0') in [json.loads(line)['chosen'][0] for line in (tmp_path / 'x/train.jsonl').read_text().splitlines()]
