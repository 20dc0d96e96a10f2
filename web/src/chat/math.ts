// Mathematics in a model's words: where it begins and ends, and its MathML. TeX is
// as hostile as the rest: Temml is told to trust nothing, and what it makes passes
// an allow-list of its own, in which no element loads anything. What cannot be
// read as TeX is shown as it was written. It knows nothing of turns.

import DOMPurify from 'dompurify';
import type { TokenizerAndRendererExtension, Tokens } from 'marked';
import temml from 'temml/temml.js';
import { h } from './dom';

/** A formula longer than this is no formula. */
const MAX_CHARACTERS = 4000;

const MATHML = [
  'math', 'mrow', 'mi', 'mn', 'mo', 'ms', 'mtext', 'mspace', 'mfrac', 'msqrt', 'mroot', 'mstyle', 'mpadded',
  'mphantom', 'menclose', 'msub', 'msup', 'msubsup', 'munder', 'mover', 'munderover', 'mmultiscripts',
  'mprescripts', 'mtable', 'mtr', 'mtd', 'merror',
]; // biome-ignore format: a list reads better in rows
const ATTRIBUTES = [
  'class', 'data-style', 'display', 'displaystyle', 'scriptlevel', 'mathvariant', 'width', 'height', 'depth',
  'lspace', 'rspace', 'voffset', 'fence', 'form', 'stretchy', 'symmetric', 'separator', 'largeop', 'accent',
  'accentunder', 'movablelimits', 'minsize', 'maxsize', 'linethickness', 'notation', 'rowspan', 'columnspan',
]; // biome-ignore format: a list reads better in rows
/** What may be styled; a value is one of plain words and lengths, so it can name no address. */
const STYLED = /^(?:padding|border)(?:-(?:left|right|top|bottom))?$|^(?:color|width|math-depth)$/;
const PLAIN_VALUE = /^[-\w.#% ]+$/;

/** Delimiters in a line; a paragraph's end ends every formula. */
const INLINE =
  /^(?:\\\(((?:(?!\n\s*\n)[\s\S]){1,4000}?)\\\)|\\\[((?:(?!\n\s*\n)[\s\S]){1,4000}?)\\\]|\$\$((?:(?!\n\s*\n)[^$]){1,4000}?)\$\$)/;
const DOLLARS = /^\$(?![\s$])((?:\\.|[^$\\\n`])*?[^\s\\])\$(?![\w$])/;
const ENVIRONMENT =
  /^\\begin\{((?:align|gather|equation|multline|alignat|split|eqnarray|aligned|gathered|cases|array|[pbvBV]?matrix)\*?)\}(?:(?!\n\s*\n)[\s\S])*?\\end\{\1\}/;
/** A formula that has its lines to itself, with the full stop that may end the sentence. */
const BLOCK =
  /^ {0,3}(?:\\\[((?:(?!\n\s*\n)[\s\S]){1,4000}?)\\\]|\$\$((?:(?!\n\s*\n)[^$]){1,4000}?)\$\$)([.,;:]?)[ \t]*(?:\n|$)/;

/** Money, shell variables and prose stand between dollar signs too; this is surely none of them. */
export function isClearlyMath(tex: string): boolean {
  if (isProse(tex)) return false;
  if (/[\\^_=<>+*{|]/.test(tex)) return true;
  return /^-?[\d.,]+$|^[\d\s.,()[\]'!/-]*(?:(?<![A-Za-z])[A-Za-z]{1,2}(?![A-Za-z])[\d\s.,()[\]'!/-]*)+$/.test(
    tex,
  );
}

/** Has words that are not names of functions. */
function isProse(tex: string): boolean {
  const plain = tex.replace(/\\(?:text|mathrm|operatorname|textbf)\s*\{[^{}]*\}?|\\[A-Za-z]*/g, ' ');
  return /[A-Za-z]{2,}\s+[A-Za-z]{2,}|[A-Za-z]{5,}/.test(plain);
}

interface MathToken extends Tokens.Generic {
  readonly tex: string;
  readonly display: boolean;
}

/** Where mathematics may begin next. */
function next(source: string, pattern: RegExp): number | undefined {
  const at = source.search(pattern);
  return at === -1 ? undefined : at;
}

function html({ raw, tex, display }: MathToken): string {
  const quoted = (text: string): string =>
    text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
  const tag = `<span data-math="${quoted(tex)}" data-show="${display ? 'block' : 'inline'}">${quoted(raw.trim())}</span>`;
  return display ? `<p>${tag}</p>` : tag;
}

export const mathExtensions: readonly TokenizerAndRendererExtension[] = [
  {
    name: 'mathBlock',
    level: 'block',
    start: (source) => next(source, /^ {0,3}(?:\\\[|\$\$|\\begin\{)/m),
    tokenizer(source) {
      const found = BLOCK.exec(source);
      if (found !== null) {
        const tex = `${(found[1] ?? found[2] ?? '').trim()}${found[3] ?? ''}`;
        return { type: 'mathBlock', raw: found[0], tex, display: true };
      }
      const environment = ENVIRONMENT.exec(source);
      if (environment === null) return undefined;
      return { type: 'mathBlock', raw: environment[0], tex: environment[0], display: true };
    },
    renderer: (token) => html(token as MathToken),
  },
  {
    name: 'math',
    level: 'inline',
    start: (source) => next(source, /\\[([]|\$/),
    tokenizer(source) {
      const found = INLINE.exec(source);
      if (found !== null) {
        const tex = (found[1] ?? found[2] ?? found[3] ?? '').trim();
        // A display formula within a sentence stays in its line: a paragraph cannot hold a block.
        return tex === '' ? undefined : { type: 'math', raw: found[0], tex, display: false };
      }
      const dollars = DOLLARS.exec(source);
      if (dollars === null || !isClearlyMath(dollars[1] ?? '')) return undefined;
      return { type: 'math', raw: dollars[0], tex: dollars[1], display: false };
    },
    renderer: (token) => html(token as MathToken),
  },
];

const FORMULA =
  /\\\([\s\S]+?\\\)|\\\[[\s\S]+?\\\]|\$\$[^$]+?\$\$|(?<![\\$])\$(?![\s$])(?:\\.|[^$\\\n`])*?\$(?![\w$])/g;

/** Calls for every whole formula; what it gives takes its place. */
function eachFormula(source: string, give: (formula: string, at: number) => string): string {
  return source.replace(FORMULA, (found, at: number) => {
    const dollars = /^\$[^$]/.test(found);
    return dollars && !isClearlyMath(found.slice(1, -1)) ? found : give(found, at);
  });
}

/** The same text with neutral letters for formulas, whose signs mean nothing to emphasis. */
export function maskMath(source: string): string {
  return eachFormula(source, (formula) => 'a'.repeat(formula.length));
}

/** Where the last whole formula ends; 0: there is none. */
export function endOfMath(source: string): number {
  let end = 0;
  eachFormula(source, (formula, at) => {
    end = at + formula.length;
    return formula;
  });
  return end;
}

/** Where a formula begins that has not come to its end; -1: none does. */
export function openMath(paragraph: string): number {
  const outside = maskMath(paragraph.replace(/`[^`]*`/g, (code) => 'a'.repeat(code.length)));
  const found = [outside.search(/\\(?:[([]|$)/), outside.search(/\$\$/)];
  // A command that begins a line may become an environment.
  found.push(outside.search(/^ {0,3}\\[a-z]*(?:\{\w*\*?)?$(?![\s\S])/m));
  const environment = /^ {0,3}\\begin\{(\w+\*?)\}/m.exec(outside);
  if (environment !== null && !outside.includes(`\\end{${environment[1]}}`)) found.push(environment.index);
  for (const { index } of outside.matchAll(/(?<![\\$])\$(?!\$)/g)) {
    if (mayBecomeMath(outside.slice(index + 1))) found.push(index);
  }
  return found.filter((at) => at !== -1).reduce((first, at) => (first === -1 ? at : Math.min(first, at)), -1);
}

/** What follows a dollar sign, as far as it has come. */
function mayBecomeMath(rest: string): boolean {
  if (/^\s|\n/.test(rest)) return false;
  return /^\d/.test(rest) ? !/\s/.test(rest) : !isProse(rest);
}

/** Puts MathML in the place of a formula's source; where it cannot be read, the source stays. */
export function showMath(span: HTMLElement): void {
  const tex = span.dataset.math ?? '';
  const display = span.dataset.show === 'block';
  const source = span.textContent ?? '';
  const math = toMathML(tex, display);
  span.removeAttribute('data-math');
  span.removeAttribute('data-show');
  span.dir = 'ltr';
  if (math === null) {
    span.replaceWith(h('code', { class: 'tex', dir: 'ltr' }, source));
    return;
  }
  span.className = 'math';
  span.replaceChildren(math);
  const paragraph = span.parentElement;
  if (!display || paragraph === null) return;
  // The keyboard can scroll what is wider than the page.
  paragraph.replaceWith(h('div', { class: 'formula', tabindex: 0, dir: 'ltr' }, ...span.childNodes));
}

function toMathML(tex: string, display: boolean): DocumentFragment | null {
  if (tex.length > MAX_CHARACTERS) return null;
  let markup: string;
  try {
    markup = temml.renderToString(tex, {
      displayMode: display,
      throwOnError: true,
      trust: false,
      maxSize: [20, 20],
      maxExpand: 500,
    });
  } catch {
    return null; // it is the model's mistake, and the reader sees what it wrote
  }
  // Inside an attribute's or a text's content the quote would be escaped.
  const fragment = DOMPurify.sanitize(markup.replaceAll(' style="', ' data-style="'), {
    ALLOWED_TAGS: MATHML,
    ALLOWED_ATTR: ATTRIBUTES,
    ADD_URI_SAFE_ATTR: ['data-style'],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    RETURN_DOM_FRAGMENT: true,
  });
  for (const element of fragment.querySelectorAll<MathMLElement>('*')) dress(element);
  return fragment.firstElementChild === null ? null : fragment;
}

/** Keeps Temml's own classes, and sets styles one by one: the page's policy allows no style in markup. */
function dress(element: MathMLElement): void {
  const own = [...element.classList].filter((name) => name.startsWith('tml-'));
  element.removeAttribute('class');
  if (own.length > 0) element.classList.add(...own);
  const style = element.getAttribute('data-style') ?? '';
  element.removeAttribute('data-style');
  for (const declaration of style.split(';')) {
    const [property = '', value = ''] = declaration.split(':');
    if (STYLED.test(property) && PLAIN_VALUE.test(value)) element.style.setProperty(property, value);
  }
}
