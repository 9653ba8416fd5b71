"""Where it is drawn: ranks, the order within a rank, coordinates."""
