// Messages between a page and the store worker; types only. One worker serves
// one download and is then terminated, so messages carry no ids.

import type { LoadProgress, Manifest } from '../api/types';
import type { WireError } from '../core/error';

export interface DownloadRequest {
  readonly type: 'download';
  readonly manifest: Manifest;
  /** Folder of the chunks, ending in a slash. */
  readonly baseUrl: string;
  readonly storage: 'opfs' | 'memory';
  /** Trust no stored byte: hash everything again and fetch what is damaged. */
  readonly verify: boolean;
  readonly retryMs: number;
}

export type StoreRequest = DownloadRequest | { readonly type: 'cancel' };

export type StoreReply =
  | { readonly type: 'progress'; readonly progress: LoadProgress }
  | { readonly type: 'notice'; readonly sentence: string }
  /** The files have their final names in OPFS. */
  | { readonly type: 'stored' }
  /** There is no room for files: here are the bytes. */
  | { readonly type: 'blobs'; readonly files: readonly Blob[] }
  | { readonly type: 'error'; readonly error: WireError }
  | { readonly type: 'cancelled' };
