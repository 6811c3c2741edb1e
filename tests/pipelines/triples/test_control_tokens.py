"""Control tokens in texts: counted by source, bounded, and told in the card."""

from collections import Counter

from pipelines.triples.control_tokens import MOST_NAMED, OTHERS, control_tokens_of, count_control_tokens, markdown_control_tokens
from schemas.recipe import Model

MODELS = {'m': Model(model='m', revision='r', control_tokens=['@@turn@@'])}


def test_texts_that_hold_some_are_counted_by_source_and_token():
    texts = [('a', 'x <|im_end|> y <|im_end|>'), ('a', '</s> @@turn@@'), ('a', 'plain'), ('b', 'plain'), ('c', '<s>')]
    counts = count_control_tokens(texts, MODELS)
    found = control_tokens_of([counts, {'kept/sample/a': 3}, counts])
    assert found == {'a': {'texts': 4, 'tokens': {'</s>': 2, '<|im_end|>': 2, '@@turn@@': 2}}, 'c': {'texts': 2, 'tokens': {'<s>': 2}}}
    (card,) = markdown_control_tokens(found)
    assert '- a: 4 text(s), `` </s> `` in 2, `` <|im_end|> `` in 2' in card
    assert markdown_control_tokens({}) == []


def test_a_source_that_makes_them_up_fills_no_file():
    counts = count_control_tokens([('a', f'<|x{n}|>') for n in range(500)], MODELS)
    assert len(counts) == MOST_NAMED + 2
    found = control_tokens_of([counts, counts, Counter({f'control/a/<|y{n}|>': 1 for n in range(30)})])
    assert len(found['a']['tokens']) == MOST_NAMED + 1
    assert found['a']['texts'] == 1000
    assert sum(found['a']['tokens'].values()) == 1030
    assert found['a']['tokens'][OTHERS] > 900
