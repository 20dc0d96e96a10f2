// The manifest's list of adapters, and who has which name in an engine.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../../web/src/api/types';
import { SlmError } from '../../../web/src/core/error';
import { EngineAdapters } from '../../../web/src/engine/adapters';
import { contentRoot, parseManifest } from '../../../web/src/store/manifest';

const FILES = ['ab', 'cd', 'ef'].map((pair, i) => {
  const sha256 = pair.repeat(32);
  return { name: `${pair}.gguf`, size: 10 + i, sha256, chunks: [{ sha256, size: 10 + i }] };
});

async function manifestWith(adapters: unknown): Promise<Manifest> {
  return parseManifest(
    JSON.stringify({
      schema: 2,
      name: 'tiny',
      title: 'Tiny',
      version: null,
      architecture: 'llama',
      parameters: 10,
      context_length: 64,
      license: null,
      license_url: null,
      source: null,
      chat_template: null,
      size: 33,
      memory: { weights: 30, n_ctx_default: 32, contexts: [{ n_ctx: 64, bytes: 10 }] },
      sampling: {},
      root: await contentRoot(FILES),
      files: FILES,
      adapters,
    }),
  );
}

const LAW = { name: 'law', title: 'Law', file: 1 };
const TALE = { name: 'tale', title: 'Tales', file: 2 };

test('a manifest lists adapters or says nothing of them', async () => {
  assert.deepEqual((await manifestWith([LAW, { ...TALE, later: 1 }])).adapters, [LAW, TALE]);
  assert.equal('adapters' in (await manifestWith(undefined)), false);
  assert.equal('adapters' in (await manifestWith([])), false);
});

test('each adapter has a name and a file of its own', async () => {
  const cases: [unknown, string][] = [
    ['all', 'adapters'],
    [[LAW, TALE, { ...LAW, name: 'x', file: 0 }], 'adapters'], // no file would be the model's
    [[LAW, { ...TALE, name: 'law' }], 'adapters'],
    [[LAW, { ...TALE, file: 1 }], 'adapters'],
    [[{ ...LAW, file: 3 }], 'adapters[0].file'],
    [[{ ...LAW, file: -1 }], 'adapters[0].file'],
    [[{ ...LAW, file: '1' }], 'adapters[0].file'],
    [[LAW, { ...TALE, name: '../tale' }], 'adapters[1].name'],
    [[{ ...LAW, title: 'x'.repeat(201) }], 'adapters[0].title'],
    [[7], 'adapters[0]'],
  ];
  for (const [adapters, path] of cases)
    await assert.rejects(manifestWith(adapters), (error) => {
      assert(error instanceof SlmError);
      assert.equal(error.code, 'bad_manifest');
      assert(error.message.includes(`expected ${path} to be`), error.message);
      return true;
    });
});

/** A worker that counts, and fails while it is told to. */
function worker() {
  const facts = { name: null, rank: 4, packed_bytes: 100 };
  return {
    loads: 0,
    freed: [] as number[],
    failing: false,
    async load() {
      this.loads += 1;
      if (this.failing) throw new SlmError('bad_file', 'Damaged.');
      return { id: this.loads, facts };
    },
    free(id: number) {
      this.freed.push(id);
    },
  };
}

const BLOBS = FILES.map(({ size }) => new Blob(['x'.repeat(size)]));

test('a listed adapter is loaded when it is first used, and once', async () => {
  const fake = worker();
  const adapters = new EngineAdapters(fake, { manifest: await manifestWith([LAW, TALE]), files: BLOBS });
  assert.equal(fake.loads, 0);
  const twice = await Promise.all([
    adapters.ready([{ name: 'law' }]),
    adapters.ready([{ name: 'law', scale: 2 }]),
  ]);
  assert.deepEqual(twice, [[[1, 1]], [[1, 2]]]);
  assert.equal(fake.loads, 1);
  const [law, tale] = adapters.list();
  assert.deepEqual(law, { name: 'law', title: 'Law', size: 11, loaded: true, rank: 4 });
  assert.equal(tale?.loaded, false);
});

test('a failure is not kept', async () => {
  const fake = worker();
  const adapters = new EngineAdapters(fake, { manifest: await manifestWith([LAW]), files: BLOBS });
  fake.failing = true;
  await assert.rejects(adapters.use([{ name: 'law' }]), /Damaged/);
  await assert.rejects(adapters.add('mine', 'Mine', new Blob(['x'])), /Damaged/);
  assert.deepEqual(adapters.choose(undefined), []);
  assert.equal(adapters.list().length, 1);
  fake.failing = false;
  await adapters.use([{ name: 'law' }]);
  assert.deepEqual(adapters.choose(undefined), [{ name: 'law', scale: 1 }]);
});

test('what is removed is freed and no longer used', async () => {
  const fake = worker();
  const adapters = new EngineAdapters(fake, { manifest: await manifestWith([LAW]), files: BLOBS });
  await adapters.add('mine', 'Mine', new Blob(['x']));
  await adapters.use([{ name: 'mine' }, { name: 'law', scale: 0.5 }]);
  adapters.remove('mine');
  adapters.remove('law');
  await Promise.resolve(); // freeing waits for a load that may be under way
  assert.deepEqual(fake.freed, [1, 2]);
  assert.deepEqual(adapters.choose(undefined), []);
  assert.deepEqual(
    adapters.list().map(({ name, loaded }) => [name, loaded]),
    [['law', false]],
  );
  assert.throws(() => adapters.remove('mine'), /\(law\), found 'mine'/);
});

test('whoever takes over loads what is used then, and what was on its way arrives once', async () => {
  const fake = worker();
  const adapters = new EngineAdapters(fake, { manifest: await manifestWith([LAW, TALE]), files: BLOBS });
  await adapters.ready([{ name: 'law' }]);
  const coming = adapters.ready([{ name: 'tale' }]);
  adapters.restart();
  const loaded = () => adapters.list().map((info) => info.loaded);
  assert.deepEqual(loaded(), [false, false]);
  // The engine asks the next worker for it.
  assert.deepEqual(await Promise.all([coming, adapters.ready([{ name: 'tale' }])]), [[[2, 1]], [[2, 1]]]);
  assert.deepEqual(loaded(), [false, true]);
  assert.deepEqual(await adapters.ready([{ name: 'law' }]), [[3, 1]]);
  assert.equal(fake.loads, 3);
});
