"""What the workload mnist is made of: its peers on arrays, engines of scalars, the costs beside the arithmetic."""
