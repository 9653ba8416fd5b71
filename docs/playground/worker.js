// Python in a worker of its own, so that the page lives whatever the program does.
// In: {kind: "start", interrupt}, {kind: "run", id, code, cell, fresh}. Out: the session's events, and
// {kind: "ready"}, {kind: "end", id, whole}, {kind: "died", text}.
const here = (path) => new URL(path, import.meta.url).href;

let python, session;

async function bytes(path, unpacked = false) {
  const response = await fetch(here(path));
  if (!response.ok) throw new Error(`${path}: ${response.status}`);
  const body = unpacked ? response.body.pipeThrough(new DecompressionStream("gzip")) : response.body;
  return new Uint8Array(await new Response(body).arrayBuffer());
}

async function start(interrupt) {
  const index = here(PYODIDE);
  const [{ loadPyodide }, snapshot, archive] = await Promise.all([
    import(index + "pyodide.mjs"),
    bytes("snapshot.bin.gz", true),
    bytes("python.zip"),
  ]);
  python = await loadPyodide({ indexURL: index, _loadSnapshot: snapshot });
  python.unpackArchive(archive, "zip", { extractDir: "/home/pyodide" });
  if (interrupt) python.setInterruptBuffer(interrupt);
  ["caches", "indexedDB", "Worker"].forEach(takeAway);
  const send = (event) => postMessage(JSON.parse(event));
  session = python.runPython(
    "import json, session\nsession.awake()\nlambda send: session.Session(lambda event: send(json.dumps(event)))",
  )(send);
  postMessage({ kind: "ready" });
}

/** A program may come from a stranger's link: it does not get at what the browser keeps for this and other pages. */
function takeAway(name) {
  for (let place = self; place; place = Object.getPrototypeOf(place)) delete place[name];
}

// What is fetched for a program that names it, where packages can be: the package imports these when they are used.
const USED = [["numpy", /matrix_source|mnist/], ["matplotlib", /\bplots?\b/]];

async function run({ id, code, cell, fresh }) {
  if (PACKAGES) {
    try {
      await python.loadPackagesFromImports(code);
      await python.loadPackage(USED.filter(([, words]) => words.test(code)).map(([name]) => name));
    } catch {
      // What cannot be had now is missing, and the program says so where it needs it.
    }
  }
  if (fresh) session.restart();
  postMessage({ kind: "end", id, whole: session.run(code, cell) });
}

onmessage = async ({ data }) => {
  try {
    await (data.kind === "start" ? start(data.interrupt) : run(data));
  } catch (error) {
    postMessage({ kind: "died", text: String(error).split("\n")[0] });
  }
};
