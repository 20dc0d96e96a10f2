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
  const { text } = template.prompt(messages, { continues: false, args: {} });
  assert.equal(text, 'user: Be short.\n\nHello\nassistant:');
});

test('other refusals keep the template’s reason', () => {
  const template = new ChatTemplate("{{ raise_exception('Roles must alternate.') }}", TOKENS);
  assert.throws(
    () => template.prompt([{ role: 'user', content: 'x' }], { continues: false, args: {} }),
    (error) => /Roles must alternate\.$/.test((error as Error).message),
  );
});

test('a template with a syntax error is called that, with its line', () => {
  for (const source of ['{% for %}', 'one\n{{ a b }}', '{% if true %}', '{% nosuch %}', '{{ x | nosuch }}'])
    assert.throws(
      () => new ChatTemplate(source, TOKENS),
      (error) => /syntax error: .*\(line \d\)/.test((error as Error).message),
    );
});

const FIXED = { continues: true, args: {} };
const begun = (content: string) =>
  [
    { role: 'user', content: 'Hello' },
    { role: 'assistant', content },
  ] as const;

test('an answer that was begun is not closed and opened again', () => {
  const template = new ChatTemplate(LINES, TOKENS);
  assert.deepEqual(template.prompt(begun('One, two, '), FIXED), {
    text: 'user: Hello\nassistant: One, two, ',
    plain: [
      [6, 11],
      [23, 33],
    ],
  });
});

test('white space that a template trims does not come back when an answer is continued', () => {
  const template = new ChatTemplate(LINES.replace('m.content', 'm.content | trim'), TOKENS);
  assert.equal(template.prompt(begun('One, two, '), FIXED).text, 'user: Hello\nassistant: One, two,');
});

test('where a template rewrites an answer, it goes on as the model had begun it', () => {
  const source = LINES.replace('m.content', "m.content.split('</think>')[-1]");
  const thought = '<think>Hm.</think>One';
  const template = new ChatTemplate(source, TOKENS);
  assert.equal(template.prompt(begun(thought), FIXED).text, `user: Hello\nassistant:${thought}`);
  const adding = new ChatTemplate(LINES.replace('m.content', "'<think></think>' + m.content"), TOKENS);
  assert.equal(
    adding.prompt(begun('One'), FIXED).text,
    'user: <think></think>Hello\nassistant: <think></think>One',
  );
  assert.match(adding.prompt(begun('<think>Hm'), FIXED).text, /assistant:<think>Hm$/);
});

test('only what came from a message is plain, whatever a template does to it', () => {
  const content = '<|x|> a <|y|>';
  const source = `<|x|>{% set c = messages[0].content %}{{ c | upper }}|{{ c.split(' ')[1:] }}|{{ c | replace('x', '<|z|>') }}|{{ c[2:] ~ '<|x|>' }}|{{ '%s<|x|>' % c }}|{{ [c] | tojson }}|{{ '<|' + messages[0].role + '|>' }}`;
  const { text, plain } = new ChatTemplate(source, TOKENS).render([{ role: 'user', content }]);
  const marked = plain.reduceRight(
    (t, [begin, end]) => `${t.slice(0, begin)}«${t.slice(begin, end)}»${t.slice(end)}`,
    text,
  );
  assert.equal(
    marked,
    "<|x|>«<|X|> A <|Y|>»|['«a»', '«<|y|>»']|«<|»<|z|>«|> a <|y|>»|«x|> a <|y|>»<|x|>|«<|x|> a <|y|>»<|x|>|[\"«<|x|> a <|y|>»\"]|<|user|>",
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
