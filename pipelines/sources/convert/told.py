"""What a user of `phantom convert` says and is told."""

import re
from collections.abc import Iterable
from pathlib import Path

from pipelines.sources.convert.convert import LEFT_OUT, RECIPE, Job, convert
from schemas import source
from schemas.errors import UserError

# What a recipe's `columns` may say; nothing is ignored by name here, since what has no role is not written, and a row has one id.
ROLES = tuple(role for role in source.ROLES if role != 'ignore')
SEVERAL = tuple(role for role in source.SEVERAL if role not in ('id', 'ignore'))


def convert_and_tell(inputs: list[Path], out: Path, *, images: Path | None, columns: Iterable[str], name: str, licence: str) -> None:
    """Convert, then print the recipe and how the rows ended; raises UserError for a role nobody knows."""
    name = name or source.name_from(out.resolve().name, 'source')
    if not re.fullmatch('[A-Za-z0-9][A-Za-z0-9._-]*', name):
        raise UserError(f'--name {name!r}: expected letters, digits, dots, - and _, since it becomes part of every id')
    text, books = convert(Job(inputs, out, name, images, _roles(columns), licence))
    print(text)
    if 'in_place' in books:
        print(f'{out}: {books["in"]:,} row(s) in {len(books["in_place"]):,} file(s), read where they lie')
    else:
        told = ', '.join(f'{reason} {n:,} ({unit})' for unit, reasons in sorted(books['left_out'].items()) for reason, n in sorted(reasons.items()))
        left = f'left out: {told}, see {out}/{LEFT_OUT}' if told else 'none left out'
        print(f'{out}: {books["in"]:,} {books["unit"]}(s) in, {books["written"]:,} row(s) written, {left}')
    print(f'next: phantom validate {out}/{RECIPE}')


def _roles(said: Iterable[str]) -> dict[str, list[str]]:
    """Return the columns of each role as --column gives them."""
    found: dict[str, list[str]] = {}
    for one in said:
        role, sign, column = one.partition('=')
        if not sign or not column or role not in ROLES:
            raise UserError(f'--column {one}: expected ROLE=NAME with one of {", ".join(ROLES)}, found another')
        if role in found and role not in SEVERAL:
            raise UserError(f'--column {one}: expected one column for {role}, found {found[role][0]} too')
        found.setdefault(role, []).append(column)
    return found
