// The little that Markdown lacks and people write all the same: <sub>, <sup>,
// <details> with its <summary>, and footnotes. A tag with any attribute is not one
// of them and stays text. It knows tokens and markup, nothing of the page.

import type { TokenizerAndRendererExtension, Tokens } from 'marked';

const SCRIPT = /^<(sub|sup)>((?:(?!<\1>)[^\n])*?)<\/\1>/i;
const DETAILS = /^ {0,3}<details>\s*(?:<summary>([\s\S]*?)<\/summary>[ \t]*\n?)?/i;
const NOTE = /^\[\^(\d{1,3}|[a-z][\w-]{0,30})\](?!:)/i;
const NOTED = /^ {0,3}\[\^(\d{1,3}|[a-z][\w-]{0,30})\]:[ \t]*([^\n]*(?:\n(?!\n| {0,3}\[\^)[^\n]+)*)(?:\n|$)/i;

/** A part that can be unfolded; `closed` is false while its end has not come. */
export interface DetailsToken extends Tokens.Generic {
  readonly type: 'details';
  readonly summary: string;
}

/** What stands before the matching </details>, and how long it is with the tag. */
function inside(source: string): { readonly text: string; readonly length: number } {
  let depth = 1;
  for (const { 0: tag, index } of source.matchAll(/<details>|<\/details>[ \t]*\n?/gi)) {
    depth += tag[1] === '/' ? -1 : 1;
    if (depth === 0) return { text: source.slice(0, index), length: index + tag.length };
  }
  return { text: source, length: source.length };
}

export const markupExtensions: readonly TokenizerAndRendererExtension[] = [
  {
    name: 'script',
    level: 'inline',
    start: (source) => at(source, /<su[bp]>/i),
    tokenizer(source) {
      const [raw, tag, text] = SCRIPT.exec(source) ?? [];
      if (raw === undefined || text === undefined) return undefined;
      return { type: 'script', raw, tag: tag?.toLowerCase(), tokens: this.lexer.inlineTokens(text) };
    },
    renderer({ tag, tokens }) {
      return `<${tag}>${this.parser.parseInline(tokens ?? [])}</${tag}>`;
    },
  },
  {
    name: 'note',
    level: 'inline',
    start: (source) => at(source, /\[\^/),
    tokenizer(source) {
      const [raw, label] = NOTE.exec(source) ?? [];
      return raw === undefined ? undefined : { type: 'note', raw, label };
    },
    renderer: ({ label }) => `<sup data-note="${label}">${/^\d/.test(label) ? label : `[^${label}]`}</sup>`,
  },
  {
    name: 'noted',
    level: 'block',
    start: (source) => at(source, /^ {0,3}\[\^/m),
    tokenizer(source) {
      const [raw, label, text] = NOTED.exec(source) ?? [];
      if (raw === undefined || text === undefined) return undefined;
      return { type: 'noted', raw, label, tokens: this.lexer.inline(text.replace(/\n\s+/g, '\n')) };
    },
    renderer({ label, tokens }) {
      return `<p data-noted="${label}">${this.parser.parseInline(tokens ?? [])}</p>`;
    },
  },
  {
    name: 'details',
    level: 'block',
    start: (source) => at(source, /^ {0,3}<details>/im),
    tokenizer(source) {
      const [head, summary = ''] = DETAILS.exec(source) ?? [];
      if (head === undefined) return undefined;
      const { text, length } = inside(source.slice(head.length));
      return {
        type: 'details',
        raw: source.slice(0, head.length + length),
        summary: summary.trim(),
        tokens: this.lexer.blockTokens(text, []),
      };
    },
    renderer({ summary, tokens }) {
      const escaped = String(summary).replace(/[&<>]/g, (character) => `&#${character.charCodeAt(0)};`);
      const shown = escaped === '' ? '' : `<summary>${escaped}</summary>`;
      return `<details>${shown}${this.parser.parse(tokens ?? [])}</details>`;
    },
  },
];

function at(source: string, pattern: RegExp): number | undefined {
  const found = source.search(pattern);
  return found === -1 ? undefined : found;
}
