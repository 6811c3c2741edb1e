"""Labels of a source that are known to be wrong, with the answer that is right in their place: rejected and chosen of a triple.

A sealed mix tells them in two ways. Its ratings: an answer that all who rated it find (nearly) impossible, and where they propose the same other
one and are sure of it. Its rejections, where `contradictions: majority` decided: an answer that fewer gave than another, which stays in the mix.
A sample of which both say something is left alone, since they speak against each other.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from curation.answers.wording import said
from pipelines.engine.tables import Table
from pipelines.mix.contradictions import SHOWN_CHARS
from schemas.disk import readable
from schemas.errors import UserError
from schemas.publish import publish_json
from schemas.rating import CORRECT, RATINGS_FILE
from schemas.records import PROPOSALS, RATINGS, Reason

FILE = 'wrong_labels.json'  # in the table of picks


@dataclass(frozen=True, slots=True)
class WrongLabel:
    """What is known of a sample's question: the right answer, and wrong ones that sources gave; none: the sample's own answer is the wrong one."""

    right: str
    wrong: tuple[str, ...] = ()
    by: str = ''  # who proposed the right one; '' for a majority


@dataclass(frozen=True, slots=True)
class MixNote:
    """A file of a mix beside its rows: ratings or rejections."""

    file: str
    sha256: str


def notes_of(manifest: dict) -> tuple[MixNote, ...]:
    """Return the files of a mix that tell wrong labels: its ratings, and its rejections where a majority decided."""
    ratings = [extra for extra in manifest.get('extras', ()) if extra['file'] == RATINGS_FILE]
    rejections = manifest['rejections'] if manifest['recipe'].get('contradictions') == 'majority' else []
    return tuple(MixNote(entry['file'], entry['sha256']) for entry in (*ratings, *rejections))


def read_wrong_labels(folder: Path, notes: Iterable[MixNote], *, below: float, sure: float) -> dict[str, WrongLabel]:
    """Return the wrong labels by the sample that they are about; raises UserError where no file can tell any."""
    rated: dict[str, WrongLabel] = {}
    outvoted: dict[str, WrongLabel] = {}
    low: set[str] = set()
    proposes = voted = False
    for note in notes:
        path = folder / note.file
        with readable(path):
            if note.file == RATINGS_FILE:
                proposes = set(PROPOSALS.names) <= set(pq.read_schema(path).names)
                low, rated = _rated(path, below, sure) if proposes else (low, rated)
            else:
                voted, outvoted = True, outvoted | _outvoted(path)
    if not (proposes or voted):
        raise UserError(f'{folder}: expected ratings that propose answers (columns {", ".join(PROPOSALS.names)}), or groups that a majority decided, '
                        "for 'wrong_labels', found neither; rate the mix by `phantom rate --self` and name its ratings.parquet in rate.from")
    return {**{name: one for name, one in rated.items() if name not in outvoted}, **{name: one for name, one in outvoted.items() if name not in low}}


def _rated(path: Path, below: float, sure: float) -> tuple[set[str], dict[str, WrongLabel]]:
    """Return the samples that all who rated them find wrong, and of those the ones with a surely right answer in its place."""
    table = pq.read_table(path, columns=[*RATINGS.names, *PROPOSALS.names], filters=[('ask', '=', CORRECT)])
    opinions: dict[str, list[dict]] = {}
    for row in table.filter(pc.is_valid(table['score'])).to_pylist():
        opinions.setdefault(row['sample_id'], []).append(row)
    low = {name: some for name, some in opinions.items() if all(row['score'] < below for row in some)}
    found = {}
    for name, some in low.items():
        surely = [row['proposed'] for row in some if (row['proposed'] or '').strip() and (row['proposed_p'] or 0) >= sure]
        if len(surely) == len(some) and len(set(map(said, surely))) == 1:
            found[name] = WrongLabel(surely[0], by=', '.join(sorted(row['by'] for row in some)))
    return set(low), found


def _outvoted(path: Path) -> dict[str, WrongLabel]:
    """Return the answers that a majority was against, by the first sample of that majority."""
    rows = pq.read_table(path, columns=['detail'], filters=[('reason', '=', str(Reason.CONTRADICTED_ANSWER))])
    found = {}
    for text in sorted(set(rows['detail'].to_pylist())):
        group = json.loads(text)
        first, *others = group['answers']
        if not group['more'] and 2 * first['votes'] > sum(one['votes'] for one in group['answers']):
            whole = tuple(one['answer'] for one in others if len(one['answer']) <= SHOWN_CHARS)  # a longer one is not there as it was
            if whole:
                found[first['first']] = WrongLabel(first['answer'], whole)
    return found


def write_wrong_labels(folder: Path, by_number: dict[int, dict[str, WrongLabel]]) -> None:
    """Write what the picks found: of each generator, by number, the wrong labels of its samples."""
    publish_json(folder / FILE, {str(number): {name: asdict(one) for name, one in labels.items()} for number, labels in by_number.items()})


def stored_wrong_labels(picks: Table) -> dict[int, dict[str, WrongLabel]]:
    """Return what `write_wrong_labels` wrote beside some picks; nothing where it wrote nothing."""
    path = picks.path / FILE
    told = json.loads(path.read_text('utf-8')) if path.is_file() else {}
    return {int(number): {name: WrongLabel(one['right'], tuple(one['wrong']), one['by']) for name, one in labels.items()}
            for number, labels in told.items()}


def proposed(label: WrongLabel | None, answer: str) -> tuple:
    """Return ((rejected, kind, chosen), ...) of a sample with this answer, or (reason, detail)."""
    if label is None:
        return Reason.NO_NEGATIVE, 'no wrong label is known of it'
    if not label.wrong:
        return ((answer, 'incorrect', label.right),)
    if said(label.right) != said(answer):
        return Reason.NO_NEGATIVE, f'the answer that a majority gave, {label.right[:120]!r}, is not that to its last question'
    return tuple((wrong, 'incorrect', answer) for wrong in label.wrong)


def about_wrong_labels(picks: Table) -> dict[str, dict]:
    """Return what a manifest says of the wrong labels that were known: samples by what told them, and who proposed the right answers."""
    labels = [label for some in stored_wrong_labels(picks).values() for label in some.values()]
    if not labels:
        return {}
    outvoted = sum(bool(label.wrong) for label in labels)
    return {'wrong_labels': {'rated': len(labels) - outvoted, 'outvoted': outvoted, 'proposed_by': sorted({label.by for label in labels} - {''})}}


def markdown_wrong_labels(about: dict[str, dict]) -> list[str]:
    """Return the section of a card on them; none where none were known."""
    if not (told := about.get('wrong_labels')):
        return []
    by = f'; the right answers in their place are proposed by {", ".join(told["proposed_by"])}' if told['proposed_by'] else ''
    return [f'### Wrong labels of the sources\n\nRejected answers of `wrong_labels` are labels that a source really had: of {told["rated"]:,} '
            f'sample(s) whose label was rated low{by}; beside {told["outvoted"]:,} sample(s) whose answer more than half gave. Where a rater '
            'proposed the chosen answer, the sample in the mix has the rejected one.']
