import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curation.rows.fields import ignored_fields
from curation.rows.formats import Conversation, Fault, parse, read_record, split_turns
from curation.rows.references import is_safe, other_names
from schemas.recipe import Source
from schemas.records import Reason, Turn


def said(conversation):
    assert isinstance(conversation, Conversation), conversation
    return [turn.text for turn in conversation.turns]


def llava(question='<image>\nWhat?', answer='A dog.', **fields):
    return {'conversations': [{'from': 'human', 'value': question}, {'from': 'gpt', 'value': answer}], **fields}


def test_an_image_may_be_a_path_a_list_or_embedded_bytes():
    assert parse(llava(image='./a/b.png'), 'llava').images == ('a/b.png',)
    assert parse(llava('<image><image>', image=['a.png', 'b.png']), 'llava').images == ('a.png', 'b.png')
    assert parse(llava(images=[{'bytes': b'x', 'path': '/home/me/a.png'}]), 'llava').images == (b'x',)
    assert parse(llava('Hello', image=None), 'llava').images == ()


def test_the_mark_may_stand_first_or_last_or_in_a_list_of_parts():
    assert said(parse(llava('What?\n<image>', image='a.png'), 'llava'))[0] == 'What?\n<image>'
    parts = {'messages': [{'role': 'user', 'content': [{'type': 'image', 'text': None}, {'type': 'text', 'text': 'What?'}]},
                          {'role': 'assistant', 'content': [{'type': 'text', 'text': 'A dog.'}]}], 'images': ['a.png']}
    assert said(parse(parts, 'messages')) == ['<image>What?', 'A dog.']


@pytest.mark.parametrize(('row', 'reason'), [
    (llava('<image> <image>', image='a.png'), Reason.IMAGE_COUNT_MISMATCH),
    (llava('What?', image='a.png'), Reason.IMAGE_COUNT_MISMATCH),
    (llava('<image>', 'see <image>', image='a.png'), Reason.IMAGE_COUNT_MISMATCH),
    ({'conversations': [{'from': 'gpt', 'value': 'x'}, {'from': 'human', 'value': 'y'}]}, Reason.ROLES_NOT_ALTERNATING),
    ({'conversations': [{'from': 'human', 'value': 'x'}]}, Reason.ROLES_NOT_ALTERNATING),
    ({'conversations': []}, Reason.ROLES_NOT_ALTERNATING),
    ({'image': 'a.png', 'conversations': []}, Reason.ROLES_NOT_ALTERNATING),
    ({'image': 'a.png', 'conversations': [{'from': 'gpt', 'value': 'x'}]}, Reason.ROLES_NOT_ALTERNATING),
    ({'text': 'x'}, Reason.RECORD_MALFORMED),
    ({'conversations': 'abc'}, Reason.RECORD_MALFORMED),
    ({'conversations': [{'from': 'human', 'value': 5}, {'from': 'gpt', 'value': 'y'}]}, Reason.RECORD_MALFORMED),
    (llava('half a pair \ud83d', 'y'), Reason.RECORD_MALFORMED),
    (llava(image={'uri': 'x'}), Reason.RECORD_MALFORMED),
    (llava(image='../../etc/passwd'), Reason.IMAGE_REFERENCE_UNSAFE),
    (llava(image='http://host/a.png'), Reason.IMAGE_REFERENCE_UNSAFE),
])
def test_a_row_that_is_no_conversation_has_a_reason(row, reason):
    found = parse(row, 'llava')
    assert isinstance(found, Fault)
    assert found.reason == reason


@pytest.mark.parametrize('reference', ['/etc/passwd', 'a/../../b', 'file:///a', 'data:image/png;base64,AAAA', 'a\\b', 'a\0b', '', '  ', '~root/a', 'sha256:/etc/passwd', 'C:/a.png', 'd:/x/a.png'])
def test_a_reference_that_leads_out_is_unsafe(reference):
    assert not is_safe(reference)


@pytest.mark.parametrize(('reference', 'prefix', 'expected'), [
    ('/mnt/nas/imgs/1.png', '/mnt/nas', 'imgs/1.png'), ('/mnt/nas/imgs/1.png', '/mnt/nas/', 'imgs/1.png'), ('/mnt/nas2/1.png', '/mnt/nas', None),
    ('C:\\data\\imgs\\1.png', 'C:\\data', 'imgs/1.png'), ('c:\\Data\\imgs\\1.png', 'C:/data/', 'imgs/1.png'), ('imgs\\1.png', '', 'imgs/1.png'),
    ('imgs\\1.png', 'imgs', '1.png'), ('.\\imgs\\1.png', '/other', 'imgs/1.png'), ('imgs/1.png', '/mnt', 'imgs/1.png'), ('..\\1.png', '', None),
    ('D:\\data\\1.png', 'C:\\data', None), ('/mnt/nas/../../etc/passwd', '/mnt/nas', None), ('\\\\host\\share\\1.png', '\\\\host\\share', '1.png'),
    ('https://host/imgs/1.png', 'https://host/', 'imgs/1.png'), ('file:///data/1.png', 'file:///data', '1.png'), ('/', '/', None),
    ('/a/b/1.png', ['/a', '/a/b'], '1.png'), ('/c/1.png', ['/a', '/c'], '1.png'),
])  # fmt: skip
def test_prefixes_of_another_machine_are_taken_off_before_a_path_is_judged(reference, prefix, expected):
    source = Source(format='llava', annotations=['a.json'], licence='MIT', strip_prefix=prefix)
    found = read_record(llava(image=reference), source)
    assert (found.images == (expected,)) if expected else (found.reason == Reason.IMAGE_REFERENCE_UNSAFE)


@pytest.mark.parametrize('reference', ['imgs\\1.png', 'C:\\x\\1.png', '/mnt/1.png', 'file:///1.png'])
def test_a_path_of_another_machine_is_refused_and_told_what_helps(reference):
    found = read_record(llava(image=reference), Source(format='llava', annotations=['a.json'], licence='MIT'))
    assert found.reason == Reason.IMAGE_REFERENCE_UNSAFE
    assert 'strip_prefix' in found.detail
    assert 'strip_prefix' not in parse(llava(image='../1.png'), 'llava').detail


def test_prefixes_select_on_what_is_left_of_a_path():
    source = Source(format='llava', annotations=['a.json'], licence='MIT', strip_prefix='C:\\d', image_prefix=['good/'], image_subfolder='x')
    assert read_record(llava(image='C:\\d\\good\\1.png'), source).images == ('x/good/1.png',)
    assert read_record(llava(image='C:\\d\\bad\\1.png'), source).reason == Reason.RECORD_NOT_SELECTED


def test_other_names_are_the_other_extensions_of_pictures_only():
    assert other_names('ocr_vqa/images/1.jpg') == ('ocr_vqa/images/1.png', 'ocr_vqa/images/1.jpeg')
    assert other_names('a.JPG') == ('a.jpg', 'a.png', 'a.jpeg')
    assert other_names('a.tar') == other_names('a') == other_names('x.jpg/a') == ()


def test_prefixes_select_records_and_the_subfolder_comes_after():
    source = Source(format='llava', annotations=['a.json'], licence='MIT', image_prefix=['docvqa/'], drop_image_prefix=['docvqa/bad'], image_subfolder='x/y/')
    assert read_record(llava(image='docvqa/images/1.png'), source).images == ('x/y/docvqa/images/1.png',)
    for row in (llava(image='coco/1.jpg'), llava(image='docvqa/bad/1.png'), llava('<image><image>', image=['docvqa/1.png', 'docvqa/bad/1.png']), llava('text only'), llava('<image><image>', image=['docvqa/1.png', 'coco/1.png'])):
        assert read_record(row, source).reason == Reason.RECORD_NOT_SELECTED


@pytest.mark.parametrize('fault', [
    {'conversations': []}, {'conversations': None}, {'conversations': [{'from': 'gpt', 'value': 'a'}]}, {'tools': [{'name': 'f'}], 'conversations': 7},
    {'conversations': [{'from': 'human', 'value': 'no mark'}, {'from': 'gpt', 'value': '<image>'}]},
])
def test_a_row_that_a_prefix_leaves_out_is_judged_by_nothing_else(fault):
    source = Source(format='llava', annotations=['a.json'], licence='MIT', strip_prefix='/data', drop_image_prefix=['sam/'])
    for image in ('/data/sam/1.jpg', ['coco/1.jpg', 'sam/1.jpg'], {'path': 'sam/1.jpg'}, ['sam/1.jpg', None]):
        assert read_record({**llava(image=image), **fault}, source).reason == Reason.RECORD_NOT_SELECTED
    assert read_record({**llava(image='coco/1.jpg'), **fault}, source).reason != Reason.RECORD_NOT_SELECTED
    wanted = Source(format='llava', annotations=['a.json'], licence='MIT', image_prefix=['docvqa/'])
    assert read_record({**llava(image='coco/1.jpg'), **fault}, wanted).reason == Reason.RECORD_NOT_SELECTED
    assert read_record({**llava(image='docvqa/1.jpg'), **fault}, wanted).reason != Reason.RECORD_NOT_SELECTED


def test_a_prefix_leaves_out_by_columns_and_parts_too():
    columns = Source(format='columns', annotations=['a.parquet'], licence='MIT', columns={'question': 'q', 'answer': 'a', 'image': 'p'}, drop_image_prefix=['sam/'])
    assert read_record({'q': 1.5, 'a': None, 'p': 'sam/1.jpg'}, columns).reason == Reason.RECORD_NOT_SELECTED
    parts = [{'role': 'user', 'content': [{'type': 'image', 'image': 'sam/1.jpg'}, {'type': 'text', 'text': 'Q?'}]}]
    messages = Source(format='messages', annotations=['a.json'], licence='MIT', drop_image_prefix=['sam/'])
    assert read_record({'messages': parts}, messages).reason == Reason.RECORD_NOT_SELECTED


@pytest.mark.parametrize('nothing', [None, '', {}, {'bytes': None, 'path': None}, {'bytes': None, 'path': ''}, {'path': ''}, {'bytes': b'', 'path': ''}])
def test_a_picture_and_a_null_are_not_one_picture(nothing):
    for images in (['a.png', nothing], [nothing, {'path': 'a.png'}]):
        assert parse(llava(image=images), 'llava').reason == Reason.IMAGE_REFERENCE_NULL
        row = {'p': images, 'q': 'Q?', 'a': 'yes'}
        assert parse(row, 'columns', {'image': 'p', 'question': 'q', 'answer': 'a'}).reason == Reason.IMAGE_REFERENCE_NULL


def test_turns_become_samples_with_the_images_marked_so_far():
    turns = tuple(Turn(role, text) for role, text in [('user', '<image>\nOne?'), ('assistant', '1'), ('user', 'Two? <image>'), ('assistant', '2')])
    conversation = Conversation(turns, ('a.png', 'b.png'))
    first, second = split_turns(conversation, 'each')
    assert (first[1].images, second[1].images) == (('a.png',), ('a.png', 'b.png'))
    assert [part is None for _, part in split_turns(conversation, 'first')] == [False, True]
    assert split_turns(conversation, 'all') == [(0, conversation)]


def test_a_tar_sample_takes_its_pictures_from_its_members():
    row = {'__key__': '0001', 'jpg': b'picture', 'json': llava(image='upstream/path.jpg')}
    assert parse(row, 'webdataset').images == (b'picture',)
    captioned = {'__key__': '1', 'png': b'p', 'txt': 'A dog.', 'json': {'prompt': 'Describe it.'}}
    assert said(parse(captioned, 'webdataset', {'question': 'prompt', 'answer': 'txt'})) == ['<image>\nDescribe it.', 'A dog.']
    assert parse({'__key__': '1', '0.png': b'a', '1.png': b'b', 'json': {'messages': [
        {'role': 'user', 'content': '<image><image> Same?'}, {'role': 'assistant', 'content': 'No'}]}}, 'webdataset').images == (b'a', b'b')
    assert parse({'__key__': '1', 'png': b'p'}, 'webdataset').reason == Reason.RECORD_MALFORMED


def test_a_conversation_without_end_and_bytes_that_are_none_are_rejected():
    endless = {'conversations': [{'from': 'human', 'value': 'x'}, {'from': 'gpt', 'value': 'y'}] * 501}
    assert parse(endless, 'llava').reason == Reason.RECORD_TOO_LARGE
    assert parse(llava('<image>', image={'bytes': 5}), 'llava').reason == Reason.RECORD_MALFORMED
    assert parse(llava('<image>', image={'bytes': 'iVBORw0KGgo='}), 'llava').reason == Reason.RECORD_MALFORMED


KEYS = st.sampled_from(['conversations', 'messages', 'image', 'images', 'from', 'value', 'role', 'content', 'type', 'text', 'bytes', 'path', 'question',
                        'answer', 'options', 'decoded_image', 'solution', 'instruction', 'output', 'json', 'jpg', 'x', 'input', 'history', 'system', 'label',
                        'video', 'tools', 'chosen', 'prompt', 'image_url', 'url', 'human', '<image_00>', 'index', 'weight'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.binary(max_size=4)
    | st.sampled_from(['human', 'gpt', 'user', 'assistant', 'system', '<image>', '<image_1>', '<img>a.png</img>', '<video>', 'text', 'image', 'data:;base64,AA==']),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20)


@pytest.mark.parametrize('format', ['llava', 'messages', 'instruction', 'columns', 'mathvision', 'webdataset'])
@settings(max_examples=60, derandomize=True)
@given(row=st.dictionaries(KEYS, VALUES, max_size=6))
def test_no_row_makes_a_reader_fail(format, row):
    columns = {'image': ['image', 'images'], 'question': 'question', 'answer': 'x.answer', 'options': 'options', 'system': 'system'}
    found = parse(row, format, columns if format in ('columns', 'webdataset') else {})
    source = Source(format=format, annotations=['a'], licence='MIT', columns=columns if format in ('columns', 'webdataset') else {})
    assert isinstance(read_record(row, source), Conversation | Fault)
    if isinstance(found, Conversation):
        assert all(isinstance(field, str) for field in ignored_fields(row, source, found))
        assert all(isinstance(image, bytes) or is_safe(image) for image in found.images)
        assert all(isinstance(turn.text, str) for turn in found.turns)
