// node snapshot.mjs ARCHIVE OUTPUT: Python as it is in memory once the package is imported, which a browser wakes in a
// tenth of the time that starting and importing take.
import { readFileSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { loadPyodide } from "pyodide";

const [archive, output] = process.argv.slice(2);
const python = await loadPyodide({ _makeSnapshot: true });
python.unpackArchive(new Uint8Array(readFileSync(archive)), "zip", { extractDir: "/home/pyodide" });
python.runPython("import session; session.imported_ahead()");
writeFileSync(output, gzipSync(python.makeMemorySnapshot(), { level: 9 }));
