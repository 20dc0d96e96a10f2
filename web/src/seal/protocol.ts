// What crosses the wall between the shell (trusted, fetches and stores, sees no
// prompt) and the frame (sandboxed, chats and computes, reaches nothing). Types
// only. The frame's side of the vocabulary is closed on purpose: every field is
// a small integer or a name that the shell itself has announced, so that the
// shell can check a message by looking it up and has no text to relay. One
// MessagePort carries all of it.

import type { EngineOptions, LoadProgress, Manifest, Slm, Variant } from '../api/types';
import type { WireError } from '../core/error';

/** The only message between the windows themselves. Both sides call out when they start and whoever
 *  comes second is heard; the shell answers with the port. */
export interface Hello {
  readonly type: 'slmweb';
}

/** One model that the server offers, in the words of its manifest. */
export interface ModelEntry {
  readonly name: string;
  readonly title: string;
  readonly architecture: string;
  readonly parameters: number;
  readonly size: number;
  readonly license: string | null;
  readonly license_url: string | null;
  readonly source: string | null;
  /** Whole and verified on this device: opening it needs no network. */
  readonly stored: boolean;
}

/** Where a model's bytes are, and what to tell the person when that is not OPFS. */
export interface StorageReport {
  readonly kind: 'opfs' | 'memory';
  readonly notice: string | null;
}

export type FrameMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'list'; readonly id: number }
  /** `verify`: what is stored was no use; hash it again and fetch what is damaged. */
  | { readonly type: 'open'; readonly id: number; readonly model: string; readonly verify: boolean }
  | { readonly type: 'remove'; readonly id: number; readonly model: string }
  | { readonly type: 'wasm'; readonly id: number; readonly variant: Variant }
  /** Gives up the request `id`: the download stops, what is verified stays. */
  | { readonly type: 'cancel'; readonly id: number };

export type ShellMessage =
  /** Follows 'ready'. `script` is the classic worker's text: the frame can start workers from blob: URLs only. */
  | { readonly type: 'welcome'; readonly script: string; readonly models: readonly ModelEntry[] }
  | { readonly type: 'models'; readonly id: number; readonly models: readonly ModelEntry[] }
  | { readonly type: 'progress'; readonly id: number; readonly progress: LoadProgress }
  | {
      readonly type: 'opened';
      readonly id: number;
      readonly manifest: Manifest;
      readonly files: readonly Blob[];
      readonly storage: StorageReport;
    }
  | { readonly type: 'removed'; readonly id: number }
  | { readonly type: 'wasm'; readonly id: number; readonly bytes: ArrayBuffer }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError }
  /** The shell itself could not start (no models, server gone): nothing else will come. */
  | { readonly type: 'fatal'; readonly error: WireError };

/** A model that is open and computing, with what to say about its storage. */
export interface OpenedModel {
  readonly slm: Slm;
  readonly storage: StorageReport;
}

/** What the frame's bootstrap gives to the chat: `startChat(host, root)`. The
 *  chat is written against this interface alone, so that a fake can stand in. */
export interface ChatHost {
  readonly models: readonly ModelEntry[];
  /** The list again, with `stored` as it is now. */
  refresh(): Promise<readonly ModelEntry[]>;
  /** Downloads if need be, then loads. Dispose the model that is open first:
   *  two at once seldom fit a phone. Aborting rejects with the signal's reason. */
  open(name: string, options?: EngineOptions): Promise<OpenedModel>;
  /** Deletes the stored bytes of a model. */
  remove(name: string): Promise<void>;
}
