// The sparse autoencoders of one engine, and what is known of each since it was loaded
// first: other workers may have to load it again.

import type { SaeInfo } from '../api/types';
import { SlmError } from '../core/error';
import type { SaeFacts } from '../core/sae';
import { Site } from '../generated/abi';
import { SideFiles, type SideWorker } from './side_files';

const SITES = { [Site.RESIDUAL]: 'residual', [Site.MLP]: 'mlp', [Site.HEADS]: 'heads' } as const;

export class EngineSaes extends SideFiles<SaeFacts> {
  readonly #known = new Map<string, SaeInfo>();

  constructor(worker: SideWorker<SaeFacts>) {
    super(worker, 'an autoencoder');
  }

  list(): SaeInfo[] {
    return [...this.#known.values()];
  }

  async add(name: string, file: Blob): Promise<SaeInfo> {
    const { site, layer, width, features, labels, license } = await this.bring(name, name, file);
    const info = { name, site: SITES[site], layer, width, features, labels, license };
    this.#known.set(name, info);
    return info;
  }

  /** Throws for a name that is none's. */
  get(name: string): SaeInfo {
    this.entry(name);
    const known = this.#known.get(name);
    if (known !== undefined) return known;
    throw new SlmError(
      'wrong_state',
      `Expected an autoencoder that is loaded, found '${name}', which still loads; wait for it.`,
    );
  }

  override remove(name: string): void {
    super.remove(name);
    this.#known.delete(name);
  }
}
