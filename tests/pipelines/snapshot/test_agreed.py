"""What people are told of samples that contradict each other and of texts that are nearly the same, from a manifest alone."""

from pipelines.snapshot.agreed import agreement_lines, agreement_table

CONTRADICTIONS = {'groups': 2, 'by_source': {'a': {'samples': 5, 'groups': 2}, 'b': {'samples': 1_000, 'groups': 1}}}
NEAR = {'clusters': 3, 'members': {'a': {'a': 2, 'c': 4}, 'c': {'c': 1}}}
RECIPE = {'contradictions': 'majority', 'duplicates': {'text': 'drop'}}


def test_both_are_told_with_what_became_of_them_and_by_source():
    manifest = {'recipe': RECIPE, 'contradictions': CONTRADICTIONS, 'near_texts': NEAR}
    first, second = agreement_lines(manifest)
    assert first.startswith('contradictions: 2 question(s) ')
    assert first.endswith('in 1,005 sample(s) (contradictions: majority)')
    assert second == 'near texts: 3 cluster(s) about the same pictures, or none, with 7 sample(s) near the first of one (duplicates.text: drop)'
    cells = [list(column.cells) for column in agreement_table(manifest).columns]
    assert list(zip(*cells, strict=True)) == [('a', '2', '5', '6'), ('b', '1', '1,000', '0'), ('c', '0', '0', '1')]


def test_nothing_is_told_where_nobody_looked_and_nothing_found_is_a_line():
    assert list(agreement_lines({'recipe': RECIPE})) == []
    assert agreement_table({}) is None
    none = {'contradictions': {'groups': 0, 'by_source': {}}, 'near_texts': {'clusters': 0, 'members': {}}, 'recipe': RECIPE}
    assert [line.partition('(')[0] for line in agreement_lines(none)] == ['contradictions: 0 question', 'near texts: 0 cluster']
    assert agreement_table(none) is None
