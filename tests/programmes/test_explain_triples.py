"""`phantom explain` takes every id that a triples snapshot shows, and tells the story of the candidate behind it."""

import pytest

from tests.programmes.project import rows_of
from tests.test_front_door import the_object


@pytest.fixture
def tell(front, built, tmp_path):
    def told(identifier, *words):
        return front('explain', identifier, '--build', built.out, '--png', tmp_path / 'a.png', *words)

    return told


def test_a_triple_tells_who_proposed_it_and_what_the_judge_said(built, tell):
    row = next(row for row in rows_of(built.out / 'triples') if len(row['reply_keys']) > 1 and row['generator'] != 'rules')
    code, told, _ = tell(row['triple_id'])
    lines = told.splitlines()
    assert code == 0
    assert lines[0].startswith(f'candidate {row["triple_id"]} (source {row["source"]}, split train): in: its triple has this id')
    assert f'  of sample {row["sample_id"]}' in lines
    assert any(line.startswith('  candidate: ') and row['rejected'][0]['content'][0]['text'][:20] in line for line in lines)
    assert any(line.startswith(f'  proposed by {row["generator"]} as {row["kind"]}, reply {row["reply_keys"][0][:16]} of ') for line in lines)
    assert any(line.startswith(f'  judged by {row["judge"]}: score {row["score"]:.6g}') for line in lines)
    assert sum(line.startswith('    asked, reply ') for line in lines) == len(row['reply_keys']) - 1
    found = the_object(tell(row['triple_id'], '--json'), 'explain')
    assert found['candidate']['decision'] == {'in': True, 'reason': '', 'detail': ''}
    assert found['candidate']['verdict']['score'] == row['score']
    assert {reply['key'] for reply in found['candidate']['replies']} == set(row['reply_keys'])
    assert found['lines'] == lines


def test_every_id_of_the_triples_and_their_rejections_is_known(built, tell):
    ids = {row['triple_id'] for row in rows_of(built.out / 'triples')} | {row['id'] for row in rows_of(built.out / 'triples', 'rejections')}
    by_source = {identifier.partition('/')[0]: identifier for identifier in sorted(ids)}
    for identifier in by_source.values():
        assert tell(identifier)[0] == 0


def test_a_candidate_that_is_out_says_why(built, tell):
    judged = [row for row in rows_of(built.out / 'triples', 'rejections') if row['unit'] == 'candidate']
    for row in {row['reason']: row for row in judged}.values():
        told = tell(row['id'])[1]
        assert f'{row["reason"]}: {row["detail"].splitlines()[0][:60]}' in told


def test_a_sample_says_what_became_of_its_candidates(built, tell):
    row = rows_of(built.out / 'triples')[0]
    assert f'  candidate {row["triple_id"]}: in: its triple has this id' in tell(row['sample_id'])[1].splitlines()
    found = the_object(tell(row['sample_id'], '--json'), 'explain')
    assert row['triple_id'] in [each['candidate_id'] for each in found['sample']['candidates'] if each['decision']['in']]
    assert found['candidate'] is None


def test_a_reply_says_what_it_was_used_for(built, tell):
    row = next(row for row in rows_of(built.out / 'triples') if len(row['reply_keys']) > 1 and row['generator'] != 'rules')
    for key in row['reply_keys'][:2]:
        told = tell(key)[1].splitlines()
        assert told[0].startswith(f'reply {key} of ')
        assert f'  used for candidate {row["triple_id"]}' in told or len(told) > 12


def test_another_id_is_one_message(tell):
    code, told, said = tell('shapes/none#1/0/paper-0.0')
    assert (code, told) == (2, '')
    assert 'of a triple or candidate (sample/prompt-number.attempt) or of a reply of the build in' in said
