"""Benchmarks score hand-made replies as worked out by hand."""

import json
from pathlib import Path

import pytest

from model.evaluation.reading import read_letter, read_mme, read_pope, read_text, read_yes_no, relaxed_equal, to_number
from model.evaluation.request_lines import ASK_LETTER, ASK_YES_NO
from model.evaluation.rules import BENCHES, PAPER, defaulted, is_asked, make_question, missing_parts, score_item

GOLDEN = Path(__file__).parents[2] / 'golden' / 'preprocess' / 'prompts.json'


def item(answer: str, options: tuple = (), item_id: str = '1', question: str = 'What?', **meta) -> dict:
    return {'item_id': item_id, 'question': question, 'options': list(options), 'answer': answer, 'meta': meta}


def metrics(name: str, pairs: list[tuple[dict, str]]) -> dict[str, float]:
    return BENCHES[name].metrics([score_item(name, row, reply) for row, reply in pairs])


ANIMALS = ('cat', 'dog', 'A bird')
VITAMINS = ('Vitamin C', 'Vitamin B', 'Vitamin D')
LABELS = ('B', 'A', 'D')  # AI2D: the options are letters drawn over the picture


@pytest.mark.parametrize(
    ('reply', 'options', 'letter'),
    [
        ('B', ANIMALS, 'B'),
        (' b ', ANIMALS, 'B'),
        ('a', ANIMALS, 'A'),
        ('a.', ANIMALS, 'A'),
        ('(a)', ANIMALS, 'A'),
        ('A.', ANIMALS, 'A'),
        ('(A)', ANIMALS, 'A'),
        ('C:', ANIMALS, 'C'),
        ('B. dog', ANIMALS, 'B'),
        ('(C) A bird', ANIMALS, 'C'),
        ('B dog', ANIMALS, 'B'),
        ('B\nThe dog', ANIMALS, 'B'),
        ('A. Vitamin C', VITAMINS, 'A'),
        ('A. Vitamin', VITAMINS, 'A'),  # cut off after five tokens
        ('A. Vitamin C.', VITAMINS, 'A'),
        ('dog', ANIMALS, 'B'),
        ('Dog.', ANIMALS, 'B'),
        ('a bird', ANIMALS, 'C'),
        ('A bird', ANIMALS, 'C'),
        ('It is the dog.', ANIMALS, 'B'),
        ('cat or dog', ANIMALS, None),
        ('hotdogs', ANIMALS, None),
        ('The answer is B.', ANIMALS, 'B'),
        ('The answer is b', ANIMALS, 'B'),
        ('Answer: (C)', ANIMALS, 'C'),
        ('option c', ANIMALS, 'C'),
        ('It is A', ANIMALS, 'A'),
        ('A fish in the sea', ANIMALS, None),
        ('A or B', ANIMALS, None),
        ('A. cat B. dog', ANIMALS, None),
        ('(A) (B)', ANIMALS, None),
        ('D', ANIMALS, None),
        ('The answer is D.', ANIMALS, None),
        ('Apple', ANIMALS, None),
        ('', ANIMALS, None),
        ('...', ANIMALS, None),
        ('B', LABELS, 'B'),
        ('3', ('1', '2', '3'), 'C'),
        ('There are 3.', ('1', '2', '3'), None),  # longer than twice the options
        ('C', (), 'C'),
    ],
)
def test_a_letter_is_read_from_every_form_a_reply_may_have_and_from_none_that_names_several(reply, options, letter):
    assert read_letter(reply, item('B', options)) == letter


@pytest.mark.parametrize(
    ('reply', 'found'),
    [
        ('Yes', 'Yes'),
        ('yes.', 'Yes'),
        ('no, it', 'No'),
        ('**Yes**', 'Yes'),
        ('The answer is yes', 'Yes'),
        ('No, not yes', 'No'),
        ('It is yes or no', None),
        ('Nothing', None),
        ('It is', None),
        ('', None),
    ],
)
def test_yes_and_no_are_whole_words(reply, found):
    assert read_yes_no(reply, item('Yes')) == found


@pytest.mark.parametrize(
    ('reply', 'found'),
    [('Yes', 'Yes'), ('NO.', 'No'), (' yes, it', 'Yes'), ('Not at all', 'No'), ('Ah yes', 'None'), ('It is', 'None'), ('', 'None'), ('“No”', 'No')],
)
def test_mme_looks_at_the_first_four_characters(reply, found):
    """`ah y` and `it i` hold neither word; `not ` and `“no”` hold no."""
    assert str(read_mme(reply, item('Yes'))) == found


@pytest.mark.parametrize(
    ('reply', 'found', 'right_if_yes'),
    [
        ('Yes', 'Yes', True),
        ('no', 'No', False),
        ('No, there is', 'No', False),
        ('There is not. Yes', 'No', False),
        ('It is. No dog', None, True),
        ('A dog', None, True),
        ('', None, True),
        ('Nothing', None, True),
    ],
)
def test_pope_takes_every_reply_without_no_or_not_in_its_first_sentence_as_yes(reply, found, right_if_yes):
    assert read_pope(reply, item('Yes')) == found
    assert score_item('pope', item('Yes'), reply).right is right_if_yes
    assert score_item('pope', item('No'), reply).right is not right_if_yes


@pytest.mark.parametrize(
    ('found', 'answer', 'right'),
    [
        ('105', '100', True),
        ('105.1', '100', False),
        ('95', '100', True),
        ('94.9', '100', False),
        ('-95', '100', False),
        ('-95', '-100', True),
        ('12%', '0.12', True),
        ('12%', '12%', True),
        ('12.5%', '12%', True),
        ('12', '12%', False),
        ('1234', '1234.0', True),
        ('1,234', '1,234', True),
        ('1,234', '1234', False),  # no number for the published rule, so letters are compared
        ('12 million', '12', False),
        ('$12', '12', False),
        ('2008', '2010', True),  # years are numbers too
        ('Red', 'red', True),
        (' Red ', 'red', True),
        ('red', 'blue', False),
        ('0', '0', True),
        ('0.0', '0', False),  # no tolerance around 0, and the letters differ
        ('0.01', '0', False),
        ('nan', '3', False),
        ('2020', 'Twenty', False),
        ('No', 'No', True),
    ],
)
def test_chart_answers_are_right_within_five_percent(found, answer, right):
    assert relaxed_equal(found, answer) is right


def test_numbers_are_read_as_published_and_end_marks_are_dropped():
    assert [to_number(text) for text in ('3', '50%', '-1000.5', 'x', '%', '$3', '1,000')] == [3.0, 0.5, -1000.5, None, None, None, None]
    assert [read_text(reply, item('')) for reply in ('Yes.', ' 3.5 ', '12.', '.', '')] == ['Yes', '3.5', '12', None, None]
    assert score_item('chartqa', item('12'), '12.').right
    assert not score_item('chartqa', item('12'), '').right


def test_chartqa_is_the_mean_of_its_splits():
    """human 1 of 2, augmented 1 of 1: (50 + 100) / 2."""
    rows = [(item('10', split='human'), '10.2'), (item('10', split='human'), '12'), (item('a', split='augmented'), 'A.')]
    assert metrics('chartqa', rows) == {'score': 75.0, 'relaxed/augmented': 100.0, 'relaxed/human': 50.0}


def test_multiple_choice_reports_categories():
    rows = [(item('A', ANIMALS, category='x'), 'A'), (item('A', ANIMALS, category='x'), 'B'), (item('C', ANIMALS, category='y'), 'C')]
    got = metrics('mmstar', rows)
    assert got == {'score': pytest.approx(200 / 3), 'accuracy/x': 50.0, 'accuracy/y': 100.0}


def test_seed_and_scienceqa_report_their_own_kinds():
    pair = [(item('A', ANIMALS, question_type='Scene', question_image_type='map', subject='art'), 'A')]
    parts = {name: [key for key in metrics(name, pair) if key != 'score'] for name in ('seed', 'seed-2-plus', 'sqa', 'ai2d')}
    assert parts == {'seed': ['accuracy/Scene'], 'seed-2-plus': ['accuracy/map'], 'sqa': ['accuracy/art'], 'ai2d': []}


def test_blink_is_the_mean_of_its_tasks_not_of_its_items():
    """Counting 1 of 3, Jigsaw 1 of 1: (33.3 + 100) / 2."""
    rows = [(item('A', ANIMALS, sub_task=task), reply) for task, reply in (('Counting', '(A)'), ('Counting', 'B'), ('Counting', ''), ('Jigsaw', 'A'))]
    got = metrics('blink', rows)
    assert (got['score'], got['accuracy/Jigsaw']) == (pytest.approx(200 / 3), 100.0)


def test_pope_averages_f1_over_its_splits():
    """random: 1 hit, 1 false yes: precision 1/2, recall 1, F1 2/3. popular: a no for a yes, and words that count as yes: F1 0."""
    rows = [
        (item('Yes', category='random'), 'Yes'),
        (item('No', category='random'), 'Yes'),
        (item('Yes', category='popular'), 'No'),
        (item('No', category='popular'), 'what'),
    ]
    got = metrics('pope', rows)
    assert (got['score'], got['f1/random'], got['f1/popular']) == (pytest.approx(100 / 3), pytest.approx(200 / 3), 0.0)
    assert (got['accuracy'], got['precision'], got['recall'], got['yes']) == (25.0, 25.0, 50.0, 75.0)


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

    rows = [(row('0', '0', 'Yes'), 'Yes'), (row('0', '1', 'No'), 'No'), (row('1', '0', 'Yes'), 'No'), (row('1', '1', 'No'), 'No')]
    got = metrics('hallusionbench', rows)
    assert (got['aAcc'], got['fAcc'], got['qAcc']) == (75.0, 50.0, 50.0)


def test_hallusionbench_takes_not_knowing_as_right_where_the_figure_is_not_shown():
    """A VS question without its figure (figure_id 0) may be left open; fAcc has no figure to count there."""

    def row(category: str, figure: int, answer: str) -> dict:
        return item(answer, category=category, subcategory='chart', set_id='0', figure_id=figure, question_id='0')

    rows = [(row('VS', 0, 'No'), 'I cannot tell'), (row('VS', 1, 'Yes'), 'Yes'), (row('VD', 0, 'No'), 'I cannot tell')]
    got = metrics('hallusionbench', rows)
    assert got == {'score': pytest.approx(200 / 3), 'aAcc': pytest.approx(200 / 3), 'fAcc': 50.0, 'qAcc': 50.0}
    assert not score_item('hallusionbench', row('VS', 0, 'No'), 'Yes').right
    assert 'fAcc' not in metrics('hallusionbench', rows[:1])


def test_mmbench_wants_every_order_of_a_question_right():
    """Question 5 in two orders, one wrong; question 6 right: circular 1 of 2, first order 2 of 2, rows 2 of 3."""
    rows = [(item('A', ANIMALS, item_id='dev/5'), 'A'), (item('B', ANIMALS, item_id='dev/1000005'), 'A'), (item('A', ANIMALS, item_id='dev/6'), 'A')]
    assert metrics('mmbench', rows) == {'score': 50.0, 'vanilla': 100.0, 'every row': pytest.approx(200 / 3)}


@pytest.mark.parametrize(
    ('file', 'asked'),
    [
        ('mmbench_dev_20230712', True),
        ('MMBench_DEV_EN', True),
        ('mmbench_dev_cn_20231003', False),
        ('MMBench_TEST_EN_legacy', False),
        ('MMBench_DEV_CN', False),
    ],
)
def test_of_mmbench_the_english_development_files_are_asked(file, asked):
    assert is_asked('mmbench', item('A', ANIMALS, file=file)) is asked


def test_items_without_a_published_answer_are_asked_only_where_a_judge_decides():
    assert [is_asked(name, item('')) for name in ('sqa', 'mm-vet')] == [False, True]


def test_cv_bench_weighs_sources_and_dimensions_alike():
    """2D: ADE20K 0 of 1, COCO 2 of 2 -> 50; 3D 1 of 1 -> 100; mean 75."""
    kinds = [('2D', 'ADE20K', 'B'), ('2D', 'COCO', 'A'), ('2D', 'COCO', 'A'), ('3D', 'Omni3D', 'A')]
    rows = [(item('A', ANIMALS, type=kind, source=source), reply) for kind, source, reply in kinds]
    sources = {'accuracy/ADE20K': 0.0, 'accuracy/COCO': 100.0, 'accuracy/Omni3D': 100.0}
    assert metrics('cv-bench', rows) == {'score': 75.0, '2D': 50.0, '3D': 100.0, **sources}
    assert all(isinstance(value, float) for value in metrics('cv-bench', rows).values())  # the table shows floats


NAMES = {'cv-bench': 'cvbench', 'llava-w': 'llava'}  # ours -> the released evaluation's


@pytest.mark.parametrize('name', sorted(BENCHES))
def test_prompts_and_lengths_equal_the_released_evaluation(name):
    golden = json.loads(GOLDEN.read_text())
    released = NAMES.get(name, name)
    asked = make_question(name, item('A', question='What is shown?\nA. cat\nB. dog'))
    before, after = '<|im_start|>user\n', '<|im_end|><|im_start|>assistant\n'
    assert before + asked + after == golden['prompts']['0_5b'][released]
    assert BENCHES[name].max_new_tokens == golden['max_new_tokens'][released]


def test_options_stand_one_a_line_and_ai2ds_on_one():
    asked = {name: make_question(name, item('A', ('cat', 'dog'), question='Which?')).split('\n') for name in ('seed', 'mmbench', 'sqa', 'ai2d')}
    assert asked.pop('ai2d') == ['Which?', 'A. cat B. dog', ASK_LETTER]
    assert list(asked.values()) == [['Which?', 'A. cat', 'B. dog', ASK_LETTER]] * 3


@pytest.mark.parametrize(
    ('name', 'field', 'request_'),
    [
        ('mathvista', 'query', ''),
        ('mathverse', 'query_wo', ''),
        ('mmstar', 'query', 'letter'),
        ('blink', 'prompt', 'letter'),
        ('cv-bench', 'prompt', 'letter'),
    ],
)
def test_a_published_prompt_is_asked_whole(name, field, request_):
    asked = make_question(name, item('A', ('cat', 'dog'), **{field: 'Whole (A) cat (B) dog'})).split('\n')
    assert asked[0] == 'Whole (A) cat (B) dog'
    assert ['letter' in line for line in asked[1:]] == ([True] if request_ else [])


def test_parts_of_a_benchmark_that_are_not_there_are_named():
    assert missing_parts('chartqa', [{'split': 'human'}]) == ['augmented']
    assert missing_parts(
        'mathverse', [{'problem_version': v} for v in ('Text_Only', 'Text Lite', 'Text Dominant', 'Vision Only', 'Vision Intensive')]
    ) == ['Vision Dominant']
    assert (len(missing_parts('blink', [])), len(missing_parts('mme', [])), missing_parts('sqa', [])) == (14, 14, [])


def test_every_figure_of_the_paper_has_a_benchmark_and_one_of_ours_beside_it():
    assert PAPER.keys() == BENCHES.keys()
    released = {name: rule.as_released for name, rule in BENCHES.items() if rule.as_released != 'score'}
    assert released == {
        'chartqa': 'relaxed/augmented',
        'pope': 'accuracy',
        'mmbench': 'every row',
        'hallusionbench': 'aAcc',
        'mathverse': 'every item',
    }
    one = {
        'chartqa': item('A', split='augmented'),
        'pope': item('Yes', category='random'),
        'mmbench': item('A', item_id='dev/1'),
        'hallusionbench': item('Yes', category='VD', figure_id='1'),
    }
    for name, row in one.items():
        assert released[name] in metrics(name, [(row, row['answer'])])


def test_a_request_that_the_question_holds_already_is_not_repeated():
    asked = make_question('hallusionbench', item('Yes', question=f'Is it? {ASK_YES_NO}'))
    assert asked == f'Is it? {ASK_YES_NO}'


def test_hints_stand_in_front_and_marks_of_images_go():
    row = item('A', ('x', 'y'), question='<image>\nWhich?', hint='It is cold.')
    assert make_question('sqa', row).splitlines()[:3] == ['It is cold.', 'Which?', 'A. x']


def test_marks_of_images_between_texts_go_with_their_lines():
    assert make_question('mm-vet-v2', item('', question='What is\n<image>\nand\n<image>')) == 'What is\nand'


@pytest.mark.parametrize(
    ('reply', 'found'),
    [
        ('Yes or no', None), ('yes/no', None), ('Yes and no', None), ('Not yes', None), ('It is not no', None), ('neither yes nor no', None), ('"Yes"', 'Yes'),
        ('No!', 'No'), ('ＹＥＳ', 'Yes'), ('$\\boxed{\\text{No}}$', 'No'), ('Yes, no doubt', 'Yes'), ('Yes, wait, no', 'No'), ('<answer>yes</answer>', 'Yes'),
        ('Not yes but no', 'No'), ('Know', None), ('Notice', None),
    ],
)  # fmt: skip
def test_yes_and_no_are_said_and_not_only_named(reply, found):
    assert read_yes_no(reply, item('Yes')) == found


def test_replies_that_fall_to_a_default_are_counted_with_what_they_count_as_and_what_they_say():
    """POPE's own script takes `**No**` and `No!` for Yes; MME's four characters of `**Yes**` hold neither word."""
    pope = [score_item('pope', item('No', category='random'), reply) for reply in ('No', '**No**', 'No!', 'A dog', 'Yes')]
    assert defaulted('pope', pope) == {'unread': 3, 'unread_as': 'Yes', 'unread_but_said': {'No': 2}}
    mme = [score_item('mme', item('Yes'), reply) for reply in ('Yes', '**Yes**', 'Ah')]
    assert defaulted('mme', mme) == {'unread': 2, 'unread_as': 'wrong', 'unread_but_said': {'Yes': 1}}
    letters = [score_item('seed', item('B', ANIMALS), reply) for reply in ('B', 'It is not B', '')]
    assert defaulted('seed', letters) == {'unread': 2, 'unread_as': 'wrong'}
    assert defaulted('hallusionbench', [])['unread_as'] == 'wrong, where no figure is shown as right'
    assert defaulted('mm-vet', []) == {}
