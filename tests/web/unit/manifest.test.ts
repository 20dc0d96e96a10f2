// A manifest is believed in no field: each lie is named with its path.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SlmError } from '../../../web/src/core/error';
import { parseManifest } from '../../../web/src/store/manifest';

type Json = Record<string, unknown>;

const SHA = 'ab'.repeat(32);

function valid(): Json & { files: Json[]; memory: Json } {
  return {
    schema: 1,
    name: 'tiny-q4_1',
    title: 'Tiny',
    architecture: 'llama',
    parameters: 10,
    context_length: 64,
    license: 'mit',
    license_url: 'https://example.org/license',
    source: null,
    size: 30,
    memory: { weights: 30, n_ctx_default: 32 },
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

function rejects(change: (manifest: ReturnType<typeof valid>) => void, path: string): void {
  const manifest = valid();
  change(manifest);
  assert.throws(
    () => parseManifest(JSON.stringify(manifest)),
    (error) => {
      assert(error instanceof SlmError);
      assert.equal(error.code, 'bad_manifest');
      assert(error.message.includes(`expected ${path} to be`), error.message);
      return true;
    },
  );
}

test('a valid manifest keeps what is known and drops the rest', () => {
  const manifest = parseManifest(JSON.stringify({ ...valid(), later: true }));
  assert.equal(manifest.files[0]?.chunks[1]?.size, 14);
  assert.deepEqual(manifest.sampling, { temperature: 0.2 });
  assert.equal('later' in manifest, false);
});

test('every field is checked', () => {
  rejects((m) => Object.assign(m, { schema: 2 }), 'schema');
  rejects((m) => Object.assign(m, { files: [] }), 'files');
  rejects((m) => Object.assign(m, { files: 'all' }), 'files');
  rejects((m) => Object.assign(m, { size: 31 }), 'size');
  rejects((m) => Object.assign(m, { size: '30' }), 'size');
  rejects((m) => Object.assign(m, { memory: null }), 'memory');
  rejects((m) => Object.assign(m.memory, { n_ctx_default: 0 }), 'memory.n_ctx_default');
  rejects((m) => Object.assign(m, { sampling: { top_k: 'many' } }), 'sampling.top_k');
  rejects((m) => Object.assign(m.files[0]!, { size: 29 }), 'files[0].size');
  rejects(
    (m) => Object.assign(m.files[0]!, { chunks: [{ sha256: SHA, size: 30.5 }] }),
    'files[0].chunks[0].size',
  );
  rejects(
    (m) => Object.assign(m.files[0]!, { chunks: [{ sha256: SHA, size: 2 ** 40 }] }),
    'files[0].chunks[0].size',
  );
  rejects((m) => m.files.push(m.files[0]!), 'size');
});

test('names cannot lead anywhere', () => {
  for (const name of ['', '.', '..', '../up', 'a/b', 'a\\b', '.hidden', 'a\0b', 'x'.repeat(300)]) {
    rejects((m) => Object.assign(m, { name }), 'name');
    rejects((m) => Object.assign(m.files[0]!, { name }), 'files[0].name');
  }
});

test('hashes have one spelling', () => {
  for (const sha256 of ['', 'AB'.repeat(32), 'ab'.repeat(31), `${SHA}0`, '../'.repeat(21), 7])
    rejects((m) => Object.assign(m.files[0]!, { sha256 }), 'files[0].sha256');
});

test('a licence link cannot be a script', () => {
  for (const license_url of ['javascript:alert(1)', 'http://example.org', 'https://a b', 'data:text/html,x'])
    rejects((m) => Object.assign(m, { license_url }), 'license_url');
});

test('what is not JSON is said to be so', () => {
  assert.throws(
    () => parseManifest('<!doctype html>'),
    (error) => error instanceof SlmError && /to be JSON/.test(error.message),
  );
});
