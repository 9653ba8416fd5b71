"""Expressions as text: one printer, and a dialect for each language it writes, words for people among them."""
