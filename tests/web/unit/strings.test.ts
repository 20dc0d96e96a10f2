// The words of the chat in every language: the same keys, the plural cases that
// the language has, the arguments in the sentence; and which language is chosen.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { chooseLanguage, LANGUAGES } from '../../../web/src/chat/language';
import { ALL } from '../../../web/src/chat/strings';
import { ALL as EDITOR } from '../../../web/src/editor/strings';
import { ALL as INSPECT } from '../../../web/src/inspect/strings';

type Leaf = string | ((...given: never[]) => string);

/** Every string and function of a language, by its path. */
function leaves(value: unknown, path = ''): [string, Leaf][] {
  if (typeof value === 'string' || typeof value === 'function') return [[path, value as Leaf]];
  return Object.entries(value as object).flatMap(([key, inner]) => leaves(inner, `${path}.${key}`));
}

test('a site chooses the language, else the visitor, else it is English', () => {
  assert.equal(chooseLanguage('hi', ['de-AT', 'en']), 'hi');
  assert.equal(chooseLanguage('', ['fr', 'de-AT', 'en']), 'de');
  assert.equal(chooseLanguage('', ['AR-EG']), 'ar');
  assert.equal(chooseLanguage('', ['fr', 'ja']), 'en');
  assert.equal(chooseLanguage('', []), 'en');
});

test('every language has the keys of English, none empty and none left in English', () => {
  const english = new Map(leaves(ALL.en));
  // Names, units and marks that are the same word in another language.
  const same =
    /^\.(version|perSecond|rate|said|inDomain|seconds|minutes|hours|sliders\.(top|min)_[pk]\.label|keyList\..*\.0)$/;
  const alike = {
    de: /^\.(name|parameters|kernel|versionFact|threadsLabel|plainText|domain)$|amount|Version/,
  };
  for (const language of LANGUAGES) {
    const words = leaves(ALL[language]);
    assert.deepEqual(
      words.map(([path]) => path),
      [...english.keys()],
      language,
    );
    for (const [path, word] of words) {
      if (typeof word === 'string') assert(word.trim() !== '', `${language}${path}`);
      if (language === 'en' || typeof word !== 'string' || same.test(path)) continue;
      if (language === 'de' && alike.de.test(path)) continue;
      assert(word !== english.get(path), `${language}${path}`);
    }
  }
});

test('and so have the other pages', () => {
  for (const page of [EDITOR, INSPECT]) {
    const english = new Map(leaves(page.en));
    for (const language of LANGUAGES) {
      const words = leaves(page[language]);
      assert.deepEqual(
        words.map(([path]) => path),
        [...english.keys()],
        language,
      );
      for (const [path, word] of words)
        if (language !== 'en' && typeof word === 'string' && !/\.(python|javascript)$/.test(path))
          assert(word !== english.get(path), `${language}${path}`);
    }
  }
});

test('a sentence says all that it is given, in every language', () => {
  for (const language of LANGUAGES)
    for (const [path, word] of leaves(ALL[language])) {
      if (typeof word === 'string') continue;
      // Text in place of every argument: a number that only chooses the words is not said.
      const given = Array.from({ length: word.length }, (_, i) => `<${i}>`);
      const said = (word as (...given: string[]) => string)(...given);
      const expected = leaves(ALL.en).find(([other]) => other === path)?.[1] as (...g: string[]) => string;
      const marks = (text: string) => (text.match(/<\d>/g) ?? []).sort();
      assert.deepEqual(marks(said), marks(expected(...given)), `${language}${path}`);
    }
});

test('numbers take the words that the language has for them', () => {
  assert.equal(ALL.en.tokens(1, '1'), '1 token');
  assert.equal(ALL.en.tokens(0, '0'), '0 tokens');
  assert.equal(ALL.de.tokens(1, '1'), '1 Token');
  assert.equal(ALL.de.tokens(1024, '1.024'), '1.024 Tokens');
  assert.equal(ALL.ar.tokens(2, '٢'), 'رمزان');
  assert.equal(ALL.ar.tokens(5, '٥'), '٥ رموز');
  assert.equal(ALL.ar.tokens(11, '١١'), '١١ رمزًا');
  assert.equal(ALL.ar.tokens(100, '١٠٠'), '١٠٠ رمز');
  for (const language of LANGUAGES)
    for (const n of [0, 1, 2, 3, 11, 100, 1.5]) assert.match(ALL[language].dropped(n), /\S/);
});

test('every word is said somewhere in the chat', () => {
  const sources = readdirSync('web/src/chat').filter((file) => file.endsWith('.ts'));
  const text = sources.map((file) => readFileSync(`web/src/chat/${file}`, 'utf8')).join('\n');
  const said = new Set([...text.matchAll(/\b(?:S|words)\.(\w+)/g)].map(([, key]) => key));
  assert.deepEqual(
    Object.keys(ALL.en).filter((key) => !said.has(key)),
    [],
  );
  // The groups are asked by a key that the compiler holds to them; nothing else may be.
  assert.deepEqual(
    Object.keys(ALL.en).filter((key) => typeof ALL.en[key as keyof typeof ALL.en] === 'object'),
    [
      ...['checks', 'checkStates', 'checkNotes', 'gpuNotices', 'measuring', 'faster', 'rules'],
      ...['examples', 'baseExamples', 'phase', 'ask', 'failures', 'notices', 'sliders', 'keyList'],
    ],
  );
});
