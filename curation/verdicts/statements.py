"""A long answer as the statements it makes, each of which can be asked about: its sentences, in their order."""

import re

MOST = 24  # statements of an answer that are asked about, spread over it: what is behind them says no more about how much of it holds
_ENDS = re.compile(r'[.!?…]["\'’”)\]*]*(?=\s)|[。！？｡؟۔।](?!["\'’”」』)])|[。！？｡؟۔।]["\'’”」』)]|\n+')
_NO_END = re.compile(  # a point that ends no sentence: of a shortened word, an initial
    r'(?:^|\W)(?:[A-Za-z]|e\.g|i\.e|cf|vs|approx|etc|al|dr|mr|mrs|ms|prof|st|jr|sr|inc|ltd|co|dept)\.$', re.IGNORECASE)
_NUMBERED = re.compile(r'(?:^|\W)(?:no|nr|fig|figs|eq|eqs|ca|vol|p|pp)\.$', re.IGNORECASE)  # and a number behind it
_OF_A_LIST = re.compile(r'(?:^|\n)\s*\(?\d{1,2}\.$')
_MARK = re.compile(r'^\s*(?:[-*•–]|\(?\d{1,2}[.)]|#{1,6})\s+')  # in front of an item of a list
_SAYS = re.compile(r'[^\W_]')


def statements(answer: str) -> list[str]:
    """Return the sentences and list items of an answer, without marks in front; at most MOST, the first and the last among them."""
    found, start = [], 0
    for end in _ENDS.finditer(answer):
        if end[0] == '.' and _goes_on(answer[max(start, end.start() - 12) : end.end()], answer[end.end() :]):
            continue
        found.append(answer[start : end.end()])
        start = end.end()
    found.append(answer[start:])
    said = [_MARK.sub('', text).strip() for text in found]
    said = [text for text in said if _SAYS.search(text)]
    if len(said) <= MOST:
        return said
    return [said[round(at * (len(said) - 1) / (MOST - 1))] for at in range(MOST)]


def _goes_on(before: str, rest: str) -> bool:
    """Return whether a sentence goes on behind the point that `before` ends with."""
    if rest.startswith('\n'):
        return False
    return bool(_NO_END.search(before) or _OF_A_LIST.search(before) or _NUMBERED.search(before) and rest.lstrip()[:1].isdigit())
