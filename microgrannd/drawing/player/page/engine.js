/**
 * Both passes, run in the page by the rows that it carries; and the two mistakes that everyone makes.
 *
 * @typedef {{values: number[], locals: number[][]}} Run the value of each node, and its local gradients
 * @typedef {{order: boolean, overwrite: boolean}} Mistakes in an order that is not topological; `=` for `+=`
 */

/** The values and local gradients from other numbers of the leaves. @param {number[]} leaves by node @returns {Run} */
function computedRun(leaves) {
  const values = [...leaves];
  const locals = nodes.map(({ parents, row }, i) => {
    if (row === null) return [];
    const inputs = parents.map((parent) => values[parent]);
    values[i] = ROWS[row].value(inputs);
    return ROWS[row].slopes(inputs, values[i]);
  });
  return { values, locals };
}

/** The row of a node whose form gives another number than its function gave; none if all is well. @param {Run} run */
function strangeRow({ values }) {
  const bad = nodes.findIndex(({ parents, row }, i) => {
    if (row === null) return false;
    const [found, wanted] = [ROWS[row].value(parents.map((parent) => values[parent])), values[i]];
    return !Object.is(found, wanted) && !(Math.abs(found - wanted) <= 1e-9 * Math.max(1, Math.abs(wanted)));
  });
  return bad < 0 ? null : recording.rows[nodes[bad].row].name;
}

/** A node is computed. */
class Computed {
  constructor(pass, node, run) {
    this.kind = "computed";
    this.pass = pass;
    this.node = node;
    this.value = run.values[node];
    this.run = run;
  }

  get formula() {
    return inNumbers(recording.rows[nodes[this.node].row].formula, this.node, this.run.values);
  }
}

/** A contribution is added to a parent's gradient; `early` is how many the node itself has yet to receive. */
class Added {
  constructor(pass, node, position, run, upstream, before, overwrite, early) {
    this.kind = "added";
    this.pass = pass;
    this.node = node;
    this.position = position;
    this.parent = nodes[node].parents[position];
    this.upstream = upstream;
    this.local = run.locals[node][position];
    this.contribution = passed(upstream, this.local, nodes[node].routes);
    this.before = before;
    this.after = overwrite ? this.contribution : before + this.contribution;
    this.early = early;
    this.run = run;
  }

  get formula() {
    return inNumbers(recording.rows[nodes[this.node].row].rules[this.position], this.node, this.run.values);
  }
}

/**
 * The events of a run. In the wrong order, nodes hand their gradients on by their distance from the output.
 * @param {Run} run @param {(number | null)[]} held the gradients of the leaves before @param {number} upstream the output's
 * @param {Mistakes} mistakes @param {number} [pass] @returns {Event[]}
 */
function eventsOf(run, held, upstream, mistakes, pass = 0) {
  const events = [];
  nodes.forEach(({ row }, node) => row !== null && events.push(new Computed(pass, node, run)));
  const gradients = nodes.map((_, i) => held[i] ?? 0);
  const before = gradients[output];
  gradients[output] += upstream;
  events.push({ kind: "seeded", pass, node: output, before, after: gradients[output] });
  const expected = nodes.map(() => 0); // contributions that are still to come
  for (const { parents } of nodes) for (const parent of parents) expected[parent]++;
  for (const node of backwardOrder(mistakes.order)) {
    const [given, early] = [gradients[node], expected[node]];
    nodes[node].parents.forEach((parent, position) => {
      const event = new Added(pass, node, position, run, given, gradients[parent], mistakes.overwrite, early);
      gradients[parent] = event.after;
      expected[parent]--;
      events.push(event);
    });
  }
  return events;
}

/** @param {Run} run @param {(number | null)[]} held @param {Event[]} events @param {Remark[]} remarks @returns {Pass} */
function passWith(run, held, events, remarks) {
  const values = run.values.map((x, i) => (nodes[i].row === null ? x : null));
  // A leaf whose gradient is zero shows none: the zero is seen when the first += starts from it.
  return { run, held, values, gradients: held.map((g) => (g === 0 ? null : g)), events, remarks };
}

/** The nodes that hand gradients on, one after another. @param {boolean} wrong */
function backwardOrder(wrong) {
  const order = nodes.map((_, i) => i).filter((i) => nodes[i].row !== null).reverse();
  if (!wrong) return order;
  const depth = nodes.map(() => Infinity);
  depth[output] = 0;
  for (const i of order) for (const parent of nodes[i].parents) depth[parent] = Math.min(depth[parent], depth[i] + 1);
  return order.sort((one, other) => depth[one] - depth[other] || other - one);
}

/** The gradients at the end of a pass. @param {Pass} pass @returns {number[]} */
function gradientsAfter({ held, events }) {
  const found = nodes.map((_, i) => held[i] ?? 0);
  for (const event of events) {
    if (event.kind === "seeded") found[event.node] = event.after;
    if (event.kind === "added") found[event.parent] = event.after;
  }
  return found;
}

/** A template in the numbers of a node: its inputs', and its own. @param {(string | number)[]} template @param {number} node @param {number[]} values */
function inNumbers(template, node, values) {
  return filled(template, [...nodes[node].parents.map((parent) => values[parent]), values[node]].map(short));
}

/** A template with its texts: ~k is a place where a negative number is in brackets. @param {(string | number)[]} template @param {string[]} texts */
function filled(template, texts) {
  const written = template.map((part) => {
    if (typeof part === "string") return part;
    const text = texts[part < 0 ? ~part : part];
    return part < 0 && text.startsWith("−") ? `(${text})` : text;
  });
  return written.join("");
}
