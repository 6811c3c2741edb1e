"""Where nobody may be asked, stored replies are all there is: what was never asked for is counted, over all blocks."""

import json
import pickle

import pytest

from pipelines.chat.asker import Asker
from pipelines.chat.blocks import Waits
from pipelines.replies.store import ReplyStore
from schemas.errors import NotStored
from schemas.recipe import Budget, Model
from schemas.replies import ChatRequest, Reply

MODEL = Model(model='m', revision='1', base_urls=['http://127.0.0.1:9/v1'])


def request(text):
    return ChatRequest(json.dumps({'messages': [{'role': 'user', 'content': text}], 'temperature': 0}), 'm', '1')


@pytest.fixture
def asker(tmp_path):
    store = ReplyStore(str(tmp_path / 'replies'))
    store.put_many([Reply(request(text).key, 'm', '1', f'reply to {text}', 'stop', 10, 1) for text in 'ab'])
    store.close()
    asker = Asker({'m': MODEL}, Budget(requests=0), str(tmp_path / 'replies'), str(tmp_path / 'ledger'), only_stored=True)
    yield asker
    asker.close()


def test_what_is_stored_is_given_to_one_who_may_spend_nothing(asker):
    found = asker.ask('m', {'s': [request('a'), request('b'), request('a')], 't': [request('b')]})
    assert {outcome.text for outcome in found.values()} == {'reply to a', 'reply to b'}


def test_what_was_never_asked_for_is_counted_once_each_and_over_all_blocks(asker):
    waits = Waits()
    for texts in ('abcd', 'ab', 'edd'):
        with waits.noted():
            asker.ask('m', {'s': [request(text) for text in texts]})
    with pytest.raises(NotStored, match=r'found at least 4 call\(s\) that were never made') as told:
        waits.refuse()
    assert pickle.loads(pickle.dumps(told.value)).n == told.value.n == 4, 'it comes from workers, too'
