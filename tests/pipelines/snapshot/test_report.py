from pipelines.snapshot.report import books_table, told_ignored
from schemas.accounting import Line, fold


def test_fields_that_nobody_reads_are_told_below_the_books_the_most_frequent_first():
    line, other = fold([{'in/record/a': 2, 'kept/record/a': 2, 'ignored/record/a/history': 1, 'ignored/record/a/x/y': 1},
                        {'in/record/a': 1300, 'kept/record/a': 1300, 'ignored/record/a/history': 1200}, {'in/sample/a': 3, 'kept/sample/a': 3}])
    assert line == Line('record', 'a', 1302, 1302, {}, {'history': 1201, 'x/y': 1})
    assert line.balanced
    assert told_ignored(line) == 'ignored: `history` in 1,201 records, `x/y` in 1 record'
    assert told_ignored(Line('record', 'a', 1, 1, {}, {'[bold]\nx': 1})) == 'ignored: `[bold] x` in 1 record'
    assert books_table('t', [line, other]).caption == f'a: {told_ignored(line)}'
    assert books_table('t', [other]).caption is None
