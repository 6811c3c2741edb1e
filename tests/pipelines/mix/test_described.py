"""What is described of samples: the same as text by text, and of plain text hardly anything text by text."""

import hashlib
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curation.texts.textmatch import strict
from pipelines.engine.step import make_here
from pipelines.mix import description, encoded_turns, selection, short_questions
from pipelines.mix.benchmark_texts import TextRules
from pipelines.mix.contamination import IMAGE_HITS
from pipelines.mix.description import COMMON, FEATURES, AddStars, DescribeSamples
from pipelines.mix.index import IndexImages, IndexReferences
from pipelines.mix.selection import SelectMix
from pipelines.mix.text_canaries import ROWS_READ, draw_questions
from schemas.records import IMAGE_FACTS, REJECTIONS, SAMPLES
from tests.pipelines.mix.mixes import LONG, item, table_of, written

PLAIN = [f'Which of the {k} boats is left of the {k + 1}.5 m long pier?\nA. the red one\nB. "none", U.S. & co.' for k in range(40)]
NASTY = ['', ' ', '"', '\\', '\x00\x1f\x7f\x85', '\u2028\u2029', '\ud7ff\ue000\U0010ffff', 'e\u0301 é', '<image>', ' <image>\n<image> a', '/</script>', 'a\tb\r\nc  \n d', '字', '👩‍💻', 'x' * 5000]


def described(folder, texts: list[str], benches: tuple = ()) -> list[dict]:
    """Return what is described of samples that ask each of some texts and answer the next."""
    rows = [{**dict.fromkeys(SAMPLES.names, ''), 'sample_id': f's/{k}', 'ordinal': k, 'images': [],
             'turns': [{'role': 'user', 'text': text}, {'role': 'assistant', 'text': texts[k - 1]}]} for k, text in enumerate(texts)]  # fmt: skip
    samples = table_of(folder / 'samples/s', pa.Table.from_pylist(rows, SAMPLES))
    references = make_here(IndexReferences(table_of(folder / 'image_facts/f', IMAGE_FACTS.empty_table())), folder)
    return make_here(DescribeSamples(samples, references, benches, TextRules(8, 0.8), 'seed'), folder).read().to_pylist()


def calls(monkeypatch, module, name: str) -> list[str]:
    """Return a list to which the text of each call comes."""
    seen, ask = list[str](), getattr(module, name)

    def counted(text: str):
        seen.append(text)
        return ask(text)

    monkeypatch.setattr(module, name, counted)
    return seen


def test_hashes_and_bytes_are_those_of_the_texts_one_by_one(tmp_path):
    def digest(value: object) -> bytes:
        return hashlib.sha256(json.dumps(value, ensure_ascii=False, separators=(',', ':')).encode()).digest()

    texts = NASTY + PLAIN[:3]
    for k, row in enumerate(described(tmp_path, texts)):
        turns = [('user', texts[k]), ('assistant', texts[k - 1])]
        forms = [[role, '<image>'.join(map(strict, text.split('<image>')))] for role, text in turns]
        assert row['content_sha'] == digest([[text for _, text in turns], []]).hex()
        assert row['words'] == digest(forms)[:16]
        assert row['n_bytes'] == sum(len(text.encode()) for _, text in turns)


def test_a_sample_has_all_of_its_pictures_or_none_and_says_what_is_wrong_with_them(tmp_path):
    facts = [{'ref': f's/{name}', 'image_id': name * 64, 'n_bytes': 10 * at} for at, name in enumerate('ab', 1)]
    lost = [{'id': f's/{name}', 'reason': reason} for name, reason in (('x', 'IMAGE_MISSING'), ('y', 'IMAGE_BLANK'))]
    table = table_of(tmp_path / 'image_facts/f', pa.Table.from_pylist(facts, IMAGE_FACTS))
    pq.write_table(pa.Table.from_pylist(lost, REJECTIONS), table.path / 'rejections-00000.parquet')
    rows = [{'sample_id': shown, 'images': [f's/{name}' for name in shown], 'turns': [{'role': 'user', 'text': 'é'}]} for shown in ('', 'ab', 'axy', 'b', 'x', 'aa')]
    samples = table_of(tmp_path / 'samples/s', pa.Table.from_pylist(rows, SAMPLES))
    step = DescribeSamples(samples, make_here(IndexReferences(table), tmp_path), (), TextRules(8, 0.8), 'seed')
    found = [(row['image_ids'], row['n_bytes'], row['bad_image']) for row in make_here(step, tmp_path).read().to_pylist()]
    a, b = 'a' * 64, 'b' * 64
    assert found == [([], 2, ''), ([a, b], 32, ''), ([], 2, 's/x: IMAGE_MISSING; s/y: IMAGE_BLANK'), ([b], 22, ''), ([], 2, 's/x: IMAGE_MISSING'), ([a, a], 22, '')]


def test_texts_are_read_a_row_group_at_a_time(tmp_path, monkeypatch):
    """Those of a shard may be more than the 2 GB of one Arrow array. Samples 0 and 2 show a benchmark's picture, sample 2 with its question."""
    facts = [{'ref': f's/{name}', 'image_id': name * 64, 'n_bytes': 1, 'width': at, 'height': 1, 'kind': 'photo', 'phash64': at, 'steady64': at,
              'phash256': bytes(32), 'steady256': bytes(32), 'thumb': bytes(192)} for at, name in enumerate('ba', 1)]  # fmt: skip
    images = table_of(tmp_path / 'image_facts/f', pa.Table.from_pylist(facts, IMAGE_FACTS))
    shown = [('a', 'Which is it?'), ('b', LONG), ('a', LONG)]
    rows = [{**dict.fromkeys(SAMPLES.names, ''), 'sample_id': f's/{k}', 'ordinal': k, 'images': [f's/{name}'],
             'turns': [{'role': 'user', 'text': f'<image>{asked}'}, {'role': 'assistant', 'text': 'the Ostra'}]} for k, (name, asked) in enumerate(shown)]  # fmt: skip
    samples = table_of(tmp_path / 'samples/s', pa.Table.from_pylist(rows, SAMPLES))
    pq.write_table(samples.read(), samples.parts()[0], row_group_size=1)
    bench = written(tmp_path / 'bench/b', [item('one', LONG, 'the Ostra')])
    together, flat_turns = list[int](), description.flat_turns

    def counted(turns):
        together.append(len(turns))
        return flat_turns(turns)

    monkeypatch.setattr(description, 'flat_turns', counted)
    rules = TextRules(8, 0.8)
    described = make_here(DescribeSamples(samples, make_here(IndexReferences(images), tmp_path), (bench,), rules, 'seed'), tmp_path)
    assert (together, described.read()['sample_id'].to_pylist()) == ([1, 1, 1], ['s/0', 's/1', 's/2'])

    stars = table_of(tmp_path / 'stars/s')
    np.save(stars.path / 'survivor.npy', np.arange(2))
    hits = table_of(tmp_path / 'hits/h', pa.Table.from_pylist([{'number': 0, 'distance': 3, 'bench': 'b', 'item_id': 'one'}], IMAGE_HITS))
    index = make_here(IndexImages((images,)), tmp_path)
    features = make_here(AddStars((described,), (samples,), index, stars, (bench,), (hits,), rules), tmp_path)
    found = [of and json.loads(of)['evidence'] for of in features.read()['contamination'].to_pylist()]
    assert found == ['image', '', 'image+question']


def test_no_rule_is_asked_of_a_plain_text_by_itself(tmp_path, monkeypatch):
    asked = [calls(monkeypatch, *of) for of in ((description, 'strict'), (encoded_turns, 'units'), (short_questions, 'units'))]
    bench = written(tmp_path / 'bench/b', [item('long', LONG, 'the Ostra'), item('short', 'What is a pier?', 'a quay')])
    assert [row['contamination'] for row in described(tmp_path / 'plain', PLAIN, (bench,))] == [''] * len(PLAIN)
    assert asked == [[], [], []]
    described(tmp_path / 'other', [*PLAIN, 'Où ?'], (bench,))
    assert [set(of) for of in asked] == [{'Où ?'}, {'Où ?'}, set()]
    assert [len(of) for of in asked] == [2, 1, 0], 'what comes back is read once'


def test_only_a_sample_that_may_ask_a_short_question_is_looked_at_by_itself(tmp_path, monkeypatch):
    looked = calls(monkeypatch, short_questions, 'units')
    bench = written(tmp_path / 'bench/b', [item('short', 'What is a pier?', 'a quay')])
    rows = described(tmp_path, [*PLAIN, 'a quay', 'See:\nQ: What is a pier?\nA: a quay', 'so', 'What  is a PIER?'], (bench,))
    assert [k for k, row in enumerate(rows) if row['contamination']] == [41, 42]
    assert len(looked) <= 6


def test_each_part_is_opened_twice_at_most_to_say_what_was_left_out(tmp_path, monkeypatch):
    rows = [{**dict.fromkeys((name for name, _ in COMMON), ''), 'sample_id': f's/{k}', 'source': 's', 'image_ids': [], 'lot': k, 'n_bytes': 1, 'stars': [],
             'content_sha': 'a' if k % 3 else 'b', 'cluster_ids': [], 'same_as': bytes([k % 7]) + bytes(15)} for k in range(60)]  # fmt: skip
    parts = [pa.Table.from_pylist(rows[at : at + 10], FEATURES) for at in range(0, 60, 10)]
    index = make_here(IndexImages((table_of(tmp_path / 'image_facts/f', IMAGE_FACTS.empty_table()),)), tmp_path)
    opened = calls(monkeypatch, _Counted(monkeypatch), 'opened')
    step = SelectMix(index, table_of(tmp_path / 'features/f', *parts), ['s'], [], True, None, {}, {'s': 'c'}, {}, None, {}, 0.0, 10**9, 'seed')
    out = make_here(step, tmp_path).read('out').to_pylist()
    assert [(row['part'], row['row']) for row in out] == [divmod(k, 10) for k in range(7, 60)]
    assert {row['detail'].rpartition(' as ')[2] for row in out} == {f's/{k}' for k in range(7)}
    exact = [k for k, row in enumerate(out, 7) if row['detail'].startswith('same question, answer and pictures')]
    assert exact == [k for k in range(7, 60) if (k % 3 == 0) == (k % 7 % 3 == 0)]
    assert len(opened) == 12


class _Counted:
    """Parquet files as selection opens them, each named."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = pq.ParquetFile
        monkeypatch.setattr(selection.pq, 'ParquetFile', self.counted)

    def counted(self, path, **options):
        self.opened(str(path))
        return self.open(path, **options)

    def opened(self, path: str) -> None:
        """Say that a file is opened."""


def test_questions_of_canaries_come_from_so_many_rows_of_a_part(tmp_path, monkeypatch):
    row = {**dict.fromkeys(SAMPLES.names, ''), 'ordinal': 0, 'images': [], 'turns': [{'role': 'user', 'text': 'Where?'}, {'role': 'assistant', 'text': 'Here'}]}
    samples = table_of(tmp_path / 'samples/s', pa.Table.from_pylist([{**row, 'sample_id': str(k)} for k in range(3 * ROWS_READ)], SAMPLES))
    read, iter_batches = list[int](), pq.ParquetFile.iter_batches

    def counted(file, *given, **options):
        for batch in iter_batches(file, *given, **options):
            read.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, 'iter_batches', counted)
    drawn = {of.of for _, of in draw_questions('text_copy', (samples,), (), 'seed', 10**6)}
    assert (drawn, sum(read)) == ({str(k) for k in range(ROWS_READ)}, ROWS_READ)
