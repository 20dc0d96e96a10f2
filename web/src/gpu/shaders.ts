// shaders.ts: the whole WGSL text of an operation, from its parts in wasm/shaders. Knows what an
// include is and nothing of what it includes.

import type { Operation } from '../generated/gpu.ts';
import { COMMON_TEXTS, FORMAT_TEXTS, OPERATION_TEXTS } from '../generated/shaders.ts';

/** The text of an operation; `format` is the tensor type of the weights that it reads. */
export function expand({ name: operation }: Pick<Operation, 'name'>, format: number): string {
  const included = new Set<string>();
  const resolve = (text: string): string =>
    text.replace(/^\/\/:include (\w+)\n/gm, (_, name: string) => {
      if (included.has(name)) return '';
      included.add(name);
      return resolve(name === 'format' ? formatText(operation, format) : COMMON_TEXTS[name]!);
    });
  const text = OPERATION_TEXTS[operation];
  if (text === undefined) throw new RangeError(`expected an operation of wasm/shaders, found '${operation}'`);
  return resolve(text);
}

function formatText(operation: string, format: number): string {
  const text = FORMAT_TEXTS[format];
  if (text === undefined)
    throw new RangeError(`${operation} reads the tensor types ${Object.keys(FORMAT_TEXTS)}, not ${format}`);
  return text;
}
