// The sparse autoencoders of one engine, and what is known of each before it is loaded:
// from the manifest, or since it was loaded first, for other workers may have to load it
// again.

import type { ModelSource, SaeInfo, SaeLabel } from '../api/types';
import { SlmError } from '../core/error';
import type { SaeFacts } from '../core/sae';
import { Site } from '../generated/abi';
import { checkFacts, SideFiles, type SideWorker } from './side_files';

const SITES = { [Site.RESIDUAL]: 'residual', [Site.MLP]: 'mlp', [Site.HEADS]: 'heads' } as const;

type Known = Omit<SaeInfo, 'loaded'>;

export interface SaeWorker extends SideWorker<SaeFacts> {
  labels(id: number): Promise<readonly SaeLabel[]>;
}

export class EngineSaes extends SideFiles<SaeFacts> {
  readonly #worker: SaeWorker;
  readonly #known = new Map<string, Known>();

  constructor(worker: SaeWorker, { manifest, files }: Pick<ModelSource, 'manifest' | 'files'>) {
    super(worker, 'an autoencoder');
    this.#worker = worker;
    for (const { file, ...known } of manifest.saes ?? []) {
      const { name, title } = known;
      this.entries.set(name, { title, file: files[file]!, listed: true, loading: null, facts: null });
      this.#known.set(name, known);
    }
  }

  list(): SaeInfo[] {
    return Array.from(this.#known.keys(), (name) => this.get(name));
  }

  async add(name: string, file: Blob): Promise<SaeInfo> {
    const facts = await this.bring(name, name, file);
    const { layer, width, features, labels, license } = facts;
    const title = facts.name ?? name;
    this.#known.set(name, { name, title, site: SITES[facts.site], layer, width, features, labels, license });
    return this.get(name);
  }

  async ready(name: string): Promise<SaeInfo> {
    await this.id(name);
    return this.get(name);
  }

  async labels(name: string): Promise<readonly SaeLabel[]> {
    return this.get(name).labels === 0 ? [] : this.#worker.labels(await this.id(name));
  }

  /** Throws for a name that is none's. */
  get(name: string): SaeInfo {
    const { facts } = this.entry(name);
    const known = this.#known.get(name);
    if (known !== undefined) return { ...known, loaded: facts !== null };
    throw new SlmError(
      'wrong_state',
      `Expected an autoencoder that is loaded, found '${name}', which still loads; wait for it.`,
    );
  }

  override remove(name: string): void {
    const { listed } = this.entry(name);
    super.remove(name);
    if (!listed) this.#known.delete(name);
  }

  protected override check(name: string, facts: SaeFacts): void {
    const known = this.#known.get(name);
    if (known === undefined) return;
    const { layer, width, features, labels } = facts;
    checkFacts(`the autoencoder ${name}`, known, { site: SITES[facts.site], layer, width, features, labels });
  }
}
