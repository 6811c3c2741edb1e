"""Folders and globs: what is data by its name, what `datasets` saved, and which splits are read."""

import json
import os
from pathlib import Path

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.build import Way, build_all
from pipelines.sources.containers import chunks, rows
from pipelines.sources.files import annotation_files, resolve_source, told_of_files
from pipelines.sources.splits import split_of_file
from schemas.errors import UserError
from schemas.recipe import Recipe, Source

CARD = '---\nlicense: mit\nconfigs:\n{}---\n# A data set\n'


def put(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith('.parquet'):
            pq.write_table(pa.table({'name': [name]}), root / name)
        else:
            (root / name).write_text(json.dumps([{'name': name}]))


def rows_of(root, files):
    return [row for file in files for chunk in chunks('s', root, file) for _, row in rows(chunk, root)]


def saved(root, **splits):
    made = {split: datasets.Dataset.from_dict({'q': [f'{split} {i}' for i in range(n)]}) for split, n in splits.items()}
    datasets.DatasetDict(made).save_to_disk(str(root))


def test_a_saved_dataset_dict_gives_its_train_split_without_the_caches_beside_it(tmp_path):
    saved(tmp_path / 'dd', train=4, test=3)
    loaded = datasets.load_from_disk(str(tmp_path / 'dd'))['train']
    loaded.map(lambda row: {'q': row['q'].upper()})
    loaded.filter(lambda row: True)
    assert list((tmp_path / 'dd/train').glob('cache-*.arrow'))
    for entry in ('dd', 'dd/train', '**/*.arrow', 'dd/*/*.arrow'):
        assert [row['q'] for row in rows_of(tmp_path, annotation_files(entry, tmp_path))] == [f'train {i}' for i in range(4)], entry
    assert [row['q'] for row in rows_of(tmp_path, annotation_files('dd', tmp_path, ('test', 'train')))] == [*(f'train {i}' for i in range(4)), *(f'test {i}' for i in range(3))]
    assert [row['q'] for row in rows_of(tmp_path, annotation_files('dd/test', tmp_path))] == [f'test {i}' for i in range(3)]
    source = Source.model_validate({'format': 'columns', 'licence': 'MIT', 'annotations': ['dd'], 'columns': {'question': 'q', 'answer': 'q'}})
    assert told_of_files(source, tmp_path) == ['dd: read split train; not read: test; to read others: splits: [...]']
    resolved = resolve_source('s', source, tmp_path)
    assert (resolved.annotations, resolve_source('s', resolved, tmp_path)) == (['dd/train/data-00000-of-00001.arrow'], resolved)


def test_a_saved_dataset_dict_without_train_names_what_there_is(tmp_path):
    saved(tmp_path / 'dd', test=3, validation=1)
    with pytest.raises(UserError, match=r'dd: expected split train, found test, validation; say which to read, of these: splits: \[test'):
        annotation_files('dd', tmp_path)
    assert [row['q'] for row in rows_of(tmp_path, annotation_files('dd', tmp_path, ('val',)))] == ['validation 0']


@pytest.mark.parametrize('key', ['_indices_data_files', '_indices_files'])
def test_a_selection_that_an_older_datasets_saved_is_refused_with_what_to_do(tmp_path, key):
    datasets.Dataset.from_dict({'q': ['a', 'b']}).save_to_disk(str(tmp_path / 'd'))
    state = json.loads((tmp_path / 'd/state.json').read_text())
    (tmp_path / 'd/state.json').write_text(json.dumps({**state, key: [{'filename': 'indices.arrow'}]}))
    with pytest.raises(UserError, match=r'found a selection of them \(indices\); save it anew: python -c .*flatten_indices\(\)\.save_to_disk'):
        annotation_files('d', tmp_path)
    (tmp_path / 'd/state.json').write_text(json.dumps({**state, key: []}))
    assert annotation_files('d', tmp_path) == ['d/data-00000-of-00001.arrow']


@pytest.mark.parametrize('state', ['[1]', '{"_data_files": 3}', '{"_data_files": ["x"]}', '{"_data_files": [{}]}', 'no'])
def test_a_state_that_datasets_did_not_write_is_told(tmp_path, state):
    (tmp_path / 'd').mkdir()
    (tmp_path / 'd/state.json').write_text(state)
    with pytest.raises(UserError, match='expected'):
        annotation_files('d', tmp_path)


JUNK = ('.ipynb_checkpoints/a-checkpoint.json', '_temporary/0/b.json', '._a.json', '.hidden/c.json', '__MACOSX/a.json', '_logs/x.json')


@pytest.mark.parametrize('entry', ['d', 'd/**/*.json', 'd/*.json', '*/*.json', '**/*.json'])
def test_hidden_and_temporary_files_are_no_data(tmp_path, entry):
    put(tmp_path, 'd/a.json', 'd/b.json', *(f'd/{name}' for name in JUNK))
    assert annotation_files(entry, tmp_path) == ['d/a.json', 'd/b.json']
    told = told_of_files(Source.model_validate({'format': 'llava', 'licence': 'MIT', 'annotations': [entry]}), tmp_path)
    assert any(line.startswith('not read, since their names say they are no data: d/') for line in told)


def test_a_pattern_or_a_name_that_says_it_means_a_hidden_file_gets_it(tmp_path):
    put(tmp_path, 'd/_a.json', 'd/b.json', '.e/c.json')
    assert annotation_files('d/_*.json', tmp_path) == ['d/_a.json']
    assert annotation_files('d/_a.json', tmp_path) == ['d/_a.json']
    assert annotation_files('.e/*.json', tmp_path) == annotation_files('.e', tmp_path) == ['.e/c.json']


@pytest.mark.parametrize(('names', 'read'), [
    (['data/train-00000-of-00002.parquet', 'data/train-00001-of-00002.parquet', 'data/test-00000-of-00001.parquet', 'data/validation-00000-of-00001.parquet'], 2),
    (['train.json', 'dev.json', 'eval.json'], 1), (['my_train_file.json', 'my_val_file.json'], 1), (['train/a.json', 'train/b.json', 'test/a.json'], 2),
    (['training/0.parquet', 'testing/0.parquet'], 1), (['a/train/0000.parquet', 'a/valid/0000.parquet'], 1), (['train1.json', 'train2.json', 'test1.json'], 2),
    (['x-train-00000-of-00001.parquet', 'x-test-00000-of-00001.parquet'], 1), (['Train.json', 'Test.json'], 1), (['a.json', 'b.json', 'test.json'], 2),
    (['a.json', 'b.json'], 2), (['latest.json', 'contest.json', 'devices.json', 'retrain.json', 'evaluate.json'], 5), (['part-00000-of-00001.parquet', 'other-00000-of-00001.parquet'], 2),
    (['captions_train2014.json', 'captions_val2014.json'], 1)])
@pytest.mark.parametrize('glob', [False, True])
def test_of_splits_train_is_read_unless_the_recipe_says_otherwise(tmp_path, names, read, glob):
    names = [f'set/{name}' for name in names]
    put(tmp_path, *names)
    entry = f'set/**/*{Path(names[0]).suffix}' if glob else 'set'
    assert annotation_files(entry, tmp_path) == sorted(names[:read])
    if read < len(names):
        every = {named.meaning if (named := split_of_file(Path(name))) else 'train' for name in names}
        assert annotation_files(entry, tmp_path, tuple(every)) == sorted(names)
        told = told_of_files(Source.model_validate({'format': 'llava', 'licence': 'MIT', 'annotations': [entry]}), tmp_path)
        assert 'read split train' in told[0]
        assert 'not read:' in told[0]


def test_who_names_a_split_in_a_pattern_or_a_file_means_it(tmp_path):
    put(tmp_path, 'd/test-00000-of-00001.parquet', 'd/train-00000-of-00001.parquet', 'test/a.json', 'test/b.json')
    assert annotation_files('d/test-*.parquet', tmp_path) == annotation_files('d/test-00000-of-00001.parquet', tmp_path) == ['d/test-00000-of-00001.parquet']
    assert annotation_files('test', tmp_path) == annotation_files('test/*.json', tmp_path) == ['test/a.json', 'test/b.json']


def test_splits_without_train_or_with_several_that_say_train_are_named(tmp_path):
    put(tmp_path, 'd/test.json', 'd/val.json')
    with pytest.raises(UserError, match=r'd: expected split train, found test, validation; say which to read, of these: splits: \[test'):
        annotation_files('d', tmp_path)
    assert annotation_files('d', tmp_path, ('dev',)) == ['d/val.json']
    put(tmp_path, *(f'e/{split}-00000-of-00001.parquet' for split in ('train_sft', 'train_gen', 'test_sft')))
    with pytest.raises(UserError, match='e: expected split train, found test, train_gen, train_sft;'):
        annotation_files('e', tmp_path)
    assert annotation_files('e', tmp_path, ('train_sft',)) == ['e/train_sft-00000-of-00001.parquet']
    put(tmp_path, 'f/a.json')
    with pytest.raises(UserError, match='expected split test in f, found no file whose name says a split'):
        annotation_files('f', tmp_path, ('test',))


def test_the_card_of_a_hub_folder_names_its_splits(tmp_path):
    put(tmp_path, 'd/one/x.parquet', 'd/one/y.parquet', 'd/two/z.parquet')
    (tmp_path / 'd/README.md').write_text(CARD.format('- config_name: default\n  data_files:\n  - split: train\n    path: one/x*\n  - split: heldout\n    path: [one/y.parquet, two/*]\n'))
    assert annotation_files('d', tmp_path) == ['d/one/x.parquet']
    assert annotation_files('d', tmp_path, ('heldout',)) == ['d/one/y.parquet', 'd/two/z.parquet']
    with pytest.raises(UserError, match='expected split test, found heldout, train'):
        annotation_files('d', tmp_path, ('test',))
    (tmp_path / 'd/README.md').write_text(CARD.format('- config_name: en\n  data_files: one/*\n- config_name: de\n  data_dir: two\n  data_files: "*"\n'))
    with pytest.raises(UserError, match='expected one data set in .*d, found the configurations en, de in its card; name the files of one, such as d/one/x.parquet'):
        annotation_files('d', tmp_path)
    (tmp_path / 'd/two/z.parquet').unlink()
    assert annotation_files('d', tmp_path) == ['d/one/x.parquet', 'd/one/y.parquet']  # what was not fetched is no choice


@pytest.mark.parametrize('card', ['---\nconfigs: 3\n---\n', '---\nconfigs: [1, {}, {data_files: 2}]\n---\n', '---\nno: [yaml\n---\n', '# no front\n', '---\nnever ends\n', 'x---\n',
                                  '---\na: &a [x]\nconfigs: [*a, *a]\n---\n', '---\nconfigs:\n- data_files: gone/*\n---\n'])
def test_a_card_that_says_nothing_leaves_it_to_the_names(tmp_path, card):
    put(tmp_path, 'd/train.parquet', 'd/test.parquet')
    (tmp_path / 'd/README.md').write_text(card)
    assert annotation_files('d', tmp_path) == ['d/train.parquet']


@pytest.mark.parametrize(('card', 'told'), [
    (CARD.format('- data_files: gone/*\n'), 'd: its card names files that are not there: gone/*'),
    (CARD.format('- data_files: [a&b\n'), 'd: its card names configurations and cannot be read'),
    ('---\na: &a [x]\nconfigs: [*a, *a]\n---\n', 'anchors and aliases'),
    ('---\nconfigs: 3\n---\n', 'no configuration that names files'),
    ('---\nconfigs:\n- data_files: one/*\n', 'never ends'),
])
def test_a_card_whose_configurations_are_of_no_use_is_told(tmp_path, card, told):
    put(tmp_path, 'd/train.parquet', 'd/test.parquet')
    (tmp_path / 'd/README.md').write_text(card)
    assert any(told in remark for remark in remarks(tmp_path))
    assert annotation_files('d', tmp_path) == ['d/train.parquet']


def remarks(root):
    return told_of_files(Source.model_validate({'format': 'llava', 'licence': 'MIT', 'annotations': ['d']}), root)


@pytest.mark.parametrize('card', [
    CARD.replace('\n', '\r\n').format('- data_files: one/*\r\n'),
    '---\nconfigs:\r\n- data_files: "{one,two}/x.parquet"\r\npretty_name: Q &A *all* <<\r\n---\r\n',
    CARD.format('- data_files:\n  - {split: train, path: "{on,tw}{e,}/x.parquet"}\n'),
    CARD.format('- data_files: one/*\n').replace('license: mit', 'pretty_name: Q &A'),
    CARD.format('- data_files: [one/x.parquet, one/*.parquet]\n').replace('license: mit', '# Q: *why*, and &how\nlicense: mit'),
])
def test_a_card_is_read_with_any_line_ends_signs_and_braces(tmp_path, card):
    put(tmp_path, 'd/one/x.parquet', 'd/three/z.parquet')
    (tmp_path / 'd/README.md').write_bytes(card.encode())
    assert annotation_files('d', tmp_path) == ['d/one/x.parquet']


def test_files_that_a_card_lists_and_that_are_gone_are_told(tmp_path):
    put(tmp_path, 'd/a.parquet')
    (tmp_path / 'd/README.md').write_text(CARD.format('- data_files: [a.parquet, b.parquet]\n'))
    assert remarks(tmp_path) == ['d: its card names the splits; read train (1 file)', 'd: its card names files that are not there: b.parquet']


def test_a_build_tells_which_files_a_name_made_another_split(tmp_path, capsys):
    (tmp_path / 'data/d').mkdir(parents=True)
    for name in ('dev-handbook', 'user-guide'):
        rows = [{'instruction': f'What is {name} {n}?', 'output': f'It is number {n}.'} for n in range(5)]
        (tmp_path / f'data/d/{name}.jsonl').write_text('\n'.join(map(json.dumps, rows)))
    asked = Recipe.model_validate({'name': 'r', 'sources': {'s': {'format': 'instruction', 'licence': 'MIT', 'annotations': ['d']}}})
    build_all(asked, tmp_path / 'out', Way(None, tmp_path / 'data', mix_only=True))
    assert 's: d: read split train (1 file); not read: validation (1 file); to read others: splits: [...]' in capsys.readouterr().err


def test_a_card_leads_nowhere_outside_its_folder(tmp_path):
    put(tmp_path, 'd/a.parquet', 'secret.parquet')
    (tmp_path / 'd/README.md').write_text(CARD.format('- data_files: ../secret.parquet\n'))
    with pytest.raises(UserError, match=r'expected files below the folder in its card, found d/\.\./secret.parquet'):
        annotation_files('d', tmp_path)


def test_a_folder_of_one_kind_is_read_and_of_several_one_must_be_named(tmp_path):
    put(tmp_path, *(f'one/{n}.json' for n in range(3)), 'one/README.md', 'one/dataset_info.json', 'mixed/a.json', 'mixed/b.csv', 'hub/a.parquet', 'hub/extra.json')
    assert annotation_files('one', tmp_path) == ['one/0.json', 'one/1.json', 'one/2.json']
    assert annotation_files('hub', tmp_path) == ['hub/a.parquet']
    with pytest.raises(UserError, match=r'expected files of one kind in .*mixed, found mixed/a.json and mixed/b.csv; name those that are meant: mixed/\*.json'):
        annotation_files('mixed', tmp_path)


def test_a_name_that_is_no_utf_8_is_told(tmp_path):
    (tmp_path / 'd').mkdir()
    try:
        with open(os.fsencode(tmp_path / 'd') + b'/gr\xf6sse.json', 'w', encoding='utf-8') as handle:
            handle.write('[]')
    except OSError:
        pytest.skip('this file system holds UTF-8 names only')
    with pytest.raises(UserError, match=r"expected names in UTF-8, found b'd/gr\\xf6sse.json'; rename the file"):
        annotation_files('d/*.json', tmp_path)


def test_packed_annotations_are_told_with_the_command(tmp_path):
    put(tmp_path, 'a.jsonl.gz', 'b.csv.zst', 'c.json.bz2')
    for name, how in (('a.jsonl.gz', 'gunzip -k '), ('b.csv.zst', 'zstd -d '), ('c.json.bz2', 'bunzip2 -k ')):
        with pytest.raises(UserError, match=f'expected an unpacked file, found .*{name}; unpack it first: {how}.*{name}$'):
            annotation_files(name, tmp_path)
        with pytest.raises(UserError, match=how):
            annotation_files(f'{name[0]}*', tmp_path)


@pytest.mark.parametrize(('name', 'split'), [('train-00000-of-00002.parquet', 'train'), ('a/dev/x.json', 'validation'), ('test_train.json', 'test'), ('x.json', ''), ('v1.2-train.json', 'train'),
                                             ('eval/train.json', 'train'), ('data.test.jsonl', 'test')])
def test_the_split_of_a_name(name, split):
    found = split_of_file(Path(name))
    assert (found.meaning if found else '') == split
