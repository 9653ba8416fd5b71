"""LLVM's assembly for training: epochs of batches, with a step of the optimizer after each, in one call."""

from typing import Final

from microgrannd.compiler.native.kernel_source import Assembly, kernel, module
from microgrannd.compiler.tape.tape import Tape
from microgrannd.compiler.tape.update import Update


def fit_source(tape: Tape, update: Update) -> str:
    """The assembly of `fit`; its `width` is the number of parameters, rounded up to whole vectors.

    Unless `guarded`, it stops before the step of a batch one of whose gradients is NaN, and gives 1.
    """
    prepare, step = kernel(update.shared, "one", "prepare"), kernel(update.each, "each", "step")
    return module(kernel(tape, "total"), prepare, step, Assembly(frozenset(), (_FIT,)))


_FIT: Final = """\
define i64 @fit(ptr %columns, ptr %parameters, ptr %sums, ptr %given, ptr %numbers, ptr %before, ptr %after,
               ptr %losses, i64 %steps, i64 %epochs, i64 %count, i64 %size, i64 %limit, i64 %width,
               i64 %guarded) {
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
  %gradients.place = getelementptr double, ptr %sums, i64 %k
  %gradients = load <8 x double>, ptr %gradients.place, align 8
  %sum.after = fadd <8 x double> %sum, %gradients
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
  call void @prepare(ptr %given, ptr %given, ptr %numbers)
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
