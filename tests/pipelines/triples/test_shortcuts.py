"""The shortcut audit over finished rows, its JSON and its section of the card."""

import math
from dataclasses import asdict

import pyarrow.parquet as pq

import pipelines.triples.shortcuts
from curation.calibration.shortcut import ShortcutReport
from pipelines.engine.tables import ShardWriter, Table
from pipelines.triples.shortcuts import AuditShortcuts, as_json, markdown_shortcuts
from tests.pipelines.snapshot.sealed import says, seal_rows, triple


def test_every_source_is_audited_over_all_files_in_bounded_rows(tmp_path, monkeypatch):
    rows = [triple(i, source='leaky', chosen=[says('assistant', f'right {i}.')]) for i in range(120)] + [triple(200 + i, source='few') for i in range(3)]
    folder = seal_rows(tmp_path / 's', 'triples', {'train': [rows[::2], rows[1::2]]})
    for number, path in enumerate(sorted((folder / 'data').iterdir())):
        path.rename(folder / f'part-{number:05d}.parquet')

    def audit(number):
        writer = ShardWriter(tmp_path, number)
        AuditShortcuts(Table(folder)).process(0, writer)
        writer.close()
        return [ShortcutReport(**row) for row in pq.read_table(tmp_path / f'part-{number:05d}.parquet').to_pylist()]

    few, leaky = audit(0)
    assert (leaky.source, leaky.n, few.n) == ('leaky', 120, 3)
    assert leaky.low > 0.9
    assert math.isnan(few.auc)
    monkeypatch.setattr(pipelines.triples.shortcuts, 'MAX_ROWS', 50)
    assert audit(1)[1].n == 50


def test_the_card_names_leaks_and_sources_with_too_few_triples():
    reports = [ShortcutReport('a', 500, 0.9, 0.88, 0.92, 0.6), ShortcutReport('b', 500, 0.52, 0.48, 0.56, 0.5), ShortcutReport('c', 3, *[math.nan] * 4)]
    card = markdown_shortcuts(reports)
    assert '| a | 500 | 0.90 (0.88-0.92) | 0.60 | **a leak**' in card
    assert '| b | 500 | 0.52 (0.48-0.56) | 0.50 |  |' in card
    assert '| c | 3 | too few' in card
    assert as_json(reports)[0] == asdict(reports[0])
