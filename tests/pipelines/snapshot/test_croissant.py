"""The Croissant description: what the format asks for, every file with its checksum, and the format's own validator where it is installed."""

import json

import pyarrow.parquet as pq
import pytest

from pipelines.snapshot.croissant import describe
from schemas.snapshot import open_snapshot
from tests.pipelines.snapshot.sealed import picture, rejection, sample, seal_rows, triple


@pytest.fixture(params=['mix', 'triples'])
def described(request, tmp_path):
    make = {'mix': sample, 'triples': triple}[request.param]
    rows = {'train': [[make(0, images=[picture('red')])], [make(1)]], 'validation': [[make(2)]]}
    out = rejection(9, unit={'mix': 'sample', 'triples': 'candidate'}[request.param])
    folder = seal_rows(tmp_path / request.param, request.param, rows, [out], sealed_at='2026-01-02T03:04:05Z')
    manifest = open_snapshot(folder).manifest
    (folder / 'croissant.json').write_text(json.dumps(describe(manifest, 'mit')))
    return folder, manifest, json.loads((folder / 'croissant.json').read_text())


def test_it_has_what_the_format_asks_for(described):
    _, manifest, told = described
    assert told['conformsTo'] == 'http://mlcommons.org/croissant/1.1'
    assert (told['@type'], told['license'], told['datePublished']) == ('sc:Dataset', 'mit', '2026-01-02')
    assert told['identifier'] == f'sha256:{manifest["snapshot_id"]}'
    assert {file['encodingFormat'] for file in told['distribution']} == {'application/x-parquet'}
    assert {'@context', 'name', 'description', 'url', 'creator', 'version', 'distribution', 'recordSet'} <= told.keys()


def test_every_file_is_there_with_its_checksum_and_every_name_is_its_own(described):
    folder, manifest, told = described
    files = {file['contentUrl']: file for file in told['distribution'] if file['@type'] == 'cr:FileObject'}
    assert {name: (file['sha256'], file['contentSize']) for name, file in files.items()} == {
        entry['file']: (entry['sha256'], f'{entry["bytes"]} B') for entry in [*manifest['shards'], *manifest['rejections']]}
    assert all((folder / name).is_file() for name in files)
    fields = [field for records in told['recordSet'] for field in records['field']]
    ids = [thing['@id'] for thing in [*told['distribution'], *told['recordSet'], *fields]]
    assert len(set(ids)) == len(ids)
    named = {field['source']['fileSet']['@id'] for field in fields if 'source' in field}
    assert named == {'files-train', 'files-validation'}


def test_the_formats_own_library_takes_it_and_reads_the_rows(described):
    """Run by hand with mlcroissant 1.1.1, which is not in the lock: no errors, one recommendation (citeAs)."""
    mlcroissant = pytest.importorskip('mlcroissant', reason='mlcroissant is not in requirements.lock; docs/handoff.md says how to run it')
    folder, _, told = described
    dataset = mlcroissant.Dataset(jsonld=folder / 'croissant.json')
    assert not dataset.metadata.ctx.issues.errors
    for split in ('train', 'validation'):
        rows = list(dataset.records(split))
        expected = [row for path in open_snapshot(folder).shards(split) for row in pq.read_table(path).to_pylist()]
        columns = {field['@id']: field['name'] for records in told['recordSet'] if records['@id'] == split for field in records['field']}
        plain = [{columns[name]: value.decode() if isinstance(value, bytes) else value for name, value in row.items()} for row in rows]
        assert plain == [{name: row[name] for name in columns.values()} for row in expected]
