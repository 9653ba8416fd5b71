/** The controls: what a person does, and what is shown for it. */

const BASE_TIME = 1500; // milliseconds that an event is shown at speed 1
const READABLE = 0.55; // the scale below which a picture is scrolled rather than made smaller
const still = matchMedia("(prefers-reduced-motion: reduce)");
let asking = false; // whether the next += is being guessed
let selected = -1; // the leaf whose paths are shown
let timer = 0; // of playing
let scale = 0; // of the picture; 0 until it is chosen, -1 for the whole picture

// ---- moving through the events

/** @param {number} target how many events shall have happened @param {boolean} [moving] whether to animate it */
function go(target, moving = false) {
  const from = position;
  asking = false;
  seek(Math.min(Math.max(target, 0), timeline.length));
  show();
  if (moving && Math.abs(position - from) === 1) travel(timeline[Math.min(from, position)], position < from);
  else rest();
}

function forth() {
  const next = timeline[position];
  if (byId("predict").checked && next?.kind === "added" && nodes[next.parent].kind !== "constant" && !asking) {
    asking = true;
    pause();
    rest();
    show();
    byId("guess").focus();
  } else go(position + 1, true);
}

function back() {
  if (asking) go(position);
  else go(position - 1, true);
}

function play() {
  if (position === timeline.length) go(0);
  document.body.classList.add("playing");
  byId("play").setAttribute("aria-label", "Pause");
  tick();
}

function pause() {
  clearTimeout(timer);
  timer = 0;
  document.body.classList.remove("playing");
  byId("play").setAttribute("aria-label", "Play");
}

function tick() {
  forth();
  if (position === timeline.length) pause();
  else if (!asking) timer = setTimeout(tick, pace(timeline[position - 1]));
}

/** @param {Event | undefined} event @returns {number} milliseconds */
function pace(event) {
  const quiet = event?.kind === "added" && nodes[event.parent].kind === "constant";
  return (BASE_TIME * (quiet ? 0.3 : event?.kind === "added" ? 1 : 0.8)) / Number(byId("speed").value);
}

/** Where a click on a node leads: to its paths, or to the event where its turn comes. @param {number} i */
function visit(i) {
  if (nodes[i].kind !== "operation") return select(selected === i ? -1 : i);
  const pass = currentPass();
  const computed = starts[pass] + passes[pass].events.findIndex(({ kind, node }) => kind === "computed" && node === i) + 1;
  const sends = starts[pass] + passes[pass].events.findIndex(({ kind, node }) => kind === "added" && node === i) + 1;
  pause();
  const backward = PHASES[timeline[position - 1]?.kind] !== "forward" && position > 0;
  go(backward !== (position === (backward ? sends : computed)) ? sends : computed);
}

function currentPass() {
  return timeline[position - 1]?.pass ?? 0;
}

// ---- what is shown

function show() {
  const event = asking ? timeline[position] : timeline[position - 1];
  document.body.dataset.phase = event ? PHASES[event.kind] : "start";
  byId("phase").textContent = event ? { forward: "forward →", backward: "← backward", update: "update" }[PHASES[event.kind]] : "start";
  byId("slider").value = String(position);
  byId("slider").setAttribute("aria-valuetext", `${position} of ${timeline.length}: ${spoken(event, asking)}`);
  byId("count").textContent = `${position} / ${timeline.length}`;
  byId("announcement").textContent = `Step ${asking ? position + 1 : position} of ${timeline.length}. ${spoken(event, asking)}`;
  byId("event").replaceChildren(...eventCard(event));
  if (position === timeline.length) byId("event").append(note("That was the last step. Click a leaf to see every path from the output to it."));
  byId("remarks").replaceChildren(...(asking ? [] : remarkCards(remarksAt(position))));
  byId("question").hidden = !asking;
  byId("guess").value = "";
  byId("feedback").textContent = "";
  byId("back").disabled = byId("first").disabled = position === 0 && !asking;
  byId("forth").disabled = byId("last").disabled = position === timeline.length;
  if (passes.length > 1) byId("losses").replaceChildren(...lossChart(currentPass(), (i) => go(starts[i] + passes[i].events.length)));
  mark(event);
  if (selected >= 0) showPaths();
}

/** @param {number} happened */
function remarksAt(happened) {
  return passes.flatMap(({ remarks }, i) => remarks.filter(({ event }) => starts[i] + event + 1 === happened));
}

/** Highlight the nodes and the edge of an event, and keep them in view. @param {Event | undefined} event */
function mark(event) {
  for (const part of picture.querySelectorAll(".now, .giver, .used")) part.classList.remove("now", "giver", "used");
  if (!event || event.kind === "begin") return;
  const place = event.kind === "added" ? event.parent : event.node;
  boxes[place].classList.add("now");
  if (event.kind === "added") {
    boxes[event.node].classList.add("giver");
    edges[event.node][event.position].classList.add("used");
  }
  if (event.kind === "computed") edges[event.node].forEach((edge) => edge.classList.add("used"));
  follow(boxes[place]);
}

/** @param {SVGElement} box */
function follow(box) {
  const scroller = byId("scroller");
  const [inner, outer] = [box.getBoundingClientRect(), scroller.getBoundingClientRect()];
  const margin = 24;
  const x = inner.left < outer.left + margin || inner.right > outer.right - margin ? (inner.left + inner.right - outer.left - outer.right) / 2 : 0;
  const y = inner.top < outer.top + margin || inner.bottom > outer.bottom - margin ? (inner.top + inner.bottom - outer.top - outer.bottom) / 2 : 0;
  if (x || y) scroller.scrollBy({ left: x, top: y, behavior: still.matches ? "auto" : "smooth" });
}

// ---- the number that travels along an edge

let frame = 0;

function rest() {
  cancelAnimationFrame(frame);
  picture.querySelectorAll(".token").forEach((token) => token.remove());
}

/** @param {Event} event @param {boolean} undone whether it is being taken back */
function travel(event, undone) {
  rest();
  const duration = 0.45 * pace(event);
  if (still.matches || duration < 80 || !["added", "computed"].includes(event.kind)) return;
  const added = event.kind === "added";
  const used = added ? [edges[event.node][event.position]] : edges[event.node].slice(0, 12);
  const numbers = added ? [event.contribution] : nodes[event.node].parents.map((parent) => values[parent]);
  const tokens = used.map((edge, k) => {
    const text = short(numbers[k]);
    const token = svgElement("g", { class: "token " + PHASES[event.kind] });
    const width = 7 * text.length + 12;
    const number = svgElement("text", { y: 4 });
    number.textContent = text;
    token.append(svgElement("rect", { x: -width / 2, y: -9, width, height: 18, rx: 9 }), number);
    picture.querySelector("g.nodes").after(token);
    return { token, edge, length: edge.getTotalLength() };
  });
  const begin = performance.now();
  const move = (now) => {
    const t = Math.min(1, Math.max(0, (now - begin) / duration));
    const eased = t * t * (3 - 2 * t);
    const along = added !== undone ? 1 - eased : eased; // edges run from parent to node
    for (const { token, edge, length } of tokens) {
      const { x, y } = edge.getPointAtLength(along * length);
      token.setAttribute("transform", `translate(${x} ${y})`);
    }
    if (t < 1) frame = requestAnimationFrame(move);
    else rest();
  };
  move(begin);
}

// ---- paths

/** @param {number} leaf -1 for none */
function select(leaf) {
  selected = leaf;
  boxes.forEach((box, i) => box.classList.toggle("chosen", i === leaf));
  showPaths();
  if (leaf < 0) return;
  follow(boxes[leaf]);
  byId("paths").scrollIntoView({ block: "nearest", behavior: still.matches ? "auto" : "smooth" });
}

function showPaths() {
  const visible = selected >= 0;
  byId("paths").hidden = !visible;
  light(null);
  if (!visible) return;
  // The products along the paths would give the answer away.
  byId("paths").replaceChildren(...(asking ? [note("The paths are back after your guess.")] : pathsCard(selected, currentPass())));
}

/** Light these edges or, for null, all that lie on a path to the selected leaf. @param {{node: number, position: number}[] | null} along */
function light(along) {
  for (const part of picture.querySelectorAll(".lit")) part.classList.remove("lit");
  picture.classList.toggle("dimmed", selected >= 0);
  if (selected < 0) return;
  boxes[selected].classList.add("lit");
  const shining = along ?? cone(selected);
  for (const { node, position: k } of shining) {
    edges[node][k].classList.add("lit");
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

// ---- predicting

/** @param {string} text */
function check(text) {
  const event = timeline[position];
  const guess = read(text);
  const answer = event.contribution;
  if (guess === null) return say("A number is needed, such as −0.25 or 1/3.");
  if (!agrees(guess, answer)) return say(hint(guess, event));
  go(position + 1, true);
  byId("remarks").prepend(element("p", { className: "praise" }, `Right: ${short(event.upstream)} × ${short(event.local)} = ${short(answer)}.`));
  byId("forth").focus();
}

/** @param {number} guess @param {Event} event */
function hint(guess, { upstream, local, contribution, after }) {
  if (agrees(guess, -contribution)) return "The size is right. What about the sign?";
  if (agrees(guess, after)) return "That is the sum afterwards. How much is added to it?";
  if (agrees(guess, upstream)) return "That is the upstream gradient. It is still to be multiplied by the local gradient.";
  if (agrees(guess, local)) return "That is the local gradient. It is still to be multiplied by the upstream.";
  if (agrees(guess, upstream + local)) return "That is the sum. By the chain rule the two are multiplied.";
  return "Not quite. It is upstream × local gradient.";
}

/** @param {string} text */
function say(text) {
  byId("feedback").textContent = text;
}

// ---- the picture's size

function resize() {
  const { width, height } = picture.viewBox.baseVal;
  const room = byId("scroller");
  const fitting = Math.min(1.7, (room.clientWidth - 2) / width, (room.clientHeight - 2) / height);
  const size = scale > 0 ? scale : scale < 0 ? fitting : Math.max(fitting, READABLE);
  picture.style.width = `${width * size}px`;
  picture.style.height = `${height * size}px`;
}

/** @param {number} factor 0 for the whole picture */
function zoom(factor) {
  const now = picture.getBoundingClientRect().width / picture.viewBox.baseVal.width;
  scale = factor ? Math.min(4, Math.max(0.1, now * factor)) : -1;
  resize();
  const event = timeline[position - 1];
  if (event) follow(boxes[event.parent ?? event.node]);
}

// ---- setting up

function bar() {
  passes.forEach(({ events }, i) => {
    const counts = { forward: 0, backward: 0, update: 0 };
    for (const { kind } of events) counts[PHASES[kind]]++;
    if (i > 0) counts.forward++;
    for (const [phase, count] of Object.entries(counts)) {
      if (!count) continue;
      const text = passes.length > 1 ? (phase === "forward" ? String(i + 1) : "") : { forward: "forward →", backward: "← backward", update: "" }[phase];
      const part = element("span", { className: phase }, text);
      part.style.flexGrow = String(count);
      byId("phases").append(part);
    }
  });
}

function notices() {
  const all = passes.flatMap(({ remarks }, i) => remarks.map((remark) => ({ ...remark, at: starts[i] + remark.event + 1 })));
  if (!all.length) return;
  const shownRemarks = all.slice(0, 40);
  const items = shownRemarks.map(({ at, text, kind }) =>
    element("li", {}, element("button", { type: "button", className: "path " + kind, onclick: () => (pause(), go(at)) }, `Step ${at}: ${text}`)),
  );
  const more = all.length > items.length ? [note(`… and ${all.length - items.length} more.`)] : [];
  const summary = element("summary", {}, `⚠ ${all.length === 1 ? "One thing" : all.length + " things"} to notice`);
  byId("notices").append(element("details", {}, summary, element("ol", { className: "list" }, ...items), ...more));
  byId("notices").hidden = false;
}

/** @param {KeyboardEvent} event */
function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const within = /** @type {HTMLElement} */ (event.target);
  if (within.matches("input:not([type=range]):not([type=checkbox]), select")) return;
  const pressing = event.key === " " && within.matches("button, summary, input[type=checkbox]");
  const action = { ArrowRight: () => (pause(), forth()), ArrowLeft: () => (pause(), back()), " ": toggle, Home: () => (pause(), go(0)), End: () => (pause(), go(timeline.length)), Escape: () => select(-1) }[event.key];
  if (!action || pressing) return;
  event.preventDefault();
  action();
}

function toggle() {
  if (timer) pause();
  else play();
}

function setUp() {
  byId("title").append(isolated(recording.title));
  byId("slider").max = String(timeline.length);
  byId("losses").hidden = passes.length < 2;
  picture.setAttribute("role", "group");
  bar();
  notices();
  nodes.forEach(({ path, kind }, i) => {
    byId("node").append(element("option", { value: String(i) }, kind === "operation" ? path : `${path} (${kind})`));
    boxes[i].addEventListener("click", () => visit(i));
  });
  const on = (id, type, action) => byId(id).addEventListener(type, action);
  on("first", "click", () => (pause(), go(0)));
  on("back", "click", () => (pause(), back()));
  on("play", "click", toggle);
  on("forth", "click", () => (pause(), forth()));
  on("last", "click", () => (pause(), go(timeline.length)));
  on("slider", "input", () => (pause(), go(Number(byId("slider").value))));
  on("predict", "change", () => asking && !byId("predict").checked && go(position));
  on("node", "change", () => {
    if (byId("node").value !== "") visit(Number(byId("node").value));
    byId("node").value = "";
  });
  on("question", "submit", (event) => (event.preventDefault(), check(byId("guess").value)));
  on("reveal", "click", () => (go(position + 1, true), byId("forth").focus()));
  on("zoom-in", "click", () => zoom(1.25));
  on("zoom-out", "click", () => zoom(0.8));
  on("zoom-fit", "click", () => zoom(0));
  document.addEventListener("keydown", key);
  addEventListener("resize", resize);
  resize();
  draw();
  show();
}

setUp();
