// When a person comes back to a page that was open for a while, there may be
// something new. It knows nothing of what is looked for.

const LOOK_MS = 10 * 60 * 1000;

export function onComeback(look: () => void): void {
  let lookedAt = performance.now();
  document.addEventListener('visibilitychange', () => {
    const now = performance.now();
    if (document.hidden || now - lookedAt < LOOK_MS) return;
    lookedAt = now;
    look();
  });
}
