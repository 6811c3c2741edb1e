"""Whether a candidate is worse than the right answer: rules, computed truth, a judge, echoes, mass texts, late differences."""
