// A manifest is believed in no field: each lie is named with its path.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlmError } from '../../../web/src/core/error';
import { parseManifest } from '../../../web/src/store/manifest';

type Json = Record<string, unknown>;

const SHA = 'ab'.repeat(32);

/** SHA-256 of "file abab… 30\nchunk abab… 16\nchunk cdcd… 14\n", computed by sha256sum. */
const ROOT = '978b598ded909fe991191a48e47ee25dc879dc6be0de07e9616ba9f392837187';

function valid(): Json & { files: Json[]; memory: Json } {
  return {
    schema: 2,
    version: '2026-11',
    chat_template: null,
    root: ROOT,
    name: 'tiny-q4_1',
    title: 'Tiny',
    architecture: 'llama',
    parameters: 10,
    context_length: 64,
    license: 'mit',
    license_url: 'https://example.org/license',
    source: null,
    size: 30,
    memory: { weights: 30, n_ctx_default: 32, contexts: [{ n_ctx: 64, bytes: 100 }] },
    sampling: { temperature: 0.2, not_ours: 'ignored' },
    files: [
      {
        name: 'Tiny (v1).gguf',
        size: 30,
        sha256: SHA,
        chunks: [
          { sha256: SHA, size: 16 },
          { sha256: 'cd'.repeat(32), size: 14 },
        ],
      },
    ],
  };
}

async function rejects(change: (manifest: ReturnType<typeof valid>) => void, path: string): Promise<void> {
  const manifest = valid();
  change(manifest);
  await assert.rejects(parseManifest(JSON.stringify(manifest)), (error) => {
    assert(error instanceof SlmError);
    assert.equal(error.code, 'bad_manifest');
    assert(error.message.includes(`expected ${path} to be`), error.message);
    return true;
  });
}

const EYES = {
  projector: 'gemma3',
  file: 0,
  image_size: 896,
  patch_size: 14,
  n_tokens: 256,
  packed_bytes: 10,
  encode_bytes: 20,
};

test('an encoder of pictures has a file that is nobody else’s', async () => {
  const with_eyes = (vision: object) => (manifest: Json) => {
    manifest.vision = { ...EYES, ...vision };
  };
  await rejects(with_eyes({}), 'vision.file'); // the model's own
  await rejects(with_eyes({ file: 1 }), 'vision.file');
  await rejects(with_eyes({ projector: 'ear' }), 'vision.projector');
  await rejects(with_eyes({ projector: 'toString' }), 'vision.projector');
  for (const key of ['image_size', 'patch_size', 'n_tokens', 'packed_bytes', 'encode_bytes'])
    await rejects(with_eyes({ [key]: -1 }), `vision.${key}`);
  await rejects(with_eyes({ image_size: 0 }), 'vision.factor'); // pictures keep their shape, in squares of so many
});

test('a valid manifest keeps what is known and drops the rest', async () => {
  const manifest = await parseManifest(JSON.stringify({ ...valid(), later: true }));
  assert.equal(manifest.files[0]?.chunks[1]?.size, 14);
  assert.deepEqual(manifest.sampling, { temperature: 0.2 });
  assert.equal('later' in manifest, false);
});

test('every field is checked', async () => {
  await rejects((m) => Object.assign(m, { schema: 1 }), 'schema');
  await rejects((m) => Object.assign(m, { files: [] }), 'files');
  await rejects((m) => Object.assign(m, { files: 'all' }), 'files');
  await rejects((m) => Object.assign(m, { size: 31 }), 'size');
  await rejects((m) => Object.assign(m, { size: '30' }), 'size');
  await rejects((m) => Object.assign(m, { memory: null }), 'memory');
  await rejects((m) => Object.assign(m.memory, { n_ctx_default: 0 }), 'memory.n_ctx_default');
  await rejects((m) => Object.assign(m.memory, { contexts: [] }), 'memory.contexts');
  await rejects((m) => Object.assign(m.memory, { contexts: [{ n_ctx: 64 }] }), 'memory.contexts[0].bytes');
  await rejects((m) => Object.assign(m, { version: '<b>' }), 'version');
  await rejects((m) => Object.assign(m, { chat_template: 7 }), 'chat_template');
  await rejects((m) => Object.assign(m, { root: 'ab' }), 'root');
  await rejects((m) => Object.assign(m, { sampling: { top_k: 'many' } }), 'sampling.top_k');
  await rejects((m) => Object.assign(m.files[0]!, { size: 29 }), 'files[0].size');
  await rejects(
    (m) => Object.assign(m.files[0]!, { chunks: [{ sha256: SHA, size: 30.5 }] }),
    'files[0].chunks[0].size',
  );
  await rejects(
    (m) => Object.assign(m.files[0]!, { chunks: [{ sha256: SHA, size: 2 ** 40 }] }),
    'files[0].chunks[0].size',
  );
  await rejects((m) => m.files.push(m.files[0]!), 'size');
});

const KNOWN = {
  tokens: [1, 30377],
  ids: [7, 5],
  logits: [12.5, 11],
  scale: 2.5,
  bound: 0.0001,
  f16_bound: 0.01,
  arithmetic: 'exact',
};

test('a known answer is kept, and one that could never fail is none', async () => {
  const manifest = await parseManifest(JSON.stringify({ ...valid(), known_answer: { ...KNOWN, later: 1 } }));
  assert.deepEqual(manifest.known_answer, [KNOWN]);
  for (const absent of [{}, { known_answer: null }])
    assert.equal('known_answer' in (await parseManifest(JSON.stringify({ ...valid(), ...absent }))), false);
  const wrong: [Json, string][] = [
    [{ tokens: [] }, '.tokens'],
    [{ tokens: [-1] }, '.tokens[0]'],
    [{ tokens: Array.from({ length: 513 }, () => 1) }, '.tokens'],
    [{ ids: [] }, '.ids'],
    [{ ids: [5, 5] }, '.ids'],
    [{ ids: [7, 0.5] }, '.ids[1]'],
    [{ logits: [12.5] }, '.logits'],
    [{ logits: [12.5, null] }, '.logits[1]'],
    [{ scale: 0 }, '.scale'],
    [{ scale: '2' }, '.scale'],
    [{ bound: 0 }, '.bound'],
    [{ bound: 0.2 }, '.bound'],
    [{ f16_bound: undefined }, '.f16_bound'],
    [{ arithmetic: 'rounded' }, '.arithmetic'],
    [{ layers: [0, 9] }, '.layers'],
  ];
  for (const [change, path] of wrong)
    await rejects((m) => Object.assign(m, { known_answer: { ...KNOWN, ...change } }), `known_answer${path}`);
  await rejects((m) => Object.assign(m, { known_answer: 7 }), 'known_answer');
});

test('known answers of some layers each are those of all layers, in order', async () => {
  const of = (...layers: unknown[]) => layers.map((some) => ({ ...KNOWN, layers: some }));
  const right = of([0, 9], [9, 18]);
  const manifest = await parseManifest(JSON.stringify({ ...valid(), known_answer: right }));
  assert.deepEqual(manifest.known_answer, right);
  const wrong: [unknown[], string][] = [
    [[], ''],
    [of([0, 9], [10, 18]), '[1].layers'],
    [of([1, 9]), '[0].layers'],
    [of([0, 9], undefined), '[1].layers'],
    [of([0, 0]), '[0].layers'],
    [of([0]), '[0].layers'],
    [of([0, 1025]), '[0].layers[1]'],
  ];
  for (const [known_answer, path] of wrong)
    await rejects((m) => Object.assign(m, { known_answer }), `known_answer${path}`);
});

test('the root is computed, not believed', async () => {
  await rejects((m) => Object.assign(m, { root: SHA }), 'root');
  await rejects((m) => Object.assign((m.files[0]!.chunks as Json[])[1]!, { sha256: SHA }), 'root');
  await rejects((m) => Object.assign(m.files[0]!, { sha256: 'cd'.repeat(32) }), 'root');
  // The same bytes, cut elsewhere.
  await rejects((m) => {
    const [first, second] = m.files[0]!.chunks as [Json, Json];
    Object.assign(first, { size: 15 });
    Object.assign(second, { size: 15 });
  }, 'root');
});

test('names cannot lead anywhere', async () => {
  for (const name of ['', '.', '..', '../up', 'a/b', 'a\\b', '.hidden', 'a\0b', 'x'.repeat(300)]) {
    await rejects((m) => Object.assign(m, { name }), 'name');
    await rejects((m) => Object.assign(m.files[0]!, { name }), 'files[0].name');
  }
});

test('hashes have one spelling', async () => {
  for (const sha256 of ['', 'AB'.repeat(32), 'ab'.repeat(31), `${SHA}0`, '../'.repeat(21), 7])
    await rejects((m) => Object.assign(m.files[0]!, { sha256 }), 'files[0].sha256');
});

test('a licence link cannot be a script', async () => {
  for (const license_url of ['javascript:alert(1)', 'http://example.org', 'https://a b', 'data:text/html,x'])
    await rejects((m) => Object.assign(m, { license_url }), 'license_url');
});

test('what is not JSON is said to be so', async () => {
  await assert.rejects(
    parseManifest('<!doctype html>'),
    (error) => error instanceof SlmError && /to be JSON/.test(error.message),
  );
});
