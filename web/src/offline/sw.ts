// The service worker: keeps one version of the page, so that it opens offline,
// and puts the headers of the seal on every response, so that it is sealed on
// hosts that can set none. It does not know models: their chunks pass it by, and
// the store keeps them. sw.js, made anew for every version, says which files
// belong together; each is checked by its hash, so that no version is ever
// mixed with another, whatever the host or a cache on the way sends.

import { type Site, type SiteFile, TAKE_OVER } from './protocol';

declare const SITE: Site;

const worker = globalThis as unknown as ServiceWorkerScope;
const SCOPE = worker.registration.scope;
// An origin may hold several sites, which share its caches.
const PREFIX = `slmweb ${SCOPE} `;
const CACHE = PREFIX + SITE.version;
/** How long a page that is going may take to be gone; a page that asks waits for the answer. */
const CLOSING_MS = 1000;
const FILES = new Map(SITE.files.map((file) => [file.path, file]));

worker.addEventListener('install', (event) => event.waitUntil(install()));
worker.addEventListener('activate', (event) => event.waitUntil(deleteCaches((name) => name !== CACHE)));

async function install(): Promise<void> {
  const wasThere = await caches.has(CACHE);
  const cache = await caches.open(CACHE);
  try {
    await Promise.all(SITE.files.map(async (file) => cache.put(SCOPE + file.path, await fetchExact(file))));
  } catch (error) {
    // What an earlier worker of the same version has may be all that opens the page.
    if (!wasThere) await caches.delete(CACHE);
    throw error;
  }
}

/** A host may call a file unchanged that is not: it compares dates, and those of an upload can be any. So what
 *  is not as expected is asked for once more, past the browser's cache. */
async function fetchExact({ path, type, integrity }: SiteFile): Promise<Response> {
  const ask = (cache: RequestCache) => fetch(SCOPE + path, { integrity, cache });
  const response = await ask('no-cache').catch(() => ask('reload'));
  if (!response.ok) throw new Error(`Expected ${SCOPE + path}, found HTTP ${response.status}.`);
  return new Response(await response.blob(), { headers: { ...SITE.headers, 'content-type': type } });
}

async function deleteCaches(wanted: (name: string) => boolean): Promise<void> {
  const names = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && wanted(name));
  await Promise.all(names.map((name) => caches.delete(name)));
}

worker.addEventListener('fetch', (event) => {
  const { request } = event;
  const url = new URL(request.url);
  if (!url.href.startsWith(SCOPE) || request.method !== 'GET') return;
  const path = url.pathname.slice(new URL(SCOPE).pathname.length).replace(/^index\.html$/, '');
  if (request.mode === 'navigate') event.waitUntil(leaveWhenGone());
  if (FILES.has(path)) event.respondWith(fromCache(request, path));
  // What a script fetches (a manifest, a chunk) becomes no page and no worker, so it needs no headers.
  else if (request.destination !== '') event.respondWith(sealed(request));
});

async function fromCache(request: Request, path: string): Promise<Response> {
  // A person may have emptied the cache; the network's answer is sealed as well, and hashes still hold.
  return (await caches.match(SCOPE + path, { cacheName: CACHE })) ?? sealed(request);
}

async function sealed(request: Request): Promise<Response> {
  const response = await fetch(request);
  // A redirect that the browser follows itself, and comes back with.
  if (response.type === 'opaqueredirect') return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(SITE.headers)) headers.set(name, value);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}

/** Makes room when this address says that the site is gone: another one must not stay hidden behind it. A page
 *  in place of the script says nothing of the kind: so answer proxies whose login has run out, and hosts that
 *  are starting, and what is kept here may be all that still works. */
async function leaveWhenGone(): Promise<void> {
  const answer = await fetch(`${SCOPE}sw.js`, { cache: 'no-store' }).catch(() => null);
  if (answer === null) return; // offline
  if (answer.status !== 404 && answer.status !== 410) return;
  await worker.registration.unregister();
  await deleteCaches(() => true);
}

worker.addEventListener('message', (event) => {
  const [port] = event.ports;
  if (event.data === TAKE_OVER && port !== undefined) event.waitUntil(takeOver(port));
});

/** Other pages go on with the version that they started with, so a new one waits until there are none. */
async function takeOver(port: MessagePort): Promise<void> {
  const granted = await isLastPage();
  port.postMessage(granted);
  if (granted) await worker.skipWaiting();
}

/** A page that was just closed, or reloaded to ask this, may be listed a moment longer. */
async function isLastPage(): Promise<boolean> {
  for (let waited = 0; ; waited += 50) {
    const windows = await worker.clients.matchAll({ type: 'window', includeUncontrolled: true });
    if (windows.filter(({ url }) => url.startsWith(SCOPE)).length === 1) return true;
    if (waited >= CLOSING_MS) return false;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
