// What visitors read when something fails: every code that an error can have.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import type { SlmErrorCode } from '../../../web/src/api/types';
import { describeError, isAway } from '../../../web/src/chat/errors';
import { ALL } from '../../../web/src/chat/strings';
import { type ErrorDetails, SlmError } from '../../../web/src/core/error';

const EXACT = 'Expected 13298688 bytes from http://site.test/models/m/ab12, found 409600 after 7 attempts';
/** Words of those who make pages and models. */
const NOT_FOR_VISITORS = /https?:|HTTP|SHA|manifest|chunk|bytes|Expected|found|server|worker|wasm|_|`/;

/** As api/types.ts declares them. */
function allCodes(): SlmErrorCode[] {
  const source = readFileSync('web/src/api/types.ts', 'utf8');
  const declared = source.slice(source.indexOf('type SlmErrorCode ='));
  const codes = declared.slice(0, declared.indexOf('\n\n')).matchAll(/^ {2}\| '(\w+)'/gm);
  return [...codes].map(([, code]) => code as SlmErrorCode);
}

const DETAILS: readonly (ErrorDetails | undefined)[] = [
  undefined,
  { http_status: null },
  { http_status: 404 },
  { prompt_tokens: 2210, n_ctx: 2048 },
  { needed: 744e6, available: 429e6, estimate: true, cpu_chosen: false },
  { needed: 5e9, available: 4.3e9, estimate: false, cpu_chosen: false },
];

test('every code has a sentence for visitors, a way on, and its own words behind it', () => {
  const codes = allCodes();
  assert(codes.length >= 15 && codes.includes('network') && codes.includes('disposed'));
  const sentences = new Set<string>();
  for (const code of codes)
    for (const details of DETAILS) {
      const error = new SlmError(code, EXACT, details === undefined ? {} : { details });
      const { sentence, exact, remedies } = describeError(error, false);
      assert.match(sentence, /^\p{Lu}.*[.]$/u);
      assert(!NOT_FOR_VISITORS.test(sentence), `${code}: ${sentence}`);
      assert.equal(exact, EXACT);
      assert(remedies.length > 0);
      if (details === undefined) sentences.add(sentence);
    }
  assert.equal(sentences.size, codes.length);
});

test('in every language', () => {
  for (const [language, { failures, unforeseen, incompleteSite }] of Object.entries(ALL)) {
    const sentences = allCodes().map((code) => failures[code]);
    assert.equal(new Set([...sentences, unforeseen, incompleteSite]).size, sentences.length + 2);
    for (const sentence of sentences)
      assert(/[.।]$/.test(sentence) && !NOT_FOR_VISITORS.test(sentence), `${language}: ${sentence}`);
  }
});

test('what is not ours is not shown as it is either', () => {
  const { sentence, exact, remedies } = describeError(new TypeError('x is undefined'), false);
  assert(!sentence.includes('undefined'));
  assert.equal(exact, 'x is undefined');
  assert(remedies.length > 0);
});

test('only a server that is away is worth waiting for', () => {
  const network = (http_status: number | null) =>
    new SlmError('network', EXACT, { details: { http_status } });
  for (const status of [null, 408, 429, 500, 503]) assert(isAway(network(status)));
  for (const status of [401, 403, 404, 410]) assert(!isAway(network(status)));
  assert(!isAway(new SlmError('corrupt', EXACT)));
  assert(!isAway(new Error('network')));
});
