// The chat template of a model: Jinja that came with the GGUF. It turns messages
// into the prompt's text and says which characters of it came from them, so that
// nobody's words are taken for the template's control tokens.

import { SlmError } from '../core/error';
import { Template } from '../jinja/template';
import { continued, type Rendered } from './continue';
import type { Told } from './tools/messages';

export interface TemplateTokens {
  readonly bos_token: string;
  readonly eos_token: string;
}

export interface PromptOptions {
  /** Ends inside the last message, rather than where an answer begins. */
  readonly continues: boolean;
  /** Further variables of the template. */
  readonly args: Readonly<Record<string, unknown>>;
}

export class ChatTemplate {
  readonly source: string;
  readonly #template: Template;
  readonly #tokens: TemplateTokens;
  #lists: boolean | null = null;

  constructor(source: string | null, tokens: TemplateTokens) {
    if (source === null)
      throw new SlmError(
        'bad_template',
        'Expected a model with a chat template, found one without (a base model?); use completions.create instead.',
      );
    try {
      this.#template = new Template(source);
    } catch (error) {
      throw new SlmError(
        'bad_template',
        `Expected a chat template that can be parsed, found a syntax error: ${sentence(error)}; use completions.create instead.`,
        { cause: error },
      );
    }
    this.source = source;
    this.#tokens = tokens;
  }

  /** Some templates show what a list has and nothing of a text: those of models that see pictures. */
  #wantsLists(): boolean {
    const shows = (content: unknown) => {
      try {
        const messages = [{ role: 'user', content }];
        return this.#template
          .render({ ...this.#tokens, add_generation_prompt: true }, { messages })
          .text.includes(PROBE);
      } catch {
        return false;
      }
    };
    return !shows(PROBE) && shows([{ type: 'text', text: PROBE }]);
  }

  /** What the template makes of these very messages. */
  render(messages: readonly Told[], args: Readonly<Record<string, unknown>> = {}): Rendered {
    try {
      const { tools = null, documents = null, ...others } = args;
      const own = { ...this.#tokens, add_generation_prompt: true, ...others };
      this.#lists ??= this.#wantsLists();
      const shown = this.#lists ? messages.map(asList) : messages;
      const prompt = this.#template.render(own, { messages: shown, tools, documents });
      return { text: prompt.text, plain: prompt.spans() };
    } catch (error) {
      throw new SlmError(
        'bad_template',
        `The model's chat template does not take these messages: ${sentence(error)}.`,
        { cause: error },
      );
    }
  }

  /** The prompt of a conversation. Where the template refuses a system message, its text opens the
   *  first user message instead. */
  prompt(messages: readonly Told[], { continues, args }: PromptOptions): Rendered {
    const render = (some: readonly Told[], add_generation_prompt: boolean) =>
      this.render(some, { ...args, add_generation_prompt });
    const whole = (some: readonly Told[]) => (continues ? continued(render, some) : this.render(some, args));
    try {
      return whole(messages);
    } catch (error) {
      const [first, second, ...others] = messages;
      if (first?.role !== 'system' || second?.role !== 'user') throw error;
      try {
        return whole([{ ...second, content: opened(String(first.content), second.content) }, ...others]);
      } catch {
        throw error;
      }
    }
  }

  /** Most templates write BOS themselves, and a second one would confuse the model. Pictures of `lead` characters
   *  may stand before it. */
  writesBos({ text, plain }: Rendered, lead = 0): boolean {
    const { bos_token } = this.#tokens;
    const end = lead + bos_token.length;
    return bos_token !== '' && text.startsWith(bos_token, lead) && (plain[0]?.[0] ?? end) >= end;
  }
}

const PROBE = 'Is this shown?';

function asList(message: Told): Told {
  const { content } = message;
  return typeof content === 'string' ? { ...message, content: [{ type: 'text', text: content }] } : message;
}

/** A message's content with words before it. */
function opened(words: string, content: unknown): unknown {
  if (Array.isArray(content)) return [{ type: 'text', text: `${words}\n\n` }, ...content];
  return `${words}\n\n${content}`;
}

function sentence(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/[.\s]+$/, '');
}
