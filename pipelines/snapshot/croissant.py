"""`croissant.json`: the snapshot described in Croissant 1.1 (JSON-LD by MLCommons), from its manifest alone. Not part of the snapshot's id."""

CONTEXT = {
    '@language': 'en', '@vocab': 'https://schema.org/', 'citeAs': 'cr:citeAs', 'column': 'cr:column', 'conformsTo': 'dct:conformsTo',
    'containedIn': 'cr:containedIn', 'cr': 'http://mlcommons.org/croissant/', 'data': {'@id': 'cr:data', '@type': '@json'},
    'dataType': {'@id': 'cr:dataType', '@type': '@vocab'}, 'dct': 'http://purl.org/dc/terms/', 'equivalentProperty': 'cr:equivalentProperty',
    'examples': {'@id': 'cr:examples', '@type': '@json'}, 'extract': 'cr:extract', 'field': 'cr:field', 'fileObject': 'cr:fileObject',
    'fileProperty': 'cr:fileProperty', 'fileSet': 'cr:fileSet', 'format': 'cr:format', 'includes': 'cr:includes', 'isArray': 'cr:isArray',
    'isLiveDataset': 'cr:isLiveDataset', 'jsonPath': 'cr:jsonPath', 'key': 'cr:key', 'md5': 'cr:md5', 'parentField': 'cr:parentField',
    'path': 'cr:path', 'rai': 'http://mlcommons.org/croissant/RAI/', 'recordSet': 'cr:recordSet', 'references': 'cr:references',
    'regex': 'cr:regex', 'repeated': 'cr:repeated', 'replace': 'cr:replace', 'samplingRate': 'cr:samplingRate', 'sc': 'https://schema.org/',
    'separator': 'cr:separator', 'source': 'cr:source', 'subField': 'cr:subField', 'transform': 'cr:transform', 'arrayShape': 'cr:arrayShape',
}  # fmt: skip
CONFORMS_TO = 'http://mlcommons.org/croissant/1.1'
PARQUET = 'application/x-parquet'  # the only name of it that mlcroissant 1.1.1 reads; the Hub writes it, too
TEXT, NUMBER, INTEGER = 'sc:Text', 'sc:Float', 'sc:Integer'
# The flat columns; messages and pictures are nested lists, which a record set names by their column only.
COLUMNS = {
    'mix': {'sample_id': TEXT, 'source': TEXT, 'category': TEXT, 'licence': TEXT, 'revision': TEXT, 'file': TEXT, 'ordinal': INTEGER},
    'triples': {'triple_id': TEXT, 'sample_id': TEXT, 'source': TEXT, 'category': TEXT, 'licence': TEXT, 'kind': TEXT, 'generator': TEXT,
                'judge': TEXT, 'score': NUMBER, 'revision': TEXT, 'file': TEXT, 'ordinal': INTEGER, 'differs_at': INTEGER},
}  # fmt: skip
DESCRIPTIONS = {
    'mix': 'Instruction samples that passed every check of the build; every row left out is in rejections/ with its reason.',
    'triples': 'Preference triples (question, right answer, wrong answer); every candidate left out is in rejections/ with its reason.',
}


def describe(manifest: dict, licence: str) -> dict:
    """Return the JSON-LD of a snapshot with this manifest; `licence` is the strictest of its sources."""
    files = [_file(shard) for shard in [*manifest['shards'], *manifest['rejections']]]
    splits = list(dict.fromkeys(shard['split'] for shard in manifest['shards']))
    sets = [_file_set(split) for split in splits]
    return {
        '@context': CONTEXT, '@type': 'sc:Dataset', 'conformsTo': CONFORMS_TO, 'name': f'{manifest["name"]}-{manifest["kind"]}',
        'description': DESCRIPTIONS[manifest['kind']], 'license': licence, 'version': '1.0.0+' + manifest['snapshot_id'][:12],
        'identifier': f'sha256:{manifest["snapshot_id"]}', 'url': f'urn:sha256:{manifest["snapshot_id"]}',
        'datePublished': manifest['sealed_at'][:10], 'creator': {'@type': 'sc:Organization', 'name': 'phantom-curation'},
        'keywords': ['phantom', 'visual instruction', manifest['kind']], 'isLiveDataset': False,
        'rai:dataCollection': _sources(manifest), 'rai:dataPreprocessingProtocol': DESCRIPTIONS[manifest['kind']],
        'distribution': [*files, *sets], 'recordSet': [_splits(splits), *(_records(manifest['kind'], split) for split in splits)],
    }  # fmt: skip


def _file(shard: dict) -> dict:
    return {'@type': 'cr:FileObject', '@id': shard['file'], 'name': shard['file'], 'contentUrl': shard['file'], 'contentSize': f'{shard["bytes"]} B',
            'encodingFormat': PARQUET, 'sha256': shard['sha256']}  # fmt: skip


def _file_set(split: str) -> dict:
    return {'@type': 'cr:FileSet', '@id': f'files-{split}', 'name': f'files-{split}', 'encodingFormat': PARQUET,
            'includes': f'data/{split}-*.parquet'}  # fmt: skip


def _splits(splits: list[str]) -> dict:
    return {'@type': 'cr:RecordSet', '@id': 'splits', 'name': 'splits', 'dataType': 'cr:Split', 'key': {'@id': 'splits/name'},
            'field': [{'@type': 'cr:Field', '@id': 'splits/name', 'name': 'name', 'dataType': TEXT}],
            'data': [{'splits/name': split} for split in splits]}  # fmt: skip


def _records(kind: str, split: str) -> dict:
    fields = [{'@type': 'cr:Field', '@id': f'{split}/{name}', 'name': name, 'dataType': what,
               'source': {'fileSet': {'@id': f'files-{split}'}, 'extract': {'column': name}}} for name, what in COLUMNS[kind].items()]  # fmt: skip
    key = f'{split}/{"triple_id" if kind == "triples" else "sample_id"}'
    return {'@type': 'cr:RecordSet', '@id': split, 'name': split, 'key': {'@id': key}, 'field': fields}


def _sources(manifest: dict) -> str:
    sources = manifest.get('recipe', {}).get('sources', {})
    return '; '.join(f'{name}: {source["revision"]}, licence {source["licence"]}' for name, source in sources.items()) or 'see README.md'
