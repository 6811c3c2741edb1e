"""A word is changed only where it surely has the sense in which another excludes it, and what agrees with it changes too."""

import pytest

from curation.answers.shield import shielded
from curation.english.attributes import ATTRIBUTES, SENSES
from curation.english.senses import asked_for, swaps
from curation.negatives.propose import Negative, propose_negative


def changed(text, question=''):
    """Return every text that one change of an attribute makes."""
    said = frozenset(f'{text} {question}'.casefold().replace('.', ' ').replace(',', ' ').split())
    return {swap.made(text) for swap in swaps(text, shielded(text), said)}


def test_every_pattern_finds_its_words():
    """Each word of each group is asked for once, so that no pattern fails to compile when a caption first holds it."""
    for words in ATTRIBUTES:
        for word in words:
            swaps(f'It is the {word} of it.', f'It is the {word} of it.', frozenset())
    assert len(SENSES) == len(ATTRIBUTES)


@pytest.mark.parametrize('text', [
    'They left the room.', 'He has left.', 'It is right next to the door.', 'She is all right.', 'They have the right to vote.', 'From left to right.',
    'Everything that is left of the castle is a wall.', 'There is nothing left on the plate.', 'The birds even sing.', 'The odd one out is here.',
    'She looks back at the camera.', 'He leans back.', 'In front of it is a car.', 'It hangs under a light in the hall.', 'The lamp gives light.',
    'The box is light.', 'Boats lie on an open sea.', 'They open the door.', 'Turn it off at last.', 'Last night it rained.', 'The first aid kit hangs here.',
    'It was named after the river.', 'He is looking after it.', 'After a while it rained.', 'The full moon shines.', 'It is full of water.',
    'Hot dogs are sold here.', 'Hot air balloons float.', 'A rose lies here.', 'Snow falls on the roof.', 'Niagara Falls is near.', 'Most of the seats are taken.',
    'It gets more expensive.', 'At least it rains.', 'The late actor sleeps.', 'It is late.', 'One of them sleeps.', 'No one is here.', 'There is one dog here.',
    'Two-thirds of it is gone.', 'Three of the four windows.', 'There is an orange on the plate.', 'An orange slice lies here.', 'He peels an orange.',
    'Birds circle the tower.', 'The square root of it.', 'It is 40 square meters.', 'The town square.', 'A black and white photo.', 'The White House.',
    'Mr. Brown sleeps.', 'The Red Sox win.', 'A glass of red wine.', 'A wide variety of fruit.', 'It is 6 feet tall.', 'A short film.', 'He is 5 years old.',
    'A 5-year-old toy.', 'An old toy.', 'He is as happy as possible.', 'A dream has come true.', 'He never wears any shoes.', 'A little bit of it.',
    'A big deal.', 'On top of it.', 'A tank top.', 'A night stand.', 'All day long.', 'At night.', 'A man and a woman.', 'The woman is an actress.',
    'The man is her husband.', 'A bearded man.', 'The upper floors and the lower floors.', 'A large number of birds.', 'a blue-green vase', 'An off-white wall.',
])  # fmt: skip
def test_a_word_in_another_sense_stays(text):
    assert changed(text) <= ({text.replace('upper', 'lower')} if 'upper' in text else set())


@pytest.mark.parametrize(('text', 'expected'), [
    ('A man has left his bag on the bench.', {'A woman has left her bag on the bench.'}),
    ('A woman even wears a hat while she rides her bicycle.', {'A man even wears a hat while he rides his bicycle.'}),
    ('A woman waits; a car passes her.', {'A man waits; a car passes him.'}), ('The boy hurt himself.', {'The girl hurt herself.'}),
    ('The man is here. The man waves.', {'The woman is here. The woman waves.'}), ('An old man.', {'A young man.', 'An old woman.'}),
    ('Men sit here.', {'Women sit here.'}), ('A male nurse.', {'A female nurse.'}),
    ('He holds it with his right hand.', {'He holds it with his left hand.'}), ('It stands on the left.', {'It stands on the right.'}),
    ('A tree is left of the house.', {'A tree is right of the house.'}), ('Turn left at the corner.', {'Turn right at the corner.'}),
    ('It is at the top of it.', {'It is at the bottom of it.'}), ('An even number.', {'An odd number.'}), ('The door is open.', {'The door is closed.'}),
    ('An open door.', {'A closed door.'}), ('An empty glass.', {'A full glass.'}), ('A light blue wall', None), ('An increase.', {'A decrease.'}),
    ('Prices rose to 5.', {'Prices fell to 5.'}), ('The first row.', {'The last row.'}), ('An early morning.', {'A late morning.'}),
    ('It is impossible to see.', {'It is possible to see.'}), ('During the day it rains.', {'During the night it rains.'}),
    ('There are more than 5.', {'There are fewer than 5.'}), ('It is higher than that.', {'It is lower than that.'}),
])  # fmt: skip
def test_a_word_in_its_sense_is_changed_with_all_that_agrees(text, expected):
    made = changed(text)
    assert made == expected if expected else 'A dark blue wall' in made


def test_a_colour_keeps_its_article_and_number_words_keep_their_plural():
    suits = changed('An astronaut in an orange suit.')
    assert len(suits) == 11
    assert all(text.startswith('An astronaut in a ') for text in suits)
    assert 'A man with an orange hat.' in changed('A man with a red hat.')
    assert changed('Two boats.') == {f'{word} boats.' for word in ('Three', 'Four', 'Five', 'Six', 'Seven', 'Eight', 'Nine', 'Ten')}


def test_an_orange_is_a_colour_only_where_it_stands_as_one():
    for text in ('The cat is {}.', 'The {} cat sleeps.', '{} and white stripes', 'The one in {}', 'bright {}'):
        assert text.format('pink') in changed(text.format('orange')), text


@pytest.mark.parametrize(('answer', 'question', 'alone'), [
    ('orange', 'What fruit is it?', True), ('orange', 'What color is it?', False), ('light', 'What hangs there?', True), ('left', 'On which side?', False),
    ('left', 'What did he do?', True), ('red', '', False),
])  # fmt: skip
def test_a_lone_word_is_changed_only_if_its_sense_was_asked_for(answer, question, alone):
    assert asked_for(answer, question) is not alone
    made = propose_negative('s/f#1/0', question, answer)
    assert isinstance(made, Negative) is not alone


@pytest.mark.parametrize('text', ['Un homme porte une chemise orange.', 'Een man staat bij de open deur van het huis.', 'Der Mann hat eine rote Rose im Garten.',
                                  '红色的圆在左边。'])  # fmt: skip
def test_words_of_other_languages_that_look_english_stay(text):
    made = propose_negative('s/f#1/0', '', text)
    assert not isinstance(made, Negative)
