/** What the panel says about an event: its numbers, its rule, where it comes from. @param {Event | undefined} event */
function eventCard(event) {
  if (!event) return introduction();
  if (foldedStep(event)) return foldedCard(event);
  const node = nodes[event.node];
  switch (event.kind) {
    case "begin":
      return [caption(event, "A new step"), note(stepsBetween(event.pass), "The gradients are cleared, and the network runs again with the new weights.")];
    case "computed":
      return [
        caption(event, "Forward"),
        equation(
          isolated(node.path),
          ...chain([node.formula, event.formula], node.name),
          together("=", hides("value") ? labelled(unknown(), "value", "result") : term(event.value, "value", "result")),
        ),
        ...origin(node),
      ];
    case "seeded":
      return [
        caption(event, "Backward begins"),
        equation(
          grad(node),
          ...(event.before ? [":", term(event.before, "before"), "→"] : ["="]),
          term(event.after, "gradient of the output", "result"),
        ),
        note(
          event.after === 1 ? "The output changes exactly as much as itself. " : "This gradient comes from outside. ",
          "From here every node hands its gradient on to its parents.",
        ),
      ];
    case "added":
      return hides("all") ? [caption(event, "Backward")] : additionCard(event);
    case "updated":
      return [
        caption(event, "Update"),
        equation(
          isolated(node.path),
          ...(event.formula ? ["←", isolated(event.formula)] : [":", term(event.before, "before")]),
          together(event.formula ? "=" : "→", term(event.after, "after", "result")),
        ),
        note(
          "The optimizer moves the weight against its gradient, ",
          ...[shown(event.gradient, "gradient"), ": from ", shown(event.before, "before"), " to ", shown(event.after, "after"), "."],
        ),
        updateTable(event),
      ];
  }
  return [];
}

/** A step within what is folded. @param {Event} event */
function foldedCard(event) {
  const group = foldOf(event.node) ?? foldOf(event.parent);
  return [
    caption(event, { computed: "Forward", added: "Backward", updated: "Update" }[event.kind]),
    equation(isolated(`▸ ${wholeName(group)}`)),
    note(foldedWords(event)),
    element("button", { type: "button", onclick: () => (pause(), unfold(group)) }, "Unfold"),
  ];
}

/** @param {Event} event */
function foldedWords(event) {
  const step = foldedStep(event);
  let [first, last] = [position - 1, position];
  while (first >= 0 && foldedStep(timeline[first]) === step) first--;
  while (last < timeline.length && foldedStep(timeline[last]) === step) last++;
  const count = (last - first - 1).toLocaleString("en");
  if (event.kind === "computed") return `${count} nodes are computed.`;
  if (event.kind === "updated") return `${count} weights are updated.`;
  return foldOf(event.node) ? `${count} contributions are handed on.` : `${count} contributions from ${shortName(event.node)} arrive.`;
}

/** How many steps of a training are not played before a pass. @param {number} pass */
function stepsBetween(pass) {
  const gap = passes[pass].step - passes[pass - 1].step - 1;
  return gap ? `${gap.toLocaleString("en")} ${gap === 1 ? "step" : "steps"} of the training later. ` : "";
}

/** One +=, without what is being guessed. @param {Event} event */
function additionCard(event) {
  const [node, parent] = [nodes[event.node], nodes[event.parent]];
  const rule = node.local_gradients[event.position];
  const small = recording.rows[node.row].small_print;
  const local = hides("local") ? [isolated(rule)] : [...chain([rule, event.formula], short(event.local)), " = ", shown(event.local, "local gradient")];
  return [
    caption(event, "Backward"),
    equation(
      grad(parent),
      mistakes.overwrite ? "=" : "+=",
      term(event.upstream, "upstream"),
      "×",
      hides("local") ? labelled(unknown(), "local") : term(event.local, "local"),
      together("=", hides("contribution") ? labelled(unknown(), "contribution", "result") : term(event.contribution, "contribution", "result")),
    ),
    element("p", { className: "sum" }, grad(parent), ": ", shown(event.before, "before"), " → ", hides("after") ? unknown() : shown(event.after, "after")),
    element(
      "dl",
      {},
      ...(node.formula === node.name ? [] : entry("node", isolated(`${node.name} = ${node.formula}`))),
      ...entry("rule", fraction(node, parent), hides("local") ? " = " : "", ...local, ...(small ? [element("small", { className: "small-print" }, small)] : [])),
      ...entry("upstream", grad(node), " = ", shown(event.upstream, "upstream")),
    ),
    ...(parent.kind === "constant" ? [note("A constant: its gradient is computed, and nobody asks for it.")] : []),
    ...origin(node),
  ];
}

/** In the place of a number that is being guessed. */
function unknown() {
  return element("span", { className: "unknown-number", title: "to be guessed" }, "?");
}

/** All weights of this training step: before, their gradients, and after. @param {Event} current */
function updateTable(current) {
  const updates = passes[current.pass].events.filter(({ kind }) => kind === "updated");
  const heading = element("tr", {}, ...["weight", "before", "gradient", "after"].map((name) => element("th", { scope: "col" }, name)));
  const from = Math.max(0, Math.min(updates.indexOf(current) - 20, updates.length - 40));
  const rows = updates.slice(from, from + 40).map((event) => {
    const cells = [shown(event.before, "before"), shown(event.gradient, "gradient"), shown(event.after, "after")];
    const when = event === current ? "now" : updates.indexOf(event) > updates.indexOf(current) ? "later" : "";
    const name = element("th", { scope: "row", title: nodes[event.node].path }, isolated(shortName(event.node)));
    return element("tr", { className: when }, name, ...cells.map((cell) => element("td", {}, cell)));
  });
  const more = updates.length - rows.length;
  return element("div", {}, element("table", {}, heading, ...rows), ...(more ? [note(`… and ${more.toLocaleString("en")} more.`)] : []));
}

function introduction() {
  const leaves = nodes.filter(({ kind }) => kind === "leaf").length;
  return [
    element("p", { className: "caption" }, "The start"),
    note(
      leaves === 1 ? "The number of the leaf is given. " : `The numbers of the ${leaves} leaves are given. `,
      "First every node is computed, then the gradient flows back from the output, one += at a time.",
    ),
    ...(passes.length < recording.losses.length ? [note(thinned())] : []),
    note(
      element("span", { className: "with-keys" }, "Press ", element("kbd", {}, "→"), " for a step, ", element("kbd", {}, "space"), " to play. "),
      "Click a node to jump to it; click a leaf to see every path from the output to it. ",
      obstacle === null ? "Change a leaf’s number, and both passes run again." : "",
    ),
  ];
}

/** What is said of a training that is too long to be played whole. */
function thinned() {
  const [all, played] = [recording.losses, passes].map(({ length }) => length.toLocaleString("en"));
  return `Of ${all} steps of training ${played} are played, evenly from the first to the last; the curve of the loss has them all.`;
}

/** @param {Event} event @param {string} phase */
function caption(event, phase) {
  const run = passes.length > 1 ? `Training step ${passes[event.pass].step.toLocaleString("en")} · ` : "";
  return element("p", { className: "caption " + PHASES[event.kind] }, run + phase);
}

/** @param {...(Node | string)} parts */
function equation(...parts) {
  return element("p", { className: "equation" }, ...parts.flatMap((part) => (part === "" ? [] : [part, " "])));
}

/** Parts that stay on one line. @param {...(Node | string)} parts */
function together(...parts) {
  return element("span", { className: "together" }, ...parts);
}

/** A number with its name below it. @param {number} x @param {string} name @param {string} [kind] */
function term(x, name, kind) {
  return labelled(shown(x, name), name, kind);
}

/** @param {Node} number @param {string} name @param {string} [kind] */
function labelled(number, name, kind = "") {
  return element("span", { className: "term " + kind }, number, element("small", {}, name));
}

/** @param {Node} node */
function grad(node) {
  return element("span", { className: "grad" }, "grad(", isolated(node.path), ")");
}

/** ∂node/∂parent @param {Node} node @param {Node} parent */
function fraction(node, parent) {
  return element("span", {}, "∂", isolated(bracketed(node.name)), "/∂", isolated(bracketed(parent.name)));
}

/** A name as in the books where there is one, else with its scope. @param {number} i */
function shortName(i) {
  return nodes[i].short === nodes[i].name ? nodes[i].path : nodes[i].short;
}

/** @param {string} name */
function bracketed(name) {
  return /\s/.test(name) ? `(${name})` : name;
}

/** The texts, each after an equality sign, without repetitions and without `but`. @param {string[]} texts @param {string} but */
function chain(texts, but) {
  return [...new Set(texts)].filter((text) => text !== "" && text !== but).flatMap((text) => [" = ", isolated(text)]);
}

/** @param {string} name @param {...(Node | string)} content */
function entry(name, ...content) {
  return [element("dt", {}, name), element("dd", {}, ...content)];
}

/** @param {...(Node | string)} content */
function note(...content) {
  return element("p", { className: "note" }, ...content);
}

/** Where the node was made: the line of the user's code, the module. @param {Node} node */
function origin(node) {
  const place = [node.scope, node.line].filter(Boolean).join(" · ");
  return place ? [element("p", { className: "origin" }, isolated(place))] : [];
}

/** An event in one line of text, for those who listen. @param {Event | undefined} event */
function spoken(event) {
  if (!event) return "The start";
  if (hides("all")) return asking.label;
  if (foldedStep(event)) return `${wholeName(foldOf(event.node) ?? foldOf(event.parent))}, folded: ${foldedWords(event)}`;
  const node = nodes[event.node];
  switch (event.kind) {
    case "begin":
      return `Training step ${passes[event.pass].step.toLocaleString("en")}. ${stepsBetween(event.pass)}`;
    case "computed": {
      const sides = [node.formula, event.formula].filter((text) => text !== node.name);
      return `Forward: ${[node.path, ...sides, hides("value") ? `? ${asking.label}` : short(event.value)].join(" = ")}`;
    }
    case "seeded":
      return `Backward begins: grad(${node.path}) = ${short(event.after)}`;
    case "added": {
      const [local, product, after] = ["local", "contribution", "after"].map((part) => (hides(part) ? "?" : short(event[part])));
      const known = `grad(${nodes[event.parent].path}) ${mistakes.overwrite ? "=" : "+="} ${short(event.upstream)} × ${local} = ${product}`;
      return asking ? `${known}. ${asking.label}` : `${known}: ${short(event.before)} → ${after}`;
    }
    default:
      return `Update: ${node.path}: ${short(event.before)} → ${short(event.after)}`;
  }
}

/** What to notice at this point, and a list of all of it. @param {Remark[]} remarks */
function remarkCards(remarks) {
  return remarks.map(({ kind, text }) => element("p", { className: "remark " + kind }, element("span", { ariaHidden: "true" }, "⚠ "), text));
}

/** The loss after each step of the training. @param {number} current @param {(pass: number) => void} jump */
function lossChart(current, jump) {
  const losses = recording.losses.map(decoded);
  const top = losses.filter(Number.isFinite).reduce((most, x) => Math.max(most, x), 0) || 1;
  const at = (i) => [12 + (276 * i) / Math.max(1, losses.length - 1), 76 - (64 * losses[i]) / top];
  const chart = svgElement("svg", { viewBox: "0 0 300 88", class: "chart", role: "group", "aria-label": "The loss at each step" });
  const seen = losses.map((_, i) => i).filter((i) => Number.isFinite(losses[i]));
  chart.append(svgElement("path", { d: "M12 76H288", class: "axis" }));
  chart.append(svgElement("polyline", { points: seen.map((i) => at(i).join(",")).join(" "), class: "curve" }));
  for (let i = 0; i < passes.length; i++) {
    const { step } = passes[i];
    const [x, y] = at(step - 1);
    if (!Number.isFinite(y)) continue;
    const point = svgElement("circle", { cx: x, cy: y, r: i === current ? 6 : passes.length > 60 ? 2 : 4, class: i === current ? "point here" : "point" });
    const title = svgElement("title", {});
    title.textContent = `step ${step}: loss ${exact(losses[step - 1])}`;
    point.append(title);
    point.addEventListener("click", () => jump(i));
    chart.append(point);
  }
  const name = nodes[output].name;
  const { step } = passes[current];
  const here = [`step ${step.toLocaleString("en")} of ${losses.length.toLocaleString("en")}: `, isolated(name), " = ", shown(losses[step - 1], "loss")];
  const played = passes.length < losses.length ? [note(thinned())] : [];
  return [element("h2", {}, "Loss, step by step"), chart, element("p", { className: "sum" }, ...here), ...played];
}

/** @param {string} tag @param {Record<string, any>} attributes */
function svgElement(tag, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, entry] of Object.entries(attributes)) made.setAttribute(name, String(entry));
  return made;
}
