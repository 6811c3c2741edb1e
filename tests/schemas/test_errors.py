"""Errors reach the user as they were raised, whichever process raised them."""

import pickle

from pipelines.engine.told import told_error
from schemas.errors import PendingWork, Unreadable


def test_what_cannot_be_read_is_told_alike_by_another_process():
    error = Unreadable(['a.png (Input/output error)'], ['look after the disk'], '; or --give-up')
    error.add_note('on a worker process')
    sent = pickle.loads(pickle.dumps(error))
    assert (str(sent), sent.files, sent.remedies, sent.or_else) == (str(error), error.files, error.remedies, error.or_else)
    assert sent.__notes__ == ['on a worker process']


def test_what_cannot_be_read_is_told_alike_where_a_runner_raises_it():
    told = told_error([], Unreadable(['a.png (Input/output error)']))
    assert isinstance(told, PendingWork)
    assert str(told) == str(Unreadable(['a.png (Input/output error)']))
