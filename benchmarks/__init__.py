"""Every workload beside every peer: `python -m benchmarks` runs all, `python -m benchmarks ops` one."""
