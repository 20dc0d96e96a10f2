// Which addresses and files make one model.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fileNameOf, inOrder, placeOf, wholeSet } from '../../../web/src/api/split';

const all = (url: string) => wholeSet(new URL(url)).map(({ href }) => href);
const SET = ['a b-00001-of-00003.gguf', 'a b-00002-of-00003.gguf', 'a b-00003-of-00003.gguf'];

test('any file of a set names all of it, and what follows the path stays', () => {
  const at = (n: number) => `https://a.test/x%20y/m-0000${n}-of-00002.GGUF?download=true`;
  assert.deepEqual(all(at(1)), [at(1), at(2)]);
  assert.deepEqual(all(at(2)), [at(1), at(2)]);
});

test('other names stand for themselves', () => {
  const impossible = ['m-00000-of-00002.gguf', 'm-00003-of-00002.gguf'];
  for (const name of ['m.gguf', 'm-1-of-2.gguf', '50%.gguf', ...impossible])
    assert.deepEqual(all(`https://a.test/${name}`), [`https://a.test/${name}`]);
  assert.equal(fileNameOf(new URL('https://a.test/50%.gguf')), '50%.gguf');
});

test('a stem is what gguf-split was given', () => {
  assert.deepEqual(placeOf(SET[1]!), { stem: 'a b', number: 2, count: 3 });
  assert.deepEqual(placeOf('m-00001-of-00001.gguf'), { stem: 'm', number: 1, count: 1 });
  assert.throws(() => placeOf('m-00001-of-00065.gguf'), { code: 'unsupported' });
});

test('a set is put in order, anything else is not', () => {
  const named = (names: readonly string[]) => inOrder(names, (name) => name);
  assert.deepEqual(named(SET.toReversed()), SET);
  const twoSets = ['c-00002-of-00002.gguf', 'd-00001-of-00002.gguf'];
  for (const other of [['b.gguf', 'a.gguf'], SET.slice(1).toReversed(), twoSets])
    assert.deepEqual(named(other), other);
});
