"""A snapshot handed to the Hugging Face Hub: `push.py` is the way in."""
