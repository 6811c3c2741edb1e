"""Texts compared and checked: the strict and the loose form, signs, markup, what nobody sees, what repeats a benchmark."""
