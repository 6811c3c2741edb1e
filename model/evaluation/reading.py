"""What a model's reply to a benchmark's question says: a letter, Yes or No, a number. Pure functions of text.

Sources, by repository and file; replies are short (5 tokens), so that all of these agree on ordinary ones:

    letters     open-compass/VLMEvalKit vlmeval/utils/matching_util.py (MMBench), haotian-liu/LLaVA llava/eval/eval_science_qa.py,
                MMStar-Benchmark/MMStar eval/vlmeval/evaluate/mmstar.py (a lower-case letter counts, `option b`, `the answer is b`),
                zeyofu/BLINK_Benchmark eval/test_benchmark.py. Where these ask ChatGPT about an unclear reply, it is left unread here.
    MME         calculation.py of its eval_tool.zip (BradyFU/Awesome-Multimodal-Large-Language-Models): the first four characters
    POPE        AoiDragon/POPE evaluate.py: no or not in the first sentence means No, anything else Yes (see `rules`)
    ChartQA     relaxed_correctness of google-research/pix2struct pix2struct/metrics.py, as lmms-eval and VLMEvalKit have it; arXiv 2203.10244, 5.1
"""

import re

from model.evaluation.denials import LETTERS, as_plain, without_denied

CHART_TOLERANCE = 0.05  # relative to the answer


def read_letter(reply: str, item: dict) -> str | None:
    """The option a reply names, by its letter or by its text; None if it names none or several, or only denies some."""
    letters = LETTERS[: len(item['options'])] or LETTERS
    texts = [plain(option) for option in item['options']]
    for text in (reply.strip(), as_plain(reply)):
        if lone := re.fullmatch(r'\(?([A-Za-z])\)?[.:,!。]?', text):
            return lone[1].upper() if lone[1].upper() in letters else None
        for said in (plain(text), re.sub(r'^(?:an?|the) ', '', plain(text))):
            if texts.count(said) == 1 and not (said != plain(text) and leads(text, texts)):
                return letters[texts.index(said)]
    if lead := leads(text, texts):
        return lead
    text = without_denied(text, item['options'])
    pairs = re.findall(r'(?<!\w)\(?([A-Z])\)?\s*(?:\b(?:or|and)\b|[/&])\s*\(?([A-Z])\)?(?!\w)', text)
    if any(a != b for a, b in pairs):
        return None
    marked = re.findall(r'\(([A-Z])\)|\b([A-Z])[.:)](?=\s|$)', text)
    for named in (set(concluded(text)), {a or b for a, b in marked}, bare_letters(text)):
        if len(found := named & set(letters)) == 1:
            return found.pop()
        if found:
            return None
    held = [letter for letter, option in zip(letters, texts, strict=False) if option and re.search(rf'(?<!\w){re.escape(option)}(?!\w)', plain(text))]
    return held[0] if len(held) == 1 and len(text) <= 2 * sum(map(len, texts)) else None


def leads(text: str, texts: list[str]) -> str | None:
    """The letter that a reply begins with, if the text of that option follows, be it cut."""
    lead = re.match(r'\(?([A-Z])\)?[.:)]?\s+(.+)', text, re.DOTALL)
    place = LETTERS.find(lead[1]) if lead else len(texts)
    return LETTERS[place] if lead and place < len(texts) and texts[place].startswith(plain(lead[2])) else None


def concluded(text: str) -> list[str]:
    """The letters that a reply says are the answer: `the answer is B`, `option C`; a small one only at its end, where it is no article."""
    said = re.findall(r'(?i:answer|option|choice)(?:\s+(?i:is|would be|should be))?\s*:?\s+\(?([A-Z])\)?(?!\w)', text)
    small = re.findall(r'(?i:answer|option|choice)(?:\s+(?i:is))?\s*:?\s+\(?([a-z])\)?[.]?$', text)
    return [letter.upper() for letter in (*said, *small)]


def bare_letters(text: str) -> set[str]:
    """Capital letters that stand alone as words; without an A that may be an article, since a small word follows."""
    verbs = r'(?:is|was|are|or|and|because|since|as|would|seems|looks|fits|matches|shows)\b'
    text = re.sub(rf'\bA(?=\s+(?!{verbs})[a-z])', '', text)
    return {word for word in re.findall(r"[\w']+", text) if len(word) == 1 and word in LETTERS}


def plain(text: str) -> str:
    """Lower case, single spaces, no end mark."""
    return ' '.join(text.lower().split()).rstrip('.')


def read_yes_no(reply: str, item: dict) -> str | None:
    """Yes or No, whichever of the two words a reply has; None if it has neither, both and begins with neither, or `yes or no`, or denies its word."""
    text = re.split(r'\b(?:wait|actually|sorry|correction|i mean)\b(?=\W+\w)', as_plain(reply).lower())[-1]  # from a change of mind on
    text = re.sub(r'\b(?:yes|no) ?(?:or|and|/|nor) ?(?:yes|no)\b', ' ', text)
    text = re.sub(r'\b(?:not|neither|never) (?:yes|no)\b', ' ', text)
    words = re.findall(r'[a-z]+', text)
    found = {word for word in words if word in ('yes', 'no')}
    if words and words[0] in found:
        return words[0].capitalize()
    return found.pop().capitalize() if len(found) == 1 else None


def read_mme(reply: str, item: dict) -> str | None:
    """Yes or No if the first four characters hold it, yes first; so `Not really` is No, and `**Yes` is neither."""
    start = reply.strip().lower()[:4]
    return 'Yes' if 'yes' in start else 'No' if 'no' in start else None


def read_pope(reply: str, item: dict) -> str | None:
    """No where the first sentence has the word no or not, Yes where it has yes; None where it has neither."""
    words = reply.strip().lower().partition('.')[0].replace(',', '').split()
    return 'No' if 'no' in words or 'not' in words else 'Yes' if 'yes' in words else None


def read_text(reply: str, item: dict) -> str | None:
    """The reply itself, without an end mark."""
    return reply.strip().removesuffix('.').strip() or None


def to_number(text: str) -> float | None:
    """The number a text is, a percentage as a fraction; None for anything else, thousands' commas and units included."""
    try:
        return float(text[:-1]) / 100 if text.endswith('%') else float(text)
    except ValueError:
        return None


def relaxed_equal(found: str, answer: str) -> bool:
    """ChartQA's relaxed correctness: a number within 5 % of an answer that is not 0, any other text equal but for case."""
    ours, wanted = to_number(found.strip()), to_number(answer.strip())
    if ours is not None and wanted:
        return abs(ours - wanted) <= CHART_TOLERANCE * abs(wanted)
    return found.strip().lower() == answer.strip().lower()
