"""Whole programs as text: Python, C and Coq around the printed lines, and proofs of them."""
