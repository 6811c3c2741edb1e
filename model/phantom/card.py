"""The model card of a joined start: what came from where, under which licence, as the folders themselves say it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.errors import UserError
from schemas.regular import read_regular
from schemas.snapshot import file_sha256
from schemas.yaml_text import parse_yaml

CARD_BYTES, LICENCE_BYTES = 1 << 20, 1 << 20
UNSAID = 'not stated in its folder'


@dataclass(frozen=True, slots=True)
class Origin:
    """What a folder says of itself."""

    folder: Path
    name: str  # the folder's
    model: str  # the name that its config.json gives, empty where none is given
    licence: str  # as the front matter of its README.md has it
    link: str  # to the licence's text, empty where none is said
    text: bytes | None  # of its LICENSE file
    files: dict[str, str]  # weight file -> sha256


def read_origin(folder: Path, raw: dict[str, Any], files: list[Path]) -> Origin:
    """What `folder`, whose config.json is `raw`, says of itself."""
    said = front_matter(folder / 'README.md')
    licence = ' '.join(str(said[key]) for key in ('license', 'license_name') if said.get(key))
    named = raw.get('_name_or_path')
    model = one_line(named) if isinstance(named, str) else ''
    text = next((read_small(file) for file in sorted(folder.glob('LICENSE*')) if file.is_file()), None)
    sums = {file.name: file_sha256(file) for file in files}
    link = one_line(str(said.get('license_link') or ''))
    return Origin(folder, one_line(folder.resolve().name), model, one_line(licence) or UNSAID, link, text, sums)


def front_matter(card: Path) -> dict[str, Any]:
    """The fields that a README.md begins with, none where it has none that read."""
    data = read_small(card) if card.is_file() else None
    text = (data or b'').decode('utf-8', 'replace')
    if not text.startswith('---\n') or '\n---' not in text[4:]:
        return {}
    try:
        said = parse_yaml(text[4 : text.index('\n---', 4)], str(card))
    except UserError:
        return {}
    return said if isinstance(said, dict) else {}


def read_small(file: Path) -> bytes | None:
    """The bytes of a text, None where it cannot be read or is longer than a licence."""
    try:
        return read_regular(file, LICENCE_BYTES)
    except (OSError, ValueError):
        return None


def one_line(text: str) -> str:
    """The words of a text on one line, with nothing that Markdown would read as more."""
    return ' '.join(text.replace('|', '/').replace('`', "'").split())[:200]


def joined_card(name: str, origins: dict[str, Origin], facts: dict[str, str], rows: list[tuple[str, str]]) -> str:
    """README.md of a joined start. facts: front matter beside the licence; rows: part of the model and where it comes from."""
    licences = {origin.licence for origin in origins.values()}
    licence = licences.pop() if len(licences) == 1 and UNSAID not in licences else 'other'
    head = ['---', f'license: {licence}', 'pipeline_tag: image-text-to-text', *(f'{key}: {value}' for key, value in facts.items()), '---', '']
    lines = [
        f'# {name}',
        '',
        'A start for step 1 of Phantom (arXiv 2409.14713), joined by `phantom join` from two published models. It has not been trained: the',
        'projector and the added tokens are new, and the phantom dimension is made when training begins.',
        '',
        '| part | from |',
        '| --- | --- |',
        *(f'| {part} | {whence} |' for part, whence in rows),
        '',
    ]
    for part, origin in origins.items():
        lines += [f'## The {part} model: {origin.name}', '', f'- folder: `{origin.folder}`', f'- licence: {origin.licence}']
        lines += [f'- its config.json calls it `{origin.model}`'] if origin.model else []
        lines += [f'- licence text: {origin.link}'] if origin.link else []
        lines += [f'- its LICENSE file: `LICENSE.{part}.txt`'] if origin.text else []
        lines += [f'- `{one_line(file)}`: sha256 {digest}' for file, digest in origin.files.items()]
        lines += ['']
    lines += ['Both licences hold for what is made of this folder; where one is not stated, ask its publisher before you pass weights on.', '']
    return '\n'.join([*head, *lines])
