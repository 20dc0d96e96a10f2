// What visitors read about how a model runs here: every code, in every language.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BackendNotice } from '../../../web/src/api/backend';
import type { Notice } from '../../../web/src/api/notices';
import { LANGUAGES } from '../../../web/src/chat/language';
import { say } from '../../../web/src/chat/notice';
import { ALL } from '../../../web/src/chat/strings';
import { whyNotKept } from '../../../web/src/store/notice';
import { whyShorter } from '../../../web/src/store/room';

const FIGURES = { n_ctx: 512, wanted: 2048, needed: 454e6, available: 429e6 };
const SIZES = { size: 98e6, usage: 12e6, quota: 55e6 };
type Any = Notice | BackendNotice;
type Samples = { readonly [C in Any['code']]: readonly Extract<Any, { code: C }>[] };

/** The compiler asks for every code. */
const SAMPLES: Samples = {
  relaxed_simd: [{ code: 'relaxed_simd' }],
  plain_simd: [{ code: 'plain_simd' }],
  variant_asked: [{ code: 'variant_asked', variant: 'simd-mt' }],
  one_thread: [{ code: 'one_thread' }],
  threads: [
    { code: 'threads', threads: 2, cores: 4 },
    { code: 'threads', threads: 8, cores: 16 },
  ],
  no_threads: [{ code: 'no_threads' }],
  not_isolated: [{ code: 'not_isolated' }],
  few_addresses: [{ code: 'few_addresses', bytes: 1.1e9 }],
  context_by_browser: [{ code: 'context_by_browser', ...FIGURES }],
  context_by_device: [{ code: 'context_by_device', ...FIGURES, device_memory: 0.5 }],
  keeps_no_files: [{ code: 'keeps_no_files' }],
  not_stored: [{ code: 'not_stored', error: 'InvalidStateError' }],
  storage_full: [
    { code: 'storage_full', ...SIZES },
    { code: 'storage_full', ...SIZES, size: null },
    { code: 'storage_full', size: 98e6, usage: null, quota: null },
  ],
  gpu_used: [{ code: 'gpu_used', device: 'Voodoo 5' }],
  cpu_asked: [{ code: 'cpu_asked' }],
  gpu_missing: [{ code: 'gpu_missing' }],
  gpu_none_found: [{ code: 'gpu_none_found' }],
  gpu_software: [{ code: 'gpu_software', device: 'Voodoo 5' }],
  gpu_limit: [{ code: 'gpu_limit', limit: 'maxBufferSize', needed: 454e6, available: 429e6 }],
  gpu_out_of_memory: [{ code: 'gpu_out_of_memory', needed: 454e6, given: 12e6 }],
  gpu_wrong: [
    { code: 'gpu_wrong', check: 'kernels', error: 0.37, bound: 0.005 },
    { code: 'gpu_wrong', check: 'known_answer', error: null, bound: null },
  ],
  gpu_senseless: [{ code: 'gpu_senseless', repeated: null }],
  gpu_failed: [{ code: 'gpu_failed', error: 'Device is hung.' }],
  gpu_lost: [{ code: 'gpu_lost', losses: 1 }],
  gpu_given_up: [{ code: 'gpu_given_up', losses: 2 }],
};
const NOTICES: readonly Any[] = Object.values(SAMPLES).flat();

/** Every figure of a notice that is said, as it is written in any of our languages and in this test's locale. */
const MARKS: Readonly<Record<string, RegExp>> = {
  variant: /simd-mt/,
  threads: /[28]/,
  cores: /4|16/,
  bytes: /1[.,]1/,
  n_ctx: /512/,
  wanted: /2[.,]?048/,
  needed: /454/,
  available: /429/,
  device_memory: /0[.,]5/,
  error: /InvalidStateError|Device is hung\W*\)?[.।]|37/,
  device: /Voodoo 5/,
  limit: /maxBufferSize/,
  given: /12/,
  bound: /0[.,]5/,
  size: /98/,
  usage: /12/,
  quota: /55/,
  losses: /2|lost\. The|verloren gegangen|فُقدت شريحة الرسوم\.|छूट गई। मॉडल/,
};

test('every code is a sentence with all its figures, in every language', () => {
  for (const language of LANGUAGES) {
    const said = new Set<string>();
    for (const notice of NOTICES) {
      const sentence = say(notice, ALL[language]);
      assert(/[.।]$/.test(sentence), `${language}: ${sentence}`);
      for (const [key, value] of Object.entries(notice))
        if (key in MARKS && value !== null) assert(MARKS[key]!.test(sentence), `${language}: ${sentence}`);
      said.add(sentence);
    }
    assert.equal(said.size, NOTICES.length, language);
  }
});

test('none is left in English', () => {
  const english = /\b(the|this|it|has|of|with|runs)\b/i;
  const own = ({ code }: Any) => code === 'gpu_failed'; // the browser's words
  for (const language of LANGUAGES)
    for (const notice of NOTICES.filter((one) => !own(one))) {
      const sentence = say(notice, ALL[language]);
      assert.equal(english.test(sentence), language === 'en', `${language}: ${sentence}`);
    }
});

test('those who make pages read one English sentence', () => {
  assert.equal(
    whyNotKept({ code: 'keeps_no_files' }, 'stays in memory'),
    'This browser keeps no files for this page (a private window?), so the model stays in memory.',
  );
  assert.equal(
    whyNotKept(SAMPLES.storage_full[0]!, 'was not fetched'),
    'The model needs 98 MB of storage, more than this browser gives this site (12 MB in use of 55 MB), so it was not fetched; free some space to keep it.',
  );
  assert.match(whyNotKept(SAMPLES.storage_full[1]!, 'x'), /^The model needs more storage than/);
  assert.match(whyNotKept(SAMPLES.not_stored[0]!, 'x'), /\(InvalidStateError\), so it x\.$/);
  assert.match(whyShorter(SAMPLES.context_by_browser[0]!), /this browser gives a page at most 429 MB\.$/);
});
