// The chat template around what the goldens compare: BOS, system prompts that a
// template refuses, and templates that are missing or broken.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ChatTemplate } from '../../../web/src/api/template';

const TOKENS = { bos_token: '<s>', eos_token: '</s>' };
const LINES =
  '{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant:{% endif %}';
const STRICT = `{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}${LINES}`;

test('a system message that the template refuses opens the first question instead', () => {
  const template = new ChatTemplate(STRICT, TOKENS);
  const messages = [
    { role: 'system', content: 'Be short.' },
    { role: 'user', content: 'Hello' },
  ] as const;
  assert.throws(() => template.render(messages), { code: 'bad_template' });
  assert.equal(template.renderAny(messages), 'user: Be short.\n\nHello\nassistant:');
});

test('other refusals keep the template’s reason', () => {
  const template = new ChatTemplate("{{ raise_exception('Roles must alternate.') }}", TOKENS);
  assert.throws(
    () => template.renderAny([{ role: 'user', content: 'x' }]),
    (error) => /Roles must alternate\.$/.test((error as Error).message),
  );
});

test('BOS is written once', () => {
  const messages = [{ role: 'user', content: 'x' }] as const;
  const own = new ChatTemplate(`{{ bos_token }}${LINES}`, TOKENS);
  assert.equal(own.writesBos(own.render(messages)), true);
  const none = new ChatTemplate(LINES, TOKENS);
  assert.equal(none.writesBos(none.render(messages)), false);
  const without = new ChatTemplate(`{{ bos_token }}${LINES}`, { bos_token: '', eos_token: '' });
  assert.equal(without.writesBos(without.render(messages)), false);
});

test('a model without a template, or with a broken one, says what to use instead', () => {
  for (const source of [null, '{% for %}'])
    assert.throws(
      () => new ChatTemplate(source, TOKENS),
      (error) => /use completions\.create instead/.test((error as Error).message),
    );
});
