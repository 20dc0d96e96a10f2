// A pause between two attempts on a bad line.

/** Ends early when there is a network again, and rejects when `signal` is aborted. */
export function pause(ms: number, signal: AbortSignal, network: EventTarget): Promise<void> {
  return new Promise((resolve, reject) => {
    const end = (finish: () => void) => {
      clearTimeout(timer);
      signal.removeEventListener('abort', aborted);
      network.removeEventListener('online', resumed);
      finish();
    };
    const aborted = () => end(() => reject(signal.reason));
    const resumed = () => end(resolve);
    const timer = setTimeout(resumed, ms);
    signal.addEventListener('abort', aborted);
    network.addEventListener('online', resumed);
  });
}
