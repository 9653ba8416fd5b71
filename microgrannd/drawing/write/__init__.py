"""How it is written down: SVG, animated SVG, DOT, text."""
