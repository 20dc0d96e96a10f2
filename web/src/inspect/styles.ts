// The style sheets as one text: the chat's plain elements and frame, then this page's own.

import base from '../chat/base.css';
import page from '../chat/page.css';
import inspect from './inspect.css';

/** Adopted rather than inserted, as the chat's are. */
export function adoptStyles(): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync([base, page, inspect].join('\n'));
  document.adoptedStyleSheets = [sheet];
}
