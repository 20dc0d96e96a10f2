// A conversation as a file. Markdown holds the turns shown and is for reading;
// JSON holds every version and comes back whole. Both are read with distrust: a
// file may come from anywhere, so each limit has a name and a refusal one sentence.

import { fromBase64 } from '../core/base64';
import { Conversation, type Turn, wordsIn } from './conversation';
import { bytes, count } from './format';
import { S } from './strings';

/** Far more than anybody writes in a tab, with some dozen pictures, and little enough to draw. */
const MAX_TURNS = 10_000;
export const MAX_BYTES = 150_000_000;
const MAX_PICTURES = 8;
/** Arguments of one call. */
const SLICE = 8192;
const MAX_NAME = 200;
const FORMAT = 'slmweb-conversation';

interface SavedTurn {
  readonly role: Turn['role'];
  readonly who: string;
  readonly text: string;
  /** data: URLs; absent: none. */
  readonly pictures?: readonly string[];
  /** Place of the turn above it in the list; null: it begins the conversation. */
  readonly parent: number | null;
  /** It is the version shown. */
  readonly chosen: boolean;
  /** Why it is not whole, if so. */
  readonly cut: 'limit' | 'context' | 'stopped' | 'failed' | null;
}

const SPEAKER = /^(\\*)\*\*(.+):\*\*$/;

/** The turns shown, as Markdown; of their pictures only that they were there. */
export function toMarkdown(conversation: Conversation): string {
  return conversation
    .path()
    .filter((turn) => wordsIn(turn) !== '')
    .map((turn) => `**${turn.who}:**\n\n${escapeSpeakers(wordsIn(turn).trim())}\n`)
    .join('\n');
}

/** Every version of every turn and its pictures, as JSON. Throws an Error whose message is a sentence where
 *  it would not be read again, or a picture's file is there no more. */
export async function toJson(conversation: Conversation): Promise<string> {
  const turns: SavedTurn[] = [];
  const tooLong = () => new Error(S.saveTooLong(bytes(MAX_BYTES), count(MAX_TURNS)));
  let least = 0;
  const walk: { turn: Turn; parent: number | null; chosen: boolean }[] = conversation.roots
    .map((turn, i) => ({ turn, parent: null, chosen: i === conversation.chosenRoot }))
    .reverse();
  for (let next = walk.pop(); next !== undefined; next = walk.pop()) {
    const { turn, parent, chosen } = next;
    const place = turns.length;
    // Counted before any is read: base64 has four characters for three bytes.
    least += turn.text.length + turn.pictures.reduce((sum, { size }) => sum + (size * 4) / 3, 0);
    if (least > MAX_BYTES || place >= MAX_TURNS) throw tooLong();
    const pictures = await Promise.all(turn.pictures.map(dataUrl));
    turns.push({
      role: turn.role,
      who: turn.who,
      text: turn.text,
      ...(pictures.length === 0 ? {} : { pictures }),
      parent,
      chosen,
      cut: cutOf(turn),
    });
    for (let i = turn.children.length - 1; i >= 0; i--)
      walk.push({ turn: turn.children[i]!, parent: place, chosen: i === turn.chosen });
  }
  const text = `${JSON.stringify({ format: FORMAT, version: 1, turns }, null, 1)}\n`;
  // Other scripts take up to three bytes a character.
  if (new Blob([text]).size > MAX_BYTES) throw tooLong();
  return text;
}

/** Reads either form. Throws an Error whose message is a sentence for people. */
export function fromFile(text: string): Conversation {
  if (text.length > MAX_BYTES) throw new Error(S.fileTooLong(count(MAX_BYTES)));
  return text.trimStart().startsWith('{') ? fromJson(text) : fromMarkdown(text);
}

/** True for a text that toJson wrote, or that says so. */
export function isSaved(text: string): boolean {
  return text.trimStart().startsWith('{') && text.slice(0, 200).includes(`"${FORMAT}"`);
}

function fromJson(text: string): Conversation {
  let saved: unknown;
  try {
    saved = JSON.parse(text);
  } catch {
    return refuse();
  }
  const { format, version, turns } = saved as Record<string, unknown>;
  if (format !== FORMAT || version !== 1 || !Array.isArray(turns)) return refuse();
  if (turns.length === 0 || turns.length > MAX_TURNS) return refuse();
  const conversation = new Conversation();
  const made: Turn[] = [];
  const shown: Turn[] = [];
  for (const one of turns as unknown[]) {
    const { role, who, text: words, pictures = [], parent, chosen, cut } = checkTurn(one, made.length);
    const above = parent === null ? null : made[parent]!;
    // Questions stand at the start and below answers, answers below questions.
    if (role === (above?.role ?? 'assistant')) return refuse();
    const turn = conversation.add(above, role, who, words, pictures.map(blobOf));
    mend(turn, cut);
    made.push(turn);
    if (chosen) shown.push(turn);
  }
  for (const turn of shown) conversation.choose(turn);
  return conversation;
}

function checkTurn(value: unknown, place: number): SavedTurn {
  if (typeof value !== 'object' || value === null) return refuse();
  const { role, who, text, pictures = [], parent, chosen, cut } = value as Record<string, unknown>;
  const good =
    (role === 'user' || role === 'assistant') &&
    typeof who === 'string' &&
    who.length <= MAX_NAME &&
    typeof text === 'string' &&
    arePictures(pictures, role) &&
    (parent === null ||
      (Number.isInteger(parent) && (parent as number) >= 0 && (parent as number) < place)) &&
    typeof chosen === 'boolean' &&
    [null, 'limit', 'context', 'stopped', 'failed'].includes(cut as null);
  return good ? (value as SavedTurn) : refuse();
}

const TYPE = /^image\/[a-z0-9.+-]{1,40}$/;
const PICTURE = /^data:(image\/[a-z0-9.+-]{1,40});base64,([A-Za-z0-9+/]*={0,2})$/;

function arePictures(value: unknown, role: Turn['role']): boolean {
  return (
    Array.isArray(value) &&
    value.length <= (role === 'user' ? MAX_PICTURES : 0) &&
    value.every((one) => typeof one === 'string' && PICTURE.test(one))
  );
}

function blobOf(url: string): Blob {
  const [, type = '', base64 = ''] = PICTURE.exec(url)!;
  try {
    return new Blob([fromBase64(base64)], { type });
  } catch {
    return refuse();
  }
}

/** As a file that holds it has it. */
async function dataUrl(picture: Blob): Promise<string> {
  let read: Uint8Array;
  try {
    read = new Uint8Array(await picture.arrayBuffer());
  } catch {
    throw new Error(S.savePictureGone); // a file of the device that was moved or changed meanwhile
  }
  let text = '';
  for (let at = 0; at < read.length; at += SLICE)
    text += String.fromCharCode(...read.subarray(at, at + SLICE));
  // A file without a known ending has no type; the bytes say what it is.
  const type = TYPE.test(picture.type) ? picture.type : 'image/png';
  return `data:${type};base64,${btoa(text)}`;
}

function fromMarkdown(text: string): Conversation {
  const turns: { readonly who: string; readonly lines: string[] }[] = [];
  for (const line of text.replace(/\r\n?/g, '\n').split('\n')) {
    const speaker = SPEAKER.exec(line);
    if (speaker !== null && speaker[1] === '') turns.push({ who: speaker[2]!, lines: [] });
    else if (turns.length > 0) turns.at(-1)!.lines.push(speaker === null ? line : line.slice(1));
    else if (line.trim() !== '') return refuse();
  }
  const [first] = turns;
  if (first === undefined || turns.length > MAX_TURNS) return refuse();
  const conversation = new Conversation();
  for (const { who, lines } of turns) {
    const above = conversation.tip();
    // Who speaks first is the person: a conversation begins with a question.
    const role = who === first.who ? 'user' : 'assistant';
    if (role === (above?.role ?? 'assistant') || who.length > MAX_NAME) return refuse();
    mend(conversation.add(above, role, who, lines.join('\n').trim()), null);
  }
  return conversation;
}

function mend(turn: Turn, cut: SavedTurn['cut']): void {
  turn.state = cut === 'stopped' || cut === 'failed' ? 'stopped' : 'done';
  if (cut === 'limit' || cut === 'context') turn.note = cut;
}

function cutOf({ role, state, note }: Turn): SavedTurn['cut'] {
  if (role === 'user' || state === 'done') return note;
  return state === 'failed' ? 'failed' : 'stopped';
}

/** A line of a text that looks like a speaker's is told apart by a backslash more. */
function escapeSpeakers(text: string): string {
  return text
    .split('\n')
    .map((line) => (SPEAKER.test(line) ? `\\${line}` : line))
    .join('\n');
}

function refuse(): never {
  throw new Error(S.fileNoConversation);
}
