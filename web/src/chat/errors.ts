// What to say when something fails, and what the person can do about it: one
// sentence for a visitor and the remedies in order of promise. The errors
// themselves speak to who runs the site or wrote the page; their words are kept
// as `exact`.

import { isPassing, SlmError } from '../core/error';
import { apart, count } from './format';
import { S } from './strings';

/** `lengthen`: a longer context, where the model has one. */
export type Remedy = 'drop' | 'retry' | 'newChat' | 'reload' | 'lengthen';

export interface Failure {
  readonly sentence: string;
  /** The error's own words. */
  readonly exact: string | null;
  readonly remedies: readonly Remedy[];
}

/** `canDrop`: there are older turns to leave out, and that was not tried yet. */
export function describeError(error: unknown, canDrop: boolean): Failure {
  if (!(error instanceof SlmError)) {
    const exact = error instanceof Error ? error.message : String(error);
    return { sentence: S.unforeseen, exact, remedies: ['retry', 'reload'] };
  }
  const said = { sentence: sentenceOf(error), exact: error.message };
  switch (error.code) {
    case 'context_full':
      return { ...said, remedies: ['lengthen', ...(canDrop ? (['drop'] as const) : []), 'newChat'] };
    case 'crashed':
    case 'disposed':
    case 'out_of_memory':
      return { ...said, remedies: ['reload'] };
    default:
      return { ...said, remedies: ['retry'] };
  }
}

/** The server was away: what failed may well succeed later on, with nobody doing anything. */
export function isAway(error: unknown): boolean {
  if (!(error instanceof SlmError) || error.code !== 'network') return false;
  const { details } = error;
  return details === undefined || !('http_status' in details) || isPassing(details.http_status);
}

/** The code of an error of ours; null for anything unforeseen. */
export function codeOf(error: unknown): SlmError['code'] | null {
  return error instanceof SlmError ? error.code : null;
}

function sentenceOf(error: SlmError): string {
  const { code, details } = error;
  if (details !== undefined && 'prompt_tokens' in details)
    return S.contextFull(count(details.prompt_tokens), count(details.n_ctx));
  if (details !== undefined && 'estimate' in details) {
    // Who chose the processor has no use for advice about the graphics chip.
    if (details.cpu_chosen && !details.estimate) return S.failures.too_large;
    const say = details.estimate ? S.tooLargeEstimate : S.tooLarge;
    return say(...apart(details.needed, details.available));
  }
  return code === 'network' && !isAway(error) ? S.incompleteSite : S.failures[code];
}
