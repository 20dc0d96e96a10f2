// The bundle that is served, as any page of one's own gets it.

import type { LoadOptions, Slm } from '../../../web/src/api/types';

interface SlmModule {
  readonly SLM: { load(manifestUrl: string, options: LoadOptions): Promise<Slm> };
}

const assets = (await (await fetch('/assets/assets.json')).json()) as Record<string, string>;
export const { SLM } = (await import(`/assets/${assets['slmweb.js']}`)) as SlmModule;
