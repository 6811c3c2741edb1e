"""A tiny checkpoint behind `phantom serve`, an unmodified vLLM on the CPU: greedy tokens and log-probabilities are the project's own.

Text and pictures, all at once, prompts cut into chunks, the prefix cache on, over HTTP. One file, so that one server serves it all.
"""

import asyncio
import base64
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import openai
import pyarrow.parquet as pq
import pytest
import yaml

from model.phantom.processor import PhantomProcessor, user_message
from model.phantom.tokens import IMAGE_TOKEN, make_byte_tokenizer
from pipelines.build import Way, build_all
from schemas.recipe import load_recipe
from schemas.snapshot import open_snapshot
from tests.fakes import group_is_empty
from tests.model.serving.checkpoints import NEW, SPELT, Row, answered, cases, picture, save_tiny

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('served_checkpoint')]
ROOT = Path(__file__).parents[3]
NAT = 1e-4  # of a log-probability; 3e-6 was seen at this head size
# 40 tokens a step: longer prompts are prefilled in pieces; 32 a block: prompts that begin alike share some
WAYS = ['--max-num-batched-tokens', '40', '--max-num-seqs', '16', '--block-size', '32', '--enable-prompt-tokens-details']
EVERYTHING = {'ignore_eos': True, 'return_token_ids': True, 'prompt_logprobs': 0, 'skip_special_tokens': False}
SHORT = {'ignore_eos': True, 'return_token_ids': True, 'skip_special_tokens': False}  # with prompt_logprobs vLLM does not read its prefix cache


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory) -> Path:
    return save_tiny(tmp_path_factory.mktemp('served') / 'tiny')


@pytest.fixture(scope='module')
def ours(checkpoint) -> list[Row]:
    return answered(checkpoint, cases())


@pytest.fixture(scope='module')
def url(checkpoint):
    """Where it answers; Ctrl-C ends it and all that it started."""
    command = [sys.executable, '-P', '-m', 'phantom', 'serve', str(checkpoint), '--port', '0', '--name', 'mine', *WAYS]
    environment = {**os.environ, 'OMP_NUM_THREADS': '1', 'PYTHONPATH': f'{ROOT}{os.pathsep}{os.environ.get("PYTHONPATH", "")}'}
    with open(checkpoint.parent / 'log', 'wb') as log:
        child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True, cwd=checkpoint.parent)
    lines: list[str] = []
    for line in child.stdout:
        lines.append(line)
        if 'answers at' in line:
            break
    assert child.poll() is None, ''.join(lines[-20:]) + (checkpoint.parent / 'log').read_text()[-4000:]
    servers = subprocess.run(['pgrep', '-P', str(child.pid)], capture_output=True, text=True).stdout.split()
    yield lines[-1].partition('answers at ')[2].partition(';')[0]
    child.send_signal(signal.SIGINT)
    child.stdout.close()
    assert child.wait() == 0
    assert all(group_is_empty(int(server)) for server in servers)


def messages(row: Row) -> list[dict]:
    encoded = [base64.b64encode(image).decode() for image in row['images']]
    parts = [{'type': 'image_url', 'image_url': {'url': f'data:image/png;base64,{data}'}} for data in encoded]
    return [{'role': 'user', 'content': [*parts, {'type': 'text', 'text': row['text']}]}]


def ask(url: str, rows: list[Row], extra: dict) -> list:
    """The answers to all of them at once."""

    async def all_at_once() -> list:
        async with openai.AsyncOpenAI(base_url=url, api_key='none', max_retries=0) as client:
            calls = (
                client.chat.completions.create(
                    model='mine', messages=messages(row), temperature=0, max_tokens=NEW, logprobs=True, top_logprobs=1, extra_body=extra
                )
                for row in rows
            )
            return await asyncio.gather(*calls)

    return asyncio.run(all_at_once())


def worst(ours: list[float], theirs: list[float]) -> float:
    assert len(ours) == len(theirs)
    return max(abs(a - b) for a, b in zip(ours, theirs, strict=True))


def test_prompts_greedy_tokens_and_log_probabilities_are_our_own(url, ours):
    """Also of a text that spells special tokens, and of a JPEG on its side, a picture of 16 bits and one with a palette."""
    for row, answer in zip(ours, ask(url, ours, EVERYTHING), strict=True):
        ids, choice = answer.model_extra['prompt_token_ids'], answer.choices[0]
        assert ids == row['ids'], row['text']
        scores = [step[str(token)]['logprob'] for step, token in zip(answer.model_extra['prompt_logprobs'][1:], ids[1:], strict=True)]
        assert worst(row['logprobs'], scores) < NAT
        assert choice.model_extra['token_ids'] == row['new'], row['text']
        assert worst(row['new_logprobs'], [token.logprob for token in choice.logprobs.content]) < NAT


def test_what_the_prefix_cache_holds_changes_nothing(url, ours):
    ask(url, ours, SHORT)
    again = ask(url, ours, SHORT)
    assert sum(answer.usage.prompt_tokens_details.cached_tokens for answer in again) > sum(len(row['ids']) for row in ours) / 2
    for row, answer in zip(ours, again, strict=True):
        assert answer.choices[0].model_extra['token_ids'] == row['new']
        assert worst(row['new_logprobs'], [token.logprob for token in answer.choices[0].logprobs.content]) < NAT


@pytest.fixture
def client(url):
    with openai.OpenAI(base_url=url, api_key='none', max_retries=0) as made:
        yield made


def test_a_prompt_that_begins_otherwise_is_refused_and_one_that_begins_right_is_answered(client, ours):
    """The sos tables are those of the template's first token: answered with them, such a prompt was 0.19 off."""
    row = ours[0]
    for prompt in ('What colour?', row['ids'][1:], [row['ids'][2]]):
        with pytest.raises(openai.BadRequestError, match=r"expected '<\|im_start\|>' \(256\) as the first token.*ask /v1/chat/completions"):
            client.completions.create(model='mine', prompt=prompt, max_tokens=1)
    with pytest.raises(openai.BadRequestError, match='first token'):
        client.completions.create(model='mine', prompt=row['ids'], max_tokens=1, extra_body={'truncate_prompt_tokens': 5})
    for prompt in (row['ids'], f'<|im_start|>user\n{row["text"]}<|im_end|><|im_start|>assistant\n'):
        answer = client.completions.create(model='mine', prompt=prompt, max_tokens=NEW, temperature=0, logprobs=1, extra_body={'ignore_eos': True})
        assert worst(row['new_logprobs'], answer.choices[0].logprobs.token_logprobs) < NAT


def test_an_answer_can_be_scored_where_it_stands(client):
    """As a judge does: no answer is opened, and the one that is there goes on."""
    talk = [{'role': 'user', 'content': SPELT}, {'role': 'assistant', 'content': 'It is <|im_end|>'}]
    ways = {'prompt_logprobs': 0, 'return_token_ids': True, 'add_generation_prompt': False, 'continue_final_message': True}
    answer = client.chat.completions.create(model='mine', messages=talk, max_tokens=1, extra_body=ways)
    processor = PhantomProcessor(make_byte_tokenizer())
    expected = processor.encode_prompt([user_message(SPELT, 0)], []) + processor.encode_answer([{'content': [{'text': 'It is <|im_end|>'}]}])[:-1]
    assert answer.model_extra['prompt_token_ids'] == expected


def test_what_the_model_has_no_form_for_is_refused_by_name(client):
    tool = {'type': 'function', 'function': {'name': 'f', 'parameters': {}}}
    spoilt = [{'type': 'image_url', 'image_url': {'url': 'data:image/png;base64,' + base64.b64encode(b'no picture').decode()}}]
    for talk, ways, said in (
        ([{'role': 'user', 'content': 'x'}], {'tools': [tool], 'tool_choice': 'none'}, 'expected no tools'),
        ([{'role': 'tool', 'content': 'x', 'tool_call_id': '1'}], {}, 'expected the roles system, developer, user, assistant'),
        ([{'role': 'user', 'content': spoilt}], {}, 'image'),
    ):
        with pytest.raises(openai.BadRequestError, match=said):
            client.chat.completions.create(model='mine', messages=talk, max_tokens=1, **ways)


def test_the_answer_ends_where_the_turn_does(client, ours):
    """By default an answer stops at the end of its turn, which stays out of the text."""
    answer = client.chat.completions.create(
        model='mine', messages=messages(ours[0]), max_tokens=400, temperature=0, extra_body={'return_token_ids': True, 'logit_bias': {'257': 100}}
    )
    assert (answer.choices[0].finish_reason, answer.choices[0].message.content) == ('stop', '')


def test_ids_of_image_tokens_in_a_text_are_no_picture(client):
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model='mine', prompt=f'{IMAGE_TOKEN}', max_tokens=1)


def test_a_recipe_generates_and_judges_with_the_served_checkpoint(url, tmp_path):
    """Its weights are random: counts are looked at, never what it says."""
    count, said = 12, []
    (tmp_path / 'data').mkdir()
    for index in range(count):
        (tmp_path / f'data/{index}.png').write_bytes(picture(index))
        talk = [('human', f'<image>\nWhat is drawn in picture {index}?'), ('gpt', f'Six ellipses of colour {index}, one behind another.')]
        said.append({'id': str(index), 'image': f'{index}.png', 'conversations': [{'from': who, 'value': text} for who, text in talk]})
    (tmp_path / 'data/drawings.json').write_text(json.dumps(said))
    drawings = {'format': 'llava', 'annotations': ['drawings.json'], 'images': ['.'], 'licence': 'MIT', 'accept_uncalibrated': True}
    recipe = {
        'name': 'loop', 'sources': {'drawings': drawings},
        'models': {'mine': {'base_urls': [url], 'model': 'mine', 'revision': 'r', 'images': True, 'max_image_px': 112}},
        'generate': [{'prompt': 'rules'}, {'prompt': 'paper', 'model': 'mine', 'max_tokens': 12}],
        'judge': {'model': 'mine', 'mode': 'likelihood', 'margin': -100.0, 'second': {'model': 'mine', 'mode': 'yes_no'}},
        'calibration': {'min_cases': 4},
    }
    (tmp_path / 'recipe.yaml').write_text(yaml.safe_dump(recipe, sort_keys=False))
    build_all(load_recipe(tmp_path / 'recipe.yaml'), tmp_path / 'out', Way(None, tmp_path / 'data', workers=0))
    manifest = open_snapshot(tmp_path / 'out' / 'triples', 'triples').manifest
    (report,) = manifest['calibration']['reports']
    assert (manifest['models'], report['unparsable']['hits']) == ({'mine': ['mine', 'r', True, 112]}, 0)
    rows = pq.read_table(tmp_path / 'out/triples/data').to_pylist()
    assert len(rows) == count, 'one wrong answer by rule for each, judged twice'
    (candidates,) = (entry for entry in manifest['yield'] if entry['unit'] == 'candidate')
    assert candidates['rejected'] == {'CUT_REPLY': count}, 'what it wrote itself has no end: it was never taught one'
