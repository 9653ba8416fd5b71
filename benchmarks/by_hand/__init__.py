"""What a person writes by hand for a workload: in C, for numba, with NumPy."""
