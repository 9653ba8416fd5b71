/** The picture of a network: what is unfolded, in frames; each closed part a box with what is in it. */

const MARGIN = 20;
const FRAME = { left: 14, top: 30, right: 14, bottom: 14 };
/** An element in the place of what is not seen. */
const NOWHERE = svgElement("path", {});
const NO_PARTS = { value: null, gradient: null, title: null, bar: null };
/** @type {Map<number, {path: SVGElement, uses: number[]}>} the edges that are seen, with those that they stand for: node, place, node, place */
let shownEdges = new Map();
/** What each node is seen as: a number for each box. */
const slots = new Int32Array(nodes.length);
let slotCount = 0;
const MOST_PARENTS = nodes.reduce((most, { parents }) => Math.max(most, parents.length), 0);
/** @type {{group: Group, notes: SVGElement[]}[]} */
let shownFolds = [];

/** How wide a text is, about. @param {string} text */
function widthOf(text) {
  return 7.6 * text.length;
}

/** @param {number} i @returns {Size} */
function boxSize(i) {
  const { kind, row } = nodes[i];
  if (kind === "constant") return { width: 7 * rooms[i] + 20, height: 24 };
  const inset = kind === "leaf" ? 26 : 20;
  return { width: (row === null ? 0 : gateWidth(row)) + inset + Math.max(widthOf(shortName(i)) + 7 + 7 * rooms[i], 7 * rooms[i] + 14), height: 43 };
}

/** @param {number} row */
function gateWidth(row) {
  const { gate } = recording.rows[row];
  return gate.length <= 2 ? 28 : widthOf(gate) + 14;
}

/** @param {Group} group @returns {Size} */
function foldSize(group) {
  return { width: Math.max(widthOf(group.name) + 16, 6.2 * contentsOf(group).length, 6.2 * 34) + 20, height: 62 };
}

/** What is in a part, in words. @param {Group} group @returns {string} */
function contentsOf(group) {
  return (group.contents ??= counted(group));
}

function counted({ members }) {
  const counts = new Map();
  for (const i of members) {
    const { row, kind } = nodes[i];
    const name = row === null ? kind : recording.rows[row].name;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const plural = (name, count) => (count === 1 ? name : { leaf: "leaves", constant: "constants" }[name] ?? name);
  const listed = [...counts].sort((one, other) => other[1] - one[1]).slice(0, 4);
  return listed.map(([name, count]) => `${count.toLocaleString("en")} ${plural(name, count)}`).join(", ");
}

/** Lay out and draw what is unfolded, and bind it to the nodes. */
function drawNetwork() {
  const all = arranged(root);
  slotCount = 0;
  places = nodes.map(() => null);
  hiddenIn = nodes.map(() => null);
  frames = new Map();
  [rendered, shownFolds] = [[], []];
  boxes = nodes.map(() => NOWHERE);
  parts = nodes.map(() => NO_PARTS);
  const layers = { frames: svgElement("g", { class: "frames" }), edges: picture.querySelector("g.edges"), nodes: picture.querySelector("g.nodes") };
  layers.edges.replaceChildren();
  layers.nodes.replaceChildren();
  picture.querySelector("g.frames")?.remove();
  layers.edges.before(layers.frames);
  putItems(all, 0, 0, layers);
  layers.nodes.append(...[...rendered].sort((one, other) => one - other).map((i) => boxes[i])); // as they are computed
  connect(layers.edges);
  const [width, height] = [all.width + 2 * MARGIN, all.height + 2 * MARGIN];
  picture.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const paper = picture.querySelector("rect.paper");
  for (const [side, length] of [["width", width], ["height", height]]) paper.setAttribute(side, String(length));
  picture.querySelectorAll(":scope > g > text.note").forEach((line) => line.remove());
  drawnNodes.forEach((drawn) => (drawn.value = drawn.gradient = undefined));
  inSight = new Set(rendered);
  resize();
  draw();
}

/** Of each node, while a part is laid out: the part, and which of its items the node is in. */
const [withinOf, itemOf] = [new Int32Array(nodes.length).fill(-1), new Int32Array(nodes.length)];

/** The layout of an open part: its children, and where they are. @param {Group} group */
function arranged(group) {
  const items = group.children.map((child) => (typeof child !== "number" && child.open ? { child, ...inFrame(arranged(child)) } : { child, ...(typeof child === "number" ? boxSize(child) : foldSize(child)) }));
  items.forEach(({ child }, k) => {
    for (const member of typeof child === "number" ? [child] : child.members) [withinOf[member], itemOf[member]] = [group.id, k];
  });
  const pairs = new Map();
  for (const i of group.members) {
    const to = itemOf[i];
    for (const parent of nodes[i].parents) {
      const from = itemOf[parent];
      if (from === to || withinOf[parent] !== group.id) continue;
      const key = from * items.length + to;
      if (!pairs.has(key)) pairs.set(key, [from, to]);
    }
  }
  return { items, ...directed(items, [...pairs.values()]) };
}

/** Which way the picture goes: whether downwards, and whether back. */
const [DOWN, BACK] = [["TB", "BT"], ["RL", "BT"]].map((ways) => ways.includes(drawing?.rankdir));
const turned = ({ x, y, width, height }) => (DOWN ? { x: y, y: x, width: height, height: width } : { x, y, width, height });

/** The layout in the direction of the picture. @param {Size[]} sizes @param {[number, number][]} pairs */
function directed(sizes, pairs) {
  const { places: found, width, height } = layered(sizes.map((size) => turned({ x: 0, y: 0, ...size })), pairs);
  const mirrored = BACK ? found.map((place) => ({ ...place, x: width - place.x - place.width })) : found;
  return { places: mirrored.map(turned), ...(DOWN ? { width: height, height: width } : { width, height }) };
}

/** An open part with its frame around it. */
function inFrame(inner) {
  return { inner, width: inner.width + FRAME.left + FRAME.right, height: inner.height + FRAME.top + FRAME.bottom };
}

/** Draw the items of a part, its corner at a place. */
function putItems({ items, places: within }, left, top, layers) {
  items.forEach(({ child, inner }, k) => {
    const place = { x: left + within[k].x, y: top + within[k].y, width: within[k].width, height: within[k].height };
    if (typeof child === "number") drawBox(child, place, layers.nodes);
    else if (!inner) drawFold(child, place, layers.nodes);
    else {
      drawFrame(child, place, layers.frames);
      putItems(inner, place.x + FRAME.left, place.y + FRAME.top, layers);
    }
  });
}

/** @param {string} tag @param {Record<string, any>} attributes @param {string} text */
function svgText(tag, attributes, text) {
  const made = svgElement(tag, attributes);
  made.textContent = text;
  return made;
}

/** @param {number} i @param {Place} place */
function drawBox(i, place, layer) {
  const { kind, row, path } = nodes[i];
  const box = svgElement("g", { id: `n${i}`, class: ["node", kind, ...rolesOf(i)].join(" "), transform: `translate(${place.x} ${place.y})` });
  const radius = kind === "leaf" ? 17 : 7;
  const { width, height } = place;
  const title = svgText("title", {}, path);
  box.append(title);
  if (outputs.has(i)) box.append(svgElement("rect", { class: "ring", x: -4, y: -4, width: width + 8, height: height + 8, rx: radius + 4 }));
  box.append(svgElement("rect", { class: "box", width, height, rx: radius }));
  const gate = row === null ? 0 : gateWidth(row);
  if (gate) {
    const symbol = recording.rows[row].gate;
    const [classes, lower] = symbol.length <= 2 ? ["symbol short", 5.5] : ["symbol", 4];
    box.append(svgElement("path", { class: "gate", d: `M${gate} 0H7A7 7 0 0 0 0 7V${height - 7}A7 7 0 0 0 7 ${height}H${gate}z` }));
    box.append(svgText("text", { class: classes, x: gate / 2, y: height / 2 + lower }, symbol));
  }
  const x = gate + (kind === "leaf" ? 13 : 10);
  const value = svgText("text", { class: "value", x: kind === "constant" ? x : x + widthOf(shortName(i)) + 7, y: kind === "constant" ? 16 : 18.5 }, "");
  const gradient = kind === "constant" ? null : svgText("text", { class: "gradient", x, y: 33.5 }, "");
  if (gradient) box.append(svgText("text", { class: "label", x, y: 18.5 }, shortName(i)), value, gradient);
  else box.append(value);
  box.addEventListener("click", () => (dragged ? (dragged = false) : visit(i)));
  box.dataset.node = names[i];
  layer.append(box);
  [boxes[i], parts[i], places[i]] = [box, { value, gradient, title, bar: null }, place];
  published[i] = { x: undefined, g: undefined };
  rendered.push(i);
  slots[i] = slotCount++;
  if (kind === "leaf" && !drawing) makeMovable(i);
}

const outputs = new Set(drawing?.outputs ?? [output]);
const marks = ["highlighted", "backward"].map((mark) => new Set(drawing?.[mark] ?? []));

/** What a node is besides its kind. @param {number} i */
function rolesOf(i) {
  const roles = { output: outputs.has(i), input: isInput(i), highlight: marks[0].has(i), gradient: marks[1].has(i) };
  return Object.keys(roles).filter((role) => roles[role]);
}

/** Whether it is what a network is given: no parameter, and used by a neuron. @param {number} i */
function isInput(i) {
  return networkInputs.has(i);
}

/** @param {Group} group @param {Place} place */
function drawFold(group, place, layer) {
  const box = svgElement("g", { id: `f${group.id}`, class: group.members.some((i) => marks[0].has(i)) ? "node fold highlight" : "node fold", transform: `translate(${place.x} ${place.y})`, tabindex: 0, role: "button" });
  const words = contentsOf(group);
  box.setAttribute("aria-label", `${wholeName(group)}, folded: ${words}. Unfold`);
  for (const shift of [6, 3, 0]) box.append(svgElement("rect", { class: "box", x: shift, y: shift, width: place.width - 6, height: place.height - 6, rx: 7 }));
  box.append(svgText("text", { class: "label", x: 10, y: 18.5 }, `▸ ${group.name}`));
  const notes = [words, ""].map((text, k) => svgText("text", { class: "note", x: 10, y: 33.5 + 15 * k }, text));
  box.append(...notes);
  box.addEventListener("click", () => (pause(), unfold(group)));
  box.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    unfold(group);
  });
  layer.append(box);
  for (const i of group.members) {
    boxes[i] = box;
    places[i] = place;
    hiddenIn[i] = group;
    slots[i] = slotCount;
  }
  slotCount++;
  shownFolds.push({ group, note: notes.at(-1) });
}

/** A part with those that it is in. @param {Group} group @returns {string} */
function wholeName({ name, parent }) {
  return parent?.name ? `${wholeName(parent)}.${name}` : name;
}

/** @param {Group} group @param {Place} place */
function drawFrame(group, place, layer) {
  frames.set(group, place);
  layer.append(svgElement("rect", { class: "frame", x: place.x, y: place.y, width: place.width, height: place.height, rx: 10 }));
  const name = svgText("text", { class: "frame-name", x: place.x + 12, y: place.y + 19, tabindex: 0, role: "button", "aria-label": `Fold ${group.name}` }, `▾ ${group.name}`);
  name.addEventListener("click", () => (pause(), fold(group)));
  name.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    fold(group);
  });
  layer.append(name);
}

/** The edges between what is seen: one for all between the same two, if one of them is folded. */
function connect(layer) {
  shownEdges = new Map();
  for (let i = 0; i < nodes.length; i++) {
    const { parents } = nodes[i];
    for (let k = 0; k < parents.length; k++) {
      if (slots[i] === slots[parents[k]]) continue;
      const key = edgeKey(i, k);
      const edge = shownEdges.get(key);
      if (edge) edge.uses.push(i, k);
      else shownEdges.set(key, { path: svgElement("path", { class: "edge" }), uses: [i, k] });
    }
  }
  for (const { path, uses } of shownEdges.values()) {
    const [i, k, ...more] = uses.length > 2 ? [uses[0], uses[1], 1] : uses;
    const [from, to] = [turned(places[nodes[i].parents[k]]), turned(places[i])];
    const [x, y, toX] = BACK ? [from.x, from.y + from.height / 2, to.x + to.width] : [from.x + from.width, from.y + from.height / 2, to.x];
    // The uses of a node come in one below the other.
    const toY = to.y + (to.height * (hiddenIn[i] ? 1 : k + 1)) / (hiddenIn[i] ? 2 : nodes[i].parents.length + 1);
    const bend = (BACK ? -1 : 1) * Math.max(30, Math.abs(toX - x) / 2);
    const points = [[x, y], [x + bend, y], [toX - bend, toY], [toX, toY]].map((point) => (DOWN ? point.reverse() : point));
    const [fromText, bendText, backText, toText] = points.map((point) => point.map((z) => z.toFixed(1)).join(" "));
    path.setAttribute("id", `e${i}-${k}${more.length ? "-and-more" : ""}`);
    path.setAttribute("d", `M${fromText}C${bendText} ${backText} ${toText}`);
    path.setAttribute("stroke-width", (1.3 + Math.min(Math.log2(uses.length / 2), 20) / 8).toFixed(2));
    layer.append(path);
  }
}

/** Two uses have one edge if either end is folded. @param {number} i @param {number} k */
function edgeKey(i, k) {
  const [from, to] = [slots[nodes[i].parents[k]], slots[i]];
  const own = hiddenIn[i] || hiddenIn[nodes[i].parents[k]] ? 0 : k + 1;
  return (from * slotCount + to) * (MOST_PARENTS + 1) + own;
}

/** @param {number} i @param {number} k */
function togetherOf(i, k) {
  return shownEdges.get(edgeKey(i, k))?.path ?? NOWHERE;
}

/** Bring edges and folds up to date, which stand for many nodes. */
function drawTogether() {
  for (const { path, uses } of shownEdges.values()) {
    let [known, flowing] = [false, false];
    for (let at = 0; at < uses.length && !flowing; at += 2) {
      const [i, k] = [uses[at], uses[at + 1]];
      const flow = flows[i][k];
      known ||= flow !== null;
      flowing = (Boolean(flow) || Number.isNaN(flow)) && nodes[nodes[i].parents[k]].kind !== "constant";
    }
    path.classList.toggle("flowed", flowing);
    path.classList.toggle("idle", known && !flowing);
  }
  for (const { group, note } of shownFolds) note.textContent = gradientsOf(group);
}

/** @param {Group} group */
function gradientsOf({ members }) {
  let [count, sum, largest, waiting] = [0, 0, 0, 0];
  for (const i of members) {
    if (values[i] === null) waiting++;
    if (gradients[i] === null || nodes[i].kind === "constant") continue;
    const size = Math.abs(gradients[i]);
    count++;
    sum += size;
    if (size > largest || Number.isNaN(size)) largest = size;
  }
  if (count) return `mean |∇| ${short(sum / count)}, largest ${short(largest)}`;
  return waiting ? `${waiting} to compute` : "";
}

/** A place on the screen, if need be by scrolling. @param {Place} place */
function followPlace(place) {
  if (place) bringIntoSight(place);
}

const networkInputs = new Set();
function findInputs() {
  for (const { parents, scope } of nodes) {
    if (!/(^|\.)layer\d+\.neuron\d+$/.test(scope)) continue;
    for (const parent of parents) if (nodes[parent].row === null && nodes[parent].scope !== scope) networkInputs.add(parent);
  }
}
