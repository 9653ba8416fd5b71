/**
 * A layered layout, for what is unfolded in the page: ranks by longest paths, order by barycentres, then heights.
 *
 * @typedef {{width: number, height: number}} Size
 * @typedef {{x: number, y: number, width: number, height: number}} Place
 */

const BETWEEN_RANKS = 54;
const BETWEEN_BOXES = 14;

/**
 * Where the items go, from the left to the right; the corner of the whole is at (0, 0).
 * @param {Size[]} sizes @param {[number, number][]} pairs from an item to one that depends on it
 * @returns {{places: Place[], width: number, height: number}}
 */
function layered(sizes, pairs) {
  const before = sizes.map(() => []);
  const after = sizes.map(() => []);
  for (const [from, to] of pairs) {
    before[to].push(from);
    after[from].push(to);
  }
  const ranks = ranked(before, after);
  const columns = Array.from({ length: Math.max(0, ...ranks) + 1 }, () => []);
  ranks.forEach((rank, i) => columns[rank].push(i));
  const middles = stacked(sizes, columns);
  for (let sweep = 0; sweep < 4; sweep++) {
    const forward = sweep % 2 === 0;
    for (const column of forward ? columns : [...columns].reverse()) settle(column, forward ? before : after, sizes, middles);
  }
  return placed(sizes, columns, middles);
}

/** Longest paths; what a cycle holds up goes where it can. Sources are moved next to what they are for. */
function ranked(before, after) {
  const ranks = before.map(() => 0);
  const waits = before.map((items) => items.length);
  const finished = before.map(() => false);
  const ready = waits.flatMap((count, i) => (count ? [] : [i]));
  let next = 0;
  for (let done = 0; done < before.length; done++) {
    while (!ready.length && finished[next]) next++;
    const i = ready.length ? ready.pop() : next;
    if (finished[i]) {
      done--;
      continue;
    }
    finished[i] = true;
    for (const j of after[i]) {
      if (!finished[j]) ranks[j] = Math.max(ranks[j], ranks[i] + 1);
      if (--waits[j] === 0 && !finished[j]) ready.push(j);
    }
  }
  before.forEach((items, i) => {
    if (!items.length && after[i].length) ranks[i] = Math.max(0, after[i].reduce((least, j) => Math.min(least, ranks[j]), Infinity) - 1);
  });
  return ranks;
}

/** Each column from top to bottom, its middle at 0. @param {Size[]} sizes @param {number[][]} columns */
function stacked(sizes, columns) {
  const middles = sizes.map(() => 0);
  for (const column of columns) {
    let y = -column.reduce((sum, i) => sum + sizes[i].height + BETWEEN_BOXES, -BETWEEN_BOXES) / 2;
    for (const i of column) {
      middles[i] = y + sizes[i].height / 2;
      y += sizes[i].height + BETWEEN_BOXES;
    }
  }
  return middles;
}

/** Order a column by the middle of each item's neighbours, and bring it as near to them as there is room. */
function settle(column, neighbours, sizes, middles) {
  const mean = (i) => (neighbours[i].length ? neighbours[i].reduce((sum, j) => sum + middles[j], 0) / neighbours[i].length : middles[i]);
  const wishes = new Map(column.map((i) => [i, mean(i)]));
  column.sort((one, other) => wishes.get(one) - wishes.get(other) || one - other);
  // Items that would overlap form a block, which goes to the mean of what its items wish for.
  const blocks = [];
  for (const i of column) {
    let block = { items: [i], height: sizes[i].height, wish: wishes.get(i) - sizes[i].height / 2, weight: 1 };
    for (let last = blocks.at(-1); last && last.wish + last.height + BETWEEN_BOXES > block.wish; last = blocks.at(-1)) {
      blocks.pop();
      const shifted = block.wish - last.height - BETWEEN_BOXES;
      const weight = last.weight + block.weight;
      block = {
        items: last.items.concat(block.items),
        height: last.height + BETWEEN_BOXES + block.height,
        wish: (last.wish * last.weight + shifted * block.weight) / weight,
        weight,
      };
    }
    blocks.push(block);
  }
  for (const { items, wish } of blocks) {
    let y = wish;
    for (const i of items) {
      middles[i] = y + sizes[i].height / 2;
      y += sizes[i].height + BETWEEN_BOXES;
    }
  }
}

function placed(sizes, columns, middles) {
  const places = sizes.map((size) => ({ x: 0, y: 0, ...size }));
  const top = sizes.reduce((least, { height }, i) => Math.min(least, middles[i] - height / 2), Infinity);
  let x = 0;
  let bottom = 0;
  for (const column of columns) {
    const widest = column.reduce((most, i) => Math.max(most, sizes[i].width), 0);
    for (const i of column) {
      places[i].x = x + (widest - sizes[i].width) / 2;
      places[i].y = middles[i] - sizes[i].height / 2 - top;
      bottom = Math.max(bottom, places[i].y + sizes[i].height);
    }
    x += widest + BETWEEN_RANKS;
  }
  return { places, width: Math.max(0, x - BETWEEN_RANKS), height: bottom };
}
