"""Texts that make a pattern go over them again and again: four times the text must not take sixteen times as long."""

import pytest

from curation.answers.final import final_answer, is_worked
from curation.answers.options import listed, named_options, named_within
from curation.answers.shield import is_code, shielded, structure_shielded
from curation.negatives.propose import propose_negative
from pipelines.benches.layouts.values import options_of, split_lettered
from tests.growth import assert_in_proportion


def answered(text):
    return propose_negative('s', 'What is it?', text, pool=['a', 'b'])


def asked(text):
    return propose_negative('s', text, 'red', pool=['a', 'b'])


def named(text):
    return named_options(text, 'b'), named_within(text, 'it is b')


PIECES = [
    (final_answer, ('\n', ' \n', '#\n', 'answer\n', '\\boxed{1} ', 'The answer is 1. ', '<answer>1</answer>')), (is_worked, ('\n', ' ', '\n1', '\t')),
    (listed, (' ', '\t', '\n', '1. ', ', ', 'options\n')), (named, (' ', '\t', '\n', ' or', 'a or b\n')), (asked, (' ', '\t', '\n', '1. ', ' or ')),
    (answered, (' ', '\n', '/-', '\\(')), (shielded, ('/-', '/@', '\\(', '\\[', '~/-', '$$', 'a.')), (structure_shielded, ('/-', '<a', '](', 'a-')),
    (is_code, (' ', '\t', 'int a', 'aa', '(', ', a')), (split_lettered, ('A. ', 'a) ', '(A) ', 'A: A. ')), (options_of, ('A. ', ' ', 'A.')),
]  # fmt: skip


@pytest.mark.parametrize('start', ['', 'int ', 'Is it 1. a or b', 'The answer'])
@pytest.mark.parametrize(('read', 'piece'), [(read, piece) for read, pieces in PIECES for piece in pieces])
def test_four_times_the_text_takes_far_less_than_sixteen_times_as_long(read, piece, start):
    assert_in_proportion(read, piece, start, '1')
