// Files that are dropped on the page or pasted into the question: their text goes
// into the field, fenced and under its name. What is no text, or more of it than
// any context here holds, is refused by name. Nothing is sent: one can still read
// and shorten what came.

import { bytes } from './format';
import { S } from './strings';

/** About 64,000 tokens of English, twice the longest context on offer. */
const MAX_BYTES = 256_000;

/** The files' texts as one text for the question. Throws an Error whose message is a sentence. */
export async function readFiles(files: readonly File[]): Promise<string> {
  const parts: string[] = [];
  for (const file of files) parts.push(fenced(file.name, await readTextFile(file, MAX_BYTES)));
  return parts.join('\n\n');
}

/** The text of one file. Throws an Error whose message is a sentence. */
export async function readTextFile(file: File, limit: number): Promise<string> {
  if (file.size > limit) throw new Error(S.fileTooLarge(file.name, bytes(file.size), bytes(limit)));
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Error(S.fileNoText(file.name));
  }
  if (text.includes('\0')) throw new Error(S.fileNoText(file.name));
  return text;
}

function fenced(name: string, text: string): string {
  const longest = Math.max(2, ...[...text.matchAll(/^`{3,}/gm)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  const kind = /\.([a-z0-9]{1,8})$/i.exec(name)?.[1]?.toLowerCase() ?? '';
  return `${name}:\n\n${fence}${kind}\n${text.trimEnd()}\n${fence}`;
}
