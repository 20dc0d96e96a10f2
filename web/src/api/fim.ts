// A text to be filled in the middle, as the tokens that a model was taught: what is
// before the place and behind it, in the order that is asked for, after the other
// files. py/slmweb/core/fim.py is the same for the command line, and both are held
// to tests/goldens/fim_cases.json. Texts are a stranger's: they are encoded without
// control tokens, so nothing in them can end a part or open one.

import { SlmError } from '../core/error';
import type { FimTokens } from '../core/model';
import { invalid } from './params';
import type { CompletionParams, FimFile, FimForm, FimParams } from './types';

/** The ids of a text; what looks like a control token in it is text. */
export type Encode = (text: string) => Promise<ArrayLike<number>>;

export interface Infill {
  readonly prefix: string;
  readonly suffix: string;
  readonly form: FimForm;
  /** The nearest last. */
  readonly files: readonly FimFile[];
  /** Of the file that is filled in; only with a separator. */
  readonly path: string | null;
  readonly repo: string | null;
}

export interface FittedPrompt {
  readonly ids: Int32Array;
  /** Tokens that were left out, so that the others fit. */
  readonly dropped: number;
}

/** At most `room` tokens, if that is more than the markers take. What is furthest from the place goes first:
 *  whole files, then the beginning of the prefix and the end of the suffix, three of the one to one of the
 *  other. */
export async function infillPrompt(
  encode: Encode,
  tokens: FimTokens,
  bos: number | null,
  { prefix, suffix, form, files, path, repo }: Infill,
  room: number,
): Promise<FittedPrompt> {
  const head = bos === null ? [] : [bos];
  if (repo !== null && tokens.repo !== null) head.push(tokens.repo, ...Array.from(await encode(`${repo}\n`)));
  const opened = async (name: string, text: string) =>
    tokens.separator === null ? [] : [tokens.separator, ...Array.from(await encode(`${name}\n${text}`))];
  const others: number[][] = [];
  for (const file of files) others.push(await opened(file.path, endedLine(file.text)));
  const own = path === null ? [] : await opened(path, '');
  const before = Array.from(await encode(prefix));
  const behind = Array.from(await encode(suffix));

  const left = Math.max(0, room - head.length - own.length - 3);
  const kept = behind.slice(0, Math.max(Math.floor(left / 4), left - before.length));
  const near = cutBeginning(before, left - kept.length);
  let rest = left - near.length - kept.length;
  let first = others.length;
  while (first > 0 && others[first - 1]!.length <= rest) rest -= others[--first]!.length;

  const middle =
    form === 'psm'
      ? [tokens.prefix, ...near, tokens.suffix, ...kept, tokens.middle]
      : [tokens.prefix, tokens.suffix, ...kept, tokens.middle, ...near];
  const all = [before, behind, ...others].reduce((n, part) => n + part.length, 0);
  const taken = [near, kept, ...others.slice(first)].reduce((n, part) => n + part.length, 0);
  return {
    ids: Int32Array.from([...head, ...others.slice(first).flat(), ...own, ...middle]),
    dropped: all - taken,
  };
}

/** The end of `ids`. It is cut in steps of a quarter, so that the next requests, a few letters later, begin
 *  at the same token and find it in the cache. */
export function cutBeginning(ids: readonly number[], room: number): readonly number[] {
  if (ids.length <= room) return ids;
  const step = Math.max(1, Math.floor(room / 4));
  return ids.slice(Math.ceil((ids.length - room) / step) * step);
}

/** A prompt that is continued at its end, without its beginning but with the first `head` tokens, if it is too
 *  long. */
export function trimmed(ids: Int32Array, head: number, room: number): FittedPrompt {
  const kept = cutBeginning(Array.from(ids.subarray(head)), Math.max(0, room - head));
  return {
    ids: Int32Array.from([...ids.subarray(0, head), ...kept]),
    dropped: ids.length - head - kept.length,
  };
}

function endedLine(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

/** What a request wants filled in, checked; null: nothing, its text goes on at its end. Throws SlmError with
 *  one sentence: "unsupported" where the model has no tokens for it. */
export function infillOf(params: CompletionParams, tokens: FimTokens | null, model: string): Infill | null {
  const infill = wantedInfill(params);
  if (infill === null) return null;
  const { path, repo } = infill;
  if (tokens === null) lacks('tokens to fill in text with', model);
  if (path !== null && tokens.separator === null) lacks('a token between files', model);
  if (repo !== null && tokens.repo === null) lacks('a token before the name of a repository', model);
  return infill;
}

/** The same of any model. */
export function wantedInfill({ prompt, suffix = '', fim }: CompletionParams): Infill | null {
  if (typeof suffix !== 'string') invalid('suffix to be text', suffix);
  if (suffix === '' && fim === undefined) return null;
  if (fim !== undefined && (typeof fim !== 'object' || Array.isArray(fim)))
    invalid("fim to be an object such as {form: 'psm'}", fim);
  const { form = 'psm', files = [], path = null, repo = null, ...others } = given(fim ?? {});
  for (const name of Object.keys(others)) invalid('fim with form, files, path and repo only', name);
  if (form !== 'psm' && form !== 'spm') invalid("fim.form to be 'psm' or 'spm'", form);
  if (!Array.isArray(files) || !files.every(isFile))
    invalid("fim.files to be a list such as [{path: 'a.py', text: '…'}]", files);
  if (path !== null) oneLine('fim.path', path);
  if (repo !== null) oneLine('fim.repo', repo);
  for (const file of files) oneLine('the path of each of fim.files', file.path);
  if (files.length > 0 && path === null) invalid('fim.path beside fim.files', 'none');
  return { prefix: prompt, suffix, form, files, path, repo };
}

function given(fim: FimParams): FimParams {
  return Object.fromEntries(Object.entries(fim).filter(([, value]) => value !== null && value !== undefined));
}

function isFile(file: unknown): file is FimFile {
  const { path, text } = (file ?? {}) as Partial<FimFile>;
  return typeof path === 'string' && typeof text === 'string';
}

/** A line break would end the name early. */
function oneLine(what: string, name: unknown): void {
  if (typeof name !== 'string' || !/^[^\r\n]+$/.test(name)) invalid(`${what} to be one line of text`, name);
}

function lacks(what: string, model: string): never {
  throw new SlmError(
    'unsupported',
    `Expected a model with ${what}, found ${model}, which has none; leave it out, or load a model that fills in code.`,
  );
}
