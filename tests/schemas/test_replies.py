"""Reply keys: the same for the same question, another for anything that changes the answer."""

import dataclasses
import subprocess
import sys

import pytest

from schemas.replies import ChatRequest, SentImage, canonical_json

TEXT = canonical_json({'messages': [{'role': 'user', 'content': 'é'}], 'temperature': 0})
BASE = ChatRequest(TEXT, 'm', 'r1')
D1, D2 = 'a' * 64, 'b' * 64


def with_image(digest: str, data: bytes = b'x', named: str | None = None) -> ChatRequest:
    part = {'type': 'image_url', 'image_url': {'url': 'sha256:' + (named or digest)}}
    body = canonical_json({'messages': [{'role': 'user', 'content': [part]}]})
    return ChatRequest(body, 'm', 'r1', 0, (SentImage(digest, digest, 'image/png', data),))


def test_the_key_is_pinned_so_that_stores_outlive_releases():
    assert BASE.key == '7a6ebe14451e4c98f74dbfbd5c815b4386e01de31dc029576020e5e3e7ab820c'


@pytest.mark.parametrize(
    'change', [{'model': 'm2'}, {'revision': 'r2'}, {'attempt': 1}, {'body': TEXT.replace(':0', ':1')}],
)
def test_anything_that_changes_the_answer_changes_the_key(change):
    fields = {f.name: getattr(BASE, f.name) for f in dataclasses.fields(BASE) if f.init}
    assert ChatRequest(**{**fields, **change}).key != BASE.key


def test_pictures_enter_the_key_by_the_digest_of_the_bytes_sent():
    assert with_image(D1).key == with_image(D1, b'other object, same digest').key != with_image(D2).key


def test_a_body_that_names_other_pictures_than_it_carries_is_refused():
    with pytest.raises(ValueError, match='expected the image digests'):
        with_image(D1, named=D2)


def test_the_key_is_the_same_in_another_process():
    code = f'from schemas.replies import ChatRequest; print(ChatRequest({TEXT!r}, "m", "r1").key)'
    assert subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True).stdout.strip() == BASE.key
