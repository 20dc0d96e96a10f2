// Speaks to screen readers: one polite live region for the whole page. Finished
// answers and short confirmations go here, never single tokens.

import { h } from './dom';

const region = h('div', { class: 'offscreen', role: 'status', 'aria-live': 'polite' });
let home: Element | null = null;

/** To be put into the page once, before anything is announced. */
export function liveRegion(): HTMLElement {
  return region;
}

export function announce(sentence: string): void {
  home ??= region.parentElement;
  // All that lies outside an open drawer is silent, too.
  const place = document.querySelector('dialog[open]') ?? home;
  if (place !== region.parentElement) place?.append(region);
  // Emptied first, so that the same words twice are two announcements.
  region.textContent = '';
  requestAnimationFrame(() => (region.textContent = sentence));
}
