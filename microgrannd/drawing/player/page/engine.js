/**
 * Both passes, run in the page by the rows that it carries; and the two mistakes that everyone makes.
 *
 * @typedef {{values: number[], locals: number[][]}} Run the value of each node, and its local gradients
 * @typedef {{order: boolean, overwrite: boolean}} Mistakes in an order that is not topological; `=` for `+=`
 */

/** The recorded run: Python's numbers. @param {Pass} pass @returns {Run} */
function recordedRun(pass) {
  const values = [...pass.values];
  const locals = nodes.map(({ parents }) => parents.map(() => 0));
  for (const event of pass.events) {
    if (event.kind === "computed") values[event.node] = event.value;
    if (event.kind === "added") locals[event.node][event.position] = event.local;
  }
  return { values, locals };
}

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

/**
 * The events of a run. In the wrong order, nodes hand their gradients on by their distance from the output.
 * @param {Run} run @param {(number | null)[]} held the gradients of the leaves before @param {number} seed @param {Mistakes} mistakes
 * @returns {Pass}
 */
function passOf({ values, locals }, held, seed, mistakes) {
  const events = [];
  const gradients = nodes.map((_, i) => held[i] ?? 0);
  nodes.forEach(({ row }, node) => {
    if (row !== null) events.push({ kind: "computed", pass: 0, node, value: values[node], get formula() { return formulaInNumbers(node, values); } });
  });
  const before = gradients[output];
  gradients[output] += seed;
  events.push({ kind: "seeded", pass: 0, node: output, before, after: gradients[output] });
  const expected = nodes.map(() => 0); // contributions that are still to come
  for (const { parents } of nodes) for (const parent of parents) expected[parent]++;
  for (const node of backwardOrder(mistakes.order)) {
    const [upstream, { parents, routes }, early] = [gradients[node], nodes[node], expected[node]];
    parents.forEach((parent, position) => {
      const local = locals[node][position];
      const contribution = passed(upstream, local, routes);
      const before = gradients[parent];
      gradients[parent] = mistakes.overwrite ? contribution : before + contribution;
      expected[parent]--;
      events.push({
        ...{ kind: "added", pass: 0, node, position, parent, upstream, local, contribution, before, after: gradients[parent], early },
        get formula() { return ruleInNumbers(node, position, values); },
      });
    });
  }
  const given = nodes.map(({ row }, i) => (row === null ? values[i] : null));
  return { values: given, gradients: held, events, remarks: remarksOn(values, locals, held, events) };
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
function gradientsAfter({ gradients, events }) {
  const found = nodes.map((_, i) => gradients[i] ?? 0);
  for (const event of events) {
    if (event.kind === "seeded") found[event.node] = event.after;
    if (event.kind === "added") found[event.parent] = event.after;
  }
  return found;
}

/** @param {number} node @param {number[]} values */
function formulaInNumbers(node, values) {
  return filled(recording.rows[nodes[node].row].formula, nodes[node].parents.map((parent) => values[parent]));
}

/** @param {number} node @param {number} position @param {number[]} values */
function ruleInNumbers(node, position, values) {
  return filled(recording.rows[nodes[node].row].rules[position], [...nodes[node].parents.map((parent) => values[parent]), values[node]]);
}

/** A template with its numbers: ~k is a place where a negative one is in brackets. @param {(string | number)[]} template @param {number[]} numbers */
function filled(template, numbers) {
  const written = template.map((part) => {
    if (typeof part === "string") return part;
    const text = short(numbers[part < 0 ? ~part : part]);
    return part < 0 && text.startsWith("−") ? `(${text})` : text;
  });
  return written.join("");
}
