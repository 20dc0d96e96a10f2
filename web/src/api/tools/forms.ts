// Which form a model's calls have, and what a request's tools have to be.

import { SlmError } from '../../core/error';
import { TOOL_FORMS, type ToolForm } from '../../generated/tool_forms';
import type { Tool, ToolChoice } from '../completions';
import { invalid } from '../params';

const NAME = /^[A-Za-z0-9_.-]{1,128}$/;

/** The form that the model of this chat template was trained to; null: to none that is known. */
export function knownForm(template: string): ToolForm | null {
  const known = TOOL_FORMS.find(
    ({ template: texts, other }) =>
      texts.some((text) => template.includes(text)) && (other === '' || !template.includes(other)),
  );
  return known ?? null;
}

/** The same, for a request that cannot do without. */
export function toolForm(template: string, model: string): ToolForm {
  if (!template.includes('tools'))
    throw new SlmError(
      'bad_template',
      `Expected a model that calls tools, found that the chat template of ${model} knows none; use a model that was trained for them.`,
    );
  const found = knownForm(template);
  if (found !== null) return found;
  throw new SlmError(
    'bad_template',
    `Expected calls in one of the forms ${TOOL_FORMS.map(({ name }) => name).join(', ')}, found that ${model} writes them in another; use another model.`,
  );
}

/** What a request says of tools; null where it has none, or wants none called. */
export interface ToolUse {
  readonly tools: readonly Tool[];
  readonly names: ReadonlySet<string>;
  /** What has to be called: any of them, or one; null: the model is free. */
  readonly forced: { readonly name: string | null } | null;
  /** Ends after the first call. */
  readonly single: boolean;
}

export function toolUse(given: {
  readonly tools?: readonly Tool[];
  readonly tool_choice?: ToolChoice;
  readonly parallel_tool_calls?: boolean;
}): ToolUse | null {
  const { tools = [], tool_choice: choice = 'auto', parallel_tool_calls: parallel = true } = given;
  if (typeof parallel !== 'boolean') invalid('parallel_tool_calls to be true or false', parallel);
  const names = toolNames(tools);
  const forced = forcedCall(choice, names);
  return names.size === 0 || choice === 'none' ? null : { tools, names, forced, single: !parallel };
}

function toolNames(tools: readonly Tool[]): ReadonlySet<string> {
  if (!Array.isArray(tools)) invalid('tools to be a list', tools);
  const names = new Set<string>();
  for (const tool of tools as readonly Tool[]) {
    if (tool?.type !== 'function' || typeof tool.function !== 'object' || tool.function === null)
      invalid("tools such as {type: 'function', function: {name, description, parameters}}", tool ?? null);
    const { name, parameters = {} } = tool.function;
    if (typeof name !== 'string' || !NAME.test(name))
      invalid("a tool's name of 1 to 128 letters, digits, dots, dashes and underscores", name);
    if (names.has(name)) invalid('tools with different names', name);
    if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters))
      invalid(`the parameters of ${name} to be a JSON schema`, parameters);
    names.add(name);
  }
  return names;
}

function forcedCall(choice: ToolChoice, names: ReadonlySet<string>): ToolUse['forced'] {
  if (choice === 'none' || choice === 'auto') return null;
  if (choice === 'required') {
    if (names.size === 0) invalid("tools beside tool_choice 'required'", 'none');
    // The only one there is needs no choosing.
    return { name: names.size === 1 ? [...names][0]! : null };
  }
  const name = choice?.type === 'function' ? choice.function?.name : undefined;
  if (typeof name !== 'string')
    invalid("tool_choice 'none', 'auto', 'required' or {type: 'function', function: {name}}", choice);
  if (!names.has(name)) invalid('tool_choice to name one of the tools', name);
  return { name };
}

/** What an answer is begun with that has to call a tool. */
export function begins(form: ToolForm, { forced }: ToolUse): string {
  if (forced === null) return '';
  return forced.name === null ? form.begin : form.named.replace('{name}', () => forced.name!);
}

/** The texts that an answer has its form from; those that are special tokens have to be shown. */
export function marks({ open, close, quote, bodies }: ToolForm): readonly string[] {
  const args = bodies.includes('args') ? ['[ARGS]', '[CALL_ID]'] : [];
  return [open, close, quote, ...args].filter((text) => text !== '');
}
