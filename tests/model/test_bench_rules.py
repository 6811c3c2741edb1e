"""Benchmarks score hand-made replies as worked out by hand."""

import json
from pathlib import Path

import pytest

from model.bench_rules import BENCHES, make_question, read_letter, read_yes_no, relaxed_equal, score_item, to_number

GOLDEN = Path(__file__).parents[1] / 'golden' / 'preprocess' / 'prompts.json'


def item(answer: str, options: tuple = (), item_id: str = '1', question: str = 'What?', **meta) -> dict:
    return {'item_id': item_id, 'question': question, 'options': list(options), 'answer': answer, 'meta': meta}


def metrics(name: str, pairs: list[tuple[dict, str]]) -> dict[str, float]:
    return BENCHES[name].metrics([score_item(name, row, reply) for row, reply in pairs])


ANIMALS = ('cat', 'dog', 'A bird')


@pytest.mark.parametrize(
    ('reply', 'letter'),
    [
        ('B', 'B'),
        ('B. dog', 'B'),
        ('(C)', 'C'),
        (' b', None),
        ('dog', 'B'),
        ('Dog.', 'B'),
        ('a bird', 'C'),
        ('A bird', 'A'),
        ('The answer is B.', 'B'),
        ('Answer: (C)', 'C'),
        ('D', None),
        ('Apple', None),
        ('', None),
    ],
)
def test_a_letter_is_read_from_the_front_then_from_a_phrase_then_from_the_options_text(reply, letter):
    assert read_letter(reply, item('B', ANIMALS)) == letter


@pytest.mark.parametrize(
    ('reply', 'found'), [('Yes', 'Yes'), ('no, it', 'No'), ('**Yes**', 'Yes'), ('Nothing', None), ('It is', None)]
)
def test_yes_and_no_are_whole_words_in_front(reply, found):
    assert read_yes_no(reply, item('Yes')) == found


@pytest.mark.parametrize(
    ('found', 'answer', 'right'),
    [
        ('105', '100', True),
        ('105.1', '100', False),
        ('95', '100', True),
        ('-95', '100', False),
        ('12%', '0.12', True),
        ('1,234', '1234', True),
        ('Red', 'red', True),
        ('red', 'blue', False),
        ('0', '0', True),
        ('0.01', '0', False),
        ('2020', 'Twenty', False),
    ],
)
def test_chart_answers_are_right_within_five_percent(found, answer, right):
    assert relaxed_equal(found, answer) is right


def test_numbers_are_read_with_their_signs():
    assert [to_number(text) for text in ('$3', '50%', '-1,000.5', 'x', '%')] == [3.0, 0.5, -1000.5, None, None]


def test_chartqa_is_the_mean_of_its_splits():
    """human 1 of 2, augmented 1 of 1: (50 + 100) / 2."""
    rows = [
        (item('10', split='human'), '10.2'),
        (item('10', split='human'), '12'),
        (item('a', split='augmented'), 'A.'),
    ]
    assert metrics('chartqa', rows) == {'score': 75.0, 'relaxed/augmented': 100.0, 'relaxed/human': 50.0}


def test_multiple_choice_reports_categories():
    rows = [
        (item('A', ANIMALS, category='x'), 'A'),
        (item('A', ANIMALS, category='x'), 'B'),
        (item('C', ANIMALS, category='y'), 'C'),
    ]
    got = metrics('mmstar', rows)
    assert got == {'score': pytest.approx(200 / 3), 'accuracy/x': 50.0, 'accuracy/y': 100.0}


def test_pope_averages_f1_over_its_splits():
    """random: 1 hit, 1 false yes, no miss: precision 1/2, recall 1, F1 2/3. popular: no yes at all: F1 0."""
    rows = [
        (item('Yes', category='random'), 'Yes'),
        (item('No', category='random'), 'Yes'),
        (item('Yes', category='popular'), 'No'),
        (item('No', category='popular'), 'what'),
    ]
    got = metrics('pope', rows)
    assert got['score'] == pytest.approx(100 / 3)
    assert (got['accuracy'], got['precision'], got['recall'], got['yes']) == (25.0, 25.0, 50.0, 50.0)


def test_mme_adds_accuracy_and_accuracy_plus_of_each_task():
    """count: 3 of 4 questions (75) and 1 of 2 pictures (50); code_reasoning: 2 of 2 (100) and 1 of 1 (100)."""
    rows = [
        (item('Yes', item_id='count/a/0', category='count'), 'Yes'),
        (item('No', item_id='count/a/1', category='count'), 'No'),
        (item('Yes', item_id='count/b/0', category='count'), 'Yes'),
        (item('No', item_id='count/b/1', category='count'), 'Yes'),
        (item('Yes', item_id='code_reasoning/a/0', category='code_reasoning'), 'yes'),
        (item('No', item_id='code_reasoning/a/1', category='code_reasoning'), 'no'),
    ]
    got = metrics('mme', rows)
    assert (got['count'], got['code_reasoning']) == (125.0, 200.0)
    assert (got['perception'], got['cognition'], got['score']) == (125.0, 200.0, 325.0)


def test_hallusionbench_groups_by_figure_and_by_question():
    def row(figure: str, question: str, answer: str) -> dict:
        return item(answer, category='VD', subcategory='chart', set_id='0', figure_id=figure, question_id=question)

    rows = [
        (row('0', '0', 'Yes'), 'Yes'),
        (row('0', '1', 'No'), 'No'),
        (row('1', '0', 'Yes'), 'No'),
        (row('1', '1', 'No'), 'No'),
    ]
    got = metrics('hallusionbench', rows)
    assert (got['aAcc'], got['fAcc'], got['qAcc']) == (75.0, 50.0, 50.0)


def test_mmbench_wants_every_order_of_a_question_right():
    rows = [
        (item('A', ANIMALS, item_id='dev/5'), 'A'),
        (item('B', ANIMALS, item_id='dev/1000005'), 'A'),
        (item('A', ANIMALS, item_id='dev/6'), 'A'),
    ]
    assert metrics('mmbench', rows) == {'score': 50.0, 'vanilla': 100.0}


def test_cv_bench_weighs_sources_and_dimensions_alike():
    """2D: ADE20K 0 of 1, COCO 2 of 2 -> 50; 3D 1 of 1 -> 100; mean 75."""
    kinds = [('2D', 'ADE20K', 'B'), ('2D', 'COCO', 'A'), ('2D', 'COCO', 'A'), ('3D', 'Omni3D', 'A')]
    rows = [(item('A', ANIMALS, type=kind, source=source), reply) for kind, source, reply in kinds]
    assert metrics('cv-bench', rows) == {'score': 75.0, '2D': 50.0, '3D': 100.0}


NAMES = {'cv-bench': 'cvbench', 'llava-w': 'llava'}  # ours -> the released evaluation's


@pytest.mark.parametrize('name', sorted(BENCHES))
def test_prompts_and_lengths_equal_the_released_evaluation(name):
    golden = json.loads(GOLDEN.read_text())
    released = NAMES.get(name, name)
    asked = make_question(name, item('A', ('cat', 'dog'), question='What is shown?'))
    before, after = '<|im_start|>user\n', '<|im_end|><|im_start|>assistant\n'
    assert before + asked + after == golden['prompts']['0_5b'][released]
    assert BENCHES[name].max_new_tokens == golden['max_new_tokens'][released]


def test_a_request_that_the_question_holds_already_is_not_repeated():
    asked = make_question('hallusionbench', item('Yes', question='Is it? Please answer yes or no.'))
    assert asked == 'Is it? Please answer yes or no.'


def test_hints_stand_in_front_and_marks_of_images_go():
    row = item('A', ('x', 'y'), question='<image>\nWhich?', hint='It is cold.')
    assert make_question('sqa', row).splitlines()[:3] == ['It is cold.', 'Which?', 'A. x']
