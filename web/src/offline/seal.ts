// The page's side of the service worker: has it registered, and lets the chat
// begin only in a page that is sealed, by the host's headers or by the worker's.
// A page that the worker has served is sealed, because the worker never claims
// a page that came without it.

import { SlmError } from '../core/error';
import { TAKE_OVER } from './protocol';

const SCRIPT = 'sw.js';
/** Noted in this entry of the tab's history; what the tab stores may change with COOP. */
const RELOADED = 'reloaded to be sealed';
const RELOADED_FOR_NEW = 'reloaded for the new version';
/** A new version that does not answer may not hold up the page. */
const ANSWER_MS = 3000;
/** Chromium forgets to let a new version take over that asks while the old one is busy, as with loading this
 *  page: it looks again when the old one has idled for half a minute. So we ask late, and where that was not
 *  late enough, reload, which has it look as well. */
const QUIET_MS = 700;
const TAKE_OVER_MS = 1000;

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const never = new Promise<never>(() => {});

/** Resolves when the page may chat. It may reload the page instead: once after a first visit to a host that
 *  sets no headers (`onWait` is called before), and when a new version takes over. */
export async function sealPage(onWait: () => void): Promise<void> {
  // The store refuses insecure pages with a reason, so no model ever opens there.
  if (!isSecureContext) return;
  const workers: ServiceWorkerContainer | undefined = navigator.serviceWorker;
  if (workers?.controller?.scriptURL === new URL(SCRIPT, location.href).href) {
    await letNewVersionTakeOver(workers);
    if (history.state !== null) history.replaceState(null, '');
    return;
  }
  const registering = workers?.register(SCRIPT).catch(() => undefined);
  const host = await hostHeaders();
  if (host.isolates && host.seals) return;
  onWait();
  // Once: where the browser does not let the worker serve the page, a second time would be no better.
  if ((await isActive(await registering)) && history.state !== RELOADED) {
    history.replaceState(RELOADED, '');
    location.reload();
    await never;
  }
  if (!host.seals)
    throw new SlmError(
      'unsupported',
      'Expected the headers that keep this page private, found none from this host and no service worker in this browser that could add them; open the page in an ordinary window, or ask whoever runs this site to set the headers.',
    );
}

async function hostHeaders(): Promise<{ seals: boolean; isolates: boolean }> {
  const response = await fetch(location.href, { method: 'HEAD', cache: 'no-store' }).catch(() => null);
  const has = (...names: string[]) => names.every((name) => response?.headers.has(name) ?? false);
  return {
    seals: has('content-security-policy', 'connection-allowlist'),
    isolates: has('cross-origin-opener-policy', 'cross-origin-embedder-policy'),
  };
}

/** Whether the worker of this registration is, or becomes, ready to serve pages. */
async function isActive(registration: ServiceWorkerRegistration | undefined): Promise<boolean> {
  if (!registration) return false;
  if (registration.active) return true;
  const worker = registration.installing ?? registration.waiting;
  if (!worker) return false;
  return new Promise((resolve) => {
    const look = () => {
      if (worker.state === 'activated') resolve(true);
      else if (worker.state === 'redundant') resolve(false);
    };
    worker.addEventListener('statechange', look);
    look();
  });
}

async function letNewVersionTakeOver(workers: ServiceWorkerContainer): Promise<void> {
  const waiting = (await workers.getRegistration())?.waiting;
  if (!waiting) return;
  const reload = () => location.reload();
  workers.addEventListener('controllerchange', reload);
  await sleep(QUIET_MS);
  const { port1, port2 } = new MessageChannel();
  const granted = await new Promise<boolean>((resolve) => {
    port1.onmessage = ({ data }) => resolve(data === true);
    setTimeout(() => resolve(false), ANSWER_MS);
    waiting.postMessage(TAKE_OVER, [port2]);
  });
  if (granted) {
    await sleep(TAKE_OVER_MS);
    if (history.state !== RELOADED_FOR_NEW) {
      history.replaceState(RELOADED_FOR_NEW, '');
      location.reload();
      await never;
    }
  }
  // The page goes on with its version: a reload later on would take a conversation with it.
  workers.removeEventListener('controllerchange', reload);
}
