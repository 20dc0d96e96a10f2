// Shows a model's Markdown, whole or while it is being written. The model's
// words are hostile input: raw HTML is shown as text, links and images become
// their text beside an address that can be copied and never followed, and all
// of it passes a strict allow-list (DOMPurify) before it is part of the page.
// It knows nothing of turns or models.

import DOMPurify from 'dompurify';
import { Marked, type Token } from 'marked';
import { copyButton } from './copy';
import { h } from './dom';
import { settle } from './settle';
import { S } from './strings';

const ALLOWED_TAGS = [
  'p', 'br', 'hr', 'strong', 'em', 'del', 'code', 'pre', 'blockquote', 'ul', 'ol', 'li', 'span',
  'h3', 'h4', 'h5', 'h6', 'table', 'thead', 'tbody', 'tr', 'th', 'td',
]; // biome-ignore format: a list reads better in rows
const ALLOWED_ATTR = ['start', 'align', 'data-url', 'data-lang'];
/** Paragraphs of either writing direction may follow one another. */
const DIRECTED = 'p, li, h3, h4, h5, h6, th, td, blockquote';

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? character);
}

function codeHtml(text: string, lang: string): string {
  return `<pre data-lang="${escapeHtml(lang)}"><code>${escapeHtml(text)}</code></pre>`;
}

function addressHtml(href: string, label: string): string {
  return `<span data-url="${escapeHtml(href)}">${label}</span>`;
}

const marked = new Marked({
  gfm: true,
  breaks: true, // small models write poems and addresses line by line
  renderer: {
    code({ text, lang }) {
      return codeHtml(text, lang?.trim().split(/\s/)[0] ?? '');
    },
    heading({ tokens, depth }) {
      const level = Math.min(depth + 2, 6); // below the page's own h1 and h2
      return `<h${level}>${this.parser.parseInline(tokens)}</h${level}>`;
    },
    html(token) {
      if (/^<br\s*\/?>$/i.test(token.text.trim())) return '<br>';
      return token.block ? codeHtml(token.text.trimEnd(), 'html') : escapeHtml(token.text);
    },
    checkbox({ checked }) {
      return checked ? '☑ ' : '☐ ';
    },
    link({ href, tokens }) {
      return addressHtml(href, this.parser.parseInline(tokens));
    },
    image({ href, text }) {
      return addressHtml(href, escapeHtml(S.image(text)));
    },
  },
});

/** Text to a fragment that is safe to insert. */
function toFragment(token: Token): DocumentFragment {
  const fragment = DOMPurify.sanitize(marked.parser([token]), {
    ALLOWED_TAGS,
    ALLOWED_ATTR,
    ADD_URI_SAFE_ATTR: ['data-url', 'data-lang'],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
  for (const element of fragment.querySelectorAll(DIRECTED)) element.setAttribute('dir', 'auto');
  for (const pre of fragment.querySelectorAll('pre')) frameCode(pre);
  for (const span of fragment.querySelectorAll<HTMLElement>('span[data-url]')) showAddress(span);
  for (const table of fragment.querySelectorAll('table')) {
    const scroller = h('div', { class: 'table', tabindex: 0 });
    table.replaceWith(scroller);
    scroller.append(table);
  }
  return fragment;
}

/** Puts a language label and a copy button over a code block. */
function frameCode(pre: HTMLElement): void {
  const lang = pre.dataset.lang || S.plainText;
  const figure = h('figure', { class: 'code' });
  pre.replaceWith(figure);
  pre.tabIndex = 0; // so that the keyboard can scroll it
  pre.dir = 'ltr';
  pre.setAttribute('role', 'region');
  pre.setAttribute('aria-label', S.codeLabel(lang));
  const copy = copyButton(S.copy, () => pre.textContent ?? '');
  figure.append(h('figcaption', {}, h('span', {}, lang), copy), pre);
}

/** Puts the address, as a button that copies it, beside a link's text. */
function showAddress(span: HTMLElement): void {
  const url = span.dataset.url ?? '';
  span.removeAttribute('data-url');
  const copy = copyButton(url, () => url, {
    class: 'url',
    title: S.linkNote,
    'aria-label': S.copyUrl(url),
    dir: 'ltr',
  });
  if (span.textContent === url || span.textContent === '') span.replaceChildren(copy);
  else span.replaceChildren(h('span', { class: 'link' }, ...span.childNodes), ' ', copy);
}

interface Block {
  readonly token: Token;
  readonly nodes: readonly ChildNode[];
}

/** A view of one growing Markdown text: blocks that did not change keep their elements. */
export class MarkdownView {
  readonly element = h('div', { class: 'prose' });
  private blocks: Block[] = [];

  show(text: string, writing: boolean): void {
    const tokens = marked
      .lexer(writing ? settle(text) : text)
      .filter(({ type }) => type !== 'space' && type !== 'def');
    let same = 0;
    while (same < tokens.length && this.blocks[same]?.token.raw === tokens[same]?.raw) same++;
    const kept = this.blocks.slice(0, same);
    const stale = this.blocks.slice(same);
    const first = tokens[same];
    if (first !== undefined && stale.length === 1 && stale[0] !== undefined && growCode(stale[0], first)) {
      kept.push({ token: first, nodes: stale[0].nodes });
      stale.length = 0;
    }
    for (const { nodes } of stale) for (const node of nodes) node.remove();
    for (const token of tokens.slice(kept.length)) {
      const nodes = [...toFragment(token).childNodes];
      this.element.append(...nodes);
      kept.push({ token, nodes });
    }
    this.blocks = kept;
  }
}

/** Lets a code block grow in place: its scroll position and selection stay. */
function growCode(block: Block, token: Token): boolean {
  if (block.token.type !== 'code' || token.type !== 'code' || block.token.lang !== token.lang) return false;
  const figure = block.nodes[0];
  const code = figure instanceof HTMLElement ? figure.querySelector('code') : null;
  if (code === null) return false;
  const text = String(token.text);
  const node = code.firstChild;
  if (node instanceof Text && text.startsWith(node.data)) node.appendData(text.slice(node.data.length));
  else code.textContent = text;
  return true;
}
