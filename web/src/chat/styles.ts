// The style sheets as one text, in the order in which they may overrule.

import base from './base.css';
import composer from './composer.css';
import narrow from './narrow.css';
import page from './page.css';
import panel from './panel.css';
import picture from './picture.css';
import print from './print.css';
import prose from './prose.css';
import turn from './turn.css';

const styles = [base, page, turn, prose, picture, composer, panel, narrow].join('\n');

/** Adopted rather than inserted: the shell's policy, which the frame inherits,
 *  allows no inline style element. Returns the sheet for paper. */
export function adoptStyles(): CSSStyleSheet {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(styles);
  const paper = new CSSStyleSheet({ media: 'print' });
  paper.replaceSync(print);
  document.adoptedStyleSheets = [sheet, paper];
  return paper;
}
