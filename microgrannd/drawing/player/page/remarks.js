/** What there is to learn from a run: as `remarks.py` finds it in the recorded one, in the same words. */

/** @param {Run} run @param {(number | null)[]} held @param {Event[]} events @returns {Remark[]} */
function remarksOn({ values, locals }, held, events) {
  const found = [];
  const say = (event, kind, node, words, parts) => found.push({ event, kind, node, text: worded(words, parts) });
  nodes.forEach(({ row, kind, name }, i) => {
    if (row === null && !Number.isFinite(values[i])) say(-1, "origin", i, "given", { name: called(kind, name), x: short(values[i]) });
  });
  events.forEach((event, at) => event.kind === "computed" && onForward(event, at, values, locals, say));
  const first = events.findIndex(({ kind }) => kind === "seeded");
  nodes.forEach(({ kind, name }, i) => {
    if (held[i] && kind !== "constant") say(first, "stale", i, "stale", { name: called(kind, name), x: short(held[i]) });
  });
  const at = events.findIndex(
    ({ kind, parent, contribution, after }) =>
      kind === "added" && nodes[parent].kind !== "constant" && !(Number.isFinite(contribution) && Number.isFinite(after)),
  );
  if (at >= 0) say(at, "origin", events[at].parent, "lost", { cause: causeOf(events[at]) });
  return found;
}

function onForward({ node, value }, at, values, locals, say) {
  const inputs = nodes[node].parents.map((parent) => values[parent]);
  const { name, saturated, dead } = recording.rows[nodes[node].row];
  if (saturated && locals[node][0] < saturated) say(at, "saturated", node, "saturated", { name, x: short(inputs[0]), slope: short(locals[node][0]) });
  if (dead && inputs[0] <= 0) say(at, "dead", node, "dead", { x: short(inputs[0]) });
  if (Number.isFinite(value) || !inputs.every(Number.isFinite)) return;
  const listed = inputs.slice(0, 6).map(short).join(", ") + (inputs.length > 6 ? ", …" : "");
  say(at, "origin", node, "arises", { what: Number.isNaN(value) ? "a NaN" : "an infinity", name, inputs: listed, value: short(value) });
}

function causeOf({ upstream, local, contribution, before, after }) {
  if (Number.isFinite(contribution)) return `${short(before)} + ${short(contribution)} = ${short(after)}`;
  return `upstream ${short(upstream)} × local gradient ${short(local)} = ${short(contribution)}`;
}

/** @param {string} words @param {Record<string, string>} parts */
function worded(words, parts) {
  return recording.words[words].replace(/\{(\w+)\}/g, (_, part) => parts[part]);
}

/** @param {string} kind @param {string} name */
function called(kind, name) {
  return kind === "constant" || /^v\d+$/.test(name) ? "An input" : name;
}

/** All remarks of the passes, those that say the same of many nodes together: the text, and where each is. */
function groupedRemarks() {
  const all = passes.flatMap(({ remarks }, i) => remarks.map((remark) => ({ ...remark, at: starts[i] + remark.event + 1 })));
  const groups = new Map();
  for (const remark of all) {
    const operation = recording.rows[nodes[remark.node].row]?.name ?? "";
    const key = ["dead", "saturated"].includes(remark.kind) ? remark.kind + operation : String(groups.size);
    groups.set(key, [...(groups.get(key) ?? []), remark]);
  }
  return [...groups.values()].map((remarks) => {
    const [{ kind, node, text }] = remarks;
    if (remarks.length === 1) return { remarks, text };
    const { name } = recording.rows[nodes[node].row];
    const total = nodes.filter(({ row }) => row !== null && recording.rows[row].name === name).length * passes.length;
    const plural = kind === "dead" ? "ReLUs are off" : `${name}s are saturated`;
    return { remarks, text: `${remarks.length} of ${total} ${plural}` };
  });
}
