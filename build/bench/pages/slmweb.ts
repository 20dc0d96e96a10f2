// slmweb as an engine to be timed: the bundle that is served, through the public
// API that any page uses.

import type { Slm } from '../../../web/src/api/types';
import type { Request } from './protocol';
import { SLM } from './served';
import { type Engine, expose, measure } from './stream';

let slm: Slm | null = null;

function loaded(): Slm {
  if (slm === null) throw new Error('expected load() before anything else');
  return slm;
}

const engine: Engine = {
  version: '',

  async load({ model, threads, n_ctx }: Request): Promise<void> {
    slm = await SLM.load(model, { threads, n_ctx, baseUrl: '/' });
    const { info } = slm;
    if (info.threads !== threads)
      throw new Error(`expected slmweb on ${threads} threads, found ${info.threads}: ${info.variant_reason}`);
  },

  variant: () => `${loaded().info.variant} ${loaded().info.dot}`,

  async generate(prompt, maxTokens, onPiece): Promise<void> {
    const stream = await loaded().completions.create({
      prompt,
      max_tokens: maxTokens,
      temperature: 0,
      ignore_eog: true,
      stream: true,
    });
    for await (const { choices, usage } of stream) {
      const text = choices[0].text;
      if (usage === undefined) onPiece({ text });
      else
        onPiece({
          text,
          usage: {
            prompt: usage.prompt_tokens,
            completion: usage.completion_tokens,
            cached: usage.prompt_tokens_details.cached_tokens,
          },
        });
    }
  },
};

expose({ measure: (request: Request) => measure(engine, request) });
