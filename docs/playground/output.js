// What a program prints and shows, below it. Markup that Python made stays in frames of its own, away from the page.
const FRAME = `<!doctype html><meta charset="utf-8"><meta name="color-scheme" content="light dark">
<style>body { margin: 0; font: 15px/1.5 system-ui, sans-serif } img { height: auto }</style>
<script>
addEventListener("load", (event) => {
  const image = event.target;
  if (image.tagName === "IMG" && image.naturalWidth)
    image.style.maxWidth = "max(100%, " + Math.round(0.62 * image.naturalWidth) + "px)";
}, true);
new ResizeObserver(() => parent.postMessage({ height: document.documentElement.offsetHeight }, "*"))
  .observe(document.documentElement);
</script>`;

addEventListener("message", ({ data, source }) => {
  const frame = [...document.querySelectorAll("iframe.shown")].find((frame) => frame.contentWindow === source);
  if (frame && typeof data?.height === "number") frame.style.height = `${Math.ceil(data.height)}px`;
});

export class Output {
  constructor(element) {
    this.element = element;
    this.clear();
  }

  clear() {
    this.element.replaceChildren();
    this.waiting = [];
  }

  /** Take an event of the session. */
  tell(event) {
    if (event.kind === "text") this.print(event);
    else {
      this.flush();
      if (event.kind === "show") this.add(shown(event));
      else if (event.kind === "error") this.add(error(event));
    }
  }

  note(text) {
    this.flush();
    this.add(element("p", "note", text));
  }

  add(child) {
    this.element.append(child);
  }

  /** Text goes to the page once a frame, however fast it comes. */
  print(event) {
    if (!this.waiting.length) requestAnimationFrame(() => this.flush());
    this.waiting.push(event);
  }

  flush() {
    const texts = this.waiting;
    this.waiting = [];
    while (texts.length) {
      const { stream } = texts[0];
      const next = texts.findIndex((other) => other.stream !== stream);
      const together = texts.splice(0, next < 0 ? texts.length : next);
      let last = this.element.lastElementChild;
      if (!last?.matches(`pre.text.${stream}`)) this.add((last = element("pre", `text ${stream}`)));
      write(last, together.map(({ text }) => text).join(""));
    }
  }
}

/** Add text as a terminal does: what follows a carriage return overwrites its line. */
function write(pre, text) {
  if (!text.includes("\r")) return pre.append(text);
  const lines = (pre.textContent + text).replaceAll("\r\n", "\n").split("\n");
  pre.textContent = lines.map((line) => line.split("\r").findLast((part) => part) ?? "").join("\n");
}

function shown({ html, image, plain }) {
  if (html) return framed(html, plain);
  if (image) {
    const picture = element("img", "plot");
    picture.src = image;
    picture.alt = "The plot that the code makes";
    return picture;
  }
  return element("pre", "result", plain);
}

function framed(html, plain) {
  const frame = element("iframe", "shown");
  frame.setAttribute("sandbox", "allow-scripts");
  frame.title = plain?.split("\n")[0] || "Result";
  frame.srcdoc = FRAME + html;
  return frame;
}

function error({ name, text, trace, line, library }) {
  const box = element("div", "error");
  box.setAttribute("role", "alert");
  if (name === "KeyboardInterrupt") {
    box.append(element("p", "what", "Stopped."));
    return box;
  }
  const where = line ? `Line ${line}: ` : "";
  box.append(element("pre", "what", where + text));
  if (library) box.append(element("p", "note", `${library} is not in the browser's Python. All else runs without it.`));
  const whole = element("details");
  whole.append(element("summary", "", "Traceback"), element("pre", "", trace));
  box.append(whole);
  return box;
}

export function element(tag, name = "", text = "") {
  const made = document.createElement(tag);
  if (name) made.className = name;
  if (text) made.textContent = text;
  return made;
}
