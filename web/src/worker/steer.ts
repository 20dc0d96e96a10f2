// Work that is steered: what a request adds to the residual is there while it runs, and
// gone afterwards, however it ends.

import type { Sae, SaeFacts } from '../core/sae';
import type { Session } from '../core/session';
import { readLater } from './load';
import type { RawSteer } from './protocol';
import type { LoadedFiles } from './side_files';

export async function steered<T>(
  steer: readonly RawSteer[],
  session: Session,
  saes: LoadedFiles<SaeFacts, Sae>,
  work: () => Promise<T>,
): Promise<T> {
  if (steer.length === 0) return work();
  try {
    for (const one of steer) {
      if ('sae' in one) {
        const { facts, file } = saes.get(one.sae);
        const start = facts.decoder.offset + one.feature * facts.decoder.row;
        const row = await readLater(file, start, start + facts.decoder.row);
        // Asked for again: it may have been removed meanwhile.
        const { part } = saes.get(one.sae);
        session.steer(facts.layer, part.direction(row, facts.width), one.strength);
      } else session.steer(one.layer, one.direction, one.strength);
    }
    return await work();
  } finally {
    session.steer(0, null, 0);
  }
}
