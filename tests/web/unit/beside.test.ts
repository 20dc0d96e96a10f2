// What a manifest says of autoencoders and of the encoder of pictures, and that their
// files have to say the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../../web/src/api/types';
import { SlmError } from '../../../web/src/core/error';
import type { SaeFacts } from '../../../web/src/core/sae';
import type { VisionFacts } from '../../../web/src/core/vision';
import { EnginePictures } from '../../../web/src/engine/pictures';
import { EngineSaes } from '../../../web/src/engine/saes';
import { Site } from '../../../web/src/generated/abi';
import { contentRoot, parseManifest } from '../../../web/src/store/manifest';

const FILES = ['ab', 'cd', 'ef'].map((pair, i) => {
  const sha256 = pair.repeat(32);
  return { name: `${pair}.gguf`, size: 10 + i, sha256, chunks: [{ sha256, size: 10 + i }] };
});
const BLOBS = FILES.map(({ size }) => new Blob(['x'.repeat(size)]));

async function manifestWith(beside: object): Promise<Manifest> {
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
      ...beside,
    }),
  );
}

const KNOWN = { name: 'scope', title: 'Scope', site: 'residual', layer: 2, width: 64, features: 100 };
const SCOPE = { ...KNOWN, file: 1, labels: 7, license: 'cc-by-4.0' };
const OTHER = { ...SCOPE, name: 'other', file: 2 };
const EYES = { projector: 'gemma3', image_size: 896, patch_size: 14, n_tokens: 256 };
const VISION = { ...EYES, packed_bytes: 9, encode_bytes: 9, file: 2 };

test('a manifest lists autoencoders or says nothing of them', async () => {
  const { saes } = await manifestWith({ saes: [SCOPE, { ...OTHER, later: 1 }] });
  assert.deepEqual(saes, [SCOPE, OTHER]);
  assert.equal('saes' in (await manifestWith({})), false);
});

test('each lie about an autoencoder is named', async () => {
  const adapters = [{ name: 'law', title: 'Law', file: 1 }];
  const cases: [object, string][] = [
    [{ saes: [SCOPE, { ...OTHER, name: 'scope' }] }, 'saes'],
    [{ saes: [SCOPE, { ...OTHER, file: 1 }] }, 'saes'],
    [{ saes: [SCOPE, OTHER, { ...OTHER, name: 'x', file: 0 }] }, 'saes'], // no file would be the model's
    [{ saes: [SCOPE], adapters }, 'saes[0].file'],
    [{ saes: [OTHER], vision: VISION }, 'saes[0].file'],
    [{ saes: [OTHER], adapters, vision: VISION }, 'saes'],
    [{ saes: [{ ...SCOPE, file: 3 }] }, 'saes[0].file'],
    [{ saes: [{ ...SCOPE, name: '../x' }] }, 'saes[0].name'],
    [{ saes: [{ ...SCOPE, site: 'nowhere' }] }, 'saes[0].site'],
    [{ saes: [{ ...SCOPE, features: 0 }] }, 'saes[0].features'],
    [{ saes: [{ ...SCOPE, labels: 101 }] }, 'saes[0].labels'],
    [{ saes: [{ ...SCOPE, layer: -1 }] }, 'saes[0].layer'],
    [{ saes: [{ ...SCOPE, license: 7 }] }, 'saes[0].license'],
  ];
  for (const [beside, path] of cases)
    await assert.rejects(manifestWith(beside), (error) => {
      assert(error instanceof SlmError);
      assert.equal(error.code, 'bad_manifest');
      assert(error.message.includes(`expected ${path} to be`), error.message);
      return true;
    });
});

const FACTS: SaeFacts = {
  ...{ name: 'Of the file', license: null, site: Site.RESIDUAL, layer: 2, width: 64, features: 100 },
  ...{ labels: 7, packed_bytes: 10, decoder: { offset: 0, row: 4 } },
};

function worker(facts: SaeFacts) {
  return {
    loads: 0,
    freed: [] as number[],
    async load() {
      this.loads += 1;
      return { id: this.loads, facts };
    },
    free(id: number) {
      this.freed.push(id);
    },
    async labels(id: number) {
      return [{ feature: id, label: 'cats' }];
    },
  };
}

test('one of the pack is there by its name, and loaded when it is first used', async () => {
  const fake = worker(FACTS);
  const saes = new EngineSaes(fake, { manifest: await manifestWith({ saes: [SCOPE] }), files: BLOBS });
  const { file: _, ...told } = SCOPE;
  assert.deepEqual(saes.list(), [{ ...told, loaded: false }]);
  assert.equal(fake.loads, 0);
  assert.deepEqual(await saes.ready('scope'), { ...told, loaded: true });
  assert.deepEqual(await saes.labels('scope'), [{ feature: 1, label: 'cats' }]);
  assert.equal(await saes.id('scope'), 1);
  await assert.rejects(saes.add('scope', new Blob(['x'])), /'scope', which is taken/);
  const own = await saes.add('own', new Blob(['x']));
  assert.equal(own.title, 'Of the file');
  saes.remove('own');
  saes.remove('scope');
  assert.deepEqual(saes.list(), [{ ...told, loaded: false }]);
  assert.equal(fake.loads, 2);
});

test('a file that is not what the manifest says is not used', async () => {
  const fake = worker({ ...FACTS, layer: 3 });
  const saes = new EngineSaes(fake, { manifest: await manifestWith({ saes: [SCOPE] }), files: BLOBS });
  await assert.rejects(saes.id('scope'), (error) => {
    assert(error instanceof SlmError);
    assert.equal(error.code, 'bad_manifest');
    assert.match(error.message, /Expected layer of the autoencoder scope to be 2, .*found 3 in its file/);
    return true;
  });
  assert.deepEqual(fake.freed, [1]);
  assert.equal(saes.list()[0]?.loaded, false);
});

test('an encoder of pictures that is another is not used', async () => {
  const manifest = await manifestWith({ vision: VISION });
  for (const [lie, sentence] of [
    [{ n_tokens: 64 }, /Expected n_tokens of the encoder of pictures to be 256, .*found 64/],
    [{ whole_prompt: true }, /Expected whole_prompt .* to be false, .*found true/],
  ] as const) {
    const facts: VisionFacts = {
      ...{ name: null, parameters: 1, packed_bytes: 9, factor: 4, max_tokens: 256 },
      ...{ whole_picture: true, whole_prompt: false },
      ...EYES,
      ...lie,
    };
    let encoded = 0;
    const pictures = new EnginePictures(
      { load: async () => facts, encode: async () => ++encoded, free: () => undefined },
      { manifest, files: BLOBS },
    );
    const asked = pictures.ready([{ width: 1, height: 1, rgb: new Uint8Array(3), at: 0 }], undefined);
    await assert.rejects(asked, (error) => {
      assert(error instanceof SlmError && error.code === 'bad_manifest');
      assert.match(error.message, sentence);
      return true;
    });
    assert.equal(encoded, 0);
  }
});
