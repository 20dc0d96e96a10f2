// Messages in OpenAI's shape, as the template of a form takes them: arguments that
// are objects, results with the name of what was called, and ids of the form's length.

import { SlmError } from '../../core/error';
import type { ToolForm } from '../../generated/tool_forms';
import type { ChatMessage, Role, ToolCall } from '../completions';
import { invalid } from '../params';

/** A message as a template gets it: fields that the template alone knows. */
export interface Told {
  readonly role: Role;
  readonly content: unknown;
  readonly name?: string;
  readonly tool_calls?: readonly object[];
  readonly tool_responses?: readonly object[];
}

/** A message whose pictures are marks. */
export type ShownMessage = Omit<ChatMessage, 'content'> & { readonly content: unknown };

/** Whether some message is of a call or of a result. */
export function speaksOfTools(messages: readonly ChatMessage[]): boolean {
  return messages.some(({ role, tool_calls }) => role === 'tool' || tool_calls !== undefined);
}

export function told(messages: readonly ShownMessage[], template: string, form: ToolForm): Told[] {
  if (messages.some(({ tool_calls }) => tool_calls !== undefined) && !template.includes('tool_calls'))
    throw new SlmError(
      'bad_template',
      "Expected a chat template that shows calls of tools, found that it leaves them out; write them into the message's content.",
    );
  const names = new Map<string, string>(); // of what was called, by id
  const known = identities(form.id_length);
  const found = messages.map((message): Told => {
    const { tool_calls, ...others } = message;
    if (tool_calls !== undefined) {
      const calls = tool_calls.map((call) => {
        if (call.id !== undefined) names.set(call.id, call.function.name);
        return {
          ...call,
          ...(call.id === undefined ? {} : { id: known(call.id) }),
          function: { ...call.function, arguments: objectOf(call) },
        };
      });
      return { ...others, tool_calls: calls };
    }
    if (message.role !== 'tool') return others;
    const { tool_call_id: id } = message;
    const name = message.name ?? (id === undefined ? undefined : names.get(id));
    return {
      ...others,
      ...(name === undefined ? {} : { name }),
      ...(id === undefined ? {} : { tool_call_id: known(id) }),
    };
  });
  if (form.results === 'named')
    return found.map((message) =>
      message.role === 'tool' ? { ...message, content: response(message) } : message,
    );
  return form.results === 'tool_responses' ? gathered(found) : found;
}

/** Ids that are of the right length stay, the others are numbered; length 0: all of them stay. */
function identities(length: number): (id: string) => string {
  const ids = new Map<string, string>();
  return (id) => {
    if (length === 0 || (id.length === length && /^[A-Za-z0-9]+$/.test(id))) return id;
    if (!ids.has(id)) ids.set(id, `call${String(ids.size).padStart(length - 4, '0')}`);
    return ids.get(id)!;
  };
}

function objectOf({ function: { name, arguments: given } }: ToolCall): object {
  let value: unknown;
  try {
    value = JSON.parse(given === '' ? '{}' : given);
  } catch {
    value = undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return invalid(`the arguments of a call of ${name} to be the text of a JSON object`, given);
  return value;
}

/** A result's name and what it says: an object where it is one. */
function response({ name, content }: Told): { name: string; response: unknown } {
  let value: unknown;
  try {
    value = JSON.parse(String(content));
  } catch {
    value = undefined;
  }
  const object = typeof value === 'object' && value !== null && !Array.isArray(value);
  return { name: name ?? 'unknown', response: object ? value : content };
}

/** Results, and the answer after them, go into the message that made the calls: one turn. */
function gathered(messages: readonly Told[]): Told[] {
  const found: Told[] = [];
  for (const message of messages) {
    const last = found.at(-1);
    const responses = last?.tool_responses ?? [];
    if (last?.tool_calls === undefined) found.push(message);
    else if (message.role === 'tool')
      found[found.length - 1] = { ...last, tool_responses: [...responses, response(message)] };
    else if (
      message.role === 'assistant' &&
      message.tool_calls === undefined &&
      responses.length > 0 &&
      last.content === ''
    )
      found[found.length - 1] = { ...last, content: message.content };
    else found.push(message);
  }
  return found;
}
