"""Does a model's reply surely give the right answer? What a share of right replies counts; whatever needs a judge is not counted as right."""

from curation.answers.comparing import Relation, compare
from curation.answers.final import final_answer, is_worked


def same_answer(truth: str, reply: str, question: str = '') -> bool:
    """Return whether a reply says what the right answer says, by value or by option; of worked solutions the final answers are compared.

    A reply that states several final answers is right only as a whole.
    """
    if compare(truth, reply, question=question)[0] is Relation.EQUAL:
        return True
    wanted, found = final_answer(truth) if is_worked(truth) else None, final_answer(reply)
    if found and found.others or not (wanted or found):
        return False
    return compare(wanted.value if wanted else truth, found.value if found else reply, question=question)[0] is Relation.EQUAL
