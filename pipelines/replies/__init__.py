"""Replies that were paid for: kept, found again, counted."""
