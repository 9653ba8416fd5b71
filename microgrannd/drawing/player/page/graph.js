/**
 * The run that is played and the graph as it stands after `position` events.
 *
 * @typedef {{name: string, path: string, short: string, scope: string, kind: string, operation: string, formula: string,
 *   local_gradients: string[], parents: number[], line: string, routes: boolean, row: number | null}} Node
 * @typedef {{kind: string, pass: number, node: number} & Record<string, any>} Event
 * @typedef {{event: number, kind: string, node: number, text: string}} Remark
 * @typedef {{values: (number | null)[], gradients: (number | null)[], events: Event[], remarks: Remark[]}} Pass
 */

const PHASES = { begin: "forward", computed: "forward", seeded: "backward", added: "backward", updated: "update" };

/** @type {Node[]} parents first, the output last */
const nodes = recording.network ? networkNodes() : recording.nodes.map(wholeNode);
const output = nodes.length - 1;
/** @type {Pass[]} */
const passes = recording.passes.map(decodedPass);
/** @type {Event[]} every event of every pass; from the second pass on, one that begins it */
let timeline = [];
/** Where in the timeline the events of each pass start. @type {number[]} */
let starts = [];
/** The largest finite |gradient| that comes up. */
let largest = 0;
arrange();

/** How many events have happened. What is on the screen depends on it alone. */
let position = 0;
const values = [...passes[0].values];
const gradients = [...passes[0].gradients];
/** @type {(number | null)[][]} what has flowed back along the edges, by node and which of its parents */
const flows = nodes.map(({ parents }) => parents.map(() => null));
/** @type {[any[] | null, number, any][]} for each event that has happened a mark, and the entries as they were before it */
const undo = [];

const picture = byId("scroller").querySelector("svg");
// Of a network they change as it is unfolded, and many nodes have one box: that of the part which they are folded in.
let boxes = network ? [] : nodes.map((_, i) => byId("n" + i));
const edges = network ? [] : nodes.map(({ parents }, i) => parents.map((_, k) => byId(`e${i}-${k}`)));
let parts = boxes.map((box) => {
  const [value, gradient, title] = ["text.value", "text.gradient", "title"].map((part) => box.querySelector(part));
  return { value, gradient, title, bar: /** @type {SVGElement | null} */ (null) };
});
/** Where each box is in the picture. */
let places = boxes.map((box) => {
  const [x, y] = box.getAttribute("transform").match(/-?[\d.]+/g).map(Number);
  const [width, height] = ["width", "height"].map((side) => Number(box.querySelector(".box").getAttribute(side)));
  return { x, y, width, height };
});
/** How many characters fit in each box: those of the longest number that was recorded. */
const rooms = nodes.map(() => 6);
if (!recording.network) for (const [i, x] of passes.flatMap((pass) => [...pass.values.entries(), ...pass.gradients.entries()])) makeRoom(i, x);
if (!recording.network) for (const { kind, node, parent, value, after } of timeline) if (kind !== "begin") makeRoom(kind === "added" ? parent : node, value ?? after);
const BAR = 56; // the length of a bar for the largest gradient, the same in every box

/** A node with what the page leaves out: what is the same as its name, and what its row says. @param {any} node @returns {Node} */
function wholeNode(node) {
  const row = node.row ?? null;
  const { routes = false } = row === null ? {} : recording.rows[row];
  return { path: node.name, short: node.name, kind: "operation", scope: "", line: "", formula: "", local_gradients: [], parents: [], ...node, row, routes };
}

/** @param {number} i @param {number | null} x */
function makeRoom(i, x) {
  if (x !== null) rooms[i] = Math.max(rooms[i], short(x).length);
}

/** Line the events of all passes up. */
function arrange() {
  timeline = [];
  starts = passes.map((pass, i) => {
    if (i > 0) timeline.push({ kind: "begin", pass: i, node: output });
    for (const event of pass.events) timeline.push(event);
    return timeline.length - pass.events.length;
  });
  largest = 0;
  for (const { kind, after } of timeline) {
    if (PHASES[kind] === "backward" && Number.isFinite(after)) largest = Math.max(largest, Math.abs(after));
  }
  if (drawing) for (const g of passes[0].gradients) if (Number.isFinite(g)) largest = Math.max(largest, Math.abs(g));
}

/** Play another run of the same graph from now on, at the same place. @param {Pass} pass */
function replace(pass) {
  const target = position;
  passes[0] = pass;
  arrange();
  position = undo.length = 0;
  pass.values.forEach((x, i) => (values[i] = x));
  pass.gradients.forEach((g, i) => (gradients[i] = g));
  flows.forEach((flow) => flow.fill(null));
  seek(target);
}

/** A pass as Python ran it: from the numbers that it computed, the events between them. @param {any} pass @param {number} i @returns {Pass} */
function decodedPass(pass, i) {
  if (drawing) {
    const [values, gradients] = [pass.values.map(decoded), pass.gradients.map(decoded)];
    return { run: { values, locals: [] }, held: gradients, values, gradients, events: [], remarks: [] };
  }
  const right = { order: false, overwrite: false };
  if (!pass.values) {
    let at = 0;
    const run = computedRun(nodes.map(({ row }) => (row === null ? decoded(pass.leaves[at++]) : null)));
    const held = nodes.map(({ row }, k) => (row === null ? decoded(pass.held[k] ?? 0) : null));
    const events = eventsOf(run, held, decoded(pass.upstream), right, i);
    const remarks = [...pass.remarks, ...remarksOn(run, held, events)];
    return { ...passWith(run, held, [...events, ...updatesOf(pass, i)], remarks), step: pass.step };
  }
  const [values, locals, held] = [pass.values.map(decoded), pass.local_gradients.map((row) => row.map(decoded)), pass.gradients.map(decoded)];
  const events = eventsOf({ values, locals }, held, decoded(pass.upstream), right, i);
  return { ...passWith({ values, locals }, held, [...events, ...updatesOf(pass, i)], pass.remarks), step: pass.step };
}

/** What the optimizer did after a pass. @param {any} pass @param {number} i @returns {Event[]} */
function updatesOf({ updates }, i) {
  return updates.map(([node, gradient, before, after, formula]) => {
    return { kind: "updated", pass: i, node, gradient: decoded(gradient), before: decoded(before), after: decoded(after), formula };
  });
}

/** Let events happen, or undo them, until this many have happened. @param {number} target */
function seek(target) {
  while (position < target) happen(timeline[position++]);
  while (position > target) {
    position--;
    for (let [store, key, before] = undo.pop(); store; [store, key, before] = undo.pop()) store[key] = before;
  }
  draw();
}

/** Let an event happen; what it changes is kept with the old entries above a mark. @param {Event} event */
function happen(event) {
  undo.push([null, 0, 0]);
  if (event.kind === "computed") set(values, event.node, event.value);
  if (event.kind === "updated") set(values, event.node, event.after);
  if (event.kind === "seeded") set(gradients, event.node, event.after);
  if (event.kind === "added") {
    set(gradients, event.parent, event.after);
    set(flows[event.node], event.position, event.contribution);
  }
  if (event.kind === "begin") {
    passes[event.pass].values.forEach((x, i) => set(values, i, x));
    passes[event.pass].gradients.forEach((g, i) => set(gradients, i, g));
    flows.forEach((flow) => flow.forEach((_, k) => set(flow, k, null)));
  }
}

/** @param {any[]} store @param {number} key @param {any} entry */
function set(store, key, entry) {
  undo.push([store, key, store[key]]);
  store[key] = entry;
}

const drawnNodes = nodes.map(() => ({ value: undefined, gradient: undefined }));
const drawnFlows = flows.map((flow) => flow.map(() => undefined));
const CROWD = 300; // nodes; of more, only those in sight are rendered
let rendered = [...nodes.keys()];
let inSight = new Set(rendered);

/** Bring what is seen of the picture up to date: only what differs from what it shows is touched. */
function draw() {
  inSight.forEach(bringUpToDate);
  if (network) drawTogether();
}

/** Render only what is in sight, since a browser paints all of a picture again when a number in it changes. */
function cull() {
  if (rendered.length <= CROWD) return;
  const { left, top, right, bottom } = sight();
  const near = (x, y, toX, toY) => x < right && toX > left && y < bottom && toY > top;
  inSight = new Set();
  for (const i of rendered) {
    const { x, y, width, height } = places[i];
    const visible = near(x, y, x + width, y + height);
    if (visible) bringUpToDate((inSight.add(i), i));
    boxes[i].classList.toggle("away", !visible);
    nodes[i].parents.forEach((parent, k) => {
      const from = places[parent];
      const passes = near(from.x, Math.min(y, from.y), x + width, Math.max(y + height, from.y + from.height));
      edgeOf(i, k).classList.toggle("away", !passes);
    });
  }
}

/** @param {number} i */
function bringUpToDate(i) {
  const before = drawnNodes[i];
  if (!Object.is(before.value, values[i]) || !Object.is(before.gradient, gradients[i])) drawNode(i);
  if (!network) flows[i].forEach((flow, k) => {
    if (!Object.is(drawnFlows[i][k], flow)) drawFlow(i, k);
  });
}

/** @param {number} i */
function drawNode(i) {
  const [x, g] = [values[i], gradients[i]];
  const { value, gradient, title } = parts[i];
  drawnNodes[i] = { value: x, gradient: g };
  boxes[i].classList.toggle("unknown", x === null);
  boxes[i].classList.toggle("broken", Number.isNaN(x) || Number.isNaN(g));
  writeNumber(value, x, "", rooms[i]);
  writeNumber(gradient, g, "∇ ", rooms[i] + 2);
  if (gradient) barUnder(i).setAttribute("width", (BAR * strength(g)).toFixed(1));
  const known = x === null ? nodes[i].path : `${nodes[i].path} = ${exact(x)}`;
  const lost = Number.isNaN(x) || Number.isNaN(g) ? "; not a number" : "";
  title.textContent = (g === null ? known : `${known}; gradient ${exact(g)}`) + lost;
}

/** The bar that shows how large a gradient is. @param {number} i */
function barUnder(i) {
  if (!parts[i].bar) {
    const [x, y] = ["x", "y"].map((side) => Number(parts[i].gradient.getAttribute(side)));
    parts[i].bar = svgElement("rect", { class: "strength", x, y: y + 3.5, height: 2, rx: 1 });
    boxes[i].append(parts[i].bar);
  }
  return parts[i].bar;
}

/** A number in its place in a box, narrower if it is longer than the place. */
function writeNumber(text, x, sign, room) {
  if (!text) return;
  const written = x === null ? "" : sign + short(x);
  text.textContent = written;
  text.dataset.number = x === null ? "" : exact(x);
  if (written.length > room) text.setAttribute("textLength", String(7 * room));
  else text.removeAttribute("textLength");
  if (written.length > room) text.setAttribute("lengthAdjust", "spacingAndGlyphs");
}

/** The path from a node's parent to it, or the one that stands for it. @param {number} i @param {number} k @returns {SVGElement} */
function edgeOf(i, k) {
  return network ? togetherOf(i, k) : edges[i][k];
}

/** @param {number} i @param {number} k */
function drawFlow(i, k) {
  const flow = (drawnFlows[i][k] = flows[i][k]);
  const received = nodes[nodes[i].parents[k]].kind !== "constant"; // nobody asks for a constant's gradient
  edges[i][k].classList.toggle("flowed", received && (Boolean(flow) || Number.isNaN(flow)));
  edges[i][k].classList.toggle("idle", flow === 0);
  if (flow && received) edges[i][k].setAttribute("stroke-width", (1.3 + 2 * strength(flow)).toFixed(2));
  else edges[i][k].removeAttribute("stroke-width");
}

/** How strongly a gradient is drawn, from 0 to 1: a tenth less for each factor of two below the largest. */
function strength(gradient) {
  if (!gradient) return 0; // none for NaN: it has no size
  return Number.isFinite(gradient) ? Math.max(0.1, 1 - Math.log2(largest / Math.abs(gradient)) / 10) : 1;
}
