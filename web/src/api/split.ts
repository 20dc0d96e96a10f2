// Which GGUF files make one model: the names that llama.cpp's gguf-split gives to
// the parts of a set, as py/slmweb/core/files.py knows them. Nothing is fetched
// or read; whether the files belong together the core sees in their headers.

import { SlmError } from '../core/error';

// As many as a manifest may list.
const MAX_FILES = 64;
const PART = /-(\d{5})-of-(\d{5})(\.gguf)$/i;

/** One file, or one of a set. */
interface Place {
  /** The name without what gguf-split adds, and without .gguf. */
  readonly stem: string;
  readonly number: number;
  readonly count: number;
}

export function placeOf(fileName: string): Place {
  const [, number, count] = PART.exec(fileName) ?? [];
  const place = { number: Number(number ?? 1), count: Number(count ?? 1) };
  // A name that no set has is a name like any other.
  const counts = count !== undefined && place.number >= 1 && place.number <= place.count;
  if (!counts) return { stem: fileName.replace(/\.gguf$/i, ''), number: 1, count: 1 };
  if (place.count > MAX_FILES)
    throw new SlmError(
      'unsupported',
      `Expected a split set of at most ${MAX_FILES} files, found ${fileName}; join it with llama.cpp's gguf-split --merge.`,
    );
  return { stem: fileName.replace(PART, ''), ...place };
}

export const fileNameOf = (url: URL): string => decodeName(url.pathname.split('/').at(-1)!);

// A lone % is allowed in an address.
function decodeName(name: string): string {
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/** The addresses of all files of the model that `url` is a file of, in order. */
export function wholeSet(url: URL): URL[] {
  const { count } = placeOf(fileNameOf(url));
  if (count === 1) return [url];
  return Array.from({ length: count }, (_, i) => {
    const part = new URL(url);
    const number = `${i + 1}`.padStart(5, '0');
    part.pathname = url.pathname.replace(PART, `-${number}-of-$2$3`);
    return part;
  });
}

/** Files that are named as one set, by their numbers; any others as they are given. */
export function inOrder<T>(files: readonly T[], nameOf: (file: T) => string): T[] {
  const placed = files.map((file) => ({ file, place: placeOf(nameOf(file)) }));
  const [first] = placed;
  const isSet = placed.every(({ place }) => place.count === files.length && place.stem === first?.place.stem);
  return (isSet ? placed.sort((a, b) => a.place.number - b.place.number) : placed).map(({ file }) => file);
}
