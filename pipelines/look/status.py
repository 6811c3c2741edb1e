"""How a build goes, from the files of its folder alone: on whatever machine they are seen, whether it runs, waits, has ended or was killed.

A process is at work if its note is touched: that is seen by looking twice, where the age that our clock tells of it is no proof either way.
"""

import json
import shlex
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.engine.clean import LOCK, is_work
from pipelines.engine.going import Going, going_of
from pipelines.engine.peers import BEAT_S, ENDED, FOLDER, QUIET_S, RUNNING, Note, is_held, machine, notes_of, read_note
from pipelines.engine.place import name_of, work_of
from pipelines.engine.progress import note_of, read_progress
from pipelines.engine.under_way import UnderWay
from pipelines.engine.uses import Uses
from schemas.errors import UserError
from schemas.json_text import print_json
from schemas.snapshot import did_you_mean, open_snapshot, sealed_in

LOOKS_S = 2.5 * BEAT_S  # for a sign of life of one that seems to have been quiet for long: a process gives one each BEAT_S
KILLED, SEALED, NEVER = 'killed', 'sealed', 'never run'


def tell_status(out: Path, work: Path | None, *, as_json: bool = False, why: bool = False) -> None:
    """Print how the build of OUT goes; raises UserError where there is none."""
    found = status_of(out, work)
    if why:
        from pipelines.look.remade import remade  # knows all steps, which takes a second to import

        found['why'] = list(remade(Path(found['work']), Path(found['build'])))
    if as_json:
        print_json(found)
    else:
        print('\n'.join(_lines(found)))


def status_of(out: Path, work: Path | None = None) -> dict[str, Any]:
    """Return how the build of OUT goes, as docs/json.md describes it."""
    out = out.resolve()
    work = (work or work_of(out)).resolve()
    snapshots = [_snapshot(path) for path in sealed_in(out)]
    if not (is_work(work) or snapshots):
        raise UserError(f'{out}: expected the folder of a build (work/, mix/ or triples/), found {"none" if out.is_dir() else "no folder"}; '
                        f'name the --out of `phantom build`, and with --work its working folder if that lies elsewhere{did_you_mean(out)}')
    peers = [_peer(work, out, path, note) for path, note in _last_run(notes_of(work / FOLDER, name_of(work, out)))]
    said = [read_progress(note_of(work, out, peer['share'] - 1)) for peer in peers] or [read_progress(note_of(work, out, 0))]
    uses = [Uses(work, out, kind) for kind in ('mix', 'triples')]
    noted = [key for one in uses for key in one.keys]
    running = [peer['state'] == RUNNING for peer in peers]
    return {
        'build': str(out),
        'work': str(work),
        'state': _state(peers, snapshots),
        'snapshots': snapshots,
        'tables': {'finished': sum((work / key / '_DONE.json').is_file() for key in noted), 'asked_for': len(noted)},
        'now': [{'share': peer['share'], **one['now']} for peer, one, runs in zip(peers, said, running, strict=False)
                if runs and going_of(one.get('now'))],
        'calls': UnderWay(work).said() if any(running) else [],
        'cost': next((one['spent'] for one in said if one.get('spent')), None) or _sealed_cost(snapshots),
        'projected': projected(out),
        'peers': peers,
        'error': next((peer['why'] for peer in peers if peer['state'] in (ENDED, KILLED) and peer['why']), ''),
        'faults': [fault for one in uses if (fault := one.fault())],
        'why': None,
    }


def _last_run(paths: Sequence[Path]) -> list[tuple[Path, Note]]:
    """Return the notes of the processes of the last run; one before may have had more of them."""
    notes = [(path, note) for path in paths if (note := read_note(path)) is not None]
    of = max(notes, key=lambda one: one[1].beat)[1].of if notes else 0
    return [(path, note) for path, note in notes if note.of == of]


def _snapshot(path: Path) -> dict[str, Any]:
    """Return what a sealed snapshot is; of a damaged one what is wrong with it."""
    try:
        snapshot = open_snapshot(path)
    except UserError as e:
        return {'path': str(path), 'fault': str(e)}
    manifest = snapshot.manifest
    rows = sum(shard['rows'] for shard in manifest['shards'])
    about = {'kind': snapshot.kind, 'snapshot_id': snapshot.snapshot_id, 'sealed_at': manifest.get('sealed_at'), 'rows': rows}
    return {'path': str(path), 'fault': '', **about, 'cost': manifest.get('cost')}


def _peer(work: Path, out: Path, path: Path, note: Note) -> dict[str, Any]:
    alive = note.state == RUNNING and _is_alive(work / f'{LOCK}{name_of(work, out)}-{note.share}', path, note)
    state = KILLED if note.state == RUNNING and not alive else note.state
    why = note.why or ('killed, or its machine is gone' if state == KILLED else '')
    return {
        'share': note.share + 1, 'of': note.of, 'host': note.host, 'process': note.pid, 'state': state, 'code': note.code,
        'why': why, 'waiting_for': note.waiting_for if alive else '', 'seen': time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(note.beat)),
    }  # fmt: skip


def _is_alive(lock: Path, path: Path, note: Note) -> bool:
    """Return whether a process that says that it runs does: on this machine it holds its lock, elsewhere its note is touched again and again.

    An age that our clock tells is believed only where it is small, as one clock told it. Else the file is looked at until it is touched.
    """
    if note.machine == machine():
        return is_held(lock)
    if 0 <= time.time() - note.beat <= QUIET_S:
        return True
    until = time.monotonic() + LOOKS_S
    while time.monotonic() < until:
        time.sleep(min(0.5, LOOKS_S))
        now = read_note(path)
        if now is None or now.state != RUNNING:
            return False
        if now.beat != note.beat:
            return True
    return False


def _state(peers: Sequence[dict], snapshots: Sequence[dict]) -> str:
    """Return in one word how a build stands: that of the process that failed, else of one that runs, else that it is sealed."""
    states = [peer['state'] for peer in peers]
    if RUNNING in states:
        return RUNNING
    if failed := [peer for peer in peers if peer['code'] or peer['state'] == KILLED]:
        return failed[0]['state'] if failed[0]['state'] != ENDED else 'failed'
    return SEALED if snapshots else states[0] if states else NEVER


def _sealed_cost(snapshots: Sequence[dict]) -> dict[str, Any] | None:
    """Return what the last snapshot says that its calls cost."""
    told = [snapshot['cost']['total'] for snapshot in snapshots if snapshot.get('cost')]
    if not told:
        return None
    total = told[-1]
    tokens = total['prompt_tokens'] + total['completion_tokens']
    return {'requests': total['requests'], 'tries': total.get('tries', 0), 'tokens': tokens, 'money': total['money']}


def projected(out: Path) -> dict[str, Any] | None:
    """Return what the last preview projected for the whole build, None where there was none."""
    try:
        total = json.loads((out / 'preview/preview.json').read_text('utf-8'))['lines'][-1]
        requests = sum(total[name] for name in ('rate', 'generate', 'judge', 'calibrate'))
        return {'requests': round(requests), 'tokens': round(total['prompt_tokens'] + total['completion_tokens']), 'money': total['money']}
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


def _lines(found: dict[str, Any]) -> Iterator[str]:
    tables = found['tables']
    yield f'{found["build"]}: {found["state"]}; {tables["finished"]:,} of {tables["asked_for"]:,} table(s) asked for so far are finished'
    for snapshot in found['snapshots']:
        told = snapshot['fault'] or f'sealed at {snapshot["sealed_at"]}, {snapshot["rows"]:,} row(s), {snapshot["snapshot_id"][:12]}'
        yield f'  {Path(snapshot["path"]).name}: {told}'
    for now in found['now']:
        where = f'{now["share"]}/{len(found["peers"])} ' if len(found['peers']) > 1 else ''
        yield f'  now: {where}' + Going(**{name: value for name, value in now.items() if name != 'share'}).line()
    for call in found['calls']:
        yield (f'    model {call["model"]}, {call["source"]}: {call["answered"]:,} of {call["total"]:,} call(s) answered, {call["lost"]:,} without a '
               f'reply, {call["under_way"]:,} under way')
    if found['cost']:
        yield f'  cost so far: {_said(found["cost"])}; projected: {_said(found["projected"]) if found["projected"] else "unknown (phantom preview)"}'
    for peer in found['peers']:
        yield f'  process {peer["share"]}/{peer["of"]} on {peer["host"]}: {_about(peer)}'
    for line in [*found['faults'], *(found['why'] or ())]:
        yield f'  {line}'
    if found['why'] == []:
        out = shlex.quote(found['build'])
        yield f'  nothing is made again as long as recipe and inputs stay; for others: phantom build RECIPE --out {out} --dry-run'


def _said(cost: dict[str, Any]) -> str:
    return f'{cost["requests"]:,} request(s), {cost["tokens"]:,} tokens, {cost["money"]:,.4g} of money'


def _about(peer: dict[str, Any]) -> str:
    waits = f', waits for {peer["waiting_for"]}' if peer['waiting_for'] else ''
    code = f', exit code {peer["code"]}' if peer['code'] and peer['state'] == ENDED else ''
    return f'{peer["state"]}{code}{waits}, last sign of life {peer["seen"]}' + (f': {peer["why"]}' if peer['why'] else '')
