"""Words that verbs take are listed by help and completion; each stands for something that is there."""

import pytest

from pipelines.benches.layouts.layouts import LAYOUTS
from pipelines.benches.layouts.names import LayoutName
from pipelines.replies import tend
from pipelines.replies.actions import Action
from pipelines.snapshot.exports.export import TARGETS
from pipelines.snapshot.exports.targets import Target
from tests.programmes.project import phantom, run


def test_each_word_stands_for_something_and_everything_has_one():
    assert [*Target] == [*TARGETS]
    assert [*LayoutName] == [*LAYOUTS]
    assert [*Action] == [*tend._VERBS, 'forget']


@pytest.mark.parametrize(('words', 'listed'), [
    (['export', 'x', '--to', 'xml', '--out', 'y'], [*TARGETS]), (['read-bench', 'x', 'y', '--out', 'z', '--format', 'xml'], [*LAYOUTS]),
    (['replies', 'burn', 'x'], [*Action]), (['eval', 'x', '--bench', 'xml', '--root', 'y', '--out', 'z'], [*LAYOUTS])])
def test_another_word_is_refused_with_those_there_are(front, words, listed):
    code, told, said = front(*words)
    assert (code, told) == (2, '')
    plain = ' '.join(said.replace('│', ' ').split())
    assert all(f"'{word}'" in plain for word in listed)


def test_the_shell_completes_them():
    told = run([phantom()], _PHANTOM_COMPLETE='complete_bash', COMP_WORDS='phantom export --to l', COMP_CWORD='3')
    assert told.stdout.split() == ['llama-factory']
    told = run([phantom()], _PHANTOM_COMPLETE='complete_bash', COMP_WORDS='phantom rate --preset tiny-', COMP_CWORD='3')
    assert told.stdout.split() == ['tiny-start', 'tiny-step1', 'tiny-step2']

