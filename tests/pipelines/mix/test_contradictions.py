"""The same question about the same picture with answers that cannot both be right: found in any turn, shown, and left out as the recipe says."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.engine.engine import Engine
from pipelines.engine.step import make_here
from pipelines.look.explain_json import explained
from pipelines.look.gallery.beside import beside
from pipelines.look.gallery.entry import entry
from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.overview import overview
from pipelines.look.gallery.query import Query
from pipelines.look.gallery.work import find_work
from pipelines.look.show import show_build
from pipelines.mix.asked_turns import ListQuestions, questions_of
from pipelines.mix.contradictions import FindContradictions
from pipelines.mix.programme import Folders, build_mix
from pipelines.sources.files import resolve
from schemas.recipe import Recipe
from schemas.records import RATINGS, SAMPLES
from schemas.snapshot import Snapshot
from tests.pipelines.mix.mixes import table_of
from tests.pipelines.mix.test_same_text import picture
from tests.programmes.project import rows_of

COLOUR, OUT = 'What colour is the ball?', 'CONTRADICTED_ANSWER'


def talk(pictures: str, *said: str) -> dict:
    """Return a record: names of pictures, then questions and answers in turn; marks are put before the first question."""
    names = pictures.split()
    turns = [{'from': ('human', 'gpt')[at % 2], 'value': text} for at, text in enumerate(said)]
    if names and '<image>' not in ''.join(said):
        turns[0]['value'] = '<image>\n' * len(names) + turns[0]['value']
    return {'conversations': turns, **({'image': [f'{name}.png' for name in names]} if names else {})}


STARS = {'one': 0, 'half': 0, 'other': 1}
FEATURES = pa.schema([('stars', pa.list_(pa.int64())), ('bad_image', pa.string())])


def found(folder, records: list[dict], *, exact: bool = False) -> list[dict]:
    """Return the CONTRADICTIONS rows of records whose pictures are those of `built`; of one that is called `gone` nothing is known."""
    parts, features = [], []
    for half in (records[: len(records) // 2], records[len(records) // 2 :]):
        rows, known = [], []
        for record in half:
            turns = [{'role': {'human': 'user', 'gpt': 'assistant'}[one['from']], 'text': one['value']} for one in record['conversations']]
            names = [name.removesuffix('.png') for name in record.get('image', [])]
            rows.append({'sample_id': str(records.index(record)), 'source': 'talks', 'turns': turns, 'images': []})
            bad = 'gone' in names
            known.append({'stars': [] if bad else [STARS[name] for name in names], 'bad_image': 'gone.png: IMAGE_MISSING' if bad else ''})
        parts.append(pa.Table.from_pylist(rows, SAMPLES))
        features.append(pa.Table.from_pylist(known, FEATURES))
    samples, features = table_of(folder / 'samples', *parts), table_of(folder / 'features', *features)
    asked = make_here(ListQuestions((samples,), features), folder / 'asked')
    return make_here(FindContradictions(asked, (samples,), ('talks',) if exact else ()), folder / 'found').read().to_pylist()


def built(folder, records: list[dict], action: str | None = 'flag', *, exact: bool = False, again: str = '', **more) -> Snapshot:
    (folder / 'in').mkdir(parents=True, exist_ok=True)
    for name, data in {'one': picture(1), 'half': picture(1, 48), 'other': picture(2)}.items():
        if not (folder / f'in/{name}.png').exists():
            (folder / f'in/{name}.png').write_bytes(data)
    (folder / 'in/talks.json').write_text(json.dumps(records), encoding='utf-8')
    source = {'format': 'llava', 'licence': 'MIT', 'annotations': ['talks.json'], 'images': ['.'], 'turns': 'all', 'answers': 'exact' if exact else 'open'}
    recipe = Recipe.model_validate({'name': 'r', 'sources': {'talks': source}, 'contradictions': action, **more})
    return build_mix(resolve(recipe, folder / 'in'), Folders(folder / 'in', folder / f'out{again}'), Engine(folder / 'work'))


def left_out(mix: Snapshot) -> dict[int, str]:
    """Return the reasons of the samples that are not in a mix, by the number of their record."""
    return {int(row['id'].partition('#')[2].partition('/')[0]): row['reason'] for row in rows_of(mix.path, 'rejections')}


BALLS = [talk('one', COLOUR, 'red'), talk('one', COLOUR, 'Red.'), talk('half', COLOUR, 'blue'), talk('other', COLOUR, 'blue'), talk('one', 'And the car?', 'blue')]


@pytest.mark.integration
def test_in_a_build_each_action_is_a_setting_of_the_selection_alone_and_all_is_shown(tmp_path, capsys):
    silent = built(tmp_path, BALLS, None)
    assert 'contradictions' not in silent.manifest
    assert '## Contradictions' not in (silent.path / 'README.md').read_text(encoding='utf-8')
    assert not (tmp_path / 'work/asked').exists(), 'nobody looks unless the recipe asks'
    mix = built(tmp_path, BALLS, again='1')
    assert (left_out(mix), mix.snapshot_id) == ({}, silent.snapshot_id)
    assert mix.manifest['contradictions'] == {'groups': 1, 'by_source': {'talks': {'samples': 3, 'groups': 1}}}
    card = (mix.path / 'README.md').read_text(encoding='utf-8')
    assert '| talks | 1 | 3 |' in card
    assert '| What colour is the ball&#63; | Red. (2, talks/talks.json&#35;0/0); blue (1, talks/talks.json&#35;2/0) |' in card
    assert 'contradictions: 1 question(s)' in capsys.readouterr().err
    show_build(tmp_path / 'out1')
    shown = capsys.readouterr().out
    assert 'contradictions: 1 question(s) about the same picture, or none, with answers that cannot both be right, in 3 sample(s)' in shown
    told = explained('talks/talks.json#2/0', tmp_path / 'work', tmp_path / 'x.png', tmp_path / 'out1')
    assert [(one['answer'], one['wins'], len(one['group']['answers'])) for one in told['sample']['contradictions']] == [('blue', False, 2)]
    assert "    'blue'  1 vote(s): talks 1; first talks/talks.json#2/0" in told['lines']
    _flagged_in_the_gallery(mix.path)

    made = {path: path.stat().st_mtime_ns for name in ('asked', 'contradictions', 'features') for path in (tmp_path / 'work' / name).glob('*/_DONE.json')}
    out = 'CONTRADICTED_ANSWER'
    assert left_out(built(tmp_path, BALLS, 'drop_all', again='2')) == {0: out, 1: out, 2: out}
    kept = built(tmp_path, BALLS, 'majority', again='3')
    assert left_out(kept) == {2: out}
    assert {path: path.stat().st_mtime_ns for name in ('asked', 'contradictions', 'features') for path in (tmp_path / 'work' / name).glob('*/_DONE.json')} == made
    (row,) = rows_of(kept.path, 'rejections')
    told = explained('talks/talks.json#2/0', tmp_path / 'work', tmp_path / 'x.png', tmp_path / 'out3')
    assert told['lines'][0].endswith(f"out: {out}: 'What colour is the ball?' is answered by 'Red.' (2) against 'blue' (1)")
    assert not any('{"' in line for line in told['lines']), 'JSON is for programs'
    assert json.loads(row['detail'])['answers'][0] == {'answer': 'Red.', 'votes': 2, 'by': {'talks': 2}, 'first': 'talks/talks.json#0/0'}
    assert beside(row, _Index(), None) == [
        {'who': 'kept: talks/talks.json#0/0, 2 vote(s) (talks 2)', 'texts': ['Red.'], 'images': ['one']},
        {'who': 'this sample: talks/talks.json#2/0, 1 vote(s) (talks 1)', 'texts': ['blue'], 'images': []},
    ]


def _flagged_in_the_gallery(snapshot) -> None:
    """The three that contradict each other can be chosen, and the answers stand beside each with their pictures."""
    index, work = GalleryIndex(snapshot), find_work(snapshot, snapshot.parent.parent / 'work')
    try:
        work.flagged.mark(index)
        assert dict(overview(index, Query())['facets']['reason']) == {'contradicted': 3}
        page = index.page(Query(values={'reason': ('contradicted',)}), 0, 50)['rows']
        shown = {row['id']: entry(index, None, 'kept', row['n'], work) for row in page}
        blue = shown['talks/talks.json#2/0']
        assert blue['facts']['flagged'] == 'contradicted'
        assert [(one['who'], one['texts'], len(one['images'])) for one in blue['beside']] == [
            ('contradicted in turn 1: one question, answers that cannot all be right', ['What colour is the ball?'], 0),
            ('kept: talks/talks.json#0/0, 2 vote(s) (talks 2)', ['Red.'], 1),
            ('this sample: talks/talks.json#2/0, 1 vote(s) (talks 1)', ['blue'], 1),
        ]
        assert all(image['here'] for one in blue['beside'] for image in one['images'])
        others = [row for row in index.page(Query(), 0, 50)['rows'] if row['id'] not in shown]
        assert [entry(index, None, 'kept', row['n'], work)['beside'] for row in others] == [[], []]
    finally:
        index.close()


@pytest.mark.integration
@pytest.mark.parametrize(('action', 'low', 'reasons'), [
    ('majority', {0, 1}, {0: 'WRONG_ANSWER', 1: 'WRONG_ANSWER'}), ('majority', {0}, {0: 'WRONG_ANSWER', 1: OUT, 2: OUT}),
    ('drop_all', {2}, {2: 'WRONG_ANSWER'}), ('majority', {3}, {2: OUT, 3: 'WRONG_ANSWER'}),
], ids=['the majority is rated out', 'what is left is a tie', 'the only contradiction is rated out', 'a rating elsewhere changes no vote'])  # fmt: skip
def test_what_is_rated_out_has_no_vote(tmp_path, action, low, reasons):
    rated = [{'sample_id': f'talks/talks.json#{at}/0', 'ask': 'correct', 'score': 0.01 if at in low else 0.9, 'by': 'me'} for at in range(len(BALLS))]
    pq.write_table(pa.Table.from_pylist(rated, RATINGS), tmp_path / 'r.parquet')
    mix = built(tmp_path, BALLS, action, rate={'from': [str(tmp_path / 'r.parquet')], 'drop': {'correct': 0.2}})
    assert left_out(mix) == reasons


LONG = ('In the picture of the harbour there is a man with a bicycle who waits for the ferry while two of his friends talk about the weather and a dog '
        'sleeps under the bench near the water: what does the man hold in his left hand, and please answer with {}?')  # fmt: skip
NEAR = [talk('one', LONG.format('one single word'), 'A rope'), talk('half', LONG.format('one short word'), 'A rope'), talk('other', LONG.format('a word'), 'A rope')]


@pytest.mark.integration
def test_near_texts_are_told_in_card_explain_and_gallery_and_dropping_them_is_another_selection(tmp_path):
    flagged = built(tmp_path, NEAR, None, duplicates={'text': 'flag'})
    assert (left_out(flagged), flagged.manifest['near_texts']) == ({}, {'clusters': 1, 'members': {'talks': {'talks': 1}}})
    assert '## Near texts' in (flagged.path / 'README.md').read_text(encoding='utf-8')
    told = explained('talks/talks.json#1/0', tmp_path / 'work', tmp_path / 'x.png', tmp_path / 'out')['lines']
    assert any(line.startswith('  nearly the same text as talks/talks.json#0/0: 0.') for line in told)
    index, work = GalleryIndex(flagged.path), find_work(flagged.path, tmp_path / 'work')
    try:
        work.flagged.mark(index)
        assert dict(overview(index, Query())['facets']['reason']) == {'near text': 2}
        shown = {row['id']: entry(index, None, 'kept', row['n'], work)['beside'] for row in index.page(Query(values={'reason': ('near text',)}), 0, 50)['rows']}
        ((first,), (second,)) = shown['talks/talks.json#0/0'], shown['talks/talks.json#1/0']
        assert (first['who'][-20:], second['who'][-20:]) == ('talks/talks.json#1/0', 'talks/talks.json#0/0')
        assert first['texts'] == [f'\n{LONG.format("one short word")}\nA rope'] or first['texts'] == [f'{LONG.format("one short word")}\nA rope']
        assert [image['here'] for image in (*first['images'], *second['images'])] == [True, True]
    finally:
        index.close()
    dropped = built(tmp_path, NEAR, None, duplicates={'text': 'drop'}, again='1')
    assert [*left_out(dropped).values()] == ['NEAR_DUPLICATE_TEXT']


class _Index:
    """What the gallery asks its index for."""

    @staticmethod
    def sample(sample_id: str) -> dict | None:
        return {'image_ids': ['one']} if sample_id.endswith('#0/0') else None


@pytest.mark.parametrize('garbage', ['', '[]', '{"answers": 3}', '{"answers": [1, {"first": 2}]}'])
def test_the_gallery_shows_nothing_beside_what_it_cannot_read(garbage):
    assert beside({'reason': 'CONTRADICTED_ANSWER', 'detail': garbage}, _Index(), None) == []


TIE = [talk('one', COLOUR, 'red'), talk('one', COLOUR, 'blue')]
LATER = [talk('one', 'Is it day?', 'yes', COLOUR, 'red'), talk('one', COLOUR, 'blue'), talk('one', 'Is it night?', 'no')]
ITSELF = [talk('one', COLOUR, 'red', 'Is it day?', 'yes', COLOUR, 'blue'), talk('other', COLOUR, 'red')]
LEANING = [talk('one', 'Is there a cat?', 'yes', 'And what colour is it?', 'red'), talk('one', 'Is there a dog?', 'yes', 'And what colour is it?', 'black')]
ORDER = [talk('one other', 'Which is larger, the first or the second?', 'first'), talk('other one', 'Which is larger, the first or the second?', 'second')]
TWICE = [talk('one other', 'Which is larger, the first or the second?', 'first'), talk('one other', 'Which is larger, the first or the second?', 'second')]
SHOWN_LATER = [talk('one other', f'<image> {COLOUR}', 'red', '<image> Is it day?', 'yes'), talk('one', f'{COLOUR} <image>', 'blue')]
TEXT = [talk('', 'What is the capital of Lithuania?', 'Vilnius'), talk('', 'What is the capital of Lithuania?', 'Kaunas'), talk('one', 'What is the capital of Lithuania?', 'Riga')]
CAPTIONS = [talk('one', 'Write a caption.', 'A red ball.'), talk('one', 'Write a caption.', 'A blue ball.'), talk('one', 'Describe it.', 'red'), talk('one', 'Describe it.', 'blue')]
BAD = [talk('gone', COLOUR, 'red'), talk('gone', COLOUR, 'blue')]
COPIES = [*TIE, talk('half', COLOUR, 'red')]


@pytest.mark.parametrize(('records', 'all_out', 'majority_out'), [
    (TIE, {0, 1}, {0, 1}), (LATER, {0, 1}, {0, 1}), (ITSELF, {0}, {0}), (LEANING, set(), set()), (ORDER, set(), set()), (TWICE, {0, 1}, {0, 1}),
    (SHOWN_LATER, {0, 1}, {0, 1}), (TEXT, {0, 1}, {0, 1}), (CAPTIONS, set(), set()), (COPIES, {0, 1, 2}, {1}),
], ids=['a tie has no majority', 'a later turn', 'a sample that contradicts itself', 'turns that lean on others', 'order of the pictures', 'several pictures',
        'pictures that are shown later', 'text alone', 'captions', 'copies are votes'])  # fmt: skip
def test_which_samples_contradict_each_other(tmp_path, records, all_out, majority_out):
    rows = found(tmp_path, records)
    assert {int(row['sample_id']) for row in rows} == all_out
    assert {int(row['sample_id']) for row in rows if not row['wins']} == majority_out


def test_samples_without_their_pictures_have_no_vote(tmp_path):
    assert found(tmp_path, BAD) == []


def test_computed_answers_contradict_each_other_by_value(tmp_path):
    records = [talk('one', 'How long?', '12 cm'), talk('one', 'How long?', '120 mm'), talk('one', 'How long?', '15 cm'), talk('one', 'What?', 'cat'), talk('one', 'What?', 'dog')]
    assert {row['sample_id']: row['wins'] for row in found(tmp_path, records, exact=True)} == {'0': True, '1': True, '2': False}


def test_what_a_turn_asks():
    turns = [{'role': role, 'text': text} for role, text in (('system', 'Be brief.'), ('user', '<image>\nA?'), ('assistant', 'b'), ('user', 'And it?'), ('assistant', 'c'))]
    assert list(questions_of(turns)) == [(2, 'Be brief.\0A?'), (4, 'Be brief.\0<image>\nA?\0b\0And it?')]
