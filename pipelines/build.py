"""Both programmes in a row, in one working folder that one build at a time may use."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipelines.build_mix import Place, build_mix
from pipelines.sources.files import resolve
from pipelines.steps import Engine
from schemas.errors import UserError
from schemas.recipe import Recipe


def build_all(recipe: Recipe, out: Path, *, work: Path | None, root: Path | None, beam_args: tuple[str, ...], mix_only: bool, give_up: bool) -> None:
    """Build the mix, then (unless `mix_only` or the recipe generates nothing) the triples; each is skipped where it is sealed already."""
    out, work = out.resolve(), (work or out / 'work').resolve()
    place = Place(root=(root or Path(recipe.root.format(out=out))).resolve(), out=out)
    if not place.root.is_dir():
        raise UserError(
            f'root {place.root}: expected the folder of the sources, found none; pass --root (for the demo: phantom demo-data {place.root})'
        )
    recipe = resolve(recipe, place.root)
    if recipe.generate and not mix_only:
        from pipelines.build_triples import check_plan

        check_plan(recipe)
    with _alone(work):
        engine = Engine(work, beam_args)
        mix = build_mix(recipe, place, engine)
        if recipe.generate and not mix_only:
            from pipelines.build_triples import build_triples

            build_triples(recipe, mix, out, engine, give_up=give_up)


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Hold the working folder; raises UserError while another build holds it. A killed build holds nothing."""
    try:
        work.mkdir(parents=True, exist_ok=True)
        handle = (work / '.lock').open('w')
    except OSError as e:
        raise UserError(f'{work}: expected a folder to write to, found: {e.strerror}; choose another --out or --work') from e
    with handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as e:
            raise UserError(f'{work}: another build is running in this folder; wait for it or choose another --work') from e
        yield
