"""What moves through a build: chunks, samples, rejections, their closed list of reasons, and the Arrow schema of every table."""

import enum
import json
import math
from dataclasses import dataclass

import pyarrow as pa


class Unit(enum.StrEnum):
    """What a rejection counts; for each unit and source, kept + rejected = in."""

    RECORD = 'record'
    SAMPLE = 'sample'
    IMAGE = 'image'
    CANDIDATE = 'candidate'


class Reason(enum.StrEnum):
    """Every reason to leave something out. Closed: a new reason is a new member, never free text."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[str]) -> str:
        """Return the member's own name: tables show the word the code uses."""
        return name

    # record: one row of a source
    RECORD_MALFORMED = enum.auto()
    RECORD_TOO_LARGE = enum.auto()
    RECORD_NOT_SELECTED = enum.auto()
    ROLES_NOT_ALTERNATING = enum.auto()
    IMAGE_COUNT_MISMATCH = enum.auto()
    IMAGE_REFERENCE_UNSAFE = enum.auto()
    # sample: one instruction row
    TURN_NOT_SELECTED = enum.auto()
    EMPTY_QUESTION = enum.auto()
    EMPTY_ANSWER = enum.auto()
    ANSWER_TOO_LONG = enum.auto()
    BOILERPLATE_ANSWER = enum.auto()
    REPETITIVE_ANSWER = enum.auto()
    WRONG_LANGUAGE = enum.auto()
    INVISIBLE_TEXT = enum.auto()
    LICENCE_NOT_ALLOWED = enum.auto()
    BAD_IMAGE = enum.auto()
    DUPLICATE_SAMPLE = enum.auto()
    NEAR_DUPLICATE_CAP = enum.auto()
    CONTAMINATED = enum.auto()
    OVER_QUOTA = enum.auto()
    # image: one distinct image reference
    IMAGE_MISSING = enum.auto()
    IMAGE_UNDECODABLE = enum.auto()
    IMAGE_TRUNCATED = enum.auto()
    IMAGE_TOO_LARGE = enum.auto()
    IMAGE_TOO_SMALL = enum.auto()
    IMAGE_ASPECT = enum.auto()
    IMAGE_ANIMATED = enum.auto()
    IMAGE_BLANK = enum.auto()
    IMAGE_PLACEHOLDER = enum.auto()
    IMAGE_FORMAT = enum.auto()
    # candidate: one proposed rejected answer
    NO_NEGATIVE = enum.auto()
    UNPARSABLE_REPLY = enum.auto()
    REPLY_TOO_LONG = enum.auto()  # of older snapshots: a cut reply is CUT_REPLY, a request too long for the model SERVER_FAILED
    REFUSED_REPLY = enum.auto()
    EQUAL_ANSWER = enum.auto()
    EQUAL_NUMBER = enum.auto()
    SAME_OPTION = enum.auto()
    CONTAINED_ANSWER = enum.auto()
    LENGTH_RATIO = enum.auto()
    NOT_WRONG = enum.auto()
    CANNOT_TELL = enum.auto()  # nothing to compare by program, and no model to ask
    DIFFERS_LATE = enum.auto()  # the answers are the same for longer than a trainer may read
    MASS_ANSWER = enum.auto()  # one text for too many questions of its source
    LOW_MARGIN = enum.auto()
    ORDER_DISAGREEMENT = enum.auto()
    JUDGES_DISAGREE = enum.auto()
    UNPARSABLE_VERDICT = enum.auto()
    DUPLICATE_CANDIDATE = enum.auto()
    GIVEN_UP = enum.auto()
    SURPLUS = enum.auto()
    # record again: tables keep a reason as its place in this list, so later ones stand at its end
    VIDEO_OR_AUDIO = enum.auto()
    TOOL_USE = enum.auto()
    LABELLED_WRONG = enum.auto()
    IMAGE_REFERENCE_NULL = enum.auto()
    # candidate again
    CUT_REPLY = enum.auto()  # it ended before it was whole, whatever the server calls that
    SERVER_FAILED = enum.auto()  # the call failed for good: HTTP status and the server's words are the detail
    # image again
    IMAGE_UNREADABLE = enum.auto()  # the disk kept failing, and --give-up was said
    IMAGE_TOO_COSTLY = enum.auto()  # more work to decode than a picture of its size can need
    # sample again: rated below a threshold of `rate.drop`, for each question of our own
    WRONG_ANSWER = enum.auto()
    NEEDS_NO_PICTURE = enum.auto()
    OFF_QUESTION = enum.auto()
    ILL_FORMED = enum.auto()
    LOW_RATING = enum.auto()  # of a question that the recipe brings, or a file of ratings
    # sample again
    CONTRADICTED_ANSWER = enum.auto()  # another sample answers the same question about the same picture in a way that cannot be right as well
    NEAR_DUPLICATE_TEXT = enum.auto()  # question and answer nearly word for word those of others, about the same pictures or none
    EXCLUDED = enum.auto()  # sample or candidate: its id stands in a list of `exclude`; the detail is its tags


@dataclass(frozen=True, slots=True)
class Rejection:
    """One thing left out: what it was, where and why. `content` is JSON, enough to look at it again without its source."""

    unit: Unit
    id: str
    source: str
    step: str
    reason: Reason
    detail: str
    content: str = ''


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation; `<image>` in `text` marks where an image stands."""

    role: str  # 'user' | 'assistant', and perhaps 'system' in front
    text: str


TURNS = pa.list_(pa.struct([('role', pa.string()), ('text', pa.string())]))
PARTS = pa.list_(pa.struct([('type', pa.string()), ('text', pa.string())]))
MESSAGES = pa.list_(pa.struct([('role', pa.string()), ('content', PARTS)]))
IMAGES = pa.list_(pa.struct([('bytes', pa.binary()), ('path', pa.string())]))
STRINGS = pa.list_(pa.string())

REJECTIONS = pa.schema([(name, pa.string()) for name in ('unit', 'id', 'source', 'step', 'reason', 'detail', 'content')])

# sample_id: source/file#ordinal/turn. images: references, not ids: they are opened by a later step.
SAMPLES = pa.schema([
    ('sample_id', pa.string()), ('source', pa.string()), ('category', pa.string()), ('licence', pa.string()),
    ('file', pa.string()), ('ordinal', pa.int64()), ('turns', TURNS), ('images', STRINGS),
])

IMAGE_FACTS = pa.schema([
    ('ref', pa.string()), ('source', pa.string()), ('image_id', pa.string()), ('n_bytes', pa.int64()),
    ('width', pa.int32()), ('height', pa.int32()), ('format', pa.string()), ('mode', pa.string()),
    ('orientation', pa.int32()), ('kind', pa.string()), ('phash64', pa.uint64()), ('phash256', pa.binary(32)),
    ('steady64', pa.uint64()), ('steady256', pa.binary(32)), ('thumb', pa.binary(192)),
])

STARS = pa.schema([
    ('image_id', pa.string()), ('survivor_id', pa.string()), ('distance', pa.int32()),
])

RATINGS = pa.schema([('sample_id', pa.string()), ('ask', pa.string()), ('score', pa.float64()), ('by', pa.string())])
# What a file of ratings may have besides: an answer that the rater holds for likelier than the one it rated (null: none), and its probability.
PROPOSALS = pa.schema([('proposed', pa.string()), ('proposed_p', pa.float64())])

BENCH_ITEMS = pa.schema([
    ('bench', pa.string()), ('item_id', pa.string()), ('question', pa.string()), ('options', STRINGS),
    ('answer', pa.string()), ('images', IMAGES), ('meta', pa.string()),
])

MIX_ROWS = pa.schema([
    ('images', IMAGES), ('messages', MESSAGES), ('sample_id', pa.string()), ('content_sha', pa.string()),
    ('source', pa.string()), ('category', pa.string()), ('licence', pa.string()), ('revision', pa.string()),
    ('file', pa.string()), ('ordinal', pa.int64()), ('image_ids', STRINGS), ('cluster_ids', STRINGS),
    ('contamination', pa.string()), ('answers', pa.string()), ('n_bytes', pa.int64()),
])

CANDIDATES = pa.schema([
    ('candidate_id', pa.string()), ('sample_id', pa.string()), ('source', pa.string()), ('split', pa.string()),
    ('file', pa.int32()), ('row', pa.int64()), ('n_bytes', pa.int64()), ('answers', pa.string()),
    ('image_ids', STRINGS), ('generator', pa.string()), ('kind', pa.string()), ('question', pa.string()), ('chosen', pa.string()),
    ('rejected', pa.string()), ('reply_key', pa.string()), ('differs_at', pa.int32()),
])

VERDICTS = pa.schema([
    ('candidate_id', pa.string()), ('judge', pa.string()), ('score', pa.float64()), ('scores', pa.string()),
    ('reason', pa.string()), ('detail', pa.string()), ('reply_keys', STRINGS),
])

# differs_at: words and signs that chosen and rejected have in common before they first differ.
TRIPLE_ROWS = pa.schema([
    ('images', IMAGES), ('prompt', MESSAGES), ('chosen', MESSAGES), ('rejected', MESSAGES),
    ('triple_id', pa.string()), ('sample_id', pa.string()), ('source', pa.string()), ('category', pa.string()),
    ('licence', pa.string()), ('kind', pa.string()), ('generator', pa.string()), ('judge', pa.string()),
    ('score', pa.float64()), ('scores', pa.string()), ('image_ids', STRINGS), ('cluster_ids', STRINGS),
    ('contamination', pa.string()), ('revision', pa.string()), ('file', pa.string()), ('ordinal', pa.int64()),
    ('reply_keys', STRINGS), ('differs_at', pa.int32()),
])
LATER_COLUMNS = frozenset({'differs_at'})  # that snapshots sealed before they were invented do not have


def rows_table(rows: list[dict], schema: pa.Schema) -> pa.Table:
    """Return a table of exactly `schema`; a row with another set of keys is an error of ours."""
    for row in rows:
        assert row.keys() == set(schema.names), f'row has {sorted(row)}, schema has {sorted(schema.names)}'
    return pa.Table.from_pylist(rows, schema=schema)


CONTENT_CHARS = 20_000  # what a rejection shows of a row at most


def as_content(value: dict) -> str:
    """Return a rejection's `content`: canonical JSON of `value`, bytes as their number, long rows cut.

    Half a surrogate pair, which no file can hold, is written out as `\\ud83d`; a number that JSON does not know (NaN) as null.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=_not_json, allow_nan=False)
    except (ValueError, TypeError):  # TypeError: keys of several types
        text = json.dumps(_known_to_json(value), ensure_ascii=False, sort_keys=True)
    text = text.encode('utf-8', 'backslashreplace').decode()
    return text if len(text) <= CONTENT_CHARS else json.dumps({'cut': text[:CONTENT_CHARS]}, ensure_ascii=False)


def _known_to_json(value: object) -> object:
    if isinstance(value, dict):
        return {str(key): _known_to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_known_to_json(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else _not_json(value)


def _not_json(value: object) -> str:
    return f'{len(value)} bytes' if isinstance(value, bytes) else str(value)
