"""What the judge of a benchmark is told, in our own words; what each is for and how it is read stands in judge_rules.py."""

import re

# What a prompt below puts in front of its parts: a text with a line that begins so would go on in the prompt's place
_LABELS = re.compile(
    r'^(?=[^\S\n]*(?:(?:Question|Reply|Answer|Known answer|Their answer|Expected|Grade|1 or 0)\s*:|</?(?:first|second) answer>))',
    re.IGNORECASE | re.MULTILINE,
)
EXTRACT = (
    'Read a question and a reply to it, and write down the final answer the reply gives. Write the answer alone: {form}. '
    'Do not solve the question yourself. If the reply gives no answer, write None.\n\n'
    'Question: How many of the bars are higher than 4?\nReply: Two of them, the red and the blue one, pass 4.\nAnswer: 2\n\n'
    'Question: Which is longer? (A) AB (B) CD\nReply: Since AB = 3 and CD = 5, the longer one is CD.\nAnswer: {shown}\n\n'
    'Question: {question}\nReply: {reply}\nAnswer:'
)
SAME = (
    'Somebody answered a question whose answer is known. Do both answers come to the same? One value written in two ways is the same, and so '
    'are an option and its letter. Write 1 for the same, 0 for anything else, and no more than that.\n\n'
    'Question: {question}\nKnown answer: {answer}\nTheir answer: {found}\n1 or 0:'
)
GRADE = (
    'How much of what was expected does a reply say? Grade it in tenths between 0.0, nothing of it, and 1.0, all of it. Where <AND> joins '
    'parts, every part counts; where <OR> joins them, any of them is all. Write the number alone.\n\n'
    'Question: Which fruit lies in the bowl?\nExpected: pears <AND> plums\nReply: There are two bananas.\nGrade: 0.0\n\n'
    'Question: Which fruit lies in the bowl?\nExpected: pears <AND> plums\nReply: Pears, and a lemon beside them.\nGrade: 0.5\n\n'
    'Question: When does the shop close?\nExpected: 6 pm <OR> 18:00\nReply: It closes at 18:00.\nGrade: 1.0\n\n'
    'Question: What happened in the kitchen?\nExpected: Nobody watched the stove, so the soup boiled over, and now the cook wipes the floor.\n'
    'Reply: Soup boiled over.\nGrade: 0.4\n\n'
    'Question: {question}\nExpected: {answer}\nReply: {reply}\nGrade:'
)
COMPARE = (
    'A picture that you cannot see shows this:\n{context}\n\nSomeone who sees it asked: {question}\n\n'
    '<first answer>\n{answer}\n</first answer>\n\n<second answer>\n{reply}\n</second answer>\n\n'
    'Give each answer a mark between 1 and 10. Marks are high for an answer that does what was asked, is true of the picture and leaves nothing '
    'of weight out; coming first or second earns none. Line one holds two numbers and a space between them: the mark of the first answer, the '
    'mark of the second. Give your reasons below it.'
)


def quoted(text: str) -> str:
    """Return what a model or a benchmark wrote with `> ` in front of each line that looks like a part of a prompt; any other text as it is."""
    return _LABELS.sub('> ', text)
