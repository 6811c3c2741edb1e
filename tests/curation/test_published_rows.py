"""Rows as data sets and tools of others publish them, in small and with our own words: what a build takes them for.

The paper's fourteen sources are in tests/pipelines/sources/test_paper_sources.py.
"""

import pytest

from curation.rows.fields import ignored_fields
from curation.rows.formats import Conversation, Fault, read_record
from schemas.recipe import Source
from schemas.records import Reason

BYTES = {'bytes': b'picture', 'path': None}


def users(*said, system=''):
    return [*([('system', system)] if system else []), *((('user', 'assistant')[i % 2], text) for i, text in enumerate(said))]


PUBLISHED = [
    ('tatsu-lab/alpaca', 'instruction', {}, {'instruction': 'Sort.', 'input': 'b, a', 'output': 'a, b', 'text': 'Below is ...'}, users('Sort.\nb, a', 'a, b'), (), {'text'}),
    ('CodeAlpaca', 'instruction', {}, {'instruction': 'Reverse it.', 'input': 'abc', 'output': 'cba'}, users('Reverse it.\nabc', 'cba'), (), set()),
    ('Dolly 15k', 'instruction', {}, {'instruction': 'Who won?', 'context': 'Ann won.', 'response': 'Ann', 'category': 'closed_qa'}, users('Who won?\nAnn won.', 'Ann'), (), set()),
    ('LLaMA-Factory alpaca', 'instruction', {}, {'instruction': 'And?', 'input': '', 'output': 'c', 'system': 's', 'history': [['a', 'b']]}, users('a', 'b', 'And?', 'c', system='s'), (), set()),
    ('LLaMA-Factory mllm_demo', 'messages', {}, {'messages': [{'content': '<image>Who?', 'role': 'user'}, {'content': 'Ann', 'role': 'assistant'}], 'images': ['m/1.jpg']}, users('<image>Who?', 'Ann'), ('m/1.jpg',), set()),
    ('LLaMA-Factory dpo', 'llava', {}, {'conversations': [{'from': 'human', 'value': 'q'}], 'chosen': {'from': 'gpt', 'value': 'a'}, 'rejected': {'from': 'gpt', 'value': 'b'}}, users('q', 'a'), (), {'rejected'}),
    ('LLaMA-Factory v1', 'messages', {}, {'messages': [{'role': 'user', 'content': [{'type': 'image_url', 'value': '1.jpg'}, {'type': 'text', 'value': 'Who?'}], 'loss_weight': 0.0},
                                                       {'role': 'assistant', 'content': [{'type': 'text', 'value': 'Ann'}], 'loss_weight': 1.0}]}, users('<image>Who?', 'Ann'), ('1.jpg',), set()),
    ('ms-swift query', 'instruction', {}, {'system': 's', 'query': '<image>Who?', 'response': 'Ann', 'history': [], 'images': ['1.jpg']}, users('<image>Who?', 'Ann', system='s'), ('1.jpg',), set()),
    ('ms-swift rejected', 'messages', {}, {'messages': [{'role': 'user', 'content': 'q'}, {'role': 'assistant', 'content': 'a'}], 'rejected_response': 'b'}, users('q', 'a'), (), {'rejected_response'}),
    ('ms-swift pairs', 'llava', {}, {'system': 's', 'conversation': [{'human': 'a', 'assistant': 'b'}, {'human': 'c', 'assistant': 'd'}]}, users('a', 'b', 'c', 'd', system='s'), (), set()),
    ('Qwen-VL', 'llava', {}, {'id': 'identity_0', 'conversations': [{'from': 'user', 'value': 'Picture 1: <img>a/1.jpeg</img>\nWhich dog?'}, {'from': 'assistant', 'value': 'A corgi.'}]}, users('Picture 1: <image>\nWhich dog?', 'A corgi.'), ('a/1.jpeg',), set()),
    ('MiniCPM-V', 'llava', {}, {'id': '0', 'image': {'<image_00>': '0.jpg', '<image_01>': '1.jpg'}, 'conversations': [{'role': 'user', 'content': 'Compare <image_00>, <image_01>.'}, {'role': 'assistant', 'content': 'Same.'}]}, users('Compare <image>, <image>.', 'Same.'), ('0.jpg', '1.jpg'), set()),
    ('InternVL', 'llava', {}, {'id': 0, 'image': '1.jpg', 'width': 8, 'height': 8, 'conversations': [{'from': 'human', 'value': '<image>\nWho?'}, {'from': 'gpt', 'value': 'Ann'}]}, users('<image>\nWho?', 'Ann'), ('1.jpg',), set()),
    ('LLaVA-OneVision', 'llava', {}, {'id': '1', 'image': BYTES, 'conversations': [{'from': 'human', 'value': '<image>\nWho?'}, {'from': 'gpt', 'value': 'Ann'}], 'data_source': 'x'}, users('<image>\nWho?', 'Ann'), (b'picture',), set()),
    ('llava-instruct-mix-vsft', 'messages', {}, {'messages': [{'role': 'user', 'content': [{'index': None, 'text': 'Who?', 'type': 'text'}, {'index': 0, 'text': None, 'type': 'image'}]},
                                                              {'role': 'assistant', 'content': [{'index': None, 'text': 'Ann', 'type': 'text'}]}], 'images': [BYTES]}, users('Who?<image>', 'Ann'), (b'picture',), set()),
    ('the Cauldron', 'messages', {}, {'images': [BYTES], 'texts': [{'user': 'Who?', 'assistant': 'Ann', 'source': 'x'}, {'user': 'Why?', 'assistant': 'So.', 'source': 'x'}]}, users('<image>\nWho?', 'Ann', 'Why?', 'So.'), (b'picture',), set()),
    ('OpenAI vision', 'messages', {}, {'messages': [{'role': 'system', 'content': 's'}, {'role': 'user', 'content': 'Who?'}, {'role': 'user', 'content': [{'type': 'image_url', 'image_url': {'url': 'https://h/1.jpg'}}]}, {'role': 'assistant', 'content': 'Ann'}]}, Reason.ROLES_NOT_ALTERNATING, (), set()),
    ('UltraFeedback binarized', 'messages', {}, {'prompt': 'q', 'prompt_id': '1', 'chosen': [{'content': 'q', 'role': 'user'}, {'content': 'a', 'role': 'assistant'}], 'rejected': [], 'score_chosen': 8.5}, users('q', 'a'), (), {'prompt_id', 'score_chosen'}),
    ('RLAIF-V', 'columns', {'image': 'image', 'question': 'question', 'answer': 'chosen'}, {'image': BYTES, 'question': 'Who?', 'chosen': 'Ann', 'rejected': 'Bo', 'ds_name': 'x'}, users('<image>\nWho?', 'Ann'), (b'picture',), {'rejected', 'ds_name'}),
    ('TRL KTO', 'messages', {}, {'prompt': [{'role': 'user', 'content': 'q'}], 'completion': [{'role': 'assistant', 'content': 'b'}], 'label': False}, Reason.LABELLED_WRONG, (), set()),
    ('TRL KTO as columns', 'columns', {'question': 'prompt', 'answer': 'completion'}, {'prompt': 'q', 'completion': 'b', 'label': False}, Reason.LABELLED_WRONG, (), set()),
    ('glaive function calling', 'llava', {}, {'conversations': [{'from': 'human', 'value': 'q'}, {'from': 'function_call', 'value': '{}'}, {'from': 'observation', 'value': '{}'}, {'from': 'gpt', 'value': 'a'}], 'tools': '[{"name": "x"}]'}, Reason.TOOL_USE, (), set()),
    ('LLaVA-Video', 'llava', {}, {'id': '1', 'video': 'a/1.mp4', 'conversations': [{'from': 'human', 'value': '<image>\nWhat?'}, {'from': 'gpt', 'value': 'x'}], 'data_source': 'y'}, Reason.VIDEO_OR_AUDIO, (), set()),
    ('GSM8K', 'columns', {'question': 'question', 'answer': 'answer'}, {'question': '1+1?', 'answer': 'So it is\n#### 2'}, users('1+1?', 'So it is\n#### 2'), (), set()),
    ('SVAMP', 'columns', {'question': ['Body', 'Question'], 'answer': 'Answer', 'id': 'ID'}, {'ID': 'chal-1', 'Body': 'Ann has 3 pens.', 'Question': 'How many?', 'Equation': '3', 'Answer': 3.0, 'Type': 'x'}, users('Ann has 3 pens.\nHow many?', '3.0'), (), {'Equation', 'Type'}),
    ('TheoremQA', 'columns', {'question': 'Question', 'answer': 'Answer'}, {'Question': 'Is it?', 'Answer': True, 'Answer_type': 'bool', 'Picture': None}, users('Is it?', 'True'), (), {'Answer_type'}),
    ('TheoremQA, a vector', 'columns', {'question': 'Question', 'answer': 'Answer', 'ignore': 'Answer_type'}, {'Question': 'Which?', 'Answer': [1, -2], 'Answer_type': 'list of integer'}, users('Which?', '[1, -2]'), (), set()),
    ('NumGLUE', 'columns', {'question': 'question', 'answer': 'answer'}, {'question': 'How many?', 'answer': 7, 'type': 'Type_1'}, users('How many?', '7'), (), set()),
    ('ScienceQA', 'columns', {'image': 'image', 'question': 'question', 'options': 'choices', 'answer': 'answer', 'ignore': ['hint', 'lecture']}, {'image': BYTES, 'question': 'Which?', 'choices': ['a cat', 'a dog'], 'answer': 1, 'hint': 'h', 'lecture': 'l', 'task': 'x', 'grade': 'y'}, users('<image>\nWhich?\nA. a cat\nB. a dog', 'B'), (b'picture',), set()),
    ('ARC', 'columns', {'question': 'question', 'options': 'choices', 'answer': 'answerKey'}, {'id': '1', 'question': 'Which?', 'choices': {'text': ['x', 'y'], 'label': ['A', 'B']}, 'answerKey': 'B'}, users('Which?\nA. x\nB. y', 'B'), (), set()),
    ('MMMU', 'columns', {'image': [f'image_{n}' for n in range(1, 8)], 'question': 'question', 'options': 'options', 'answer': 'answer'},
     {'id': '1', 'question': 'See <image 1>. Which?', 'options': "['<image 2>', 'none']", 'answer': 'A', 'image_1': BYTES, 'image_2': {'bytes': b'other', 'path': 'x'}, **{f'image_{n}': None for n in range(3, 8)}, 'img_type': "['x']"},
     users('See <image>. Which?\nA. <image>\nB. none', 'A'), (b'picture', b'other'), {'img_type'}),
    ('OK-VQA', 'columns', {'image': 'image', 'question': 'question', 'answer': 'answers.answer'}, {'image': BYTES, 'question': 'Who?', 'answers': [{'answer': 'net', 'answer_id': 1}, {'answer': 'nets', 'answer_id': 2}]}, users('<image>\nWho?', 'net'), (b'picture',), {'answers.answer[1:]'}),
    ('ChartQA on the Hub', 'columns', {'image': 'image', 'question': 'query', 'answer': 'label'}, {'image': BYTES, 'query': 'How many?', 'label': ['14'], 'human_or_machine': 0}, users('<image>\nHow many?', '14'), (b'picture',), {'human_or_machine'}),
    ('SQuAD', 'columns', {'question': ['context', 'question'], 'answer': 'answers.text'}, {'id': '1', 'title': 't', 'context': 'Ann won.', 'question': 'Who won?', 'answers': {'text': ['Ann', 'Ann'], 'answer_start': [0, 0]}}, users('Ann won.\nWho won?', 'Ann'), (), {'title'}),
    ('VQAv2, a null picture', 'columns', {'image': 'image', 'question': 'question', 'answer': 'multiple_choice_answer'}, {'image': None, 'question': 'Who?', 'multiple_choice_answer': 'Ann'}, Reason.IMAGE_REFERENCE_NULL, (), set()),
]  # fmt: skip


@pytest.mark.parametrize(('format', 'columns', 'row', 'said', 'images', 'ignored'), [case[1:] for case in PUBLISHED], ids=[case[0] for case in PUBLISHED])
def test_a_published_row_is_read_as_it_is_meant(format, columns, row, said, images, ignored):
    source = Source.model_validate({'format': format, 'annotations': ['a.json'], 'licence': 'MIT', 'columns': columns})
    assert not list(source.column_faults())
    found = read_record(row, source)
    if isinstance(said, Reason):
        assert isinstance(found, Fault)
        assert found.reason == said
        return
    assert isinstance(found, Conversation), found
    assert ([(turn.role, turn.text) for turn in found.turns], found.images) == (said, images)
    assert ignored_fields(row, source, found) == ignored
