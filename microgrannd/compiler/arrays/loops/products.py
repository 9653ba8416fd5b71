"""LLVM's assembly for the product of two matrices and for the transpose of one, of any sizes.

`product` adds up a block of the result at a time in registers (Goto and van de Geijn, "Anatomy of high-performance
matrix multiplication", 2008); `transpose` copies eight by eight.
"""

from typing import Final

from microgrannd.compiler.arrays.loops.emitter import LoopEmitter
from microgrannd.compiler.llvm.emitter import LANES

# The shapes of blocks: rows, and vectors in each row, so that all sums stay in registers.
MANY_REGISTERS: Final = ((8, 2, 1), (3, 1))
FEW_REGISTERS: Final = ((4, 2, 1), (1,))

_HEAD: Final = "ptr noalias %a, i64 %a.row, i64 %a.along, ptr noalias %b, i64 %b.along, ptr noalias %c, i64 %c.row"


def product_source(*, many_registers: bool) -> str:
    """The module with the two functions.

    `product(a, a.row, a.along, b, b.along, c, c.row, rows, columns, depth, adds)` gives or adds to the rows
    × columns of c the sums over the depth of a · b; a's number for a row and a place of the depth is at
    row · a.row + place · a.along, b's row for a place at place · b.along, c's row at row · c.row.
    `transpose(from, from.row, to, to.row, rows, columns)` copies the matrix whose rows are the columns.
    """
    rows, vectors = MANY_REGISTERS if many_registers else FEW_REGISTERS
    blocks = [_block(r, v) for v in vectors for r in rows]
    main, transpose = _product(rows, vectors), _transpose()
    declared = sorted(set().union(*[e.declared for e, _ in [*blocks, main, transpose]]))
    return "\n\n".join([*declared, *[e.function(head) for e, head in [*blocks, main, transpose]]]) + "\n"


def _block(rows: int, vectors: int) -> tuple[LoopEmitter, str]:
    """Some rows times some vectors of the result; `keep` are the lanes whose sums start from what is there."""
    e = LoopEmitter()
    c = [[e.element(e.advanced("%c", str(r), "%c.row"), v * LANES) for v in range(vectors)] for r in range(rows)]
    a = [e.advanced("%a", str(r), "%a.row") for r in range(rows)]
    masks = ["%full"] * (vectors - 1) + ["%mask"]
    start = [e.load_where(e.both(masks[v], "%keep"), c[r][v]) for r in range(rows) for v in range(vectors)]
    loop = e.begin("%depth", carried=[("i64", "0"), ("ptr", "%b"), *[(e.number, x) for x in start]])
    place, b, *sums = loop.carried
    row = [e.load_where(masks[v], e.element(b, v * LANES)) for v in range(vectors)]
    after = []
    for r in range(rows):
        x = e.spread_from(e.element(a[r], place))
        after += [e.intrinsic("fmuladd", x, row[v], sums[r * vectors + v]) for v in range(vectors)]
    totals = e.end(loop, [e.line(f"add i64 {place}, %a.along"), e.element(b, "%b.along"), *after])[2:]
    for r in range(rows):
        for v in range(vectors):
            e.store_where(masks[v], totals[r * vectors + v], c[r][v])
    e.do("ret void")
    flags = f"{e.flag} %mask, {e.flag} %full, {e.flag} %keep"
    return e, f"define internal void @block.{rows}.{vectors}({_HEAD}, i64 %depth, {flags}) noinline"


def _product(rows: tuple[int, ...], vectors: tuple[int, ...]) -> tuple[LoopEmitter, str]:
    """Panels of columns, from the widest to the narrowest; in each, blocks of rows from the highest to the lowest."""
    e = LoopEmitter()
    all_lanes = "splat (i1 true)"
    keep = e.line(f"select i1 %adds, {e.flag} {all_lanes}, {e.flag} zeroinitializer")
    column = "0"
    for v in vectors:
        left, size = e.line(f"sub i64 %columns, {column}"), v * LANES
        # Of the last vector some lanes may be beyond the last column, of the others none.
        count = e.line(f"sdiv i64 {e.line(f'add i64 {left}, {LANES - 1}')}, {size}")
        panel = e.begin(count)
        here = e.line(f"add i64 {column}, {e.line(f'mul i64 {panel.index}, {size}')}")
        b, c = e.element("%b", here), e.element("%c", here)
        last = e.line(f"add i64 {here}, {size - LANES}")
        mask = e.mask(e.line(f"sub i64 %columns, {last}"))
        row = "0"
        for r in rows:
            blocks = e.line(f"sdiv i64 {e.line(f'sub i64 %rows, {row}')}, {r}")
            loop = e.begin(blocks)
            first = e.line(f"add i64 {row}, {e.line(f'mul i64 {loop.index}, {r}')}")
            given = (
                f"ptr {e.advanced('%a', first, '%a.row')}, i64 %a.row, i64 %a.along, ptr {b}, i64 %b.along, "
                f"ptr {e.advanced(c, first, '%c.row')}, i64 %c.row, i64 %depth"
            )
            e.do(f"call void @block.{r}.{v}({given}, {e.flag} {mask}, {e.flag} {all_lanes}, {e.flag} {keep})")
            e.end(loop)
            row = e.line(f"add i64 {row}, {e.line(f'mul i64 {blocks}, {r}')}")
        e.end(panel)
        column = e.line(f"add i64 {column}, {e.line(f'mul i64 {count}, {size}')}")
    e.do("ret void")
    return e, f"define void @product({_HEAD}, i64 %rows, i64 %columns, i64 %depth, i1 %adds)"


def _transpose() -> tuple[LoopEmitter, str]:
    """Eight rows at a time become eight columns, by exchanging halves, quarters and neighbours."""
    e = LoopEmitter()
    down = e.begin("%rows", LANES)
    rows = [e.line(f"add i64 {down.index}, {k}") for k in range(LANES)]
    inside = [e.line(f"icmp slt i64 {row}, %rows") for row in rows]
    # A row beyond the last is read as the last one, and not written.
    last = e.line("sub i64 %rows, 1")
    there = [e.line(f"select i1 {ok}, i64 {row}, i64 {last}") for ok, row in zip(inside, rows, strict=True)]
    starts = [e.advanced("%from", row, "%from.row") for row in there]
    kept = e.mask(e.line(f"sub i64 %rows, {down.index}"))
    across = e.begin("%columns", LANES)
    mask = e.mask(e.line(f"sub i64 %columns, {across.index}"))
    block = [e.load_where(mask, e.element(start, across.index)) for start in starts]
    size = LANES // 2
    while size:
        low = [lane + (LANES if lane // size % 2 else 0) - (size if lane // size % 2 else 0) for lane in range(LANES)]
        high = [lane + (0 if lane // size % 2 else size) + (LANES if lane // size % 2 else 0) for lane in range(LANES)]
        for k in range(LANES):
            if not k // size % 2:
                block[k], block[k + size] = (_shuffled(e, block[k], block[k + size], picks) for picks in (low, high))
        size //= 2
    for k, column in enumerate(block):
        place = e.line(f"add i64 {across.index}, {k}")
        here = e.line(f"icmp slt i64 {place}, %columns")
        lanes = e.line(f"select i1 {here}, {e.flag} {kept}, {e.flag} zeroinitializer")
        e.store_where(lanes, column, e.element(e.advanced("%to", place, "%to.row"), down.index))
    e.end(across)
    e.end(down)
    e.do("ret void")
    head = "ptr noalias %from, i64 %from.row, ptr noalias %to, i64 %to.row, i64 %rows, i64 %columns"
    return e, f"define void @transpose({head})"


def _shuffled(e: LoopEmitter, x: str, y: str, picks: list[int]) -> str:
    mask = ", ".join(f"i32 {pick}" for pick in picks)
    return e.line(f"shufflevector {e.number} {x}, {e.number} {y}, <{LANES} x i32> <{mask}>")
