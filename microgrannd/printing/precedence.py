"""How tightly an expression's outermost operator binds, the same for all dialects: the larger, the tighter."""

# ANY binds nothing, as between commas; CHOICE is C's `? :`, and MATRIX a product of matrices among array products.
ANY, CHOICE, COMPARISON, SUM, MATRIX, PRODUCT, SIGN, POWER, ATOM = range(9)
