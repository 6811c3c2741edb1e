"""Reads the tables that ship inside packages, by the standard library: importing the packages would pull pandas."""

import csv
import gzip
import importlib.util
import json
from pathlib import Path
from typing import Any

from schemas.errors import UserError

VEGA = 'vega_datasets'
BOKEH = 'bokeh_sampledata'


def package_file(package: str, path: str) -> Path:
    """Return where a file of an installed package lies; the package itself is not imported."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(
            f'demo data: expected the package {package!r} in this environment, found none; '
            "install the demo extra: pip install 'phantom-curation[demo]'"
        )
    found = Path(spec.origin).parent / path
    if not found.exists():
        raise UserError(
            f'demo data: expected {path!r} inside the package {package!r}, found nothing at {found}; '
            'install the version that requirements.lock pins'
        )
    return found


def document(package: str, name: str) -> Any:
    """Return a JSON file of a package whatever its form."""
    return json.loads(package_file(package, f'_data/{name}').read_text('utf-8'))


def rows(package: str, name: str) -> list[dict[str, Any]]:
    """Return a table of vega_datasets or bokeh_sampledata as rows; CSV cells are stripped strings."""
    path = package_file(package, f'_data/{name}')
    if name.endswith('.json'):
        return document(package, name)
    if name.endswith('.gz'):
        with gzip.open(path, 'rt', encoding='utf-8', newline='') as file:
            return _csv_rows(file)
    with path.open(encoding='utf-8-sig', newline='') as file:
        return _csv_rows(file)


def _csv_rows(file: Any) -> list[dict[str, Any]]:
    reader = csv.reader(file, skipinitialspace=True)
    names = [name.strip() for name in next(reader)]
    return [dict(zip(names, (cell.strip() for cell in cells), strict=True)) for cells in reader if cells]
