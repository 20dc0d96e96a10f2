// Looking inside a model: what it makes of a text behind each layer, and what is
// added there. Types only, as in types.ts, which names them.

import type { ChatMessage, TokenLogprob, Usage } from './completions';

/** Adds a direction to what a layer hands on, of every token: one's own, or that of an autoencoder's feature. */
export type Steer =
  | {
      /** From 0. */
      readonly layer: number;
      /** `info.n_embd` numbers. */
      readonly direction: ArrayLike<number>;
      /** How often it is added; negative takes it away. */
      readonly strength: number;
    }
  | { readonly sae: string; readonly feature: number; readonly strength: number };

/** A sparse autoencoder, of the pack or loaded: what takes the rows of one place apart into features. */
export interface SaeInfo {
  /** By which it is used. */
  readonly name: string;
  /** For people. */
  readonly title: string;
  /** What a layer hands on, what its feed-forward network adds, or its attention heads' outputs. */
  readonly site: 'residual' | 'mlp' | 'heads';
  readonly layer: number;
  /** Numbers of a row. */
  readonly width: number;
  readonly features: number;
  /** How many of them have a label. */
  readonly labels: number;
  readonly license: string | null;
  /** False: it is read into memory when it is first used. */
  readonly loaded: boolean;
}

/** What a feature stands for, as the file says. */
export interface SaeLabel {
  readonly feature: number;
  readonly label: string;
}

export interface SaeLoadOptions {
  /** By which it is used; no other one may have it. */
  readonly name: string;
  readonly signal?: AbortSignal;
}

/** Autoencoders beside the model, such as Gemma Scope's: files that `slmweb sae` writes. Those of the pack are
 *  there from the start, by their names. */
export interface Saes {
  /** From an address or from bytes. Rejects with `bad_file` when it belongs to another model. */
  load(source: string | URL | Blob, options: SaeLoadOptions): Promise<SaeInfo>;
  /** Reads one of the pack into memory now, and not when it is first used. */
  ready(name: string): Promise<SaeInfo>;
  /** All features that have a label, by rising number. */
  labels(name: string): Promise<readonly SaeLabel[]>;
  list(): readonly SaeInfo[];
  /** Frees its memory. One of the pack stays in the list. */
  remove(name: string): void;
}

export interface Feature {
  readonly feature: number;
  /** 0: at or below its threshold. */
  readonly activation: number;
  /** What it stands for, where the file says. */
  readonly label: string | null;
}

export interface InspectRequest {
  /** The text, or messages through the model's template. */
  readonly text?: string;
  readonly messages?: readonly ChatMessage[];
  /** Behind which layers to look, from 0; by default behind all. */
  readonly layer?: number | readonly number[];
  /** How many of the most likely tokens, and of the strongest features, 1 to 20; default 5. */
  readonly top?: number;
  /** The name of an autoencoder: each token's features at its place. With it `layer` is by
   *  default none. */
  readonly sae?: string;
  /** Features to tell of each token even where they are not among the strongest; needs `sae`. */
  readonly features?: readonly number[];
  readonly steer?: readonly Steer[];
}

export interface LayerView {
  readonly layer: number;
  /** What the model would say next if it ended behind this layer (the logit lens), most likely first. */
  readonly next: readonly TokenLogprob[];
}

export interface InspectedToken {
  readonly id: number;
  readonly token: string;
  /** The token's bytes, which may be part of a character. */
  readonly bytes: readonly number[];
  /** By rising layer. */
  readonly layers: readonly LayerView[];
  /** The strongest that are active, then those that were asked for by number; null without `sae`. */
  readonly features: readonly Feature[] | null;
}

export interface Inspection {
  readonly model: string;
  readonly tokens: readonly InspectedToken[];
  readonly usage: Usage;
}
