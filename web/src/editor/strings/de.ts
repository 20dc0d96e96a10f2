// German: see en.ts.

import type { EditorStrings } from './shape';

export const de: EditorStrings = {
  title: 'Editor für Programmtext',
  editor: 'Programmtext',
  language: 'Sprache des Programmtexts',
  languages: { python: 'Python', javascript: 'JavaScript', text: 'Einfacher Text' },
  model: 'Modell',
  toChoose: 'Modell wählen',
  help: 'Schreiben Sie und halten Sie inne, dann schlägt das Modell etwas vor. Tab übernimmt, Strg+Rechts (am Mac Alt+Rechts) übernimmt ein Wort, Esc verwirft, Strg+Leertaste fragt.',
  plain:
    'Dieses Modell hat nicht gelernt, Lücken zu füllen: Es setzt fort, was vor dem Cursor steht, und sieht nicht, was dahinter steht.',
  ready: 'Bereit',
  closed: 'Das Modell ist nicht geöffnet',
  asking: 'Denkt nach',
  suggested: 'Tab übernimmt, Esc verwirft',
  nothing: 'Kein Vorschlag',
  failed: 'Der Vorschlag ist misslungen',
  dropped: (n) => `${n} Token weit vom Cursor passten nicht hinein`,
  deleted: 'Auswahl gelöscht',
  announced: (text) => `Vorschlag: ${text}`,
};
