"""The rows whose answers a cross-fit doubts most, with their pictures, and what a threshold would take away: one page that loads nothing."""

from collections.abc import Sequence
from dataclasses import dataclass

from model.rating.calibrate import Calibration
from model.training.page import POLICY, STYLE, picture_of, plain

OF_TABLES = 'td, th { text-align: right; } caption { text-align: left; margin: .6rem 0; }'


@dataclass(frozen=True, slots=True)
class Doubt:
    """A row that is shown: what was asked, the mix's answer and how likely it is right, and the likeliest other one."""

    sample_id: str
    source: str
    score: float
    question: str
    answer: str
    other: str
    other_p: float
    reply: str  # the model's own words
    pictures: tuple[bytes, ...]


def render(title: str, told: Sequence[str], calibrations: Sequence[Calibration], doubts: Sequence[Doubt]) -> str:
    """The page as HTML; every text of the data is escaped and stands alone."""
    about = ''.join(f'<p>{plain(line)}</p>' for line in told)
    tables = ''.join(map(table_of, calibrations))
    shown = ''.join(map(article_of, doubts))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        f'<meta name="viewport" content="width=device-width"><title>{plain(title)}</title><style>{STYLE}{OF_TABLES}</style></head>'
        f'<body><h1>{plain(title)}</h1>{about}<h2>What a threshold would do</h2>{tables}'
        f'<h2>The {len(doubts)} most doubtful answers</h2><div class="asked">{shown}</div></body></html>\n'
    )


def table_of(found: Calibration) -> str:
    """What each threshold does to the rows of a source."""
    rows = ''.join(
        f'<tr><td>{line.threshold:g}</td><td>{line.flagged:,}</td><td>{line.precision}</td><td>{line.recall}</td></tr>'
        for line in found.lines if line.flagged
    )  # fmt: skip
    chance = '; no better than chance: none of these scores is in ratings.parquet' if found.is_chance else ''
    caption = (
        f'{plain(found.source) or "all sources"}: {found.rows:,} rows, AUC against planted answers {found.auc}, wrong labels {found.wrong}{chance}'
    )
    head = '<tr><th>below</th><th>flagged</th><th>precision</th><th>recall</th></tr>'
    return f'<table><caption>{caption}</caption>{head}{rows}</table>'


def article_of(doubt: Doubt) -> str:
    """One row."""
    cells = (
        ('answer', f'<span class="wrong">{plain(doubt.answer)}</span>, {doubt.score:.2g}'),
        ('likelier' if doubt.other_p > doubt.score else 'or', f'{plain(doubt.other)}, {doubt.other_p:.2g}'),
        ('reply', plain(doubt.reply) or '<i>(nothing)</i>'),
    )
    listed = ''.join(f'<dt>{name}</dt><dd><bdi>{text}</bdi></dd>' for name, text in cells)
    return (
        f'<article>{"".join(map(picture_of, doubt.pictures))}<p><bdi>{plain(doubt.question)}</bdi></p><dl>{listed}</dl>'
        f'<small><bdi>{plain(doubt.sample_id)}</bdi></small></article>'
    )
