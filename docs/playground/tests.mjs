// node tests.mjs PACKAGES ARGUMENT...: pytest in Pyodide on this repository; PACKAGES is a folder with pytest.
import { resolve } from "node:path";
import { loadPyodide } from "pyodide";

const [packages, ...options] = process.argv.slice(2);
const python = await loadPyodide({ env: { HOME: "/home/pyodide", PYTHONDONTWRITEBYTECODE: "1" } });
for (const [place, folder] of [["/packages", resolve(packages)], ["/repository", resolve(import.meta.dirname, "../..")]]) {
  python.FS.mkdirTree(place);
  python.mountNodeFS(place, folder);
}
python.globals.set("options", python.toPy(["-p", "no:cacheprovider", ...options]));
process.exitCode = python.runPython(`
import os, sys
sys.path.insert(0, "/packages")
sys.dont_write_bytecode = True
os.chdir("/repository")
import pytest
int(pytest.main(options))
`);
