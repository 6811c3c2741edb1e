"""Why a table is another one than before: the settings and versions that differ, found by following what it is made of to where it differs."""

import json
import os
from collections.abc import Callable, Iterator
from typing import Any

Described = dict[str, Any]  # as engine.step.describe gives it
SHOWN_CHARS = 60  # of a value


def changes(old: str, new: str, described: Callable[[str], Described | None]) -> Iterator[str]:
    """Yield a sentence for each first cause of why the table `new` is not `old`, both by key; `described` tells what a key is made of."""
    seen: set[tuple[str, str]] = set()

    def between(old: str, new: str) -> Iterator[str]:
        if old == new or (old, new) in seen:
            return
        seen.add((old, new))
        before, now = described(old), described(new)
        if before is None or now is None:
            yield f'what {old if before is None else new} was made of is not known any more'
            return
        if before['version'] != now['version']:
            yield f'{now["label"]}: version of the step was {before["version"]}, is {now["version"]}'
        yield from (f'{now["label"]}: {change}' for change in settings_changed(before['settings'], now['settings']))
        for name in sorted(before['tables'].keys() | now['tables'].keys()):
            yield from _tables(before['tables'].get(name, []), now['tables'].get(name, []))

    def _tables(old: list[str], new: list[str]) -> Iterator[str]:
        before, now = ({_label(key, described): key for key in keys} for keys in (old, new))
        yield from (f'{label} is left out' for label in before if label not in now)
        for label, key in now.items():
            yield from between(before[label], key) if label in before else [f'{label} is new']

    yield from between(old, new)


def _label(key: str, described: Callable[[str], Described | None]) -> str:
    about = described(key)
    return about['label'] if about else key.partition('/')[0]


def settings_changed(before: Any, now: Any, where: str = '') -> Iterator[str]:
    """Yield 'name was old, is new' for every leaf of plain JSON that differs."""
    if before == now:
        return
    if isinstance(before, dict) and isinstance(now, dict):
        for name in dict.fromkeys([*before, *now]):
            yield from settings_changed(before.get(name), now.get(name), f'{where}.{name}' if where else name)
        return
    if isinstance(before, list) and isinstance(now, list):
        if len(before) == len(now):
            for i, pair in enumerate(zip(before, now, strict=True)):
                yield from settings_changed(*pair, f'{where}[{i}]')
            return
        if told := [*_missing(before, now, f'{where} had'), *_missing(now, before, f'{where} has')]:
            yield from told
            return
    if isinstance(before, str) and isinstance(now, str) and (alike := len(os.path.commonprefix([before, now])) - SHOWN_CHARS // 2) > 0:
        before, now = f'...{before[alike:]}', f'...{now[alike:]}'  # a prompt: what differs may stand far behind
    yield f'{where} was {_shown(before)}, is {_shown(now)}'


def _missing(some: list, others: list, where: str) -> Iterator[str]:
    return (f'{where} {_shown(item)}' for item in some if item not in others)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= SHOWN_CHARS else text[: SHOWN_CHARS - 3] + '...'
