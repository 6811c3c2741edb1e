"""One picture from its bytes: its facts, perceptual hashes, whether two show the same, and edits of it."""
