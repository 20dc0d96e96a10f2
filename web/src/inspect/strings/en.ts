// English: the words of the page that looks inside, beside those that it shares with the
// chat. The other languages have the same keys, which the compiler holds them to.

export const en = {
  title: 'Looking inside a model',
  intro:
    'Behind each of its layers the model has a guess about what comes next. Each row is a layer, the last one on top; each column a token of your text; each cell the guess after it. The stronger the colour, the surer the model.',
  text: 'Text',
  sample: 'The capital of France is',
  look: 'Look inside',
  stop: 'Stop',
  model: 'Model',
  toChoose: 'Choose a model',
  every: 'Layers',
  all: 'All layers',
  nth: (n: string) => `One layer in ${n}`,
  closed: 'The model is not open',
  ready: 'Ready',
  looking: (done: string, all: string) => `Layer ${done} of ${all}`,
  done: (tokens: string, layers: string) => `Tokens: ${tokens}, layers: ${layers}`,
  failed: 'That did not work',
  stopped: 'Stopped',
  table: 'What each layer would say next',
  layer: 'Layer',
  cell: (token: string, layer: string) => `After “${token}”, behind layer ${layer}`,
  pick: 'Choose a cell, with a click or the arrow keys: its likeliest tokens are listed here.',
} as const;
