/** The selected leaf: its paths in the panel and in the picture. */

let selected = -1; // -1 for none

/** @param {number} leaf -1 for none */
function select(leaf) {
  selected = leaf;
  if (leaf >= 0) reveal(leaf);
  if (leaf >= 0 && nodes[leaf].kind === "leaf" && obstacle === null && !fields.has(leaf)) byId("fields").prepend(numberField(leaf));
  picture.querySelector(".chosen")?.classList.remove("chosen");
  if (leaf >= 0) boxes[leaf].classList.add("chosen");
  showPaths();
  if (leaf < 0) return;
  follow(leaf);
  byId("paths").scrollIntoView({ block: "nearest", behavior: gently() });
}

/** Bring the list of paths and the lights up to date. */
function showPaths() {
  const visible = selected >= 0;
  byId("paths").hidden = !visible;
  light(null);
  if (drawing) return; // which lights them, and says no more
  showDerivation();
  if (!visible) return;
  const hidden = [note("The paths would give the answer away; they are back after your guess.")];
  byId("paths").replaceChildren(...(asking ? hidden : pathsCard(selected, currentPass())));
}

/**
 * Light these edges or, for null, all that lie on a path to the selected leaf.
 * @param {{node: number, position: number}[] | null} along
 */
function light(along) {
  for (const part of picture.querySelectorAll(".lit")) part.classList.remove("lit");
  picture.classList.toggle("dimmed", selected >= 0);
  if (selected < 0) return;
  boxes[selected].classList.add("lit");
  for (const { node, position: k } of along ?? cone(selected)) {
    edgeOf(node, k).classList.add("lit");
    boxes[node].classList.add("lit");
    boxes[nodes[node].parents[k]].classList.add("lit");
  }
}

/** The edges on all paths from the output to a node. @param {number} leaf */
function cone(leaf) {
  const reached = nodes.map((_, i) => i === leaf);
  return nodes.flatMap(({ parents }, node) =>
    parents.flatMap((parent, k) => {
      if (!reached[parent]) return [];
      reached[node] = true;
      return [{ node, position: k }];
    }),
  );
}

/**
 * The paths from the output to a leaf, the products along them, and their sum.
 * @param {number} leaf
 * @param {number} pass
 */
function pathsCard(leaf, pass) {
  const additions = passes[pass].events.filter(({ kind }) => kind === "added");
  const locals = new Map(additions.map((event) => [`${event.node}-${event.position}`, event.local]));
  const local = ({ node, position: k }) => locals.get(`${node}-${k}`);
  const seed = passes[pass].events.find(({ kind }) => kind === "seeded");
  const { count, paths, sum } = pathsTo(nodes, leaf, local, seed.after);
  const received = additions.filter(({ parent }) => parent === leaf);
  const before = received[0]?.before ?? seed.before;
  const after = received.at(-1)?.after ?? seed.after;
  const title = `${count === 1n ? "One path" : `${count.toLocaleString("en")} paths`} to `;
  const mixed = mistaken() ? [note("The paths are those of the right pass; the mistake changes what the leaf gets.")] : [];
  return [
    element("h2", {}, title, isolated(nodes[leaf].path)),
    element("button", { type: "button", className: "close", ariaLabel: "Close the paths", onclick: () => select(-1) }, "×"),
    ...mixed,
    ...(sum === null ? [note("This is the one with the largest product. The backward pass has summed them all, and walked none.")] : []),
    element("ol", { className: "list" }, ...paths.map((path) => pathLine(path, seed.after, local))),
    sum === null
      ? element("p", { className: "sum" }, grad(nodes[leaf]), " = ", shown(after, "gradient"))
      : verdict(leaf, paths.map(({ product }) => product), before, sum, after),
  ];
}

/** A path, lit in the picture while it is looked at. */
function pathLine({ edges: along, product }, seed, local) {
  const names = [output, ...along.map(({ parent }) => parent)].map((i) => isolated(nodes[i].name));
  const factors = [...(seed === 1 && along.length ? [] : [seed]), ...along.map(local)].map((x) => shown(x, "local gradient"));
  const line = element(
    "button",
    { type: "button", className: "path" },
    element("span", { className: "route" }, ...joined(names, " → ")),
    element("span", { className: "product" }, ...joined(factors, " × "), " = ", shown(product, "product")),
  );
  line.onmouseenter = line.onfocus = line.onclick = () => light(along);
  line.onmouseleave = line.onblur = () => light(null);
  return element("li", {}, line);
}

/**
 * What the leaf held before, the products, and whether their sum is its gradient.
 * @param {number} leaf
 * @param {number[]} products
 */
function verdict(leaf, products, before, sum, after) {
  const total = before + sum;
  const size = products.reduce((most, x) => most + Math.abs(x), Math.abs(before));
  const same = Object.is(total, after) || total === after;
  const close = same || Math.abs(total - after) <= 1e-12 * size;
  const terms = products.length <= 8 ? products.map((x) => shown(x, "product")) : [`${products.length} products`];
  if (before) terms.unshift(shown(before, "held before"));
  return element(
    "p",
    { className: "sum" },
    ...joined(terms, " + "),
    ...(terms.length > 1 || products.length > 8 ? [" = ", shown(total, "sum")] : []),
    close ? " = " : " ≠ ",
    grad(nodes[leaf]),
    ...(same ? [] : [" = ", shown(after, "gradient")]),
    same ? "" : close ? " (up to rounding)" : " (infinities and zeros have met on the way)",
  );
}
