"""Cut pictures that are left out, good ones that are kept: `python -m benchmarks.cut_pictures [--pictures DIR]`.

Good: photos, charts, pages whose lower half is white, black or grey, pictures between such bars, a smooth sky, all drawn (and those of a folder of
yours), each in every form of tests/cut_pictures.py. Cut: each of them with 1 to 99 % of its data, and an end mark, sizes and checksums set right.
Prints for each form how many of the cut ones are left out by the share that is missing, why, and every good one that is not kept.
"""

import argparse
import collections
import io
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw

from curation.pictures.images import ImageFacts, ImageFault, ImageLimits, inspect_image
from tests.curation.drawn import chart, photo
from tests.cut_pictures import cut, in_forms

KEPT = (0.01, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)  # shares of the data


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--pictures', type=Path, help='a folder of more good pictures')
    given = parser.parse_args().pictures
    good, left_out = collections.Counter[str](), collections.defaultdict[str, collections.Counter[float]](collections.Counter)
    tried, reasons, false = collections.Counter[str](), collections.Counter[str](), []
    for name, image in _good(given):
        for form, data in in_forms(image).items():
            found = inspect_image(data, ImageLimits())
            good[form] += 1
            if isinstance(found, ImageFault):
                false.append(f'{name} as {form}: {found.reason} {found.detail}')
            tried[form] += 1
            for share in KEPT:
                found = inspect_image(cut(form, data, share), ImageLimits())
                left_out[form][share] += not isinstance(found, ImageFacts)
                reasons[f'{form.partition(",")[0]}: {found.reason}' if isinstance(found, ImageFault) else f'{form}: kept'] += 1
    print(f'{"form":30}{"good":>6}' + ''.join(f'{round(100 - 100 * share):>6}%' for share in KEPT) + '   of the data missing: cut pictures left out')
    for form, n in good.items():
        print(f'{form:30}{n:>6}' + ''.join(f'{left_out[form][share] / tried[form]:>7.2f}' for share in KEPT))
    print(*(f'{reason} {n}' for reason, n in sorted(reasons.items())), sep='\n')
    print(f'good ones that are not kept: {len(false)} of {sum(good.values())}', *false, sep='\n')


def _good(folder: Path | None) -> Iterator[tuple[str, Image.Image]]:
    for seed in range(6):
        yield f'photo {seed}', photo(seed, (320 + 37 * seed, 240 + 23 * seed))
        yield f'chart {seed}', chart((20 + 10 * seed, 90, 45, 70, 30))
    whole = photo(7, (400, 300))
    for name, colour in (('black', 'black'), ('white', 'white'), ('grey', (128, 128, 128))):
        bars = Image.new('RGB', (400, 420), colour)
        bars.paste(whole, (0, 60))
        yield f'{name} bars', bars
        page = Image.new('RGB', (500, 700), colour)
        ImageDraw.Draw(page).multiline_text((40, 40), 'Text that ends\nin the upper third\nof its page.\n' * 3, fill=(10, 90, 200), font_size=22)
        yield f'{name} page', page
    sky = Image.linear_gradient('L').resize((480, 360))
    yield 'sky', Image.merge('RGB', [sky, sky, Image.new('L', sky.size, 230)])
    for path in sorted(folder.iterdir()) if folder else ():
        with Image.open(io.BytesIO(path.read_bytes())) as image:
            yield path.name, image.convert('RGB')


if __name__ == '__main__':
    main()
