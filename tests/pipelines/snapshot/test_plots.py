"""The pictures of the calibration: right curves, real PNGs, the same bytes twice."""

import io

from PIL import Image

from pipelines.snapshot.plots import calibration_plots, roc_points


def test_the_roc_passes_through_every_threshold_and_ties_make_one_step():
    """Good 3, 2; bad 2, 1. Above 3: half the good; above 2: all good and half the bad at once."""
    assert roc_points([(3.0, True), (2.0, True), (2.0, False), (1.0, False)]) == ([0.0, 0.0, 0.5, 1.0], [0.0, 0.5, 1.0, 1.0])


def test_both_pictures_are_drawn_and_are_the_same_twice():
    scores = {f'source_{i} $x$': [(float(j % 7), j % 3 == 0) for j in range(40)] for i in range(5)}
    pictures = calibration_plots(scores, 0.5)
    assert sorted(pictures) == ['calibration/roc.png', 'calibration/scores.png']
    for data in pictures.values():
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            assert min(image.size) > 300
    assert calibration_plots(scores, 0.5) == pictures


def test_nothing_is_drawn_without_cases_of_both_kinds():
    assert calibration_plots({'s': [(1.0, True), (2.0, True)]}, 0.0) == {}
