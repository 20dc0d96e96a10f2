// Shows a model's Markdown, whole or while it is being written. The model's
// words are hostile input: raw HTML is shown as text, links and images become
// their text beside an address that can be copied and never followed, and all
// of it passes a strict allow-list (DOMPurify) before it is part of the page.
// It knows nothing of turns or models.

import DOMPurify from 'dompurify';
import { Marked, type Token, type Tokens } from 'marked';
import { colourCode } from './colour';
import { copyButton } from './copy';
import { button, h } from './dom';
import { type DetailsToken, markupExtensions } from './markup';
import { maskMath, mathExtensions, showMath } from './math';
import { settle } from './settle';
import { S } from './strings';

const ALLOWED_TAGS = [
  'p', 'br', 'hr', 'strong', 'em', 'del', 'code', 'pre', 'blockquote', 'ul', 'ol', 'li', 'span',
  'h3', 'h4', 'h5', 'h6', 'table', 'thead', 'tbody', 'tr', 'th', 'td',
  'sub', 'sup', 'details', 'summary',
]; // biome-ignore format: a list reads better in rows
const DATA = ['data-url', 'data-lang', 'data-math', 'data-show', 'data-note', 'data-noted', 'data-task'];
const ALLOWED_ATTR = ['start', 'align', ...DATA];
/** Paragraphs of either writing direction may follow one another. */
const DIRECTED = 'p, li, h3, h4, h5, h6, th, td, blockquote, summary';
/** What stands in an item of a list below its words. */
const BLOCKS = 'p, ul, ol, pre, figure, blockquote, table, details, hr, h3, h4, h5, h6';

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
  extensions: [...mathExtensions, ...markupExtensions],
  hooks: { emStrongMask: maskMath },
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
      return `<span data-task="${checked ? 'done' : ''}"></span>`;
    },
    link({ href, tokens }) {
      return addressHtml(href, this.parser.parseInline(tokens));
    },
    image({ href, text }) {
      return addressHtml(href, escapeHtml(S.image(text)));
    },
  },
});

const SANITIZER = {
  ALLOWED_TAGS,
  ALLOWED_ATTR,
  ADD_URI_SAFE_ATTR: DATA,
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
};

/** Text to a fragment that is safe to insert. */
function toFragment(token: Token): DocumentFragment {
  const fragment = DOMPurify.sanitize(marked.parser([token]), { ...SANITIZER, RETURN_DOM_FRAGMENT: true });
  for (const element of fragment.querySelectorAll(DIRECTED)) element.setAttribute('dir', 'auto');
  for (const pre of fragment.querySelectorAll('pre')) frameCode(pre);
  for (const span of fragment.querySelectorAll<HTMLElement>('span[data-url]')) showAddress(span);
  for (const span of fragment.querySelectorAll<HTMLElement>('span[data-math]')) showMath(span);
  for (const span of fragment.querySelectorAll<HTMLElement>('span[data-task]')) showTask(span);
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

/** A coloured block of code, as answers have it. */
export function codeBlock(text: string, lang: string): HTMLElement {
  const pre = h('pre', { 'data-lang': lang, class: 'is-whole' }, h('code', {}, text));
  const holder = h('div', {}, pre);
  frameCode(pre);
  colourCode(pre);
  return holder.firstElementChild as HTMLElement;
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

/** A task's box, with the words behind it as its label. What is done is the model's to say, so nobody
 *  can tick it. */
function showTask(span: HTMLElement): void {
  const words: ChildNode[] = [];
  for (let node = span.nextSibling; node !== null; node = node.nextSibling) {
    if (node instanceof Element && node.matches(BLOCKS)) break;
    words.push(node);
  }
  const box = h('input', { type: 'checkbox', disabled: true, checked: span.dataset.task === 'done' });
  span.closest('li')?.classList.add('task');
  span.replaceWith(h('label', {}, box, ' ', ...words));
}

interface Block {
  readonly token: Token;
  readonly nodes: readonly ChildNode[];
  /** What stands in it, where it grows by itself. */
  readonly inner?: Blocks;
}

/** Blocks in an element; those that did not change keep their nodes. */
class Blocks {
  private blocks: Block[] = [];

  constructor(private readonly element: HTMLElement) {}

  /** Shows `tokens` after the first `fixed` blocks, which are as they were. */
  show(tokens: readonly Token[], whole: boolean, fixed = 0): void {
    let same = 0;
    while (same < tokens.length && this.blocks[fixed + same]?.token.raw === tokens[same]?.raw) same++;
    const kept = fixed + same;
    const stale = this.blocks.splice(kept);
    const grown = grow(stale[0], tokens[same], whole);
    if (grown !== null) {
      this.blocks.push(grown);
      stale.shift();
      same++;
    }
    for (const { nodes } of stale) for (const node of nodes) node.remove();
    for (const token of tokens.slice(same)) this.add(token, whole);
    // Only the last block goes on growing; the one before it may just have ended.
    const ended = whole
      ? this.blocks.slice(Math.max(0, kept - 1))
      : this.blocks.slice(Math.max(0, kept - 1), -1);
    for (const { nodes } of ended) for (const node of nodes) paint(node);
  }

  private add(token: Token, whole: boolean): void {
    if (token.type === 'details') {
      const { summary, tokens } = token as DetailsToken;
      const body = h('div');
      const inner = new Blocks(body);
      const title = h('summary', { dir: 'auto' }, summary === '' ? S.unfold : inline(summary));
      const details = h('details', {}, title, body);
      inner.show(visible(tokens ?? []), whole);
      this.blocks.push({ token, nodes: [details], inner });
      this.element.append(details);
      return;
    }
    const nodes = [...toFragment(token).childNodes];
    this.element.append(...nodes);
    this.blocks.push({ token, nodes });
  }
}

/** Without what is never seen. */
function visible(tokens: readonly Token[]): Token[] {
  return tokens.filter(({ type }) => type !== 'space' && type !== 'def');
}

function inline(text: string): DocumentFragment {
  return DOMPurify.sanitize(String(marked.parseInline(text)), { ...SANITIZER, RETURN_DOM_FRAGMENT: true });
}

/** Colours the code in a block that has come to its end. */
function paint(node: ChildNode): void {
  if (!(node instanceof HTMLElement)) return;
  for (const pre of node.querySelectorAll<HTMLElement>('pre:not(.is-whole)')) {
    pre.classList.add('is-whole');
    colourCode(pre);
  }
}

/** The same block, longer, in the elements that it had; null: it has to be made anew. */
function grow(block: Block | undefined, token: Token | undefined, whole: boolean): Block | null {
  if (block === undefined || token === undefined || block.token.type !== token.type) return null;
  const { nodes, inner } = block;
  if (inner !== undefined) {
    if ((block.token as DetailsToken).summary !== (token as DetailsToken).summary) return null;
    inner.show(visible((token as DetailsToken).tokens ?? []), whole);
    return { token, nodes, inner };
  }
  const grown = growCode(block, token) || growList(block, token);
  return grown ? { token, nodes } : null;
}

/** A view of one growing Markdown text: blocks that did not change keep their elements. */
export class MarkdownView {
  readonly element = h('div', { class: 'prose', onclick: (event: Event) => this.follow(event) });
  private readonly blocks = new Blocks(this.element);
  /** The start of the text, in blocks that nothing to come can change. */
  private settled = '';
  private settledBlocks = 0;

  show(text: string, writing: boolean): void {
    if (!writing || !text.startsWith(this.settled)) {
      this.settled = '';
      this.settledBlocks = 0;
    }
    const rest = text.slice(this.settled.length);
    const tokens = marked.lexer(writing ? settle(rest) : rest);
    this.blocks.show(visible(tokens), !writing, this.settledBlocks);
    if (writing) this.advance(tokens, rest);
    this.linkNotes();
  }

  /** Blocks before the last two are read no more while the text grows: each token costs as much as the first. */
  private advance(tokens: readonly Token[], rest: string): void {
    const open = visible(tokens).at(-2);
    const done = open === undefined ? [] : tokens.slice(0, tokens.indexOf(open));
    const raw = done.map((token) => token.raw).join('');
    if (raw === '' || !rest.startsWith(raw)) return;
    this.settled += raw;
    this.settledBlocks += visible(done).length;
  }

  /** Gives a mark and its note the buttons that lead from one to the other. */
  private linkNotes(): void {
    for (const note of this.element.querySelectorAll<HTMLElement>('[data-noted]:not([tabindex])')) {
      const label = note.dataset.noted ?? '';
      note.tabIndex = -1;
      note.prepend(
        button(label, () => {}, { class: 'note-mark', 'aria-label': S.toText(label) }),
        ' ',
      );
    }
    for (const mark of this.element.querySelectorAll<HTMLElement>('sup[data-note]:not(:has(button))')) {
      const label = mark.dataset.note ?? '';
      if (this.element.querySelector(`[data-noted="${label}"]`) === null) continue;
      mark.replaceChildren(button(label, () => {}, { class: 'note-mark', 'aria-label': S.footnote(label) }));
    }
  }

  private follow({ target }: Event): void {
    const mark = target instanceof Element ? target.closest('button.note-mark') : null;
    const holder = mark?.parentElement;
    if (mark === null || !(holder instanceof HTMLElement)) return;
    const { note, noted } = holder.dataset;
    const there =
      note === undefined
        ? this.element.querySelector<HTMLElement>(`[data-note="${noted}"] button`)
        : this.element.querySelector<HTMLElement>(`[data-noted="${note}"]`);
    there?.focus();
    there?.scrollIntoView({ block: 'nearest' });
  }
}

/** Lets a list grow by items: the ones above stay. */
function growList(block: Block, token: Token): boolean {
  if (block.token.type !== 'list' || token.type !== 'list') return false;
  const before = block.token as Tokens.List;
  const now = token as Tokens.List;
  const list = block.nodes.find((node) => node instanceof HTMLElement) as HTMLElement | undefined;
  if (list === undefined || before.ordered !== now.ordered || before.start !== now.start) return false;
  if (before.loose !== now.loose || list.childElementCount !== before.items.length) return false;
  let same = 0;
  while (same < before.items.length && before.items[same]?.raw === now.items[same]?.raw) same++;
  const items = now.items.slice(same);
  // The list itself: ":scope >" finds nothing in a fragment.
  const made = toFragment({ ...now, items }).firstElementChild;
  for (const item of [...list.children].slice(same)) item.remove();
  if (made !== null) list.append(...made.childNodes);
  return true;
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
