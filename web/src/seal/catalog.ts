// The models that can be opened: those that the server lists and those that are
// stored on this device, which need no server; and of each model which version
// this page runs, which one it offers and which one it can go back to. A page
// stays with the version that it started with until it is asked to change. It
// fetches lists and manifests and checks them; opening is the store's.

import type { Manifest } from '../api/types';
import { Reader } from '../core/check';
import { isPassing, SlmError } from '../core/error';
import { EMBEDDERS } from '../generated/families';
import { PageInsteadError, whatToDo } from '../store/data';
import { checkMemory, httpsOrNull, isModelName, versionLabel } from '../store/manifest';
import { ANSWER_MS, fetchManifest, fetchWithin, SHORT_ANSWER_MS, type SourceManifest } from '../store/remote';
import { missingBytes } from '../store/reuse';
import { linearBytes, type Memory, memoryOf } from '../store/room';
import { bytesOnDevice, listStored, storedVersions } from '../store/store';
import { NO_VERSIONS, type StoredVersion, type StoredVersions } from '../store/versions';
import { isHalted } from './halted';
import type { ModelEntry } from './protocol';

const MAX_MODELS = 1000;
const reader = new Reader('The list of models', 'bad_manifest');

/** What the server says of a model before its manifest is read. */
type Listed = Omit<
  ModelEntry,
  'stored' | 'kept' | 'arrived' | 'halted' | 'update' | 'previous' | 'refused'
> & {
  readonly root: string | null;
};

export interface Choice {
  readonly source: SourceManifest;
  /** It becomes the version that opens. */
  readonly turn: boolean;
}

export class Catalog {
  /** Folder of the models, ending in a slash. */
  readonly #url: URL;
  readonly #publicKey: string | null;
  #listed: readonly Listed[] = [];
  #entries: readonly ModelEntry[] = [];
  /** The server's manifests, as far as they were asked for. */
  readonly #offered = new Map<string, SourceManifest>();
  /** Why the server's manifest is not used, although there is one. */
  readonly #refused = new Map<string, string>();
  /** The root of the version that this page runs. */
  readonly #running = new Map<string, string>();

  constructor(url: URL, publicKey: string | null) {
    this.#url = url;
    this.#publicKey = publicKey;
  }

  get names(): ReadonlySet<string> {
    return new Set(this.#entries.map(({ name }) => name));
  }

  manifestUrl(name: string): string {
    return new URL(`${name}/manifest.json`, this.#url).href;
  }

  async refresh(): Promise<readonly ModelEntry[]> {
    const stored = await listStored(this.#publicKey);
    const kept = await bytesOnDevice();
    const onDevice = new Set(
      [...stored].flatMap(([name, { current, unfinished }]) => ((current ?? unfinished) ? [name] : [])),
    );
    try {
      this.#listed = await this.#fetchList(onDevice.size > 0 ? SHORT_ANSWER_MS : ANSWER_MS);
    } catch (error) {
      // Offline, what is stored can still be opened, and what is unfinished be waited for.
      if (onDevice.size === 0 && this.#entries.length === 0)
        throw [...stored.values()].find(({ refused }) => refused !== null)?.refused ?? error;
    }
    for (const { name, root } of this.#listed) if (this.#isNews(name, root)) await this.#look(name);
    const names = new Set([...this.#listed.map(({ name }) => name), ...onDevice]);
    const listed = new Map(this.#listed.map((entry) => [entry.name, entry]));
    const found = [...names].flatMap(
      (name) =>
        this.#entry(name, listed.get(name), stored.get(name) ?? NO_VERSIONS, kept.get(name) ?? 0) ?? [],
    );
    // To a model that embeds there is nothing to say, also where it is stored on this device.
    this.#entries = found.filter(({ architecture }) => !EMBEDDERS.includes(architecture));
    if (this.#entries.length === 0)
      throw new SlmError(
        'network',
        `Expected at least one model at ${this.#url.href}, found none; pack one with \`make model\`.`,
      );
    return this.#entries;
  }

  /** What `open` opens: the version that this page runs, else the one on this device, else the server's. */
  async choose(name: string, signal: AbortSignal): Promise<Choice> {
    const stored = await storedVersions(name, this.#publicKey);
    const same = versionsOf(stored).find(({ manifest }) => manifest.root === this.#running.get(name));
    if (same !== undefined) return { source: same, turn: false };
    const { current, unfinished } = stored;
    const answerMs = (current ?? unfinished) ? SHORT_ANSWER_MS : ANSWER_MS;
    try {
      const source = await this.#fetchManifest(name, signal, answerMs);
      // One root, one content: then the server's words about it are the newer ones.
      if (current === null || current.manifest.root === source.manifest.root) return { source, turn: true };
    } catch (error) {
      if (!(error instanceof SlmError)) throw error;
      if (current === null) {
        if (error.code !== 'network') throw error;
        // Its chunks have addresses of their own, so that the download can go on when the server is back.
        if (unfinished !== null && isAway(error)) return { source: unfinished, turn: true };
        throw stored.refused ?? error;
      }
    }
    return { source: current, turn: false };
  }

  /** This page now runs the version `root`. */
  runs(name: string, root: string): void {
    this.#running.set(name, root);
  }

  /** The version that `update` stands for. */
  async newer(name: string): Promise<SourceManifest> {
    const source = this.#candidate(name, await storedVersions(name, this.#publicKey));
    return source ?? noVersion('a newer version', name);
  }

  /** The version that `previous` stands for. */
  async previous(name: string): Promise<SourceManifest> {
    return (
      this.#previous(name, await storedVersions(name, this.#publicKey)) ?? noVersion('another version', name)
    );
  }

  #isNews(name: string, root: string | null): boolean {
    const running = this.#running.get(name);
    if (running === undefined || root === null || root === running) return false;
    return root !== this.#offered.get(name)?.manifest.root;
  }

  /** Asks for the server's manifest; why there is none is remembered, not thrown. */
  async #look(name: string): Promise<void> {
    await this.#fetchManifest(name).catch((error: unknown) => {
      if (!(error instanceof SlmError)) throw error;
    });
  }

  async #fetchManifest(name: string, signal?: AbortSignal, answerMs?: number): Promise<SourceManifest> {
    try {
      const source = await fetchManifest(this.manifestUrl(name), this.#publicKey, signal, answerMs);
      if (source.manifest.name !== name) reader.fail('name', name, source.manifest.name);
      this.#offered.set(name, source);
      this.#refused.delete(name);
      return source;
    } catch (error) {
      if (error instanceof SlmError && error.code !== 'network') {
        this.#offered.delete(name);
        this.#refused.set(name, error.message);
      }
      throw error;
    }
  }

  #runningRoot(name: string, { current }: StoredVersions): string | undefined {
    return this.#running.get(name) ?? current?.manifest.root;
  }

  #candidate(name: string, stored: StoredVersions): SourceManifest | undefined {
    // Offline, what one has gone back from is still there.
    const offered = this.#offered.get(name) ?? (stored.wentBack ? stored.others[0] : undefined);
    return offered?.manifest.root === this.#runningRoot(name, stored) ? undefined : offered;
  }

  #previous(name: string, stored: StoredVersions): StoredVersion | undefined {
    const taken = [this.#runningRoot(name, stored), this.#candidate(name, stored)?.manifest.root];
    return versionsOf(stored).find(({ manifest }) => !taken.includes(manifest.root));
  }

  #entry(name: string, listed: Listed | undefined, stored: StoredVersions, kept: number): ModelEntry | null {
    const versions = versionsOf(stored);
    const root = this.#runningRoot(name, stored);
    const opens = versions.find(({ manifest }) => manifest.root === root);
    if (opens === undefined) {
      const { unfinished } = stored;
      const known = listed ?? (unfinished === null ? null : factsOf(unfinished.manifest));
      if (known === null) return null;
      const { root: offered, ...facts } = known;
      const arrived = offered === null || offered === unfinished?.manifest.root ? unfinished?.arrived : 0;
      return {
        ...facts,
        kept,
        stored: false,
        arrived: arrived ?? 0,
        halted: isHalted(name),
        update: null,
        previous: null,
        refused: null,
      };
    }
    const newer = this.#candidate(name, stored);
    const previous = this.#previous(name, stored);
    const { root: _, ...facts } = factsOf(opens.manifest);
    return {
      ...facts,
      kept,
      stored: true,
      arrived: 0,
      halted: false,
      update: newer
        ? {
            version: newer.manifest.version,
            bytes: missingBytes(newer.manifest, versions),
            declined: stored.wentBack && stored.others[0]?.manifest.root === newer.manifest.root,
          }
        : null,
      previous: previous ? { version: previous.manifest.version, size: previous.manifest.size } : null,
      refused: this.#refused.get(name) ?? null,
    };
  }

  async #fetchList(answerMs: number): Promise<Listed[]> {
    const url = new URL('index.json', this.#url);
    const failed = (found: string, todo: string, http_status: number | null, cause?: unknown) =>
      new SlmError('network', `Expected the list of models at ${url.href}, found ${found}; ${todo}.`, {
        cause,
        details: { http_status },
      });
    const start = 'check that the server is running';
    const [response, body] = await fetchWithin(answerMs, url.href).catch((error: unknown) => {
      throw failed(error instanceof PageInsteadError ? error.message : 'no connection', start, null, error);
    });
    const { ok, status } = response;
    if (!ok) throw failed(`HTTP ${status}`, whatToDo(response, start), status);
    const text = new TextDecoder().decode(body);
    return reader.array(reader.parse(text), 'the whole', 0, MAX_MODELS).map((value, i) => {
      const entry = reader.object(value, `[${i}]`);
      if (!isModelName(entry.name)) return reader.fail(`[${i}].name`, 'a model name', entry.name);
      return {
        name: entry.name,
        title: reader.text(entry.title, `[${i}].title`, 200),
        version: versionLabel(entry.version, `[${i}].version`, reader),
        architecture: reader.text(entry.architecture, `[${i}].architecture`, 100),
        parameters: reader.integer(entry.parameters, `[${i}].parameters`, 0, Number.MAX_SAFE_INTEGER),
        memory:
          entry.memory === undefined ? null : needOf(checkMemory(entry.memory, `[${i}].memory`, reader)),
        size: reader.integer(entry.size, `[${i}].size`, 1, Number.MAX_SAFE_INTEGER),
        license: reader.optionalText(entry.license, `[${i}].license`),
        license_url: httpsOrNull(entry.license_url, `[${i}].license_url`, reader),
        source: reader.optionalText(entry.source, `[${i}].source`),
        good_for: reader.optionalText(entry.good_for, `[${i}].good_for`),
        root: reader.optionalText(entry.root, `[${i}].root`),
      };
    });
  }
}

const needOf = (memory: Memory) => linearBytes(memory, memory.n_ctx_default);

const versionsOf = ({ current, others }: StoredVersions): StoredVersion[] =>
  current === null ? [] : [current, ...others];

/** The server does not answer, or not as one that runs. */
const isAway = ({ details }: SlmError): boolean =>
  details !== undefined && 'http_status' in details && isPassing(details.http_status);

function factsOf(manifest: Manifest): Listed {
  const { name, title, version, architecture, parameters, size, license, license_url, source, root } =
    manifest;
  const memory = needOf(memoryOf(manifest));
  const good_for = manifest.good_for ?? null;
  return {
    name,
    title,
    version,
    architecture,
    parameters,
    size,
    memory,
    license,
    license_url,
    source,
    good_for,
    root,
  };
}

function noVersion(what: string, name: string): never {
  throw new SlmError(
    'invalid_argument',
    `Expected ${what} of ${name}, found none; reload the page to see what there is.`,
  );
}
