"""`phantom replies forget`: stored outcomes removed, and the unsealed tables made from them, so that the next build asks these again."""

import re
import shlex
import sys
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

from pipelines.chat.batch_files import discard_batch, output_path
from pipelines.engine.clean import idle, is_work, remove
from pipelines.engine.tables import Table
from pipelines.engine.uses import all_uses
from pipelines.replies.facts import Meant, kinds, sums
from pipelines.replies.forget import Found, all_parts, drop, find
from pipelines.replies.tend import check_store
from pipelines.triples.forgotten import tables_made_from
from schemas.errors import UserError
from schemas.publish import publish_bytes
from schemas.snapshot import MANIFEST

ASKED_BY = re.compile(rb'"custom_id": ?"([0-9a-f]{64})"')


def forget_replies(folder: Path, meant: Meant, *, yes: bool = False) -> None:
    """Remove what is meant, after saying how much it is, what it cost and what is made again, and asking where `yes` does not say so.

    Raises UserError where nothing is said to be meant, while a build runs or writes to the store, and where nobody can be asked.
    """
    check_store(folder)
    if not meant.anything:
        raise UserError('replies forget: expected what to forget, found nothing said; name --failures, --model, --revision or --kind')
    folder = folder.resolve()
    with ExitStack() as stack:
        if is_work(folder.parent):
            stack.enter_context(idle(folder.parent))
        parts = stack.enter_context(all_parts(folder))
        found = find(parts, meant)
        if not found.cost.n:
            there = ', '.join(f'{kind} {n:,}' for kind, n in sorted(kinds(sums(fact for part in parts for fact in part.facts())).items()))
            print(f'{folder}: nothing of that kind is stored, so nothing was forgotten; there are: {there or "no outcomes"}')
            return
        tables = tables_made_from(folder.parent, found.keys) if is_work(folder.parent) else []
        print(_told(folder, found, tables))
        if not (yes or _agreed()):
            print('nothing was forgotten')
            return
        for table in tables:  # before the outcomes: a kill in between costs time, and no table speaks of what is gone
            remove(table.path)
        _drop_from_batches(folder.parent / 'batches', found.keys)
        drop(found, meant, folder / 'packs')
        print(f'{folder}: forgot {found.cost.n:,}; the next build asks these again and finds all others stored')


def _told(folder: Path, found: Found, tables: list[Table]) -> str:
    cost = found.cost
    listed = ', '.join(f'{kind} {n:,}' for kind, n in sorted(found.kinds.items()))
    lines = [
        f'{folder}: {cost.n:,} stored outcome(s) to forget ({listed}). They cost {cost.prompt_tokens:,} prompt and '
        f'{cost.completion_tokens:,} completion tokens, which will be paid again when they are asked again.'
    ]
    if tables:
        names = ', '.join(f'{name} {n}' for name, n in sorted(Counter(table.name for table in tables).items()))
        lines.append(f'Tables made from them go, too, and are made again from what is stored: {names}.')
    keys = {table.key for table in tables}
    for uses in all_uses(folder.parent, 'triples') if tables else ():
        if keys & uses.keys and (uses.out / 'triples' / MANIFEST).is_file():
            work = shlex.quote(str(folder.parent))
            lines.append(
                f'{uses.out}/triples is sealed and stays as it is; a build that asks again needs another --out: '
                f'phantom build RECIPE --out {shlex.quote(str(uses.out) + "-again")} --work {work}'
            )
    return '\n'.join(lines)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise UserError('replies forget: expected --yes, since nobody can be asked here; nothing was forgotten')
    with suppress(EOFError):  # Ctrl-D
        return input('forget them? [y/N] ').strip().lower() in ('y', 'yes')
    return False


def _drop_from_batches(folder: Path, keys: set[str]) -> None:
    """Remove the lines of some requests from what batches brought, so that they are not read again in the place of new answers."""
    for output in sorted(folder.glob('batch-*.output.jsonl')):
        lines = output.read_bytes().splitlines(keepends=True)
        rest = [line for line in lines if not ((asked := ASKED_BY.search(line)) and asked[1].decode() in keys)]
        asked_in = output.with_name(output.name.removesuffix('.output.jsonl') + '.jsonl')
        assert output_path(asked_in) == output, 'the names of batch files have one home'
        if rest:
            if len(rest) < len(lines):
                publish_bytes(output, b''.join(rest))
        else:
            output.unlink()
            discard_batch(asked_in)
