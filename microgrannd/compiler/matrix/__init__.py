"""From scalars to arrays: the groups and the products that stand in a tape, as array code."""
