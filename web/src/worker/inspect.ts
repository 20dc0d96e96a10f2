// What a model makes of a text behind each of its layers: the residual is copied
// while the text is evaluated, then the model's own head reads it (the logit lens).
// It drives a session as generate.ts does, in chunks with turns of the event loop
// between them, so that an abort takes effect at once.

import { SlmError } from '../core/error';
import type { Model } from '../core/model';
import type { Sae, SaeFacts } from '../core/sae';
import type { Session } from '../core/session';
import { Site } from '../generated/abi';
import type { FeatureWish, Inspected, InspectRequest, LabelledFeature, RawTokenLogprob } from './protocol';
import { senseless } from './sanity';
import type { LoadedFiles } from './side_files';

/** The logits of all rows of a chunk are kept to this. */
const LOGIT_BYTES = 32 << 20;

export interface InspectContext {
  readonly model: Model;
  readonly session: Session;
  readonly saes: LoadedFiles<SaeFacts, Sae>;
  /** Rejects when the GPU does not compute what it should; null on the CPU. */
  readonly prove: (() => Promise<void>) | null;
  readonly tick: () => Promise<void>;
  readonly isAborted: () => boolean;
}

/** null when it was aborted on the way. A chunk of the text at a time, so that the rows of a chunk alone
 *  are there. */
export async function inspect(request: InspectRequest, context: InspectContext): Promise<Inspected | null> {
  const { session, model, saes, tick, isAborted } = context;
  const { ids, layers, features: wish } = request;
  if (ids.length > session.n_ctx)
    throw new SlmError(
      'context_full',
      `Expected at most ${session.n_ctx} tokens, found ${ids.length}; shorten the text, or load the model with a longer context.`,
      { details: { prompt_tokens: ids.length, n_ctx: session.n_ctx } },
    );
  const lens: RawTokenLogprob[][][] = layers.map(() => []);
  const features: LabelledFeature[][] | null = wish === null ? null : [];
  const taps = layers.map((layer): readonly [Site, number] => [Site.RESIDUAL, layer]);
  if (wish !== null) {
    const { site, layer } = saes.get(wish.sae).facts;
    taps.push([site, layer]);
  }
  session.reset();
  session.forget();
  session.tap(taps);
  try {
    for (let at = 0; at < ids.length; at += session.n_batch) {
      await tick();
      if (isAborted()) return null;
      const chunk = ids.subarray(at, at + session.n_batch);
      session.eval(chunk, 'nothing');
      await session.settle();
      // Copies, for they live until the next call on the session.
      const rows = taps.map((_, i) => session.tapped(i, chunk.length * session.tapWidth(i)).slice());
      for (const [i, of] of lens.entries()) {
        const read = await readOut(rows[i]!, chunk.length, request.top, context);
        if (read === null) return null;
        of.push(...read);
      }
      if (wish !== null) features!.push(...(await takenApart(rows.at(-1)!, chunk.length, wish, context)));
    }
  } finally {
    session.tap([]);
  }
  const tokens = Array.from(ids, (id) => Array.from(model.detokenize([id], { special: true })));
  return { tokens, lens, features };
}

/** The features of each row of the autoencoder's site, as many as a session takes at once. */
async function takenApart(
  rows: Float32Array,
  n: number,
  { sae, top, also }: FeatureWish,
  { session, saes }: InspectContext,
): Promise<LabelledFeature[][]> {
  session.encode(saes.get(sae).part, rows, n);
  await session.settle();
  // Asked for again: it may have been removed meanwhile.
  const { part } = saes.get(sae);
  return Array.from({ length: n }, (_, row) => {
    const strongest = session.features(row, top);
    const asked = also.map((feature) => ({ feature, activation: session.feature(row, feature) }));
    return [...strongest, ...asked].map((one) => ({ ...one, label: part.label(one.feature) }));
  });
}

/** The `top` most likely next tokens after each row of a residual. */
async function readOut(
  rows: Float32Array,
  n: number,
  top: number,
  { session, model, prove, tick, isAborted }: InspectContext,
): Promise<RawTokenLogprob[][] | null> {
  const width = rows.length / n;
  const most = Math.max(1, Math.min(session.n_batch, Math.floor(LOGIT_BYTES / (4 * session.n_vocab))));
  const read: RawTokenLogprob[][] = [];
  for (let at = 0; at < n; at += most) {
    await tick();
    if (isAborted()) return null;
    const some = Math.min(most, n - at);
    session.lens(rows.subarray(at * width, (at + some) * width), some);
    await session.settle();
    for (let row = 0; row < some; row++) {
      const found = session.top(row, top);
      if (!found.every(({ logprob }) => Number.isFinite(logprob)))
        senseless(prove, 'logits that are numbers');
      read.push(
        found.map((raw) => ({ ...raw, bytes: Array.from(model.detokenize([raw.id], { special: true })) })),
      );
    }
  }
  return read;
}
