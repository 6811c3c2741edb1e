"""The words of a generator's own task in other languages than English, alone, in a sentence about an answer, or in front of one."""

import re

_CHINESE = r'(?:错误|錯誤|不正确|不正確|不对|不對|错|錯|模糊|含糊|不明确|不明確|歧义|有歧义)'
_CHINESE_ANSWER = r'(?:答案|回答|回复|答复|选项|選項|说法|陈述)'
_ROMANCE = (
    r'(?:incorrect[oae]?s?|incorret[oa]s?|inexact[oae]?|equivocad[oa]|errad[oa]|err[oó]ne[oa]|erroné[e]?|errat[oa]|sbagliat[oa]|scorrett[oa]|faux|fausse'
    r'|mauvaise|fals[oa]|amb[ií]gu[oaeë]?|ambiguë|falsch(?:e[rs]?)?|unrichtig(?:e[rs]?)?|inkorrekt(?:e[rs]?)?|mehrdeutig(?:e[rs]?)?|unklar(?:e[rs]?)?|fout|foute|onjuist'
    r'|неверн(?:о|ый|ая|ое)|неправильн(?:о|ый|ая|ое)|ошибочн(?:о|ый|ая|ое)|неоднозначн(?:о|ый|ая|ое)|yanlış|błędn[aey]|nieprawidłow[aey]'
    r'|خطأ|خاطئة?|غير صحيحة?|गलत|ग़लत)'
)
_ROMANCE_ANSWER = r'(?:respuesta|resposta|risposta|réponse|antwort|antwoord|ответ|odpowiedź|cevap|إجابة|الإجابة|उत्तर|जवाब)'
_LITTLE = (
    r"(?:c['’]est|la|el|le|il|l['’]|une?|una|die|das|der|eine?|diese?|dies|esta|essa|questa|cette|a|o|uma|het|dit|is|ist|es|est|é|è|это|этот|है|यह)"
)
_ALONE = (
    rf'(?:(?:这|這|那|它|该|此)(?:个|個|是)?)?(?:{_CHINESE_ANSWER})?(?:是|为)?{_CHINESE}的?(?:{_CHINESE_ANSWER})?了?'
    r'|間違い(?:です|だ)?|不正解(?:です|だ)?|誤り(?:です|だ)?|誤答|(?:間違った|誤った)(?:答え|回答)|曖昧(?:です|な(?:答え|回答))?'
    r'|오답(?:입니다)?|틀렸습니다|틀림|(?:틀린|잘못된) ?답(?:변)?(?:입니다)?|모호함'
    rf'|(?:{_LITTLE}\s+)*(?:{_ROMANCE_ANSWER}\s+)?(?:{_LITTLE}\s+)*{_ROMANCE}(?:\s+{_ROMANCE_ANSWER})?(?:\s+{_LITTLE})?'
)
ELSEWHERE = re.compile(_ALONE)
ELSEWHERE_BEFORE = re.compile(rf'\W*(?:{_ALONE})[*_\])"]*\s*[:：][*_]*\s*\S', re.IGNORECASE)
ELSEWHERE_UNKNOWN = frozenset((
    '不知道', '我不知道', '不清楚', '我不清楚', '不确定', '无法确定', '無法確定', '无法判断', '無法判斷', '无法回答', '未知',
    'わかりません', '分かりません', '不明',
    '모르겠습니다', 'no sé', 'no lo sé', 'não sei', 'je ne sais pas', 'ich weiss nicht', 'ich weiss es nicht', 'keine ahnung', 'non so', 'non lo so',
    'не знаю', 'я не знаю',
))  # fmt: skip
# Right answers beside which such a word is an answer.
TRUTH_ELSEWHERE = frozenset((
    '正确', '正確', '对', '對', '错', '錯', '是', '不是', '错误', '錯誤',
    '不正确', '不正確', '不对', '正解', '不正解', '正しい', '間違い', '맞음', '틀림',
    'richtig', 'wahr', 'falsch', 'unrichtig', 'correcto', 'correcta', 'incorrecto', 'incorrecta',
    'verdadero', 'falso', 'vrai', 'faux', 'correct', 'incorrect',
    'vero', 'corretto', 'sbagliato', 'certo', 'errado', 'correto', 'incorreto', 'верно', 'неверно', 'правильно', 'неправильно',
    'goed', 'fout', 'doğru', 'yanlış',
    'true', 'false', 'right', 'wrong', 'सही', 'गलत', 'صحيح', 'خطأ', '清楚', '清晰', '模糊', 'unklar', 'klar', 'mehrdeutig', 'eindeutig',
))  # fmt: skip
