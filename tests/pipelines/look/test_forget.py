"""`phantom replies forget` on a store alone: it says, asks, and then removes; answers of batches that lie in files go with it."""

import json

import pytest

from pipelines.chat.batch_files import batch_path, output_path, read_note
from pipelines.look.forget import forget_replies
from pipelines.replies.facts import Meant
from pipelines.replies.store import ReplyStore
from pipelines.replies.tend import tend
from schemas.errors import UserError
from schemas.replies import Failure, Reply

ANSWERED, FAILED, OTHER = (digit * 64 for digit in '123')
FAILURES = Meant(failures=True)


@pytest.fixture
def store(tmp_path):
    store = ReplyStore(tmp_path / 'work/replies')
    store.put_many([
        Reply(ANSWERED, 'm', 'r1', 'yes', 'stop', 10, 1, served_by='model m; version 2'),
        Failure(FAILED, 'length', 'no end', False, 'm', 'r1', 'half', 10, 700),
    ])  # fmt: skip
    store.close()
    return tmp_path / 'work/replies'


def keys(folder):
    return set(ReplyStore(folder).get_many([ANSWERED, FAILED, OTHER]))


@pytest.mark.parametrize(('said', 'left'), [('y', {ANSWERED}), ('Yes', {ANSWERED}), ('', {ANSWERED, FAILED}), ('no', {ANSWERED, FAILED})])
def test_who_sits_at_a_terminal_is_asked(store, monkeypatch, capsys, said, left):
    monkeypatch.setattr('sys.stdin.isatty', lambda: True, raising=False)
    monkeypatch.setattr('builtins.input', lambda text: said)
    forget_replies(store, FAILURES)
    assert keys(store) == left
    told = capsys.readouterr().out
    assert '1 stored outcome(s) to forget (length 1). They cost 10 prompt and 700 completion tokens, which will be paid again' in told
    assert ('nothing was forgotten' in told) == (len(left) == 2)


def test_who_leaves_the_question_forgets_nothing(store, monkeypatch):
    def leave(_: str) -> str:
        raise EOFError

    monkeypatch.setattr('sys.stdin.isatty', lambda: True, raising=False)
    monkeypatch.setattr('builtins.input', leave)
    forget_replies(store, FAILURES)
    assert keys(store) == {ANSWERED, FAILED}


def test_nobody_to_ask_nothing_said_and_no_store_are_refused(store, tmp_path):
    with pytest.raises(UserError, match='expected --yes, since nobody can be asked here'):
        forget_replies(store, FAILURES)
    with pytest.raises(UserError, match='expected what to forget, found nothing said'):
        forget_replies(store, Meant(), yes=True)
    with pytest.raises(UserError, match='expected a reply store'):
        forget_replies(tmp_path, FAILURES, yes=True)
    with pytest.raises(UserError, match='replies stats: expected no --failures'):
        tend('stats', store, FAILURES)
    assert keys(store) == {ANSWERED, FAILED}


def test_what_batches_brought_goes_with_what_is_forgotten_and_the_rest_of_it_stays(store):
    batches = store.parent / 'batches'
    batches.mkdir()
    for name, asked in (('some', [ANSWERED, FAILED]), ('all', [FAILED]), ('none', [OTHER])):
        path = batches / f'batch-{name}.jsonl'
        path.write_text('{}\n')
        batch_path(path).write_text(json.dumps({'id': f'id-{name}', 'spent': []}))
        output_path(path).write_text(''.join(json.dumps({'custom_id': key, 'response': None}) + '\n' for key in asked))
    forget_replies(store, FAILURES, yes=True)
    assert keys(store) == {ANSWERED}
    outputs = {path.name: path.read_text() for path in batches.glob('*.output.jsonl')}
    assert outputs.keys() == {'batch-some.output.jsonl', 'batch-none.output.jsonl'}
    assert ANSWERED in outputs['batch-some.output.jsonl']
    assert FAILED not in outputs['batch-some.output.jsonl']
    assert read_note(batches / 'batch-all.jsonl') == {'id': None, 'spent': ['id-all']}, 'submitted anew'
    assert read_note(batches / 'batch-some.jsonl')['id'] == 'id-some'


def test_stats_tell_models_revisions_kinds_and_servers(store, capsys):
    assert tend('stats', store) == 0
    told = capsys.readouterr().out
    assert '2 replies in 1 segment(s) and 0 pack(s)' in told
    for words in ('model m; version 2', 'length', 'reply', '700', 'r1'):
        assert words in told
    assert tend('compact', store) == 0
    assert tend('verify', store) == 0
