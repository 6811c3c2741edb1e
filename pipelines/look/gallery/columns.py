"""The tables of a gallery's index, and the SQL that makes their columns from the rows of a snapshot, kept and rejected."""

HEAD_CHARS = 160  # of a text, in the list of rows
SCAN = 'read_parquet(?, file_row_number = true)'
CREATE = """
CREATE TABLE entries (view VARCHAR, n INTEGER, file INTEGER, row BIGINT, source VARCHAR, split VARCHAR, unit VARCHAR, reason VARCHAR,
    kind VARCHAR, generator VARCHAR, score DOUBLE, chars INTEGER, px INTEGER, copies INTEGER, image VARCHAR, asked VARCHAR, cluster VARCHAR);
CREATE TABLE texts (view VARCHAR, n INTEGER, id VARCHAR, question VARCHAR, chosen VARCHAR, rejected VARCHAR, searched VARCHAR);
CREATE TABLE pictures (id VARCHAR, file INTEGER, row BIGINT, place INTEGER);
CREATE TABLE sizes (id VARCHAR, px INTEGER);
CREATE TABLE samples (id VARCHAR, file INTEGER, row BIGINT);
CREATE TABLE ratings (id VARCHAR, ask VARCHAR, score DOUBLE, rater VARCHAR);
CREATE VIEW typed AS SELECT * FROM entries JOIN texts USING (view, n);
"""
# typed: what a condition that a user types is asked of.
# px: the longer side of the first picture. copies: how many rows, kept and rejected, are of its near-duplicates, itself among them.
FINISH = """
UPDATE entries SET copies = found.n FROM (SELECT cluster, count(*) AS n FROM entries WHERE cluster IS NOT NULL GROUP BY 1) found
    WHERE entries.cluster = found.cluster;
"""
_TEXT = "array_to_string([p.text FOR p IN {} IF p.text IS NOT NULL], ' ')"
_SAID = "array_to_string(flatten([[p.text FOR p IN m.content IF p.text IS NOT NULL] FOR m IN {}]), ' ')"
_KEPT = {
    'triples': {'id': 'triple_id', 'kind': 'kind', 'generator': 'generator', 'score': 'score', 'question': _TEXT.format('prompt[-1].content'),
                'chosen': _TEXT.format('chosen[1].content'), 'rejected': _TEXT.format('rejected[1].content'), 'said': _SAID.format('prompt')},
    'mix': {'id': 'sample_id', 'kind': 'category', 'generator': 'answers', 'score': 'NULL::DOUBLE', 'question': _TEXT.format('messages[-2].content'),
            'chosen': _TEXT.format('messages[-1].content'), 'rejected': 'NULL::VARCHAR', 'said': _SAID.format('messages')},
}  # fmt: skip
_TOLD = f'(SELECT *, try_cast(content AS JSON) AS told FROM {SCAN})'
# As pipelines/mix/selection.py writes the detail of what its star has enough of.
_STAR = "nullif(regexp_extract(detail, '^star of ([0-9a-f]{64})', 1), '')"


def kept_columns(kind: str) -> tuple[str, str, str]:
    """Return the columns of `entries`, those of `texts`, and what they are read from, for kept rows of one kind of snapshot."""
    of = _KEPT[kind]
    return _facts(of, unit='NULL', reason='NULL', image='image_ids[1]', cluster='cluster_ids[1]'), _texts(of), SCAN


def rejected_columns() -> tuple[str, str, str]:
    """Return the same for rejected rows; what they hold is JSON, if it is."""
    told = {name: f"told->>'$.{name}'" for name in ('kind', 'generator', 'score', 'question', 'chosen', 'rejected')}
    turn = "trim(replace(told->>'$.turns[#-{}].text', '<image>', ''), ' ' || chr(10))"  # of a sample, counted from its last
    said = {'question': turn.format(2), 'chosen': turn.format(1)}
    asked = f'coalesce({told["question"]}, {said["question"]})'
    of = {**told, 'id': 'id', 'score': f'try_cast({told["score"]} AS DOUBLE)', 'question': f'coalesce({asked}, content)', 'asked': asked,
          'chosen': f'coalesce({told["chosen"]}, {said["chosen"]})', 'said': "detail || ' ' || content"}
    image = "CASE WHEN unit = 'image' THEN id ELSE coalesce(told->>'$.image_ids[0]', told->>'$.images[0]', told->>'$.image') END"
    return _facts(of, unit='unit', reason='reason', image=image, cluster=_STAR), _texts(of), _TOLD


def _facts(of: dict[str, str], **more: str) -> str:
    question = of.get('asked', of['question'])
    asked = f"CASE WHEN length(trim({question})) > 0 THEN left(md5(lower(trim({question}))), 16) END"
    told = {name: of[name] for name in ('kind', 'generator', 'score')}
    columns = {'source': 'source', **told, 'chars': f'length({of["chosen"]})', 'asked': asked, **more}
    return ', '.join(f'{sql} AS {name}' for name, sql in columns.items())


def _texts(of: dict[str, str]) -> str:
    heads = ', '.join(f'left({of[name]}, {HEAD_CHARS}) AS {name}' for name in ('question', 'chosen', 'rejected'))
    searched = ', '.join(of[name] for name in ('id', 'said', 'chosen', 'rejected'))
    return f"{of['id']} AS id, {heads}, lower(concat_ws(' ', {searched})) AS searched"
