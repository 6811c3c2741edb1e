"""Folders of this machine, or mounted on it. A build maps files, locks and renames them and links them, which no object store can."""

import re

_URL = re.compile(r'([A-Za-z][A-Za-z0-9+.-]+):/')  # `Path` makes one slash of two; C:/ is no URL


def url_fault(text: str) -> str:
    """Return what is wrong with a URL in the place of a folder; '' for a path."""
    found = _URL.match(text)
    if found is None:
        return ''
    if found[1].lower() == 'file':
        return f'expected a path, found {text[:200]!r}; leave "file:" out'
    return (f'expected a folder of this machine or one mounted on it, found the URL {text[:200]!r}; mount the store (NFS, Lustre, CephFS, '
            'FSx, Filestore: docs/operations.md), or copy what is needed; a folder here of that name is written from / on')  # fmt: skip
