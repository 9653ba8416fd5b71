"""`python -m microgrannd` is the `microgrannd` program."""

import sys

from microgrannd.app.cli import main

if __name__ == "__main__":
    sys.exit(main())
