"""Writing LLVM's assembly: arithmetic, the operations, mathematics on vectors."""
