"""A page to look at a snapshot: `index.py` finds rows, `entry.py` says what one row shows, `serve.py` and `static.py` bring the page."""
