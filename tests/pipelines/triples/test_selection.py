"""The decision on candidates: late differences, texts that come in masses, and what is decided first."""

from collections import Counter

import pytest

from pipelines.engine.step import make_here
from tests.pipelines.triples.few import candidate, few, verdict


@pytest.fixture
def select(tmp_path_factory):
    def decide(candidates, *, scores=None, parts=1, **thresholds):
        folder = tmp_path_factory.mktemp('select')
        verdicts = None if scores is None else [verdict(of, score) for of, score in zip(candidates, scores, strict=True)]
        table = make_here(few(folder, candidates, verdicts, parts=parts).selecting(**thresholds), folder / 'out')
        out = table.read('out').to_pylist()
        return table.read().num_rows, Counter(row['reason'] for row in out), [row['detail'] for row in out]

    return decide


def test_a_triple_whose_answers_differ_too_late_is_rejected_with_the_place(select):
    rows = [candidate(0, 'a', differs_at=511), candidate(1, 'b', differs_at=512), candidate(2, 'c', differs_at=4000)]
    kept, reasons, details = select(rows, differ_within=512)
    assert (kept, reasons) == (1, {'DIFFERS_LATE': 2})
    assert '4000' in details[1]
    assert 'within 512' in details[0]


def test_without_a_bound_none_is_late(select):
    assert select([candidate(0, 'a', differs_at=4000)]) == (1, {}, [])


def test_thirty_of_thirty_three_that_read_incorrect_or_wrong_are_rejected(select):
    rows = [candidate(n, text) for n, text in enumerate(['incorrect'] * 18 + ['Wrong.'] * 6 + ['wrong'] * 6 + ['a cat', 'a dog', 'a cow'])]
    kept, reasons, details = select(rows, parts=3)
    assert (kept, reasons) == (3, {'MASS_ANSWER': 30})
    assert details[0] == "18 of 33 accepted answers of s read 'incorrect'"
    assert details[-1].startswith('12 of 33')


def test_each_source_is_counted_by_itself(select):
    rows = [candidate(n, 'unclear' if n % 2 else f'w{n}') for n in range(40)] + [candidate(n, f'x{n % 10}', source='t') for n in range(40)]
    kept, reasons, _ = select(rows)
    assert (kept, reasons) == (60, {'MASS_ANSWER': 20})


def test_only_accepted_answers_are_counted(select):
    """30 of 60 candidates say so, but the judge takes 2 of them."""
    rows = [candidate(n, 'unclear' if n < 30 else f'w{n}') for n in range(60)]
    kept, reasons, _ = select(rows, scores=[-1.0] * 28 + [1.0] * 32)
    assert (kept, reasons) == (32, {'LOW_MARGIN': 28})


@pytest.mark.parametrize(
    ('chosen', 'rejected'),
    [
        (['yes'] * 38 + ['no'] * 2, ['no'] * 38 + ['yes'] * 2), (['Yes'] * 40, ['No'] * 40), (['A'] * 40, ['B'] * 20 + ['C'] * 20), (['True'] * 40, ['False'] * 40),
        (['red', 'blue', 'green', 'teal'] * 10, ['blue', 'green', 'teal', 'red'] * 10), (['2', '3', '4'] * 20, ['3', '4', '2'] * 20),
    ],
)
def test_closed_sets_of_answers_are_no_mass(select, chosen, rejected):
    rows = [candidate(n, wrong, chosen=right) for n, (right, wrong) in enumerate(zip(chosen, rejected))]
    assert select(rows)[:2] == (len(rows), {})


def test_a_small_source_has_no_masses(select):
    assert select([candidate(n, 'the same text') for n in range(19)])[0] == 19
    assert select([candidate(n, 'the same text') for n in range(20)])[1] == {'MASS_ANSWER': 20}


def test_beside_yes_and_no_another_text_that_is_too_much_is_found(select):
    rows = [candidate(n, 'no', chosen='yes') for n in range(30)] + [candidate(n, 'unclear', chosen='yes') for n in range(30, 60)]
    assert select(rows)[:2] == (30, {'MASS_ANSWER': 30})


def test_an_exact_number_is_filled_without_masses(select):
    rows = [candidate(n, 'incorrect' if n < 20 else f'w{n}') for n in range(40)]
    kept, reasons, _ = select(rows, exactly={'s': 10}, per_sample=1)
    assert (kept, reasons) == (10, {'MASS_ANSWER': 20, 'SURPLUS': 10})
