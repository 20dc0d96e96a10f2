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

/** null when it was aborted on the way. */
export async function inspect(request: InspectRequest, context: InspectContext): Promise<Inspected | null> {
  const { session, model } = context;
  const { ids, layers, top } = request;
  if (ids.length > session.n_ctx)
    throw new SlmError(
      'context_full',
      `Expected at most ${session.n_ctx} tokens, found ${ids.length}; shorten the text, or load the model with a longer context.`,
      { details: { prompt_tokens: ids.length, n_ctx: session.n_ctx } },
    );
  const lookedAt = layers.map((layer) => [Site.RESIDUAL, layer] as const);
  const wish = request.features;
  const sae = wish === null ? null : context.saes.get(wish.sae);
  const site = sae === null ? [] : [[sae.facts.site, sae.facts.layer] as const];
  const all = await tapped(ids, [...lookedAt, ...site], context);
  if (all === null) return null;
  const rows = all.slice(0, layers.length);
  const lens: RawTokenLogprob[][][] = [];
  for (const row of rows) {
    const read = await readOut(row, ids.length, top, context);
    if (read === null) return null;
    lens.push(read);
  }
  const bytes = Array.from(ids, (id) => Array.from(model.detokenize([id], { special: true })));
  const features = sae === null ? null : await takenApart(all.at(-1)!, ids.length, sae.part, wish!, context);
  if (features === null && sae !== null) return null;
  return { tokens: bytes, lens, features };
}

/** Of each tap, the rows of all tokens one behind the other. */
async function tapped(
  ids: Int32Array,
  taps: readonly (readonly [Site, number])[],
  { session, tick, isAborted }: InspectContext,
): Promise<Float32Array[] | null> {
  session.reset();
  session.forget();
  session.tap(taps);
  try {
    const widths = taps.map((_, i) => session.tapWidth(i));
    const rows = widths.map((width) => new Float32Array(width * ids.length));
    for (let at = 0; at < ids.length; at += session.n_batch) {
      await tick();
      if (isAborted()) return null;
      const chunk = ids.subarray(at, at + session.n_batch);
      session.eval(chunk, 'nothing');
      await session.settle();
      for (const [i, all] of rows.entries())
        all.set(session.tapped(i, chunk.length * widths[i]!), at * widths[i]!);
    }
    return rows;
  } finally {
    session.tap([]);
  }
}

/** The features of each row of the autoencoder's site. */
async function takenApart(
  rows: Float32Array,
  n: number,
  sae: Sae,
  { top, also }: FeatureWish,
  { session, tick, isAborted }: InspectContext,
): Promise<LabelledFeature[][] | null> {
  const width = rows.length / n;
  const found: LabelledFeature[][] = [];
  for (let at = 0; at < n; at += session.n_batch) {
    await tick();
    if (isAborted()) return null;
    const some = Math.min(session.n_batch, n - at);
    session.encode(sae, rows.subarray(at * width, (at + some) * width), some);
    await session.settle();
    for (let row = 0; row < some; row++) {
      const strongest = session.features(row, top);
      const asked = also.map((feature) => ({ feature, activation: session.feature(row, feature) }));
      found.push([...strongest, ...asked].map((one) => ({ ...one, label: sae.label(one.feature) })));
    }
  }
  return found;
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
