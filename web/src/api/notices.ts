// What the engine and the store have to say that is no error, as codes with their
// figures. The types of web/src/api/types.ts name them; like those they are public.

import type { Variant } from './types';

/** Why the context is shorter than it was to be: `wanted` tokens would need more bytes than there are,
 *  by what the browser gives a page, or by an estimate from the memory (in GiB) that the device reports. */
export type ContextNotice =
  | ({ readonly code: 'context_by_browser' } & ContextFigures)
  | ({ readonly code: 'context_by_device'; readonly device_memory: number } & ContextFigures);

export interface ContextFigures {
  readonly n_ctx: number;
  readonly wanted: number;
  readonly needed: number;
  readonly available: number;
}

/** Why the model is not kept on this device. */
export type StorageNotice =
  | { readonly code: 'keeps_no_files' } // a private window, say
  | { readonly code: 'not_stored'; readonly error: string } // the name of a DOMException
  | {
      readonly code: 'storage_full';
      /** Bytes of the model; null until it has arrived. */
      readonly size: number | null;
      /** As the browser reports them; null where it reports room that it does not give. */
      readonly usage: number | null;
      readonly quota: number | null;
    };

/** Why this variant of the core runs, and on so many threads. */
export type VariantNotice =
  | { readonly code: 'relaxed_simd' }
  | { readonly code: 'plain_simd' } // this browser lacks relaxed SIMD: slower
  | { readonly code: 'variant_asked'; readonly variant: Variant }
  | { readonly code: 'one_thread' } // as wished, or for want of processors
  | { readonly code: 'threads'; readonly threads: number; readonly cores: number }
  | { readonly code: 'no_threads' } // this browser has none
  | { readonly code: 'not_isolated' } // this page may have none
  | { readonly code: 'few_addresses'; readonly bytes: number };

/** All that is worth saying and is no error. */
export type Notice = ContextNotice | StorageNotice | VariantNotice;
