"""English as answers are written in it: words that exclude each other and the senses they have, agreement, negation."""
