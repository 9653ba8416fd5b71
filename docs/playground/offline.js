// The service worker: keeps every file of this build, so that the pages open without a network. It also gives pages
// that a plain server sends the headers with which a browser lets them share memory, which Stop uses.
const CACHE = "microgrannd-{{version}}";
const FILES = {{files}};

addEventListener("install", (event) => {
  const all = FILES.map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(all)).then(() => skipWaiting()));
});

addEventListener("activate", (event) => event.waitUntil(cleaned().then(() => clients.claim())));

addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  if (event.request.method === "GET" && url.origin === location.origin) event.respondWith(kept(event.request));
});

async function cleaned() {
  const old = (await caches.keys()).filter((name) => name.startsWith("microgrannd-") && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
}

async function kept(request) {
  const found = await (await caches.open(CACHE)).match(request, { ignoreSearch: true });
  return found ? isolated(found) : fetch(request);
}

function isolated(response) {
  const headers = new Headers(response.headers);
  headers.set("Cross-Origin-Opener-Policy", "same-origin");
  headers.set("Cross-Origin-Embedder-Policy", "require-corp");
  headers.set("Cross-Origin-Resource-Policy", "same-origin");
  return new Response(response.body, { status: response.status, statusText: response.statusText, headers });
}
