"""WebDataset: tar shards, one key per row: `KEY.0.png`, `KEY.1.jpg`, ... in the order of the image parts, then `KEY.json` with everything else."""

import io
import json
import tarfile
from pathlib import Path

from pipelines.snapshot.exports.parts import Export
from pipelines.snapshot.rows import extension_of

SHARD_ROWS = 10_000
SHARD_BYTES = 500_000_000


def write(job: Export) -> str:
    """Write the shards of each split; return how to load them."""
    for split in job.splits():
        shards = _Shards(job.folder, split)
        try:
            for number, row in enumerate(job.rows(split)):
                key = f'{number:09d}'
                names = [f'{i}.{extension_of(image["bytes"])}' for i, image in enumerate(row['images'])]
                about = {**{name: value for name, value in row.items() if name != 'images'}, 'images': names}
                files = [(f'{key}.{name}', image['bytes']) for name, image in zip(names, row['images'], strict=True)]
                shards.add([*files, (f'{key}.json', json.dumps(about, ensure_ascii=False).encode())])
        finally:
            shards.close()
        job.counts[f'shards/{split}'] = shards.number
    return ("```python\nimport webdataset\nrows = webdataset.WebDataset('path/to/this/folder/train-000000.tar', shardshuffle=False)\n```\n\n"
            "Each row has `json` (all columns; `images` lists the row's picture names in order) and its pictures under those names, original bytes.")


class _Shards:
    """Tar files of one split, begun anew when one is full."""

    def __init__(self, folder: Path, split: str):
        self._folder, self._split = folder, split
        self._tar: tarfile.TarFile | None = None
        self.number = self._rows = self._bytes = 0

    def add(self, files: list[tuple[str, bytes]]) -> None:
        """Append one row; its files stay together."""
        if self._tar is None or self._rows == SHARD_ROWS or self._bytes > SHARD_BYTES:
            self.close()
            self._tar = tarfile.open(self._folder / f'{self._split}-{self.number:06d}.tar', 'w', format=tarfile.USTAR_FORMAT)  # noqa: SIM115
            self.number, self._rows, self._bytes = self.number + 1, 0, 0
        for name, data in files:
            member = tarfile.TarInfo(name)  # mtime 0, owner 0: equal rows make equal bytes
            member.size = len(data)
            self._tar.addfile(member, io.BytesIO(data))
            self._bytes += len(data)
        self._rows += 1

    def close(self) -> None:
        """End the shard at hand."""
        if self._tar is not None:
            self._tar.close()
            self._tar = None
