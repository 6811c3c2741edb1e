"""What calls cost and who answered them, in the card and on a terminal."""

from dataclasses import asdict
from io import StringIO

from rich.console import Console

from pipelines.chat.served import MOST_WORDS, count_served, mixed, served_by
from pipelines.replies.ledger import Spend
from pipelines.snapshot.costs import cost_table, markdown_cost, markdown_served, print_mixed, served_table
from schemas.accounting import Line
from schemas.replies import Failure, Reply

LINES = [Line('sample', 'a', 9, 9, {}), Line('candidate', 'a', 10, 4, {'LOW_MARGIN': 6}), Line('candidate', 'b', 3, 0, {'LOW_MARGIN': 3})]


def printed(table) -> str:
    console = Console(width=200, record=True, file=StringIO())
    console.print(table)
    return console.export_text()


def reply(words: str) -> Reply:
    return Reply('0' * 64, 'm', 'r1', 'yes', 'stop', 1, 1, served_by=words)


def test_cost_is_told_per_source_and_per_accepted_triple():
    told = markdown_cost({'a': Spend(20, 300, 100, 0.2), 'b': Spend(6, 50, 10, 0.0)}, LINES)
    assert '| a | 20 | 0 | 400 | 0.2000 | 100 | 0.050000 |' in told
    assert '| b | 6 | 0 | 60 | 0.0000 | - | - |' in told
    assert 'counted by us' not in told
    assert 'no reply' not in told
    assert markdown_cost({}, LINES) == ''


def test_tokens_that_we_counted_and_tries_without_a_reply_are_told_apart_in_card_and_terminal():
    spent = {'a': Spend(20, 300, 100, 0.2, tries=3, counted_tokens=250), 'b': Spend(6, 1000, 10, 0.0, counted_tokens=1010)}
    told = markdown_cost(spent, LINES)
    assert '| a | 20 | 3 | 400 |' in told
    assert '1,260 of the tokens were counted by us' in told
    assert '3 of the requests brought no reply' in told
    cost = {'total': asdict(sum(spent.values(), Spend())), 'by_source': {name: asdict(spend) for name, spend in spent.items()}}
    shown = printed(cost_table(cost))
    assert '1,260 of the tokens were counted by us' in shown
    assert [word for word in ('26', '1,300', '110') if word not in shown] == []


def test_a_manifest_of_before_is_shown_too():
    before = {'requests': 7, 'prompt_tokens': 10, 'completion_tokens': 5, 'money': 0.5}
    assert '7' in printed(cost_table({'total': before, 'by_source': {'a': before}}))


def test_calls_are_counted_by_what_the_server_says_of_itself_and_those_to_come_are_not():
    pending = Failure('0' * 64, 'transport', 'x', True, served_by='model toy')
    final = Failure('0' * 64, 'length', 'x', False, served_by='model toy; version B')
    counts = count_served('gen', [reply('model toy; version A'), reply('model toy; version A'), reply(''), pending, final])
    assert counts == {'served/gen/model toy; version A': 2, 'served/gen/(not told)': 1, 'served/gen/model toy; version B': 1}
    found = served_by([counts, {'in/sample/a': 5}, {'served/gen/model toy; version B': 4, 'served/judge/x/y': 1}])
    assert found == {'gen': {'model toy; version B': 5, 'model toy; version A': 2, '(not told)': 1}, 'judge': {'x/y': 1}}
    assert mixed(found) == {'gen': ['model toy; version B', 'model toy; version A']}


def test_words_that_differ_with_each_reply_fill_no_file():
    counts = count_served('m', [reply(f'req-{number:03}') for number in range(100)])
    assert len(counts) == MOST_WORDS + 1
    assert counts['served/m/(other words)'] == 100 - MOST_WORDS
    twice = served_by([counts, count_served('m', [reply(f'req-{number:03}') for number in range(100, 200)])])
    assert len(twice['m']) == MOST_WORDS + 1
    assert sum(twice['m'].values()) == 200


def test_one_that_does_not_tell_beside_one_that_does_is_no_mix():
    """Replies of a store of before tell nothing."""
    assert mixed({'m': {'(not told)': 3, 'A': 1}, 'n': {'A': 1}}) == {}


def test_a_mix_is_told_in_the_card_on_the_terminal_and_by_the_build(capsys):
    served = {'gen': {'toy; [bold]A|-1': 30, 'toy; B': 2}, 'judge': {'(not told)': 5}}
    card = markdown_served(served)
    assert '| gen | toy&#59; &#91;bold&#93;A&#124;-1 | 30 |' in card
    assert '**models.gen: one build mixes the replies of 2 servers or versions' in card
    shown = printed(served_table(served))
    assert 'toy; [bold]A|-1' in shown
    assert 'models.gen: one build mixes' in shown
    print_mixed(served)
    assert 'toy; [bold]A|-1 (30 calls); toy; B (2 calls)' in capsys.readouterr().out
    print_mixed({'gen': {'A': 3}})
    assert capsys.readouterr().out == ''
    assert markdown_served({}) == ''
    assert 'mixes' not in markdown_served({'gen': {'A': 3}})
