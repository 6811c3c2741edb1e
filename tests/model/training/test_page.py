"""The page of a run: curves and replies that nothing in the data can turn into something else."""

from xml.etree import ElementTree

import pytest

from model.training.curves import draw_chart, thin, ticks
from model.training.page import MAX_CHARS, Question, render_page
from tests.model.training.snapshots import COLOURS, png

STEPS = [{'step': step, 'loss': 5 / step, 'accuracy': 0.5, 'lr': 1e-3, 'grad_norm': 1.0, 'margin': None, 'po': None} for step in range(1, 9)]


def look(step: int, reply: str, *, right: bool = False, row: str = 'a/b#1/0:1', question: str = 'What?', chosen: str = 'red') -> dict:
    generation = {'row': row, 'question': question, 'chosen': chosen, 'reply': reply, 'right': right}
    return {'step': step, 'loss': 1.0, 'exact_match': 0.5, 'accuracy': 0.5, 'margin': 0.1, 'rows': 4, 'generations': [generation]}


def test_nothing_of_the_data_becomes_markup_or_comes_from_elsewhere():
    nasty = '</bdi><script src="http://x/">alert(1)</script><img src=x onerror=alert(2)> \x1b[31m \x00 & "quoted" \u202egnp'
    page = render_page(nasty, STEPS, [Question(nasty, (png(COLOURS['red']), b'junk <b>'))], [look(4, nasty, row=nasty, question=nasty, chosen=nasty)])
    assert '<script' not in page
    assert '<img src=x' not in page
    assert '\x00' not in page
    assert '\x1b' not in page
    assert page.count('<img') == 1
    assert 'src="data:image/png;base64,' in page
    assert 'http://x' not in page.replace('src=&quot;http://x/', '')
    assert "default-src 'none'" in page
    assert '(picture not one of' in page or '(picture ' in page


def test_the_last_reply_is_shown_and_those_before_it_where_they_differed():
    looks = [look(2, 'blue'), look(4, 'blue'), look(6, 'green'), look(8, 'red', right=True)]
    page = render_page('run', STEPS, [Question('a/b#1/0:1', ())], looks, best_by='loss')
    assert '2 other replies before' in page
    assert page.index('✓ <bdi>red') < page.index('step 2: <span class="wrong">✗ <bdi>blue') < page.index('step 6:')
    assert 'step 4:' not in page
    assert 'best by loss: step 2' in page
    assert 'last: step 8' in page


def test_an_empty_reply_and_an_endless_one_are_shown_as_such():
    page = render_page('run', [], [Question('a/b#1/0:1', ())], [look(2, '')])
    assert '<i>(nothing)</i>' in page
    page = render_page('run', [], [Question('a/b#1/0:1', ())], [look(2, 'x' * 10**6)])
    assert '(1,000,000 characters)' in page
    assert page.count('x') < 3 * MAX_CHARS


def test_a_run_that_is_not_validated_has_curves_only():
    page = render_page('run', STEPS, [], [])
    assert '<figure>' in page
    assert '<article>' not in page


def test_curves_are_well_formed_and_leave_out_what_is_no_number():
    chart = draw_chart('a <b>', {'x & y': [(1, 2.0), (2, None), (3, float('nan')), (4, 5.0)], 'nothing': [(1, None)]})
    tree = ElementTree.fromstring(chart)
    assert len(tree.findall('.//polyline')) == 1
    assert len(tree.find('.//polyline').get('points').split()) == 2
    assert draw_chart('none', {'x': [(1, None)]}) == ''
    assert '<polyline' in draw_chart('one point', {'x': [(3, 0.0)]})


def test_long_curves_are_thinned_to_means():
    assert thin([(step, 1.0 if step % 2 else 3.0) for step in range(1000)], most=100)[0] == (4.5, 2.0)
    assert len(thin([(step, 0.0) for step in range(100_001)], most=400)) <= 400
    assert thin([(1, 2.0)], most=100) == [(1, 2.0)]


@pytest.mark.parametrize(('low', 'high'), [(0, 1), (0.123, 0.124), (-3e-9, 5e7), (7, 7), (0, 0), (1e-6, 1e-5), (-2, -2)])
def test_ticks_are_few_and_hold_the_range(low, high):
    found = ticks(low, high)
    assert 3 <= len(found) <= 8
    assert found[0] <= low + 1e-12 * abs(low)
    assert found[-1] >= high - 1e-12 * abs(high)
