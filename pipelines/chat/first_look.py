"""The servers of one model, looked at before anything is paid for: each is met, and one of them tries what will be asked."""

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from pipelines.chat.clients import open_http
from pipelines.chat.contact import LIST_S, Met, meet, version_of
from pipelines.chat.keys import Key
from pipelines.chat.manners import Manners
from pipelines.chat.probes import Probing
from pipelines.chat.tokenizers import tokenizer_asked
from pipelines.chat.trials import Trial, greeting, trials_of_needs
from schemas.errors import PendingWork, UserError
from schemas.recipe import Model

OPENAI_URL = 'https://api.openai.com/v1'


def check_servers(settings: Model, urls: Sequence[str], key: Key, *, needs: frozenset[str], trials: Sequence[Trial]) -> Manners:
    """Return how the servers answer; raises UserError unless one answers, each that does serves this model, and one does what is needed.

    Raises PendingWork where a prompt meets nothing but what may pass. What the trials cost is not in the ledger: it is some hundred tokens.
    """
    if list(urls) == [OPENAI_URL] and not key.value:
        where = f'model {settings.model!r} at {OPENAI_URL}'
        raise UserError(f'{where}: expected an API key in ${settings.api_key_env}, found none; export it and run again')
    try:
        return asyncio.run(_check(settings, urls, key, needs, trials))
    except UserError as e:  # names of a list, words of a redirect, texts of replies: whatever a server says may quote what it was sent
        raise type(e)(key.hide(str(e))) from e


async def _check(settings: Model, urls: Sequence[str], key: Key, needs: frozenset[str], trials: Sequence[Trial]) -> Manners:
    met = await asyncio.gather(*(meet(url, settings, key) for url in urls))
    faults = [one for one in met if one.fault]
    if any(one.answers for one in faults) or len(faults) == len(met):
        raise UserError('\n'.join(one.fault for one in faults))
    for one in faults:
        _tell(key.hide(f'{one.fault}\nthe other servers do the work until it answers'))
    usable = [one for one in met if not one.fault]
    wanted = [*trials, *trials_of_needs(needs - frozenset().union(*(trial.shows for trial in trials)), settings)]
    manners: list[Manners] = []
    for one in usable:
        try:
            manners.append(await _try(one, settings, key, [] if manners else wanted))
        except PendingWork as e:
            if one is usable[-1] and not manners:
                raise
            _tell(key.hide(f'{e}\nthe other servers do the work until it answers'))
    return manners[0]


async def _try(met: Met, settings: Model, key: Key, trials: Sequence[Trial]) -> Manners:
    """Return the manners of one server; where only a prompt can tell whether it is a server at all, it gets one."""
    trials = trials or ([greeting(settings)] if met.doubt else [])
    if not trials:
        return Manners()
    async with open_http(met.url, key, timeout=LIST_S) as http:
        manners, remarks = await Probing(http, met.url, settings, key).probe(trials, met.doubt)
        asked = await tokenizer_asked(http, met.url, settings, key)
        version = '' if met.url == OPENAI_URL else await version_of(http, met.url, key)
    for remark in remarks:
        _tell(key.hide(remark))
    manners = replace(manners, tokenizer=asked)
    return replace(manners, served_by=f'version {version}' if version else '')  # model and fingerprint stand in each reply


@lru_cache(maxsize=256)  # before the mix and before the first question the same is seen
def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
