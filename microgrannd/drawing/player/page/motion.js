/** What moves: numbers along the edges, and the picture under the reader's eye. */

const still = matchMedia("(prefers-reduced-motion: reduce)");
let frame = 0; // of the numbers that travel
let scale = 0; // of the picture; 0 until it is chosen, -1 for the whole picture

/** Nothing travels any more. */
function rest() {
  cancelAnimationFrame(frame);
  picture.querySelectorAll(".token").forEach((token) => token.remove());
}

/**
 * Let the numbers of an event travel: forward from the parents to the node, backward from the node to a parent.
 * @param {Event} event
 * @param {boolean} undone whether it is being taken back, so that they return
 */
function travel(event, undone) {
  rest();
  const duration = 0.45 * pace(event);
  if (still.matches || duration < 80 || !["added", "computed"].includes(event.kind)) return;
  const added = event.kind === "added";
  const used = added
    ? [[edgeOf(event.node, event.position), event.contribution]]
    : nodes[event.node].parents.slice(0, 12).map((parent, k) => [edgeOf(event.node, k), values[parent]]);
  const drawn = used.filter(([edge]) => edge?.isConnected && edge.getTotalLength()); // not those within a fold
  const tokens = drawn.map(([edge, x]) => {
    const text = short(x);
    const token = svgElement("g", { class: "token " + PHASES[event.kind] });
    const width = 7 * text.length + 12;
    const number = svgElement("text", { y: 4 });
    number.textContent = text;
    token.append(svgElement("rect", { x: -width / 2, y: -9, width, height: 18, rx: 9 }), number);
    picture.querySelector("g.nodes").after(token);
    return { token, edge, length: edge.getTotalLength() };
  });
  const begin = performance.now();
  const move = (now) => {
    const t = Math.min(1, Math.max(0, (now - begin) / duration));
    const eased = t * t * (3 - 2 * t);
    const along = added !== undone ? 1 - eased : eased; // edges run from parent to node
    for (const { token, edge, length } of tokens) {
      const { x, y } = edge.getPointAtLength(along * length);
      token.setAttribute("transform", `translate(${x} ${y})`);
    }
    if (t < 1) frame = requestAnimationFrame(move);
    else rest();
  };
  move(begin);
}

/** How large the picture is drawn, and where its corner is on the screen. */
function framed() {
  const frame = picture.getBoundingClientRect();
  const size = frame.width / picture.viewBox.baseVal.width;
  const { e, f } = picture.querySelector("g").transform.baseVal[0].matrix;
  return { size, left: frame.left + size * e, top: frame.top + size * f };
}

/** The part of the picture that is seen, and a little around it. */
function sight() {
  const [{ size, left, top }, room] = [framed(), byId("scroller").getBoundingClientRect()];
  const at = (edge, corner, more) => (edge - corner + more) / size;
  return { left: at(room.left, left, -60), top: at(room.top, top, -60), right: at(room.right, left, 60), bottom: at(room.bottom, top, 60) };
}

/** Scroll the picture, if need be, so that a node is seen. @param {number} i */
function follow(i) {
  bringIntoSight(places[i]);
}

/** @param {Place} place */
function bringIntoSight(place) {
  const [{ size, left: x, top: y }, { left, top, right, bottom }] = [framed(), byId("scroller").getBoundingClientRect()];
  const shift = (from, to, first, last) => (from < first + 24 || to > last - 24 ? (from + to - first - last) / 2 : 0);
  const across = shift(x + size * place.x, x + size * (place.x + place.width), left, right);
  const down = shift(y + size * place.y, y + size * (place.y + place.height), top, bottom);
  if (across || down) byId("scroller").scrollBy({ left: across, top: down, behavior: gently() });
}

/** How to scroll: smoothly, unless that is not wanted or too slow. */
function gently() {
  return still.matches || Number(byId("speed").value) > 4 ? "auto" : "smooth";
}

/** Give the picture the size that was chosen, or one at which it can be read. */
function resize() {
  const { width, height } = picture.viewBox.baseVal;
  const room = byId("scroller");
  const fitting = Math.min(1.7, (room.clientWidth - 2) / width, (room.clientHeight - 2) / height);
  const readable = innerWidth < 760 ? 0.85 : 0.95; // below it the picture is scrolled rather than made smaller
  const size = scale > 0 ? scale : scale < 0 ? fitting : Math.max(fitting, readable);
  picture.style.width = `${width * size}px`;
  picture.style.height = `${height * size}px`;
  cull();
}

/** @param {number} factor 0 for the whole picture */
function zoom(factor) {
  const now = picture.getBoundingClientRect().width / picture.viewBox.baseVal.width;
  scale = factor ? Math.min(4, Math.max(0.1, now * factor)) : -1;
  resize();
  const event = timeline[position - 1];
  if (event) follow(event.parent ?? event.node);
}
