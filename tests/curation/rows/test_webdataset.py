import pytest
from PIL import Image

from curation.rows.fields import ignored_fields
from curation.rows.formats import Conversation, Fault, read_record
from curation.rows.webdataset import HIDDEN, MEDIA, NO_PICTURE, PICTURES
from schemas.recipe import Source
from schemas.records import Reason

TALK = {'conversations': [{'from': 'human', 'value': '<image>\nWhat?'}, {'from': 'gpt', 'value': 'This.'}]}
TEXT = {'conversations': [{'from': 'human', 'value': 'What?'}, {'from': 'gpt', 'value': 'This.'}]}


def source(**fields):
    return Source.model_validate({'format': 'webdataset', 'licence': 'MIT', 'annotations': ['a.tar'], **fields})


def read(row, **fields):
    return read_record({'__key__': 'k', **row}, source(**fields))


def test_every_extension_that_pillow_knows_is_a_picture_or_a_video():
    Image.init()
    assert {extension[1:] for extension in Image.registered_extensions()} <= PICTURES | MEDIA


@pytest.mark.parametrize('extension', ['ppm', 'avif', 'jp2', 'jfif', 'heic', 'tif', 'bmp', 'jxl', 'svg', 'ps', 'qoi', 'webp', 'jpeg', 'left.pgm', '0.jpg'])
def test_a_member_with_the_extension_of_a_picture_is_one(extension):
    assert read({extension: b'bytes', 'json': TALK}).images == (b'bytes',)
    assert read({extension: b'bytes', 'json': {'q': 'What?', 'a': 'This.'}}, columns={'question': 'q', 'answer': 'a'}).images == (b'bytes',)


@pytest.mark.parametrize('extension', ['mp4', 'wav', 'mpeg', 'flac', 'clip.webm', '0.mp3'])
def test_video_and_sound_refuse_their_sample(extension):
    found = read({'jpg': b'x', extension: b'x', 'json': TALK})
    assert (found.reason, extension in found.detail) == (Reason.VIDEO_OR_AUDIO, True)


@pytest.mark.parametrize('extension', ['json.gz', 'jpg.gz', 'zip', 'txt.zst'])
def test_a_packed_member_refuses_its_sample(extension):
    found = read({extension: b'x', 'json': TEXT})
    assert (found.reason, 'packed' in found.detail, extension in found.detail) == (Reason.RECORD_MALFORMED, True, True)


def test_a_sample_without_a_picture_where_others_have_one_is_no_text():
    for row, columns in (({'json': TEXT}, {}), ({'txt': 'A'}, {'question': 'txt', 'answer': 'txt'})):
        assert isinstance(read(row, columns=columns), Conversation)
        found = read({**row, NO_PICTURE: True}, columns=columns)
        assert (found.reason, 'other samples of its tar have one' in found.detail) == (Reason.IMAGE_REFERENCE_NULL, True)
        assert isinstance(read({**row, NO_PICTURE: True}, columns=columns, optional=True), Conversation)


@pytest.mark.parametrize('key', ['image', 'images'])
def test_a_record_that_names_a_picture_which_is_no_member_refers_to_it(key):
    columns = {'question': 'q', 'answer': 'a'}
    assert read({'json': {**TALK, key: 'x/1.jpg'}}).images == read({'json': {'q': 'Q?', 'a': 'A', key: 'x/1.jpg'}}, columns=columns).images == ('x/1.jpg',)
    assert isinstance(read({'json': {**TEXT, key: ['x/1.jpg']}}), Fault)
    assert read({'jpg': b'member', 'json': {**TALK, key: 'x/1.jpg'}}).images == (b'member',)


def test_the_records_of_two_samples_under_one_key_are_named():
    for row in ({'1.jpg': b'x', '1.json': TALK, '2.jpg': b'y', '2.json': TALK}, {'json': TALK, 'jpg': b'x', 'b.json': TALK, 'b.jpg': b'y'}):
        found = read(row)
        assert (found.reason, found.detail.startswith("several samples under the key 'k', which ends at the first dot of a name: ")) == (Reason.RECORD_MALFORMED, True)
        assert 'rename the members' in found.detail
    assert read({'b.json': TALK, 'b.jpg': b'x'}).images == (b'x',)  # one sample with a dot in its name
    assert read({'json': TALK, 'jpg': b'x', 'boxes.json': {'n': 1}}).images == (b'x',)


def test_members_that_nobody_reads_are_counted_by_name():
    row = {'__key__': 'k', 'jpg': b'x', 'json': {**TALK, 'mood': 'good'}, 'npy': b'x', 'boxes.json': [1], 'txt': 'caption', HIDDEN: 2}
    found = read_record(row, source())
    assert ignored_fields(row, source(), found) == {'mood', 'npy', 'boxes.json', 'txt', HIDDEN}
    assert ignored_fields({'__key__': 'k', 'jpg': b'x', 'json': TALK}, source(), found) == set()


@pytest.mark.parametrize('json', [[1], 'text', 7, None])
def test_a_record_that_is_no_object_is_malformed(json):
    assert read({'json': json, 'jpg': b'x'}).reason == Reason.RECORD_MALFORMED
