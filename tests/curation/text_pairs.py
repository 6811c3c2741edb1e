"""Pairs of texts that differ in one thing that carries meaning, and pairs that differ in nothing a reader sees."""

import itertools
import unicodedata
from collections.abc import Iterator

# Of each line any two stand for a pair; the texts around them are the same.
ALTERNATIVES: dict[str, str | list[str]] = {
    'operators': '+ - − × ÷ ± ∓ * / ^ % ∘ · ⋅ ⊕ ⊗ mod //',
    'relations': '< > ≤ ≥ <= >= = ≠ == != ≈ ≡ ≢ ∼ ∝ ≪ ≫ := <> ≺ ≻ ∣ ∤',
    'sets': '∪ ∩ ∖ \\ ∈ ∉ ∋ ⊂ ⊄ ⊆ ⊃ ⊇ △ × ⊎',
    'logic': '∧ ∨ ⊕ ⊻ → ← ↔ ⇒ ⇔ ⊢ ⊨ && || & | ^ ↑ ↓',
    'quantifiers': '∀ ∃ ∄ ¬ ! ∅ ∞ ∂ ∇ √ ∛ ∑ ∏ ∫ ∮',
    'geometry': '⊥ ∥ ∦ || ∠ ∟ △ □ ○ ∽ ≅ ≃ ▲ ■ ●',
    'arrows': '↑ ↓ ← → ↔ ↕ ↗ ↘ ⇑ ⇓ ⟶ ⟵ ↦ ⇌ -> <-',
    'emoji': ['😀', '🎉', '😢', '👍', '👎', '👍🏻', '👍🏿', '❤', '❤️', '💔', '👩‍💻', '👨‍💻', '👩💻', '🇩🇪', '🇫🇷', '🏳️‍🌈', '🏳️', '☺', '☺️', '1️⃣', '1'],
    'exponents': '10² 10³ 102 10^2 10**2 10₂ 10⁻² 10⁺² 1⁰² ¹0² 1/2 ½ 12 1⁄2 1.2 1,2 1:2',
    'Greek': 'α β γ δ ε ϵ θ ϑ λ μ µ π ρ σ ς φ ϕ ω Ω Δ Σ Π a b y p',
    'letters': 'R ℝ 𝑅 𝐑 ℜ N ℕ Z ℤ x 𝑥 х × ⅹ X',
    'units': 'mm mM MM Mm kb kB Kb KB m M s S g G Pa PA pA °C °F % ‰ $ € £ ¥ ′ ″ ° µm',
    'case': 'p P q Q DNA dna Polish polish May may I i IT it It Turkey turkey',
    'chemistry': 'Co CO NO No CN Cn H2O H₂O H2O2 Fe2+ Fe3+ Fe²⁺ Fe³⁺ Ca²⁺ Ca2⁺ NaCl NaCl(aq) CO2 Co2 CO₂ O2 O3 OH⁻ OH- OH',
    'code': 'C C# C++ F F# .NET NET x++ x-- ++x !x x *x &x **x a.b a->b a::b a[b] a(b) a{b} a<b> "x" \'x\' `x` x; x: x, @x #x $x _x __x__',
    'bars': '|x| x ||x|| [x] (x) {x} ⌊x⌋ ⌈x⌉ ⟨x⟩ x′ x″ x! x? x̄ x̂ ẋ x* x†',
    'regexes': r'^a$ a$ ^a a a+ a* a? a+? (a) (?:a) [a] [^a] \d \D \w \W \s \S \b a{2} a{2,} . \. a|b ab',
    'signs': '2 -2 +2 −2 ±2 --2 (2) 2. .2 0.2 2,0 2.0 2:0 2/0 2! 2% 2° 2² 2₂ ２ ②',
    'endings': ['It is', 'It is.', 'It is?', 'It is!', 'It is…', 'It is...', '"It is"', 'It, is', 'It-is', 'It is:', '(It is)', 'It\nis', 'Itis', 'It\n\nis'],
    'paths': 'a/b a\\b a.b a-b a_b a:b a~b ~/a /a ./a ../a a/ a? a&b a=b a%20b a#b',
    'music and cards': '♯ ♭ ♮ # b ♠ ♥ ♦ ♣ ♔ ♚ ♩ ♪',
    'quotes': "“x” ”x“ ‘x’ 'x' \"x\" «x» »x« 「x」 `x` ``x'' 'x",
    'joiners': ['می‌خواهم', 'میخواهم', 'می خواهم', 'क्‍ष', 'क्ष', 'क्‌ष'],
    'accents': 'résumé resume resumé cote coté côte côté ano año schon schön',
    'code, indented': [
        'for i in x:\n    f(i)\ng()', 'for i in x:\n    f(i)\n    g()', 'for i in x:\n\tf(i)\n\tg()', 'for i in x:\n  f(i)\n  g()', 'for i in x:\n        f(i)\ng()',
        'if a:\n    b\nelse:\n    c', 'if a:\n    b\n    else:\n        c', 'if a:\n    b\n  else:\n    c',
        'a:\n  b: 1\n  c: 2', 'a:\n  b: 1\nc: 2', 'a:\n  b: 1\n    c: 2', '- a\n- b', '- a\n  - b', '- a\n    - b', 'all:\n\tgcc', 'all:\n gcc', '> a\n> b', '> a\nb', '>> a\n> b'],
}  # fmt: skip
AROUND = ('{}', 'Is p {} q true?', '$a{}b$', 'What does\n{}\nmean here')

BASES = (
    'Is 5 > 3 and 5 != 4 ?', 'Énumère les élèves où il y a une clé à côté du café', 'Was kostet 1 Stück über 3 Öfen', 'def f(x):\n    return x + 1\n\nprint(f(2))',
    'Ångström und Ǆ, ṩ ǭ ḍ̇ q̣̇', 'А й ё Ї Ў Ќ в тексте', 'Đường phố Việt Nam rất đẹp ở đây', '가 각 힣 한국어 문장', 'ガギグ が ぷ です か', 'p ∧ q → ¬ r ≠ ∤ s',
    'Ẽ ọ ầ ẩn hiện trong tiếng', 'Πῶς ἔχει τὰ πράγματα', 'Emoji 👩‍💻 and ❤️ stay', 'a | b\n--- | ---\n1 | 2', 'mixed  ends\nof lines\nin one text',
)  # fmt: skip


def different() -> Iterator[tuple[str, str, str]]:
    """Yield (kind, one text, another): all that differs is one of ALTERNATIVES."""
    for kind, written in ALTERNATIVES.items():
        words = written.split() if isinstance(written, str) else written
        for around in AROUND:
            for one, other in itertools.combinations(dict.fromkeys(words), 2):
                yield kind, around.replace('{}', one), around.replace('{}', other)


def equal() -> Iterator[tuple[str, str, str]]:
    """Yield (kind, one text, another): they differ in blanks, line ends or Unicode's composition alone."""
    for text in BASES:
        for kind, other in _copies(text):
            if other != text:
                yield kind, text, other


def _copies(text: str) -> Iterator[tuple[str, str]]:
    lines = text.split('\n')
    decomposed = unicodedata.normalize('NFD', text)
    yield 'outer blanks', f' \t{text} \u00a0'
    yield 'outer lines', f'\n\r\n{text}\n\n'
    yield 'trailing blanks', '\n'.join(f'{line} \t' for line in lines)
    for name, blank in {'doubled': '  ', 'tab': '\t', 'no-break': '\u00a0', 'thin': '\u2009', 'narrow': '\u202f', 'wide': '\u3000', 'many': ' ' * 40}.items():
        yield name, '\n'.join(_inside(line, blank) for line in lines)
    for name, end in {'CRLF': '\r\n', 'CR': '\r', 'NEL': '\u0085', 'line separator': '\u2028', 'paragraph separator': '\u2029'}.items():
        yield name, end.join(lines)
    yield 'mixed ends', ''.join(line + end for line, end in zip(lines, itertools.cycle(['\r\n', '\n', '\r']), strict=False))
    yield 'composed', unicodedata.normalize('NFC', text)
    yield 'decomposed', decomposed
    yield 'decomposed, CRLF, doubled', '\r\n'.join(_inside(line, '  ') for line in decomposed.split('\n'))
    yield 'break hints', '\ufeff' + text.replace('t', 't\u200b').replace('e', 'e\u00ad').replace('n', 'n\u2060')


def _inside(line: str, blank: str) -> str:
    """Return a line with other blanks between its words; its indentation stays."""
    indentation = line[: len(line) - len(line.lstrip())]
    return indentation + line.lstrip().replace(' ', blank)
