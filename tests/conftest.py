import sys
from collections import Counter

import pytest

pytest.register_assert_rewrite("tests.eager_training")


@pytest.fixture(autouse=True, scope="session")
def state_home(tmp_path_factory):
    """The key for cached code is not that of who runs the tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="also run the tests that take seconds")
    parser.addoption("--long", action="store_true", help="also run the tests that take minutes")
    parser.addoption("--skipped", action="store_true", help="run what the last whole run skipped, and no more")


SKIPPED = "microgrannd/skipped"
skipped = {}  # a test, or a file, and why


def pytest_runtest_logreport(report):
    if report.skipped and isinstance(report.longrepr, tuple):
        skipped[report.nodeid] = report.longrepr[2].removeprefix("Skipped: ")


pytest_collectreport = pytest_runtest_logreport


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session):
    yield
    config = session.config
    if hasattr(config, "workerinput"):
        return
    if skipped:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in Counter(skipped.values()).most_common())
        config.get_terminal_writer().line(f"It is normal that {len(skipped)} are skipped: {reasons}.")
    cache = getattr(config, "cache", None)
    is_whole = config.args_source is not config.ArgsSource.ARGS and not config.getoption("--skipped")
    if cache and is_whole:
        cache.set(SKIPPED, sorted(skipped))


def pytest_collection_modifyitems(config, items):
    if config.getoption("--skipped"):
        wanted = set(config.cache.get(SKIPPED, []))
        items[:] = [item for item in items if not wanted.isdisjoint({item.nodeid, item.nodeid.split("::")[0]})]
    for mark, time in ("slow", "seconds"), ("long", "minutes"):
        if not config.getoption(f"--{mark}"):
            skip = pytest.mark.skip(reason=f"takes {time}: run with --{mark}")
            for item in items:
                if mark in item.keywords:
                    item.add_marker(skip)


# What Python says in a browser, which has neither threads nor processes.
NOT_THERE = ("can't start new thread", "emscripten does not support processes", "No module named '_multiprocessing'")


def pytest_configure():
    """In Pyodide, which is slow at first, no example has a deadline."""
    if sys.platform == "emscripten":
        from hypothesis import HealthCheck, settings

        settings.register_profile("browser", deadline=None, suppress_health_check=[HealthCheck.too_slow])
        settings.load_profile("browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """In Pyodide, a test that starts a thread or a process is skipped when it does."""
    try:
        return (yield)
    except (RuntimeError, OSError, ModuleNotFoundError) as error:
        if sys.platform == "emscripten" and any(text in str(error) for text in NOT_THERE):
            pytest.skip(f"not in a browser: {error}")
        raise
