"""Why a picture or a sample is in the mix or out of it: its star, the distances, the decision, and the pictures side by side.

Read from the tables of the build's working folder, so it says what the last build there decided.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from PIL import Image, ImageDraw, ImageFont

from pipelines.engine.damage import damage_told
from pipelines.engine.uses import Uses, no_tables, uses_of
from pipelines.look.explain_triples import Triples, told_candidate, told_of_sample, told_reply
from pipelines.mix.index import ImageIndex
from pipelines.sources.images import ImageStore, ImageTooManyBytes, ImageUnavailable, from_note
from schemas.errors import Unreadable, UserError
from schemas.pixels import MOST_PIXELS, BadImage, read_rgb
from schemas.publish import drafted
from schemas.records import Reason

NEEDED = ('samples', 'image_facts', 'index', 'stars', 'pairs', 'features', 'plan')
SHOWN = 12  # members of a star, and samples of a picture, that are listed
TILE_PX, CAPTION_PX, FONT_PX = 256, 64, 12
ID_DIGITS = 8  # of an image id that name it
RULES = {  # what found a sample in a benchmark
    'image': 'a picture of the item is shown',
    'image+question': 'a picture of the item is shown, and most word runs of its question are here',
    'copy': 'a picture of the item is shown in another shape',
    'copy+question': 'a picture of the item is shown in another shape, and most word runs of its question are here',
    'equal question': 'the whole question, word for word and sign for sign (strict form)',
    'text': 'most word runs of the question, and the answer',
    'question': 'most word runs of the question, whose answer is not published',
    'paraphrase': 'all numbers of the question, its answer, and its words or what they mean,',
    'near paraphrase': 'numbers or words of the question, but not surely the same one; no reason to leave it out',
    'near': 'most word runs of the question, but another answer or other signs (loose form); no reason to leave it out',
}


def default_png(build: Path, identifier: str) -> Path:
    """Return where the pictures of an id go unless somebody says otherwise."""
    name = ''.join(char if char.isalnum() or char in '-_.' else '_' for char in identifier)[-80:]
    return build / 'explain' / f'{name}.png'


def explain(identifier: str, work: Path, png: Path, out: Path | None = None) -> list[str]:
    """Return the lines that explain the id of an image (its first digits do), a sample, a triple, a candidate or a reply, or an image reference.

    Writes `png` where there is a picture.

    `out` tells which build of the working folder is meant where there are several.
    """
    return explain_in_mix(open_mix(work, out), identifier, png)


def explain_in_mix(build: 'Mix', identifier: str, png: Path) -> list[str]:
    """Return the same lines of a mix that is open."""
    triples = Triples(Uses(build.uses.work, build.uses.out, 'triples'))
    with damage_told(build.uses), damage_told(triples.uses):
        return _explained(build, triples, identifier, png)


def _explained(build: 'Mix', triples: Triples, identifier: str, png: Path) -> list[str]:
    number = build.image(identifier)
    if number is not None:
        return [*build.about_image(number), *build.draw([number], png)]
    sample = build.sample(identifier)
    if sample is not None:
        return [*build.about_sample(sample), *told_of_sample(triples.of_sample(identifier)), *build.draw(build.numbers(sample), png)]
    if (candidate := triples.candidate(identifier)) is not None:
        of_sample = build.sample(candidate['sample_id'])
        return [*told_candidate(candidate), *(build.draw(build.numbers(of_sample), png) if of_sample else [])]
    rejected = [*build.rejected(identifier), *triples.rejected(identifier)]
    if rejected:
        return [f'{row["unit"]} {row["id"]}: out at step {row["step"]}: {row["reason"]}: {row["detail"]}' for row in rejected]
    if (reply := triples.replies([identifier])) and reply[0]['model']:
        return told_reply(reply[0], triples.using(identifier))
    raise UserError(
        f'{identifier}: expected the id of an image (sha256, at least its first {ID_DIGITS} digits), an image reference, the id of a sample '
        f'(source/file#ordinal/turn), of a triple or candidate (sample/prompt-number.attempt) or of a reply of the build in {build.uses.work}, '
        'found none of that name; ids are in data/ and rejections/ of mix and triples'
    )


@dataclass(frozen=True, slots=True)
class Mix:
    """The tables of a finished mix."""

    uses: Uses
    index: ImageIndex
    facts: pa.Table
    survivor: np.ndarray
    store: ImageStore

    def parts(self, name: str, kind: str = 'part') -> list[Path]:
        """Return the files of the tables of this name, source after source."""
        return [path for table in self.uses.tables(name) for path in table.parts(kind)]

    def image(self, identifier: str) -> int | None:
        """Return the number of the image of this id, start of an id or reference; raises UserError where a start fits several."""
        ids = self.facts['image_id']
        fits = pc.equal(self.facts['ref'], identifier)
        if len(identifier) >= ID_DIGITS and set(identifier) <= set('0123456789abcdef'):
            fits = pc.or_(fits, pc.starts_with(ids, identifier))
        at = np.flatnonzero(fits.to_numpy(zero_copy_only=False))
        if len(at) > 1:
            raise UserError(f'{identifier}: expected the start of one image id, found {len(at)} that begin so; give more digits')
        return int(at[0]) if len(at) else self._copy(identifier)

    def _copy(self, reference: str) -> int | None:
        """Return the image behind a reference to bytes that also lie under the name the index keeps."""
        for path in self.parts('image_facts'):
            found = pq.read_table(path, columns=['image_id'], filters=[('ref', '=', reference)])
            if found.num_rows:
                return self.facts['image_id'].to_pylist().index(found['image_id'][0].as_py())
        return None

    def sample(self, sample_id: str) -> dict | None:
        """Return the features of a sample and its place among the parts."""
        for part, path in enumerate(self.parts('features')):
            ids = pq.read_table(path, columns=['sample_id'])['sample_id']
            row = pc.index(ids, sample_id).as_py()
            if row >= 0:
                return {**pq.read_table(path).slice(row, 1).to_pylist()[0], 'part': part, 'row': row}
        return None

    def numbers(self, sample: dict) -> list[int]:
        """Return the image numbers of a sample, in its order."""
        places = {image_id: at for at, image_id in enumerate(self.facts['image_id'].to_pylist())} if sample['image_ids'] else {}
        return [places[image_id] for image_id in sample['image_ids']]

    def rejected(self, identifier: str) -> list[dict]:
        """Return what the rejections of samples and images say of an id that went no further."""
        paths = [path for name in ('samples', 'image_facts') for path in self.parts(name, 'rejections')]
        return [row for path in paths for row in pq.read_table(path, filters=[('id', '=', identifier)]).to_pylist()]

    def about_sample(self, sample: dict) -> list[str]:
        """Return what was decided on a sample and about each of its pictures."""
        lines = [f'sample {sample["sample_id"]} (source {sample["source"]}, licence {sample["licence"]}): {_say(self.decision(sample))}']
        lines += [told_hit(json.loads(sample[name])) for name in ('contamination', 'near') if sample[name]]
        lines += told_ratings(self.ratings(sample), rated=bool(self.parts('ratings') or self.parts('given_ratings')))
        lines += [told_hit(hit) for hit in self.paraphrases(sample)]
        lines += [line for found in self.contradictions(sample) for line in told_contradiction(found)]
        lines += [f'  nearly the same text as {near["sample_id"]}: {near["jaccard"]:.2f} of their runs of words' for near in self.near_texts(sample)]
        for number in self.numbers(sample):
            lines += self.about_image(number, with_samples=False)
        return lines

    def paraphrases(self, sample: dict) -> list[dict]:
        """Return the items of benchmarks that a sample asks in other words, as evidence."""
        here = [('sample_id', '=', sample['sample_id'])]
        return [json.loads(row['evidence']) for path in self.parts('paraphrases') for row in pq.read_table(path, filters=here).to_pylist()]

    def contradictions(self, sample: dict) -> list[dict]:
        """Return the questions of a sample that others answer in ways that cannot be right as well: {turn, answer, wins, group}."""
        here = [('sample_id', '=', sample['sample_id'])]
        rows = [row for path in self.parts('contradictions') for row in pq.read_table(path, filters=here).to_pylist()]
        return [{**{name: row[name] for name in ('turn', 'answer', 'wins')}, 'group': json.loads(row['told'])} for row in rows]

    def near_texts(self, sample: dict) -> list[dict]:
        """Return the samples of nearly the same text, SHOWN at most: the first of its cluster, or those that are near to it: {sample_id, jaccard}."""
        rows = [row for path in self.parts('text_stars') for row in pq.read_table(path, columns=['sample_id', 'first_id', 'jaccard']).to_pylist()]
        mine = sample['sample_id']
        return [{'sample_id': row['first_id' if row['sample_id'] == mine else 'sample_id'], 'jaccard': row['jaccard']}
                for row in rows if mine in (row['sample_id'], row['first_id'])][:SHOWN]

    def decision(self, sample: dict) -> dict:
        """Return {in, split, shard} or {in, reason, detail}."""
        here = [('part', '=', sample['part']), ('row', '=', sample['row'])]
        plan = pq.read_table(self.parts('plan')[0], filters=here).to_pylist()
        if plan:
            return {'in': True, 'split': plan[0]['split'], 'shard': plan[0]['shard']}
        out = pq.read_table(self.parts('plan', 'out')[0], filters=here).to_pylist()[0]
        return {'in': False, 'reason': out['reason'], 'detail': out['detail']}

    def ratings(self, sample: dict) -> list[dict]:
        """Return what was rated of a sample: rows of RATED."""
        here = [('part', '=', sample['part']), ('row', '=', sample['row'])]
        return [row for name in ('ratings', 'given_ratings') for path in self.parts(name) for row in pq.read_table(path, filters=here).to_pylist()]

    def about_image(self, number: int, *, with_samples: bool = True) -> list[str]:
        """Return facts, star, near pictures, benchmark hits and, if wanted, the samples of an image."""
        fact = self.facts.slice(number, 1).to_pylist()[0]
        star = int(self.survivor[number])
        members = np.flatnonzero(self.survivor == star)
        lines = [f'image {fact["image_id"]} ({fact["ref"]}): {fact["width"]} x {fact["height"]} px {fact["format"]}, {fact["kind"]}']
        if len(members) == 1:
            lines.append('  star: none, it has no near-duplicate')
        else:
            role = 'its survivor' if star == number else f'a member, survivor {self.index.id(star)}'
            lines.append(f'  star: of {len(members)}, this is {role} (largest picture first, then lowest id)')
        reshaped = self.reshaped(number)
        for other in [int(m) for m in members if m != number][:SHOWN]:
            how = f', in another shape ({reshaped[other]})' if other in reshaped else ''
            lines.append(f'    {self.index.id(other)}: {self._apart(number, other)}{how}, {self._facts(other, "ref")}')
        lines += self._more(len(members) - 1)
        lines += self._near_misses(number)
        for hit in self.hits(number):
            lines.append(f'  shows a picture of benchmark {hit["bench"]}, item {hit["item_id"]}, distance {hit["distance"]}')
        return lines + (self._samples(number) if with_samples else [])

    def _near_misses(self, number: int) -> Iterator[str]:
        """Yield the confirmed near pictures that belong to another star: over the recipe's threshold, or nearer to another survivor."""
        shown = 0
        for path in self.parts('pairs'):
            pairs = pq.read_table(path, columns=['i', 'j'])
            i, j = pairs['i'].to_numpy(), pairs['j'].to_numpy()
            for other in np.concatenate([j[i == number], i[j == number]]).tolist():
                if self.survivor[other] != self.survivor[number] and shown < SHOWN:
                    shown += 1
                    why = 'over the threshold, or nearer to that one'
                    yield f'  near, but of another star ({why}): {self.index.id(other)}: {self._apart(number, other)}'

    def reshaped(self, number: int) -> dict[int, str]:
        """Return which pictures show an image in another shape, and how the larger one lies in the smaller; {} where nobody looked."""
        rows = [row for path in self.parts('reshaped_pairs') for row in pq.read_table(path).to_pylist() if number in (row['i'], row['j'])]
        return {row['i'] + row['j'] - number: row['how'] for row in rows}

    def hits(self, number: int) -> list[dict]:
        """Return the pictures of benchmarks that an image shows: bench, item_id, distance."""
        paths = self.parts('bench_hits')
        return [row for path in paths for row in pq.read_table(path, filters=[('number', '=', number)]).to_pylist()]

    def _samples(self, number: int) -> list[str]:
        found = list(self.using(number))
        shown = [f'  in sample {sample["sample_id"]}: {_say(self.decision(sample))}' for sample in found[:SHOWN]]
        return [*shown, *self._more(len(found))]

    def using(self, number: int) -> Iterator[dict]:
        """Yield the samples that show an image: id and place."""
        image_id = self.index.id(number)
        for part, path in enumerate(self.parts('features')):
            table = pq.read_table(path, columns=['sample_id', 'image_ids'])
            shows = pc.equal(pc.list_flatten(table['image_ids']), image_id).to_numpy(zero_copy_only=False)
            rows = pc.list_parent_indices(table['image_ids']).to_numpy()[shows]
            for row in np.unique(rows).tolist():
                yield {'sample_id': table['sample_id'][row].as_py(), 'part': part, 'row': row}

    def _more(self, n: int) -> list[str]:
        return [f'    ... and {n - SHOWN} more'] if n > SHOWN else []

    def _facts(self, number: int, name: str) -> str:
        return self.facts[name][number].as_py()

    def _apart(self, a: int, b: int) -> str:
        narrow, wide = self.index.apart(a, b)
        return f'distance {narrow} of 64, {wide} of 256 bits'

    def draw(self, numbers: list[int], png: Path) -> list[str]:
        """Write the stars of these images side by side, survivor first, a row a star; return the line that says where."""
        rows = []
        for number in dict.fromkeys(numbers):
            star = int(self.survivor[number])
            others = [int(m) for m in np.flatnonzero(self.survivor == star) if m not in (star, number)]
            rows.append([star, *([number] if number != star else []), *others][:SHOWN])
        if not rows:
            return []
        sheet = Image.new('RGB', (TILE_PX * max(map(len, rows)), (TILE_PX + CAPTION_PX) * len(rows)), 'white')
        for y, row in enumerate(rows):
            for x, number in enumerate(row):
                self._tile(sheet, (x * TILE_PX, y * (TILE_PX + CAPTION_PX)), number, asked=number in numbers)
        png.parent.mkdir(parents=True, exist_ok=True)
        with drafted(png) as draft:
            sheet.save(draft, 'PNG')
        return [f'pictures side by side, survivor first: {png}']

    def _tile(self, sheet: Image.Image, at: tuple[int, int], number: int, *, asked: bool) -> None:
        picture = self._open(number)
        pen = ImageDraw.Draw(sheet)
        if picture is None:
            pen.text((at[0] + 8, at[1] + 8), 'its file is not there any more', fill='black')
        else:
            picture.thumbnail((TILE_PX - 8, TILE_PX - 8))
            sheet.paste(picture, (at[0] + 4, at[1] + 4))
        star = int(self.survivor[number])
        first = next(iter(self.using(number)), {'sample_id': 'in no sample'})['sample_id']
        role = 'survivor' if number == star else self._apart(star, number).removeprefix('distance ')
        lines = [
            f'{"> " if asked else ""}{self.index.id(number)[:12]} {role}',
            *(first[start : start + 40] for start in range(0, min(len(first), 120), 40)),
        ]
        pen.text((at[0] + 4, at[1] + TILE_PX), '\n'.join(lines), fill='black', font=ImageFont.load_default(FONT_PX), spacing=2)

    def _open(self, number: int) -> Image.Image | None:
        try:
            return read_rgb(self.store.read(self._facts(number, 'ref')), max_pixels=MOST_PIXELS)
        except (ImageUnavailable, ImageTooManyBytes, Unreadable, OSError, BadImage):
            return None


def told_ratings(ratings: list[dict], *, rated: bool) -> list[str]:
    """Return how a sample was rated, by whom and from which replies; `rated`: whether any sample was."""
    lines = []
    for row in ratings:
        said = 'no rating' if row['score'] is None else f'{row["score"]:.4g}'
        why = ' '.join(filter(None, (row['reason'], row['detail'], '' if row['scores'] in ('', '{}') else row['scores'])))
        replies = f'; replies {", ".join(key[:16] for key in row["reply_keys"][:SHOWN])}' if row['reply_keys'] else ''
        lines.append(f'  {row["ask"]}: {said} by {row["by"]}{f" ({why})" if why else ""}{replies}')
    return lines or (['  not rated: none of those that rate.max_samples has room for, out before, or not in the files of ratings'] if rated else [])


def told_hit(hit: dict) -> str:
    """Return how a sample repeats an item of a benchmark, in words."""
    stands = 'is near' if hit['evidence'].startswith('near') else 'stands in'
    item = f'{stands} benchmark {hit["bench"]}, item {hit["item_id"]}, by {hit["evidence"]}: {RULES[hit["evidence"]]}'
    where = '' if hit['turn'] is None else f' in turn {hit["turn"]}'
    if 'question_overlap' not in hit:
        return f'  {item}{where}'
    picture = hit.get('copy') or f'distance {hit["image_distance"]}'
    apart = f'picture {picture}, question overlap {hit["question_overlap"]}, answer overlap {hit["answer_overlap"]}'
    return f'  {item}{where} ({apart})'


def told_contradiction(found: dict) -> Iterator[str]:
    """Yield the lines that show a question with the answers to it that cannot all be right, side by side: how many say so, what, and who."""
    group = found['group']
    stands = 'most votes are for its answer' if found['wins'] else 'its answer has no majority'
    yield f'  contradicted in turn {found["turn"]}: it answers {found["answer"]!r} to {group["question"]!r}; {stands}'
    width = max(len(repr(one['answer'])) for one in group['answers'])
    for one in group['answers']:
        by = ', '.join(f'{source} {n}' for source, n in one['by'].items())
        yield f'    {one["answer"]!r:{width}}  {one["votes"]} vote(s): {by}; first {one["first"]}'
    if group['more']:
        yield f'    ... and {group["more"]} more answers'


def _say(decision: dict) -> str:
    if decision['in']:
        return f'in: split {decision["split"]}, output shard {decision["shard"]}'
    return f'out: {decision["reason"]}: {_in_words(decision)}'


def _in_words(decision: dict) -> str:
    """Return what a reason saw, in words; what is stored as JSON is for programs."""
    match decision['reason']:
        case Reason.CONTRADICTED_ANSWER:
            group = json.loads(decision['detail'])
            answers = ' against '.join(f'{one["answer"]!r} ({one["votes"]})' for one in group['answers'])
            return f'{group["question"]!r} is answered by {answers}' + (f' and {group["more"]} more' if group['more'] else '')
        case Reason.CONTAMINATED:
            return told_hit(json.loads(decision['detail'])).strip()
    return decision['detail']


def open_mix(work: Path, out: Path | None = None) -> Mix:
    """Return the finished mix of a build (`out`, or the only one) whose tables lie in a working folder; raises UserError where they do not."""
    uses = uses_of(work, out, 'mix')
    absent = [name for name in NEEDED if not uses.tables(name) or not all(table.done() for table in uses.tables(name))]
    if absent:
        raise no_tables(work, uses.out, f'the tables of a finished mix, found no {", ".join(absent)}')
    (index,), (stars,) = uses.tables('index'), uses.tables('stars')
    facts = index.read(columns=['ref', 'image_id', 'width', 'height', 'format', 'kind'])
    survivor = np.load(stars.path / 'survivor.npy', mmap_mode='r')
    return Mix(uses, ImageIndex(index.path), facts, survivor, from_note(uses.about['store'], work))
