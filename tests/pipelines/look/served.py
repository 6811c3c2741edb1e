"""A gallery on loopback for as long as a test looks at it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.look.gallery.index import GalleryIndex
from pipelines.look.gallery.serve import Gallery


@contextmanager
def serving(index: GalleryIndex, *shown: object, **more: object) -> Iterator[str]:
    """Give the address under which a gallery answers; `shown` and `more` are as Gallery has them: reply store and port, then the working folder."""
    server = Gallery(index, *(shown or (None, 0)), **more)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f'http://127.0.0.1:{server.server_port}'
    finally:
        server.shutdown()
        server.server_close()
