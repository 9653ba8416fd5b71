"""LLVM's assembly for training: epochs of batches, with a step of the optimizer after each, in one call."""

from typing import Final

from microgrannd.compiler.native.kernel_source import Assembly, kernel, module
from microgrannd.compiler.native.loop_kernel import assembly
from microgrannd.compiler.recurrences.derive import Rolled
from microgrannd.compiler.tape.tape import Tape
from microgrannd.compiler.tape.update import Update


def fit_source(program: Tape | Rolled, update: Update, clips: bool = False) -> str:
    """The assembly of `fit`; its `width` is the number of parameters, rounded up to whole vectors.

    `given` has 1 / batch size, the count of the step, the settings, and the largest norm and gradient for one that
    `clips`. The learning rate of a step, from `rates`, goes into its `rate.place`.

    Unless `guarded`, it stops before the step of a batch one of whose gradients is NaN, and gives 1.
    """
    prepare, step = kernel(update.shared, "one", "prepare"), kernel(update.each, "each", "step")
    place = len(update.shared.inputs)
    fit = _FIT.replace("CLIP", _CALL.format(norm=place, value=place + 1) if clips else "")
    parts = [Assembly(_INTRINSICS, (_CLIP,))] if clips else []
    return module(assembly(program, "total"), prepare, step, *parts, Assembly(frozenset(), (fit,)))


_FIT: Final = """\
define i64 @fit(ptr %columns, ptr %parameters, ptr %sums, ptr %given, ptr %numbers, ptr %before, ptr %after,
               ptr %losses, ptr %rates, i64 %steps, i64 %epochs, i64 %count, i64 %size, i64 %limit, i64 %width,
               i64 %rate.place, i64 %rate.stride, i64 %guarded) {
entry:
  %plain = icmp eq i64 %guarded, 0
  %share.place = getelementptr double, ptr %given, i64 0
  %step.place = getelementptr double, ptr %given, i64 1
  %count.number = sitofp i64 %count to double
  br label %next.epoch

next.epoch:
  %epoch = phi i64 [ 0, %entry ], [ %epoch.after, %epoch.end ]
  %done.before = phi i64 [ 0, %entry ], [ %done.after, %epoch.end ]
  %training = icmp slt i64 %epoch, %epochs
  br i1 %training, label %batch, label %end

batch:
  %begin = phi i64 [ 0, %next.epoch ], [ %stop, %step.now ]
  %done = phi i64 [ %done.before, %next.epoch ], [ %done.after, %step.now ]
  %loss = phi double [ 0.0, %next.epoch ], [ %loss.after, %step.now ]
  %full = add i64 %begin, %size
  %beyond = icmp sgt i64 %full, %count
  %stop = select i1 %beyond, i64 %count, i64 %full
  call void @total(ptr %columns, ptr %parameters, ptr %sums, i64 %begin, i64 %stop, i64 %limit)
  br label %check

check:
  %k = phi i64 [ 1, %batch ], [ %k.after, %check ]
  %sum = phi <8 x double> [ zeroinitializer, %batch ], [ %sum.after, %check ]
  %next.eight = getelementptr double, ptr %sums, i64 %k
  %eight = load <8 x double>, ptr %next.eight, align 8
  %sum.after = fadd <8 x double> %sum, %eight
  %k.after = add i64 %k, 8
  %unchecked = icmp sle i64 %k.after, %width
  br i1 %unchecked, label %check, label %checked

checked:
  %odd = fcmp uno <8 x double> %sum.after, zeroinitializer
  %odd.bits = bitcast <8 x i1> %odd to i8
  %is.nan = icmp ne i8 %odd.bits, 0
  %stops = and i1 %is.nan, %plain
  br i1 %stops, label %stopped, label %step.now

step.now:
  %done.after = add i64 %done, 1
  %step.count = add i64 %steps, %done.after
  %step.number = sitofp i64 %step.count to double
  %batch.size = sub i64 %stop, %begin
  %batch.number = sitofp i64 %batch.size to double
  %share = fdiv double 1.0, %batch.number
  store double %share, ptr %share.place
  store double %step.number, ptr %step.place
  %rate.index = mul i64 %done, %rate.stride
  %rate.from = getelementptr double, ptr %rates, i64 %rate.index
  %rate = load double, ptr %rate.from
  %rate.to = getelementptr double, ptr %given, i64 %rate.place
  store double %rate, ptr %rate.to
CLIP  call void @prepare(ptr %given, ptr %given, ptr %numbers)
  call void @step(ptr %before, ptr %numbers, ptr %after, i64 0, i64 %width, i64 %width)
  %batch.loss = load double, ptr %sums
  %loss.after = fadd double %loss, %batch.loss
  %more = icmp slt i64 %stop, %count
  br i1 %more, label %batch, label %epoch.end

epoch.end:
  %mean = fdiv double %loss.after, %count.number
  %loss.place = getelementptr double, ptr %losses, i64 %epoch
  store double %mean, ptr %loss.place
  %epoch.after = add i64 %epoch, 1
  br label %next.epoch

stopped:
  ret i64 1

end:
  ret i64 0
}"""

_CALL: Final = """\
  %norm.place = getelementptr double, ptr %given, i64 {norm}
  %norm = load double, ptr %norm.place
  %value.place = getelementptr double, ptr %given, i64 {value}
  %value = load double, ptr %value.place
  %gradients = getelementptr double, ptr %sums, i64 1
  call void @clip(ptr %gradients, i64 %width, double %share, double %norm, double %value)
"""

_INTRINSICS: Final = frozenset([f"declare double @llvm.{name}.f64(double)" for name in ("fabs", "sqrt")])
# What `learning.clipping` does, to the gradients summed over a batch, 1 / share times their mean; no square overflows.
_CLIP: Final = """\
define void @clip(ptr %gradients, i64 %width, double %share, double %norm, double %value) {
entry:
  %limit = fdiv double %value, %share
  %lower = fneg double %limit
  %all = fcmp oeq double %norm, 0x7FF0000000000000
  br label %each

each:
  %i = phi i64 [ 0, %entry ], [ %i.after, %each ]
  %largest = phi double [ 0.0, %entry ], [ %largest.after, %each ]
  %place = getelementptr double, ptr %gradients, i64 %i
  %given = load double, ptr %place
  %above = fcmp ogt double %given, %limit
  %lowered = select i1 %above, double %limit, double %given
  %below = fcmp olt double %lowered, %lower
  %kept = select i1 %below, double %lower, double %lowered
  store double %kept, ptr %place
  %size = call double @llvm.fabs.f64(double %kept)
  %larger = fcmp ogt double %size, %largest
  %largest.after = select i1 %larger, double %size, double %largest
  %i.after = add i64 %i, 1
  %more = icmp slt i64 %i.after, %width
  br i1 %more, label %each, label %measured

measured:
  %none = fcmp oeq double %largest.after, 0.0
  %unit = select i1 %none, double 1.0, double %largest.after
  br i1 %all, label %end, label %square

square:
  %j = phi i64 [ 0, %measured ], [ %j.after, %square ]
  %sum = phi double [ 0.0, %measured ], [ %sum.after, %square ]
  %from = getelementptr double, ptr %gradients, i64 %j
  %gradient = load double, ptr %from
  %part = fdiv double %gradient, %unit
  %squared = fmul double %part, %part
  %sum.after = fadd double %sum, %squared
  %j.after = add i64 %j, 1
  %squares = icmp slt i64 %j.after, %width
  br i1 %squares, label %square, label %summed

summed:
  %root = call double @llvm.sqrt.f64(double %sum.after)
  %length = fmul double %root, %unit
  %infinite = fcmp oeq double %unit, 0x7FF0000000000000
  %whole = select i1 %infinite, double %unit, double %length
  %mean = fmul double %whole, %share
  %padded = fadd double %mean, 0x3EB0C6F7A0B5ED8D
  %factor = fdiv double %norm, %padded
  %small = fcmp oge double %factor, 1.0
  br i1 %small, label %end, label %scale

scale:
  %k = phi i64 [ 0, %summed ], [ %k.after, %scale ]
  %to = getelementptr double, ptr %gradients, i64 %k
  %long = load double, ptr %to
  %short = fmul double %long, %factor
  store double %short, ptr %to
  %k.after = add i64 %k, 1
  %scales = icmp slt i64 %k.after, %width
  br i1 %scales, label %scale, label %end

end:
  ret void
}"""
