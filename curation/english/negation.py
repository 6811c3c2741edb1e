"""An English sentence that says the contrary: its verb denied, or its denial taken back, where that leaves a sentence."""

import re

_DENIED = re.compile(r"\b(?:no|not|never|none|nobody|nothing|neither|nor|hardly|without|cannot)\b|n['’]t\b", re.IGNORECASE)
_IS = re.compile(
    r"\b(?P<verb>is|are|was|were|can be|will be|can(?= (?:see|be|hold|fly|swim|fit|carry))|will(?= (?:see|go|fall|open|start|end|arrive))"
    r"|has been|have been)\b"
    r"(?! (?:no|not|never|nothing|none|neither)\b|n['’]t|[-’'])", re.IGNORECASE)
_HAS = re.compile(r'(?<!\bto )\bhas(?= (?:an?|the|his|her|its)\b)')
_TAKEN_BACK = re.compile(r"\b(is|are|was|were|can|will|could|would|should)(?: not|n['’]t|(?<=can)(?:not|['’]t))\b"
    r"(?! (?:any|yet|much|either|anything|anyone|even|just"
    r"|only|at all|a single|very))", re.IGNORECASE)
_NONE_THERE = re.compile(r'\b(?<=there )(are|were) no(?= (?:[a-z]+ )?[a-z]+s\b(?! (?:or|and)\b))', re.IGNORECASE)
_INSTEAD = re.compile(r'\b(?:but|instead|rather|only)\b|[,;.:] *(?:it|he|she|they|there|this|that)\b', re.IGNORECASE)  # not red, it's blue
_BUT = re.compile(r'\bbut\b', re.IGNORECASE)
_SHORT = re.compile(  # it does, he cannot
    r"(?P<who>\W+(?:it|he|she|they|we|i|you|there) )"
    r"(?P<verb>does|do|did|has|have|can|will|could|would|should)(?P<not> not|not|n['’]t|['’]t)?(?P<end>[.!]?)",
    re.IGNORECASE)
_NEEDS_DENIAL = re.compile(r'\b(?:any|anything|anyone|yet|either|ever|at all)\b', re.IGNORECASE)
_SINGULAR_NOUN = re.compile(r"(?:\b(?:an?|the|this|that|his|her|its|tin|soda|trash|garbage|beer|own|free|good) )$", re.IGNORECASE)


def negated(text: str, seen: str) -> str | None:
    """Return `text` with its first verb denied, or with its denial taken back; None where the words would not fit. `seen`: what may change."""
    if _DENIED.search(seen):
        found = _TAKEN_BACK.search(seen) or _NONE_THERE.search(seen)
        if found is None or _INSTEAD.search(seen, found.end()) or len(_DENIED.findall(seen)) > 1 or _NEEDS_DENIAL.search(seen):
            return None
        return text[:found.start()] + found[1] + text[found.end():]
    for found in sorted([*_IS.finditer(seen), *_HAS.finditer(seen)], key=lambda m: m.start()):
        verb, following = found[0], text[found.end():]
        if verb[0].isupper() or (verb[:3] in ('can', 'wil') and _SINGULAR_NOUN.search(seen[:found.start()])):
            continue  # a question, a name, a tin
        if verb == 'has':
            return text[:found.start()] + 'does not have' + following
        first, _, rest = verb.partition(' ')
        return text[:found.start()] + _denied(first) + (f' {rest}' if rest else '') + following
    return None


def _denied(verb: str) -> str:
    return f'{verb}not' if verb.casefold() == 'can' else f'{verb} not'


def answered_otherwise(answer: str, seen: str, said: str) -> str | None:
    """Return what follows the yes or no (`said`) that `answer` begins with, turned to the contrary; None where it does not turn."""
    rest = re.compile(r'[\W_]*[^\W\d_]+', re.UNICODE).match(answer)
    assert rest is not None, 'it begins with yes or no'
    tail = answer[rest.end():]
    if not tail.strip(' .,;:!?"\'”’)'):
        return tail
    if tail[:1] not in ',.;:-–— !' or (tail[:1] == ' ' and not re.match(r' (?:it|he|she|they|there|this|that|these|those|the|we|i|you|a'
        r'|an)\b', tail, re.IGNORECASE)):
        return None  # 'No parking' is no answer to a yes-or-no question
    if (short := _SHORT.fullmatch(tail)) and (said == 'no') == bool(short['not']):
        return f'{short["who"]}{_denied(short["verb"]) if said == "yes" else short["verb"]}{short["end"]}'
    if (said == 'no') != bool(_DENIED.search(tail)) or said == 'no' and _BUT.search(tail):
        return None
    return negated(tail, seen[rest.end():])
