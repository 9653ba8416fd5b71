/**
 * An edge of the graph as the backward pass goes through it, from a node to one of its parents.
 * @typedef {{node: number, position: number, parent: number}} Edge
 */

/** Paths that are still listed one by one. */
const MOST_PATHS = 100;

/**
 * All paths from the output back to a node: how many, the products of the local gradients along them, and
 * their sum. Above a hundred only the number and the path with the largest product.
 * @param {{parents: number[], routes: boolean}[]} nodes in topological order, the output last
 * @param {number} leaf
 * @param {(edge: Edge) => number} local the local gradient of an edge
 * @param {number} seed the gradient that the output starts with
 */
function pathsTo(nodes, leaf, local, seed) {
  const consumers = nodes.map(() => /** @type {Edge[]} */ ([]));
  nodes.forEach(({ parents }, node) => {
    parents.forEach((parent, position) => consumers[parent].push({ node, position, parent }));
  });
  const output = nodes.length - 1;

  // Counted from the output down: as many as all consumers have together. BigInt, since they multiply.
  const count = nodes.map(() => 0n);
  const best = nodes.map(() => 0); // the largest |product| of a path to each node
  const through = nodes.map(() => /** @type {Edge | null} */ (null)); // the edge where that path arrives
  count[output] = 1n;
  best[output] = Math.abs(seed);
  for (let node = output - 1; node >= 0; node--) {
    for (const edge of consumers[node]) {
      count[node] += count[edge.node];
      const product = best[edge.node] * Math.abs(local(edge));
      if (through[node] === null || product > best[node]) [best[node], through[node]] = [product, edge];
    }
  }

  /** @param {Edge[]} edges */
  const measured = (edges) => {
    const product = edges.reduce((upstream, edge) => passed(upstream, local(edge), nodes[edge.node].routes), seed);
    return { edges, product };
  };
  if (count[leaf] > BigInt(MOST_PATHS)) {
    const edges = [];
    for (let edge = through[leaf]; edge; edge = through[edge.node]) edges.unshift(edge);
    return { count: count[leaf], paths: [measured(edges)], sum: null };
  }
  const paths = walked(consumers, leaf, output).map(measured);
  const sum = paths.reduce((total, path) => total + path.product, 0);
  paths.sort((one, other) => Math.abs(other.product) - Math.abs(one.product) || 0);
  return { count: count[leaf], paths, sum };
}

/**
 * Upstream × local gradient as the backward pass has it: an upstream of exactly zero stops there, and so does
 * anything at an operation that has dropped this input.
 * @param {number} upstream
 * @param {number} local
 * @param {boolean} routes
 */
function passed(upstream, local, routes) {
  return upstream === 0 || (routes && local === 0) ? 0 : upstream * local;
}

/**
 * Every path from the output to the leaf, as edges in the order of the backward pass.
 * @param {Edge[][]} consumers of each node
 * @param {number} leaf
 * @param {number} output
 * @returns {Edge[][]}
 */
function walked(consumers, leaf, output) {
  if (leaf === output) return [[]];
  const found = [];
  const trail = /** @type {{edges: Edge[], next: number}[]} */ ([{ edges: consumers[leaf], next: 0 }]);
  while (trail.length) {
    const here = trail[trail.length - 1];
    if (here.next === here.edges.length) {
      trail.pop();
      continue;
    }
    const edge = here.edges[here.next++];
    if (edge.node === output) found.push(trail.map(({ edges, next }) => edges[next - 1]).reverse());
    else trail.push({ edges: consumers[edge.node], next: 0 });
  }
  return found;
}
