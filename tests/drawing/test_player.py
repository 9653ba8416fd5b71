"""The step player without a browser: what is recorded, and what the page is made of."""

import base64
import hashlib
import json
import math
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname
from xml.etree import ElementTree

import pytest

import microgrannd as mg
from microgrannd import Operation, Value
from microgrannd.drawing.player.recording import Added, Computed, Seeded, Updated
from microgrannd.nn import MLP
from microgrannd.nodes.notation import input_names
from microgrannd.operations import TABLE, FusedOperation
from microgrannd.optim import SGD, Adam
from tests.oracles import example

HOSTILE = "</script><img src=x onerror=document.title='run'>\"'&]]>\u2028\u202e\U0001f600"


def circuit():
    """C-01: (x + y) * z."""
    x, y, z = (Value(number, label=name) for name, number in example("C-01")["inputs"].items())
    q = x + y
    f = q * z
    q.label, f.label = "q", "f"
    return f, [x, y, z]


def neuron():
    """C-06: the sigmoid neuron by elementary gates."""
    inputs = example("C-06")["inputs"]
    w = [Value(number, label=f"w{i}") for i, number in enumerate(inputs["w"])]
    x = [Value(number, label=f"x{i}") for i, number in enumerate(inputs["x"])]
    return 1 / (1 + (-(w[0] * x[0] + w[1] * x[1] + w[2])).exp()), [*w, *x]


def micrograd():
    """X-01: the example of micrograd's README."""
    a, b = (Value(number, label=name) for name, number in example("X-01")["inputs"].items())
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    return g, [a, b]


def awkward():
    """Infinities, NaN and zeros on the way."""
    x, y = Value(0.0, label="x"), Value(-1.0, label="y")
    return (x.log() * y + y.sqrt()).maximum(x * 0) + mg.where(x > 1, x.sqrt(), x), [x, y]


BUILDERS = [circuit, neuron, micrograd, awkward]


def events(player, kind, run=0):
    return [event for event in player.recording.passes[run].events if isinstance(event, kind)]


def same(one, other):
    return repr(one) == repr(other)


@pytest.mark.parametrize("build", BUILDERS)
def test_the_backward_events_are_those_of_backward_steps_bit_for_bit(build):
    player = mg.step(build()[0])
    output, _ = build()
    order = mg.topological_order(output)
    position = {node: i for i, node in enumerate(order)}
    expected = [(position[s.node], s.position, position[s.parent], *s[2:]) for s in output.backward_steps()]
    assert same([event[:-1] for event in events(player, Added)], expected)


@pytest.mark.parametrize("build", BUILDERS)
def test_the_gradients_afterwards_are_those_of_backward(build):
    (stepped, leaves), (run, expected) = build(), build()
    mg.step(stepped)
    run.backward()
    assert same([leaf.grad for leaf in leaves], [leaf.grad for leaf in expected])
    assert same([v.grad for v in mg.topological_order(stepped)], [v.grad for v in mg.topological_order(run)])


def test_the_circuit_has_its_printed_gradients():
    output, leaves = circuit()
    mg.step(output)
    printed = example("C-01")
    assert output.data == printed["value"]
    assert {leaf.label: leaf.grad for leaf in leaves} == printed["grads"]


def test_the_forward_events_are_the_operations_in_order_with_their_numbers():
    player = mg.step(circuit()[0])
    assert [(event.value, event.formula) for event in events(player, Computed)] == [(3, "−2 + 5"), (-12, "3 * −4")]
    assert [node.formula for node in player.recording.nodes] == ["", "", "x + y", "", "q * z"]


def test_the_steps_as_text():
    assert str(mg.step(circuit()[0])).splitlines() == [
        "q = x + y = −2 + 5 = 3",
        "f = q * z = 3 * −4 = −12",
        "grad(f) = 1",
        "grad(q) += 1 × −4 = −4: 0 → −4",
        "grad(z) += 1 × 3 = 3: 0 → 3",
        "grad(x) += −4 × 1 = −4: 0 → −4",
        "grad(y) += −4 × 1 = −4: 0 → −4",
    ]


def test_the_rule_comes_as_formula_and_in_numbers():
    x = Value(0.0, label="x")
    s = x.sigmoid()
    s.label = "s"
    player = mg.step(s)
    assert player.recording.nodes[-1].local_gradients == ("s * (1 − s)",)
    assert events(player, Added)[0].formula == "0.5 * (1 − 0.5)"


def test_a_dot_is_written_as_the_sum_it_stands_for():
    w = [Value(float(i), label=f"w{i}") for i in range(2)]
    player = mg.step(mg.dot(w, [2.0, 3.0], Value(0.5, label="b")))
    assert player.recording.nodes[-1].formula == "w0 * 2 + w1 * 3 + b"
    assert events(player, Computed)[0].formula == "0 * 2 + 1 * 3 + 0.5"


def test_an_operation_whose_rule_cannot_be_written_plays_without_it():
    cube = Operation("cube", lambda x: x**3, lambda x, out: (3 * math.pow(x, 2),))
    x = Value(2.0, label="x")
    player = mg.step(cube(x))
    assert x.grad == 12
    assert player.recording.nodes[-1].local_gradients == ("",)


def test_the_upstream_is_where_the_pass_begins():
    x = Value(3.0)
    player = mg.step(x * x, 0.75)  # S-04
    assert events(player, Seeded)[0].after == 0.75
    assert x.grad == example("S-04")["grads"]["x"]


def test_a_single_leaf_adds_the_upstream_to_its_own_gradient():
    x = Value(3.0, label="x")
    x.grad = 2.0
    player = mg.step(x)
    assert x.grad == 3.0
    assert events(player, Seeded) == [Seeded(0, 2.0, 3.0)]


def test_stepping_twice_doubles_the_leaves_and_starts_the_nodes_afresh():
    output, leaves = circuit()
    mg.step(output)
    player = mg.step(output)
    assert [leaf.grad for leaf in leaves] == [-8, -8, 6]
    assert [event.before for event in events(player, Added)] == [0, 3, -4, -4]


def test_the_line_of_the_users_code_is_recorded_where_it_is_known():
    with mg.source_lines():
        y = Value(2.0) * 3
    assert mg.step(y).recording.nodes[-1].line.endswith("y = Value(2.0) * 3")
    assert mg.step(Value(2.0) * 3).recording.nodes[-1].line == ""


def test_parameters_of_the_same_label_are_told_apart_by_their_scope():
    player = mg.step(MLP(2, [2, 1], activation="tanh", seed=0)([1.0, 2.0]))
    paths = {node.path for node in player.recording.nodes if node.kind == "leaf"}
    assert {"layer0.neuron0.w0", "layer0.neuron1.w0", "layer1.neuron0.w0"} <= paths
    assert len(paths) == 9


@pytest.mark.parametrize("name", sorted(TABLE))
def test_every_operation_plays_with_its_formula_and_its_rule(name):
    operation = TABLE[name]
    count = len(input_names(operation, 4))
    inputs = [Value(0.25 + 0.125 * i, label=f"x{i}") for i in range(count)]
    if isinstance(operation, FusedOperation):
        size = count // operation.vectors
        y = operation(*[inputs[i : i + size] for i in range(0, count, size)])
    else:
        y = operation(*inputs)
    player = mg.step(y)
    node = player.recording.nodes[-1]
    assert all(label in node.formula for label in ("x0", f"x{count - 1}"))
    assert len(events(player, Added)) == count
    assert all(node.local_gradients)


def test_the_longest_chain_that_is_played():
    y = x = Value(1.0, label="x")
    for _ in range(1499):
        y = -y
    player = mg.step(y)
    assert len(player.recording.nodes) == 1500
    assert x.grad == -1
    assert len(embedded(player.html)["network"]["kinds"]) == 1500


# ---- remarks


def remarks(player):
    return [(remark.kind, remark.event, remark.node) for remark in player.recording.passes[0].remarks]


def test_a_gradient_that_was_not_cleared_is_pointed_out():
    x = Value(3.0, label="x")
    (x * x).backward()
    player = mg.step(x * x)
    assert remarks(player) == [("stale", 1, 0)]
    assert "x already holds a gradient, 6," in player.recording.passes[0].remarks[0].text
    assert "zero_grad()" in player.recording.passes[0].remarks[0].text


def test_constants_that_nobody_holds_are_not_pointed_out():
    y = (Value(-2.0) * 3) ** 2  # the gradient of the exponent 2 is NaN, and nobody asks for it
    mg.step(y)
    assert remarks(mg.step(y)) == [("stale", 2, 0)]


@pytest.mark.parametrize(("operation", "x", "seen"), [("sigmoid", 10.0, True), ("sigmoid", 4.0, False)])
def test_a_saturated_sigmoid_is_pointed_out(operation, x, seen):
    assert (remarks(mg.step(getattr(Value(x), operation)())) == [("saturated", 0, 1)]) == seen


@pytest.mark.parametrize(("x", "seen"), [(3.0, True), (-3.0, True), (1.0, False)])
def test_a_saturated_tanh_is_pointed_out(x, seen):
    assert (remarks(mg.step(Value(x).tanh())) == [("saturated", 0, 1)]) == seen


@pytest.mark.parametrize(("x", "seen"), [(-1.0, True), (0.0, True), (1.0, False)])
def test_a_relu_that_is_off_is_pointed_out(x, seen):
    assert (remarks(mg.step(Value(x).relu())) == [("dead", 0, 1)]) == seen


def test_the_first_infinity_forward_and_backward_are_pointed_out():
    x = Value(0.0, label="x")
    player = mg.step(x.log() + 1)
    assert remarks(player) == [("origin", 0, 1), ("origin", 5, 0)]
    assert "log(0) = −∞" in player.recording.passes[0].remarks[0].text
    assert "upstream 1 × local gradient ∞ = ∞" in player.recording.passes[0].remarks[1].text


def test_a_leaf_that_is_no_number_is_where_it_comes_from():
    assert remarks(mg.step(Value(math.nan, label="x") * 2))[0] == ("origin", -1, 0)


def test_a_leaf_that_was_changed_after_the_graph_was_built_shows_the_number_from_then():
    x = Value(3.0, label="x")
    y = x * x
    x.data = 7.0
    player = mg.step(y)
    assert player.recording.passes[0].values[0] == 3.0
    assert remarks(player) == [("changed", -1, 0)]
    assert x.grad == 6.0


def test_a_leaf_that_was_changed_on_the_way_shows_the_number_seen_first():
    x = Value(3.0, label="x")
    y = x * 2
    x.data = 5.0
    player = mg.step(y + x)
    assert player.recording.passes[0].values[0] == 3.0
    assert [event.formula for event in events(player, Computed)] == ["3 * 2", "6 + 5"]


# ---- limits and misuse


def test_a_graph_too_large_to_play_says_so_and_nothing_has_happened():
    x = Value(1.0)
    y = x
    for _ in range(75_000):
        y = y + 1
    with pytest.raises(ValueError, match=r"up to 150,000 nodes, this graph has 150,001.*mg\.draw"):
        mg.step(y)
    assert x.grad == 0.0


@pytest.mark.parametrize("thing", [3.0, "x", [Value(1.0)]])
def test_what_is_no_value_is_refused(thing):
    with pytest.raises(TypeError, match="step takes a Value, or a model with data= and optimizer="):
        mg.step(thing)


# ---- the page


class Page(HTMLParser):
    """The elements of a page with their attributes, and the text of its scripts and styles."""

    def __init__(self, html):
        super().__init__()
        self.elements, self.texts = [("", {})], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_data(self, text):
        self.texts.append((self.elements[-1][0], text))

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def embedded(html):
    return json.loads(re.search(r'<script type="application/json" id="recording">(.*?)</script>', html)[1])


def test_the_page_needs_nothing_from_elsewhere_and_allows_nothing_but_itself():
    html = mg.step(circuit()[0]).html
    page = Page(html)
    policy = page.all("meta")[1]["content"]
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert not [
        a for _, attributes in page.elements for a in attributes if a in ("src", "href", "style") or a[:2] == "on"
    ]
    assert {"link", "img", "iframe"}.isdisjoint(tag for tag, _ in page.elements)
    for tag in ("script", "style"):
        texts = [text for name, text in page.texts if name == tag and text.strip() and text.strip()[0] != "{"]
        assert texts
        for text in texts:
            digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
            assert f"'sha256-{digest}'" in policy


def test_every_number_comes_back_exactly():
    """What the page makes its events of; that they are those of the recording, the browser's tests say."""
    output, _ = awkward()
    player = mg.step(output)
    words = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}

    def decoded(x):
        return [decoded(y) for y in x] if isinstance(x, list) else words.get(x, x) if isinstance(x, str) else x

    [run] = embedded(player.html)["passes"]
    order = mg.topological_order(output)
    assert same(decoded(run["values"]), [node.data for node in order])
    locals_of = {}
    for event in events(player, Added):
        locals_of.setdefault(event.node, []).append(event.local_gradient)
    assert same(decoded(run["local_gradients"]), [locals_of.get(i, []) for i in range(len(order))])
    assert run["upstream"] == 1.0
    assert "NaN" not in json.dumps([run["values"], run["local_gradients"], run["gradients"]])


def test_without_javascript_the_graph_shows_how_the_run_ends():
    x = Value(1.0, label="x")
    y = x * 10 - x * 9.5  # the gradient of x is 10 on the way, and 0.5 in the end
    texts = re.findall(r'<text class="(?:value|gradient)"[^>]*>([^<]*)</text>', mg.step(y).html)
    assert [text.rstrip("\u2007") for text in texts] == [
        "1",
        "∇ 0.5",
        "10",
        "10",
        "∇ 1",
        "9.5",
        "9.5",
        "∇ −1",
        "0.5",
        "∇ 1",
    ]


def test_a_hostile_label_stays_text():
    x = Value(2.0, label=HOSTILE)
    y = x * x
    y.label = HOSTILE
    player = mg.step(y)
    page = Page(player.html)
    assert len(page.all("script")) == 2
    assert not page.all("img")
    assert "<img" not in player.html.replace("&lt;img", "")
    assert embedded(player.html)["nodes"][0]["name"].startswith("</script><img")
    notebook = Page(player._repr_html_())
    (image,) = notebook.all("img")
    ElementTree.fromstring(base64.b64decode(image["src"].partition(",")[2]))
    assert not notebook.all("script")


def test_operations_and_labels_of_any_characters_are_written():
    strange = "\x00\ud800</script>\n\u2028-->"
    operation = Operation(strange, lambda x: 2 * x, lambda x, out: (2,))
    with mg.scope(strange):
        player = mg.step(operation(Value(1.0, label=strange)))
    player.html.encode("utf-8")
    player._repr_html_().encode("utf-8")
    str(player).encode("utf-8")
    assert len(Page(player.html).all("script")) == 2


def test_the_page_is_the_same_every_time():
    assert mg.step(micrograd()[0]).html == mg.step(micrograd()[0]).html


def test_the_page_does_not_depend_on_the_hash_seed(tmp_path):
    code = "import microgrannd as mg; x = mg.Value(2.0, label='x'); print(mg.step((x * x + x).tanh()).html)"
    runs = [
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            check=True,
        ).stdout
        for seed in "12"
    ]
    assert runs[0] == runs[1]


@pytest.mark.parametrize("thing", [lambda y: mg.step(y), lambda y: mg.draw(y), lambda y: mg.draw(y, backward=True)])
def test_what_is_seen_is_saved_and_shown_by_one_name(thing, tmp_path, monkeypatch):
    addresses = []
    monkeypatch.setattr("webbrowser.open", lambda address: addresses.append(address) or True)
    seen = thing(circuit()[0])
    seen.save(tmp_path / "page.html")
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == seen.html
    seen.show()
    shown = Path(url2pathname(urlsplit(addresses[0]).path))
    assert shown.read_text(encoding="utf-8") == seen.html
    shown.unlink()
    with pytest.raises(ValueError, match=r"saved as .*html"):
        seen.save(tmp_path / "page.txt")


def test_to_html_writes_the_whole_page_and_gives_its_path(tmp_path):
    player = mg.step(circuit()[0])
    path = tmp_path / "steps.html"
    assert player.to_html(path) == str(path)
    assert path.read_text(encoding="utf-8") == player.html
    assert [file.name for file in tmp_path.iterdir()] == ["steps.html"]


def test_a_page_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "steps.html"
    path.write_text("old", encoding="utf-8")

    def full(*_):
        raise OSError("No space left")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="No space left"):
        mg.step(circuit()[0]).to_html(path)
    assert path.read_text(encoding="utf-8") == "old"
    assert [file.name for file in tmp_path.iterdir()] == ["steps.html"]


# ---- notebooks


def test_a_notebook_gets_a_sandboxed_frame_a_picture_and_text():
    player = mg.step(circuit()[0])
    bundle = player._repr_mimebundle_()
    assert bundle["text/plain"] == str(player)
    page = Page(bundle["text/html"])
    (frame,) = page.all("iframe")
    assert frame["sandbox"] == "allow-scripts"
    assert frame["srcdoc"] == player.html
    (image,) = page.all("img")
    assert "popover" in image
    kind, _, data = image["src"].partition(",")
    assert kind == "data:image/svg+xml;base64"
    picture = ElementTree.fromstring(base64.b64decode(data))
    assert picture.tag == "{http://www.w3.org/2000/svg}svg"


def test_the_animated_picture_shows_every_number_in_its_turn():
    player = mg.step(circuit()[0])
    data = Page(player._repr_html_()).all("img")[0]["src"].partition(",")[2]
    picture = base64.b64decode(data).decode()
    for line in str(player).splitlines():
        assert line in picture
    assert len(re.findall(r'class="gradient during-\d+-10"', picture)) == 5
    assert "prefers-reduced-motion" in picture


def test_the_animated_picture_of_a_long_recording_stands_at_its_end():
    model = MLP(3, [8, 1], activation="tanh", seed=0, expand=True)
    player = mg.step(model([1.0, 2.0, 3.0]))
    assert len(player.recording.passes[0].events) > 160
    picture = base64.b64decode(Page(player._repr_html_()).all("img")[0]["src"].partition(",")[2]).decode()
    assert "@keyframes" not in picture
    ElementTree.fromstring(picture)


def test_a_long_list_of_steps_is_cut_in_a_notebook_and_whole_when_printed():
    x = Value(1.0, label="x")
    y = x
    for _ in range(300):
        y = y * 1.5
    player = mg.step(y)
    assert len(str(player).splitlines()) == 300 + 1 + 600
    assert player._repr_mimebundle_()["text/plain"].splitlines()[-1] == "... 701 more steps"


# ---- training


DATA = ([[0.0, 1.0], [1.0, 1.0], [1.0, 0.0]], [1.0, 0.0, 1.0])


def network():
    return MLP(2, [2, 1], activation="tanh", seed=3)


def test_training_is_recorded_as_fit_does_it():
    stepped, fitted = network(), network()
    optimizer = SGD(stepped.parameters(), lr=0.5)
    player = mg.step(stepped, data=DATA, loss="half_squared_error", optimizer=optimizer, steps=4)
    history = mg.fit(
        lambda x, y: mg.losses.half_squared_error(fitted(x), y), DATA, SGD(fitted.parameters(), lr=0.5), epochs=4
    )
    assert [run.output for run in player.recording.passes] == pytest.approx(history.losses, rel=1e-12)
    assert [p.data for p in stepped.parameters()] == pytest.approx([p.data for p in fitted.parameters()], rel=1e-12)


def test_every_update_goes_from_the_weight_before_to_the_weight_of_the_next_pass():
    model = network()
    player = mg.step(model, data=DATA, loss="half_squared_error", optimizer=SGD(model.parameters(), lr=0.5), steps=3)
    for run, (now, then) in enumerate(zip(player.recording.passes, player.recording.passes[1:], strict=False)):
        updates = events(player, Updated, run)
        assert len(updates) == 9
        for update in updates:
            assert now.values[update.node] == update.before
            assert then.values[update.node] == update.after
            assert update.after == update.before - 0.5 * update.gradient
            assert update.formula
    assert "step 2: loss = " in str(player)


def test_training_takes_the_loss_of_a_sample_as_fit_does_and_any_optimizer():
    w = Value(0.0, label="w")
    player = mg.step(lambda x, y: (w * x - y) ** 2, data=([1.0], [2.0]), optimizer=Adam([w], lr=0.1), steps=2)
    assert [update.formula for update in events(player, Updated)] == [""]
    assert [run.output for run in player.recording.passes] == pytest.approx([4.0, 3.61])


def test_each_training_step_starts_with_gradients_cleared():
    w = Value(0.0, label="w")
    w.grad = 5.0
    player = mg.step(lambda x, y: (w * x - y) ** 2, data=([1.0], [2.0]), optimizer=SGD([w], lr=0.1), steps=2)
    assert [run.gradients[0] for run in player.recording.passes] == [0.0, 0.0]
    assert not any(run.remarks for run in player.recording.passes)


def test_a_network_that_changes_its_graph_cannot_be_played():
    w = Value(1.0, label="w")

    def loss(x, y):
        return (w * x - y) ** 2 if w > 0.5 else w * x

    with pytest.raises(ValueError, match="not that of the first"):
        mg.step(loss, data=([1.0], [-2.0]), optimizer=SGD([w], lr=0.5), steps=3)


def test_a_training_shows_what_the_model_makes_of_the_plane_at_each_step():
    model = network()
    optimizer = SGD(model.parameters(), lr=0.5)
    player = mg.step(model, data=DATA, loss="half_squared_error", optimizer=optimizer, steps=4)
    plane = player.plane
    assert [list(point[:2]) for point in plane.points] == DATA[0]
    assert [point[2] for point in plane.points] == DATA[1]
    assert plane.edges == pytest.approx((-0.15, 1.15, -0.15, 1.15))
    assert plane.level == 0.5
    assert len(plane.heights) == len(player.parameters) == 5
    cell = 1.3 / 32
    corners = [model([-0.15 + cell / 2, -0.15 + cell / 2]).data, model([1.15 - cell / 2, 1.15 - cell / 2]).data]
    assert [plane.heights[-1][0], plane.heights[-1][-1]] == pytest.approx(corners, rel=2e-3, abs=1e-6)
    assert player.parameters[-1]["layer1.neuron0.b"] == model.layers[1].neurons[0].b.data
    assert len(player.parameters[0]) == 9
    assert "training-data" in player.html


@pytest.mark.parametrize("loss", ["half_squared_error", None])
def test_a_training_of_something_else_has_no_plane(loss):
    w = Value(0.5, label="w")
    model = (lambda x: w * x[0]) if loss else lambda x, y: (w * x[0] - y) ** 2
    player = mg.step(model, data=([[1.0], [2.0]], [1.0, 2.0]), loss=loss, optimizer=SGD([w], lr=0.1), steps=2)
    assert player.plane is None
    assert "training-data" not in player.html


def test_looking_at_the_plane_draws_no_random_number_and_leaves_no_gradient():
    import random

    drawn = []

    def noisy(x, w):
        drawn.append(random.random())
        return w * x[0] + x[1] * drawn[-1]

    def run(**arguments):
        random.seed(3)
        w = Value(0.5, label="w")
        mg.step(lambda x: noisy(x, w), optimizer=SGD([w], lr=0.1), steps=3, **arguments)
        return w.data, w.grad

    seen = run(data=DATA, loss="half_squared_error")
    wide = ([[*x, 0.0] for x in DATA[0]], DATA[1])  # three inputs: there is no plane
    assert seen == run(data=wide, loss="half_squared_error")


def train(model, steps, **arguments):
    optimizer = SGD(model.parameters(), lr=0.5)
    return mg.step(model, data=DATA, loss="half_squared_error", optimizer=optimizer, steps=steps, **arguments)


@pytest.mark.slow
def test_of_a_long_training_some_steps_are_played_and_every_loss_is_kept():
    stepped, fitted = network(), network()
    player = train(stepped, 300)
    history = mg.fit(
        lambda x, y: mg.losses.half_squared_error(fitted(x), y), DATA, SGD(fitted.parameters(), lr=0.5), epochs=300
    )
    recording = player.recording
    assert recording.losses == pytest.approx(history.losses, rel=1e-9)
    assert [p.data for p in stepped.parameters()] == pytest.approx([p.data for p in fitted.parameters()], rel=1e-9)
    steps = [run.step for run in recording.passes]
    assert (steps[0], steps[-1], len(steps)) == (1, 300, 100)
    assert {later - sooner for sooner, later in pairwise(steps)} == {3, 4}
    assert [run.output for run in recording.passes] == [recording.losses[step - 1] for step in steps]
    assert len(player.plane.heights) == len(player.parameters) == 101
    assert str(player).startswith("100 of 300 steps of training, with all of their events\nstep 1: loss = ")
    assert "\nstep 300: loss = " in str(player)


@pytest.mark.slow
def test_a_short_training_is_played_whole():
    player = train(network(), 60)
    assert [run.step for run in player.recording.passes] == list(range(1, 61))
    assert str(player).startswith("step 1: ")


def test_a_training_of_a_graph_too_large_to_play_is_refused_before_anything_has_changed(monkeypatch):
    monkeypatch.setattr("microgrannd.drawing.player.recording.LARGEST", 20)
    model = network()
    before = [p.data for p in model.parameters()]
    with pytest.raises(ValueError, match="The player holds up to 20 nodes"):
        train(model, 2)
    assert [p.data for p in model.parameters()] == before


@pytest.mark.slow
def test_a_large_model_is_trained_folded_and_its_page_is_small():
    model = MLP(2, [12, 12, 1], activation="tanh", seed=3)
    player = train(model, 2)
    assert [run.step for run in player.recording.passes] == [1, 2]
    page = json.loads(re.search(r'id="recording">(.*?)</script>', player.html)[1])
    assert [run["step"] for run in page["passes"]] == [run.step for run in player.recording.passes]
    leaves = [x for x in player.recording.passes[-1].values if x is not None]
    assert page["passes"][-1]["leaves"] == leaves


def test_where_the_model_fails_on_the_plane_the_page_says_so_and_the_training_goes_on():
    model = network()

    def narrow(x):
        if x[0] > 1.1:
            raise RuntimeError("x is too large")
        return model(x)

    optimizer = SGD(model.parameters(), lr=0.5)
    player = mg.step(narrow, data=DATA, loss="half_squared_error", optimizer=optimizer, steps=2)
    twin = network()
    train(twin, 2)
    assert [p.data for p in model.parameters()] == [p.data for p in twin.parameters()]
    assert player.plane is None
    words = "The plane is not shown: at (1.13, −0.1297) the model raised RuntimeError: x is too large"
    assert player.obstacle == words
    assert words in player.html


def test_a_loss_that_takes_no_values_says_why_samples_have_no_graph():
    model = network()

    def plain(out, y):
        return (out - float(y)) ** 2

    player = mg.step(model, data=DATA, loss=plain, optimizer=SGD(model.parameters(), lr=0.5), steps=1)
    assert player.plane is not None
    assert player.sample is None
    assert player.no_sample.startswith("A sample has no graph: given Values the loss raised TypeError: ")
    assert player.no_sample[:40] in player.html


@pytest.mark.parametrize("kind", ["random", "own", "numpy", "numpy's global"])
def test_looking_at_the_plane_disturbs_no_generator_and_no_counter(kind):
    import random

    numpy = pytest.importorskip("numpy")

    def trained(data):
        random.seed(3)
        numpy.random.seed(3)
        own, generator, calls = random.Random(3), numpy.random.default_rng(3), []
        draw = {
            "random": random.random,
            "own": own.random,
            "numpy": generator.random,
            "numpy's global": numpy.random.random,
        }[kind]
        w = Value(0.5, label="w")

        def noisy(x):
            calls.append(x)
            return w * x[0] + x[1] * float(draw())

        mg.step(noisy, data=data, loss="half_squared_error", optimizer=SGD([w], lr=0.1), steps=3)
        return w.data, w.grad, len(calls)

    wide = ([[*x, 0.0] for x in DATA[0]], DATA[1])  # three inputs: there is no plane
    assert trained(DATA) == trained(wide)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": DATA}, "give an optimizer="),
        ({"data": DATA, "optimizer": "sgd"}, "give an optimizer=, such as SGD.*; got 'sgd'"),
        (
            {"data": 3, "optimizer": SGD([Value(1.0)])},
            r"data is a tuple with an array or list .* \(X, Y\); got int",
        ),
    ],
)
def test_training_without_what_it_needs_says_what_is_missing(arguments, message):
    with pytest.raises(TypeError, match=message):
        mg.step(network(), **arguments)


@pytest.mark.parametrize(("data", "steps"), [(([[0.0, 1.0]], [1.0, 2.0]), 1), (([], []), 1), (DATA, 0)])
def test_data_that_does_not_fit_together_and_no_steps_are_refused(data, steps):
    model = network()
    with pytest.raises(ValueError, match="at least 1"):
        mg.step(model, data=data, optimizer=SGD(model.parameters()), steps=steps)


def test_a_value_with_data_is_refused():
    with pytest.raises(TypeError, match="give the model"):
        mg.step(Value(1.0), data=DATA, optimizer=SGD([Value(1.0)]))
