"""The source `charts`: charts of real tables, as a DocOwl-style JSONL whose answers are computed from the table."""

import dataclasses

from pipelines.demo import pictures
from pipelines.demo.bokeh_charts import bokeh_tables
from pipelines.demo.chart_questions import questions, value_question
from pipelines.demo.chart_table import ChartTable
from pipelines.demo.draw_chart import draw_chart
from pipelines.demo.parts import BenchmarkItem, Planted, SourceDraft, ranked
from pipelines.demo.vega_charts import vega_tables
from schemas.records import Reason

N_TWINS = 15
N_IDENTICAL = 3
N_NEAR = 6
N_REPEATED = 3
N_LEAKED = 4
N_CLEAN = 2
N_QUESTIONS = 4
# of 64: the project's near-duplicate threshold is 7, a resized or re-encoded copy moves a chart by up to 2
ISOLATION_BITS = 10
LICENCE = 'MIT AND BSD-3-Clause AND CC-BY-2.0 AND CC-BY-SA-3.0 AND CC0-1.0'


def charts_source() -> SourceDraft:
    """Return the drafted source: about 350 records over about 130 pictures of 480 x 360 px, planted things included."""
    draft = SourceDraft('charts', 'docowl_jsonl', 'train.jsonl', LICENCE, image_root='.')
    tables = ranked(vega_tables() + bokeh_tables(), 'charts', _name_of)
    singles = [table for table in tables if len(table.series) == 1]
    twins = singles[:N_TWINS]
    drawn = {table.name: draw_chart(table) for table in tables}
    # a leaked chart carries one record only and is like no other, so that nothing else leaks with its picture
    alone = _unlike_others(singles[N_TWINS:], drawn, N_LEAKED + N_CLEAN)
    leaked, clean = alone[:N_LEAKED], alone[N_LEAKED:]
    taken = {table.name for table in twins + alone}
    rest = [table for table in tables if table.name not in taken]
    for table in twins:
        _plant_twin(draft, table, drawn[table.name])
    _plant_leaks(draft, leaked, clean, drawn=drawn)
    near_end = N_IDENTICAL + N_NEAR
    for number, table in enumerate(rest):
        path = _image(draft, table, drawn[table.name])
        pairs = questions(table, N_QUESTIONS)
        for place, pair in enumerate(pairs):
            _record(draft, f'{table.name}/{place}', path, pair)
        if number < near_end:
            _plant_copy(draft, table, number, path=path, pairs=pairs)
        elif number < near_end + N_REPEATED:
            keys = (f'{table.name}/0', _record(draft, f'{table.name}/again', path, pairs[0]))
            reasons = (Reason.DUPLICATE_SAMPLE,)
            draft.planted.append(Planted('repeated_record', keys, (path,), expected='keep_one', reasons=reasons))
    _plant_broken(draft, rest[-1], rest[-2])
    return draft


def _name_of(table: ChartTable) -> str:
    return table.name


def _unlike_others(tables: list[ChartTable], drawn: dict[str, bytes], n: int) -> list[ChartTable]:
    bits = {name: pictures.phash(pictures.opened(data)) for name, data in drawn.items()}
    found = []
    for table in tables:
        distances = [int((bits[table.name] != other).sum()) for name, other in bits.items() if name != table.name]
        if min(distances) >= ISOLATION_BITS:
            found.append(table)
    assert len(found) >= n, len(found)
    return found[:n]


def _image(draft: SourceDraft, table: ChartTable, data: bytes, mark: str = '.png') -> str:
    path = f'imgs/{table.origin}/{table.name}{mark}'
    assert path not in draft.images, path
    draft.images[path] = data
    return path


def _record(draft: SourceDraft, key: str, path: str, pair: tuple[str, str]) -> str:
    question, answer = pair
    messages = [{'role': 'user', 'content': f'<|image|>{question}'}, {'role': 'assistant', 'content': answer}]
    dataset = path.split('/')[1]
    record = {'image': [f'./{path}'], 'messages': messages, 'task_name': 'qa_sft', 'dataset_name': dataset}
    return draft.add(key, record)


def twin_of(table: ChartTable) -> tuple[ChartTable, str]:
    """Return the table with one digit of one value changed, and the label of that value."""
    label = ranked(table.labels, f'charts/twin/{table.name}')[0]
    place = table.labels.index(label)
    values = list(table.series[0][1])
    text = table.text(values[place])
    # the last digit by one: the bar hardly moves, only the printed number says which chart it is
    values[place] = float(text[:-1] + ('8' if text[-1] == '9' else str(int(text[-1]) + 1)))
    return dataclasses.replace(table, series=(('', tuple(values)),)), label


def _plant_twin(draft: SourceDraft, table: ChartTable, data: bytes) -> None:
    twin, label = twin_of(table)
    paths = (_image(draft, table, data), _image(draft, table, draw_chart(twin), '_b.png'))
    pairs = (value_question(table, 0, label), value_question(twin, 0, label))
    keys = tuple(
        _record(draft, f'{table.name}/twin/{side}', path, pair)
        for side, path, pair in zip('ab', paths, pairs, strict=True)
    )
    note = f'{label}: {pairs[0][1]} and {pairs[1][1]}'
    draft.planted.append(Planted('twin', keys, paths, expected='keep_all', note=note))


def _plant_copy(draft: SourceDraft, table: ChartTable, number: int, *, path: str, pairs: list[tuple[str, str]]) -> None:
    data = draft.images[path]
    kind = 'byte_identical_images' if number < N_IDENTICAL else 'near_duplicate'
    copy, mark = {
        True: (data, '_copy.png'),
        False: (pictures.resized(data, 75), '_small.png') if number % 2 else (pictures.as_jpeg(data, 85), '_jpeg.jpg'),
    }[number < N_IDENTICAL]
    other = _image(draft, table, copy, mark)
    same = number % 3 != 2
    # another question than those asked of the first picture, or the first of them again
    pair = pairs[0] if same else _unasked(table, pairs)
    keys = (f'{table.name}/0', _record(draft, f'{table.name}/copy', other, pair))
    if same:
        reasons = (Reason.DUPLICATE_SAMPLE,)
        planted = Planted(kind, keys, (path, other), expected='keep_one', reasons=reasons, note='same answer')
    else:
        planted = Planted(kind, keys, (path, other), expected='keep_all', note='another question on the copy')
    draft.planted.append(planted)


def _unasked(table: ChartTable, pairs: list[tuple[str, str]]) -> tuple[str, str]:
    places = [(number, label) for number in range(len(table.series)) for label in table.labels]
    return next(pair for place in places if (pair := value_question(table, *place)) not in pairs)


def _plant_leaks(
    draft: SourceDraft, leaked: list[ChartTable], clean: list[ChartTable], *, drawn: dict[str, bytes]
) -> None:
    for number, table in enumerate(leaked):
        data = drawn[table.name]
        pair = questions(table, 1)[0]
        key = _record(draft, f'{table.name}/leak', _image(draft, table, data), pair)
        how = ('same bytes', 'resized', 'JPEG')[number % 3]
        copy = {'same bytes': data, 'resized': pictures.resized(data, 125), 'JPEG': pictures.as_jpeg(data, 80)}[how]
        suffix = 'jpg' if how == 'JPEG' else 'png'
        item = BenchmarkItem(f'leak_charts_{number}', *pair, copy, suffix=suffix, source='charts', twin_of=key, how=how)
        draft.benchmark.append(item)
    for number, table in enumerate(clean):
        item = BenchmarkItem(f'clean_charts_{number}', *questions(table, 1)[0], drawn[table.name], 'png', 'charts')
        draft.benchmark.append(item)


def _plant_broken(draft: SourceDraft, cut: ChartTable, silent: ChartTable) -> None:
    whole = draft.images[f'imgs/{cut.origin}/{cut.name}.png']
    path = _image(draft, cut, whole[: len(whole) * 3 // 5], '_cut.png')
    key = _record(draft, 'truncated', path, _unasked(cut, questions(cut, N_QUESTIONS)))
    reasons = (Reason.IMAGE_TRUNCATED, Reason.IMAGE_UNDECODABLE, Reason.BAD_IMAGE)
    draft.planted.append(Planted('truncated_image', (key,), (path,), expected='reject', reasons=reasons))
    path = f'imgs/{silent.origin}/{silent.name}.png'
    question = _unasked(silent, questions(silent, N_QUESTIONS))[0]
    key = _record(draft, 'silent', path, (question, ''))
    draft.planted.append(Planted('empty_answer', (key,), (path,), 'reject', (Reason.EMPTY_ANSWER,)))
