"""A mix of chats, worked problems, templates and two scripts against one benchmark: who is out, by which rule, and what manifest, card and explain say."""

import json

import pytest
import yaml

from curation.pictures.edits import edit
from pipelines.look.explain import explain
from pipelines.look.explain_json import explained
from tests.curation.drawn import encoded, photo
from tests.pipelines.mix.mixes import build
from tests.pipelines.mix.test_benchmark_texts import AREA, AREA_ANSWER, BAKER, CJK
from tests.programmes.project import Project, rows_of

GEO = 'In the figure the line AB touches the circle O at A and the angle OBA is 40 degrees; how large is angle AOB?'
SAME = 'Are there the same number of large rubber things and small yellow metal blocks that are left of the sphere?'
CUBES = 'Is there any big green cube made of the same material as the tiny thing right of the cylinder?'
HAN = CJK['Han'][0]


def shown(name: str, asked: str, answer: str) -> dict:
    return {'image': f'{name}.jpg', 'conversations': [{'from': 'human', 'value': f'<image>\n{asked}'}, {'from': 'gpt', 'value': answer}]}


def chats() -> list[dict]:
    """Return three chats of three turns that hold the item first, in the middle and last, and one that does not."""
    turns = [('Hello, who are you today?', 'A helper.'), (AREA, AREA_ANSWER), ('Thanks, and good night to you!', 'Bye.')]
    orders = [(1, 0, 2), (0, 1, 2), (0, 2, 1), (0, 2)]
    made = []
    for number, order in enumerate(orders):
        messages = [{'role': role, 'content': text} for at in order for role, text in zip(('user', 'assistant'), turns[at], strict=True)]
        messages[0]['content'] += f' (chat {number})'
        made.append({'messages': messages})
    return made


@pytest.fixture(scope='module')
def project(tmp_path_factory) -> Project:
    folder = tmp_path_factory.mktemp('leaks')
    root = folder / 'data'
    (root / 'pictures').mkdir(parents=True)
    (root / 'bench').mkdir()
    drawn = {f'p{k}': encoded(photo(k), 'JPEG', quality=90) for k in range(8)}
    drawn['p0half'] = edit(drawn['p0'], 'half', 'p0')
    for name, data in drawn.items():
        (root / f'pictures/{name}.jpg').write_bytes(data)
    (root / 'bench/theirs.png').write_bytes(encoded(photo(99)))
    (root / 'bench/theirs2.png').write_bytes(encoded(photo(98)))
    items = [
        {'id': 'area', 'question': AREA, 'answer': AREA_ANSWER}, {'id': 'baker', 'question': BAKER, 'answer': '25 * 0.4 = 10 ... #### 85'},
        {'id': 'geo', 'question': GEO, 'answer': '50', 'image': 'theirs.png'}, {'id': 'same', 'question': SAME, 'answer': 'yes', 'image': 'theirs.png'},
        {'id': 'cubes1', 'question': CUBES, 'answer': 'yes', 'image': 'theirs.png'}, {'id': 'cubes2', 'question': CUBES, 'answer': 'no', 'image': 'theirs2.png'},
        {'id': 'han', 'question': HAN, 'answer': '72'},
    ]  # fmt: skip
    (root / 'bench/items.jsonl').write_text(''.join(json.dumps({'image': None, **item}, ensure_ascii=False) + '\n' for item in items))
    (root / 'chats.json').write_text(json.dumps(chats()))
    (root / 'pictures.json').write_text(json.dumps([
        shown('p0', GEO, 'It is 50.'), shown('p0half', GEO, 'Fifty degrees.'),  # one picture twice
        *(shown(f'p{k}', SAME, 'yes' if k % 2 else 'no') for k in range(1, 5)),  # a template of the mix
        shown('p5', CUBES, 'yes'),  # a template of the benchmark
        shown('p6', 'What is this?', 'A photo.'),
    ]))  # fmt: skip
    texts = [
        (BAKER, 'Rolls bring 22 dollars and loaves 63, which makes 85.'), (BAKER.replace('for free', 'of it'), 'About 90.'),
        (f'请问{HAN}', '七十二平方厘米'), (SAME, 'It depends.'), (CUBES, 'yes'),
        *((f'小明有{n}个苹果，小红给了他三个，后来他又吃掉了一个，请问小明现在一共还剩下几个苹果？', f'{n + 2}个') for n in range(10, 30)),
        *((f'How many apples has Tom if he had {n} of them, got three more from Ann and ate one?', f'{n + 2} apples') for n in range(10, 30)),
    ]  # fmt: skip
    (root / 'texts.json').write_text(json.dumps([{'instruction': asked, 'output': answer} for asked, answer in texts]))
    recipe = {
        'name': 'leaks', 'root': str(root),
        'sources': {
            'whole': {'format': 'messages', 'annotations': ['chats.json'], 'licence': 'MIT', 'turns': 'all'},
            'each': {'format': 'messages', 'annotations': ['chats.json'], 'licence': 'MIT', 'turns': 'each'},
            'pictures': {'format': 'llava', 'annotations': ['pictures.json'], 'images': ['pictures'], 'licence': 'MIT'},
            'texts': {'format': 'instruction', 'annotations': ['texts.json'], 'licence': 'MIT'},
        },
        'contamination': {'benchmarks': [{'name': 'b', 'path': 'bench'}]},
    }  # fmt: skip
    (folder / 'recipe.yaml').write_text(yaml.safe_dump(recipe, sort_keys=False))
    return Project(root, folder / 'recipe.yaml')


@pytest.fixture(scope='module')
def mix(project, tmp_path_factory):
    out = tmp_path_factory.mktemp('out')
    return build(project, out, out / 'work')[0]


def out_by(mix) -> dict[str, str]:
    """Return the rule that left each sample out, by its id without its file."""
    gone = [row for row in rows_of(mix.path, 'rejections') if row['reason'] == 'CONTAMINATED']
    return {f'{row["source"]}#{row["id"].partition("#")[2]}': json.loads(row['detail'])['evidence'] for row in gone}


def test_a_chat_that_holds_an_item_is_out_and_so_is_each_turn_that_has_it_as_context(mix):
    gone = out_by(mix)
    assert {name for name in gone if name.startswith('whole')} == {'whole#0/0', 'whole#1/0', 'whole#2/0'}
    assert {name for name in gone if name.startswith('each')} == {'each#0/0', 'each#0/1', 'each#0/2', 'each#1/1', 'each#1/2', 'each#2/2'}
    assert not [row['sample_id'] for row in rows_of(mix.path) if AREA in json.dumps(row['messages'])]
    kept = {row['sample_id'] for row in rows_of(mix.path)}
    assert {'whole/chats.json#3/0', 'each/chats.json#1/0', 'each/chats.json#2/0', 'each/chats.json#2/1', 'each/chats.json#3/0'} <= kept


def test_an_equal_question_is_out_with_a_picture_too_unless_several_pictures_are_asked_it(mix):
    gone = out_by(mix)
    assert {name: rule for name, rule in gone.items() if name.startswith('pictures')} == {'pictures#0/0': 'equal question', 'pictures#1/0': 'equal question'}
    assert {name: rule for name, rule in gone.items() if name.startswith('texts')} == {
        'texts#0/0': 'equal question', 'texts#2/0': 'equal question', 'texts#4/0': 'text'}  # a template of text alone: by its answer


def test_counts_by_rule_and_near_ones_are_in_manifest_and_card(mix):
    found = mix.manifest['contamination']
    assert {name: found[name] for name in found if name != 'compared'} == {
        'samples_per_benchmark': {'b': 14},
        'by_rule': {'b': {'equal question': 4, 'text': 10}},
        'near_per_benchmark': {'b': 1},
    }
    card = (mix.path / 'README.md').read_text()
    assert '- `b`: 14 sample(s) dropped (text 10, equal question 4)' in card
    assert '- `b`: 1 sample(s) near a question of it, kept' in card


def test_explain_says_which_rule_spoke_and_where(mix, tmp_path):
    work = mix.path.parent / 'work'
    told = '\n'.join(explain('whole/chats.json#1/0', work, tmp_path / 'x.png'))
    assert 'stands in benchmark b, item area, by text: most word runs of the question, and the answer in turn 2' in told
    told = '\n'.join(explain('pictures/pictures.json#0/0', work, tmp_path / 'x.png'))
    assert 'stands in benchmark b, item geo, by equal question: the whole question, word for word and sign for sign (strict form) in turn 0' in told
    told = '\n'.join(explain('texts/texts.json#1/0', work, tmp_path / 'x.png'))
    assert ': in: ' in told
    assert 'is near benchmark b, item baker, by near' in told
    assert explained('texts/texts.json#1/0', work, tmp_path / 'x.png')['sample']['near']['item_id'] == 'baker'


def test_the_recall_of_each_script_is_in_the_card(mix):
    recalls = {entry['kind']: (entry['planted'], entry['found'], entry['must']) for entry in mix.manifest['canaries']}
    for kind in ('text_word_around', 'text_hidden'):
        assert recalls[f'{kind} Han'] == (22, 22, True)  # 21 samples, one item
        assert recalls[f'{kind} Latin'][0] > 30
        assert recalls[f'{kind} Latin'][0] == recalls[f'{kind} Latin'][1]
    assert '| text_word_around Han | 22 | 22 | 1.00 | must be found |' in (mix.path / 'README.md').read_text()
