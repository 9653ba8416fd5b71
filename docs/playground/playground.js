// The playground: one program, and below it what it prints and what its last line shows.
// EXAMPLES, like PYODIDE and PACKAGES of the worker, is written in by the build.
import { decoded, encoded } from "./address.js";
import { editor } from "./editor.js";
import { keepOffline } from "./keep.js";
import { Output } from "./output.js";
import { Python } from "./python.js";

const $ = (id) => document.getElementById(id);
const output = new Output($("output"));
const program = editor($("editor"), "", { label: "Program", run, changed });

const WORDS = { starting: "Starting Python…", again: "Starting Python again…", running: "Running…", ready: "Ready" };
let started = 0;
const python = new Python((state, text = "") => {
  if (state === "running") started = performance.now();
  if (state === "failed") say(`Python could not be started: ${text}`);
  else if (state !== "ready" || !$("status").dataset.result) say(WORDS[state]);
});

/** `result` is true of what became of a program, which stays until something else happens. */
function say(text, result = false) {
  $("status").textContent = text;
  $("status").dataset.result = result ? "yes" : "";
}

async function run() {
  if (python.running) return python.stop(), say("The program was still running: it is being stopped. Run it again.");
  program.mark(0);
  output.clear();
  $("stop").disabled = false;
  let failed = null;
  const listen = (event) => {
    output.tell(event);
    if (event.kind === "error") failed = event;
  };
  const how = await python.run(program.text, { fresh: true, listen });
  const time = performance.now() - started;
  const took = time < 1000 ? `${Math.round(time)} ms` : `${(time / 1000).toFixed(1)} s`;
  output.flush();
  $("stop").disabled = true;
  if (failed?.line) program.mark(failed.line);
  if (how === "died") output.note(DIED);
  if (how === "stopped" && !failed) output.note("Stopped.");
  if (!$("output").childElementCount) output.note("The program ran, and its last line gives nothing to show.");
  say({ whole: `Done in ${took}`, failed: "An error", stopped: "Stopped", died: "Python died" }[how], true);
}

const DIED =
  "Python itself has died: its stack or its memory was full, and a browser's are small. It has been started again, " +
  "and your program is as it was.";

async function link() {
  const code = await encoded(program.text);
  history.replaceState(null, "", `#code=${code}`);
  try {
    await navigator.clipboard.writeText(location.href);
    say("The link is copied: it holds the program.");
  } catch {
    say("The link is in the address bar: it holds the program.");
  }
}

/** The menu names the example that is in the editor, and else "your program". */
function changed() {
  const { text } = program;
  $("examples").value = String(EXAMPLES.findIndex(({ code }) => code === text));
}

function choose(i) {
  program.text = EXAMPLES[i].code;
  history.replaceState(null, "", location.pathname);
}

async function begin() {
  $("examples").add(new Option("Your program", -1));
  EXAMPLES.forEach(({ title }, i) => $("examples").add(new Option(title, i)));
  const code = new URLSearchParams(location.hash.slice(1)).get("code");
  if (code) {
    try {
      program.text = await decoded(code);
      output.note("This program came with the link. Read it, then press Run.");
    } catch {
      output.note("The link's program is damaged: part of the address is missing.");
    }
  } else {
    choose(0);
    run();
  }
  await python.ready;
  keepOffline();
}

$("run").onclick = run;
$("stop").onclick = () => python.stop();
$("link").onclick = link;
$("examples").onchange = async () => {
  if ($("examples").value === "-1") return program.focus();
  choose(Number($("examples").value));
  if (python.running) {
    const { ended } = python.running;
    python.stop();
    await ended;
  }
  run();
};
addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !event.defaultPrevented) run();
});
addEventListener("hashchange", () => location.reload());
begin();
