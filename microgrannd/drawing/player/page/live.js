/** The numbers of the leaves: typed, dragged, stepped with the arrow keys, and kept in the address. */

const recorded = passes[0];
const original = recorded.run;
const upstream = decoded(recording.passes[0].upstream);
const leaves = nodes.flatMap(({ kind }, i) => (kind === "leaf" ? [i] : []));
const names = distinct(nodes.map(({ path }) => path));
/** Why the numbers cannot be changed here; none if they can. */
let obstacle = passes.length > 1 || drawing ? "" : recording.strange.length ? strangeWords(recording.strange) : null;
/** @type {Run} what is played */
let run = original;
let current = [...original.values]; // the leaves' numbers, by node
let untested = true; // whether the rows are yet to be compared with what was recorded
let addressing = 0; // the timer after which the address follows
const MOST_FIELDS = 1500;
const fields = new Map(); // the inputs by node

/** @param {string[]} strange */
function strangeWords(strange) {
  return `The numbers stay as they are: ${strange.join(" and ")} cannot be computed in a page. Say with form= how it is made of others.`;
}

/** The names, each once: x, x_2, x_3. @param {string[]} given */
function distinct(given) {
  const taken = new Set(given);
  const seen = new Map();
  return given.map((name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    if (count === 1) return name;
    let k = count;
    while (taken.has(`${name}_${k}`)) k++;
    taken.add(`${name}_${k}`);
    return `${name}_${k}`;
  });
}

/** Give leaves other numbers and run both passes again. @param {[number, number][]} changes */
function change(changes) {
  if (obstacle !== null) return;
  if (untested) test();
  if (obstacle !== null) return;
  for (const [i, x] of changes) current[i] = x;
  const same = leaves.every((i) => Object.is(current[i], original.values[i]));
  run = same ? original : computedRun(current);
  byId("as-it-was").disabled = same;
  rerun();
  clearTimeout(addressing);
  addressing = setTimeout(address, 250);
}

/** Compare what the rows give with what was recorded. */
function test() {
  untested = false;
  const strange = strangeRow(original);
  if (strange !== null) refuse(`The numbers stay as they are: the form of ${strange} does not give what its function gives.`);
}

/** Play the run as it is now, with the mistakes that are switched on. */
function rerun() {
  const pure = run === original && !mistaken();
  replace(pure ? recorded : passNow(mistakes));
  if (nodes.length <= CROWD) publish();
  else publishing ||= setTimeout(publish);
  notices();
  compare();
  show();
}

/** @param {Mistakes} mistakes */
function passNow(mistakes) {
  const events = eventsOf(run, recorded.held, upstream, mistakes);
  return passWith(run, recorded.held, events, remarksOn(run, recorded.held, events));
}

/** Write the results of the whole run into the nodes, for scripts; of a large graph, after they are painted. */
function publish() {
  publishing = 0;
  const found = gradientsAfter(passes[0]);
  rendered.forEach((i) => {
    const [x, g, before] = [run.values[i], found[i], published[i]];
    const { value, gradient } = parts[i];
    if (!Object.is(before.x, x)) value.dataset.value = exact(x);
    if (!Object.is(before.g, g)) (gradient ?? value).dataset.gradient = exact(g);
    published[i] = { x, g };
  });
}
let publishing = 0; // the timer of what is published after it is painted
const published = nodes.map(() => ({ x: undefined, g: undefined }));

/** @param {string} why */
function refuse(why) {
  obstacle = why;
  byId("obstacle").textContent = why;
  byId("obstacle").hidden = !why;
  for (const field of fields.values()) field.disabled = true;
}

// ---- one leaf

/** @param {number} i @param {number} x */
function put(i, x) {
  const field = fields.get(i);
  if (field) field.value = exact(x);
  field?.removeAttribute("aria-invalid");
  move([[i, x]]);
}

/** Change numbers because a person did; from the start, where there is nothing to see yet, to the end. */
function move(changes) {
  pause();
  asking = null;
  if (position === 0) seek(timeline.length);
  change(changes);
  byId("announcement").textContent = `${changes.map(([i, x]) => `${names[i]} = ${short(x)}`).join(", ")}: ${nodes[output].path} = ${short(run.values[output])}`;
}

/** A tenth of the leading digit's place, by the number that the leaf had. @param {number} i */
function stepOf(i) {
  const size = Math.abs(original.values[i]);
  return size > 0 && Number.isFinite(size) ? 10 ** (Math.floor(Math.log10(size)) - 1) : 0.1;
}

/** @param {number} i @param {number} steps */
function nudge(i, steps) {
  const x = Number.isFinite(current[i]) ? current[i] : 0;
  put(i, Number((x + steps * stepOf(i)).toPrecision(12)));
}

/** @param {number} i */
function numberField(i) {
  const field = element("input", { name: names[i], value: exact(current[i]), autocomplete: "off", spellcheck: false, inputMode: "text" });
  const label = element("label", { title: `${names[i]}: drag to change` }, isolated(nodes[i].short === nodes[i].name ? names[i] : shortName(i)));
  field.setAttribute("aria-label", names[i]);
  fields.set(i, field);
  field.addEventListener("input", () => {
    const x = read(field.value);
    field.toggleAttribute("aria-invalid", x === null);
    if (x !== null) move([[i, x]]);
  });
  field.addEventListener("change", () => read(field.value) !== null && (field.value = exact(current[i])));
  field.addEventListener("focus", () => boxes[i].classList.add("pointed"));
  field.addEventListener("blur", () => boxes[i].classList.remove("pointed"));
  field.addEventListener("keydown", (event) => {
    const steps = { ArrowUp: 1, ArrowDown: -1, PageUp: 10, PageDown: -10 }[event.key];
    if (!steps || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    nudge(i, steps * (event.shiftKey ? 10 : event.altKey ? 0.1 : 1));
  });
  draggable(label, i, () => true);
  if (!network) makeMovable(i);
  return element("div", { className: "number" }, label, field);
}

/** A leaf can be dragged in the picture, too. @param {number} i */
function makeMovable(i) {
  draggable(boxes[i], i, (event) => event.pointerType === "mouse");
  boxes[i].classList.add("movable");
}

/** Dragging to the right makes the leaf's number larger. @param {Element} handle @param {number} i @param {(event: PointerEvent) => boolean} may */
function draggable(handle, i, may) {
  let from = null; // where the pointer was pressed, and the number then
  handle.addEventListener("pointerdown", (event) => {
    if (event.button || obstacle !== null || !may(event)) return;
    from = { x: event.clientX, number: Number.isFinite(current[i]) ? current[i] : 0, moved: false };
    handle.setPointerCapture(event.pointerId);
  });
  handle.addEventListener("pointermove", (event) => {
    if (!from) return;
    const steps = Math.trunc((event.clientX - from.x) / 4);
    if (!steps && !from.moved) return;
    from.moved = true;
    put(i, Number((from.number + steps * stepOf(i)).toPrecision(12)));
  });
  for (const end of ["pointerup", "pointercancel"]) handle.addEventListener(end, () => (dragged = from?.moved ?? false, from = null));
}
let dragged = false; // whether the press that has just ended was a drag, and so no click

// ---- all of them

function asItWas() {
  for (const [i, field] of fields) field.value = exact(original.values[i]);
  move(leaves.map((i) => [i, original.values[i]]));
}

/** The address that opens the page with these numbers. */
function address() {
  const changed = leaves.filter((i) => !Object.is(current[i], original.values[i]));
  const text = changed.map((i) => `${encodeURIComponent(names[i])}=${encodeURIComponent(exact(current[i]))}`).join("&");
  // A frame of a notebook has no address of its own.
  if (location.protocol !== "about:" && `#${text}` !== (location.hash || "#")) history.replaceState(null, "", `#${text}`);
}

/** Take the numbers from the address. */
function fromAddress() {
  const given = new Map(location.hash.slice(1).split("&").map((part) => part.split("=").map(plain)));
  const changes = leaves.map((i) => [i, read(given.get(names[i]) ?? "") ?? original.values[i]]);
  if (changes.every(([i, x]) => Object.is(x, current[i]))) return;
  for (const [i, x] of changes) if (fields.has(i)) fields.get(i).value = exact(x);
  move(changes);
}

/** @param {string} part of an address */
function plain(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function setUpNumbers() {
  if (!network) boxes.forEach((box, i) => (box.dataset.node = names[i]));
  byId("numbers").hidden = passes.length > 1 || drawing !== null;
  if (passes.length > 1 || drawing) return publish();
  // Of very many, the fields are those of the leaves that are searched for or clicked.
  byId("fields").append(...leaves.slice(0, MOST_FIELDS).map(numberField));
  if (obstacle) refuse(obstacle);
  byId("as-it-was").addEventListener("click", asItWas);
  addEventListener("hashchange", fromAddress);
  setUpMistakes();
  publish();
  if (obstacle === null) fromAddress();
  setTimeout(() => untested && obstacle === null && test(), 300);
}
