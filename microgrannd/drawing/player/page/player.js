/** The controls: what a person does, and what is shown for it. */

const NAMES = { start: "start", forward: "forward →", backward: "← backward", update: "update" };
const BASE_TIME = 1500; // milliseconds that an event is shown at speed 1
/** @type {Question | null} what is being guessed */
let asking = null;
let timer = 0; // of playing
let pointing = false; // whether a pointer was used last to get about, and not the keys

// ---- moving through the events

/** @param {number} target how many events shall have happened @param {boolean} [moving] whether to animate it */
function go(target, moving = false) {
  const from = position;
  asking = null;
  seek(Math.min(Math.max(target, 0), timeline.length));
  show();
  if (moving && Math.abs(position - from) === 1) travel(timeline[Math.min(from, position)], position < from);
  else rest();
}

/** A step; in predict mode first the question, then the step. */
function forth() {
  const question = asking ? null : questionBefore(timeline[position]);
  if (question) {
    asking = question;
    pause();
    rest();
    show();
    byId("guess").focus();
  } else go(stepFrom(1), true);
}

function back() {
  if (asking) go(position);
  else go(stepFrom(-1), true);
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
  announce();
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

/**
 * Where a click on a node leads: for a leaf, to its paths; else to the event of this phase where its turn comes
 * or, if that is now, to the one of the other phase.
 * @param {number} i
 */
function visit(i) {
  if (asking?.about === "turn") return checkTurn(i);
  if (nodes[i].kind !== "operation" || drawing) return select(selected === i ? -1 : i);
  const pass = currentPass();
  const after = (kind) => starts[pass] + passes[pass].events.findIndex((event) => event.kind === kind && event.node === i) + 1;
  const turns = [after("computed"), after("added")];
  if (!["start", "forward"].includes(document.body.dataset.phase)) turns.reverse();
  pause();
  go(turns[0] === position ? turns[1] : turns[0]);
}

/** @returns {number} */
function currentPass() {
  return timeline[position - 1]?.pass ?? 0;
}

// ---- what is shown

/** Bring everything around the picture up to date. */
function show() {
  const event = asking ? timeline[position] : timeline[position - 1];
  const phase = event ? PHASES[event.kind] : "start";
  document.body.dataset.phase = phase;
  byId("phase").textContent = NAMES[phase];
  byId("slider").value = String(position);
  byId("slider").setAttribute("aria-valuetext", `${position} of ${timeline.length}: ${spoken(event)}`);
  byId("count").textContent = `${position} / ${timeline.length}`;
  announce();
  byId("event").replaceChildren(...eventCard(event));
  if (position === timeline.length) byId("event").append(note("That was the last step. Click a leaf to see its paths."));
  byId("remarks").replaceChildren(...(asking ? [] : [...(event?.kind === "added" ? mistakeNotes(event) : []), ...remarkCards(remarksAt(position))]));
  byId("question").hidden = !asking;
  byId("asked").textContent = asking?.label ?? "";
  showScore();
  byId("guess").value = "";
  byId("feedback").textContent = "";
  byId("back").disabled = byId("first").disabled = position === 0 && !asking;
  byId("forth").disabled = byId("last").disabled = position === timeline.length;
  // What cannot be pressed loses the focus, and with it the keyboard.
  if (document.activeElement?.matches("#transport :disabled")) byId(position === 0 ? "forth" : "back").focus();
  if (passes.length > 1) byId("losses").replaceChildren(...lossChart(currentPass(), (i) => (pause(), go(starts[i] + passes[i].events.length))));
  mark(asking?.about === "turn" ? undefined : event);
  markMistakes();
  if (selected >= 0) showPaths();
}

/** Say where we are, unless it changes faster than anybody could listen. */
function announce() {
  if (timer && Number(byId("speed").value) > 4) return;
  const event = asking ? timeline[position] : timeline[position - 1];
  byId("announcement").textContent = `Step ${position + (asking ? 1 : 0)} of ${timeline.length}. ${spoken(event)}`;
}

/** @param {number} happened */
function remarksAt(happened) {
  return passes.flatMap(({ remarks }, i) => remarks.filter(({ event }) => starts[i] + event + 1 === happened));
}

/** Highlight the nodes and the edge of an event, and keep them in view. @param {Event | undefined} event */
function mark(event) {
  for (const part of picture.querySelectorAll(".now, .giver, .busy")) part.classList.remove("now", "giver", "busy");
  if (!event || event.kind === "begin") return;
  const place = event.kind === "added" && !ofConstant(event) ? event.parent : event.node;
  if (!ofConstant(event)) boxes[place].classList.add("now");
  if (event.kind === "added") {
    boxes[event.node].classList.add("giver");
    edgeOf(event.node, event.position).classList.add("busy");
  }
  if (event.kind === "computed") nodes[event.node].parents.forEach((_, k) => edgeOf(event.node, k).classList.add("busy"));
  follow(place);
}

// ---- setting up

/** The marks of the phases above the slider, as wide as they have events. */
function bar() {
  byId("phases").classList.toggle("many", passes.length > 20);
  passes.forEach(({ events }, i) => {
    const phases = [...(i > 0 ? ["forward"] : []), ...events.map(({ kind }) => PHASES[kind])];
    for (const phase of new Set(phases)) {
      const text = passes.length === 1 ? NAMES[phase] : phase === "forward" ? String(passes[i].step) : "";
      const part = element("span", { className: phase }, text);
      const first = starts[i] - (i > 0 ? 1 : 0) + phases.indexOf(phase);
      part.style.flexGrow = String(phases.filter((other) => other === phase).length);
      part.onclick = () => (pause(), go(first + 1));
      byId("phases").append(part);
    }
  });
}

/** The list of all remarks, each with the way to its event. */
function notices() {
  const groups = groupedRemarks();
  byId("notices").hidden = !groups.length;
  if (!groups.length) return byId("notices").replaceChildren();
  const items = groups.slice(0, 40).map(({ remarks, text }) =>
    element("li", {}, remarks.length === 1 ? way(remarks[0], text) : element("details", {}, element("summary", {}, text), ...remarks.slice(0, 40).map((remark) => way(remark, names[remark.node])))),
  );
  const more = groups.length > items.length ? [note(`… and ${groups.length - items.length} more.`)] : [];
  const summary = element("summary", {}, `⚠ ${groups.length === 1 ? "One thing" : groups.length + " things"} to notice`);
  const open = byId("notices").querySelector("details")?.open ?? false;
  byId("notices").replaceChildren(element("details", { open }, summary, element("ol", { className: "list" }, ...items), ...more));
}

/** A remark as the way to its event. @param {{at: number}} remark @param {string} text */
function way({ at }, text) {
  return element("button", { type: "button", className: "path", onclick: () => (pause(), go(at)) }, `Step ${at}: ${text}`);
}

const KEYS = {
  ArrowRight: () => (pause(), forth()),
  ArrowLeft: () => (pause(), back()),
  Home: () => (pause(), go(0)),
  End: () => (pause(), go(timeline.length)),
  Escape: () => (selected >= 0 ? select(-1) : foldLast()),
  " ": toggle,
};

/** @param {KeyboardEvent} event */
function key(event) {
  if (drawing && event.key !== "Escape") return;
  const within = /** @type {HTMLElement} */ (event.target);
  const typing = within.matches("input:not([type=range]):not([type=checkbox]), select");
  if (event.key === "Tab") pointing = false;
  // A button that was clicked keeps the focus: space plays then, and presses one that was reached by keys.
  const pressing = event.key === " " && within.matches(pointing ? "summary, input[type=checkbox]" : "button, summary, input[type=checkbox]");
  if (event.ctrlKey || event.metaKey || event.altKey || typing || pressing || !(event.key in KEYS)) return;
  event.preventDefault();
  KEYS[event.key]();
}

function toggle() {
  if (timer) pause();
  else play();
}

function setUp() {
  byId("title").append(isolated(recording.title));
  if (network) {
    document.body.classList.add("network", drawing ? "drawing" : "played");
    root = partsOf(nodes);
    findInputs();
    openAtStart();
    drawNetwork();
  }
  byId("slider").max = String(timeline.length);
  byId("losses").hidden = passes.length < 2;
  picture.setAttribute("role", "group");
  if (!drawing) for (const words of picture.querySelectorAll("desc")) words.textContent = words.textContent.replace(/ (No gradients:|Gradients).*/, "");
  bar();
  setUpNumbers();
  notices();
  setUpSearch();
  byId("node").closest("label").hidden = Boolean(recording.network);
  if (!recording.network) nodes.forEach(({ path, kind }, i) => {
    byId("node").append(element("option", { value: String(i) }, kind === "operation" ? path : `${path} (${kind})`));
    if (!network) boxes[i].addEventListener("click", () => (dragged ? (dragged = false) : visit(i)));
  });
  const on = (id, type, action) => byId(id).addEventListener(type, action);
  on("first", "click", KEYS.Home);
  on("back", "click", KEYS.ArrowLeft);
  on("play", "click", toggle);
  on("forth", "click", KEYS.ArrowRight);
  on("last", "click", KEYS.End);
  on("slider", "input", () => (pause(), go(Number(byId("slider").value))));
  on("predict", "change", () => {
    byId("asking").hidden = !byId("predict").checked;
    if (asking) go(position);
  });
  on("ask", "change", () => asking && go(position));
  on("node", "change", () => {
    if (byId("node").value !== "") visit(Number(byId("node").value));
    byId("node").value = "";
  });
  // No form: in the sandbox of a notebook's frame forms are not submitted.
  on("check", "click", () => check(byId("guess").value));
  on("guess", "keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // or it would press the button that has the focus next
    check(byId("guess").value);
  });
  on("reveal", "click", () => (score.asked++, go(position + 1, true), byId("forth").focus()));
  on("zoom-in", "click", () => zoom(1.25));
  on("zoom-out", "click", () => zoom(0.8));
  on("zoom-fit", "click", () => zoom(0));
  document.addEventListener("keydown", key);
  document.addEventListener("pointerdown", () => (pointing = true), true);
  // In a notebook the frame gets its size after the page has run.
  new ResizeObserver(resize).observe(byId("scroller"));
  byId("scroller").addEventListener("scroll", cull, { passive: true });
  resize();
  if (network) byId("scroller").scrollTop = (byId("scroller").scrollHeight - byId("scroller").clientHeight) / 2;
  draw();
  show();
  unpackDerivations();
}

setUp();
