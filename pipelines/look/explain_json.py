"""What `phantom explain` prints: lines for people or, for a program, the same facts by name."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.engine.place import work_of
from pipelines.engine.uses import Uses
from pipelines.look.explain import SHOWN, Mix, default_png, explain, explain_in_mix, open_mix
from pipelines.look.explain_triples import Triples
from schemas.json_text import print_json


def explain_in(build: Path, identifier: str, work: Path | None, png: Path | None, *, as_json: bool = False) -> None:
    """Print why a picture or a sample is in the mix of a build or out of it; pictures go to `png` or below the build."""
    work, png = work or work_of(build), png or default_png(build, identifier)
    if as_json:
        print_json(explained(identifier, work, png, build))
    else:
        print('\n'.join(explain(identifier, work, png, build)))


def explained(identifier: str, work: Path, png: Path, build: Path | None = None) -> dict[str, Any]:
    """Return what is known of an id, or an image reference; writes `png` where there is a picture."""
    mix = open_mix(work, build)
    lines = explain_in_mix(mix, identifier, png)
    number = mix.image(identifier)
    sample = mix.sample(identifier) if number is None else None
    triples = Triples(Uses(mix.uses.work, mix.uses.out, 'triples'))
    candidate = triples.candidate(identifier) if number is None and sample is None else None
    of_sample = mix.sample(candidate['sample_id']) if candidate else None
    numbers = [number] if number is not None else mix.numbers(sample) if sample else []
    return {
        'asked': identifier,
        'sample': {**_sample(mix, sample), 'candidates': triples.of_sample(identifier)} if sample else None,
        'candidate': candidate,
        'images': [_image(mix, number) for number in numbers],
        'rejections': [] if sample or numbers or candidate else [
            {name: row[name] for name in ('unit', 'id', 'step', 'reason', 'detail')}
            for row in [*mix.rejected(identifier), *triples.rejected(identifier)]],
        'png': str(png) if numbers or (of_sample and of_sample['image_ids']) else None,
        'lines': lines,
    }


def _sample(mix: Mix, sample: dict) -> dict[str, Any]:
    named = {name: sample[name] for name in ('sample_id', 'source', 'licence')}
    found = {name: json.loads(sample[name] or 'null') for name in ('contamination', 'near')}
    names = ('ask', 'by', 'score', 'reason', 'detail', 'reply_keys')
    rated = [{**{name: row[name] for name in names}, 'scores': json.loads(row['scores'] or '{}')} for row in mix.ratings(sample)]
    agreement = {'contradictions': mix.contradictions(sample), 'near_texts': mix.near_texts(sample)}
    return {**named, 'decision': mix.decision(sample), **found, 'ratings': rated, **agreement}


def _image(mix: Mix, number: int) -> dict[str, Any]:
    """Return facts, star, benchmark hits and samples of an image; of long lists the first SHOWN."""
    star = int(mix.survivor[number])
    others = [int(other) for other in np.flatnonzero(mix.survivor == star) if other != number]
    samples, reshaped = list(mix.using(number)), mix.reshaped(number)
    return {
        **mix.facts.slice(number, 1).to_pylist()[0],
        'survivor': mix.index.id(star),
        'n_near_duplicates': len(others),
        'near_duplicates': [{**_near(mix, number, other), 'reshaped': reshaped.get(other)} for other in others[:SHOWN]],
        'benchmark_hits': [{name: hit[name] for name in ('bench', 'item_id', 'distance')} for hit in mix.hits(number)],
        'n_samples': len(samples),
        'samples': [{'sample_id': sample['sample_id'], 'decision': mix.decision(sample)} for sample in samples[:SHOWN]],
    }


def _near(mix: Mix, number: int, other: int) -> dict[str, Any]:
    narrow, wide = mix.index.apart(number, other)
    return {'image_id': mix.index.id(other), 'ref': mix.facts['ref'][other].as_py(), 'bits_of_64': narrow, 'bits_of_256': wide}
