// Calls of tools: what a model wrote, against the golden answers that Python shares,
// what its template is told, and what a request may say.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ChatMessage, Tool } from '../../../web/src/api/completions';
import { AnswerReader, message } from '../../../web/src/api/tools/answer';
import { begins, knownForm, marks, toolForm, toolUse } from '../../../web/src/api/tools/forms';
import { told } from '../../../web/src/api/tools/messages';
import { type Found, MOST_BODY, MOST_ENDS, ToolParser } from '../../../web/src/api/tools/parser';
import { TOOL_FORMS, type ToolForm } from '../../../web/src/generated/tool_forms';
import { Template } from '../../../web/src/jinja/template';
import templates from '../../goldens/chat_templates.json';
import golden from '../../goldens/tool_answers.json';

const names = new Set(golden.names);
const formOf = (name: string): ToolForm => TOOL_FORMS.find((form) => form.name === name)!;

function parsed(form: ToolForm, text: string, step: number): { content: string; calls: string[][] } {
  const parser = new ToolParser(form, { names, single: false });
  const found: Found[] = [];
  for (let at = 0; at < text.length; at += step) found.push(...parser.push(text.slice(at, at + step)));
  found.push(...parser.finish());
  return {
    content: found.filter((piece) => typeof piece === 'string').join(''),
    calls: found.flatMap((piece) => (typeof piece === 'string' ? [] : [[piece.name, piece.arguments]])),
  };
}

for (const { form, source, text, content, calls } of golden.answers)
  test(`${form}: ${source}`, () => {
    for (const step of [1, 2, 7, text.length])
      assert.deepEqual(parsed(formOf(form), text, step), { content, calls });
    for (let end = 0; end < text.length; end++) {
      const cut = parsed(formOf(form), text.slice(0, end), 5);
      if (cut.calls.length === 0) assert.equal(cut.content, text.slice(0, end));
    }
  });

test('calls to an absurd depth are text', () => {
  const text = `<tool_call>{"name": "get_time", "arguments": {"a": ${'['.repeat(5000)}`;
  assert.deepEqual(parsed(formOf('hermes'), text, text.length), { content: text, calls: [] });
});

/** The form, and how often a body of it was read. */
function counted(name: string): { form: ToolForm; reads: () => number } {
  const form = formOf(name);
  let reads = 0;
  const bodies = () => {
    reads += 1;
    return form.bodies;
  };
  return { form: Object.defineProperty({ ...form }, 'bodies', { get: bodies }), reads: () => reads };
}

test('no end is tried twice', () => {
  const texts = [
    [`<tool_call>{"name": "a${'</tool_call>'.repeat(500)}`, 3],
    [`<tool_call>{"x": [${'"</tool_call>", '.repeat(1000)}`, 1e6],
  ] as const;
  for (const [text, step] of texts) {
    const { form, reads } = counted('hermes');
    assert.deepEqual(parsed(form, text, step), { content: text, calls: [] });
    assert.equal(reads(), MOST_ENDS);
  }
});

test('a bare body is not read at each character', () => {
  const { form, reads } = counted('llama3');
  const text = `{"name": "get_time", "parameters": {"a": "${'b'.repeat(5000)}"}}`;
  assert.deepEqual(parsed(form, text, 1).calls, [['get_time', `{"a":"${'b'.repeat(5000)}"}`]]);
  assert.equal(reads() < 80, true);
});

for (const form of ['hermes', 'llama3'].map(formOf))
  test(`${form.name}: a body of absurd length is text`, () => {
    const [mark, close] = form.bare ? ['', ''] : [form.open, form.close];
    const [begin, end] = ['{"name": "get_time", "parameters": {"a": "', '"}}'];
    for (const more of [0, 1]) {
      const inner = 'b'.repeat(MOST_BODY - begin.length - end.length + more);
      const text = mark + begin + inner + end + close;
      const call = { content: '', calls: [['get_time', `{"a":"${inner}"}`]] };
      for (const step of [1000, text.length])
        assert.deepEqual(parsed(form, text, step), more ? { content: text, calls: [] } : call);
    }
    // It does not wait for the answer's end.
    const parser = new ToolParser(form, { names, single: false });
    assert.notEqual(parser.push(mark + begin + 'b'.repeat(MOST_BODY + 20)).length, 0);
  });

test('what a template is told', () => {
  const messages = golden.conversation as ChatMessage[];
  for (const [form, expected] of Object.entries(golden.told))
    assert.deepEqual(told(messages, 'tool_calls', formOf(form)), expected);
  assert.throws(() => told(messages, 'tools', formOf('lfm2')), { code: 'bad_template' });
  const [, calling] = messages;
  for (const text of ['[1]', '{', '3']) {
    const [call] = calling!.tool_calls!;
    const bad = { ...call!, function: { ...call!.function, arguments: text } };
    assert.throws(() => told([{ ...calling!, tool_calls: [bad] }], 'tool_calls', formOf('hermes')), {
      code: 'invalid_argument',
    });
  }
});

test('a result that nests deeply is told without a fault', () => {
  const content = `{"a": ${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
  const [result] = told([{ role: 'tool', name: 'f', content }], '', formOf('functiongemma'));
  assert.equal((result!.content as { name: string }).name, 'f');
  const template = new Template('{{ messages[0].content | tojson }}');
  assert.throws(() => template.render({ messages: [result!] }), /nests too deeply/);
});

test('a template says which form it is', () => {
  const { functiongemma, hermes, llama3, gemma2, smollm2 } = templates.templates;
  assert.equal(knownForm(functiongemma)?.name, 'functiongemma');
  assert.equal(knownForm(hermes)?.name, 'hermes');
  assert.equal(knownForm(llama3)?.name, 'llama3');
  assert.equal(knownForm(gemma2), null);
  assert.throws(() => toolForm(smollm2, 'SmolLM2'), {
    code: 'bad_template',
    message: /chat template of SmolLM2 knows none/,
  });
  assert.throws(() => toolForm('{{ tools }}<tool_call><function=', 'x'), { code: 'bad_template' });
});

const tool = (name: string): Tool => ({ type: 'function', function: { name, parameters: {} } });

test('the tools of a request', () => {
  assert.equal(toolUse({}), null);
  assert.equal(toolUse({ tools: [] }), null);
  assert.equal(toolUse({ tools: [tool('f')], tool_choice: 'none' }), null);
  const use = toolUse({ tools: [tool('f'), tool('g.h-1')], parallel_tool_calls: false });
  assert.deepEqual([...use!.names], ['f', 'g.h-1']);
  assert.equal(use!.forced, null);
  assert.equal(use!.single, true);
  const bad: [object, RegExp][] = [
    [{ tools: {} }, /tools to be a list/],
    [{ tools: [{ type: 'function' }] }, /tools such as/],
    [{ tools: [null] }, /tools such as/],
    [{ tools: [tool('a b')] }, /letters, digits/],
    [{ tools: [tool('f'), tool('f')] }, /different names/],
    [{ tools: [{ type: 'function', function: { name: 'f', parameters: [] } }] }, /JSON schema/],
    [{ tools: [tool('f')], tool_choice: 'any' }, /tool_choice/],
    [{ tool_choice: 'required' }, /tools beside/],
    [{ tools: [tool('f')], tool_choice: { type: 'function', function: { name: 'g' } } }, /one of the tools/],
    [{ tools: [tool('f')], parallel_tool_calls: 1 }, /parallel_tool_calls/],
  ];
  for (const [given, expected] of bad)
    assert.throws(() => toolUse(given), { code: 'invalid_argument', message: expected });
});

test('an answer that has to call is begun', () => {
  const two = [tool('f'), tool('g')];
  const begun = (form: string, choice: object) => begins(formOf(form), toolUse({ tools: two, ...choice })!);
  const required = { tool_choice: 'required' };
  const named = { tool_choice: { type: 'function', function: { name: 'g' } } };
  assert.equal(begun('hermes', {}), '');
  assert.equal(begun('hermes', required), '<tool_call>\n{"name": "');
  assert.equal(begun('hermes', named), '<tool_call>\n{"name": "g", "arguments":');
  assert.equal(begun('functiongemma', named), '<start_function_call>call:g{');
  const only = toolUse({ tools: [tool('f')], tool_choice: 'required' })!;
  assert.equal(begins(formOf('lfm2'), only), '<|tool_call_start|>[f(');
});

test('an answer in the shape of OpenAI', () => {
  const use = toolUse({ tools: [tool('get_weather')], tool_choice: 'required' })!;
  const reader = new AnswerReader(formOf('functiongemma'), use);
  const deltas = [...reader.read('a:1}<end_'), ...reader.read('function_call> Ok.'), ...reader.finish()];
  const { content, tool_calls } = message(deltas);
  assert.equal(content, 'Ok.');
  assert.match(tool_calls![0]!.id, /^[a-z0-9]{9}$/);
  assert.deepEqual(tool_calls![0]!.function, { name: 'get_weather', arguments: '{"a":1}' });
  assert.equal(reader.reason('stop'), 'tool_calls');
  assert.equal(reader.reason('length'), 'length');
});

test('without tools an answer is text', () => {
  const reader = new AnswerReader(null, null);
  assert.deepEqual(reader.read(' <tool_call> '), [{ content: ' <tool_call> ' }]);
  assert.deepEqual(reader.finish(), []);
  assert.equal(reader.reason('stop'), 'stop');
});

test('the marks of a form', () => {
  assert.deepEqual(marks(formOf('gemma4')), ['<|tool_call>', '<tool_call|>', '<|"|>']);
  assert.deepEqual(marks(formOf('mistral-args')), ['[TOOL_CALLS]', '[ARGS]', '[CALL_ID]']);
});
