"""What `phantom init` cannot use it names, with the reason and what to do; hostile folders lead nowhere and write nothing of their own."""

import json
import os

import pytest
import yaml

from pipelines.look.begin import found
from tests.pipelines.look.begin import folders

COCO = {'images': [{'id': 1, 'file_name': 'a.jpg'}], 'annotations': [{'id': 1, 'image_id': 1}], 'categories': [{'id': 1, 'name': 'cat'}]}
FILES = {
    'instances.json': (json.dumps(COCO), 'phantom convert'),
    'questions.json': (json.dumps({'questions': [{'question_id': i, 'image_id': i, 'question': 'Why?'} for i in range(4)]}), 'phantom convert'),
    'v2_questions.json': (json.dumps([{'question_id': i, 'image_id': i, 'question': 'Why?'} for i in range(4)]), 'phantom convert'),
    'v2_annotations.json': (json.dumps({'info': {}, 'annotations': [{'question_id': i, 'image_id': i, 'answers': []} for i in range(4)]}), 'phantom convert'),
    'lists.json': (json.dumps([['what is it?', 'a thing', i] for i in range(4)]), 'found a JSON list, not an object; write each record so'),
    'labels.csv': ('file,class\na.png,cat\nb.png,dog\nc.png,cat\n', 'What is shown?'),
    'asked.csv': ('question\nWhy?\nHow?\nWho?\n', 'expected a column that answers, found question'),
    'cut.json': ('[{"question": "a", "answer"', 'is the download complete?'),
    'pointer.parquet': ('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n', 'git lfs pull'),
    'packed.json.gz': ('x', 'gunzip'), 'clip.mp4': ('x', 'no kind of file that is read'), 'broken.zip': ('x', 'is the download complete?'),
    'my_test.jsonl': ('{"question": "Why?", "answer": "So."}\n' * 4, 'its name says test'),
}  # fmt: skip


def test_what_cannot_be_used_is_told_with_what_to_do(front, tmp_path):
    folders.messages(tmp_path / 'mine')
    for name, (text, _) in FILES.items():
        folders.write(tmp_path / 'mine' / name, text)
    code, out, _ = front('init', tmp_path / 'mine', '--out', tmp_path / 'r.yaml')
    assert code == 0
    lines = {line.split(': ')[1]: line for line in out.splitlines() if line.startswith('not used: ')}
    assert set(lines) == set(FILES)
    assert {name: line for name, line in lines.items() if FILES[name][1] not in line} == {}
    assert '# - labels.csv: ' in (tmp_path / 'r.yaml').read_text()
    assert front('validate', tmp_path / 'r.yaml')[0] == 0


def test_where_nothing_can_be_used_nothing_is_written(front, tmp_path):
    folders.write(tmp_path / 'mine/labels.csv', FILES['labels.csv'][0])
    code, out, err = front('init', tmp_path / 'mine', '--out', tmp_path / 'r.yaml')
    assert (code, out) == (2, '')
    assert 'expected questions with answers below' in err
    assert 'not used: labels.csv' in err
    assert not (tmp_path / 'r.yaml').exists()


def test_a_folder_of_pictures_alone_is_told_what_it_lacks(front, tmp_path):
    folders.pictures(tmp_path / 'mine')
    assert 'a CSV with image, question, answer' in front('init', tmp_path / 'mine', '--out', tmp_path / 'r.yaml')[2]


def test_links_lead_nowhere_and_are_told(front, tmp_path):
    folders.messages(tmp_path / 'secret')
    folders.instructions(tmp_path / 'mine')
    os.symlink(tmp_path / 'secret', tmp_path / 'mine/away')
    os.symlink(tmp_path / 'secret/chat.jsonl', tmp_path / 'mine/away.jsonl')
    os.symlink(tmp_path / 'mine', tmp_path / 'mine/circle')
    _, out, _ = front('init', tmp_path / 'mine', '--out', tmp_path / 'r.yaml')
    assert list(yaml.safe_load((tmp_path / 'r.yaml').read_text())['sources']) == ['alpaca']
    assert out.count('a link, which is not followed; name what it leads to') == 3


@pytest.mark.parametrize('name', ['a\nsources: {}\n.jsonl', '# x: y.jsonl', "'{[.jsonl", '---.jsonl', 'null.jsonl', '日本.jsonl', '<b>.jsonl'])
def test_names_stay_names(front, tmp_path, name):
    folders.messages(tmp_path / 'mine')
    os.rename(tmp_path / 'mine/chat.jsonl', tmp_path / 'mine' / name)
    code, _, err = front('init', tmp_path / 'mine', '--out', tmp_path / 'r.yaml')
    assert code == 0, err
    (source,) = yaml.safe_load((tmp_path / 'r.yaml').read_text())['sources'].values()
    assert source['annotations'] == [name]


def test_fields_of_rows_are_no_yaml_of_ours(front, tmp_path):
    rows = [{'question': 'Why?', 'answer': 'So.', 'x\nroot: /etc': 'y', 'a: b # c': 'z'}] * 5
    folders.write(tmp_path / 'mine/a.json', json.dumps(rows))
    assert front('init', tmp_path / 'mine', '--out', tmp_path / 'r.yaml')[0] == 0
    told = yaml.safe_load((tmp_path / 'r.yaml').read_text())
    assert set(told) == {'name', 'root', 'sources'}
    assert told['root'] == 'mine'


def test_of_too_many_files_some_are_looked_at(front, tmp_path, monkeypatch):
    monkeypatch.setattr(found, 'MOST_FILES', 4)
    folders.instructions(tmp_path / 'mine')
    folders.pictures(tmp_path / 'mine/pics', 9)
    assert '(more files): the names of 4 files were looked at' in front('init', tmp_path / 'mine', '--out', tmp_path / 'r.yaml')[1]


def test_what_is_no_file_is_not_waited_for(front, tmp_path):
    folders.messages(tmp_path / 'mine')
    for name in ('a.json', 'b.tar', 'c.zip', 'README.md'):
        os.mkfifo(tmp_path / 'mine' / name)
    assert front('init', tmp_path / 'mine', '--out', tmp_path / 'r.yaml')[0] == 0
    assert 'expected folders or files, found none at' in front('init', tmp_path / 'mine/a.json', '--out', tmp_path / 's.yaml')[2]


def test_folders_too_deep_are_told(front, tmp_path, monkeypatch):
    monkeypatch.setattr(found, 'MOST_DEEP', 2)
    folders.messages(tmp_path / 'mine')
    folders.messages(tmp_path / 'mine/1/2/3')
    assert 'not used: 1/2/3: more than 2 folders deep' in front('init', tmp_path / 'mine', '--out', tmp_path / 'r.yaml')[1]
