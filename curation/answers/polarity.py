"""Yes and no in other words: `True`, `Correct.`, `Yeah`, `It does not`, `Not really`."""

import re

_STRONG = {
    'yes': True, 'yeah': True, 'yep': True, 'yup': True, 'yea': True, 'true': True, 'ja': True, '是': True, '是的': True,
    'no': False, 'nope': False, 'nah': False, 'false': False, 'nein': False, '否': False, '不是': False,
}  # fmt: skip
_WEAK = {
    'correct': True, 'right': True, 'sure': True, 'surely': True, 'certainly': True, 'definitely': True, 'absolutely': True, 'indeed': True,
    'affirmative': True, 'exactly': True, 'accurate': True, 'agree': True, 'agreed': True, 'y': True, 't': True,
    '对': True, '對': True, '正确': True, '正確': True, 'incorrect': False, 'wrong': False,
    'never': False, 'untrue': False, 'inaccurate': False, 'negative': False, 'disagree': False, 'n': False, 'f': False,
    '不': False, '错': False, '錯': False, '不对': False, '不對': False,
    '错误': False, '錯誤': False, '不正确': False, '不正確': False,
}  # fmt: skip
_VERBS = 'is|are|was|were|does|do|did|can|could|has|have|had|will|would'
_SHORT = re.compile(
    rf"(?:(?:that|this|it|he|she|they|there|which|you|we|i|(?:the )?(?:statement|claim|answer|sentence)) ?(?:{_VERBS})?(?:'s|'re)?|n['’]t|not|"
    r"indeed|really|at all|so|of course|is|are|does|do|very|quite|completely|course|of|true|false|in fact|the case|\W)+"
)
_SAYS = re.compile(rf"\b(?:{_VERBS}|course)\b|n['’]t|^not")
_NOT = re.compile(r"\bnot\b|n['’]t\b|\bcannot\b")
_BOTH = re.compile(r'\b(?:yes|true|right|correct)\W+(?:and|or)?\W*(?:no|false|wrong|incorrect)\b|\b(?:no|false)\W+(?:and|or)\W*(?:yes|true)\b')
_IDIOM = re.compile(r'\bno (?:doubt|question|problem|worries|wonder|matter)\b')  # say yes, or neither
MAX_WORDS = 6  # a longer answer says more than yes or no


def is_plain(said: str) -> bool:
    """Return whether words, as `said` gives them, are yes or no and nothing else: what a yes-or-no question has as its right answer."""
    return said in _STRONG or said in ('correct', 'incorrect', 'right', 'wrong') or said in _WEAK and not said.isascii()


def polarity_of(said: str) -> bool | None:
    """Return True for yes, False for no, None where words, as `said` gives them, are neither."""
    words = re.findall(r"[^\W\d_]+(?:['’][^\W\d_]+)?", said)
    if not words or _BOTH.search(said) or _IDIOM.search(said):
        return None
    if words[0] in _STRONG and words[0] not in ('true', 'false'):
        return _STRONG[words[0]]
    if len(words) > MAX_WORDS:
        return None
    turns = len(_NOT.findall(said)) % 2
    judged = [value for word in words for value in [_STRONG.get(word, _WEAK.get(word))] if value is not None]
    if turns and 'sure' in words:
        return None
    if judged:
        rest = [word for word in words if word not in _STRONG and word not in _WEAK]
        return None if len(set(judged)) > 1 or not _SHORT.fullmatch(' '.join(rest) or ' ') else judged[0] != bool(turns)
    return (not turns) if _SHORT.fullmatch(said) and _SAYS.search(said) else None
