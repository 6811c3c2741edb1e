"""docs/reliability.md says what the tests say."""

import pytest

from tests.reliability import COMMAND, PAGE, SECTIONS, Shown, page_now, page_of


@pytest.mark.integration
def test_the_page_of_promises_is_up_to_date():
    assert PAGE.read_text('utf-8') == page_now(), f'a promise was added or changed: run {COMMAND} and commit docs/reliability.md'


def test_promises_stand_under_their_section_with_tests_and_counts():
    cases = {
        Shown('Disks', 'It is told.', 'b.py::test_b', (), 'make test'): 3,
        Shown('Disks', 'It is told.', 'a.py::test_a', (('full_disks', 2000), ('verbs', 1)), 'make long'): 1,
        Shown(SECTIONS[0], 'A | B.', 'c.py::test_c', (), 'make test'): 1,
    }
    page = page_of(cases)
    assert page.index(f'## {SECTIONS[0]}') < page.index('## Disks')
    assert r'| A \| B. | `c.py::test_c` | 1 case | `make test` |' in page
    assert '| It is told. | `a.py::test_a`<br>`b.py::test_b` | 2,000 full disks, 1 verbs<br>3 cases | `make long`<br>`make test` |' in page


def test_a_section_that_there_is_not_is_refused():
    with pytest.raises(ValueError, match='expected a section of Power cuts and kills, .* found Diks'):
        page_of({Shown('Diks', 'x', 'a.py::test_a', (), 'make test'): 1})
