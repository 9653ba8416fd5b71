"""Whole programs as text: Python and C functions around the printed lines."""
