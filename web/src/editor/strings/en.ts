// English: the words of the editor page beside those that it shares with the chat.
// The other languages have the same keys, which the compiler holds them to.

export const en = {
  title: 'Code editor',
  editor: 'Code',
  language: 'Language of the code',
  languages: { python: 'Python', javascript: 'JavaScript', text: 'Plain text' },
  model: 'Model',
  toChoose: 'Choose a model',
  help: 'Write, pause, and the model suggests. Tab accepts, Ctrl+Right (on a Mac Alt+Right) accepts a word, Esc dismisses, Ctrl+Space asks.',
  plain:
    'This model has not learned to fill in text: it goes on with what is before the cursor and does not see what is behind it.',
  ready: 'Ready',
  closed: 'The model is not open',
  asking: 'Thinking',
  suggested: 'Tab accepts, Esc dismisses',
  nothing: 'Nothing to suggest',
  failed: 'The suggestion failed',
  dropped: (n: string) => `${n} tokens far from the cursor did not fit`,
  deleted: 'Selection deleted',
  announced: (text: string) => `Suggestion: ${text}`,
} as const;
