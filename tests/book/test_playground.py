"""The playground and the live book in headless Chromium, from the folder that the build makes."""

import http.server
import json
import shutil
import socket
import threading
import time
import zipfile
from contextlib import ExitStack
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from microgrannd.app import play_program

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
CHAPTERS = ["01-a-number-that-remembers", "02-the-chain-rule", "07-do-not-trust-check"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
SWITCHES = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-default-apps --disable-dev-shm-usage"
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs Chromium and its driver"),
    pytest.mark.skipif(not shutil.which("npm"), reason="needs npm"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The playground with three chapters of the book, newly built."""
    pytest.importorskip("nbclient")
    from docs import build_book, build_playground

    chapters, book, built = (tmp_path_factory.mktemp(name) for name in ("notebooks", "book", "playground"))
    for name in CHAPTERS:
        shutil.copy(NOTEBOOKS / f"{name}.ipynb", chapters)
    build_book.render_all(chapters, book)
    build_playground.build(built, book)
    return built


def served(server):
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://localhost:{server.server_address[1]}"


@pytest.fixture(scope="module")
def address(folder):
    """As `microgrannd play` serves it."""
    with play_program.server(folder, 0) as server:
        yield served(server)
        server.shutdown()


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    webdriver = pytest.importorskip("selenium.webdriver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for switch in [*SWITCHES.split(), f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"]:
        options.add_argument(switch)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield driver
    driver.quit()


class Screen:
    """A page of the folder, open in the browser."""

    def __init__(self, driver, url, width=1280, *, dark=False):
        self.driver = driver
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        driver.get_log("browser")
        driver.get_log("performance")
        driver.get("about:blank")
        driver.get(url)

    def script(self, code, *arguments):
        return self.driver.execute_script(code, *arguments)

    def find(self, selector):
        return self.driver.find_element("css selector", selector)

    def all(self, selector):
        return self.driver.find_elements("css selector", selector)

    def press(self, *keys):
        self.driver.switch_to.active_element.send_keys(*keys)

    def until(self, condition, seconds=60):
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, self.script("return document.body.innerText")[-1500:]
            time.sleep(0.02)
        return found

    @property
    def status(self):
        return self.script("return document.querySelector('[role=status]').textContent")

    def finished(self, how="Done", seconds=60):
        self.until(lambda: self.status.startswith(how), seconds)
        self.until(lambda: not self.find(".bar #stop, .bar.live button:nth-of-type(2)").is_enabled())

    def write(self, code):
        """Put a program into the editor, as a reader would paste it."""
        self.find("#editor .cm-content").click()
        keys = self.keys
        self.press(keys.CONTROL + "a")
        self.driver.execute_cdp_cmd("Input.insertText", {"text": code})

    def run(self, code, how="Done", seconds=60):
        self.write(code)
        self.script("document.querySelector('[role=status]').textContent = ''")
        self.find("#run").click()
        self.finished(how, seconds)

    @property
    def keys(self):
        from selenium.webdriver.common.keys import Keys

        return Keys

    @property
    def output(self):
        return self.script("return document.getElementById('output').innerText")

    def complaints(self):
        return [entry for entry in self.driver.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self):
        """The hosts that anything in the page has asked."""
        log = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        sent = [entry["params"]["request"]["url"] for entry in log if entry["method"] == "Network.requestWillBeSent"]
        return {url.split("/")[2] for url in sent if url.startswith("http")}


@pytest.fixture
def page(driver, address):
    """The playground, with the result of its first example."""
    screen = Screen(driver, f"{address}/playground.html")
    screen.finished()
    return screen


def test_the_first_example_is_drawn_within_five_seconds_and_nothing_comes_from_elsewhere(driver, address):
    start = time.monotonic()
    screen = Screen(driver, f"{address}/playground.html")
    screen.until(lambda: screen.all("#output iframe"))
    assert time.monotonic() - start < 5
    assert "f = -12, and its gradient is -4, -4, 3" in screen.output
    screen.driver.switch_to.frame(screen.find("#output iframe"))
    image = screen.find("img")
    screen.until(lambda: screen.script("return arguments[0].naturalWidth", image) > 100)
    screen.driver.switch_to.default_content()
    screen.until(lambda: 100 < screen.find("#output iframe").size["height"] < 400)
    assert screen.complaints() == []
    assert screen.requests() == {address.removeprefix("http://")}


def titles():
    from docs import build_playground

    return [example["title"] for example in build_playground.examples()]


ERRORS = {"Gradients, checked by differences": 13, "Awkward points: kinks, poles, infinities": 16}


@pytest.mark.parametrize("title", titles())
def test_every_example_of_the_menu_runs(title, page):
    page.write("")
    page.script("document.querySelector('[role=status]').textContent = ''")
    for option in page.all("#examples option"):
        if option.text == title:
            option.click()
    page.finished("An error" if title in ERRORS else "Done")
    assert page.output or page.all("#output iframe")
    assert page.find("#examples option:checked").text == title
    if title in ERRORS:
        assert f"Line {ERRORS[title]}: " in page.output
    assert page.complaints() == []


def test_text_comes_as_it_is_printed(page):
    page.write("import time\nfor i in range(3):\n    print('part', i)\n    time.sleep(0.7)")
    page.find("#run").click()
    page.until(lambda: "part 0" in page.output)
    assert "part 2" not in page.output
    page.finished()
    assert "part 2" in page.output


ENDLESS = {
    "a loop": "while True:\n    pass",
    "a loop that prints": "i = 0\nwhile True:\n    i += 1\n    print(i)",
    "a loop that will not be interrupted": "while True:\n    try:\n        x = 1\n    except BaseException: pass",
    "a call that looks at nothing else": "sum(range(10**15))",
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_never_ends_is_stopped_within_a_second_and_the_page_lives(kind, page):
    page.write(ENDLESS[kind])
    page.find("#run").click()
    page.until(lambda: page.status == "Running…")
    time.sleep(0.5)
    took = page.driver.execute_async_script(
        "const [stop, done] = [document.getElementById('stop'), arguments[0]], start = performance.now();"
        "new MutationObserver(() => stop.disabled && done(performance.now() - start))"
        ".observe(stop, {attributes: true}); stop.click()"
    )
    assert took < 1000
    assert "Stopped." in page.output
    page.run("1 + 1")
    assert page.output == "2"


def test_an_error_marks_the_line_of_the_program_and_has_its_traceback(page):
    page.run("import microgrannd as mg\n\ndef f(x):\n    return mg.Value(x)\n\nf('3')", "An error")
    assert page.find(".cm-line.wrong").text == "    return mg.Value(x)"
    assert "Line 4: TypeError: " in page.output
    page.find("#output summary").click()
    assert 'File "program", line 6' in page.output
    assert "session.py" not in page.output
    page.run("x = = 3", "An error")
    assert "Line 1: SyntaxError" in page.output
    page.write("x = 3")
    assert page.all(".cm-line.wrong") == []


def test_a_program_goes_into_the_address_and_comes_out_of_it_but_does_not_run_by_itself(driver, page):
    code = 'print("∇ sent", "x" * 3)\n' * 40
    page.write(code)
    page.find("#link").click()
    page.until(lambda: "#code=" in driver.current_url)
    assert len(driver.current_url) < 250
    other = Screen(driver, driver.current_url)
    other.until(lambda: other.status == "Ready")
    assert "came with the link" in other.output
    assert "∇ sent xxx" not in other.output
    other.find("#run").click()
    other.finished()
    assert other.output.count("∇ sent xxx") == 40
    damaged = Screen(driver, driver.current_url[:-9])
    damaged.until(lambda: "damaged" in damaged.output)


def test_an_interpreter_that_dies_is_started_again(page):
    page.run("x = []\nfor _ in range(100_000):\n    x = [x]\ndel x", "Python died")
    assert "Python itself has died" in page.output
    assert "for _ in range(100_000)" in page.find("#editor").text
    page.run("6 * 7")
    assert page.output == "42"


def test_a_million_nodes_are_freed_in_the_page(page):
    code = "import microgrannd as mg\ny = mg.Value(1.0)\nfor _ in range(1_000_000):\n    y = y.sin()\ndel y\n'freed'"
    page.run(code, seconds=60)
    assert page.output == "'freed'"


def test_markup_that_a_program_makes_stays_away_from_the_page(page):
    html = "<img src=x onerror=\\\"top.document.title='run'; parent.document.title='run'\\\"><script>top.x=1</script>"
    page.run(f'class Hostile:\n    def _repr_html_(self):\n        return "{html}"\n\nHostile()')
    page.until(lambda: page.all("#output iframe"))
    time.sleep(0.3)
    assert page.script("return [document.title, window.x]") == ["microgrannd: the playground", None]
    page.run("print('<b>bold</b>')\n'<i>'")
    assert page.output == "<b>bold</b>\n\n'<i>'"


def test_each_visit_has_dice_of_its_own(driver, address):
    """Though all of them wake from one snapshot."""
    thrown = set()
    for _ in range(2):
        screen = Screen(driver, f"{address}/playground.html")
        screen.finished()
        screen.run("import random\nrandom.random()")
        thrown.add(screen.output)
    assert len(thrown) == 2


def test_a_program_does_not_reach_what_the_browser_keeps(page):
    page.run("import js\n[name for name in ('caches', 'indexedDB', 'Worker', 'fetch') if hasattr(js, name)]")
    assert page.output == "['fetch']"


def test_it_works_by_keyboard_alone(page):
    keys = page.keys
    page.script("document.activeElement.blur()")
    reached = []
    for _ in range(12):
        page.press(keys.TAB)
        active = page.driver.switch_to.active_element
        reached.append(active.get_attribute("id") or active.get_attribute("aria-label"))
        assert page.script(
            "const s = getComputedStyle(document.activeElement.closest('.cm-editor') ?? document.activeElement);"
            "return s.outlineStyle"
        ) not in ("none", ""), reached
        if "Program" in reached:
            break
    assert {"examples", "run", "link", "Program"} <= set(reached)
    page.press(keys.CONTROL + "a")
    page.press("if True:", keys.ENTER, "print(12345)")
    page.press(keys.CONTROL + keys.ENTER)
    page.until(lambda: "12345" in page.output)
    page.press(keys.ESCAPE)
    page.press(keys.TAB)
    assert "cm-content" not in page.driver.switch_to.active_element.get_attribute("class")


def test_the_player_plays_in_the_page(page):
    page.run("import microgrannd as mg\nx = mg.Value(2.0, label='x')\nmg.step(x * x + x)")
    page.driver.switch_to.frame(page.until(lambda: page.all("#output iframe"))[0])
    page.driver.switch_to.frame(page.until(lambda: page.all("iframe"))[0])
    page.until(lambda: page.all("#forth"))[0].click()
    assert page.find("#count").text.startswith("1 /")
    page.driver.switch_to.default_content()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("name", ["playground.html", "book/01-a-number-that-remembers.html"])
def test_nothing_is_wider_than_the_screen(name, width, driver, address):
    screen = Screen(driver, f"{address}/{name}", width)
    screen.until(lambda: screen.all(".cm-editor"))
    assert screen.script("return document.documentElement.scrollWidth") <= width
    assert screen.complaints() == []


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def test_a_plain_server_will_do_and_afterwards_no_server_is_needed(folder, driver):
    """Without the headers that `microgrannd play` sends, Stop ends the worker; from then on all is kept."""
    quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(folder)))
    address = served(server)
    screen = Screen(driver, f"{address}/")
    screen.finished()
    assert screen.script("return crossOriginIsolated") is False
    screen.write("while True: pass")
    screen.find("#run").click()
    screen.until(lambda: screen.status == "Running…")
    screen.find("#stop").click()
    screen.until(lambda: "Stopped." in screen.output, 2)
    screen.until(lambda: screen.script("return navigator.serviceWorker.controller !== null"))
    server.shutdown()
    server.server_close()
    for page in ["", "playground.html"]:
        screen = Screen(driver, f"{address}/{page}")
        screen.finished()
        assert "f = -12" in screen.output
        assert screen.script("return crossOriginIsolated") is True
    screen = Screen(driver, f"{address}/book/{CHAPTERS[0]}.html")
    screen.until(lambda: screen.all(".bar.live"))
    screen.find(".bar.live button").click()
    screen.finished()


def test_pyodide_and_libraries_can_come_from_elsewhere(driver, tmp_path):
    """As from a CDN: a server of Pyodide's files that other pages may read, with a small stand-in for NumPy."""
    from docs import build_playground

    build_playground.install()
    elsewhere = tmp_path / "cdn"
    shutil.copytree(build_playground.MODULES / "pyodide", elsewhere)
    wheel = elsewhere / "numpy-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("numpy/__init__.py", "name = 'a stand-in'")
        archive.writestr("numpy-1.dist-info/METADATA", "Name: numpy\nVersion: 1\n")
        archive.writestr("numpy-1.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    lock = json.loads((elsewhere / "pyodide-lock.json").read_text())
    lock["packages"]["numpy"] |= {"file_name": wheel.name, "sha256": sha256(wheel.read_bytes()).hexdigest()}
    (elsewhere / "pyodide-lock.json").write_text(json.dumps(lock))
    with ExitStack() as stack:
        cdn = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Open, directory=elsewhere)))
        there = served(cdn)
        build_playground.build(tmp_path / "built", tmp_path / "no book", f"{there}/")
        server = stack.enter_context(play_program.server(tmp_path / "built", 0))
        stack.callback(cdn.shutdown)
        here = served(server)
        stack.callback(server.shutdown)
        screen = Screen(driver, f"{here}/playground.html")
        screen.finished()
        assert screen.requests() >= {here.removeprefix("http://")}
        assert not (tmp_path / "built" / "play" / "pyodide").exists()
        assert "The book" not in screen.find("header").text
        screen.run("import numpy\nnumpy.name")
        assert screen.output == "'a stand-in'"
        screen.run("import scipy", "Done")  # which is on the list there, and not to be had
        screen.run("import scipy\nscipy.special", "An error")
        assert "scipy is not in the browser's Python" in screen.output


class Open(http.server.SimpleHTTPRequestHandler):
    """A server whose files the pages of others may use."""

    extensions_map = play_program.PlaygroundFiles.extensions_map

    def end_headers(self):
        self.send_header("Access-Control-Allow-Origin", "*")
        self.send_header("Cross-Origin-Resource-Policy", "cross-origin")
        super().end_headers()

    def log_message(self, *_):
        pass


# ---- the live book


@pytest.fixture
def chapter(driver, address):
    def opened(name, **settings):
        screen = Screen(driver, f"{address}/book/{name}.html", **settings)
        screen.until(lambda: screen.all(".bar.live"))
        return screen

    return opened


def test_a_chapter_runs_whole_and_shows_what_the_notebook_shows(chapter):
    screen = chapter(CHAPTERS[0])
    stored = screen.script("return [...document.querySelectorAll('.output_wrapper')].map((e) => e.innerText.trim())")
    screen.find(".bar.live button").click()
    screen.finished()
    found = screen.script(
        "return [...document.querySelectorAll('.code_cell')].filter((c) => c.querySelector('.output_wrapper'))"
        ".map((c) => c.querySelector('.live-output').innerText.trim())"
    )
    assert found == [text if "image" not in text else "" for text in stored]
    assert screen.all(".error") == []
    assert len(screen.all(".live-output iframe")) == 3
    assert [e.is_displayed() for e in screen.all(".output_wrapper")] == [False] * len(stored)
    assert screen.complaints() == []


def test_a_cell_is_changed_in_place_and_runs_with_those_above_it(chapter):
    screen = chapter(CHAPTERS[0])
    cell = screen.all(".code_cell")[1]
    cell.find_element("css selector", ".cm-content").click()
    screen.press(screen.keys.CONTROL + screen.keys.END)
    screen.press(" + 1000", screen.keys.CONTROL + screen.keys.ENTER)
    screen.finished()
    assert cell.find_element("css selector", ".live-output").text == "1715.0"
    undo = cell.find_element("xpath", ".//button[text()='As in the book']")
    undo.click()
    assert not undo.is_displayed()
    cell.find_element("css selector", "button.run").click()
    screen.until(lambda: cell.find_element("css selector", ".live-output").text.startswith("715.0"))


def test_an_error_in_a_cell_is_marked_and_ends_the_run(chapter):
    screen = chapter(CHAPTERS[1])
    cell = screen.all(".code_cell")[1]
    cell.find_element("css selector", ".cm-content").click()
    screen.press(screen.keys.CONTROL + screen.keys.END)
    screen.press(screen.keys.ENTER, "1 / 0")
    screen.find(".bar.live button").click()
    screen.finished("An error")
    assert screen.find(".cm-line.wrong").text == "1 / 0"
    assert "ZeroDivisionError" in cell.text
    assert [e.text for e in screen.all(".live-output")[2:]] == [""] * (len(screen.all(".live-output")) - 2)


def test_a_player_of_a_chapter_plays(chapter):
    screen = chapter(CHAPTERS[1])
    screen.all("button.run[aria-label='Run cell 3']")[0].click()
    screen.finished()
    screen.driver.switch_to.frame(screen.all(".code_cell")[2].find_element("css selector", ".live-output iframe"))
    screen.driver.switch_to.frame(screen.until(lambda: screen.all("iframe"))[0])
    screen.until(lambda: screen.all("#forth"))[0].click()
    assert screen.find("#count").text == "1 / 7"
    screen.driver.switch_to.default_content()


def test_what_needs_matplotlib_says_so_and_shows_what_is_stored_and_all_else_runs(chapter):
    screen = chapter(CHAPTERS[2])
    screen.find(".bar.live button").click()
    screen.finished()
    cells = [cell for cell in screen.all(".code_cell") if cell.find_elements("css selector", ".note")]
    assert len(cells) == 1
    assert "needs matplotlib" in cells[0].text
    assert "Below is what it showed" in cells[0].text
    assert cells[0].find_element("css selector", ".output_wrapper img").is_displayed()
    assert "smallest error" in screen.all(".live-output")[3].text
    assert screen.all(".error") == []


def test_stop_keeps_the_names_of_a_chapter(chapter):
    screen = chapter(CHAPTERS[1])
    screen.all("button.run[aria-label='Run cell 2']")[0].click()
    screen.finished()
    cell = screen.all(".code_cell")[2]
    cell.find_element("css selector", ".cm-content").click()
    screen.press(screen.keys.CONTROL + "a")
    screen.press("while True: pass", screen.keys.CONTROL + screen.keys.ENTER)
    screen.until(lambda: screen.status == "Running cell 3 of 11…")
    time.sleep(0.3)
    screen.find(".bar.live button:nth-of-type(2)").click()
    screen.finished("Stopped", 3)
    assert "Stopped." in cell.text
    cell.find_element("css selector", ".cm-content").click()
    screen.press(screen.keys.CONTROL + "a")
    screen.press("f.data", screen.keys.CONTROL + screen.keys.ENTER)
    screen.until(lambda: cell.find_element("css selector", ".live-output").text == "-12.0", 10)
