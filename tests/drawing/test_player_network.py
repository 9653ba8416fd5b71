"""Networks in the player: folded, unfolded by a click, found by a name, and alive."""

import json
import math
import re
from xml.etree import ElementTree

import pytest

import microgrannd as mg
from microgrannd import Operation, Value
from microgrannd.nn import MLP
from tests.drawing.screen import Screen, needs_chromium, same

Keys = pytest.importorskip("selenium.webdriver.common.keys").Keys

pytestmark = [needs_chromium, pytest.mark.slow]


def network(x=0.5, hidden=(16, 16)):
    """The network of micrograd's README: 404 nodes, 337 of them parameters."""
    return (MLP(2, [*hidden, 1], seed=0)([x, -1.0]) - 1) ** 2


def chain(length):
    y = Value(1.5, label="x")
    for _ in range(length):
        y = (y * 1.01).sin()
    return y


def folds(screen):
    return [box.get_attribute("aria-label") for box in screen.all("g.fold")]


def unfold(screen, name):
    screen.script(
        "[...document.querySelectorAll('g.fold')]"
        ".find((box) => box.getAttribute('aria-label').startsWith(arguments[0]))"
        ".dispatchEvent(new MouseEvent('click', {bubbles: true}))",
        f"{name}, folded",
    )


def test_a_network_opens_on_its_neurons(opened):
    screen = opened(network())
    names = folds(screen)
    assert len([name for name in names if re.match(r"layer[01]\.neuron\d+, folded: ", name)]) == 32
    assert "layer0.neuron0, folded: 3 leaves, 1 dot, 1 relu. Unfold" in names
    assert [text.text for text in screen.all(".frame-name")][:2] == ["▾ layer0", "▾ layer1"]
    inputs = screen.all("g.input text.value")
    assert sorted(text.text for text in inputs) == ["0.5", "−1"]


def test_a_click_unfolds_a_neuron_and_escape_folds_it(opened):
    screen = opened(network())
    before = folds(screen)
    unfold(screen, "layer0.neuron3")
    labels = screen.script("return [...document.querySelectorAll('g.node text.label')].map((text) => text.textContent)")
    assert {"w⁰₃₀", "w⁰₃₁", "b⁰₃", "z⁰₃", "a⁰₃"} <= set(labels)
    assert "layer0.neuron3" not in " ".join(folds(screen))
    screen.press(Keys.ESCAPE)
    assert folds(screen) == before


def test_a_frame_is_folded_by_its_name_and_keys_do_it_too(opened):
    screen = opened(network())
    count = len(folds(screen))
    screen.script("document.querySelector('.frame-name').focus()")
    screen.press(Keys.ENTER)
    assert [name for name in folds(screen) if name.startswith("layer0, folded: 48 leaves")]
    assert len(folds(screen)) == count - 15
    screen.script("document.querySelector('g.fold').focus()")
    screen.press(Keys.ENTER)
    assert len(folds(screen)) == count


def test_a_fold_is_one_step_until_it_is_opened(opened):
    screen = opened(network())
    screen.press(Keys.ARROW_RIGHT)
    screen.press(Keys.ARROW_RIGHT)
    assert screen.count.startswith("4 /")  # z and a of two neurons
    assert "2 nodes are computed." in screen.find("#event").text
    assert "layer0.neuron1, folded: 2 nodes" in screen.find("#announcement").get_attribute("textContent")
    screen.press(Keys.ARROW_LEFT)
    assert screen.count.startswith("2 /")
    unfold(screen, "layer0.neuron1")
    screen.press(Keys.ARROW_RIGHT)
    assert screen.count.startswith("3 /")
    assert "z⁰₁ = w⁰₁₀ * 0.5 + w⁰₁₁ * −1 + b⁰₁" in " ".join(screen.find("#event").text.split())


def test_a_search_finds_a_node_by_its_name_scope_or_operation_and_unfolds_it(opened):
    screen = opened(network())
    for words, first in [("w7 layer1.neuron2", "w¹₂₇"), ("relu layer1.neuron15", "a¹₁₅"), ("w¹₃₅", "w¹₃₅")]:
        screen.find("#search").clear()
        screen.find("#search").send_keys(words)
        assert screen.all("#found button")[0].text.splitlines()[0] == first
        screen.find("#search").send_keys(Keys.ENTER)
        labels = screen.script("return [...document.querySelectorAll('g.node text.label')].map((t) => t.textContent)")
        assert first in labels
    screen.find("#search").clear()
    screen.find("#search").send_keys("nobody")
    assert screen.find("#found").text == "Nothing has such a name."


def test_its_numbers_are_those_of_python_and_stay_alive(opened):
    y = network()
    screen = opened(network())
    y.backward()
    order = mg.topological_order(y)
    values, gradients = screen.run()
    assert same(values, [node.data for node in order])
    assert same(gradients, [node.grad for node in order])
    name = "layer0.neuron0.w0"
    screen.script(
        "const f = document.getElementsByName(arguments[0])[0]; f.value = '0.75'; f.dispatchEvent(new Event('input'))",
        name,
    )
    model = MLP(2, [16, 16, 1], seed=0)
    model.layers[0].neurons[0].w[0].data = 0.75
    assert screen.run()[0][-1] == ((model([0.5, -1.0]) - 1) ** 2).data


def test_a_fold_shows_its_gradients(opened):
    y = network()
    screen = opened(network())
    screen.press(Keys.END)
    y.backward()
    nodes = [n for n in mg.topological_order(y) if n.scope == "layer1.neuron0"]
    mean = math.fsum(abs(n.grad) for n in nodes) / len(nodes)
    notes = screen.script(
        "return [...document.querySelectorAll('g.fold')]"
        ".map((box) => [box.getAttribute('aria-label'), box.lastElementChild.textContent])"
    )
    [note] = [note for label, note in notes if label.startswith("layer1.neuron0,")]
    assert note == f"mean |∇| {mg.drawing.picture.lettering.numeral(mean)}, " + note.split(", ")[1]


def test_remarks_of_many_nodes_are_one(opened):
    y = network()
    off = len([n for n in mg.topological_order(y) if n.op is mg.operations.relu and n.data == 0])
    screen = opened(y)
    screen.find("#notices summary").click()
    assert f"{off} of 32 ReLUs are off" in screen.find("#notices").text


def test_a_long_chain_without_scopes_is_folded_into_runs(opened):
    screen = opened(chain(3000))
    assert 1 < len(folds(screen)) <= 120
    y = chain(3000)
    y.backward()
    order = mg.topological_order(y)
    values, gradients = screen.run()
    assert values == [node.data for node in order]
    assert gradients == [node.grad for node in order]
    first = folds(screen)[0].split(", folded")[0]
    unfold(screen, first)
    assert screen.script("return rendered.length") > 0
    screen.press(Keys.ESCAPE)
    assert folds(screen)[0].startswith(first)


def test_a_network_with_an_operation_that_the_page_cannot_have_plays_pythons_numbers(opened):
    cube = Operation("cube", lambda x: x**3, lambda x, out: (3 * x * x,))

    def build():
        return cube(network())

    y = build()
    screen = opened(build())
    y.backward()
    order = mg.topological_order(y)
    values, gradients = screen.run()
    assert same(values, [node.data for node in order])
    assert same(gradients, [node.grad for node in order])
    assert "cube cannot be computed in a page" in screen.find("#obstacle").text


def test_a_network_in_a_page_is_small(opened):
    player = mg.step(MLP(64, [100, 10], seed=0)([0.1] * 64)[0] * 1.0)
    nodes = len(mg.topological_order(MLP(64, [100, 10], seed=0)([0.1] * 64)[0]))
    assert len(player.html.encode()) < 150_000 + 50 * nodes
    screen = opened(player)
    assert screen.script("return document.querySelectorAll('#scroller *').length") < 2500


def test_without_a_script_a_network_is_drawn_folded():
    html = mg.step(network()).html
    svg = html[html.index("<svg") : html.index("</svg>")]
    assert "layer0.neuron0" in svg or "layer0" in svg
    assert svg.count('class="node') <= 60
    json.dumps(html)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_network_fits_a_phone(scheme, opened):
    screen = opened(network(), width=390, height=844, **{"prefers-color-scheme": scheme})
    for _ in range(3):
        screen.press(Keys.ARROW_RIGHT)
    assert screen.script("return document.documentElement.scrollWidth") <= 390


# ---- drawings unfold, too


def drawn(browser, tmp_path, y, **arguments):
    path = tmp_path / "drawing.html"
    mg.draw(y, **arguments).save(path)
    return Screen(browser, path)


def finished(screen):
    return screen.complaints() == [] and screen.requests() == []


def test_a_drawing_in_a_page_unfolds_as_the_player_does(browser, tmp_path):
    y = network()
    y.backward()
    screen = drawn(browser, tmp_path, y)
    before = folds(screen)
    assert before == folds(Screen(browser, player_page(tmp_path, network())))
    screen = drawn(browser, tmp_path, y)
    unfold(screen, "layer0.neuron3")
    order = mg.topological_order(y)
    w = next(node for node in order if (node.scope, node.label) == ("layer0.neuron3", "w1"))
    box = screen.find(f"#n{order.index(w)}")
    texts = [text.text for text in box.find_elements("css selector", "text")]
    numeral = mg.drawing.picture.lettering.numeral
    assert texts == ["w⁰₃₁", numeral(w.data), f"∇ {numeral(w.grad)}"]
    screen.press(Keys.ESCAPE)
    assert folds(screen) == before
    screen.find("#search").send_keys("w7 layer1.neuron2", Keys.ENTER)
    assert screen.all("g.node.chosen text.label")[0].text == "w¹₂₇"
    for selector in ("#panel", "#numbers", "footer"):
        assert not screen.find(selector).is_displayed()
    assert finished(screen)


def player_page(tmp_path, y):
    path = tmp_path / "player.html"
    mg.step(y).save(path)
    return path


def test_a_drawing_in_a_page_keeps_what_was_asked_of_it(browser, tmp_path):
    y = network()
    y.backward()
    order = mg.topological_order(y)
    w = next(node for node in order if (node.scope, node.label) == ("layer1.neuron2", "w7"))
    screen = drawn(browser, tmp_path, y, depth=0, precision=2, gradients=False, highlight=[w], rankdir="TB")
    assert [name.split(",")[0] for name in folds(screen)] == ["layer0", "layer1", "layer2"]
    assert len(screen.all("g.fold.highlight")) == 1
    screen.script("reveal(arguments[0])", order.index(w))
    box = screen.find(f"#n{order.index(w)}")
    assert "highlight" in box.get_attribute("class")
    texts = [text.text for text in box.find_elements("css selector", "text")]
    assert texts == ["w¹₂₇", mg.drawing.picture.lettering.numeral(w.data, 2), ""]
    tops = [screen.find(f"#n{order.index(node)}").rect["y"] for node in (w, next(n for n in order if w in n.parents))]
    assert tops == sorted(tops)
    assert tops[0] < tops[1]
    assert finished(screen)


@pytest.mark.parametrize("rankdir", ["LR", "RL", "TB", "BT"])
def test_the_numbers_of_a_drawing_are_written_as_in_its_picture(rankdir, browser, tmp_path):
    xs = [Value(x, label=f"x{i}") for i, x in enumerate([1.0625, -1e-5, 2.5, 1e21, math.inf, math.nan, 123456.0])]
    y = chain(80) + mg.sum(xs)
    for precision in (1, 3, 7):
        screen = drawn(browser, tmp_path, y, precision=precision, rankdir=rankdir, fold="all")
        places = [mg.topological_order(y).index(x) for x in xs]
        written = screen.script("return arguments[0].map((i) => short(values[i]))", places)
        assert written == [mg.drawing.picture.lettering.numeral(x.data, precision) for x in xs]
        assert finished(screen)


def test_a_backward_pass_in_a_page_unfolds(browser, tmp_path):
    screen = drawn(browser, tmp_path, network(), backward=True)
    count = len(screen.all("g.node"))
    assert 2 < count < 200
    names = screen.script("return nodes.map(({label}) => label).filter((label) => label.startsWith('∂'))")
    assert len(names) > 300
    screen.script("document.querySelector('g.fold').dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert len(screen.all("g.node")) > count
    assert finished(screen)


def test_hostile_labels_and_scopes_run_nothing_in_a_drawing(browser, tmp_path):
    hostile = "</script><img src=x onerror=document.title='run'>\"'&"
    with mg.scope(hostile):
        y = Value(1.0, label=hostile)
        for _ in range(90):
            y = (y * 1.01).sin()
    screen = drawn(browser, tmp_path, y)
    screen.script("document.querySelector('g.fold')?.dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    assert screen.script("return document.title") != "run"
    assert screen.all("img") == []
    assert screen.script("return document.scripts.length") == 2
    assert finished(screen)


# ---- derivations


def derivation(screen):
    return screen.script("return byId('derivation').textContent")


def test_a_leafs_panel_derives_its_gradient_and_the_numbers_follow(opened):
    x, y, z = (Value(number, label=name) for name, number in [("x", -2.0), ("y", 5.0), ("z", -4.0)])
    f = (x + y) * z
    f.label = "f"
    screen = opened(f)
    screen.click_node(0)
    screen.script("return unpackDerivations()")
    rows = screen.script("return [...document.querySelectorAll('#derivation tr')].map((row) => row.textContent)")
    assert rows == ["∂f∂x=z", "=−4"]
    screen.script(
        "const field = document.getElementsByName('z')[0]; field.value = '7';"
        "field.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    rows = screen.script("return [...document.querySelectorAll('#derivation tr')].map((row) => row.textContent)")
    assert rows == ["∂f∂x=z", "=7"]
    screen.press(Keys.ESCAPE)
    screen.script("select(-1)")
    assert not screen.find("#derivation").is_displayed()


def test_the_derivations_of_a_network_are_those_of_derive(opened):
    y = network()
    screen = opened(network())
    screen.script("return unpackDerivations()")
    order = mg.topological_order(y)
    i = next(k for k, node in enumerate(order) if (node.scope, node.label) == ("layer2.neuron0", "w3"))
    screen.script("visit(arguments[0])", i)
    cells = screen.script("return [...document.querySelectorAll('#derivation tr')].map((row) => row.textContent)")
    html = mg.derive(y, order[i]).html.replace("&#x2061;", "\u2061").replace("&nbsp;", "\u00a0")
    wanted = ["".join(ElementTree.fromstring(row).itertext()) for row in re.findall("<tr>.*?</tr>", html)]
    assert cells == wanted
    assert len(order) == 408
    assert screen.script("return Object.keys(derivations).length") > 300


def test_a_page_is_at_most_a_megabyte_with_its_derivations():
    model = MLP(8, [50, 20, 1], activation="tanh", seed=0)
    y = (model([Value(0.1 * i, label=f"x{i}") for i in range(8)]) - 1) ** 2
    order = mg.topological_order(y)
    assert 1400 < len(order) <= 1700
    assert len(mg.step(y).html.encode()) <= 1_000_000


def test_at_an_awkward_point_the_derivation_says_that_it_is_for_the_numbers_as_they_were(opened):
    x = Value(0.0, label="x")
    screen = opened(mg.maximum(x, 0.0 * x) * 3)
    screen.click_node(0)
    screen.script("return unpackDerivations()")
    assert "awkward point" in derivation(screen)
    assert not screen.find("#derivation .elsewhere").is_displayed()
    screen.script(
        "const field = document.getElementsByName('x')[0]; field.value = '7';"
        "field.dispatchEvent(new Event('input', {bubbles: true}))"
    )
    assert screen.find("#derivation .elsewhere").is_displayed()


def test_hostile_labels_and_scopes_run_nothing(opened):
    hostile = "</script><img src=x onerror=document.title='run'>\"'&"
    with mg.scope(hostile):
        y = x = Value(1.0, label=hostile)
        for _ in range(90):
            y = (y * 1.01).sin()
    screen = opened(y + x)
    screen.press(Keys.END)
    screen.script("document.querySelector('g.fold')?.dispatchEvent(new MouseEvent('click', {bubbles: true}))")
    screen.find("#search").send_keys("img", Keys.ENTER)
    assert screen.script("return document.title") != "run"
    assert screen.all("img") == []
    assert screen.script("return document.scripts.length") == 2
    assert hostile in screen.script("return document.querySelector('.nodes').textContent")
