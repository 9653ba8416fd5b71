/** The selected leaf's gradient as a person would derive it on paper, with the numbers of the run that is played. */

/** By leaf, as markup that Python has written. @type {Record<number, string>} */
let derivations = {};

async function unpackDerivations() {
  const packed = recording.derivations;
  derivations = typeof packed === "string" ? await inflated(packed) : packed;
  if (selected >= 0) showDerivation();
}

/** @param {string} packed JSON, deflated, in base 64 */
function inflated(packed) {
  const bytes = Uint8Array.from(atob(packed), (letter) => letter.charCodeAt(0));
  return new Response(new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"))).json();
}

function showDerivation() {
  const box = byId("derivation");
  box.hidden = selected < 0 || asking !== null || nodes[selected].kind !== "leaf";
  if (box.hidden) return;
  if (box.dataset.leaf !== String(selected) || !box.childElementCount) writeDerivation(box, selected);
  const pass = passes[currentPass()];
  const elsewhere = box.querySelector(".derivation > p") !== null && pass.run !== original;
  box.querySelector(".elsewhere").hidden = !elsewhere;
  if (!elsewhere) writeNumbers(box, pass.run);
}

/** @param {HTMLElement} box @param {number} leaf */
function writeDerivation(box, leaf) {
  const markup = derivations[leaf];
  const missing = [note("It is too long for this page: mg.derive(y, x) writes it.")];
  const found = element("div", { className: "derived" });
  found.innerHTML = markup ?? "";
  const elsewhere = element("p", { className: "note elsewhere" }, "An awkward point: it is derived for the numbers as they were.");
  box.replaceChildren(element("h2", {}, "Derived on paper"), ...(markup ? [found] : missing), elsewhere);
  box.dataset.leaf = markup ? String(leaf) : "";
}

/** @param {HTMLElement} box @param {Run} run */
function writeNumbers(box, run) {
  const slopes = slopesOf(run);
  for (const number of box.querySelectorAll("mn[data-value], mn[data-slope]")) {
    const { value, slope } = number.dataset;
    const text = short(value === undefined ? slopes[slope] ?? 0 : run.values[value]);
    const before = number.previousElementSibling;
    const fenced = before !== null && !["(", "=", "+"].includes(before.textContent);
    const written = text.startsWith("−") && fenced ? `(${text})` : text;
    if (number.textContent !== written) number.textContent = written;
  }
}

/** The derivative of the output by every node. @param {Run} run @returns {number[]} */
function slopesOf({ locals }) {
  const slopes = nodes.map(() => 0);
  slopes[output] = 1;
  for (let i = output; i >= 0; i--) nodes[i].parents.forEach((parent, k) => (slopes[parent] += passed(slopes[i], locals[i][k], nodes[i].routes)));
  return slopes;
}
