"""The shortcut audit over the triples of a plan, its JSON and its section of the card."""

import math
from dataclasses import asdict

import pipelines.triples.selection
from curation.calibration.shortcut import ShortcutReport
from curation.selection.select import lot
from pipelines.engine.step import make_here
from pipelines.triples.shortcuts import AuditShortcuts, as_json, markdown_shortcuts, read_reports
from tests.pipelines.triples.few import candidate, few


def test_every_source_is_audited_over_all_parts_by_the_triples_with_the_lowest_lots(tmp_path, monkeypatch):
    rows = [candidate(n, f'wrong {n}', chosen=f'right {n}.') for n in range(120)] + [candidate(n, 'wrong', source='t') for n in range(3)]
    some = few(tmp_path, rows, parts=3)

    def audit(name):
        plan = make_here(some.selecting(), tmp_path / name)
        return read_reports(make_here(AuditShortcuts(plan, some.candidates), tmp_path / name)), plan.read('audited')

    (leaky, small), _ = audit('all')
    assert (leaky.source, leaky.n, small.source, small.n) == ('s', 120, 't', 3)
    assert leaky.low > 0.9
    assert math.isnan(small.auc)
    monkeypatch.setattr(pipelines.triples.selection, 'MAX_ROWS', 50)
    (fewer, _), audited = audit('fewer')
    assert fewer.n == 50
    drawn = [(part * 41 + at) for part, at in zip(audited['part'].to_pylist()[:50], audited['at'].to_pylist()[:50], strict=True)]
    assert set(drawn) == set(sorted(range(120), key=lambda n: lot(f'shortcut/s/{n}'))[:50]), 'whatever their place'


def test_the_card_names_leaks_and_sources_with_too_few_triples():
    reports = [ShortcutReport('a', 500, 0.9, 0.88, 0.92, 0.6), ShortcutReport('b', 500, 0.52, 0.48, 0.56, 0.5), ShortcutReport('c', 3, *[math.nan] * 4)]
    card = markdown_shortcuts(reports)
    assert '| a | 500 | 0.90 (0.88-0.92) | 0.60 | **a leak**' in card
    assert '| b | 500 | 0.52 (0.48-0.56) | 0.50 |  |' in card
    assert '| c | 3 | too few' in card
    assert as_json(reports)[0] == asdict(reports[0])
