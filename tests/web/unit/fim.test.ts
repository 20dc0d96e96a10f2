// Filling in the middle: the prompts of the models' own documentation, and the
// requests that are refused. The cases are those of tests/py/core/test_fim.py.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { infillOf, infillPrompt, trimmed } from '../../../web/src/api/fim';
import type { CompletionParams, FimParams } from '../../../web/src/api/types';
import golden from '../../goldens/fim_cases.json';

const MARKERS = ['prefix', 'suffix', 'middle', 'separator', 'repo'] as const;
const FIRST = 0x110000; // above all letters
const TOKENS = { prefix: 1, suffix: 2, middle: 3, separator: 4, repo: 5, pad: null };

const letters = async (text: string) => Array.from(text, (letter) => letter.codePointAt(0)!);

for (const given of golden.cases) {
  test(`prompts are those that models were taught: ${given.name}`, async () => {
    const names = [given.bos, ...MARKERS.map((marker) => given.tokens[marker])];
    const ids = names.map((name, i) => (name === null ? null : FIRST + i));
    const [bos = null, prefix, suffix, middle, separator = null, repo = null] = ids;
    const tokens = { prefix: prefix!, suffix: suffix!, middle: middle!, separator, repo, pad: null };
    const infill = {
      ...given,
      form: given.form as 'psm' | 'spm',
      files: given.files.map(([path, text]) => ({ path: path!, text: text! })),
    };
    const room = given.room ?? Number.POSITIVE_INFINITY;
    const fitted = await infillPrompt(letters, tokens, bos, infill, room);
    const text = Array.from(fitted.ids, (id) =>
      id >= FIRST ? names[id - FIRST]! : String.fromCodePoint(id),
    );
    assert.deepEqual(
      { text: text.join(''), dropped: fitted.dropped },
      { text: given.text, dropped: given.dropped },
    );
  });
}

test('a beginning is cut so that the next requests begin at the same token', () => {
  const first = (n: number) =>
    trimmed(
      Int32Array.from({ length: n }, (_, i) => i),
      1,
      41,
    ).ids.subarray(0, 2);
  for (let n = 42; n < 52; n++) assert.deepEqual(Array.from(first(n)), [0, 11]);
  for (let n = 52; n < 62; n++) assert.deepEqual(Array.from(first(n)), [0, 21]);
});

const request = (more: object): CompletionParams => ({ prompt: 'a', ...more }) as CompletionParams;

test('without a suffix and without fim a text goes on at its end', () => {
  assert.equal(infillOf(request({}), TOKENS, 'm'), null);
  assert.equal(infillOf(request({ suffix: '' }), null, 'm'), null);
});

test('fim asks for filling in, also at the end of a text', () => {
  const infill = infillOf(request({ fim: {} }), TOKENS, 'm');
  assert.deepEqual(infill, { prefix: 'a', suffix: '', form: 'psm', files: [], path: null, repo: null });
  assert.equal(infillOf(request({ suffix: 'b', fim: { form: 'spm' } }), TOKENS, 'm')?.form, 'spm');
});

test('wrong input is refused in one sentence', () => {
  const refused = (fim: unknown, sentence: RegExp) =>
    assert.throws(
      () => infillOf(request({ fim: fim as FimParams }), TOKENS, 'm'),
      (error) => {
        assert.match((error as Error).message, sentence);
        return (error as { code?: string }).code === 'invalid_argument';
      },
    );
  refused('psm', /^Expected fim to be an object such as/);
  refused({ from: 'psm' }, /^Expected fim with form, files, path and repo only, found from\.$/);
  refused({ form: 'PSM' }, /^Expected fim.form to be 'psm' or 'spm', found PSM\.$/);
  refused({ files: ['a.py'], path: 'b.py' }, /^Expected fim.files to be a list such as/);
  refused({ files: [{ path: 'a.py', text: '' }] }, /^Expected fim.path beside fim.files, found none\.$/);
  refused({ path: 'a\nb' }, /^Expected fim.path to be one line of text/);
  refused({ repo: 7 }, /^Expected fim.repo to be one line of text, found 7\.$/);
});

test('a model that lacks a token is named', () => {
  const lacking = { ...TOKENS, separator: null, repo: null };
  for (const [more, tokens, what] of [
    [{ suffix: 'b' }, null, 'tokens to fill in text with'],
    [{ fim: { path: 'a.py' } }, lacking, 'a token between files'],
    [{ fim: { repo: 'r' } }, lacking, 'a token before the name of a repository'],
  ] as const)
    assert.throws(() => infillOf(request(more), tokens, 'tiny'), {
      code: 'unsupported',
      message: `Expected a model with ${what}, found tiny, which has none; leave it out, or load a model that fills in code.`,
    });
});
