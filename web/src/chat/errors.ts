// What to say when something fails, and what the person can do about it: one
// sentence and the remedies in order of promise. Our own errors already speak
// in sentences; anything else is named as unforeseen.

import { SlmError } from '../core/error';
import { count } from './format';
import { S } from './strings';

export type Remedy = 'drop' | 'retry' | 'newChat' | 'reload' | 'settings';

export interface Failure {
  readonly sentence: string;
  readonly remedies: readonly { readonly label: string; readonly action: Remedy }[];
}

const remedy = {
  drop: { label: S.dropOldest, action: 'drop' },
  retry: { label: S.tryAgain, action: 'retry' },
  newChat: { label: S.newChat, action: 'newChat' },
  reload: { label: S.reloadModel, action: 'reload' },
  settings: { label: S.longerContext, action: 'settings' },
} as const;

/** `canDrop`: there are older turns to leave out, and that was not tried yet. */
export function describeError(error: unknown, canDrop: boolean): Failure {
  if (!(error instanceof SlmError)) {
    const message = error instanceof Error ? error.message : String(error);
    return { sentence: S.unforeseen(message), remedies: [remedy.retry, remedy.reload] };
  }
  switch (error.code) {
    case 'context_full': {
      const { details } = error;
      const sentence =
        details === undefined || !('prompt_tokens' in details)
          ? error.message
          : S.contextFull(count(details.prompt_tokens), count(details.n_ctx));
      return { sentence, remedies: [remedy.settings, ...(canDrop ? [remedy.drop] : []), remedy.newChat] };
    }
    case 'crashed':
    case 'disposed':
    case 'out_of_memory':
      return { sentence: error.message, remedies: [remedy.reload] };
    default:
      return { sentence: error.message, remedies: [remedy.retry] };
  }
}
