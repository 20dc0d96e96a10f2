// The style sheets as one text, in the order in which they may overrule.

import base from './base.css';
import composer from './composer.css';
import narrow from './narrow.css';
import page from './page.css';
import panel from './panel.css';
import prose from './prose.css';
import turn from './turn.css';

export const styles = [base, page, turn, prose, composer, panel, narrow].join('\n');
