// The keyboard always has a place: when what had the focus disappears or can no
// longer be used, the focus goes to the open drawer or to the message field, and
// never to the page itself, where keys mean nothing and screen readers start over.
// A person who clicks beside everything has chosen so and is left in peace.

const FOCUSABLE = 'button, input, select, textarea, summary, a[href], [tabindex]';

/** Watches `root`; `fallback` may be disabled, then the first control that is not takes its place. */
export function keepFocus(root: HTMLElement, fallback: HTMLElement): void {
  let last: Element | null = null;
  root.addEventListener('focusin', ({ target }) => {
    last = target as Element;
  });
  root.addEventListener('pointerdown', ({ target }) => {
    if ((target as Element).closest(FOCUSABLE) === null) last = null;
  });
  const mend = (): void => {
    const { activeElement: now } = document;
    if (last === null || (now !== null && now !== document.body && isUsable(now))) return;
    place(root, fallback)?.focus({ preventScroll: true });
  };
  new MutationObserver(mend).observe(root, {
    subtree: true,
    childList: true,
    attributeFilter: ['disabled', 'hidden', 'open', 'class'],
  });
}

/** Where the keyboard should be when nothing else has it. */
function place(root: HTMLElement, fallback: HTMLElement): HTMLElement | null {
  const drawer = root.querySelector<HTMLElement>('dialog[open]');
  const controls = [...(drawer ?? root).querySelectorAll<HTMLElement>(FOCUSABLE)].filter(isUsable);
  return drawer === null && isUsable(fallback) ? fallback : (controls[0] ?? null);
}

function isUsable(element: Element): boolean {
  return element.isConnected && !element.matches(':disabled') && element.checkVisibility();
}
