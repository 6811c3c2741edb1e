"""Whole builds whose generator and judge think before they answer: what is sealed is what they would seal without a thought."""

import hashlib
import json
import re

import pytest
import yaml

from tests.programmes.project import RECIPE, TRUTH, knowing_server, rows_of, write_project

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('thoughts')]

JUDGED = ('judge.mode=yes_no', 'models.fake.concurrency=8')
THOUGHT = 'Let me think. Is it right? No. Or is it? Yes'


@pytest.fixture(scope='module')
def project(tmp_path_factory):
    """The little project without its pictures."""
    texts = write_project(tmp_path_factory.mktemp('project'))
    recipe = {**RECIPE, 'sources': {'facts': RECIPE['sources']['facts']}, 'contamination': {}, 'generate': RECIPE['generate'][1:]}
    texts.recipe.write_text(yaml.safe_dump(recipe))
    return texts


def judged(body: dict, payload: dict) -> dict:
    """Return a yes_no verdict that is right, as sure as its request's digest says; other completions as they are."""
    text = body['messages'][-1]['content']
    if (body.get('structured_outputs') or {}).get('choice') != ['Yes', 'No'] or 'kingdom of' not in text:
        return payload
    asked = re.search(r'kingdom of (\w+)', text)[1]
    sure = 2 + int(hashlib.sha256(text.encode()).hexdigest()[:4], 16) / 65536
    word, other = ('Yes', 'No') if TRUTH[asked] in text.rpartition('Answer: ')[2] else ('No', 'Yes')
    choice = payload['choices'][0]
    choice['message']['content'] = word
    choice['logprobs'] = {'content': [_token(word, [(word, -0.1), (other, -0.1 - sure)])]}
    return payload


def _token(text: str, top: list[tuple[str, float]]) -> dict:
    return {'token': text, 'logprob': top[0][1], 'top_logprobs': [{'token': t, 'logprob': p} for t, p in top]}


def _thinking(before: str, after: str, tokens: bool = True):
    """Return what dresses a completion in thoughts that stand in its text, their tokens first in its log-probabilities."""
    def dressed(body: dict, payload: dict) -> dict:
        choice = judged(body, payload)['choices'][0]
        choice['message']['content'] = f'{before}{THOUGHT}{after}{choice["message"]["content"]}'
        return _with_tokens(payload, [before, *re.findall(r'\W*\w+\W*', THOUGHT), after] if tokens else [])

    return dressed


def _apart(name: str, tokens: bool):
    """Return what dresses a completion in thoughts of a field of their own."""
    def dressed(body: dict, payload: dict) -> dict:
        message = judged(body, payload)['choices'][0]['message']
        message[name] = THOUGHT
        return _with_tokens(payload, [*re.findall(r'\W*\w+\W*', THOUGHT), '\n\n'] if tokens else [])

    return dressed


def _parts(body: dict, payload: dict) -> dict:
    message = judged(body, payload)['choices'][0]['message']
    message['content'] = [{'type': 'thinking', 'thinking': [{'type': 'text', 'text': THOUGHT}]}, {'type': 'text', 'text': message['content']}]
    return payload


def _with_tokens(payload: dict, texts: list[str]) -> dict:
    logprobs = payload['choices'][0]['logprobs']
    if logprobs:
        misleading = [_token(text, [(text, -0.1), ('Yes', -9.0), ('No', -2.5)]) for text in texts if text]
        logprobs['content'] = [*misleading, *logprobs['content']]
    return payload


FORMS = (
    _thinking('<think>\n', '\n</think>\n\n'), _thinking('', '\n</think>\n\n'),  # the second: opened by the template
    _thinking('<|channel|>analysis<|message|>', '<|end|><|start|>assistant<|channel|>final<|message|>'),
    _thinking('analysis', 'assistantfinal', tokens=False), _apart('reasoning_content', tokens=True), _apart('reasoning', tokens=False), _parts,
)


def each_in_its_form(body: dict, payload: dict) -> dict:
    """Dress a completion in the form of thoughts that its body's digest chooses."""
    digest = hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()
    return FORMS[int(digest[:8], 16) % len(FORMS)](body, payload)


def facts(out) -> list[tuple]:
    rows = [row for row in rows_of(out / 'triples') if row['source'] == 'facts']
    return sorted((row['triple_id'], row['rejected'][0]['content'][0]['text'], row['score']) for row in rows)


def test_what_is_sealed_is_what_would_be_without_thoughts(project, tmp_path):
    for name, dressed in (('plain', judged), ('thinking', each_in_its_form)):
        with knowing_server(dressed=dressed) as server:
            project.build(tmp_path / name, url=server.url, sets=JUDGED)
    assert len(facts(tmp_path / 'plain')) > 20
    assert facts(tmp_path / 'thinking') == facts(tmp_path / 'plain')
    text = json.dumps([row['rejected'] for row in rows_of(tmp_path / 'thinking/triples')])
    assert 'think' not in text
    assert 'analysis' not in text


def test_replies_that_end_inside_their_thoughts_are_cut_and_no_triple_is_made_of_them(project, tmp_path):
    cut_off = set()

    def dressed(body: dict, payload: dict) -> dict:
        judged(body, payload)
        text = body['messages'][-1]['content']
        plain = not ({'prompt_logprobs', 'structured_outputs', 'response_format'} & body.keys())
        if plain and 'kingdom' in text and int(hashlib.sha256(text.encode()).hexdigest(), 16) % 2:
            cut_off.add(re.search(r'kingdom of (\w+)', text)[1])
            payload['choices'][0]['message']['content'] = f'<think>{THOUGHT}'
        return payload

    with knowing_server(dressed=dressed) as server:
        project.build(tmp_path / 'out', url=server.url, sets=JUDGED)
    rejected = [row for row in rows_of(tmp_path / 'out/triples', 'rejections') if row['source'] == 'facts' and row['unit'] == 'candidate']
    cut = [row for row in rejected if row['reason'] == 'CUT_REPLY']
    assert 10 < len(cut) == len(cut_off) < 30  # of the generator's max_samples
    assert all('ended inside its thoughts' in row['detail'] for row in cut)
    made = json.dumps([row['rejected'] for row in rows_of(tmp_path / 'out/triples')])
    assert 'think' not in made
