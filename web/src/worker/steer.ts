// Work that is steered: what a request adds to the residual is there while it runs, and
// gone afterwards, however it ends.

import type { Sae, SaeFacts } from '../core/sae';
import type { Session } from '../core/session';
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
        const { part, facts, file } = saes.get(one.sae);
        const start = facts.decoder.offset + one.feature * facts.decoder.row;
        const row = await file.slice(start, start + facts.decoder.row).arrayBuffer();
        session.steer(facts.layer, part.direction(new Uint8Array(row), facts.width), one.strength);
      } else session.steer(one.layer, one.direction, one.strength);
    }
    return await work();
  } finally {
    session.steer(0, null, 0);
  }
}
