from pipelines.replies.ledger import Spend
from pipelines.snapshot.report import markdown_cost
from schemas.accounting import Line


def test_cost_is_told_per_source_and_per_accepted_triple():
    lines = [Line('sample', 'a', 9, 9, {}), Line('candidate', 'a', 10, 4, {'LOW_MARGIN': 6}), Line('candidate', 'b', 3, 0, {'LOW_MARGIN': 3})]
    told = markdown_cost({'a': Spend(20, 300, 100, 0.2), 'b': Spend(6, 50, 10, 0.0)}, lines)
    assert '| a | 20 | 400 | 0.2000 | 100 | 0.050000 |' in told
    assert '| b | 6 | 60 | 0.0000 | - | - |' in told
    assert markdown_cost({}, lines) == ''
