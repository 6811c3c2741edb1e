"""A real vLLM with a model that sees: over HTTP, in this process, by batch files, and under a whole build that is killed.

One file, so that one server serves it all. The model is random (tests/pipelines/chat/tiny_vlm.py): counts, tokens and failures are looked at,
never what it says.
"""

import hashlib
import io
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from curation.verdicts import prompts
from curation.verdicts.judging import score_outcomes
from curation.verdicts.ratings import STATEMENT, read_choice, read_needs_picture
from curation.verdicts.scores import answer_logprobs
from pipelines.build import Way, build_all
from pipelines.chat.ask import STORE_EVERY
from pipelines.chat.asking import generation_request, judge_requests, needs_of_generator, needs_of_judge
from pipelines.chat.batch_files import output_path
from pipelines.chat.models import check_plan
from pipelines.chat.openai_backend import OpenAIBackend
from pipelines.chat.openai_batch import OpenAIBatch
from pipelines.chat.rating_requests import needs_picture_requests, rating_request
from pipelines.chat.requests import greedy, make_request, prepare_image
from pipelines.demo.server import ENVIRONMENT, free_port, guarded_server, model_folder, require_vllm, server_command
from pipelines.replies.store import ReplyStore
from schemas.errors import UserError
from schemas.recipe import Generator, Judge, Model, Recipe, load_recipe
from schemas.records import Turn
from schemas.replies import ChatRequest, Reply, SentImage, decode_outcome
from schemas.snapshot import open_snapshot
from tests.fakes import group_is_empty
from tests.programmes.project import REPOSITORY, environment, ids, phantom, rows_of, run

pytestmark = [pytest.mark.integration, pytest.mark.xdist_group('seeing_server')]
NAME, ANSWER = 'tiny', 'The block is red 🎉.'
ENGINE = {'dtype': 'float32', 'max_model_len': 2048, 'enforce_eager': True, 'max_num_seqs': 64, 'gpu_memory_utilization': 0.2}
MODES = ('likelihood', 'yes_no', 'pairwise', 'paper')


def picture(name: str, width: int, height: int, form: str, image_id: str = '') -> SentImage:
    rng, out = random.Random(name), io.BytesIO()
    image = Image.new('RGB', (width, height))
    image.putdata([(rng.randrange(256), rng.randrange(256), rng.randrange(256)) for _ in range(width * height)])
    image.save(out, form)
    return prepare_image(out.getvalue(), image_id or hashlib.sha256(out.getvalue()).hexdigest(), 1344)


JPEG, PNG = picture('a', 64, 48, 'JPEG'), picture('b', 320, 200, 'PNG')
SHOWN = {'none': (), 'jpeg': (JPEG,), 'png': (PNG,), 'two': (JPEG, PNG)}


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    require_vllm()
    out = tmp_path_factory.mktemp('tiny') / 'model'
    command = [sys.executable, '-m', 'tests.pipelines.chat.tiny_vlm', str(model_folder()), str(out)]
    subprocess.run(command, check=True, cwd=REPOSITORY, env=environment(), capture_output=True)
    return out


@pytest.fixture(scope='module')
def server(folder, tmp_path_factory):
    """Yield (url, folder it may read pictures from, log)."""
    home = tmp_path_factory.mktemp('server')
    (home / 'pictures').mkdir()
    port = free_port()
    command = server_command(folder, port, 'float32')
    command += ['--served-model-name', NAME, '--allowed-local-media-path', str(home / 'pictures')]
    url = f'http://127.0.0.1:{port}/v1'
    with guarded_server(command, url, folder=folder, log=home / 'log') as group:
        yield url, home / 'pictures', home / 'log'
    assert group_is_empty(group)


@pytest.fixture(scope='module')
def ask(server):
    """Ask over HTTP with data URLs; `files` puts the pictures where the server may read them."""
    opened = {}

    def ask(requests: list[ChatRequest], files: str = '') -> list:
        if files not in opened:
            opened[files] = OpenAIBackend(settings(server, image_files=files))
        outcomes = {outcome.key: outcome for outcome in opened[files].complete(requests)}
        return [outcomes[request.key] for request in requests]

    yield ask
    for backend in opened.values():
        backend.close()


def settings(server, **changes) -> Model:
    return Model(**{'base_urls': [server[0]], 'model': NAME, 'revision': 'r', 'images': True, 'concurrency': 16, **changes})


def turns(images: tuple[SentImage, ...]) -> list[Turn]:
    return [Turn('user', '<image>\n' * len(images) + 'Which colour is the block?')]


def judged(mode: str, images: tuple[SentImage, ...], name: str = NAME) -> list[ChatRequest]:
    model = Model(model=name, revision='r', images=True)
    return list(judge_requests(mode, model, turns(images), chosen=ANSWER, candidate='blue', images=images))


def plain(images: tuple[SentImage, ...], text: str = '', name: str = NAME) -> ChatRequest:
    messages = prompts.conversation([Turn('user', text)] if text else turns(images), len(images))
    return make_request(messages, model=name, revision='r', settings=greedy(1), images=images)


def everything(name: str = NAME) -> list[ChatRequest]:
    """Return requests of every mode with every set of pictures, and among them some that must fail alone."""
    made = [request for mode in MODES for images in SHOWN.values() for request in judged(mode, images, name)]
    grounded = Generator(prompt='grounded', model='m', max_tokens=24)
    made.append(generation_request(grounded, Model(model=name, revision='r', images=True), turns((PNG,)), answer=ANSWER, images=(PNG,)))
    cut, none = SentImage('c', 'c', 'image/jpeg', JPEG.data[:400]), SentImage('n', 'n', 'image/jpeg', b'%PDF-1.7 no picture')
    made += [plain((cut,), '<image>', name), plain((none,), '<image>', name), plain((JPEG,), '<image>' + 'word ' * 4000, name)]
    made.append(plain((JPEG,) * 40, '<image>' * 40, name))
    return list({request.key: request for request in made}.values())


BAD = 4  # at the end of `everything`


def same(ours, theirs) -> bool:
    return type(ours) is type(theirs) and all(
        getattr(ours, name) == getattr(theirs, name) for name in ('text', 'prompt_tokens', 'completion_tokens')
    ) and all(  # float32: to the last digit on this machine
        [t.logprob for t in getattr(ours, name, ())] == pytest.approx([t.logprob for t in getattr(theirs, name, ())], abs=1e-4)
        for name in ('logprobs', 'prompt_logprobs')
    )


def test_check_tries_pictures_and_everything_else_a_build_needs(server):
    backend = OpenAIBackend(settings(server))
    judges = (needs_of_judge(Judge(model='m', mode=mode), settings(server)) for mode in ('likelihood', 'yes_no', 'pairwise'))
    backend.check(needs_of_generator(Generator(prompt='grounded', model='m'), settings(server)).union(*judges))
    backend.close()


@pytest.mark.parametrize('shown', SHOWN)
def test_every_mode_scores_whatever_is_shown(ask, shown):
    for mode in MODES:
        verdict = score_outcomes(mode, ask(judged(mode, SHOWN[shown])), chosen=ANSWER, candidate='blue')
        assert verdict.reason is None, (mode, verdict)
        assert math.isfinite(verdict.score)


@pytest.mark.parametrize('shown', SHOWN)
def test_the_likelihood_is_that_of_the_answers_tokens_and_of_no_picture(ask, shown):
    """The prompt with the answer has as many tokens more than the one without it as log-probabilities are read."""
    with_answer, without = ask([judged('likelihood', SHOWN[shown])[0], plain(SHOWN[shown])])
    read = answer_logprobs(with_answer.prompt_logprobs, ANSWER)
    assert len(read) == with_answer.prompt_tokens - without.prompt_tokens == 8
    assert [t.logprob for t in with_answer.prompt_logprobs[-8:]] == read


@pytest.mark.parametrize('shown', ['jpeg', 'two'])
def test_every_question_about_a_samples_answer_gets_a_rating(ask, shown):
    model, images = Model(model=NAME, revision='r', images=True), SHOWN[shown]
    asked = [rating_request(question, model, turns(images), ANSWER, images) for question in ('correct', 'answers_the_question', 'well_formed', STATEMENT)]
    ratings = [read_choice(outcome, ('Yes', 'No')) for outcome in ask(asked)]
    assert all(0 < rating.score < 1 for rating in ratings), ratings
    needs = read_needs_picture(ask(list(needs_picture_requests(model, turns(images), ANSWER, images))), ANSWER)
    told = json.loads(needs.scores)
    assert needs.score == told['both'] - told['question_alone'] != 0
    assert told['question_adds'] == told['both'] - told['picture_alone'] != 0


def test_check_tries_what_a_rating_needs(server):
    rate = {'model': 'seeing', 'ask': ['correct', 'needs_picture']}
    told = {'name': 'r', 'sources': {'s': {'format': 'llava', 'annotations': ['a'], 'licence': 'MIT'}}, 'models': {'seeing': settings(server)}, 'rate': rate}
    check_plan(Recipe.model_validate(told), parts=('rate',))


def test_pictures_are_prompt_tokens_and_each_costs_the_same_beside_another(ask):
    """64 x 48 px are shown as 4 x 3 tiles and the whole: 13 of 4 tokens, with a mark and a name before each, a mark at the end, 3 line ends."""
    none, jpeg, png, two = (reply.prompt_tokens for reply in ask([plain(images) for images in SHOWN.values()]))
    assert jpeg - none == 13 * (4 + 2) + 1 + 3
    assert two - png == jpeg - none
    seen = {tuple(t.logprob for t in reply.prompt_logprobs) for reply in ask([judged('likelihood', SHOWN[name])[0] for name in ('jpeg', 'png')])}
    assert len(seen) == 2


def test_pictures_as_files_are_the_same_requests_with_the_same_replies(ask, server):
    requests = [request for mode in MODES for request in judged(mode, (JPEG, PNG))]
    assert all(same(a, b) for a, b in zip(ask(requests), ask(requests, str(server[1])), strict=True))
    assert {path.name for path in server[1].rglob('*') if path.is_file()} == {JPEG.digest, PNG.digest}


def test_a_folder_the_server_may_not_read_is_found_by_check(server, tmp_path):
    backend = OpenAIBackend(settings(server, image_files=str(tmp_path)))
    with pytest.raises(UserError, match='expected support for images, found HTTP 400: .*allowed-local-media-path'):
        backend.check(frozenset({'images'}))
    backend.close()


def test_bad_requests_fail_alone_and_finally(ask):
    outcomes = ask(everything())
    good, bad = outcomes[:-BAD], outcomes[-BAD:]
    assert all(isinstance(outcome, Reply) or outcome.kind == 'length' for outcome in good)
    kinds = ['bad_picture', 'bad_picture', 'too_long', 'too_long']
    assert [(outcome.kind, outcome.retryable) for outcome in bad] == [(kind, False) for kind in kinds]
    for outcome, why in zip(bad, ('Truncated', 'cannot identify image', 'maximum context length', 'maximum'), strict=True):
        assert why in outcome.detail


INSIDE = """
import json, os, sys, time
from pipelines.chat.vllm_backend import VllmBackend
from pipelines.chat.vllm_engine import kept
from schemas.recipe import Model
from schemas.replies import encode_outcome
from tests.programmes.test_seeing_vllm import ENGINE, everything, same
model = Model(backend='vllm', model=sys.argv[1], revision='r', images=True)
backend, other = VllmBackend(model, ENGINE), VllmBackend(model, ENGINE)
backend.check(frozenset({'images', 'prompt_logprobs', 'choice', 'logprobs', 'json_schema'}))
with kept():
    outcomes = {outcome.key: outcome for outcome in backend.complete(everything(sys.argv[1]))}
    backend.close()
    some = everything(sys.argv[1])[:3]
    again = {outcome.key: outcome for outcome in other.complete(some)}  # the same engine: no second one fits
    assert again.keys() == {request.key for request in some}
    assert all(same(outcome, outcomes[key]) for key, outcome in again.items()), again
print('OUTCOMES ' + json.dumps([encode_outcome(outcome) for outcome in outcomes.values()]), flush=True)
time.sleep(600)
"""


def test_the_engine_in_process_replies_as_the_server_does_and_a_kill_leaves_nothing(folder, ask):
    """The user's environment asks for an engine process, which would outlive the kill."""
    command = [sys.executable, '-c', INSIDE, str(folder)]
    asked_for = {**os.environ, **ENVIRONMENT, 'PYTHONPATH': str(REPOSITORY), 'VLLM_ENABLE_V1_MULTIPROCESSING': '1'}
    child = subprocess.Popen(command, env=asked_for, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, start_new_session=True)
    line = next((line for line in child.stdout if line.startswith('OUTCOMES ')), '')
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert group_is_empty(child.pid)
    inside = {outcome.key: outcome for outcome in map(decode_outcome, json.loads(line.removeprefix('OUTCOMES ')))}
    requests = everything(str(folder))
    assert inside.keys() == {request.key for request in requests}
    outside = ask(everything())
    for request, theirs in zip(requests, outside, strict=True):
        assert same(inside[request.key], theirs), (inside[request.key], theirs)
        assert getattr(inside[request.key], 'kind', '') == getattr(theirs, 'kind', '')
    assert not any('0x' in outcome.detail for outcome in inside.values() if not isinstance(outcome, Reply)), 'an address differs in every run'


def test_vllms_own_batch_runner_answers_the_files(folder, ask, tmp_path):
    """JSON is left out: the runner is started as the pending failure says, without a bound on its blanks."""
    backend = OpenAIBatch(Model(backend='openai-batch', model=str(folder), revision='r', images=True, api_key_env='NO_SUCH_KEY'), tmp_path)
    made, asked = everything(str(folder)), everything()
    del made[-BAD - 1], asked[-BAD - 1]
    pending = list(backend.complete(made))
    assert all(outcome.retryable for outcome in pending)
    (path,) = tmp_path.glob('batch-*.jsonl')
    words = pending[0].detail.partition('`')[2].partition('`')[0].split()
    assert words[:3] == ['python', '-m', 'vllm.entrypoints.openai.run_batch']
    command = [sys.executable, *words[1:], '--dtype', 'float32', '--max-model-len', '2048', '--enforce-eager']
    done = subprocess.run(command, env={**os.environ, **ENVIRONMENT}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert output_path(path).exists()
    outcomes = {outcome.key: outcome for outcome in backend.complete(made)}
    for request, theirs in zip(made, ask(asked), strict=True):
        assert same(outcomes[request.key], theirs), (outcomes[request.key], theirs)


N_PICTURES = 40
COLOURS = {'red': (220, 20, 20), 'green': (20, 200, 20), 'blue': (20, 20, 220), 'yellow': (230, 230, 20)}


@pytest.fixture(scope='module')
def project(server, tmp_path_factory) -> Path:
    """A source of pictures with open answers and a recipe that shows them, some made smaller, to the real server."""
    home, rng, records = tmp_path_factory.mktemp('project'), random.Random(1), []
    (home / 'data/pictures').mkdir(parents=True)
    for i in range(N_PICTURES):
        names = [rng.choice(list(COLOURS)) for _ in range(16)]
        image = Image.new('RGB', (80 + i, 64))
        for at, name in enumerate(names):
            image.paste(COLOURS[name], (at % 4 * 30, at // 4 * 16, at % 4 * 30 + 30, at // 4 * 16 + 16))
        form = ('png', 'jpg')[i % 2]
        image.save(home / f'data/pictures/{i}.{form}')
        asked = f'<image>\nWhat colour is the upper left block of drawing number {i}?'
        said = [{'from': 'human', 'value': asked}, {'from': 'gpt', 'value': f'It is {names[0]}, beside {names[1]}.'}]
        records.append({'id': str(i), 'image': f'{i}.{form}', 'conversations': said})
    (home / 'data/drawings.json').write_text(json.dumps(records))
    source = {'format': 'llava', 'annotations': ['drawings.json'], 'images': ['pictures'], 'licence': 'MIT', 'accept_uncalibrated': True}
    recipe = {
        'name': 'seen', 'sources': {'drawings': source},
        'models': {'tiny': settings(server, concurrency=4, max_image_px=100).model_dump(include={
            'base_urls', 'model', 'revision', 'images', 'concurrency', 'max_image_px'})},
        'generate': [{'prompt': 'rules'}, {'prompt': 'grounded', 'model': 'tiny', 'max_tokens': 20}],
        'judge': {'model': 'tiny', 'mode': 'likelihood', 'margin': -100.0, 'second': {'model': 'tiny', 'mode': 'pairwise'}},
        'calibration': {'min_cases': 12},
    }
    (home / 'recipe.yaml').write_text(yaml.safe_dump(recipe, sort_keys=False))
    build_all(load_recipe(home / 'recipe.yaml'), home / 'mixed', Way(None, home / 'data', mix_only=True))
    return home


def posts(log: Path) -> int:
    return log.read_text(encoding='utf-8', errors='replace').count('POST /v1/chat/completions')


def stored(out: Path) -> dict[str, Reply]:
    store = ReplyStore(out / 'work/replies')
    found = {outcome.key: outcome for outcome in store.outcomes()}
    store.close()
    return found


def test_a_build_killed_while_a_real_vllm_answers_goes_on_to_the_same_snapshot(project, server, tmp_path):
    """In float32, so that replies do not depend on what else is in the batch. Every request is a line of the server's log."""
    log, command = server[2], [phantom(), 'build', str(project / 'recipe.yaml'), '--root', str(project / 'data'), '--out']
    for name in ('whole', 'killed'):
        shutil.copytree(project / 'mixed', tmp_path / name)
    before = posts(log)
    done = run([*command, str(tmp_path / 'whole')])
    assert done.returncode == 0, done.stdout + done.stderr
    everything_asked = stored(tmp_path / 'whole')
    n_probes = posts(log) - before - len(everything_asked)
    assert 0 < n_probes <= 2 * 5, 'each of five needs is tried before the mix and before the first question'

    out, before = tmp_path / 'killed', posts(log)
    killed = subprocess.Popen([*command, str(out)], cwd='/', env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while posts(log) - before < n_probes + len(everything_asked) * 2 // 3:
        assert killed.poll() is None, 'the build ended before its kill'
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (out / 'triples').exists()
    kept = stored(out)
    assert len(everything_asked) / 3 < len(kept) < len(everything_asked)
    time.sleep(1)  # what was in flight is answered to nobody
    asked = posts(log)
    assert asked - before - n_probes - len(kept) <= STORE_EVERY + 4

    done = run([*command, str(out)])
    assert done.returncode == 0, done.stdout + done.stderr
    assert posts(log) - asked == n_probes + len(everything_asked) - len(kept), 'a stored reply was asked for again'
    assert ids(out) == ids(tmp_path / 'whole')
    assert stored(out).keys() == everything_asked.keys()


def test_resized_pictures_and_their_tokens_stand_in_the_store(project, server, tmp_path):
    """Pictures of more than 100 px were sent as PNG of 100; their ids are those of the files."""
    shutil.copytree(project / 'mixed', tmp_path / 'out')
    build_all(load_recipe(project / 'recipe.yaml', ('generate=[{prompt: rules}]', 'judge.second=null', 'triples.max_samples={drawings: 30}')),
              tmp_path / 'out', Way(None, project / 'data'))
    names = {hashlib.sha256(path.read_bytes()).hexdigest(): int(path.stem) for path in (project / 'data/pictures').iterdir()}
    resized = {note.partition(': ')[::2] for reply in stored(tmp_path / 'out').values() for note in reply.resized}
    assert resized
    assert all(names[image_id] > 20 and how.startswith(f'{80 + names[image_id]}x64 -> 100x') for image_id, how in resized)
    keys = {key for row in rows_of(tmp_path / 'out/triples') for key in row['reply_keys']}
    assert all(stored(tmp_path / 'out')[key].prompt_tokens > 80 for key in keys)


def test_a_real_model_rates_a_mix_planted_cases_included_and_is_asked_nothing_twice(project, server, tmp_path):
    """It is random: that each sample and each case gets a number is looked at, and that another threshold asks nobody."""
    shutil.copytree(project / 'mixed', tmp_path / 'out')
    rate = 'rate={model: tiny, ask: [correct, needs_picture], claims: true, max_samples: {drawings: 8}, drop: {correct: %s}}'
    build_all(load_recipe(project / 'recipe.yaml', (rate % 0.0,)), tmp_path / 'rated', Way(tmp_path / 'out/work', project / 'data', mix_only=True))
    mix = open_snapshot(tmp_path / 'rated/mix')
    rated = pq.read_table(mix.path / 'ratings/ratings.parquet').to_pylist()
    assert sorted(row['ask'] for row in rated) == ['correct'] * 8 + ['needs_picture'] * 8
    assert all(math.isfinite(row['score']) for row in rated)
    cases = pq.read_table(mix.path / 'ratings/cases.parquet').to_pylist()
    assert {(case['ask'], case['plant']) for case in cases} >= {('correct', 'own'), ('correct', 'other picture'), ('needs_picture', 'other picture')}
    assert all(math.isfinite(case['score']) for case in cases)
    asked = posts(server[2])
    lowest = sorted(row['score'] for row in rated if row['ask'] == 'correct')[0]
    sets = (rate % (lowest + 1e-9), 'sources.drawings.accept_uncalibrated=true')
    build_all(load_recipe(project / 'recipe.yaml', sets), tmp_path / 'stricter',
              Way(tmp_path / 'out/work', project / 'data', mix_only=True, ask_nobody=True))
    assert [row['reason'] for row in rows_of(tmp_path / 'stricter/mix', 'rejections')] == ['WRONG_ANSWER']
    assert posts(server[2]) == asked
