// What the site says of itself, where it says something: its colour and its icon
// are put on the page here, its words are drawn where words are. It decides
// nothing and keeps nothing.

import type { Site } from '../seal/protocol';
import { h } from './dom';
import { mark } from './icons';

/** The site's colour in place of the page's; both themes have one. */
export function adoptAccent({ accent }: Site): void {
  if (accent === null) return;
  const [light, dark] = accent;
  const { style } = document.documentElement;
  style.setProperty('--accent', `light-dark(${light}, ${dark})`);
  // Both were chosen to be read on the page's own ground, so that ground can be read on them.
  style.setProperty('--on-accent', 'var(--paper)');
}

/** The site's icon, else the page's mark. */
export function siteMark({ icon }: Site): Element {
  return icon === null ? mark() : h('img', { class: 'mark', src: icon, alt: '' });
}
