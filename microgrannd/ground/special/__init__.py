"""Special functions of floats, in straight lines of other functions, so that the same text is a row's `form` too.

Choices are made by `where`, so both ways are computed, and none of them may raise: a divisor that may be zero is
`div`'s. The coefficients are those of Chebyshev interpolation at 60 digits of what the comment beside them says.
"""
