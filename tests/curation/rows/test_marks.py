"""Which picture a mark means, in the marks of every tool."""

import pytest

from curation.rows.formats import Conversation, Fault, parse
from schemas.records import Reason


def read(question, answer='a', **fields):
    return parse({'messages': [{'role': 'user', 'content': question}, {'role': 'assistant', 'content': answer}], **fields}, 'messages')


@pytest.mark.parametrize('mark', [
    '<image>', '<|image|>', '<image_1>', '<image1>', '<image 1>', '<image-1>', '<image_00>', '<|image_1|>', '<|image_pad|>',
    '<|vision_start|><|image_pad|><|vision_end|>', '<|vision_start|><|image_pad|><|image_pad|><|vision_end|>', '<ImageHere>', '<Img><ImageHere></Img>',
    '<IMG_CONTEXT>', '<img><IMG_CONTEXT><IMG_CONTEXT></img>', '<image_placeholder>', '<image_soft_token>', '<start_of_image>', '<|media_pad|>',
    '<|media_begin|>image<|media_content|><|media_pad|><|media_end|>', '<__media__>', '(<image>./</image>)', '<im_start><image><im_end>',
    '<image></image>', '[IMG]', '<Image>', '<img>',
])
def test_a_mark_of_another_tool_is_where_the_picture_stands(mark):
    found = read(f'See {mark} here', images=['1.png'])
    assert isinstance(found, Conversation), found
    assert (found.turns[0].text, found.images) == ('See <image> here', ('1.png',))


@pytest.mark.parametrize('mark', ['<|image|>', '<image_1>', '<|vision_start|><|image_pad|><|vision_end|>', '<ImageHere>', '<start_of_image>', '<IMG_CONTEXT>'])
def test_a_mark_without_a_picture_never_stays_as_text(mark):
    assert read(f'{mark}\nWhat is this?').reason == Reason.IMAGE_COUNT_MISMATCH
    assert read('<image>What is this?', f'Like {mark}', images=['1.png']).reason == Reason.IMAGE_COUNT_MISMATCH


@pytest.mark.parametrize(('question', 'images', 'expected'), [
    ('<image_2> and <image_1>', ['1.png', '2.png'], ('2.png', '1.png')),
    ('<image_01> and <image_00>', {'<image_00>': '1.png', '<image_01>': '2.png'}, ('2.png', '1.png')),
    ('<image_1>, <image_2>: is <image_1> larger?', ['1.png', '2.png'], ('1.png', '2.png', '1.png')),
    ('<image>\n<image>\nIs <image_2> larger?', ['1.png', '2.png'], ('1.png', '2.png', '2.png')),
    ('<image> and <|image|>', ['1.png', '2.png'], ('1.png', '2.png')),
    ('Picture 1: <img>a/1.png</img>\nPicture 2: <img>2.png</img>', None, ('a/1.png', '2.png')),
])
def test_a_numbered_mark_means_the_picture_of_its_number(question, images, expected):
    found = read(question, image=images)
    assert isinstance(found, Conversation), found
    assert found.images == expected
    assert found.turns[0].text.count('<image>') == len(expected)
    assert '<image_' not in found.turns[0].text


@pytest.mark.parametrize(('question', 'images'), [
    ('<image_1>', ['1.png', '2.png']), ('<image_3>', ['1.png', '2.png']), ('<image_1> <image_2>', ['1.png']), ('What?', ['1.png']), ('<img>1.png</img>', ['2.png'])])
def test_marks_and_pictures_that_do_not_agree_are_rejected(question, images):
    found = read(question, images=images)
    assert isinstance(found, Fault)
    assert found.reason == Reason.IMAGE_COUNT_MISMATCH


@pytest.mark.parametrize('question', [
    'See <audio> b/long.flac </audio>', 'Clip: <video>1.mp4</video> Who?', '<video>\nWhat does the dog fetch?', '<audio>Which instrument plays?', 'Watch this. <video>', 'In the clip <video> who speaks first?',
    'Audio 1: <audio>a/1.wav</audio>\nWho speaks?', '<|vision_start|><|video_pad|><|vision_end|>What?', '<|audio_bos|><|AUDIO|><|audio_eos|>What?', '<video_1> What?'])
def test_a_question_about_a_video_or_a_sound_is_rejected(question):
    assert read(question).reason == Reason.VIDEO_OR_AUDIO


@pytest.mark.parametrize('question', [
    'What does the <video> tag do?', 'Write HTML with <video src="a.mp4"></video>.', '```\n<video>\n<source></video>\n```', 'How does `<audio>` work?',
    'Mend this: <img src="a.png"> <ul><li>x</li></ul>', 'Is x < image and y > 2?', 'Translate [IMG]http://host/a.png[/IMG].'])
def test_a_question_about_markup_stays_as_it_is(question):
    found = read(question, 'Use <img src="b.png"> or <img>x</img>.')
    assert isinstance(found, Conversation), found
    assert found.turns[0].text == question
