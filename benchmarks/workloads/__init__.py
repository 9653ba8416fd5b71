"""The workloads: each file has a `run` that gives the rows of all peers, after a check that all compute the same."""
