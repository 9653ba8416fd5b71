/**
 * A network: its nodes from columns of numbers, its parts by scope, and the picture of what is unfolded.
 *
 * @typedef {{id: number, name: string, parent: Group | null, children: (number | Group)[], open: boolean, members: number[]}} Group
 */

/** Whether parts are framed and can be folded: in large graphs, and where there are neurons. */
const network = Boolean(recording.network) || recording.nodes.some(({ scope }) => /(^|\.)neuron\d+$/.test(scope ?? ""));
const WHOLE = 150; // nodes of which all are seen at the start
const AT_ONCE = 60; // boxes that a part has at most, and that are open at the start

/** A node of a network; its words are made when they are read. */
class NetworkNode {
  constructor(i, kind, parents, label, scope, line) {
    this.i = i;
    this.kind = kind < -1 ? "constant" : kind < 0 ? "leaf" : "operation";
    this.row = kind < 0 ? null : kind;
    this.routes = kind >= 0 && recording.rows[kind].routes;
    [this.parents, this.label, this.scope, this.line] = [parents, label, scope, line];
    this.name = this.path = this.short = label || `v${i}`;
  }

  get formula() {
    return this.row === null ? "" : filled(recording.rows[this.row].formula, this.parents.map(shortName));
  }

  get local_gradients() {
    if (this.row === null) return [];
    return recording.rows[this.row].rules.map((rule) => filled(rule, [...this.parents.map(shortName), shortName(this.i)]));
  }
}

/** @returns {any[]} */
function networkNodes() {
  const text = ([texts, column]) => (i) => texts[column.length ? column[i] : 0];
  const [label, scope, line] = [recording.network.labels, recording.network.scopes, recording.network.lines].map(text);
  let at = 0;
  let given = 0;
  const [first] = recording.passes;
  const found = recording.network.kinds.map((kind, i) => {
    const count = kind < 0 ? 0 : recording.rows[kind].count;
    const parents = recording.network.parents.slice(at, (at += count)).map((distance) => i - distance);
    const node = new NetworkNode(i, kind, parents, label(i), scope(i), line(i));
    if (kind < 0) node.given = decoded(first.leaves ? first.leaves[given++] : first.values[i]);
    if (kind === -2 && !node.label) node.name = node.path = node.short = short(node.given);
    return node;
  });
  const uses = new Map();
  for (const { label } of found) if (label) uses.set(label, (uses.get(label) ?? 0) + 1);
  for (const node of found) if (node.scope && uses.get(node.label) > 1) node.path = `${node.scope}.${node.label}`;
  nameAsBooksDo(found);
  return found;
}

/** The names of the books: w¹₂₃, b¹₂, z¹₂, a¹₂; what has no label has no other name. */
function nameAsBooksDo(found) {
  for (const [start, step, count, head, index] of recording.network.names) {
    for (let k = 0; k < count; k++) {
      const node = found[start + k * step];
      node.short = index === null ? head : head + String(index + k).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
      if (!node.label) node.name = node.path = node.short;
    }
  }
}

// ---- parts

/** @type {Group[]} */
const groups = [];
/** @type {Group[]} those that a person has unfolded, the latest last */
const unfolded = [];
/** @type {Group[]} the part that each node is in */
const homeOf = [];
/** @type {(Group | null)[]} the closed part that each node is seen as */
let hiddenIn = [];
/** @type {Map<Group, Place>} where the open parts are */
let frames = new Map();
/** @type {Group} */
let root = null;

/** @param {string} name @param {Group | null} parent @returns {Group} */
function groupOf(name, parent) {
  const group = { id: groups.length, name, parent, children: [], open: false, members: [] };
  groups.push(group);
  return group;
}

/** The whole as a tree of parts: scopes within scopes, and runs of nodes where a part has too many. */
function partsOf(all) {
  const whole = groupOf("", null);
  const byScope = new Map([["", whole]]);
  const scoped = (scope) => {
    if (!byScope.has(scope)) {
      const cut = scope.lastIndexOf(".");
      const parent = scoped(cut < 0 ? "" : scope.slice(0, cut));
      const group = groupOf(scope.slice(cut + 1), parent);
      parent.children.push(group);
      byScope.set(scope, group);
    }
    return byScope.get(scope);
  };
  const homes = all.map(({ kind, scope }) => (kind === "constant" ? null : scoped(scope)));
  for (let i = all.length - 1; i >= 0; i--) {
    for (const parent of all[i].parents) if (all[parent].kind === "constant") homes[parent] = shared(homes[parent], homes[i]);
  }
  homes.forEach((home, i) => (home ?? whole).children.push(i));
  if (all.length > WHOLE) for (const group of [...groups]) subdivide(group);
  fillMembers(whole);
  const last = (child) => (typeof child === "number" ? child : child.members.reduce((most, i) => Math.max(most, i), 0));
  for (const { children } of groups) {
    const order = new Map(children.map((child) => [child, last(child)]));
    children.sort((one, other) => order.get(one) - order.get(other));
  }
  return whole;
}

/** The innermost part that has both within it: where a constant stands. */
function shared(one, other) {
  const depth = (group) => (group.parent ? depth(group.parent) + 1 : 0);
  if (!one) return other;
  while (one !== other) depth(one) >= depth(other) ? (one = one.parent) : (other = other.parent);
  return one;
}

/** Runs of neighbours become parts of their own, so that no part has too many. */
function subdivide(group) {
  const leaf = (child) => typeof child === "number" && nodes[child].row === null;
  const sorts = [leaf, (child) => typeof child === "number" && !leaf(child), (child) => typeof child !== "number"];
  group.children = sorts.flatMap((of) => {
    const children = group.children.filter(of);
    return children.length > AT_ONCE / 2 && group.children.length > AT_ONCE ? runs(children, group) : children;
  });
}

function runs(children, parent) {
  const size = AT_ONCE ** (Math.ceil(Math.log(children.length) / Math.log(AT_ONCE)) - 1);
  const within = size < 2 ? AT_ONCE / 3 : size;
  const found = [];
  for (let at = 0; at < children.length; at += within) {
    const run = children.slice(at, at + within);
    if (run.length === 1) {
      found.push(run[0]);
      continue;
    }
    const [first, last] = [run[0], run.at(-1)].map((child) => (typeof child === "number" ? shortName(child) : child.name));
    const group = groupOf(`${first} … ${last}`, parent);
    group.children = run.length > AT_ONCE ? runs(run, group) : run;
    for (const child of group.children) if (typeof child !== "number") child.parent = group;
    found.push(group);
  }
  return found;
}

/** Which nodes are within each part. @param {Group} whole */
function fillMembers(whole) {
  const visit = (group) => {
    for (const child of group.children) {
      if (typeof child === "number") {
        group.members.push(child);
        homeOf[child] = group;
      } else for (const member of visit(child)) group.members.push(member);
    }
    return group.members;
  };
  visit(whole);
}

/** Open levels as long as what is seen stays readable. */
function openAtStart() {
  root.open = true;
  if (drawing && drawing.depth !== null) return openTo(root, drawing.depth);
  for (let level = [root]; level.length; ) {
    const below = level.flatMap(({ children }) => children.filter((child) => typeof child !== "number"));
    const count = visibleUnder(root).length + below.reduce((sum, { children }) => sum + children.length - 1, 0);
    if (count > AT_ONCE && nodes.length > WHOLE) return;
    for (const group of below) group.open = true;
    level = below;
  }
}

/** Open so many levels. @param {Group} group @param {number} depth */
function openTo(group, depth) {
  for (const child of group.children) {
    if (typeof child === "number" || !depth) continue;
    child.open = true;
    openTo(child, depth - 1);
  }
}

/** The nodes and the closed parts that are seen. @param {Group} group @returns {(number | Group)[]} */
function visibleUnder(group) {
  return group.children.flatMap((child) => (typeof child === "number" || !child.open ? [child] : visibleUnder(child)));
}

// ---- unfolding

/** @param {Group} group */
function unfold(group) {
  for (let outer = group; outer; outer = outer.parent) outer.open = true;
  unfolded.push(group);
  drawNetwork();
  followPlace(frames.get(group) ?? places[group.members[0]]);
}

/** @param {Group} group */
function fold(group) {
  const close = (inner) => {
    inner.open = false;
    for (const child of inner.children) if (typeof child !== "number" && child.open) close(child);
  };
  close(group);
  for (let at = unfolded.length - 1; at >= 0; at--) if (!unfolded[at].open) unfolded.splice(at, 1);
  drawNetwork();
  followPlace(places[group.members[0]]);
}

/** Fold what was unfolded last; false if there is nothing. */
function foldLast() {
  const group = unfolded.at(-1);
  if (group) fold(group);
  return Boolean(group);
}

/** Unfold all that a node is within. @param {number} i */
function reveal(i) {
  if (network && hiddenIn[i]) unfold(homeOf[i]);
}

/** The closed part that a node is seen as; none if it is seen itself. @param {number} i @returns {Group | null} */
function foldOf(i) {
  return network ? hiddenIn[i] : null;
}

/** What a step goes through as one: a part, or what a node gives to one. @param {Event | undefined} event @returns {string} */
function foldedStep(event) {
  if (!network || !event || !["computed", "added", "updated"].includes(event.kind)) return "";
  const [own, other] = [foldOf(event.node), event.kind === "added" ? foldOf(event.parent) : null];
  if (own) return `${event.kind} ${own.id}`;
  return other ? `added ${event.node} ${other.id}` : "";
}

/** How many events have happened after a step. @param {number} direction 1 or -1 */
function stepFrom(direction) {
  const at = (k) => foldedStep(timeline[direction > 0 ? k : k - 1]);
  const step = at(position);
  let target = position + direction;
  if (step) while (target > 0 && target < timeline.length && at(target) === step) target += direction;
  return Math.min(Math.max(target, 0), timeline.length);
}
