"""The answer-only classifier finds planted leaks and stays at chance where there are none."""

import math
import random

import numpy as np

from curation.calibration.shortcut import MIN_SAMPLES, AnswerPair, audit_shortcuts, features_of, fit

COLOURS = ('red', 'green', 'blue', 'yellow', 'teal', 'pink', 'brown', 'black')


def clean(n, seed=1):
    """Chosen and rejected are drawn alike: nothing but the question could tell them apart."""
    rng = random.Random(seed)
    return [AnswerPair(f's{i}', *rng.sample(COLOURS, 2)) for i in range(n)]


def test_answers_drawn_alike_stay_at_chance():
    """A little below: what the learned folds have too much of, the asked one has too little of."""
    report = audit_shortcuts('s', clean(1000))
    assert 0.45 < report.auc < 0.55
    assert report.low < report.auc < report.high
    assert 0.45 < report.auc_length < 0.55


def test_a_full_stop_a_length_and_a_word_that_only_one_side_has_are_found():
    stops = audit_shortcuts('s', [AnswerPair(p.sample_id, p.chosen + '.', p.rejected) for p in clean(300)])
    longer = audit_shortcuts('s', [AnswerPair(p.sample_id, f'It is {p.chosen}, as the picture shows', p.rejected) for p in clean(300)])
    words = audit_shortcuts('s', [AnswerPair(p.sample_id, f'surely {p.chosen}', f'maybe {p.rejected}') for p in clean(300)])
    assert stops.auc > 0.98
    assert longer.auc > 0.98
    assert longer.auc_length > 0.98
    assert words.auc > 0.98


def test_an_answer_that_is_mostly_right_is_a_leak():
    """Yes is right in 80 %: whoever says yes is right in 80 %, so 0.8 is the AUC."""
    pairs = [AnswerPair(f's{i}', *(('yes', 'no') if i % 5 else ('no', 'yes'))) for i in range(1000)]
    assert abs(audit_shortcuts('s', pairs).auc - 0.8) < 0.03


def test_answers_are_never_asked_of_a_fold_that_learned_their_sample():
    """Each sample has four triples with a word of its own on the chosen side: only a leak between folds could use it."""
    pairs = [AnswerPair(f's{i}', f'word{i} {a}', f'word{i} {b}') for i in range(200) for a, b in [random.Random(i).sample(COLOURS, 2)] * 4]
    assert audit_shortcuts('s', pairs).auc < 0.6


def test_order_does_not_matter_and_a_few_samples_are_not_reported():
    pairs = clean(200)
    assert audit_shortcuts('s', pairs) == audit_shortcuts('s', pairs[::-1])
    few = audit_shortcuts('s', clean(MIN_SAMPLES - 1))
    assert math.isnan(few.auc)
    assert few.n == MIN_SAMPLES - 1
    assert math.isnan(audit_shortcuts('s', []).auc)


def test_the_fit_is_where_the_gradient_vanishes():
    """At the optimum of the penalised loss, X^T(p - y) + w = 0 for every penalised weight."""
    texts = [text for pair in clean(200) for text in (pair.chosen + '!', pair.rejected)]
    features, good = features_of(texts), np.arange(len(texts)) % 2 == 0
    weights = fit(features, good)
    gradient = features.T @ (1 / (1 + np.exp(-(features @ weights))) - good)
    gradient[1:] += weights[1:]
    assert np.abs(gradient).max() < 0.02


def test_strange_texts_have_features():
    assert np.isfinite(features_of(['', ' ', '\ud800', '中文 عربى', 'a' * 100_000]).toarray()).all()
