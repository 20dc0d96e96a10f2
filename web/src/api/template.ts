// The chat template of a model: Jinja that came with the GGUF, run by
// @huggingface/jinja, whose output equals that of transformers on our goldens.
// It turns messages into the prompt's text and nothing else.

import { Template } from '@huggingface/jinja';
import { SlmError } from '../core/error';
import type { ChatMessage } from './types';

export interface TemplateTokens {
  readonly bos_token: string;
  readonly eos_token: string;
}

export class ChatTemplate {
  readonly #template: Template;
  readonly #tokens: TemplateTokens;

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
        `Expected a chat template that can be parsed, found: ${sentence(error)}; use completions.create instead.`,
        { cause: error },
      );
    }
    this.#tokens = tokens;
  }

  /** The prompt up to where the assistant begins to speak. */
  render(messages: readonly ChatMessage[], args: Readonly<Record<string, unknown>> = {}): string {
    try {
      return this.#template.render({ ...this.#tokens, add_generation_prompt: true, ...args, messages });
    } catch (error) {
      throw new SlmError(
        'bad_template',
        `The model's chat template does not take these messages: ${sentence(error)}.`,
        { cause: error },
      );
    }
  }

  /** Like render; where the template refuses a system message, its text opens the first user message. */
  renderAny(messages: readonly ChatMessage[], args?: Readonly<Record<string, unknown>>): string {
    try {
      return this.render(messages, args);
    } catch (error) {
      const [first, second, ...others] = messages;
      if (first?.role !== 'system' || second?.role !== 'user') throw error;
      return this.render([{ ...second, content: `${first.content}\n\n${second.content}` }, ...others], args);
    }
  }

  /** Most templates write BOS themselves, and a second one would confuse the model. */
  writesBos(text: string): boolean {
    return this.#tokens.bos_token !== '' && text.startsWith(this.#tokens.bos_token);
  }
}

function sentence(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replace(/[.\s]+$/, '');
}
