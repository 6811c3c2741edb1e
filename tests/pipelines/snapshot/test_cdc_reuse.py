"""The page walk of the chunk benchmark accounts for every byte, and 1 % of the rows changed keeps more than 90 % of the pages."""

import pyarrow.parquet as pq

import benchmarks.cdc_reuse as cdc


def test_the_pages_of_a_file_are_all_found(tmp_path):
    """Pages and their headers fill the column chunks: what is missing is headers only, fewer than 100 bytes a page."""
    path = cdc.write(tmp_path / 'a.parquet', [(number, False) for number in range(60)], {})
    found = cdc.pages(path)
    metadata = pq.ParquetFile(path).metadata
    columns = [metadata.row_group(g).column(c) for g in range(metadata.num_row_groups) for c in range(metadata.num_columns)]
    headers = sum(column.total_compressed_size for column in columns) - sum(size for _, size in found)
    assert 0 < headers < 100 * len(found)
    assert len(found) > len(columns)


def test_one_percent_of_the_rows_edited_left_out_or_added_keeps_most_pages(tmp_path):
    kept = cdc.report(300, tmp_path)
    assert {edit for edit, _ in kept} == {'other answers', 'rows left out', 'rows added'}
    for (edit, writing), (share_of_pages, share_of_bytes) in kept.items():
        if writing == 'as the pipeline writes':
            assert 0.9 < share_of_pages < 1, edit
            assert 0.95 < share_of_bytes < 1, edit
    assert min(share for (_, writing), (_, share) in kept.items() if writing.startswith('chunks of 256')) < 0.9
