// When to try again what failed because a server was away: after short pauses
// that grow up to a bound, and at once when the browser has a network again. It
// knows nothing of what is tried.

const FIRST_MS = 3000;
const LONGEST_MS = 30_000;

/** Calls `retry` once, when it is time after so many failures in a row. Returns what calls it off. */
export function later(failures: number, retry: () => void): () => void {
  const end = () => {
    clearTimeout(timer);
    removeEventListener('online', now);
  };
  const now = () => {
    end();
    retry();
  };
  const timer = setTimeout(now, Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1)));
  addEventListener('online', now);
  return end;
}
