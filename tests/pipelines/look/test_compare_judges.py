"""Two sealed snapshots' judges side by side: which cases are shared, what each costs, and the sentence a person acts on."""

import csv
import io
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.look.compare_judges import compare_judges, print_compared, verdict_on
from pipelines.triples.cases import FILE, SEALED
from schemas.errors import UserError
from tests.pipelines.snapshot.sealed import rejection, says, seal_rows, triple

JUDGE = 'm (r1), yes_no'


def planted(n: int, score: float | None, **other: object) -> dict:
    """Return one case; every third is good."""
    return {
        'case_id': f'c{n}', 'sample_id': f's{n // 3}', 'source': 'facts', 'plant': 'equal', 'question': f'q{n}?', 'chosen': 'a', 'candidate': 'b',
        'accept': n % 3 == 0, 'rule': '', 'mode': 'yes_no', 'score': score, 'scores': '{}', 'reason': '' if score is not None else 'UNPARSABLE_VERDICT',
        'detail': '', 'requests': 2, 'prompt_tokens': 100, 'completion_tokens': 2, **other,
    }  # fmt: skip


def sure(n: int) -> float:
    return (1.0 if n % 3 == 0 else -1.0) + n % 7 / 10


def unsure(n: int) -> float:
    return (n * 7919 % 101 - 50) / 50


def sealed(folder, cases, kept=(), refused=(), prompt=None, **model):
    judge = {'model': 'm', 'mode': 'yes_no', 'margin': 0.0, **({'prompt': prompt} if prompt else {})}
    recipe = {'judge': judge, 'models': {'m': {'model': 'm', 'revision': 'r1', **model}}}
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(cases), SEALED), out)
    extras = {FILE: out.getvalue()} if cases else {}
    return seal_rows(folder, 'triples', list(kept) or [triple(0)], list(refused), extras=extras, recipe=recipe,
                     calibration={'judge': JUDGE, 'reports': []})


def test_the_better_judge_is_named_with_what_a_verdict_takes(tmp_path, capsys):
    mine = {'file': 'prompts/sure.md', 'text': '{question} {candidate}?'}
    a = sealed(tmp_path / 'a', [planted(n, unsure(n)) for n in range(120)], price_prompt=1.0)
    b = sealed(tmp_path / 'b', [planted(n, sure(n), prompt_tokens=150) for n in range(120)], prompt=mine, price_prompt=1.0)
    print_compared(compare_judges(a, b), tmp_path / 'told.json')
    said = capsys.readouterr().out
    assert f'A: {JUDGE} (prompt: ours of mode yes_no)' in said
    assert re.search(r'B: .*\(prompt: prompts/sure\.md, text [0-9a-f]{8}\)', said)
    assert re.search(r'on the planted cases: B is better, its AUC is 0\.\d+ higher \(0\.\d+ to 0\.\d+\)', said)
    assert re.search(r'prompt tokens a verdict .* 100 .* 150 .* x 1\.50', said)
    told = json.loads((tmp_path / 'told.json').read_text())
    assert told['better'] == {'planted': 'b'}
    assert (told['spent'][0]['money'], told['spent'][1]['money']) == (pytest.approx(1e-4), pytest.approx(1.5e-4))
    assert told['beside'][0]['found'][0]['auc']['b']['value'] == 1.0
    assert 'A is better' in verdict_on(compare_judges(b, a).beside[0])


def test_no_difference_is_said_where_the_cases_show_none(tmp_path):
    a, b = (sealed(tmp_path / name, [planted(n, unsure(n + shift)) for n in range(120)]) for name, shift in (('a', 0), ('b', 40)))
    assert re.search('no difference that these 120 cases can show .*more cases may', verdict_on(compare_judges(a, b).beside[0]))
    few = sealed(tmp_path / 'few', [planted(n, sure(n)) for n in range(12)])
    assert 'too few that both have scored (4 good, 8 bad)' in verdict_on(compare_judges(few, few).beside[0])


def test_only_cases_with_the_same_words_are_shared_and_the_servers_failing_is_nobodys(tmp_path):
    a = sealed(tmp_path / 'a', [planted(n, sure(n)) for n in range(60)])
    other = [planted(n, sure(n), candidate='c') for n in range(9)] + [planted(n, None, reason='GIVEN_UP') for n in range(9, 12)]
    other += [planted(n, None if n == 30 else sure(n)) for n in range(12, 66)]
    (beside,) = compare_judges(a, sealed(tmp_path / 'b', other)).beside
    assert (beside.n, beside.only) == (48, (12, 15))
    assert beside.found[0].unread == (0, 1)
    assert beside.found[0].lost.b.value == pytest.approx(1 / 16)


def test_what_cannot_be_compared_is_refused_with_what_to_do(tmp_path):
    a = sealed(tmp_path / 'a', [planted(n, sure(n)) for n in range(30)])
    with pytest.raises(UserError, match=r'expected planted cases \(calibration/cases\.parquet\), found none; .*phantom select'):
        compare_judges(a, sealed(tmp_path / 'old', []))
    with pytest.raises(UserError, match='found 30 and 30, none in common; they are the same where both builds have the same sources and mix'):
        compare_judges(a, sealed(tmp_path / 'b', [planted(n, sure(n), question='other') for n in range(30)]))


def test_replies_that_are_gone_leave_the_cost_open(tmp_path, capsys):
    a = sealed(tmp_path / 'a', [planted(n, sure(n), prompt_tokens=None) for n in range(60)])
    b = sealed(tmp_path / 'b', [planted(n, sure(n)) for n in range(60)])
    print_compared(compare_judges(a, b), None)
    assert re.search(r'prompt tokens a verdict .*\? .*100', capsys.readouterr().out)


def kept(n, score):
    return triple(n, judge=JUDGE, score=score, source='facts', chosen=[says('assistant', 'right')], rejected=[says('assistant', 'wrong')])


def refused(n, score, reason='LOW_MARGIN'):
    return rejection(n, reason, source='facts', judge=JUDGE, score=score, chosen='right', rejected='wrong', sample_id=f'facts/file.json#{n}/0')


def test_labelled_candidates_stand_for_as_many_as_their_side_has(tmp_path):
    """A accepts 60 and refuses 20; 20 of each are labelled, so that an accepted one stands for three. B refuses what is bad."""
    cases = [planted(n, sure(n)) for n in range(60)]
    a = sealed(tmp_path / 'a', cases, [kept(n, 1 + n / 100) for n in range(60)], [refused(n, -1 - n / 100) for n in range(60, 80)])
    good = {f'facts/file.json#{n}/0/rules-0.0': n % 4 != 0 for n in (*range(20), *range(60, 80))}
    b = sealed(tmp_path / 'b', cases, [kept(n, 1.0) for n in range(80) if n % 4], [
        *(refused(n, -1.0) for n in range(4, 80, 4)), refused(0, None, 'UNPARSABLE_VERDICT')])
    path = tmp_path / 'labels.csv'
    short = json.loads((a / 'manifest.json').read_text())['snapshot_id'][:12]
    with open(path, 'w', newline='', encoding='utf-8') as file:
        csv.writer(file).writerows([('snapshot', 'id', 'label'), *((short, name, 'good' if is_good else 'rejected-is-right') for name, is_good in good.items())])
    for both in ((a, b), (b, a)):
        planted_, labelled = compare_judges(*both, path).beside
        assert labelled.n == 40
        (found,) = labelled.found
        of_a, of_b = (found.caught.a, found.caught.b) if both[0] == a else (found.caught.b, found.caught.a)
        assert of_a.value == pytest.approx(5 / (5 * 3 + 5)), 'the five bad ones that it refuses, of five more that stand for fifteen'
        assert of_b.value == 1.0
        assert sum(found.unread) == 1
        assert found.better == ('b' if both[0] == a else 'a')
    path.write_text('snapshot,id,label\nx,y,good\n')
    with pytest.raises(UserError, match=f'expected a row of snapshot {short}'):
        compare_judges(a, b, path)


@pytest.mark.parametrize(('out', 'found'), [('a', 'found a folder'), ('none/told.json', 'found no folder ')])
def test_a_place_for_no_file_is_refused_before_anything_is_printed(out, found, tmp_path, capsys):
    a = sealed(tmp_path / 'a', [planted(n, sure(n)) for n in range(30)])
    with pytest.raises(UserError, match=f'expected the name of a JSON file, {found}'):
        print_compared(compare_judges(a, a), tmp_path / out)
    assert not capsys.readouterr().out
    assert not list(tmp_path.rglob('*.tmp'))
