"""Peak memory of the driver of `phantom build --mix-only`, bytes a record: `python -m benchmarks.driver_memory [--small 20000 --large 80000]`.

Records ask about pictures, four to a picture. The step's work is done in another process (--workers 1), so that the driver's own peak is
seen; it is the difference of two sizes that is divided by the records, so the interpreter and its libraries do not count. A second pair of
builds has pictures of eight times the bytes: what that adds is put down to image bytes. Wanted: at most 400 bytes a record, 0 an image byte.
"""

import argparse
import json
import tempfile
from pathlib import Path

import yaml

from benchmarks.synthetic import peak_of, sentence, write_pictures

PER_PICTURE = 4
APART = ['--workers', '1']


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--small', type=int, default=20_000)
    parser.add_argument('--large', type=int, default=80_000)
    args = parser.parse_args()
    (small, _), (large, _) = measured(args.small, 64), measured(args.large, 64)
    (heavy, heavy_bytes), (_, light_bytes) = measured(args.small, 192), measured(args.small, 64)
    per_record = (large - small) / (args.large - args.small)
    print(f'driver peak {small / 1e6:.0f} MB at {args.small} records, {large / 1e6:.0f} MB at {args.large}: {per_record:.0f} bytes a record '
          f'(wanted: at most 400); with {(heavy_bytes - light_bytes) / 1e6:.1f} MB more of images {(heavy - small) / 1e6:+.1f} MB')


def measured(n: int, side_px: int) -> tuple[int, int]:
    """Return the driver's peak RSS in bytes and the bytes of all pictures of a build of `n` records."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        names = write_pictures(root / 'data/s/imgs', n // PER_PICTURE, side_px)
        records = ({'id': str(k), 'image': f'imgs/{names[k // PER_PICTURE]}', 'conversations': [
            {'from': 'human', 'value': f'<image>\nWhat is {sentence(k, 8)}?'}, {'from': 'gpt', 'value': sentence(k * 3, 5)}]} for k in range(n))
        with open(root / 'data/s/s.jsonl', 'w', encoding='utf-8') as handle:
            handle.writelines(json.dumps(record) + '\n' for record in records)
        source = {'format': 'llava', 'annotations': ['s/s.jsonl'], 'images': ['s'], 'licence': 'MIT'}
        (root / 'r.yaml').write_text(yaml.safe_dump({'name': 'memory', 'sources': {'s': source}}))
        command = ['phantom', 'build', str(root / 'r.yaml'), '--out', str(root / 'out'), '--root', str(root / 'data'), '--mix-only', *APART]
        _, peak, _ = peak_of(command)
        return peak, sum(path.stat().st_size for path in (root / 'data/s/imgs').iterdir())


if __name__ == '__main__':
    main()
