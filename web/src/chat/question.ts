// What a person wrote, as it was written: no sign of it means anything, but fences,
// which set code apart. What is long is folded and can be unfolded. It knows text,
// not turns.

import { button, h } from './dom';
import { codeBlock } from './markdown';
import { S } from './strings';

/** Longer questions, and those of several lines, are set as text and not as a heading. */
const HEADLINE_CHARACTERS = 160;
/** Longer questions are folded. turn.css has as many lines. */
const FOLDED_LINES = 12;
const FOLDED_CHARACTERS = 1000;

const FENCED = /^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)[^\n`]*\n([\s\S]*?)(?:^ {0,3}\1[ \t]*$|$(?![\s\S]))\n?/gm;

export function questionBody(text: string): HTMLElement {
  const short = text.length <= HEADLINE_CHARACTERS && !text.includes('\n');
  const question = h('div', { class: short ? 'question short' : 'question', dir: 'auto' }, ...parts(text));
  const lines = text.split('\n').length;
  if (lines <= FOLDED_LINES + 2 && text.length <= FOLDED_CHARACTERS) return question;
  return folded(question);
}

function parts(text: string): Node[] {
  const nodes: Node[] = [];
  let end = 0;
  const words = (until: number): void => {
    const between = text.slice(end, until).replace(/\n$/, '');
    if (between !== '') nodes.push(h('div', { dir: 'auto' }, between));
  };
  for (const found of text.matchAll(FENCED)) {
    words(found.index);
    nodes.push(codeBlock((found[3] ?? '').replace(/\n$/, ''), found[2] ?? ''));
    end = found.index + found[0].length;
  }
  if (end === 0) return [document.createTextNode(text)];
  words(text.length);
  return nodes;
}

/** The question with a button under it; the keyboard's way into what is hidden unfolds it. */
function folded(question: HTMLElement): HTMLElement {
  const turn = (open: boolean): void => {
    question.classList.toggle('is-folded', !open);
    fold.textContent = open ? S.showLess : S.showAll;
    fold.setAttribute('aria-expanded', String(open));
  };
  const fold = button(S.showAll, () => turn(question.classList.contains('is-folded')), {
    class: 'quiet fold',
  });
  question.addEventListener('focusin', () => turn(true));
  turn(false);
  return h('div', {}, question, fold);
}
