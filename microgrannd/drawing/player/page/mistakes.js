/** The two mistakes that everyone makes, beside the right pass. */

/** @type {Mistakes} */
const mistakes = { order: false, overwrite: false };
/** @type {Map<number, number>} the gradients that come out wrong: by node, what they should be */
let wrong = new Map();
/** @type {number[]} after how many events each node has its last gradient */
let settled = [];

function mistaken() {
  return mistakes.order || mistakes.overwrite;
}

let marked = false; // whether any node is

/** Find the gradients that come out wrong, and list them beside the right ones. */
function compare() {
  wrong = new Map();
  byId("compared").hidden = !mistaken();
  if (!mistaken()) return;
  const right = gradientsAfter(passNow({ order: false, overwrite: false }));
  const found = gradientsAfter(passes[0]);
  const asked = nodes.map((_, i) => i).filter((i) => nodes[i].kind !== "constant");
  for (const i of asked) if (found[i] !== right[i] && !(Number.isNaN(found[i]) && Number.isNaN(right[i]))) wrong.set(i, right[i]);
  settled = nodes.map(() => 0);
  timeline.forEach(({ kind, parent, node }, at) => {
    if (kind === "added") settled[parent] = at + 1;
    if (kind === "seeded") settled[node] = at + 1;
  });
  byId("compared").replaceChildren(...comparison(asked.length, found));
}

/** @param {number} count of the gradients @param {number[]} found */
function comparison(count, found) {
  if (!wrong.size) return [note(luck())];
  const heading = element("tr", {}, ...["gradient of", "so", "right"].map((text) => element("th", { scope: "col" }, text)));
  const rows = [...wrong].slice(0, 40).map(([i, right]) => {
    const name = element("th", { scope: "row", title: names[i] }, isolated(shortName(i)));
    return element("tr", {}, name, element("td", { className: "wrong" }, shown(found[i], "so")), element("td", {}, shown(right, "right")));
  });
  const more = wrong.size > rows.length ? [note(`… and ${wrong.size - rows.length} more.`)] : [];
  const early = [...new Set(timeline.flatMap((event) => (event.early ? [event.node] : [])))];
  const hasty = early.length ? [note(`Too early, before all of it had arrived, a gradient is handed on by ${listed(early)}.`)] : [];
  return [warning(`${wrong.size} of ${count} gradients come out wrong.`), ...hasty, element("table", {}, heading, ...rows), ...more];
}

/** @param {number[]} some nodes */
function listed(some) {
  return some.slice(0, 6).map(shortName).join(", ") + (some.length > 6 ? ` and ${some.length - 6} more` : "");
}

function luck() {
  const early = timeline.some((event) => event.early);
  if (mistakes.overwrite && !mistakes.order) return "All gradients come out right: no node is used twice, so there is nothing to add up.";
  return early
    ? "All gradients come out right all the same: what came too late was zero."
    : "All gradients come out right: here this order happens to be topological, since no node has ways of different lengths to the output.";
}

/** Mark the nodes whose gradient is final and wrong, and those that have handed theirs on too early. */
function markMistakes() {
  if (!mistaken() && !marked) return;
  marked = mistaken();
  const early = new Set(mistaken() ? timeline.slice(0, position).flatMap((event) => (event.early ? [event.node] : [])) : []);
  for (const box of picture.querySelectorAll(".differs, .early")) box.classList.remove("differs", "early");
  nodes.forEach((_, i) => {
    const box = boxes[i];
    const differs = wrong.has(i) && position >= settled[i];
    if (differs) box.classList.add("differs");
    if (early.has(i)) box.classList.add("early");
    const text = parts[i].gradient;
    if (text?.textContent) text.textContent = (differs ? "≠" : "∇") + text.textContent.slice(1);
  });
}

/** What is wrong with a contribution of a mistaken pass. @param {Event} event */
function mistakeNotes(event) {
  const parent = nodes[event.parent];
  const notes = [];
  const late = event.early === 1 ? "one more contribution comes" : `${event.early} more contributions come`;
  if (event.early && mistaken()) notes.push(warning(grad(nodes[event.node]), ` is handed on too early: ${late} later.`));
  if (mistakes.overwrite && event.before && parent.kind !== "constant") {
    notes.push(warning("Overwritten: ", shown(event.before, "before"), " is lost, because = stands where += belongs."));
  }
  return notes;
}

/** @param {...(Node | string)} content */
function warning(...content) {
  return element("p", { className: "remark" }, element("span", { ariaHidden: "true" }, "⚠ "), ...content);
}

function setUpMistakes() {
  for (const [id, mistake] of [["wrong-order", "order"], ["no-sum", "overwrite"]]) {
    byId(id).addEventListener("change", () => {
      mistakes[mistake] = byId(id).checked;
      pause();
      asking = null;
      rerun();
    });
  }
}
