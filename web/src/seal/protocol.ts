// What crosses the wall between the shell (trusted, fetches and stores, sees no
// prompt) and the frame (sandboxed, chats and computes, reaches nothing). Types
// only. The frame's side of the vocabulary is closed on purpose: every field is
// a small integer or a name that the shell itself has announced, so that the
// shell can check a message by looking it up and has no text to relay. One
// MessagePort carries all of it.

import type { Backend } from '../api/backend';
import type { StorageNotice } from '../api/notices';
import type { EngineOptions, GuardOptions, LoadProgress, Manifest, Slm, Variant } from '../api/types';
import type { WireError } from '../core/error';
import type { Room } from '../store/device';
import type { PaperSize } from './paper';
import type { Preferences } from './preferences';

/** The only message between the windows themselves. Both sides call out when they start and whoever
 *  comes second is heard; the shell answers with the port. */
export interface Hello {
  readonly type: 'slmweb';
}

/** One model that the server offers or this device has, in the words of its manifest. */
export interface ModelEntry {
  readonly name: string;
  readonly title: string;
  /** What people call the version that opens, if they do. */
  readonly version: string | null;
  readonly architecture: string;
  readonly parameters: number;
  readonly size: number;
  /** Bytes of memory that it takes with its own context length, as far as one can say. */
  readonly memory: number | null;
  readonly license: string | null;
  readonly license_url: string | null;
  readonly source: string | null;
  /** What it is good for, in one line. */
  readonly good_for: string | null;
  /** Bytes that it takes on this device: other versions and what has arrived of a download, too. */
  readonly kept: number;
  /** Whole and verified on this device: opening it needs no network. */
  readonly stored: boolean;
  /** Bytes of it that are on this device while it is not whole. */
  readonly arrived: number;
  /** The person has stopped its download. */
  readonly halted: boolean;
  /** Another version that the server has. */
  readonly update: {
    readonly version: string | null;
    /** What has to be fetched: the rest is on this device. */
    readonly bytes: number;
    /** The person has gone back from it. */
    readonly declined: boolean;
  } | null;
  /** Another version on this device. */
  readonly previous: { readonly version: string | null; readonly size: number } | null;
  /** A sentence: why what the server has is not used. */
  readonly refused: string | null;
}

/** Where a model's bytes are, and what to tell the person when that is not OPFS. */
export interface StorageReport {
  readonly kind: 'opfs' | 'memory';
  readonly notice: StorageNotice | null;
}

/** What the site says of itself; null is the page's own words and looks. Text, never markup. */
export interface Site {
  readonly title: string | null;
  readonly headline: string | null;
  readonly intro: string | null;
  /** Questions that one press asks; none: the page's own. */
  readonly examples: readonly string[];
  readonly system_prompt: string | null;
  /** The colour on the light and on the dark page, as #rrggbb. */
  readonly accent: readonly [light: string, dark: string] | null;
  /** A small picture as a data: address. */
  readonly icon: string | null;
  /** What screens the conversations: another model of the site, by its name, and its rules. */
  readonly guard: SiteGuard | null;
}

export interface SiteGuard extends Pick<GuardOptions, 'policies' | 'threshold' | 'screen'> {
  readonly model: string;
}

export type FrameMessage =
  /** Again after 'fatal': is there something now? */
  | { readonly type: 'ready' }
  /** There is something to see: what the shell showed in its place may go. */
  | { readonly type: 'drawn' }
  /** How much paper the conversation takes. */
  | ({ readonly type: 'paper' } & PaperSize)
  | { readonly type: 'list'; readonly id: number }
  /** `verify`: what is stored was no use; hash it again and fetch what is damaged. */
  | {
      readonly type: 'open';
      readonly id: number;
      readonly model: string;
      readonly verify: boolean;
      /** Context length; null is the manifest's. */
      readonly n_ctx: number | null;
      /** Where it is to compute; memory is another on the GPU. */
      readonly backend: 'auto' | Backend;
      /** The person wants it although the estimate of memory says no. */
      readonly force: boolean;
    }
  | { readonly type: 'remove'; readonly id: number; readonly model: string }
  /** Fetches and stores the version of `update`; the next 'open' opens it. */
  | { readonly type: 'update'; readonly id: number; readonly model: string }
  /** The next 'open' opens the version of `previous`. */
  | { readonly type: 'go-back'; readonly id: number; readonly model: string }
  /** Deletes the version of `previous`. */
  | { readonly type: 'forget'; readonly id: number; readonly model: string }
  | { readonly type: 'wasm'; readonly id: number; readonly variant: Variant }
  /** Gives up the request `id`: the download stops, what is verified stays. */
  | { readonly type: 'cancel'; readonly id: number }
  /** One bit: leaving the page would lose what the person has written or been told. */
  | { readonly type: 'unsaved'; readonly something: boolean }
  /** To be handed back by the next 'welcome'. */
  | { readonly type: 'keep'; readonly preferences: Preferences };

export type ShellMessage =
  /** Follows 'ready'. `script` is the classic worker's text: the frame can start workers from blob: URLs only. */
  | {
      readonly type: 'welcome';
      readonly script: string;
      readonly models: readonly ModelEntry[];
      readonly site: Site;
      readonly preferences: Preferences;
      /** Where to compute, by the page's address; null: it does not say. */
      readonly backend: 'auto' | Backend | null;
    }
  | { readonly type: 'models'; readonly id: number; readonly models: readonly ModelEntry[] }
  /** Before anything is fetched for an 'open': with what the model will be opened here. */
  | { readonly type: 'room'; readonly id: number; readonly room: Room }
  | { readonly type: 'progress'; readonly id: number; readonly progress: LoadProgress }
  | {
      readonly type: 'opened';
      readonly id: number;
      readonly manifest: Manifest;
      readonly files: readonly Blob[];
      readonly storage: StorageReport;
      readonly room: Room;
    }
  /** Answers 'remove', 'update', 'go-back' and 'forget'. */
  | { readonly type: 'done'; readonly id: number }
  | { readonly type: 'wasm'; readonly id: number; readonly bytes: ArrayBuffer }
  | { readonly type: 'error'; readonly id: number; readonly error: WireError }
  /** The shell itself could not start (no models, server gone): nothing else will come before another 'ready'. */
  | { readonly type: 'fatal'; readonly error: WireError };

/** A model that is open and computing, with what to say about its storage. */
export interface OpenedModel {
  readonly slm: Slm;
  readonly storage: StorageReport;
  readonly room: Room;
}

export interface OpenWish extends EngineOptions {
  /** Although the estimate of this device's memory says that it will not fit. */
  readonly force?: boolean;
  /** Called before anything is fetched. */
  readonly onRoom?: (room: Room) => void;
  /** Nothing that it writes will be shown: for measurements, which the guard would be a part of. */
  readonly unscreened?: boolean;
}

/** What the frame's bootstrap gives to the chat: `startChat(host, root)`. The
 *  chat is written against this interface alone, so that a fake can stand in. */
export interface ChatHost {
  readonly site: Site;
  /** Those that one can talk to. */
  readonly models: readonly ModelEntry[];
  /** The one that screens; null: there is none. */
  readonly guard: ModelEntry | null;
  /** As they were kept, on this device, before this page was loaded. */
  readonly preferences: Preferences;
  /** Where the page's address wants the models to compute, for as long as the page is open. */
  readonly backend: 'auto' | Backend | null;
  /** Keeps them for the next load. */
  keep(preferences: Preferences): void;
  /** Whether leaving the page would lose something; the browser then asks first. */
  setUnsaved(something: boolean): void;
  /** The list again, with `stored` as it is now. */
  refresh(): Promise<readonly ModelEntry[]>;
  /** Downloads if need be, then loads, the guard first; too_large where it would not fit. Dispose the model that is
   *  open first: two at once seldom fit a phone. Aborting rejects with the signal's reason. */
  open(name: string, options?: OpenWish): Promise<OpenedModel>;
  /** Fetches and stores the version of the entry's `update`; `open` then opens it. What runs
   *  meanwhile runs on. */
  update(name: string, options?: Pick<EngineOptions, 'signal' | 'onProgress'>): Promise<void>;
  /** Makes `open` open the version of the entry's `previous`. */
  goBack(name: string): Promise<void>;
  /** Deletes the version of the entry's `previous`. */
  forget(name: string): Promise<void>;
  /** Tells how much paper the conversation takes. */
  paper(size: PaperSize): void;
  /** Deletes the stored bytes of a model. */
  remove(name: string): Promise<void>;
}
