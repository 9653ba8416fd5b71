"""The step player in headless Chromium: keys, clicks, every number on screen, and nothing that leaves the page."""

import base64
import json
import math

import pytest

import microgrannd as mg
from microgrannd import Value
from microgrannd.drawing.picture.lettering import numeral
from microgrannd.nn import MLP
from microgrannd.optim import SGD
from tests.oracles import example

By = pytest.importorskip("selenium.webdriver.common.by").By
Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys
WebDriverWait = pytest.importorskip("selenium.webdriver.support.wait").WebDriverWait
from tests.drawing.screen import Screen, needs_chromium, parsed, same  # noqa: E402

pytestmark = [needs_chromium, pytest.mark.slow]
HOSTILE = "</script><img src=x onerror=\"document.title='run'\">\"'&]]>-->\u2028\u202eabc\u05d0\U0001f600"


def circuit():
    """C-01: (x + y) * z."""
    x, y, z = (Value(number, label=name) for name, number in example("C-01")["inputs"].items())
    q = x + y
    f = q * z
    q.label, f.label = "q", "f"
    return f


def neuron():
    """C-06: sigmoid(w0*x0 + w1*x1 + w2)."""
    w, x = ([Value(v, label=f"{k}{i}") for i, v in enumerate(example("C-06")["inputs"][k])] for k in "wx")
    return mg.sigmoid(w[0] * x[0] + w[1] * x[1] + w[2])


def diamond():
    """x reaches the output by three paths: twice through x * x, once directly."""
    x = Value(3.0, label="x")
    y = x * x + x
    y.label = "y"
    return y


def ladder(rungs):
    """2 ** rungs paths from the output to the leaf."""
    x = Value(1.0, label="x")
    y = x
    for _ in range(rungs):
        y = y * 0.5 + y * 1.25
    return y


def infinite():
    x = Value(0.0, label="x")
    return x.log() * 0.5 + mg.where(x > 1, x.sqrt(), x)


def network():
    return (MLP(2, [3, 1], activation="tanh", seed=1)([0.5, -1.0]) - 1) ** 2


GRAPHS = [circuit, neuron, diamond, infinite, network]


@pytest.mark.parametrize("build", GRAPHS)
def test_every_number_on_screen_is_that_of_backward_steps(build, opened):
    screen = opened(build(), **{"prefers-reduced-motion": "reduce"})
    output = build()
    order = mg.topological_order(output)
    position = {node: i for i, node in enumerate(order)}
    inner = [node for node in order if node.op]
    values = [node.data if node.op is None else None for node in order]
    gradients = [None] * len(order)

    def check():
        shown = screen.graph()
        quiet = [isinstance(node, mg.Constant) for node in order]
        assert same([v for v, _ in shown], values)
        assert same([g for _, g in shown], [None if q else g for q, g in zip(quiet, gradients, strict=True)])

    check()
    for node in inner:
        screen.press(Keys.ARROW_RIGHT)
        values[position[node]] = node.data
        assert same(screen.numbers("#event"), [node.data])
        check()
    screen.press(Keys.ARROW_RIGHT)
    gradients[-1] = 1.0
    check()
    for step in output.backward_steps():
        screen.press(Keys.ARROW_RIGHT)
        gradients[position[step.parent]] = step.after
        *equation, before, after, local, upstream = screen.numbers("#event")
        assert same(equation, [step.upstream, step.local_gradient, step.contribution])
        assert same([before, after, local, upstream], [step.before, step.after, step.local_gradient, step.upstream])
        text = screen.find("#event .equation").text.split()
        assert [numeral(x) for x in equation] == [word for word in text if word[-1].isdigit() or word[-1] in "∞N"][-3:]
        check()
    assert screen.count == f"{screen.last} / {screen.last}"


def test_the_panel_reads_as_the_update_and_the_rule(opened):
    screen = opened(circuit())
    for _ in range(4):
        screen.press(Keys.ARROW_RIGHT)
    text = " ".join(screen.find("#event").text.split())
    assert text.startswith("Backward grad(q) += 1 upstream × −4 local = −4 contribution grad(q): 0 → −4")
    assert "node f = q * z" in text
    assert "rule ∂f/∂q = z = −4" in text
    assert "upstream grad(f) = 1" in text


def test_going_back_undoes_to_the_last_character(opened):
    screen = opened(network(), **{"prefers-reduced-motion": "reduce"})
    seen = [screen.everything()]
    for _ in range(screen.last):
        screen.press(Keys.ARROW_RIGHT)
        seen.append(screen.everything())
    for expected in reversed(seen[:-1]):
        screen.press(Keys.ARROW_LEFT)
        assert screen.everything() == expected
    screen.press(Keys.END)
    assert screen.everything() == seen[-1]
    screen.press(Keys.HOME)
    assert screen.everything() == seen[0]
    middle = screen.last // 2
    for target in (middle, screen.last, 0, middle):
        screen.scrub(target)
        assert screen.everything() == seen[target]


def test_space_plays_to_the_end_and_pauses(opened):
    screen = opened(circuit())
    screen.script("document.getElementById('speed').value = '16'")
    screen.press(Keys.SPACE)
    assert screen.find("#play").get_attribute("aria-label") == "Pause"
    WebDriverWait(screen.browser, 20).until(lambda _: screen.count == "7 / 7")
    assert screen.find("#play").get_attribute("aria-label") == "Play"
    screen.script("document.getElementById('speed').value = '0.5'")
    screen.press(Keys.SPACE)
    assert screen.count == "1 / 7"
    screen.press(Keys.SPACE)
    assert screen.find("#play").get_attribute("aria-label") == "Play"


def test_the_buttons_do_what_the_keys_do(opened):
    screen = opened(circuit())
    counts = []
    for button in ("forth", "forth", "back", "last", "first"):
        screen.find(f"#{button}").click()
        counts.append(screen.count)
    assert counts == ["1 / 7", "2 / 7", "1 / 7", "7 / 7", "0 / 7"]
    assert not screen.find("#back").is_enabled()


def test_a_click_on_a_phase_jumps_to_its_beginning(opened):
    screen = opened(circuit())
    forward, backward = screen.all("#phases span")
    backward.click()
    assert screen.count == "3 / 7"
    forward.click()
    assert screen.count == "1 / 7"


def test_a_click_on_a_node_jumps_to_its_turn(opened):
    screen = opened(circuit())
    screen.press(Keys.ARROW_RIGHT)
    screen.click_node(4)  # f, in the forward phase: where it is computed
    assert screen.count == "2 / 7"
    screen.press(Keys.END)
    screen.click_node(2)  # q, in the backward phase: where it hands its gradient on
    assert screen.count == "6 / 7"
    screen.find("#node").send_keys("f")
    assert screen.count == "4 / 7"


def test_a_leaf_shows_its_paths_with_their_products_and_their_sum(opened):
    screen = opened(diamond())
    screen.click_node(0)
    assert screen.find("#paths h2").text == "3 paths to x"
    routes = [route.text for route in screen.all("#paths .route")]
    assert routes == ["y → x * x → x", "y → x * x → x", "y → x"]
    products = [line.text.splitlines()[-1] for line in screen.all("#paths .path")]
    assert products == ["1 × 3 = 3", "1 × 3 = 3", "1 = 1"]
    assert screen.find("#paths .sum").text == "3 + 3 + 1 = 7 = grad(x)"
    assert len(screen.all("path.edge.lit")) == 4
    screen.all("#paths .path")[2].click()
    assert [edge.get_attribute("id") for edge in screen.all("path.edge.lit")] == ["e2-1"]
    screen.press(Keys.ESCAPE)
    assert screen.all("path.edge.lit") == []
    assert not screen.find("#paths").is_displayed()


def test_paths_agree_with_the_gradients_of_a_network(opened):
    y = network()
    screen = opened(y)
    for i, node in enumerate(mg.topological_order(y)):
        if node.op is None and not isinstance(node, mg.Constant):
            screen.click_node(i)
            products = [
                parsed(line)
                for line in screen.script(
                    "return [...document.querySelectorAll('#paths .product')].map((p) => p.lastElementChild.value)"
                )
            ]
            assert math.fsum(products) == pytest.approx(node.grad, rel=1e-12)
            assert "≠" not in screen.find("#paths").text


def test_more_than_a_hundred_paths_are_counted_and_the_largest_is_shown(opened):
    screen = opened(ladder(70))
    screen.script("reveal(0)")
    screen.click_node(0)
    assert screen.find("#paths h2").text == f"{2**70:,} paths to x"
    (line,) = screen.all("#paths .product")
    assert parsed(screen.script("return arguments[0].lastElementChild.value", line)) == pytest.approx(1.25**70)
    screen = opened(ladder(6))
    screen.click_node(0)
    assert len(screen.all("#paths .path")) == 64
    products = sorted(
        (
            screen.script(
                "return [...document.querySelectorAll('#paths .product')].map((p) => Number(p.lastElementChild.value))"
            )
        ),
        reverse=True,
    )
    expected = sorted((0.5**k * 1.25 ** (6 - k) for k in range(7) for _ in range(math.comb(6, k))), reverse=True)
    assert products == pytest.approx(expected)


def test_a_gradient_from_before_is_part_of_the_sum_and_pointed_out(opened):
    x = Value(3.0, label="x")
    x.grad = 2.0
    screen = opened(x * x)
    assert screen.graph()[0] == [3.0, 2.0]
    screen.scrub(2)
    assert "x already holds a gradient, 2" in screen.find("#remarks").text
    screen.click_node(0)
    assert screen.find("#paths .sum").text == "2 + 3 + 3 = 8 = grad(x)"
    assert screen.find("#notices summary").text.endswith("One thing to notice")
    x.grad = math.nan
    assert same(opened(x * x).graph()[0], [3.0, math.nan])


@pytest.mark.parametrize(
    ("build", "words"),
    [
        (lambda x: (x * 10).sigmoid(), "This sigmoid is saturated"),
        (lambda x: (x * -1).relu(), "This ReLU is off"),
        (lambda x: (x - 2).log(), "Here an infinity arises: log(0) = −∞"),
        (lambda x: (x - 3).sqrt(), "Here a NaN arises: sqrt(−1) = NaN"),
    ],
)
def test_what_can_be_learned_from_is_pointed_out_where_it_happens(build, words, opened):
    screen = opened(build(Value(2.0, label="x")))
    screen.find("#notices summary").click()
    screen.all("#notices button")[0].click()
    assert screen.count.startswith("2 /")
    assert words in screen.find("#remarks").text


def test_predicting_hides_the_contribution_until_it_is_guessed(opened):
    screen = opened(circuit())
    screen.scrub(3)
    screen.find("#predict").click()
    screen.find("#forth").click()
    hidden = screen.script("return document.body.outerHTML.split('<script')[0]")
    assert screen.count == "3 / 7"
    assert "?" in screen.find("#event .equation").text
    assert screen.graph()[2] == [3.0, None]
    assert "= −4" not in screen.find("#announcement").get_attribute("textContent")
    assert 'title="contribution: -4"' not in hidden
    guess = screen.find("#guess")
    for answer, feedback in [
        ("four", "A number is needed"),
        ("4", "What about the sign?"),
        ("1", "That is the upstream gradient"),
        ("-3", "By the chain rule the two are multiplied"),
        ("17", "Not quite"),
    ]:
        guess.clear()
        guess.send_keys(answer, Keys.ENTER)
        assert feedback in screen.find("#feedback").text
        assert screen.count == "3 / 7"
    guess.clear()
    guess.send_keys("−8/2", Keys.ENTER)
    assert screen.count == "4 / 7"
    assert "Right: 1 × −4 = −4." in screen.find("#remarks").text
    assert screen.graph()[2] == [3.0, -4.0]
    screen.find("#forth").click()
    screen.find("#reveal").click()
    assert screen.count == "5 / 7"
    screen.find("#forth").click()
    screen.find("#back").click()
    assert screen.count == "5 / 7"
    assert not screen.find("#question").is_displayed()


def test_a_hostile_label_runs_nothing_and_is_shown_as_it_is(opened):
    x = Value(2.0, label=HOSTILE)
    y = x * x
    y.label = HOSTILE
    screen = opened(y)
    screen.press(Keys.END)
    screen.click_node(0)
    assert screen.script("return document.title") != "run"
    assert screen.all("img") == []
    shown = HOSTILE.replace("\u2028", " ").replace("\u202e", "\ufffd")
    assert shown in screen.find("#paths h2").get_attribute("textContent")
    assert screen.script("return document.scripts.length") == 2


def test_no_script_but_its_own_runs(opened):
    screen = opened(circuit())
    screen.script(
        "const s = document.createElement('script'); s.textContent = 'document.title = \"run\"';"
        "document.body.append(s);"
        "document.getElementById('title').setAttribute('onclick', 'document.title = \"run\"');"
        "document.getElementById('title').click();"
        "const i = new Image(); i.src = 'http://127.0.0.1:9/x.png'; document.body.append(i);"
    )
    assert screen.script("return document.title") == "f = q * z"
    complaints = " ".join(entry["message"] for entry in screen.complaints())
    assert "Content Security Policy" in complaints
    screen.browser.get_log("performance")


def test_nothing_moves_for_who_prefers_reduced_motion(opened):
    screen = opened(circuit(), **{"prefers-reduced-motion": "reduce"})
    for _ in range(5):
        screen.press(Keys.ARROW_RIGHT)
        assert screen.all(".token") == []
    assert screen.script("return document.getAnimations().length") == 0
    screen = opened(circuit())
    screen.press(Keys.ARROW_RIGHT)
    assert len(screen.all(".token")) == 2


@pytest.mark.parametrize("build", [circuit, network, lambda: ladder(8)])
def test_a_phone_is_wide_enough(build, opened):
    screen = opened(build(), width=360, height=740)
    screen.find("#predict").click()
    for position in range(0, screen.last, max(1, screen.last // 12)):
        screen.scrub(position)
        assert screen.script("return document.documentElement.scrollWidth") <= 360
    screen.find("#forth").click()
    screen.click_node(0)
    assert screen.script("return document.documentElement.scrollWidth") <= 360
    assert screen.find("#play").rect["width"] >= 40


def test_dark_and_light_differ_and_text_is_readable_on_both(opened):
    papers = set()
    for scheme in ("light", "dark"):
        screen = opened(neuron(), **{"prefers-color-scheme": scheme})
        screen.press(Keys.END)
        for selector in ("#event .grad", "#event .note", "#event small", "#event .result data", "#phase", "#count"):
            ink, paper = screen.script(
                "const e = document.querySelector(arguments[0]); let b = e;"
                "while (getComputedStyle(b).backgroundColor === 'rgba(0, 0, 0, 0)') b = b.parentElement;"
                "return [getComputedStyle(e).color, getComputedStyle(b).backgroundColor]",
                selector,
            )
            assert contrast(ink, paper) >= 4.5, (scheme, selector, ink, paper)
        papers.add(screen.script("return getComputedStyle(document.body).backgroundColor"))
    assert len(papers) == 2


def contrast(one, other):
    """The contrast of two colours, by the definition of WCAG."""

    def luminance(color):
        channels = [int(text) / 255 for text in color[color.index("(") + 1 : -1].split(",")[:3]]
        red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_each_step_is_announced_and_focus_is_seen(opened):
    screen = opened(circuit())
    region = screen.find("#announcement")
    assert region.get_attribute("aria-live") == "polite"
    for _ in range(4):
        screen.press(Keys.ARROW_RIGHT)
    expected = "Step 4 of 7. grad(q) += 1 × −4 = −4: 0 → −4"
    assert region.get_attribute("textContent") == expected
    assert screen.find("#slider").get_attribute("aria-valuetext") == "4 of 7: grad(q) += 1 × −4 = −4: 0 → −4"
    reached = set()
    for _ in range(20):
        screen.press(Keys.TAB)
        active = screen.browser.switch_to.active_element
        reached.add(active.get_attribute("id"))
        if active.tag_name != "body":
            assert screen.script("return getComputedStyle(arguments[0]).outlineStyle", active) != "none"
    assert {"slider", "first", "back", "play", "forth", "last", "speed", "node", "predict", "zoom-in"} <= reached


def test_training_plays_weights_gradients_updates_and_the_falling_loss(opened):
    model = MLP(1, [1], seed=0)
    data = ([[1.0], [2.0]], [3.0, 5.0])
    optimizer = SGD(model.parameters(), lr=0.1)
    player = mg.step(model, data=data, loss="half_squared_error", optimizer=optimizer, steps=3)
    screen = opened(player)
    screen.press(Keys.END)
    assert len(screen.all("#losses circle")) == 3
    assert "Training step 3 · Update" in screen.find("#event").text
    shown = {pair[0] for pair in screen.graph()}
    assert {p.data for p in model.parameters()} <= shown
    updates = player.recording.passes[-1].events[-2:]
    last = updates[-1]
    table = [number for u in updates for number in (u.before, u.gradient, u.after)]
    assert same(screen.numbers("#event"), [last.after, last.gradient, last.before, last.after, *table])
    screen.all("#phases .forward")[1].click()
    assert "Training step 2 · A new step" in screen.find("#event").text
    screen.all("#phases .update")[1].click()
    assert "Training step 2 · Update" in screen.find("#event").text
    screen.script("document.querySelector('#losses circle').dispatchEvent(new MouseEvent('click'))")
    assert screen.count.startswith(f"{len(player.recording.passes[0].events)} /")
    losses = [run.output for run in player.recording.passes]
    assert losses == sorted(losses, reverse=True)


def test_the_plane_follows_the_training_and_a_sample_opens_its_graph(opened):
    model = MLP(2, [2, 1], activation="tanh", seed=3)
    data = ([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]], [1.0, 1.0, 0.0])
    player = mg.step(model, data=data, loss="half_squared_error", optimizer=SGD(model.parameters(), lr=0.5), steps=4)
    screen = opened(player)
    assert len(screen.all("#training .sample")) == 3
    screen.script("const s = document.getElementById('epoch'); s.value = 2; s.dispatchEvent(new Event('input'))")
    assert screen.find("#training output").text == "before step 3 of 4"
    assert "Training step 3 · A new step" in screen.find("#event").text
    assert screen.find("#training .boundary").get_attribute("d").startswith("M")
    screen.press(Keys.END)
    assert screen.find("#training output").text == "at the end"
    screen.script("document.querySelectorAll('#training .sample')[1].dispatchEvent(new MouseEvent('click'))")
    address = screen.find("#sample iframe").get_attribute("src").partition("#")[2]
    numbers = {name: float(x) for name, x in (part.split("=") for part in address.split("&"))}
    assert [numbers.pop(name) for name in ("x0", "x1", "y")] == [1.0, 1.0, 1.0]
    assert numbers == {name: parameter.data for name, parameter in model.named_parameters()}
    screen.browser.switch_to.frame(screen.find("#sample iframe"))
    assert "square" in screen.find("#title").text
    screen.browser.switch_to.default_content()
    screen.find("#sample button").click()
    assert not screen.all("#sample iframe")


def test_numbers_are_written_as_the_drawings_write_them(opened):
    screen = opened(circuit())
    numbers = [
        0.0,
        -0.0,
        1.0625,
        1.0635,
        -1.0625,
        0.5,
        1e21,
        1.5e-7,
        12345.0,
        9999.5,
        99995.0,
        123456789.0,
        1e-4,
        9.9e-5,
    ]
    numbers += [math.pi * 10.0**k for k in range(-12, 13)] + [0.00048828125, 2.5, 1e300, 5e-324, math.inf, -math.inf]
    encoded = [x if math.isfinite(x) else repr(x) for x in numbers]
    shown = screen.script("return JSON.parse(arguments[0]).map((x) => short(decoded(x)))", json.dumps(encoded))
    assert shown == [numeral(x) for x in numbers]


# ---- notebooks


@pytest.fixture
def notebook(browser, tmp_path):
    """Open a player in an HTML export of a notebook; `change` may alter the output before."""
    nbformat = pytest.importorskip("nbformat")
    nbconvert = pytest.importorskip("nbconvert")

    def notebook(player, change=lambda html: html, **settings):
        bundle = player._repr_mimebundle_()
        bundle["text/html"] = change(bundle["text/html"])
        cell = nbformat.v4.new_code_cell("mg.step(f)", outputs=[nbformat.v4.new_output("display_data", bundle)])
        exporter = nbconvert.HTMLExporter(mathjax_url="", require_js_url="", jquery_url="", **settings)
        html, _ = exporter.from_notebook_node(nbformat.v4.new_notebook(cells=[cell]))
        path = tmp_path / "notebook.html"
        path.write_text(html, encoding="utf-8")
        return Screen(browser, path)

    return notebook


def test_an_exported_notebook_plays(notebook):
    screen = notebook(mg.step(circuit()))
    assert screen.find("iframe").is_displayed()
    assert not screen.find("iframe + img").is_displayed()
    assert not screen.find("iframe").find_element(By.XPATH, "../following-sibling::pre").is_displayed()
    screen.browser.switch_to.frame(screen.find("iframe"))
    screen.find("#forth").click()
    assert screen.count == "1 / 7"
    screen.scrub(3)
    screen.find("#predict").click()
    screen.find("#forth").click()
    screen.find("#guess").send_keys("-4", Keys.ENTER)
    assert screen.count == "4 / 7"
    with pytest.raises(Exception, match=r"SecurityError|cross-origin|Blocked"):
        screen.script("return parent.document.title")
    screen.browser.switch_to.default_content()


@pytest.mark.parametrize("template", ["lab", "classic"])
def test_a_sanitised_export_shows_the_steps_as_text(template, notebook):
    screen = notebook(mg.step(circuit()), sanitize_html=True, template_name=template)
    text = screen.find("body").text
    assert "grad(q) += 1 × −4 = −4: 0 → −4" in text
    assert "srcdoc" not in text
    assert "iframe" not in text
    assert screen.all("iframe") == []


def test_where_frames_are_dropped_the_animated_picture_plays(notebook):
    def untrusted(html):
        """What JupyterLab's sanitiser does to the output of an untrusted notebook."""
        frame = html[html.index("<iframe") : html.index("</iframe>") + len("</iframe>")]
        return html.replace(frame, "").replace("<img popover", "<img")

    screen = notebook(mg.step(circuit()), untrusted)
    image = screen.find("div > img[alt^='f = q']")
    assert image.is_displayed()
    assert screen.script("return arguments[0].naturalWidth", image) >= 600
    assert not screen.find("pre[hidden]").is_displayed()
    picture = base64.b64decode(image.get_attribute("src").partition(",")[2])
    assert b"@keyframes" in picture


def test_the_animated_picture_moves_and_for_who_prefers_it_stands_at_its_end(browser, tmp_path):
    html = mg.step(circuit())._repr_html_()
    path = tmp_path / "animated.svg"
    path.write_bytes(base64.b64decode(html.partition("base64,")[2].partition('"')[0]))
    screen = Screen(browser, path)
    assert screen.script("return document.getAnimations().length") > 10
    frames = "return [...document.querySelectorAll('.event')].map((e) => getComputedStyle(e).fill)"
    assert set(screen.script(frames)) == {"none"}
    screen = Screen(browser, path, **{"prefers-reduced-motion": "reduce"})
    assert screen.script("return document.getAnimations().length") == 0
    seen = (
        "return [...document.querySelectorAll(arguments[0])]"
        ".filter((e) => getComputedStyle(e).opacity === '1').map((e) => e.textContent)"
    )
    assert screen.script(seen, "text.value") == ["−2", "5", "3", "−4", "−12"]
    assert screen.script(seen, "text.gradient") == ["∇ −4", "∇ −4", "∇ −4", "∇ 3", "∇ 1"]
    assert screen.script(seen, "text.caption") == ["grad(y) += −4 × 1 = −4: 0 → −4"]
    assert screen.script(seen, ".event") == []
