"""What no rule may touch: code, formulas, addresses, paths, tags. Behind the shield a text keeps its length and loses these parts."""

import re

from curation.english.remembered import remembered

SHIELD = '\uffff'  # no character: it stands for one that must stay, and no word, digit or blank
# Without one of these a text has nothing to shield; each begins with a sign, so that nothing is tried where there is none.
_SUSPECT = re.compile(r'[\\$`<@/_{}\[=;]')
_DOT, _CALL, _CAPITAL = re.compile(r'\.(?<=\w\.)\w'), re.compile(r'\((?<=\w\()'), re.compile(r'[A-Z](?<=[a-z][A-Z])')
_LINKS = (
    r'!\[[^\]\n]{0,500}\]\([^)\n]{0,4000}\)|\]\([^)\n]{1,4000}\)|\[\d{1,3}\]'  # Markdown pictures, the targets of links, references
    r'|<[A-Za-z/!][^<>\n]{0,4000}>'  # tags, <image>
    r'|\b[A-Za-z][A-Za-z0-9+.-]{1,10}://[^\s<>"\')\]}]+|\bdata:[\w/+.-]{1,80};base64,[\w+/=]+|\bwww\.[^\s<>"\')\]]+'
    r'|[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+'  # mail
    r'|\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.(?:com|org|net|edu|gov|io|ai|de|uk|cn|jp|fr|eu|info|html?)(?:/[^\s<>"\')\]]*)?(?!\w)'
    r'|\b[A-Za-z]:\\[^\s"<>|]+|(?<![\w.])(?:~|\.{1,2})?/(?:[\w.@-]+/){0,40}[\w.@-]*[A-Za-z_][\w.@-]*'  # paths
    r'|\b[\w.-]{1,200}/(?:[\w.-]{1,200}/)+[\w.-]+|\b[\w-]{1,200}/[\w-]{1,200}\.[A-Za-z]\w{1,4}\b'
    r'|\b[\w-]{1,200}\.(?:png|jpe?g|gif|svg|webp|bmp|tiff?|pdf|csv|tsv|jsonl?|ya?ml|xml|txt|md|py|js|ts|java|cpp|[ch]|sh|zip|tar|gz|mp[34]'
    r'|docx?|xlsx?|pptx?)\b'
)
_FENCED = r'```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|``[^`]+``|`[^`\n]+`|<(?P<tag>code|pre|script|style)\b.*?(?:</(?P=tag)>|\Z)'
_CODE = (
    r'\b[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*\([^()\n]{0,200}\)|\b\w+_\w+\b|\b[A-Za-z_]\w*\[[^\]\n]{0,80}\]|(?<![\w-])--?[A-Za-z][\w-]*=?\S*'
    r'|\b[a-z]+[A-Z]\w*\b|\b[A-Za-z_]\w*\.[A-Za-z_]\w*(?:\.\w+)*\b'
)
_MATHS = (
    r'\\begin\{(?P<env>[A-Za-z*]+)\}.*?(?:\\end\{(?P=env)\}|\Z)|\$\$.*?\$\$|\\\[.{0,4000}?\\\]|\\\(.{0,2000}?\\\)'
    r'|(?<![\\$\w])\$(?=\S)[^$\n]{1,2000}?(?<=[^\s\\])\$(?![\d$])'  # a dollar before a number that is followed by no other is money
    r'|\\(?:[A-Za-z]+\*?|.)(?:\s*[\[{][^\[\]{}\n]{0,200}[\]}])*'
)
_COMMANDS = (
    r'\\(?:begin|end|label|ref|cite|includegraphics|color|textcolor|href|url|hspace|vspace)\*?(?:\[[^\]]{0,200}\])?\{[^{}]{0,500}\}'
    r'|\\[A-Za-z]+\*?|\\(?![\d])[^\w\s]'
)
_ALL = re.compile('|'.join((_FENCED, _MATHS, _LINKS, _CODE)), re.DOTALL)
_STRUCTURE = re.compile('|'.join((_FENCED, _COMMANDS, _LINKS)), re.DOTALL)
_STATEMENT = re.compile(
    r'^\s*+(?:def \w+\(|class \w+[:({]|import \w+|from \w[\w.]* import |return\b|for \(|for \w+(?:, \w+)* in .*:$|while .*:$|if .*[:{]$|el(?:se'
    r'|if)\b.*[:{]$|try:|except\b.*:$'
    r'|#include|(?:public|private|static|int|void|float|double|char|const|let|var|function)\s+\w.*[;{(]|(?:SELECT|INSERT|UPDATE|DELETE'
    r'|CREATE)\b .*|.*[;{]$|[})]+;?$)'
)
_ASSIGNMENT = re.compile(r'^\s*+(?:[\w.\[\]\'"]+\s*[-+*/]?=[^=].*|[\w.]+\(.*\)|#.*|//.*|(?:FROM|WHERE|GROUP BY|ORDER BY'
    r'|JOIN)\b.*)$')  # mathematics has such lines too
CODE_LINES = 0.6  # of the lines that are not empty: a text with so many statements is code


@remembered
def shielded(text: str) -> str:
    """Return `text`, equal in length, with all that no rule may change replaced by SHIELD: code, formulas, addresses, tags."""
    if not _is_suspect(text):
        return text
    return SHIELD * len(text) if is_code(text) else _ALL.sub(_blot, text)


@remembered
def structure_shielded(text: str) -> str:
    """Return `text` as `shielded` does, but with formulas readable: only their commands are hidden. For the final answers of worked solutions."""
    return _STRUCTURE.sub(_blot, text) if _is_suspect(text) else text


@remembered
def _is_suspect(text: str) -> bool:
    if _SUSPECT.search(text) or '--' in text or '~~~' in text:
        return True
    return bool('.' in text and _DOT.search(text) or '(' in text and _CALL.search(text) or _CAPITAL.search(text))


@remembered
def is_code(text: str) -> bool:
    """Return whether most lines of a text are statements of a programming language, some of them such as only programs have."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    sure = sum(bool(_STATEMENT.match(line)) for line in lines)
    return sure > 0 and sure + sum(bool(_ASSIGNMENT.match(line)) and not _STATEMENT.match(line) for line in lines) >= CODE_LINES * len(lines)


def _blot(found: re.Match[str]) -> str:
    return SHIELD * len(found[0])
