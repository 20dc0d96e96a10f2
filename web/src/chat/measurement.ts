// Measures this device with the open model: opens it on the processor and on the
// graphics chip in turn, has it read and write, measures the chip by itself, and
// opens it again as it was. What is found stays in the tab. It draws nothing.

import type { Backend, BackendNotice } from '../api/backend';
import { type ModelRates, measureModel } from '../api/measure';
import type { LoadProgress, ModelInfo } from '../api/types';
import { findAdapter, openDevice } from '../gpu/device';
import { type DeviceRates, measureDevice } from '../gpu/measure';
import type { Model, OpenAs } from './model';

/** Long enough to tell, short enough to wait for. */
export const READ = 128;
export const WRITTEN = 32;
const REPEAT = 2;
const N_CTX = 512;

export type Step = Backend | 'memory' | 'back';

/** The model on one of the two. */
export interface Side {
  readonly rates: ModelRates;
  /** Seconds until it was open: reading, compiling and checks, no token yet. */
  readonly open_seconds: number;
  readonly info: ModelInfo;
}

/** Why there is nothing to tell: what became of the graphics chip, or what failed. */
export interface Missing {
  readonly notices: readonly BackendNotice[];
  readonly error: unknown;
}

export interface Report {
  readonly info: ModelInfo;
  readonly cpu: Side | Missing;
  readonly webgpu: Side | Missing;
  /** The graphics chip by itself; null where the model was not measured on it. */
  readonly device: DeviceRates | Missing | null;
}

export type MeasureState =
  | { readonly kind: 'idle' }
  | { readonly kind: 'running'; readonly step: Step; readonly progress: LoadProgress | null }
  | { readonly kind: 'done'; readonly report: Report }
  | { readonly kind: 'failed'; readonly error: unknown };

export class Measurement {
  state: MeasureState = { kind: 'idle' };
  private run: AbortController | null = null;

  constructor(
    private readonly model: Model,
    private readonly onChange: () => void,
  ) {}

  get running(): boolean {
    return this.run !== null;
  }

  async start(): Promise<void> {
    const { slm } = this.model;
    if (slm === null || this.running) return;
    const { info } = slm;
    const run = new AbortController();
    this.run = run;
    try {
      const report = await this.model.lend(async (open, given) => {
        const { signal } = run;
        given.addEventListener('abort', () => run.abort());
        const cpu = await this.side('cpu', open, signal);
        const webgpu = await this.side('webgpu', open, signal);
        // It was timed anew, and the model comes back with what was found.
        const { kernels = {} } = ('info' in webgpu && webgpu.info.gpu) || {};
        this.model.choice = { ...this.model.choice, kernels };
        const device = 'rates' in webgpu ? await this.device(signal) : null;
        this.set({ kind: 'running', step: 'back', progress: null });
        return { info, cpu, webgpu, device };
      });
      this.set({ kind: 'done', report });
    } catch (error) {
      this.set(run.signal.aborted ? { kind: 'idle' } : { kind: 'failed', error });
    } finally {
      this.run = null;
      this.onChange();
    }
  }

  /** The model is then opened again as it was. */
  stop(): void {
    this.run?.abort();
  }

  private async side(backend: Backend, open: OpenAs, signal: AbortSignal): Promise<Side | Missing> {
    signal.throwIfAborted();
    const at = (progress: LoadProgress | null) => this.set({ kind: 'running', step: backend, progress });
    at(null);
    try {
      const start = performance.now();
      const { slm } = await open({ backend, n_ctx: N_CTX, kernels: {}, signal, onProgress: at });
      try {
        const open_seconds = (performance.now() - start) / 1000;
        at(null);
        // As it was measured: a graphics chip may be lost meanwhile.
        const here = () => slm.info.backend === backend;
        if (!here()) return { notices: slm.info.backend_notices, error: null };
        const { n_ctx } = slm.info;
        const prompt = Math.min(READ, n_ctx >> 1);
        const generate = Math.min(WRITTEN, n_ctx >> 2);
        const rates = await measureModel(slm, { prompt, generate, repeat: REPEAT, signal });
        if (!here()) return { notices: slm.info.backend_notices, error: null };
        return { rates, open_seconds, info: slm.info };
      } finally {
        await slm.dispose();
      }
    } catch (error) {
      signal.throwIfAborted();
      return { notices: [], error };
    }
  }

  private async device(signal: AbortSignal): Promise<DeviceRates | Missing> {
    this.set({ kind: 'running', step: 'memory', progress: null });
    let device: GPUDevice | null = null;
    try {
      device = await openDevice(await findAdapter({ software: true }));
      return await measureDevice(device, { signal });
    } catch (error) {
      signal.throwIfAborted();
      return { notices: [], error }; // the model's own figures are what matters
    } finally {
      device?.destroy();
    }
  }

  private set(state: MeasureState): void {
    this.state = state;
    this.onChange();
  }
}
