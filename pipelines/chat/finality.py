"""Which failures are final: those that are provably about one request, known by the words of the servers that say so. All others are pending."""

import re

# Words that name a fault of the request itself, each with the server that writes them.
KNOWN = (
    ('too_long', r'maximum context length|context_length_exceeded'),  # vLLM vllm/entrypoints, OpenAI error codes
    ('bad_picture', r'cannot identify image file|failed to (?:load|decode) image|invalid_image'),  # Pillow's words in vLLM, OpenAI error codes
    ('refused', r'content_policy_violation|content_filter'),  # OpenAI and Azure OpenAI error codes
)


def final_kind(status: int, text: str) -> str:
    """Return the kind (one of FINAL_KINDS) of a failure that another call would repeat, '' for one that may be the fault of the moment."""
    if status not in (400, 413, 422):
        return ''
    return next((kind for kind, words in KNOWN if re.search(words, text, re.IGNORECASE)), '')
