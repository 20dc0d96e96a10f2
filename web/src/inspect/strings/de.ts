// German: see en.ts.

import type { InspectStrings } from './shape';

export const de: InspectStrings = {
  title: 'Ein Modell von innen',
  intro:
    'Hinter jeder seiner Schichten hat das Modell eine Vermutung, was als Nächstes kommt. Jede Zeile ist eine Schicht, die letzte zuoberst; jede Spalte ein Token Ihres Textes; jede Zelle die Vermutung danach. Je kräftiger die Farbe, desto sicherer das Modell.',
  text: 'Ihr Text',
  sample: 'Die Hauptstadt von Frankreich ist',
  look: 'Hineinsehen',
  stop: 'Anhalten',
  model: 'Modell',
  toChoose: 'Modell wählen',
  every: 'Schichten',
  all: 'Alle Schichten',
  nth: (n) => `Jede ${n}. Schicht`,
  closed: 'Das Modell ist nicht geöffnet',
  ready: 'Bereit',
  looking: (done, all) => `Schicht ${done} von ${all}`,
  done: (tokens, layers) => `Token: ${tokens}, Schichten: ${layers}`,
  failed: 'Das ist misslungen',
  stopped: 'Angehalten',
  table: 'Was jede Schicht als Nächstes sagen würde',
  layer: 'Schicht',
  cell: (token, layer) => `Nach „${token}“, hinter Schicht ${layer}`,
  pick: 'Wählen Sie eine Zelle, mit einem Klick oder den Pfeiltasten: Hier stehen dann ihre wahrscheinlichsten Token.',
};
