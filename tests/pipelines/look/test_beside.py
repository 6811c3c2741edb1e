import pytest

from pipelines.look.gallery.beside import beside

ONE, OTHER = 'a' * 64, 'b' * 64


@pytest.mark.parametrize('stars', [[ONE], [ONE, OTHER]])
def test_a_capped_sample_is_shown_beside_the_survivors_of_all_its_stars(stars):
    row = {'reason': 'NEAR_DUPLICATE_CAP', 'detail': f'star of {" or ".join(stars)} has 1 already; lot 5'}
    assert [other['images'] for other in beside(row, None, None)] == [stars]
