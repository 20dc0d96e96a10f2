// Messages between a page and the store worker; types only. One worker serves
// one download and is then terminated, so messages carry no ids.

import type { StorageNotice } from '../api/notices';
import type { LoadProgress } from '../api/types';
import type { WireError } from '../core/error';
import type { Wish } from './device';
import type { SourceManifest } from './remote';

export interface DownloadRequest {
  readonly type: 'download';
  readonly source: SourceManifest;
  /** Folder of the chunks, ending in a slash. */
  readonly baseUrl: string;
  readonly storage: 'opfs' | 'memory';
  /** Where it cannot be stored, hand over the bytes instead. */
  readonly orMemory: boolean;
  /** From now on this version opens. */
  readonly turn: boolean;
  /** Trust no stored byte: hash everything again and fetch what is damaged. */
  readonly verify: boolean;
  readonly retryMs: number;
}

/** Makes a model of a plain GGUF file, or of the files of a split set, in order. */
export interface PackRequest {
  readonly type: 'pack';
  readonly sources: readonly string[] | readonly Blob[];
  /** What the device must have the memory for. */
  readonly wish: Wish;
  /** Under which it is kept. */
  readonly name: string;
  /** What the model is called, for people. */
  readonly stem: string;
  /** A variant of the core for one thread. */
  readonly wasm: ArrayBuffer;
  readonly storage: 'opfs' | 'memory';
  readonly orMemory: boolean;
  readonly retryMs: number;
}

/** Makes another version that is there the one that opens. */
export interface GoBackRequest {
  readonly type: 'go-back';
  readonly model: string;
  readonly root: string;
}

export type StoreRequest =
  | DownloadRequest
  | PackRequest
  | GoBackRequest
  | { readonly type: 'cancel' }
  /** The device has a network again: what waits goes on at once. */
  | { readonly type: 'online' };

export type StoreReply =
  /** Of a model that was packed here; comes before its end. */
  | { readonly type: 'manifest'; readonly text: string }
  | { readonly type: 'progress'; readonly progress: LoadProgress }
  | { readonly type: 'notice'; readonly sentence: string; readonly notice: StorageNotice }
  /** The files have their final names in OPFS, and `current` is what was asked for. */
  | { readonly type: 'stored' }
  /** There is no room for files: here are the bytes. */
  | { readonly type: 'blobs'; readonly files: readonly Blob[] }
  | { readonly type: 'error'; readonly error: WireError }
  | { readonly type: 'cancelled' };
