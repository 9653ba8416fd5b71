// The live book: each cell of a chapter can be changed and run where it is read, in a Python that they share.
import { editor } from "./editor.js";
import { keepOffline } from "./keep.js";
import { Output, element } from "./output.js";
import { Python } from "./python.js";

const cells = [...document.querySelectorAll(".code_cell")].map((place, i) => new Cell(place, i));
const bar = element("div", "bar live");
const status = element("span");
const [all, stop, anew] = ["Run all", "Stop", "Start anew"].map((text) => button(text));
const PATIENCE = 5000; // milliseconds after which a reader wonders
const SLOW =
  "This takes its time: elsewhere llvmlite compiles it to machine code, which the browser's Python does not have. " +
  "Stop ends it.";
let python = null;
let wanted = []; // the cells that wait for their turn, the one that runs included

/** A cell of code, the Run beside it, and below it what it showed when the book was made, or what it shows now. */
function Cell(place, i) {
  const code = place.querySelector(".input_area");
  this.place = place;
  this.name = `cell ${i + 1}`;
  this.text = code.textContent.trim();
  this.stored = place.querySelector(".output_wrapper");
  this.button = button("Run", "run");
  this.button.setAttribute("aria-label", `Run ${this.name}`);
  this.button.onclick = () => run(this);
  this.undo = button("As in the book", "run");
  this.undo.hidden = true;
  this.undo.onclick = () => ((this.editor.text = this.text), this.editor.focus());
  code.replaceChildren();
  this.editor = editor(code, this.text, {
    label: `Code of ${this.name}`,
    numbers: false,
    run: () => run(this),
    changed: () => (this.undo.hidden = this.editor.text === this.text),
  });
  const row = element("div", "buttons");
  row.append(this.button, this.undo);
  const live = element("div", "live-output");
  live.setAttribute("role", "region");
  live.setAttribute("aria-label", `Output of ${this.name}`);
  code.after(row, live);
  this.output = new Output(live);
  this.hasRun = false;
}

function button(text, name = "") {
  const made = element("button", name, text);
  made.type = "button";
  return made;
}

/** Run a cell, and before it those above that have not run: it may need what they make. */
function run(cell) {
  const before = cells.slice(0, cells.indexOf(cell)).filter((other) => !other.hasRun);
  return runCells([...before, cell]);
}

async function runCells(chosen) {
  if (wanted.length) return; // one thing after the other; Stop ends it
  python ??= new Python(told);
  wanted = chosen;
  stop.disabled = false;
  for (const cell of chosen) {
    if (!wanted.length) break;
    say(`Running ${cell.name} of ${cells.length}…`);
    if (!(await runCell(cell))) break;
  }
  if (wanted.length && wanted.every((cell) => cell.hasRun)) say("Done");
  wanted = [];
  stop.disabled = true;
  keepOffline();
}

/** Whether those after it may run. */
async function runCell(cell) {
  const failed = [];
  cell.output.clear();
  cell.editor.mark(0);
  cell.place.classList.add("running");
  const slow = setTimeout(() => cell.output.note(SLOW), PATIENCE);
  const listen = (event) => (event.kind === "error" ? failed.push(event) : cell.output.tell(event));
  const how = await python.run(cell.editor.text, { cell: cell.name, listen });
  cell.output.flush();
  clearTimeout(slow);
  cell.place.classList.remove("running");
  const [error] = failed;
  const missing = error?.library;
  cell.hasRun = how === "whole" || how === "stopped" || Boolean(missing);
  const below = cell.stored && (missing || how === "stopped") ? " Below is what it showed when the book was made." : "";
  if (cell.stored) cell.stored.hidden = !below;
  if (missing) cell.output.note(`This needs ${missing}, which the browser's Python does not have.${below}`);
  else if (how === "stopped") cell.output.note(`Stopped.${below}`);
  else if (how === "died") cell.output.note("Python itself has died: its stack or its memory was full.");
  else if (error) tellError(cell, error);
  if (how === "whole" || missing) return true;
  say({ stopped: "Stopped", died: "Python died" }[how] ?? "An error");
  return false;
}

function tellError(cell, error) {
  cell.output.tell(error);
  cells.find((other) => other.name === error.cell)?.editor.mark(error.line);
  if (error.cell === cell.name) cell.editor.mark(error.line);
}

function told(state, text = "") {
  if (state === "starting") say("Starting Python…");
  if (state === "failed") say(`Python could not be started: ${text}`);
  if (state !== "again") return;
  for (const cell of cells) cell.hasRun = false;
  say("Python was started anew: it knows nothing of what ran before.");
}

function say(text) {
  status.textContent = text;
}

all.className = "main";
all.onclick = () => runCells(cells);
stop.disabled = true;
stop.onclick = () => {
  wanted = wanted.slice(0, 0);
  python.stop();
};
anew.onclick = () => {
  wanted = [];
  python?.restart();
};
status.setAttribute("role", "status");
say(`${cells.length} cells, which you can change and run here`);
const playground = element("a", "", "Playground");
playground.href = new URL("../playground.html", import.meta.url);
bar.append(all, stop, anew, playground, status);
if (cells.length) {
  const sheet = document.createElement("link");
  sheet.rel = "stylesheet";
  sheet.href = new URL("play.css", import.meta.url);
  document.head.append(sheet);
  document.querySelector("main").prepend(bar);
}
