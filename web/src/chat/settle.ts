// Makes a Markdown text that is still being written safe to show: holds back
// marks whose meaning the next characters decide, and closes what is open, so
// that nothing on the screen changes shape a moment later. Pure text to text;
// a finished answer never passes through here.

import { endOfMath, maskMath, openMath } from './math';

const OPENING_FENCE = /^ {0,3}(`{3,}|~{3,})/;
/** A last line that may become a list, a rule, a heading, a quote, a fence or a table's ruler. */
const ONLY_MARKS = /^\s*(?:[-=*_+#>`~:|\s]+|\d{1,3}[.)]?\s*|[-*+] \[[ xX]?\]?\s*)$/;

export function settle(text: string): string {
  const lineStart = text.lastIndexOf('\n') + 1;
  const lastLine = text.slice(lineStart);
  if (insideFence(text)) return /^\s*[`~]+$/.test(lastLine) ? text.slice(0, lineStart) : text;
  const settled = ONLY_MARKS.test(lastLine) ? text.slice(0, lineStart) : text;

  const paragraphStart = startOfLastParagraph(settled);
  const paragraph = settled.slice(paragraphStart);
  const before = settled.slice(0, paragraphStart);
  // A table is one only once its second line, the ruler, is whole.
  if (/^\s*\|/.test(paragraph) && paragraph.split('\n').length < 3) return before;
  return before + closeInline(paragraph);
}

function insideFence(text: string): boolean {
  let fence: string | null = null;
  for (const line of text.split('\n')) {
    const mark = OPENING_FENCE.exec(line)?.[1];
    if (fence === null) fence = mark ?? null;
    else if (mark?.startsWith(fence) && line.trim() === mark) fence = null;
  }
  return fence !== null;
}

function startOfLastParagraph(text: string): number {
  const blank = text.lastIndexOf('\n\n');
  return blank === -1 ? 0 : blank + 2;
}

/** Closes code spans, emphasis and tags left open; shows a half-written link as its text,
 *  and nothing yet of a formula, a footnote's mark or a tag. */
function closeInline(paragraph: string): string {
  const formula = openMath(paragraph);
  const shown = formula === -1 ? paragraph : paragraph.slice(0, formula);
  const whole = endOfMath(shown);
  let text =
    shown.slice(0, whole) +
    shown
      .slice(whole)
      .replace(/\[\^[^\]\n]*\]?$|<\/?[a-z]*$/i, '')
      .replace(/!?\[([^\]\n]*)(?:\](?:\([^)\n]*)?)?$/, '$1')
      .replace(/(?:[*_~]+|`+)$/, '');
  const outsideCode = maskMath(text.replace(/`[^`]*`/g, ''));
  if (outsideCode.includes('`')) return `${text}\``;
  const strong = outsideCode.split('**').length - 1;
  const single = outsideCode.replace(/\*\*/g, '').match(/(?<=^|[^\s*\\])\*|\*(?=\S)/g)?.length ?? 0;
  if (strong % 2 === 1 || single % 2 === 1) text = text.trimEnd();
  if (single % 2 === 1) text += '*';
  if (strong % 2 === 1) text += '**';
  const tag = /<(sub|sup|summary)>(?![\s\S]*<\/\1>)/i.exec(outsideCode)?.[1];
  return tag === undefined ? text : `${text}</${tag}>`;
}
