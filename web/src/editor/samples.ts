// What the editor begins with in each language: a few lines that ask to go on.

import type { CodeLanguage } from './code';

export const SAMPLES: Readonly<Record<CodeLanguage, string>> = {
  python: `def mean(values):
    """The arithmetic mean of some numbers."""
    return sum(values) / len(values)


def median(values):
    """The number in the middle, once they are sorted."""
    `,
  javascript: `/** The arithmetic mean of some numbers. */
function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The number in the middle, once they are sorted. */
function median(values) {
  `,
  text: 'Once upon a time there was a small model that',
};
