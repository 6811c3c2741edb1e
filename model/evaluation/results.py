"""Tables of results: one benchmark's figures, and all that were evaluated in one table, several checkpoints beside each other."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from model.evaluation.rules import BENCHES, PAPER, PAPER_SIZES
from model.evaluation.score_file import read_score
from model.evaluation.stored import difference_of
from schemas.errors import UserError
from schemas.publish import publish_bytes


def format_table(bench: str, result: dict[str, Any]) -> str:
    """The scores as lines, ours beside the paper's of each size."""
    lines = [f'{bench}: {result["items"]} items', *(f'  {line}' for line in caveats(result))]
    for name, value in result.items():
        if isinstance(value, float):
            ends = result.get('intervals', {}).get(name)
            lines.append(f'  {name:32} {value:8.2f}' + (f'   {as_range(ends, 2)}' if ends else ''))
    if result.get('intervals'):
        lines.append('  in brackets: 95 % intervals, had other items of the same kind been asked')
    if bench in PAPER:
        shown = ', '.join(f'{size} {value}' for size, value in zip(PAPER_SIZES, PAPER[bench], strict=True) if value)
        name = BENCHES[bench].as_released
        lines.append(f'  paper (Phantom, arXiv 2409.14713), to be compared with `{name}`: {shown}')
    return '\n'.join(lines)


def caveats(result: dict[str, Any]) -> list[str]:
    """What a reader must know of the figures: parts that are not there, replies that could not be read, who judged."""
    lines = []
    if result.get('empty'):
        lines.append(f'{result["empty"]} replies are empty')
    if result.get('only_first') is not None:
        lines.append(f'only the first {result["only_first"]} items')
    if sample := result.get('sample'):
        lines.append(f'a sample of {sample["items"]} of {sample["of"]} items (seed {sample["seed"]})')
    if failed := result.get('failed'):
        kinds = ', '.join(f'{n} {kind}' for kind, n in failed.items())
        lines.append(f'{sum(failed.values())} calls failed for good ({kinds}); their replies are empty')
    if served := result.get('served'):
        lines += who_served(served)
    if result.get('missing'):
        lines.append(f'not in this copy of the benchmark: {", ".join(result["missing"])}; the figures are of the rest')
    if (judge := result.get('judge')) and 'pending' not in result:
        lines += who_judged(judge)
        if result.get('unread'):
            lines.append(unread_line(result))
    elif result.get('unread'):
        lines.append(unread_line(result))
    if 'judge' not in result and result['bench'] in BENCHES and BENCHES[result['bench']].read is None:
        lines.append('no score yet: a language model has to judge the replies (--judge-url, --judge-model)')
    if result.get('pending'):
        lines.append(f'{result["pending"]} judgements are not made yet, so that there is no score: run `phantom eval` again with the judge')
    return lines


def unread_line(result: dict[str, Any]) -> str:
    """How many replies could not be read, of the judge where there is one, and what they did to the score."""
    if 'judge' not in result:
        counted = f' and count as {result["unread_as"]} by its own rule' if 'unread_as' in result else ''
        said = ', '.join(f'{n} say {word}' for word, n in result.get('unread_but_said', {}).items())
        return f'{result["unread"]} replies name no answer{counted}{f" ({said})" if said else ""}; in items.jsonl their `found` is null'
    as_0, left_out = (result.get('bounds', {}).get(name) for name in ('unread_as_0', 'unread_left_out'))
    if 'score' not in result:
        scores = ', so that there is no score'
    elif as_0 is None:
        scores = ''
    else:
        without = 'none' if left_out is None else f'{left_out:.2f}'
        scores = f': score {as_0:.2f} with them as nothing, {without} without them'
    return f'{result["unread"]} replies of the judge could not be read{scores}; they stand in judged.jsonl as `unread`'


def who_judged(judge: dict[str, Any]) -> list[str]:
    """Who gave the judge's replies, by what each said when it answered; a word where they are several, or others than the server named last."""
    if 'answered' not in judge:  # of an older version: the server that ran last
        version = f' (version {judge["version"]})' if judge.get('version') else ''
        return [f'judged by {judge["model"]} at {judge.get("server", "a server that is not named")}{version}']
    revision = f' (revision {judge["revision"]})' if judge.get('revision') else ''
    shares = [f'{one["served_by"]} ({one["replies"]} replies)' for one in judge['answered']]
    lines = [f'judged by {judge["model"]}{revision}: {", ".join(shares) or "no reply was needed, or none is noted"}']
    if len(shares) > 1:
        lines.append(f'{len(shares)} servers of that name answered and may differ: a new --judge-revision asks one of them for all')
    if 'not_asked' in judge:
        lines.append(f'the server {judge["not_asked"]} was not asked, since every reply was stored: a new --judge-revision asks it')
    return lines


def who_served(served: dict[str, Any]) -> list[str]:
    """Which servers gave the replies of a served model; a word where they are several."""
    shares = [f'{one["served_by"]} ({one["replies"]} replies)' for one in served['answered']]
    lines = [f'replies of {served["model"]}: {", ".join(shares) or "none is noted"}']
    if len(shares) > 1:
        lines.append(f'{len(shares)} servers of that name answered and may differ: a new --revision asks one of them for all')
    return lines


def compare_results(folder: Path, baseline: str = '') -> list[dict[str, Any]]:
    """One row a score.json under `folder`, beside the paper's figures; written to folder/results.json.

    `score` is the benchmark's own figure, `as_released` the one that Phantom's released evaluation prints: compare that with the paper. `interval`
    is the 95 % interval of `score`. Where a benchmark was evaluated several times, `difference` is `score` minus that of the first, or of the one
    below the folder `baseline`, over the items that both answered, with its paired interval.
    """
    rows = sorted((read_row(folder, path) for path in Path(folder).glob('**/score.json')), key=lambda row: (row['bench'], row['file']))
    if not rows:
        raise UserError(f'results {folder}: expected score.json files of `phantom eval`, found none; evaluate first')
    if baseline and not any(below(row, baseline) for row in rows):
        places = ', '.join(sorted({os.path.dirname(row['file']) for row in rows}))
        raise UserError(f'--baseline {baseline}: expected one of the evaluated folders, found none of that name among {places}')
    for bench in dict.fromkeys(row['bench'] for row in rows):
        several = [row for row in rows if row['bench'] == bench]
        first = next((row for row in several if below(row, baseline)), None)
        for row in several:
            if first is not None and row is not first:
                row['difference'] = differ(Path(folder), row, first)
    publish_bytes(Path(folder) / 'results.json', json.dumps(rows, indent=1).encode())
    return rows


def read_row(folder: Path, path: Path) -> dict[str, Any]:
    """What one score.json says, as a row; raises UserError for anything else."""
    result = read_score(path)
    name, ends = result['bench'], result.get('intervals', {}).get('score')
    metric = BENCHES[name].as_released if name in BENCHES else 'score'
    paper = dict(zip(PAPER_SIZES, PAPER.get(name, (None,) * len(PAPER_SIZES)), strict=True))
    ours = {'score': result.get('score'), 'interval': ends, 'as_released': result.get(metric), 'as_released_metric': metric}
    about = {'caveats': caveats(result), 'checkpoint': result.get('checkpoint'), 'judge': result.get('judge'), 'sample': result.get('sample')}
    return {'bench': name, **ours, 'items': result['items'], 'difference': None, 'paper': paper, **about, 'file': str(path.relative_to(folder))}


def below(row: dict[str, Any], baseline: str) -> bool:
    """Whether a result lies in the folder `baseline`, named by its path or by one of its parts; every one where that is ''."""
    folder = os.path.dirname(row['file'])
    return not baseline or folder == baseline.strip('/') or f'/{baseline.strip("/")}/' in f'/{folder}/'


def differ(folder: Path, row: dict[str, Any], first: dict[str, Any]) -> dict[str, Any] | None:
    """What the table says of two results of one benchmark; None where they share no item, or there is no score."""
    if row['bench'] not in BENCHES:
        return None
    found = difference_of(row['bench'], *(folder / os.path.dirname(one['file']) for one in (row, first)))
    if found is None or 'score' not in found.values:
        return None
    figures = {name: found.values[name] for name in ('score', row['as_released_metric']) if name in found.values}
    ends = {name: list(found.intervals[name]) for name in figures}
    to = os.path.dirname(first['file'])
    return {'to': to, 'items': found.items, 'score': figures['score'], 'interval': ends['score'], 'figures': figures, 'intervals': ends}


def format_results(rows: Sequence[dict[str, Any]]) -> str:
    """The rows of `compare_results` as lines; a dash where a figure is not there, a star and a note where one needs a word."""
    names = [row_name(row) for row in rows]
    width = max(16, *(len(name) + 2 for name in names))
    ends, differences = ([row.get(name) for row in rows] for name in ('interval', 'difference'))
    columns = [
        ('items', 8, [f'{row["items"]}' for row in rows]),
        ('score', 10, [one_place(row['score']) for row in rows]),
        ('95 %', 18, [as_range(found) if found else '-' for found in ends] if any(ends) else []),
        ('difference', 12, [f'{found["score"]:+.1f}' if found else '-' for found in differences] if any(differences) else []),
        ('95 %', 18, [as_range(found['interval']) if found else '-' for found in differences] if any(differences) else []),
        ('as paper', 10, [one_place(row['as_released']) for row in rows]),
        *((f'paper {size}', 12, ['-' if row['paper'][size] is None else f'{row["paper"][size]}' for row in rows]) for size in PAPER_SIZES),
    ]
    shown = [(head, wide, cells) for head, wide, cells in columns if cells]
    lines = [f'{"benchmark":{width}}' + ''.join(f'{head:>{wide}}' for head, wide, _ in shown)]
    for place, (row, name) in enumerate(zip(rows, names, strict=True)):
        star = '*' if row['caveats'] else ''
        lines.append(f'{name + star:{width}}' + ''.join(f'{cells[place]:>{wide}}' for _, wide, cells in shown))
    lines.append("score: the benchmark's own figure; as paper: the one that Phantom's released evaluation prints")
    lines += told_differences(differences)
    return '\n'.join([*lines, *(f'* {name}: {"; ".join(row["caveats"])}' for row, name in zip(rows, names, strict=True) if row['caveats'])])


def told_differences(differences: Sequence[dict[str, Any] | None]) -> list[str]:
    """What the differences of a table are to, for people."""
    if not any(differences):
        return []
    to = ', '.join(sorted({found['to'] for found in differences if found}))
    fewest = min(found['items'] for found in differences if found)
    over = f'over the items that both answered (at least {fewest}), drawn in pairs'
    return [f'difference: score minus that of {to}, {over}; where its 95 % hold 0 it tells nothing']


def one_place(value: float | None) -> str:
    """A figure, a dash where there is none."""
    return '-' if value is None else f'{value:.1f}'


def as_range(ends: Sequence[float], places: int = 1) -> str:
    """The ends of an interval."""
    return f'[{ends[0]:.{places}f}, {ends[1]:.{places}f}]'


def row_name(row: dict[str, Any]) -> str:
    """The folder of a result, with the benchmark's name unless that is the folder's."""
    folder = os.path.dirname(row['file'])
    return folder if os.path.basename(folder) == row['bench'] else f'{folder}: {row["bench"]}' if folder else row['bench']
