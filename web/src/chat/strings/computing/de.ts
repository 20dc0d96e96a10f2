// German: the words of computing/en.ts.

import { pluralOf } from '../../language';
import type { Computing } from '../shape';

const plural = pluralOf<'one' | 'other'>('de');

export const computing: Computing = {
  // settings
  place: 'Wo gerechnet wird',
  computeOn: 'Rechnen auf',
  computeHint:
    'Automatisch nimmt den Grafikchip, wo einer da ist und jede Prüfung besteht, sonst den Prozessor.',
  chip: 'Grafikchip',
  processor: 'Prozessor',
  chipMemory: 'Speicher darauf',
  chipPrepared: 'Vorbereitet in',
  preparing: (done, total) => `Der Grafikchip wird vorbereitet, ${done} von ${total}`,
  whereGpu: (device) => `Es rechnet in diesem Tab, auf Ihrem Grafikchip: WebGPU, ${device}.`,

  // checks
  checks: { kernels: 'Rechenschritte', weights: 'Modellgewichte', known_answer: 'Bekannte Antwort' },
  checkStates: { passed: 'richtig', failed: 'falsch', absent: 'nicht geprüft' },
  checkNotes: {
    kernels: 'Die größten Rechenschritte werden an kleinen Zahlen versucht, neben einer einfachen Rechnung.',
    weights: 'Was auf dem Chip liegt, wird mit dem verglichen, was gesendet wurde.',
    known_answer: 'Das Modell bringt mit, was es auf einige Tokens antworten muss.',
  },
  unchecked: 'Es gab nichts zu vergleichen.',
  checkFigures: (error, bound) => `Abweichung ${error}, erlaubt sind höchstens ${bound}`,

  // what happens to it
  interrupted:
    'Der Grafikchip ist ausgefallen, während dies geschrieben wurde; es geht weiter, wo es aufgehört hat.',
  gpuNotices: {
    gpu_used: (device) => `Der Grafikchip rechnet: ${device}.`,
    cpu_asked: 'Der Prozessor rechnet, wie gewählt.',
    gpu_missing: 'Der Prozessor rechnet, weil dieser Browser einer Seite keinen Grafikchip leiht (WebGPU).',
    gpu_none_found:
      'Der Prozessor rechnet, weil dieser Browser keinen Grafikchip gefunden hat, den er einer Seite liehe.',
    gpu_software: (device) =>
      `Der Prozessor rechnet: Der einzige Grafikchip hier ist in Software nachgebildet (${device}), und das ist langsamer.`,
    gpu_limit: (limit, needed, available) =>
      `Der Prozessor rechnet, weil der Grafikchip für dieses Modell zu klein ist (${limit}: nötig ${needed}, vorhanden ${available}).`,
    gpu_out_of_memory: (needed, given) =>
      `Der Prozessor rechnet, weil dem Grafikchip der Speicher ausging: ${given} hatte er gegeben, weitere ${needed} hatte er nicht. Ein kürzerer Kontext oder ein kleineres Modell braucht weniger.`,
    gpu_wrong: (check) =>
      `Der Prozessor rechnet, weil der Grafikchip eine Prüfung nicht bestanden hat und deshalb nicht benutzt wird: ${check}.`,
    gpu_senseless: 'Der Prozessor macht weiter, weil der Grafikchip plötzlich Unsinn gerechnet hat.',
    gpu_failed: (error) => `Der Prozessor rechnet, weil der Grafikchip nicht funktioniert hat: ${error}.`,
    gpu_lost:
      'Der Grafikchip ist verloren gegangen. Das Modell wird neu geladen und macht von selbst weiter.',
    gpu_given_up: (n, shown) =>
      `Der Prozessor macht weiter, weil der Grafikchip ${plural(n, { one: `${shown} Mal`, other: `${shown} Mal` })} verloren ging.`,
  },

  // how fast this device is
  howFast: 'Wie schnell ist dieses Gerät?',
  howFastNote: (read, written) =>
    `Das Modell liest ${read} Tokens und schreibt ${written}, erst auf dem Prozessor, dann auf dem Grafikchip. Das dauert etwa eine Minute, in der es nichts anderes beantwortet. Das Ergebnis bleibt auf diesem Gerät.`,
  howFastClosed: 'Gemessen werden kann, wenn ein Modell geöffnet ist und keine Antwort geschrieben wird.',
  measure: 'Messen',
  measureAgain: 'Noch einmal messen',
  measuring: {
    cpu: 'Der Prozessor wird gemessen',
    webgpu: 'Der Grafikchip wird gemessen',
    memory: 'Der Speicher des Grafikchips wird gemessen',
    back: 'Das Modell wird wieder geöffnet',
  },
  readingRate: 'Liest',
  writingRate: 'Schreibt',
  openingTime: 'Geöffnet in',
  notMeasured: 'nicht gemessen',
  gpuMemoryRate: 'Speicher des Grafikchips',
  gpuArithmetic: 'Rechenleistung des Grafikchips',
  gpuShare: (percent) => `Das Schreiben nutzt etwa ${percent} dessen, was sein Speicher kann.`,
  faster: {
    cpu: 'Dieses Modell ist auf dem Prozessor dieses Geräts schneller.',
    webgpu: 'Dieses Modell ist auf dem Grafikchip dieses Geräts schneller.',
  },
  copyResult: 'Das Ergebnis kopieren',
};
