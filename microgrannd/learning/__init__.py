"""What learning needs: modules and where their parameters start, and the one loop over epochs."""
