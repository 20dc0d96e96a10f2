// Colours code. A block is coloured once, when it is whole: while it grows it is
// plain text, to which words are only appended. The highlighter sees text and
// gives spans with classes; prose.css has the colours.

import DOMPurify from 'dompurify';
import hljs from 'highlight.js/lib/core';
import bash from 'highlight.js/lib/languages/bash';
import cpp from 'highlight.js/lib/languages/cpp';
import css from 'highlight.js/lib/languages/css';
import go from 'highlight.js/lib/languages/go';
import java from 'highlight.js/lib/languages/java';
import javascript from 'highlight.js/lib/languages/javascript';
import json from 'highlight.js/lib/languages/json';
import python from 'highlight.js/lib/languages/python';
import rust from 'highlight.js/lib/languages/rust';
import sql from 'highlight.js/lib/languages/sql';
import typescript from 'highlight.js/lib/languages/typescript';
import xml from 'highlight.js/lib/languages/xml';
import yaml from 'highlight.js/lib/languages/yaml';

const LANGUAGES = {
  bash, cpp, css, go, java, javascript, json, python, rust, sql, typescript, xml, yaml,
}; // biome-ignore format: a list reads better in rows
for (const [name, language] of Object.entries(LANGUAGES)) hljs.registerLanguage(name, language);
hljs.registerAliases(['c'], { languageName: 'cpp' });
hljs.registerAliases(['shell', 'console'], { languageName: 'bash' });

/** Longer code stays plain: colours are not worth a wait. */
const MAX_CHARACTERS = 50_000;

/** Colours what `pre` holds, where its language is known. */
export function colourCode(pre: HTMLElement): void {
  const code = pre.querySelector('code');
  const language = (pre.dataset.lang ?? '').toLowerCase();
  const text = code?.textContent ?? '';
  if (code === null || text.length > MAX_CHARACTERS || hljs.getLanguage(language) === undefined) return;
  const { value } = hljs.highlight(text, { language, ignoreIllegals: true });
  const fragment = DOMPurify.sanitize(value, {
    ALLOWED_TAGS: ['span'],
    ALLOWED_ATTR: ['class'],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
  // Colours may not cost a character.
  if (fragment.textContent === text) code.replaceChildren(fragment);
}
