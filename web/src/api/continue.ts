// Continuing the last message instead of opening a new turn. As transformers
// does it: the message is rendered with a tag behind it, and the prompt ends
// where the tag came out. It knows nothing of how a template is rendered.

import { SlmError } from '../core/error';
import type { Spans } from '../core/model';
import type { Told } from './tools/messages';

/** A prompt, and which of its characters came from messages. */
export interface Rendered {
  readonly text: string;
  readonly plain: Spans;
}

/** What renders messages, with or without the header of an answer to come. */
export type Renderer = (messages: readonly Told[], add_generation_prompt: boolean) => Rendered;

const TAG = 'CONTINUE_FINAL_MESSAGE_TAG ';

/** The prompt that ends inside the last message. */
export function continued(render: Renderer, messages: readonly Told[]): Rendered {
  const last = messages.at(-1);
  if (last === undefined)
    throw new SlmError('invalid_argument', 'Expected a message to continue, found none; send one.');
  const { content } = last;
  if (typeof content !== 'string')
    throw new SlmError('bad_template', 'Expected text to continue, found none; end with a message of text.');
  const tag = TAG.trimEnd();
  // A thought that was cut off goes on as a thought; templates that add a block
  // of thinking to every answer would close an empty one before it.
  if (!thinks(content)) {
    const tagged = render([...messages.slice(0, -1), { ...last, content: content + TAG }], false);
    const at = tagged.text.lastIndexOf(tag);
    if (at >= 0 && tagged.text.includes(content.trim())) {
      // Where the template trims, the white space at the end belongs to what it trimmed.
      if (tagged.text.startsWith(TAG, at)) return cut(tagged, at);
      return cut(tagged, tagged.text.slice(0, at).trimEnd().length);
    }
  }
  if (last.role !== 'assistant')
    throw new SlmError(
      'bad_template',
      `Expected a chat template that shows the last message, found that it leaves out the ${last.role}'s; continue an answer instead.`,
    );
  // The template rewrites the answer, so it goes on as the model had begun it.
  const asked = render(messages.slice(0, -1), true);
  const begin = asked.text.length;
  return { text: asked.text + content, plain: [...asked.plain, [begin, begin + content.length]] };
}

function thinks(content: string): boolean {
  const open = content.lastIndexOf('<think>');
  return open >= 0 && !content.includes('</think>', open);
}

function cut({ text, plain }: Rendered, length: number): Rendered {
  return {
    text: text.slice(0, length),
    plain: plain
      .filter(([begin]) => begin < length)
      .map(([begin, end]) => [begin, Math.min(end, length)] as const),
  };
}
