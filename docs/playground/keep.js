// Keeps the pages and Python for when there is no network.

/** Ask the browser to keep all files; it does so in the background. */
export async function keepOffline() {
  try {
    await navigator.serviceWorker?.register(new URL("../offline.js", import.meta.url));
  } catch {
    // A browser that allows no service worker runs the page all the same, as long as there is a network.
  }
}
