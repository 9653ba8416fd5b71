"""What needs no more than Python: numbers as IEEE has them, errors, modes, nests, files, data, the terminal."""
