"""Thoughts told apart from answers, in the forms that models write and servers hand on."""

import random

import pytest

from pipelines.chat.thoughts import part
from tests.growth import assert_in_proportion

MARKED = [
    ('<think>', '</think>'), ('<THINK>', '</THINK>'), ('<thinking>', '</thinking>'), ('<thought>', '</thought>'), ('<reasoning>', '</reasoning>'),
    ('<think duration="3">', '</think>'), ('<seed:think>', '</seed:think>'), ('<mm:think>', '</mm:think>'),
    ('<think:opensource>', '</think:opensource>'), ('<longcat_think>', '</longcat_think>'), ('<think>', '</thinking>'),
    ('[THINK]', '[/THINK]'), ('◁think▷', '◁/think▷'), ('<|begin_of_thought|>', '<|end_of_thought|>'), ('<|START_THINKING|>', '<|END_THINKING|>'),
    ('<|inner_prefix|>', '<|inner_suffix|>'), ('<|channel>thought', '<channel|>'), ('<unused94>thought', '<unused95>'),
    ('[unused16]', '[unused17]'), ('<|think|>', '<|end|>'), ('Here is my thought process:', 'Here is my response:'),
    ("Here's my thought process:", "Here's my response:"), ('<details type="reasoning" done="true">', '</details>'),
    ('<|channel|>analysis<|message|>', '<|end|><|start|>assistant<|channel|>final<|message|>'), ('analysisIt ', 'assistantfinal'),
]
OPENED_BY_THE_TEMPLATE = [pair for pair in MARKED if pair[0].casefold()[:4] not in ('here', '<det', '<|th') and pair[0] != 'analysisIt ']


@pytest.mark.parametrize(('opening', 'closing'), MARKED)
@pytest.mark.parametrize(('before', 'between', 'after'), [('', '', ''), ('\n\n', '\n', '\n\n'), (' ', ' ', ' ')])
def test_thoughts_are_told_apart_from_the_answer(opening, closing, before, between, after):
    parted = part(f'{before}{opening}{between}Red? The sky is not red.{between}{closing}{after}Blue.{after}')
    assert parted.thoughts.endswith('Red? The sky is not red.')
    assert (parted.answer, parted.ended) == ('Blue.', True)


@pytest.mark.parametrize(('opening', 'closing'), OPENED_BY_THE_TEMPLATE)
def test_a_closing_mark_alone_ends_what_the_template_opened(opening, closing):
    assert part(f'Red? No.\n{closing}\n\nBlue.') == ('Red? No.', 'Blue.', True)
    assert part(f'{closing}Blue.')[1:] == ('Blue.', True)


@pytest.mark.parametrize(('opening', 'closing'), MARKED)
def test_a_text_that_ends_inside_its_thoughts_has_no_answer(opening, closing):
    assert part(f'{opening}Red? The sky is').ended is False
    assert part(f'{opening}Red? The sky is').thoughts.endswith('Red? The sky is')


@pytest.mark.parametrize(
    ('text', 'thoughts', 'answer'),
    [
        ('<think>\n\n</think>\n\nBlue.', '', 'Blue.'),  # Qwen3 that is told not to think
        ('<think>a</think>The sky <think>b</think>is blue.', 'a\n\nb', 'The sky is blue.'),
        ('a</think>b</think>Blue.', 'a\n\nb', 'Blue.'),
        ('<think>I end with `</think>` then.</think>Blue.', 'I end with `\n\n` then.', 'Blue.'),
        ('<think>a</think>Write `</think>` at its end.', 'a', 'Write `</think>` at its end.'),
        ('<think>a</think>\n```\n</think>\n```', 'a', '```\n</think>\n```'),
        ('Let me see.\n<think>\nRed?\n</think>\nBlue.', 'Red?', 'Let me see.\n\nBlue.'),
        ('Blue.\n\n<think>Red?</think>', 'Red?', 'Blue.'),
        ('Let me see. ◁think▷Red?◁/think▷ Blue.', 'Red?', 'Let me see.  Blue.'),
        ('<SUMMARY> a </SUMMARY>\n\n<CAPTION> b </CAPTION>\n\n<REASONING> c </REASONING>\n\n<CONCLUSION> Blue. </CONCLUSION>',
         '<SUMMARY> a </SUMMARY>\n\n<CAPTION> b </CAPTION>\n\n<REASONING> c </REASONING>', 'Blue.'),
        ('<think>a</think>\n<answer>\nBlue.\n</answer>', 'a', 'Blue.'), ('<answer>Blue.</answer>', '', 'Blue.'), ('<think>a</think><answer>Blue.', 'a', 'Blue.'),
        ('<think>a</think><response>\nBlue.\n</response>', 'a', 'Blue.'),  # ERNIE 4.5
        ('<think>a</think><|begin_of_box|>Blue.<|end_of_box|>', 'a', 'Blue.'),  # GLM-4.1V
        ('<|begin_of_thought|>a<|end_of_thought|>\n<|begin_of_solution|>\nBlue.\n<|end_of_solution|>', 'a', 'Blue.'),
        ('<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>Blue.<|END_RESPONSE|>', 'a', 'Blue.'),
        ('<|think|>a<|end|><|begin|>assistant<|content|>Blue.<|end|>', 'a', 'Blue.'),  # Solar Open
        ('<think>a</think>Blue.<|im_end|>', 'a', 'Blue.'), ('Blue.<|im_end|>\n<|endoftext|>', '', 'Blue.'),
        ('<seed:think>a<seed:cot_budget_reflect>b</seed:cot_budget_reflect></seed:think>Blue.', 'a<seed:cot_budget_reflect>b</seed:cot_budget_reflect>', 'Blue.'),
        ('<|im_start|>assistant\n<think>a</think>Blue.', 'a', 'Blue.'), ('<think>a</think>assistantfinalBlue.', 'a', 'Blue.'),
        ('<think>a</think>{"incorrect": "x"}', 'a', '{"incorrect": "x"}'), ('<think>a</think>', 'a', ''),
        ('<|start|>assistant<|channel|>final<|message|>Blue.<|return|>', '', 'Blue.'), ('<|channel|>final <|constrain|>json<|message|>{"a": 1}', '', '{"a": 1}'),
        ('<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary<|message|>b<|end|><|start|>assistant<|channel|>final<|message|>Blue.',
         'a\n\nb', 'Blue.'),
    ],
)  # fmt: skip
def test_forms_of_thoughts_and_answers(text, thoughts, answer):
    assert part(text) == (thoughts, answer, True)


@pytest.mark.parametrize(
    'text',
    [
        'Blue.', '', '  Blue. \n', 'The tag <think> opens a block and </think> closes it.', 'Write `</think>` to close it.', 'Write "</think>" to close it.',
        '```\n<think>a</think>\nBlue\n```', 'It begins with `<|channel|>analysis<|message|>`.', '{"incorrect": "it ends with </think>", "ambiguous": "x"}',
        '["<think>"]', 'analysis of the data', 'Analysis: blue', 'He thinks <b>blue</b>.', 'Here is my response: blue', '<output>4</output>', 'x < think > y',
        'the assistantfinal mark', '<s>old</s>',
    ],
)  # fmt: skip
def test_an_answer_that_only_speaks_of_marks_stays_as_it_is(text):
    assert part(text) == ('', text, True)


@pytest.mark.parametrize('text', ['<think>a</think>Blue<think>b', '<SUMMARY> a </SUMMARY>\n<REASONING> so', '<|channel|>analysis<|message|>a<|end|>',
                                  '<|channel|>commentary to=functions.f <|constrain|>json<|message|>{"a": 1}<|call|>', 'analysisWe need'])
def test_a_text_whose_last_part_is_a_thought_has_not_ended(text):
    assert part(text).ended is False


@pytest.mark.parametrize('piece', ['</think>', '<think>a</think>b', '```</think>', '<|channel|>', '<|channel|>analysis<|message|>a', '<think ', '\n', '{', '<|end|>'])
def test_hostile_text_is_read_in_time_proportional_to_its_length(piece):
    assert_in_proportion(part, piece)


PIECES = (
    '<think>', '</think>', '\n', 'Blue', 'a cat.', ' ', '<answer>', '</answer>', '<|begin_of_box|>', '<|end_of_box|>', '<|im_end|>', '<output>', '</output>',
    '```', '`', '[THINK]', '[/THINK]', 'assistantfinal', 'analysis', '<|channel|>final<|message|>', '<|channel|>analysis<|message|>', '<|end|>',
    '<|content|>', '<CONCLUSION>', '<SUMMARY>', '{"a": "b"}', '<thought>', '<details type="reasoning">', '</details>', '"',
)  # fmt: skip


def test_an_answer_without_thoughts_is_parted_into_itself():
    """A stored reply is read again by the next run: it must say the same."""
    random_ = random.Random('parted')
    for _ in range(20_000):
        first = part(''.join(random_.choice(PIECES) for _ in range(random_.randint(1, 6))))
        if first.ended and not first.thoughts:
            assert part(first.answer) == first


@pytest.mark.parametrize(('text', 'thoughts', 'answer'), [
    ('<answer><think>x</think>y</answer>', 'x', 'y'),
    ('<|begin_of_box|><think>a</think> red<|end_of_box|>', 'a', 'red'),
    ('Write <answer> in front of it.', '', 'Write <answer> in front of it.'),
])
def test_marks_in_marks_are_taken_off_until_nothing_changes(text, thoughts, answer):
    assert part(text) == (thoughts, answer, True)


def test_marks_in_marks_without_an_end_are_no_answer():
    nested = 'red'
    for _ in range(20):
        nested = f'<|begin_of_box|><answer>{nested}</answer>\n<|im_end|>'
    assert part(nested) == part(part(nested).answer) or not part(nested).ended
