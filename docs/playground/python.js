// The page's side of Python: starts the worker, runs code in it, stops it, and starts it again when it has died.
const PATIENCE = 400; // milliseconds for a program to end when it is asked to, before its worker is ended

export class Python {
  /** `told(state, text)`: "starting", "ready", "running", or "again" with why Python was started anew. */
  constructor(told) {
    this.told = told;
    this.start();
  }

  start() {
    this.interrupt = self.crossOriginIsolated ? new Uint8Array(new SharedArrayBuffer(1)) : null;
    this.worker = new Worker(new URL("worker.js", import.meta.url), { type: "module" });
    this.ready = new Promise((resolve) => (this.isReady = resolve));
    this.worker.onmessage = ({ data }) => this.heard(data);
    this.worker.onerror = (event) => this.died(event.message || "its worker could not be started");
    this.worker.postMessage({ kind: "start", interrupt: this.interrupt });
    this.isUp = false;
    this.told("starting");
  }

  heard(event) {
    if (event.kind === "ready") {
      this.isUp = true;
      this.isReady();
      if (!this.running) this.told("ready");
    } else if (event.kind === "end") this.end(event.whole ? "whole" : "failed");
    else if (event.kind === "died") this.died(event.text);
    else this.running?.listen(event);
  }

  /** Run it when all before it has ended. Gives "whole", "failed", "stopped" or "died". */
  async run(code, { cell = "program", fresh = false, listen = () => {} } = {}) {
    await this.running?.ended;
    const running = { listen };
    running.ended = new Promise((resolve) => (running.end = resolve));
    this.running = running;
    await this.ready;
    if (this.running !== running) return running.ended; // it was stopped before it began
    if (this.interrupt) this.interrupt[0] = 0;
    this.told("running");
    this.worker.postMessage({ kind: "run", code, cell, fresh });
    return running.ended;
  }

  end(how) {
    const running = this.running;
    this.running = null;
    clearTimeout(this.timer);
    running?.end(this.stopping && how === "failed" ? "stopped" : how);
    this.stopping = false;
    this.told("ready");
  }

  /** End what runs: by asking it to, where the browser can share memory, and else by ending its worker. */
  stop() {
    if (!this.running || this.stopping) return;
    this.stopping = true;
    if (!this.isUp) return this.end("failed");
    if (!this.interrupt) return this.restart("stopped");
    this.interrupt[0] = 2;
    this.timer = setTimeout(() => this.restart("stopped"), PATIENCE);
  }

  /** A new interpreter, which knows no names; `why` goes to what was running. */
  restart(why = "stopped", text = "") {
    clearTimeout(this.timer);
    this.worker.terminate();
    const running = this.running;
    this.running = null;
    this.stopping = false;
    running?.end(why);
    this.start();
    this.told("again", text);
  }

  died(text) {
    if (this.isUp) return this.restart("died", text);
    this.worker.terminate();
    this.running?.end("died");
    this.running = null;
    this.told("failed", text);
  }
}
