/** The search box of a network: nodes by label, scope or operation. */

/** @param {string} text @returns {number[]} */
function matches(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const found = [];
  for (let i = nodes.length - 1; i >= 0 && found.length < 30; i--) {
    const { path, scope, row } = nodes[i];
    const all = `${path} ${shortName(i)} ${scope} ${row === null ? "" : recording.rows[row].name}`.toLowerCase();
    if (words.every((word) => all.includes(word))) found.push(i);
  }
  return found;
}

function showMatches() {
  const found = matches(byId("search").value);
  const items = found.map((i) => {
    const { scope, row } = nodes[i];
    const place = [row === null ? nodes[i].kind : recording.rows[row].name, scope].filter(Boolean).join(" · ");
    const onclick = () => (byId("found").hidden = true, pause(), reveal(i), visit(i));
    return element("li", {}, element("button", { type: "button", className: "path", onclick }, isolated(shortName(i)), element("span", { className: "route" }, place)));
  });
  const none = byId("search").value.trim() && !found.length ? [element("li", { className: "note" }, "Nothing has such a name.")] : [];
  byId("found").replaceChildren(...items, ...none);
  byId("found").hidden = !items.length && !none.length;
}

function setUpSearch() {
  byId("finder").hidden = !recording.network;
  byId("search").addEventListener("input", showMatches);
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Escape") byId("found").hidden = true;
    if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      const first = byId("found").querySelector("button");
      if (event.key === "Enter") first?.click();
      else first?.focus();
    }
  });
}
