"""The modes hold for the thread or the task that opened a block, for as long as the block is open and no longer."""

import asyncio
import sys
import threading

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.ground import modes


def recorded():
    """Whether arithmetic makes nodes here and now."""
    x = Value(3.0)
    return (x * x).parents == (x, x)


def test_a_block_of_one_task_is_not_around_another():
    async def evaluate():
        with mg.no_grad():
            await asyncio.sleep(0.01)
            return recorded()

    async def train():
        await asyncio.sleep(0.001)
        return recorded()

    async def both():
        return await asyncio.gather(evaluate(), train())

    assert asyncio.run(both()) == [False, True]
    assert recorded()


def test_tasks_whose_blocks_end_out_of_order_leave_nothing_behind():
    async def evaluate(start, stop):
        await asyncio.sleep(start)
        with mg.no_grad(), mg.scope("evaluation"):
            await asyncio.sleep(stop - start)

    async def named(name):
        with mg.scope(name):
            await asyncio.sleep(0.005)
            return (Value(1.0) * 2).scope

    async def main():
        await asyncio.gather(evaluate(0, 0.01), evaluate(0.005, 0.02))
        return await asyncio.gather(named("c"), named("d"))

    assert asyncio.run(main()) == ["c", "d"]
    assert recorded()
    assert not modes.opened


def test_a_thread_begins_without_modes():
    found = []
    with mg.no_grad():
        thread = threading.Thread(target=lambda: found.append(recorded()))
        thread.start()
        thread.join()
    assert found == [True]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_blocks_may_end_in_any_order(order):
    def quiet(name):
        with mg.no_grad(), mg.scope(name):
            while True:
                yield (Value(1.0) * 2).scope

    generators = [quiet("a"), quiet("b")]
    for generator in generators:
        next(generator)
    assert not recorded()
    for k in order:
        generators[k].close()
    with mg.scope("c"):
        assert recorded()
        assert (Value(1.0) * 2).scope == "c"


def test_a_decorated_generator_is_inside_the_block_at_each_step_and_the_caller_is_not():
    @mg.no_grad()
    def steps(sent):
        sent.append((yield recorded()))
        try:
            yield recorded()
        except KeyError as error:
            sent.append(error)
        return "done"

    sent = []
    generator = steps(sent)
    assert next(generator) is False
    assert recorded()
    assert generator.send(5) is False
    with pytest.raises(StopIteration) as end:
        generator.throw(KeyError("k"))
    assert end.value.value == "done"
    assert sent[0] == 5
    assert isinstance(sent[1], KeyError)


def test_a_decorated_generator_that_is_closed_runs_its_cleaning_up():
    cleaned = []

    @mg.no_grad()
    def steps():
        try:
            yield 1
        finally:
            cleaned.append(recorded())

    generator = steps()
    next(generator)
    generator.close()
    assert cleaned == [False]


def test_a_decorated_coroutine_is_inside_the_block_and_an_asynchronous_generator_is_refused():
    @mg.no_grad()
    async def evaluate():
        await asyncio.sleep(0)
        return recorded()

    assert asyncio.run(evaluate()) is False

    async def stream():
        yield 1

    with pytest.raises(TypeError, match="stream is an asynchronous generator: write `with` inside it"):
        mg.no_grad()(stream)


def test_a_block_is_not_entered_twice_at_once():
    block = mg.no_grad()
    with block, pytest.raises(RuntimeError, match="open already"), block:
        pass
    with block:
        assert not recorded()
    assert recorded()


@pytest.mark.parametrize("mode", [mg.no_grad, mg.detect_anomaly, mg.source_lines, lambda: mg.scope("s")])
def test_an_interrupt_at_any_instruction_leaves_no_block_open(mode):
    """A trace function raises at the k-th instruction of the room, for every k, as Ctrl-C does."""

    def interrupted_at(k):
        count = 0

        def trace(frame, event, argument):
            nonlocal count
            if frame.f_code.co_filename != modes.__file__:
                return None
            frame.f_trace_opcodes = True
            if event == "opcode":
                count += 1
                if count == k:
                    raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            with mode():
                pass
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    interrupted_at(0)  # Python 3.12 tells of instructions from the second time on
    k = 1
    while interrupted_at(k):
        assert not modes.opened, f"interrupted at instruction {k}"
        assert recorded()
        assert modes.now() == modes.Modes()
        k += 1
    assert k > 50
