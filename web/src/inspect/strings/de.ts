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

  // features
  views: 'Was gezeigt wird',
  byLayer: 'Nächste Token je Schicht',
  byFeature: 'Merkmale',
  introFeatures:
    'Ein Sparse Autoencoder zerlegt, was das Modell bei einem Token festhält, in Merkmale, von denen jeweils wenige aktiv sind. Wählen Sie ein Token, um seine stärksten Merkmale zu sehen, oder ein Merkmal, um zu sehen, wo in Ihrem Text es aktiv ist.',
  sae: 'Sparse Autoencoder',
  openSae: 'Datei öffnen',
  openingSae: 'Wird geöffnet',
  noSaes:
    'Zu diesem Modell gehört kein Autoencoder. Öffnen Sie die Datei eines solchen (.gguf, von „slmweb sae“), oder ziehen Sie sie hierher; sie bleibt auf diesem Gerät.',
  noSae: (file) => `${file} ist kein Autoencoder dieses Modells.`,
  sites: { residual: 'Residuum', mlp: 'Feed-Forward-Netz', heads: 'Attention-Köpfe' },
  saeFacts: (layer, site, features, labels) =>
    `Schicht ${layer}, ${site}; Merkmale: ${features}, mit Beschreibung: ${labels}`,
  reading: 'Der Text wird gelesen',
  writing: 'Der Text wird fortgesetzt',
  doneTokens: (tokens) => `Token: ${tokens}`,
  tokens: 'Token des Textes',
  pickToken:
    'Wählen Sie ein Token, mit einem Klick oder den Pfeiltasten: Hier stehen dann seine stärksten Merkmale.',
  strongest: (token) => `Stärkste Merkmale bei „${token}“`,
  first: 'Was beim ersten Token aktiv ist, bedeutet wenig: Seine Zahlen gleichen keinen anderen.',
  none: 'Hier ist kein Merkmal aktiv.',
  feature: (n) => `Merkmal ${n}`,
  noLabel: 'ohne Beschreibung',
  active: (n, all, most) => `Aktiv bei ${n} von ${all} Token, höchstens ${most}`,
  inactive: 'In diesem Text nicht aktiv',
  unpick: 'Aufheben',
  find: 'Merkmal suchen',
  findWords: 'Ein Wort der Beschreibung oder die Nummer',
  findNumber: (last) => `Die Nummer, 0 bis ${last}`,
  found: (n) => `Gefunden: ${n}`,
  foundFirst: (n, all) => `Gefunden: ${all}, davon hier die ersten ${n}`,
  steer: 'Mit diesem Merkmal lenken',
  strength: 'Stärke',
  steerNote: (layer) =>
    `So oft wird seine Richtung hinter Schicht ${layer} bei jedem Token addiert, in der Einheit seiner Aktivierungen. Unter null wird sie abgezogen.`,
  noSteer: 'Ein Merkmal von Attention-Köpfen hat keine Richtung im Residuum, mit der man lenken könnte.',
  goOn: 'Mit und ohne fortsetzen',
  without: 'Ohne',
  with: (feature, strength) => `Mit Merkmal ${feature}, ${strength}`,
  nothing: '(Der Text endet hier.)',
  continued: 'Beide Fortsetzungen sind da.',
};
