// The models that can be opened: those that the server lists and those that are
// stored on this device, which need no server. It fetches the list and checks
// it; opening is the store's.

import type { Manifest } from '../api/types';
import { Reader } from '../core/check';
import { SlmError } from '../core/error';
import { httpsOrNull, isModelName } from '../store/manifest';
import { fetchManifest, listStored } from '../store/store';
import type { ModelEntry } from './protocol';

const MAX_MODELS = 1000;
const reader = new Reader('The list of models', 'bad_manifest');

export class Catalog {
  /** Folder of the models, ending in a slash. */
  readonly #url: URL;
  #entries: readonly ModelEntry[] = [];

  constructor(url: URL) {
    this.#url = url;
  }

  get entries(): readonly ModelEntry[] {
    return this.#entries;
  }

  get names(): ReadonlySet<string> {
    return new Set(this.#entries.map(({ name }) => name));
  }

  manifestUrl(name: string): string {
    return new URL(`${name}/manifest.json`, this.#url).href;
  }

  async refresh(): Promise<readonly ModelEntry[]> {
    const stored = await listStored();
    const offered = await this.#fetchList().catch((error: unknown) => {
      // Offline, what is stored can still be opened.
      if (stored.length === 0 && this.#entries.length === 0) throw error;
      return this.#entries;
    });
    const onDevice = new Set(stored.map(({ name }) => name));
    const known = new Set(offered.map(({ name }) => name));
    this.#entries = [
      ...offered.map((entry) => ({ ...entry, stored: onDevice.has(entry.name) })),
      ...stored.filter(({ name }) => !known.has(name)).map((manifest) => toEntry(manifest, true)),
    ];
    if (this.#entries.length === 0)
      throw new SlmError(
        'network',
        `Expected at least one model at ${this.#url.href}, found none; pack one with \`make model\`.`,
      );
    return this.#entries;
  }

  /** The manifest from the server, or the stored one when the server is out of reach. */
  async manifest(name: string, signal: AbortSignal): Promise<Manifest> {
    try {
      const manifest = await fetchManifest(this.manifestUrl(name), signal);
      if (manifest.name !== name) reader.fail('name', name, manifest.name);
      return manifest;
    } catch (error) {
      if (!(error instanceof SlmError) || error.code !== 'network') throw error;
      const stored = (await listStored()).find((manifest) => manifest.name === name);
      if (stored === undefined) throw error;
      return stored;
    }
  }

  async #fetchList(): Promise<ModelEntry[]> {
    const failed = (found: string, cause?: unknown) =>
      new SlmError(
        'network',
        `Expected the list of models at ${this.#url.href}, found ${found}; check that the server is running.`,
        { cause },
      );
    const response = await fetch(this.#url, { cache: 'no-cache' }).catch((error: unknown) => {
      throw failed('no connection', error);
    });
    if (!response.ok) throw failed(`HTTP ${response.status}`);
    return reader.array(reader.parse(await response.text()), 'the whole', 0, MAX_MODELS).map((value, i) => {
      const entry = reader.object(value, `[${i}]`);
      if (!isModelName(entry.name)) return reader.fail(`[${i}].name`, 'a model name', entry.name);
      return {
        name: entry.name,
        title: reader.text(entry.title, `[${i}].title`, 200),
        architecture: reader.text(entry.architecture, `[${i}].architecture`, 100),
        parameters: reader.integer(entry.parameters, `[${i}].parameters`, 0, Number.MAX_SAFE_INTEGER),
        size: reader.integer(entry.size, `[${i}].size`, 1, Number.MAX_SAFE_INTEGER),
        license: reader.optionalText(entry.license, `[${i}].license`),
        license_url: httpsOrNull(entry.license_url, `[${i}].license_url`, reader),
        source: reader.optionalText(entry.source, `[${i}].source`),
        stored: false,
      };
    });
  }
}

function toEntry(manifest: Manifest, stored: boolean): ModelEntry {
  const { name, title, architecture, parameters, size, license, license_url, source } = manifest;
  return { name, title, architecture, parameters, size, license, license_url, source, stored };
}
