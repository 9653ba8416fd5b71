/** What a model makes of the plane at each step of its training; a click on a sample opens its graph. */
(() => {
  const training = JSON.parse(document.getElementById("training-data").textContent);
  if (training.obstacle) return byId("panel").prepend(warning(training.obstacle));
  const { points, edges, level, resolution, names: parameters, numbers } = training;
  const heights = training.heights.map((frame) => frame.map(decoded));
  const [left, right, bottom, top] = edges;
  const SIDE = 400;
  const make = (tag, attributes, ...children) => {
    const made = document.createElement(tag);
    for (const [name, entry] of Object.entries(attributes)) made.setAttribute(name, String(entry));
    made.append(...children);
    return made;
  };
  const shape = (tag, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, entry] of Object.entries(attributes)) made.setAttribute(name, String(entry));
    return made;
  };
  const canvas = make("canvas", { width: resolution, height: resolution, "aria-hidden": "true" });
  const overlay = shape("svg", { viewBox: `0 0 ${SIDE} ${SIDE}`, role: "group", "aria-label": "The samples and the decision boundary" });
  const boundary = shape("path", { class: "boundary" });
  const slider = make("input", { type: "range", min: 0, max: heights.length - 1, value: 0, id: "epoch", "aria-label": "Step of the training" });
  const count = make("output", { for: "epoch" });
  const section = make("section", { id: "training", "aria-label": "What the model decides" });
  section.append(make("h2", {}, "What the model makes of the plane"), make("div", { class: "plane" }, canvas, overlay), make("label", {}, slider, count));
  if (training.no_sample) section.append(note(training.no_sample));
  document.getElementById("panel").prepend(section);
  overlay.append(boundary);

  const targets = points.map(([, , y]) => y);
  const middle = level ?? (Math.min(...targets) + Math.max(...targets)) / 2;
  const widest = heights.flat().reduce((most, x) => (Number.isFinite(x) ? Math.max(most, Math.abs(x - middle)) : most), 1e-9);

  /** Orange below the boundary, violet above, the paler, the nearer. */
  function paint(frame) {
    const context = canvas.getContext("2d");
    const image = context.createImageData(resolution, resolution);
    heights[frame].forEach((x, i) => {
      const row = resolution - 1 - Math.floor(i / resolution);
      const strength = Math.min(1, Math.sqrt(Math.abs(x - middle) / widest));
      if (Number.isNaN(x)) return; // it is neither above nor below
      const colour = x < middle ? [230, 140, 50] : [140, 110, 190];
      const at = 4 * (row * resolution + (i % resolution));
      colour.forEach((c, k) => (image.data[at + k] = 247 + (c - 247) * strength));
      image.data[at + 3] = 255;
    });
    context.putImageData(image, 0, 0);
    boundary.setAttribute("d", level === null ? "" : contour(heights[frame]));
    slider.value = String(frame);
    count.textContent = frame === heights.length - 1 ? "at the end" : `before step ${passes[frame].step.toLocaleString("en")} of ${recording.losses.length.toLocaleString("en")}`;
  }

  /** The line at the level, from the heights at the cells' middles: marching squares. */
  function contour(grid) {
    const cell = SIDE / resolution;
    const place = (i, j) => [(i + 0.5) * cell, SIDE - (j + 0.5) * cell];
    const lines = [];
    for (let j = 0; j + 1 < resolution; j++) {
      for (let i = 0; i + 1 < resolution; i++) {
        const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
        const crossings = corners.flatMap(([u, v], k) => {
          const [p, q] = corners[(k + 1) % 4];
          const [a, b] = [grid[v * resolution + u] - level, grid[q * resolution + p] - level];
          if (a < 0 === b < 0 || Number.isNaN(a + b)) return [];
          const along = Number.isFinite(a - b) ? a / (a - b) : 0.5;
          const [x, y] = place(u + (p - u) * along, v + (q - v) * along);
          return [`${x.toFixed(1)} ${y.toFixed(1)}`];
        });
        for (let k = 0; k + 1 < crossings.length; k += 2) lines.push(`M${crossings[k]}L${crossings[k + 1]}`);
      }
    }
    return lines.join("");
  }

  const dialog = make("dialog", { id: "sample", "aria-label": "The graph of a sample" });
  const close = make("button", { type: "button" }, "Close");
  close.addEventListener("click", () => dialog.close());
  document.body.append(dialog);
  let address = "";
  dialog.addEventListener("close", () => dialog.replaceChildren());

  /** Open the player on one sample, with the parameters of the step that is shown. */
  function open(i) {
    address ||= URL.createObjectURL(new Blob([training.sample], { type: "text/html" }));
    const [x0, x1, y] = points[i];
    const now = numbers[Number(slider.value)].map((x, k) => [parameters[k], exact(decoded(x))]);
    const text = [...now, ["x0", x0], ["x1", x1], ["y", y]].map(([name, x]) => `${encodeURIComponent(name)}=${x}`).join("&");
    dialog.replaceChildren(close, `Sample ${i + 1}`, make("iframe", { title: `The graph of sample ${i + 1}`, src: `${address}#${text}` }));
    dialog.showModal();
  }

  points.forEach(([x, y, target], i) => {
    const [u, v] = [((x - left) / (right - left)) * SIDE, SIDE - ((y - bottom) / (top - bottom)) * SIDE];
    const d = target < middle ? `M${u - 6} ${v}a6 6 0 1 0 12 0a6 6 0 1 0-12 0` : `M${u} ${v - 7}l7 12h-14z`;
    const point = shape("path", { d, class: `sample ${target < middle ? "low" : "high"}` });
    const title = shape("title", {});
    title.textContent = `sample ${i + 1}: ${x}, ${y}; target ${target}`;
    point.append(title);
    overlay.append(point);
    if (!training.sample) return;
    for (const [name, entry] of Object.entries({ role: "button", tabindex: 0, "aria-label": `Open the graph of sample ${i + 1}, target ${target}` })) point.setAttribute(name, String(entry));
    point.addEventListener("click", () => open(i));
    point.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" && event.key !== " ") return;
      event.preventDefault();
      event.stopPropagation();
      open(i);
    });
  });

  slider.addEventListener("input", () => {
    const frame = Number(slider.value);
    pause();
    go(frame < starts.length ? starts[frame] : timeline.length);
    paint(frame);
  });
  slider.addEventListener("keydown", (event) => event.stopPropagation());
  /** The plane follows the player. */
  new MutationObserver(() => {
    const frame = position >= timeline.length ? heights.length - 1 : Math.max(0, starts.findLastIndex((start) => start <= position));
    if (frame !== Number(slider.value)) paint(frame);
  }).observe(document.getElementById("count"), { childList: true, characterData: true, subtree: true });
  paint(0);
})();
