// Pictures before the encoder: the squares and texts that transformers' own processors
// make of the same pictures, and Pillow's filters to the last bit.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shownParts } from '../../../web/src/api/pictures';
import { ChatTemplate } from '../../../web/src/api/template';
import type { Told } from '../../../web/src/api/tools/messages';
import type { ChatMessage, ProjectorName } from '../../../web/src/api/types';
import { pointed } from '../../../web/src/chat/boxes';
import { type Detail, type Laid, PROJECTORS } from '../../../web/src/vision/projectors';
import { places, withPictures } from '../../../web/src/vision/prompt';
import { crop, type Pixels, resize } from '../../../web/src/vision/resize';
import { chunkEnd, readEnd } from '../../../web/src/worker/generate';
import squaresGolden from '../../goldens/squares.json';

interface Case {
  readonly projector: ProjectorName;
  readonly detail: Detail;
  readonly width: number;
  readonly height: number;
  readonly squares: readonly string[];
  /** Width and height of each, where they are not squares of the golden's side. */
  readonly sides?: readonly (readonly [number, number])[];
  readonly text: string | null;
}

const golden = squaresGolden as {
  readonly side: number;
  readonly n_tokens: number;
  readonly patch_size: number;
  readonly factor: number;
  readonly cases: readonly Case[];
};

/** As make_squares.py draws it. */
function drawn(width: number, height: number): Pixels {
  const rgb = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (let c = 0; c < 3; c++)
        rgb[3 * (y * width + x) + c] =
          Math.floor((x * x * 3 + y * y * 5 + x * y * (7 + c) + 31 * c) / 4) % 256;
  return { width, height, rgb };
}

for (const { projector, detail, width, height, squares, sides, text } of golden.cases)
  test(`${projector}, ${detail}: ${width}x${height}`, () => {
    const [soft] = PROJECTORS[projector].soft as [string];
    const { side, n_tokens, patch_size, factor } = golden;
    const shape = { soft, image_size: sides ? 0 : side, n_tokens, patch_size, factor };
    const laid = PROJECTORS[projector].lay(drawn(width, height), shape, detail);
    assert.equal(laid.views.length, squares.length);
    for (const [i, { rgb: square, width, height }] of laid.views.entries()) {
      assert.deepEqual([width, height], sides?.[i] ?? [side, side]);
      const right = Uint8Array.from(atob(squares[i]!), (unit) => unit.charCodeAt(0));
      assert.equal(square.length, right.length);
      const worst = right.reduce((most, value, k) => Math.max(most, Math.abs(value - square[k]!)), 0);
      assert.equal(worst, 0, `square ${i}`);
    }
    if (text !== null) assert.equal(laid.text, text);
    const seen = laid.text.split(soft).length - 1;
    const step = patch_size * factor;
    const right = sides?.map(([across, down]) => (across / step) * (down / step));
    assert.deepEqual(
      laid.views.map((view) => view.n_tokens),
      right ?? squares.map(() => n_tokens),
    );
    assert.equal(
      seen,
      laid.views.reduce((n, view) => n + view.n_tokens, 0),
    );
  });

const MARK = '<start_of_image>';
const laid = (text: string): Laid => ({ views: [], text });

test('a picture stands where the template put its mark, and words keep their place', () => {
  const text = `<bos>user ${MARK}my ${MARK} words${MARK}.`;
  const words: [number, number] = [text.indexOf('my'), text.indexOf(`${MARK}.`)];
  const made = withPictures({ text, plain: [words] }, [laid('[one]'), laid('[two]')], 'gemma3');
  assert.equal(made.text, `<bos>user [one]my ${MARK} words[two].`);
  const [[begin, end]] = made.plain as [[number, number]];
  assert.equal(made.text.slice(begin, end), `my ${MARK} words`);
  assert.equal(made.lead, 0);
});

test('pictures that a prompt begins with are told from the rest', () => {
  const made = withPictures(
    { text: '<image><image><bos>x', plain: [] },
    [laid('ab'), laid('c')],
    'paligemma',
  );
  assert.deepEqual([made.text, made.lead], ['abc<bos>x', 3]);
});

test('a template that leaves pictures out is refused', () => {
  assert.throws(() => withPictures({ text: 'x', plain: [] }, [laid('a')], 'gemma3'), {
    code: 'bad_template',
  });
});

test('squares are found in the tokens, each in one piece', () => {
  assert.deepEqual(places(Int32Array.of(1, 9, 9, 2, 9, 9, 3), 9, [2, 2]), [1, 4]);
  assert.deepEqual(places(Int32Array.of(9, 9, 9, 9), 9, [2, 2]), [0, 2]);
  assert.deepEqual(places(Int32Array.of(9, 9, 9, 1, 9), 9, [3, 1]), [0, 4]);
  assert.deepEqual(places(Int32Array.of(1), 9, []), []);
  for (const ids of [
    [9, 1, 9],
    [9, 9, 9],
    [9, 9, 9, 9],
  ])
    assert.throws(() => places(Int32Array.from(ids), 9, [2]), { code: 'invalid_argument' });
});

test('an evaluation has each picture whole or not at all', () => {
  const vision = { tokens: 10, wholePicture: true, wholePrompt: false };
  const request = {
    ids: new Int32Array(50),
    pictures: [
      [1, 12],
      [2, 22],
    ] as const,
  };
  assert.equal(chunkEnd(0, 8, request, vision), 8);
  assert.equal(chunkEnd(0, 16, request, vision), 12);
  assert.equal(chunkEnd(12, 14, request, vision), 22);
  assert.equal(chunkEnd(12, 30, request, vision), 22);
  assert.equal(chunkEnd(22, 32, request, vision), 32);
  assert.equal(chunkEnd(0, 16, { ...request, pictures: [] }, vision), 16);
  assert.equal(chunkEnd(0, 16, request, { ...vision, wholePicture: false }), 16);
  const whole = { ...vision, wholePrompt: true };
  assert.equal(chunkEnd(0, 4, request, whole), 50);
  assert.equal(chunkEnd(50, 53, request, whole), 53);
});

test('an encoder reads a prompt up to its end, and what was answered comes back token by token', () => {
  assert.equal(readEnd(0, 32, 50), 32);
  assert.equal(readEnd(32, 64, 50), 50);
  assert.equal(readEnd(50, 82, 50), 51);
  assert.equal(readEnd(51, 83, 50), 52);
});

test('PaliGemma is asked about the latest pictures, and its answer goes on', () => {
  const template = new ChatTemplate(PROJECTORS.paligemma.template, { bos_token: '<bos>', eos_token: '' });
  const asked = (...messages: Told[]) =>
    template.prompt(messages, { continues: messages.at(-1)?.role === 'assistant', args: {} });
  const seen = { role: 'user', content: [{ type: 'image' }, { type: 'text', text: 'detect cat' }] } as const;
  const old = { role: 'user', content: [{ type: 'image' }, { type: 'image' }] } as const;
  const answer = { role: 'assistant', content: '<loc0001> cat' } as const;
  assert.equal(asked(seen).text, '<image><bos>detect cat\n');
  const later = asked(old, answer, seen, answer, { role: 'user', content: 'detect <image>' });
  assert.equal(later.text, '<image><bos>detect <image>\n');
  assert.equal(withPictures(later, [laid('..')], 'paligemma').text, '..<bos>detect <image>\n');
  assert.equal(template.writesBos({ ...later, text: '..<bos>x', plain: [] }, 2), true);
  assert.equal(asked(seen, answer).text, '<image><bos>detect cat\n<loc0001> cat');
});

test('of a conversation the pictures are sent that its template shows', () => {
  const picture = (url: string) => ({ type: 'image_url', image_url: { url } }) as const;
  const [one, two] = [picture('data:,1'), picture('data:,2')];
  const messages: ChatMessage[] = [
    { role: 'user', content: [one, { type: 'text', text: 'detect cat' }] },
    { role: 'assistant', content: 'cat' },
    { role: 'user', content: [two] },
    { role: 'user', content: 'and a dog?' },
  ];
  assert.deepEqual(shownParts(messages, false), [one, two]);
  assert.deepEqual(shownParts(messages, true), [two]);
  assert.deepEqual(shownParts(messages.slice(3), true), []);
});

test('a template that shows lists alone is given lists', () => {
  const source =
    "{% for m in messages %}{{ m.role }}:{% for part in m.content %}{{ part.text if part.type == 'text' else '<image>' }}{% endfor %}{{ '\\n' }}{% endfor %}";
  const template = new ChatTemplate(source, { bos_token: '', eos_token: '' });
  const { text, plain } = template.render([
    { role: 'user', content: 'Hello' },
    { role: 'user', content: [{ type: 'image' }, { type: 'text', text: 'there' }] },
  ]);
  assert.equal(text, 'user:Hello\nuser:<image>there\n');
  assert.deepEqual(
    plain.map(([begin, end]) => text.slice(begin, end)),
    ['Hello', 'there'],
  );
});

test('what a model points at becomes boxes and numbered words', () => {
  const codes = Array.from({ length: 16 }, (_, i) => 8 * i);
  const outline = codes.map((code) => `<seg${`${code}`.padStart(3, '0')}>`).join('');
  const { text, found } = pointed(
    `<loc0256><loc0128><loc0512><loc0640>${outline} cat ; <loc0000><loc0000><loc1023><loc1023><seg001><seg127> a dog`,
  );
  assert.equal(text, '**1** cat\n\n **2** a dog');
  assert.deepEqual(found, [
    { box: { left: 0.125, top: 0.25, right: 0.625, bottom: 0.5, label: 'cat' }, codes },
    // Half of an outline is none, or not yet.
    { box: { left: 0, top: 0, right: 1023 / 1024, bottom: 1023 / 1024, label: 'a dog' }, codes: null },
  ]);
  assert.equal(pointed('<loc0001><loc0002><lo').text, '');
  assert.equal(pointed('<loc0009><loc0009><loc0001><loc0001> no box').found.length, 0);
  assert.equal(pointed('a < b').text, 'a < b');
});

test('a crop at the edge is as large as what is there', () => {
  const { width, height, rgb } = crop(drawn(10, 6), 7, 4, 5, 5);
  assert.deepEqual([width, height], [3, 2]);
  assert.deepEqual([...rgb.subarray(0, 3)], [...drawn(10, 6).rgb.subarray(3 * 47, 3 * 48)]);
});

test('a picture of its own size is left as it is', () => {
  const picture = drawn(9, 5);
  assert.equal(resize(picture, 9, 5, 'lanczos').rgb, picture.rgb);
});
