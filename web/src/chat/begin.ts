// What a page that has just come does about a model, unasked: opens one, offers
// to go on with a download that the person has stopped, or asks before it takes
// much of a line that may cost money. It decides; it opens nothing.

import type { ModelEntry } from '../seal/protocol';

/** More than this is fetched only when somebody has said so. */
const LARGE_BYTES = 150e6;

export type AskReason = 'large' | 'metered' | 'saveData';

export interface Line {
  /** A mobile network, or shared from one. */
  readonly metered: boolean;
  /** The person has asked the browser to save data. */
  readonly saveData: boolean;
}

export type Beginning =
  | { readonly kind: 'open'; readonly entry: ModelEntry }
  | { readonly kind: 'halted'; readonly entry: ModelEntry }
  | { readonly kind: 'ask'; readonly entry: ModelEntry; readonly reason: AskReason };

/** Null: the person has to choose one. */
export function beginning(
  models: readonly ModelEntry[],
  line: Line,
  guard: ModelEntry | null = null,
): Beginning | null {
  const open = (entry: ModelEntry): Beginning => {
    const reason = reasonToAsk([entry, guard], line);
    return reason === null ? { kind: 'open', entry } : { kind: 'ask', entry, reason };
  };
  const stored = models.find((entry) => entry.stored);
  if (stored !== undefined) return open(stored);
  // Of one that was stopped before it began, or removed, nothing is here: it is one among several again.
  const begun = models.filter((entry) => entry.arrived > 0);
  const [entry, another] = begun.length > 0 ? begun : models;
  if (entry === undefined || another !== undefined) return null;
  if (entry.halted) return { kind: 'halted', entry };
  return open(entry);
}

/** Bytes that are not on this device yet. */
export const missingOf = (entry: ModelEntry | null): number =>
  entry === null || entry.stored ? 0 : entry.size - entry.arrived;

/** Of a model and what screens it, which comes along. */
function reasonToAsk(entries: readonly (ModelEntry | null)[], { metered, saveData }: Line): AskReason | null {
  const coming = entries.filter((entry) => entry !== null && !entry.stored) as ModelEntry[];
  if (coming.length === 0) return null;
  if (saveData) return 'saveData';
  if (metered) return 'metered';
  // What is half here was wanted.
  const unasked = coming.filter(({ arrived }) => arrived === 0);
  return unasked.reduce((sum, { size }) => sum + size, 0) > LARGE_BYTES ? 'large' : null;
}

/** The line as far as the browser tells. */
export function thisLine(): Line {
  const { connection } = navigator as Navigator & {
    connection?: { readonly saveData?: boolean; readonly type?: string };
  };
  const { saveData, type = '' } = connection ?? {};
  return { metered: ['cellular', 'bluetooth', 'wimax'].includes(type), saveData: saveData === true };
}
