// The conversation as a tree of turns. Retrying an answer or editing a question
// adds a sibling, so nothing written is lost and one can page between versions;
// the path of chosen children is what is shown and sent. It knows no DOM, no
// model, no storage and no file formats: history lives in memory, the frame has
// nowhere else.

import type { BackendNotice } from '../api/backend';
import type { ChatMessage, GuardReport, Timings } from '../api/types';
import { S } from './strings';

export type TurnState =
  | 'waiting' // for the model to open, or for the first token
  | 'reading' // prefill
  | 'writing'
  | 'done'
  | 'stopped' // by the person
  | 'failed';

export interface Turn {
  readonly id: number;
  readonly role: 'user' | 'assistant';
  /** Who speaks: the person, or the model that was open at the time. */
  readonly who: string;
  readonly parent: Turn | null;
  readonly children: Turn[];
  /** Which child is on the path. */
  chosen: number;
  text: string;
  /** Of a question. */
  readonly pictures: readonly Blob[];
  state: TurnState;
  prefill: { readonly done: number; readonly total: number } | null;
  /** Of the request that wrote its last part. */
  timings: Timings | null;
  /** Of the requests that wrote what it goes on from. */
  before: Timings | null;
  /** Tokens of the context that the path takes up to here; null until it is known. */
  used: number | null;
  /** Why an answer ended early, when that needs saying. */
  note: 'limit' | 'context' | null;
  /** Why the guard let nothing of it be seen; null: it did. */
  refusal: GuardReport | null;
  error: unknown;
  /** What became of the graphics chip while it was written, the latest; and whether it waits for that. */
  trouble: BackendNotice | null;
  paused: boolean;
  /** Messages of the path, counted from its start, that the model did not see. */
  dropped: number;
  /** It was asked with leave to drop the oldest turns. */
  dropOldest: boolean;
}

const TITLE_CHARACTERS = 80;

/** What several requests took that wrote one answer, of which only the first read a new prompt. */
export function together(before: Timings | null, timings: Timings | null): Timings | null {
  if (before === null || timings === null) return timings ?? before;
  const decode_tokens = before.decode_tokens + timings.decode_tokens;
  const decode_ms = before.decode_ms + timings.decode_ms;
  const decode_tokens_per_second = decode_ms > 0 ? (decode_tokens * 1000) / decode_ms : 0;
  return { ...before, decode_tokens, decode_ms, decode_tokens_per_second };
}

/** A turn in words: a question may be a picture alone. */
export function wordsIn({ text, pictures }: Pick<Turn, 'text' | 'pictures'>): string {
  return text.trim() === '' && pictures.length > 0 ? S.pictures(pictures.length) : text;
}

/** The picture that an answer speaks of: the first of the latest question that has some. */
export function pictureAbove(answer: Turn): Blob | null {
  for (let turn = answer.parent; turn !== null; turn = turn.parent) {
    const [first] = turn.pictures;
    if (first !== undefined) return first;
  }
  return null;
}

/** Pictures come before what is asked about them, as models have learned it. */
function contentOf(text: string, pictures: readonly Blob[]): ChatMessage['content'] {
  if (pictures.length === 0) return text;
  const seen = pictures.map((blob) => ({ type: 'image_url', image_url: { blob } }) as const);
  return text === '' ? seen : [...seen, { type: 'text', text }];
}

function joined(one: ChatMessage['content'], other: ChatMessage['content']): ChatMessage['content'] {
  if (typeof one === 'string' && typeof other === 'string') return `${one}\n\n${other}`;
  const parts = (content: ChatMessage['content']) =>
    typeof content === 'string' ? [{ type: 'text', text: content } as const] : content;
  return [...parts(one), ...parts(other)];
}

export class Conversation {
  readonly roots: Turn[] = [];
  chosenRoot = 0;
  private nextId = 1;

  get empty(): boolean {
    return this.roots.length === 0;
  }

  /** What a list calls it: how it begins. */
  get title(): string {
    const [first] = this.path();
    return (first === undefined ? '' : wordsIn(first)).trim().replace(/\s+/g, ' ').slice(0, TITLE_CHARACTERS);
  }

  /** The turns shown, first to last. */
  path(): Turn[] {
    const path: Turn[] = [];
    let turn = this.roots[this.chosenRoot];
    while (turn !== undefined) {
      path.push(turn);
      turn = turn.children[turn.chosen];
    }
    return path;
  }

  /** The last turn shown. */
  tip(): Turn | null {
    return this.path().at(-1) ?? null;
  }

  /** Adds a turn below `parent` (null: at the start) and puts it on the path. */
  add(parent: Turn | null, role: Turn['role'], who: string, text = '', pictures: readonly Blob[] = []): Turn {
    const turn: Turn = {
      id: this.nextId++,
      role,
      who,
      parent,
      children: [],
      chosen: 0,
      text,
      pictures,
      state: role === 'user' ? 'done' : 'waiting',
      prefill: null,
      timings: null,
      before: null,
      used: null,
      note: null,
      refusal: null,
      error: null,
      trouble: null,
      paused: false,
      dropped: 0,
      dropOldest: false,
    };
    const siblings = this.siblings(turn);
    siblings.push(turn);
    this.choose(turn);
    return turn;
  }

  /** The versions of a turn, itself included, oldest first. */
  siblings(turn: Turn): Turn[] {
    return turn.parent === null ? this.roots : turn.parent.children;
  }

  /** Forgets a turn and what follows it. */
  remove(turn: Turn): void {
    const siblings = this.siblings(turn);
    siblings.splice(siblings.indexOf(turn), 1);
    const last = siblings.at(-1);
    if (last !== undefined) this.choose(last);
  }

  choose(turn: Turn): void {
    const index = this.siblings(turn).indexOf(turn);
    if (turn.parent === null) this.chosenRoot = index;
    else turn.parent.chosen = index;
  }

  /** What to send for an answer below `last`. Roles alternate, as most chat
   *  templates demand: an answer without a word is left out, and the questions
   *  on both sides of it become one. What the guard has refused is not asked again,
   *  nor shown to the model as far as it came. A model that does not see is told
   *  that there was a picture where a question was nothing else. */
  messages(systemPrompt: string, last: Turn, sees: boolean): ChatMessage[] {
    const turns: Turn[] = [];
    for (let turn: Turn | null = last; turn !== null; turn = turn.parent) turns.unshift(turn);
    const messages: ChatMessage[] = [];
    for (const [i, turn] of turns.entries()) {
      const { role, refusal } = turn;
      const content = sees ? contentOf(turn.text, turn.pictures) : wordsIn(turn);
      if (content === '' || refusal !== null || turns[i + 1]?.refusal) continue;
      const previous = messages.at(-1);
      if (previous?.role === role) {
        messages[messages.length - 1] = { role, content: joined(previous.content, content) };
      } else {
        messages.push({ role, content });
      }
    }
    const system = systemPrompt.trim();
    return system === '' ? messages : [{ role: 'system', content: system }, ...messages];
  }
}
