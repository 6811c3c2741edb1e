"""A checkpoint evaluated on a small benchmark file."""

import io
import json
import os
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from model.evaluation.evaluate import answer, compare_results, evaluate, format_results, format_table, read_items
from model.evaluation.rules import BENCHES
from model.phantom.build import build_scratch, load_model
from model.phantom.tiling import join_images
from model.training.settings import load_preset
from schemas.errors import UserError
from schemas.records import BENCH_ITEMS
from schemas.refusals import refusal_of
from tests.model.training.snapshots import COLOURS, png


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    folder = tmp_path_factory.mktemp('model')
    model, processor = build_scratch(load_preset('tiny').model, seed=0)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope='module')
def items(tmp_path_factory):
    path = tmp_path_factory.mktemp('bench') / 'b.parquet'
    picture = {'bytes': png(COLOURS['red']), 'path': ''}
    rows = [
        {
            'bench': 'b',
            'item_id': str(index),
            'question': 'Which?' + ' Tell me.' * index,
            'options': ['red', 'blue'],
            'answer': 'A',
            'images': [picture] * index,
            'meta': '{"category": "c"}',
        }
        for index in range(5)
    ]
    pq.write_table(pa.Table.from_pylist(rows, schema=BENCH_ITEMS), path)
    return path


def test_every_item_gets_a_reply_and_a_score_whatever_the_batch(checkpoint, items, tmp_path, capsys):
    result = evaluate(checkpoint, items, tmp_path / 'a', bench='mmstar', batch_rows=2)
    assert result['items'] == 5
    assert {'score', 'accuracy/c', 'unread'} <= set(result)
    lines = [json.loads(line) for line in (tmp_path / 'a' / 'items.jsonl').read_text().splitlines()]
    assert [line['item']['item_id'] for line in lines] == ['0', '1', '2', '3', '4']
    assert json.loads((tmp_path / 'a' / 'score.json').read_text()) == result
    assert 'paper' in capsys.readouterr().out
    evaluate(checkpoint, items, tmp_path / 'b', bench='mmstar', batch_rows=5, quiet=True)
    assert (tmp_path / 'b' / 'items.jsonl').read_text() == (tmp_path / 'a' / 'items.jsonl').read_text()


def test_batches_with_none_to_four_pictures_answer_as_single_items_do(checkpoint, items):
    model, processor = load_model(checkpoint)
    model.eval()
    rows = list(read_items(items))
    together = answer(model, processor, 'mmstar', [{**row, 'images': row['images'][:4]} for row in rows], beams=2)
    alone = [answer(model, processor, 'mmstar', [row], beams=2)[0] for row in rows]
    assert together == alone
    assert len(set(alone)) > 1  # so that a mix-up would be seen


def count_answers(monkeypatch):
    asked = []

    def counted(model, processor, bench, items, *, beams):
        asked.extend(item['item_id'] for item in items)
        return answer(model, processor, bench, items, beams=beams)

    monkeypatch.setattr('model.evaluation.evaluate.answer', counted)
    return asked


def test_a_killed_evaluation_goes_on_and_a_torn_line_is_answered_again(checkpoint, items, tmp_path, monkeypatch):
    evaluate(checkpoint, items, tmp_path / 'whole', bench='mmstar', quiet=True)
    asked = count_answers(monkeypatch)
    evaluate(checkpoint, items, tmp_path / 'cut', bench='mmstar', batch_rows=2, max_items=3, quiet=True)
    log = tmp_path / 'cut' / 'replies.jsonl'
    log.write_bytes(log.read_bytes()[:-5])
    assert asked == ['0', '1', '2']
    evaluate(checkpoint, items, tmp_path / 'cut', bench='mmstar', batch_rows=2, quiet=True)
    assert asked == ['0', '1', '2', '2', '3', '4']
    evaluate(checkpoint, items, tmp_path / 'cut', bench='mmstar', quiet=True)
    assert len(asked) == 6
    for name in ('items.jsonl', 'score.json'):
        assert (tmp_path / 'cut' / name).read_bytes() == (tmp_path / 'whole' / name).read_bytes()


def test_replies_of_another_checkpoint_or_garbage_are_refused(checkpoint, items, tmp_path):
    evaluate(checkpoint, items, tmp_path, bench='mmstar', max_items=1, quiet=True)
    with pytest.raises(UserError, match='beams 3 instead of 1; choose another --out'):
        evaluate(checkpoint, items, tmp_path, bench='mmstar', max_items=1, beams=1, quiet=True)
    log = tmp_path / 'replies.jsonl'
    log.write_text(log.read_text().replace('checkpoint": "', 'checkpoint": "0'))
    with pytest.raises(UserError, match='expected replies of this checkpoint, found checkpoint'):
        evaluate(checkpoint, items, tmp_path, bench='mmstar', max_items=1, quiet=True)
    log.write_text('not json\n')
    with pytest.raises(UserError, match='expected replies, one JSON object a line'):
        evaluate(checkpoint, items, tmp_path, bench='mmstar', max_items=1, quiet=True)


def test_what_is_not_there_stands_beside_the_figures(checkpoint, items, tmp_path):
    result = evaluate(checkpoint, items, tmp_path, bench='mmstar', max_items=2, quiet=True)
    assert (result['only_first'], result['missing'][0]) == (2, 'coarse perception')
    table = format_table('mmstar', result)
    assert 'only the first 2 items' in table
    assert 'not in this copy of the benchmark: coarse perception, ' in table


def test_a_picture_that_does_not_decode_is_named(checkpoint, tmp_path):
    row = {'bench': 'b', 'item_id': 'x7', 'question': '?', 'options': [], 'answer': 'A', 'images': [{'bytes': b'GIF', 'path': ''}], 'meta': '{}'}
    pq.write_table(pa.Table.from_pylist([row], schema=BENCH_ITEMS), tmp_path / 'b.parquet')
    with pytest.raises(UserError, match='benchmark mmstar, item x7: its picture .*; download the benchmark again'):
        evaluate(checkpoint, tmp_path / 'b.parquet', tmp_path, bench='mmstar', quiet=True)


def test_judged_benchmarks_get_replies_and_no_score(checkpoint, items, tmp_path, monkeypatch):
    monkeypatch.setitem(BENCHES, 'llava-w', replace(BENCHES['llava-w'], max_new_tokens=4))
    result = evaluate(checkpoint, items, tmp_path, bench='llava-w', max_items=1, quiet=True)
    assert not {'score', 'unread'} & set(result)
    assert json.loads((tmp_path / 'items.jsonl').read_text())['found'] is None


@pytest.mark.parametrize(
    ('bench', 'message'), [('nosuch', 'expected one of .*chartqa'), ('sqa', 'expected the Parquet file')]
)
def test_unknown_benchmarks_and_missing_files_are_named(checkpoint, tmp_path, bench, message):
    with pytest.raises(UserError, match=message):
        evaluate(checkpoint, tmp_path / 'none.parquet', tmp_path, bench=bench)


def test_a_place_that_cannot_be_written_is_told(checkpoint, items, tmp_path, monkeypatch):
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match='--out .*file/x: expected a folder that can be written'):
        evaluate(checkpoint, items, tmp_path / 'file' / 'x', bench='mmstar', quiet=True)

    def full(source, target):
        if Path(target).name == name:
            raise OSError(28, 'No space left on device')
        rename(source, target)

    rename = os.replace
    monkeypatch.setattr('os.replace', full)
    for name in ('replies.jsonl', 'items.jsonl'):
        with pytest.raises(UserError, match=rf'{name}: .*the disk is full \(ENOSPC\)'):
            evaluate(checkpoint, items, tmp_path / 'out', bench='mmstar', max_items=1, quiet=True)


def test_results_stand_beside_the_papers(tmp_path):
    """ChartQA's own figure is the mean of both splits; the released evaluation prints the augmented one, which the paper's is put beside."""
    judge = {'model': 'j', 'server': 'http://h/v1', 'version': '1.2'}
    scores = {
        'mme': {'score': 1743.25},
        'chartqa': {'score': 75.0, 'relaxed/augmented': 100.0, 'missing': [], 'unread': 1},
        'mm-vet': {'judge': judge, 'unread': 2, 'score': 10.0},
        'other': {'score': 5.0},
    }
    for name, score in scores.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / 'score.json').write_text(json.dumps({'bench': name, 'items': 7, **score}))
    rows = compare_results(tmp_path)
    assert json.loads((tmp_path / 'results.json').read_text()) == rows
    head, *lines = format_results(rows).splitlines()
    assert [line.split() for line in lines[:4]] == [
        ['chartqa*', '7', '75.0', '100.0', '78.0', '87.0', '87.3', '87.8'],
        ['mm-vet*', '7', '10.0', '10.0', '45.7', '54.1', '54.4', '70.8'],
        ['mme', '7', '1743.2', '1743.2', '1743', '1885', '2046', '2126'],
        ['other', '7', '5.0', '5.0', '-', '-', '-', '-'],
    ]
    assert lines[5:] == [
        '* chartqa: 1 replies name no answer; in items.jsonl their `found` is null',
        '* mm-vet: judged by j at http://h/v1 (version 1.2); 2 replies of the judge could not be read; they stand in judged.jsonl as `unread`',
    ]
    with pytest.raises(UserError, match='expected score.json'):
        compare_results(tmp_path / 'mme' / 'none')
    (tmp_path / 'mme' / 'score.json').write_text('{"bench"')
    with pytest.raises(UserError, match='expected the results of `phantom eval`'):
        compare_results(tmp_path)


def told(tmp_path, **score):
    (tmp_path / 'score.json').write_text(json.dumps({'items': 8, **score}))
    return format_results(compare_results(tmp_path)).splitlines()[-1].partition(': ')[2]


def test_results_say_who_answered_what_waits_and_what_fell_to_a_default(tmp_path):
    one, other = {'served_by': 'j; version 1; at http://a', 'replies': 6}, {'served_by': 'j; version 2; at http://b', 'replies': 2}
    judge = {'model': 'j', 'revision': 'r', 'answered': [one, other]}
    bounds = {'unread_as_0': 37.5, 'unread_left_out': 42.857}
    assert told(tmp_path, bench='mm-vet', judge=judge, unread=1, score=37.5, bounds=bounds) == (
        'judged by j (revision r): j; version 1; at http://a (6 replies), j; version 2; at http://b (2 replies); '
        '2 servers of that name answered and may differ: a new --judge-revision asks one of them for all; '
        '1 replies of the judge could not be read: score 37.50 with them as nothing, 42.86 without them; they stand in judged.jsonl as `unread`'
    )
    stored = {'model': 'j', 'revision': '', 'answered': [one], 'not_asked': 'version 2; at http://b'}
    assert told(tmp_path, bench='mm-vet', judge=stored, unread=0, score=37.5) == (
        'judged by j: j; version 1; at http://a (6 replies); '
        'the server version 2; at http://b was not asked, since every reply was stored: a new --judge-revision asks it'
    )
    assert told(tmp_path, bench='mm-vet', judge={'model': 'j'}, pending=3) == (
        '3 judgements are not made yet, so that there is no score: run `phantom eval` again with the judge'
    )
    assert told(tmp_path, bench='mm-vet') == 'no score yet: a language model has to judge the replies (--judge-url, --judge-model)'
    assert told(tmp_path, bench='llava-w', judge={**stored, 'answered': []}, unread=2, bounds=dict.fromkeys(bounds)).endswith(
        '2 replies of the judge could not be read, so that there is no score; they stand in judged.jsonl as `unread`'
    )
    assert told(tmp_path, bench='pope', unread=3, unread_as='Yes', unread_but_said={'No': 2}, score=50.0, accuracy=50.0) == (
        '3 replies name no answer and count as Yes by its own rule (2 say No); in items.jsonl their `found` is null'
    )


def test_what_fell_to_a_default_is_printed_and_written(checkpoint, items, tmp_path, capsys):
    result = evaluate(checkpoint, items, tmp_path, bench='mmstar')
    assert (result['unread_as'], json.loads((tmp_path / 'score.json').read_text())['unread']) == ('wrong', result['unread'])
    assert result['unread'] > 0  # a model of random weights
    assert f'{result["unread"]} replies name no answer and count as wrong by its own rule' in capsys.readouterr().out


def test_joined_pictures_equal_the_released_ones():
    from pathlib import Path

    import numpy as np
    from safetensors.torch import load_file

    golden = load_file(Path(__file__).parents[2] / 'golden' / 'preprocess' / 'tensors.safetensors')
    pictures = {name: golden[f'concat.{name}'].permute(1, 2, 0).numpy() for name in ('a', 'b', 'out')}
    joined = join_images([Image.fromarray(pictures[name]) for name in ('a', 'b')])
    assert (np.asarray(joined) == pictures['out']).all()


def test_a_sample_is_asked_alone_and_said_in_the_score(checkpoint, items, tmp_path, monkeypatch):
    asked = count_answers(monkeypatch)
    result = evaluate(checkpoint, items, tmp_path, bench='mmstar', samples=2, quiet=True)
    assert result['sample'] == {'items': 2, 'of': 5, 'asked': 2, 'seed': 0, 'by': 'sha256 of seed, benchmark and item id'}
    assert len(asked) == result['items'] == 2
    assert 'a sample of 2 of 5 items (seed 0)' in format_table('mmstar', result)
    more = evaluate(checkpoint, items, tmp_path, bench='mmstar', samples=3, quiet=True)
    assert (len(asked), more['items']) == (3, 3)  # a larger sample holds the smaller one, whose replies are kept
    with pytest.raises(UserError, match='--samples: expected it or --max-items, found both'):
        evaluate(checkpoint, items, tmp_path, bench='mmstar', samples=2, max_items=2)
    with pytest.raises(UserError, match='expected a checkpoint or the --url of a served model'):
        evaluate(None, items, tmp_path, bench='mmstar')


def test_figures_have_intervals_in_the_score_and_in_the_table(checkpoint, items, tmp_path, capsys):
    result = evaluate(checkpoint, items, tmp_path, bench='mmstar')
    low, high = result['intervals']['score']
    assert low <= result['score'] <= high
    assert f'[{low:.2f}, {high:.2f}]' in capsys.readouterr().out
    assert compare_results(tmp_path)[0]['interval'] == [low, high]


def write_result(folder: Path, rights: list[bool], *, bench: str = 'mmstar', **result) -> None:
    folder.mkdir(parents=True)
    lines = [
        {'item': {'item_id': str(number), 'question': '?', 'options': ['x', 'y'], 'answer': 'A', 'meta': {}, 'pictures': []}, 'reply': 'A', 'found': 'A', 'right': right}
        for number, right in enumerate(rights)
    ]
    (folder / 'items.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    score = {'bench': bench, 'items': len(rights), 'score': 100 * sum(rights) / len(rights), **result}
    (folder / 'score.json').write_text(json.dumps(score))


def test_several_checkpoints_stand_in_one_table_with_paired_differences(tmp_path):
    write_result(tmp_path / 'a' / 'mmstar', [True] * 60 + [False] * 40, intervals={'score': [50.0, 70.0]})
    write_result(tmp_path / 'b' / 'mmstar', [True] * 70 + [False] * 30)
    write_result(tmp_path / 'c' / 'mmstar', [True] * 40 + [False] * 10)
    write_result(tmp_path / 'a' / 'ai2d', [True, False], bench='ai2d')
    rows = {row['file'].removesuffix('/score.json'): row for row in compare_results(tmp_path)}
    better, fewer = rows['b/mmstar']['difference'], rows['c/mmstar']['difference']
    assert (better['score'], better['items'], better['to']) == (10, 100, 'a/mmstar')
    assert 4 < better['interval'][0] < 10 < better['interval'][1] < 17
    assert (fewer['score'], fewer['items']) == (-20, 50)  # of the items that both answered, a has all right
    assert rows['a/mmstar']['difference'] is rows['a/ai2d']['difference'] is None
    table = format_results(list(rows.values()))
    head, *lines = table.splitlines()
    assert head.split()[:6] == ['benchmark', 'items', 'score', '95', '%', 'difference']
    assert [line.split()[0] for line in lines[:4]] == ['a/ai2d', 'a/mmstar', 'b/mmstar', 'c/mmstar']
    assert '+10.0' in lines[2]
    assert 'difference: score minus that of a/mmstar, over the items that both answered (at least 50)' in table
    against = {row['file']: row['difference'] for row in compare_results(tmp_path, 'b')}
    assert against['a/mmstar/score.json']['score'] == -10
    with pytest.raises(UserError, match='--baseline d: expected one of the evaluated folders, found none of that name among a/ai2d, a/mmstar'):
        compare_results(tmp_path, 'd')


def test_results_that_share_no_item_or_lost_their_files_have_no_difference(tmp_path):
    write_result(tmp_path / 'a', [True, False])
    write_result(tmp_path / 'b', [True, False])
    whole = (tmp_path / 'b' / 'items.jsonl').read_text()
    (tmp_path / 'b' / 'items.jsonl').write_text(whole.replace('"?"', '"another question"'))
    assert compare_results(tmp_path)[1]['difference'] is None
    (tmp_path / 'b' / 'items.jsonl').unlink()
    assert compare_results(tmp_path)[1]['difference'] is None
    odd = json.loads(whole.split('\n')[0])
    wrong = [{**odd, **change} for change in ({'right': 'yes'}, {'reply': None}, {'item': [1]}, {'item': {**odd['item'], 'item_id': [1]}})]
    wrong += [{**odd, 'item': {**odd['item'], 'meta': [1]}}, {**odd, 'right': float('nan')}]
    for junk in (*(json.dumps(line) for line in wrong), '{"item": 1}\n', 'x\n', '[1]\n', 'null', '[' * 100_000, '{"item": {"item_id": "0"}, "reply": "", "found": null, "right": true}\n'):
        (tmp_path / 'b' / 'items.jsonl').write_text(junk)
        with pytest.raises(UserError, match='items.jsonl: expected the lines of `phantom eval`'):
            compare_results(tmp_path)


WHOLE = {'bench': 'chartqa', 'items': 3, 'score': 1.0}
FOREIGN = {
    'an empty file': '',
    'half a file': '{"bench"',
    'a list': '[]',
    'a null': 'null',
    'a number': '3',
    'another JSON': '{"score": 3.0}',
    'no items': {'bench': 'pope'},
    'a bench that is a list': {'bench': ['pope']},
    'items in words': {'items': 'three'},
    'items below 0': {'items': -1},
    'items yes': {'items': True},
    'half an item': {'items': 1.5},
    'a score in words': {'score': 'high'},
    'a score that is a list': {'score': [1.0]},
    'no number': {'score': float('nan')},
    'without end': {'score': float('inf')},
    'more than a float': {'score': 10**400},
    'a part without end': {'accuracy': float('-inf')},
    "the paper's figure in words": {'relaxed/augmented': 'high'},
    'intervals in a list': {'intervals': []},
    'an interval of one end': {'intervals': {'score': [1.0]}},
    'an interval of words': {'intervals': {'score': ['a', 'b']}},
    'a judge in a word': {'judge': 'gpt'},
    'a judge of nothing': {'judge': {}},
    'a judge that is null': {'judge': None},
    'answers of nobody': {'judge': {'model': 'j', 'answered': [{}]}},
    'answers null': {'judge': {'model': 'j', 'answered': None}},
    'a served model of nothing': {'served': {}},
    'a sample of nothing': {'sample': {}},
    'a sample in a list': {'sample': [1]},
    'failures in a list': {'failed': [3]},
    'missing numbers': {'missing': [3]},
    'bounds in words': {'bounds': {'unread_as_0': 'x'}, 'unread': 1},
    'unread in words': {'unread': 'many'},
    'said in a list': {'unread': 1, 'unread_but_said': ['No']},
    'only the first few': {'only_first': 'few'},
    'deeper than Python reads': '[' * 100_000,
    'a number of 5,000 digits': '{"bench": "pope", "items": ' + '9' * 5000 + '}',
    'half a letter': '{"bench": "\\ud800", "items": 1}',
    'bytes of no text': b'\xff\xfe{}',
}


@pytest.mark.parametrize('kind', FOREIGN)
def test_a_score_that_is_none_is_one_message_with_its_file(tmp_path, kind):
    content = FOREIGN[kind]
    content = json.dumps(content if content == {'bench': 'pope'} else {**WHOLE, **content}) if isinstance(content, dict) else content
    (tmp_path / 'score.json').write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match=r'score.json: expected the results of `phantom eval`, found: .*; evaluate again') as e:
        compare_results(tmp_path)
    assert len(str(e.value)) < 500
    assert '\n' not in str(e.value)
    assert not (tmp_path / 'results.json').exists()


def test_a_folder_in_place_of_a_score_is_one_message(tmp_path):
    (tmp_path / 'pope' / 'score.json').mkdir(parents=True)
    with pytest.raises(OSError) as e:  # which the front door says by file and errno, as of every verb
        compare_results(tmp_path)
    assert 'score.json' in str(refusal_of(e.value))


def test_grades_of_a_judge_are_compared_too(tmp_path):
    for name, grades in (('a', [0.0, 0.5]), ('b', [1.0, 0.5])):
        write_result(tmp_path / name, [False, False], bench='mm-vet')
        lines = [{'item_id': str(number), 'reply': 'A', 'found': str(grade), 'score': grade, 'unread': None} for number, grade in enumerate(grades)]
        (tmp_path / name / 'judged.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
    assert compare_results(tmp_path)[1]['difference']['score'] == 50
    for junk in ('[1]', '{}', '{"item_id": "0", "found": "1", "score": "1"}', '{"item_id": ["0"], "found": "1", "score": 1}'):
        (tmp_path / 'b' / 'judged.jsonl').write_text(junk)
        with pytest.raises(UserError, match='judged.jsonl: expected the lines of `phantom eval`'):
            compare_results(tmp_path)


def test_marks_that_are_none_are_one_message(tmp_path):
    for name, found in (('a', [8, 9]), ('b', 'x')):
        write_result(tmp_path / name, [False], bench='llava-w')
        (tmp_path / name / 'judged.jsonl').write_text(json.dumps({'item_id': '0', 'found': found, 'score': 0.5}))
    with pytest.raises(UserError, match='a: expected items as `phantom eval` writes them for llava-w'):
        compare_results(tmp_path)


class FakeServed:
    """A served model that says A to what shows a picture and B to what shows none."""

    def __init__(self):
        self.asked = []

    def ask(self, questions, pictures, max_tokens):
        self.asked += zip(questions, pictures, [max_tokens] * len(questions), strict=True)
        return [' A ' if shown else 'B' for shown in pictures]

    def about(self):
        return {'served': {'model': 'm', 'revision': '', 'answered': [{'served_by': 'm; at http://h', 'replies': 5}]}, 'failed': {'too_long': 1}}


def test_a_served_model_is_given_the_questions_and_pictures_of_a_checkpoint(items, tmp_path):
    served = FakeServed()
    result = evaluate(None, items, tmp_path, bench='mmstar', served=served, quiet=True)
    assert [len(shown) for _, shown, _ in served.asked] == [0, 1, 1, 1, 1]
    assert served.asked[1][1] == [png(COLOURS['red'])]  # one picture as it is stored, several joined to one
    with Image.open(io.BytesIO(served.asked[3][1][0])) as joined:
        assert joined.width > joined.height
    assert served.asked[0][0].startswith('Which?\nA. red\nB. blue\nAnswer with')
    assert {limit for *_, limit in served.asked} == {5}
    assert (result['score'], result['checkpoint'], result['beams'], result['served']['model']) == (80, None, 1, 'm')
    assert not (tmp_path / 'replies.jsonl').exists()
    table = format_table('mmstar', result)
    assert 'replies of m: m; at http://h (5 replies)' in table
    assert '1 calls failed for good (1 too_long); their replies are empty' in table


def test_a_judges_score_has_an_interval_too(checkpoint, items, tmp_path, monkeypatch):
    monkeypatch.setitem(BENCHES, 'mm-vet', replace(BENCHES['mm-vet'], max_new_tokens=2))

    def judge(out):
        lines = [{'item_id': str(number), 'reply': '', 'found': '', 'score': number / 4, 'unread': None} for number in range(5)]
        (out / 'judged.jsonl').write_text(''.join(json.dumps(line) + '\n' for line in lines))
        return {**json.loads((out / 'score.json').read_text()), 'score': 50.0, 'judge': {'model': 'j', 'answered': []}, 'unread': 0}

    result = evaluate(checkpoint, items, tmp_path, bench='mm-vet', judge=judge, quiet=True)
    low, high = result['intervals']['score']
    assert 0 < low < 50 < high < 100
    assert json.loads((tmp_path / 'score.json').read_text()) == result
