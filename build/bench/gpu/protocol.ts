// What the benchmark asks of a process of Node and gets back, as node.py and model.py
// say it in Python. Types only.

import type { GpuAdapter } from '../../../web/src/api/backend';
import type { DeviceRates } from '../../../web/src/gpu/measure';
import type { OperationTime } from '../../../web/src/gpu/profile';
import type { Source } from './weights';

interface Common {
  /** Dawn's own, see open.ts. */
  readonly features: readonly string[];
}

/** Which device there is. */
export interface ProbeRequest extends Common {
  readonly kind: 'probe';
}
export interface ProbeReply {
  readonly adapter: GpuAdapter | null;
  readonly software: boolean;
  readonly timestamps: boolean;
}

/** What it can do by itself. */
export interface DeviceRequest extends Common {
  readonly kind: 'device';
}
export type DeviceReply = DeviceRates;

/** What has to be compiled for a model, without its weights. */
export interface CompileRequest extends Common {
  readonly kind: 'compile';
  readonly wasm: string;
  readonly source: Source;
  readonly n_ctx: number;
  readonly n_batch: number;
}
export interface CompileReply {
  readonly compile_ms: number;
  readonly pipelines: number;
}

/** How fast a model reads and writes, or which operations take the time. */
export interface ModelRequest extends Omit<CompileRequest, 'kind'> {
  readonly kind: 'model';
  readonly prompt: number;
  /** Tokens in the cache when it begins to write. */
  readonly past: number;
  readonly generate: number;
  /** One more comes before them where the first would be slower. */
  readonly repeat: number;
  readonly warm: boolean;
  readonly profile: boolean;
}
export interface ModelReply extends CompileReply {
  readonly form: string;
  readonly forms: readonly { readonly name: string; readonly ms: number }[];
  readonly prefill_ms: readonly number[];
  readonly decode_ms: readonly number[];
  /** Of a token: what recording and submitting took on the host. */
  readonly encode_ms: number;
  readonly dispatches: number;
  readonly memory_bytes: number;
  /** The words of each dispatch of one token, as wasm/src/gpu/generated/operations.h has them. */
  readonly records: readonly (readonly number[])[];
  /** Empty unless it was asked for. */
  readonly times: { readonly prefill: readonly OperationTime[]; readonly decode: readonly OperationTime[] };
}

export type Request = ProbeRequest | DeviceRequest | CompileRequest | ModelRequest;
export type Reply = ProbeReply | DeviceReply | CompileReply | ModelReply;
