// German: the words of strings/en.ts.

import { pluralOf } from '../language';
import { computing } from './computing/de';
import type { Strings } from './shape';

const plural = pluralOf<'one' | 'other'>('de');

export const de: Strings = {
  ...computing,
  you: 'Sie',
  conversation: 'Gespräch',
  statement: 'Läuft auf diesem Gerät. Was Sie schreiben, verlässt diese Seite nicht.',
  statementShort: 'Bleibt auf diesem Gerät.',

  // header
  newChat: 'Neuer Chat',
  copyAll: 'Chat kopieren',
  settings: 'Einstellungen',
  toDark: 'Zu dunklen Farben wechseln',
  toLight: 'Zu hellen Farben wechseln',
  aboutModel: (title) => `Über ${title}`,
  aboutInDomain: (title, domain) => `Über ${title}, das im Fachgebiet ${domain} antwortet`,
  aboutShort: 'Über das Modell',

  // a guard
  ofGuard: (doing) => `Das Prüfmodell: ${doing}`,
  refusedPrompt: (rules) =>
    `Nicht beantwortet. Das Prüfmodell hält Ihre Nachricht für einen Verstoß gegen ${rules}.`,
  refusedAnswer: (rules) =>
    `Nicht gezeigt. Das Prüfmodell hält die Antwort für einen Verstoß gegen ${rules}.`,
  guardErrs: 'Es ist ein kleines Modell auf diesem Gerät und kann irren. Niemand sonst hat dies gelesen.',
  rewrite: 'Nachricht ändern',
  guardsHere: 'Prüft, was hier gefragt und geantwortet wird.',
  whereGuard: (title) =>
    `${title} prüft Nachrichten nach den Regeln dieser Seite, ebenfalls auf diesem Gerät.`,
  quote: (words) => `„${words}“`,
  rules: {
    dangerous: 'Nichts Gefährliches',
    harassment: 'Keine Belästigung',
    hate: 'Keine Hassrede',
    sexual: 'Nichts sexuell Anstößiges',
  },

  // composer
  message: 'Nachricht',
  placeholder: (who) => `${who} fragen`,
  placeholderBase: 'Beginnen Sie einen Text; das Modell schreibt weiter',
  placeholderLoading: 'Schreiben Sie, während es lädt',
  placeholderClosed: 'Das Modell ist nicht geöffnet',
  placeholderNone: 'Wählen Sie zuerst ein Modell',
  send: 'Senden',
  stop: 'Anhalten',

  // pictures
  picturesOfMessage: 'Bilder dieser Nachricht',
  addPicture: 'Bild hinzufügen',
  takePicture: 'Bild aufnehmen',
  picture: (n, all) => `Bild ${n} von ${all}`,
  pictures: (n) => plural(n, { one: 'Ein Bild', other: `${n} Bilder` }),
  removePicture: (n) => `Bild ${n} entfernen`,
  pictureAdded: (n) => `Bild ${n} ist hinzugefügt.`,
  pictureRemoved: 'Das Bild ist entfernt.',
  tooManyPictures: (most) => `Eine Nachricht kann höchstens ${most} Bilder haben.`,
  noPicture: (name) =>
    `${name} ist kein Bild, das dieser Browser zeigen kann; nehmen Sie JPEG, PNG oder WebP.`,
  seesNoPictures: (who) => `${who} sieht keine Bilder; wählen Sie ein Modell, das es kann.`,
  notYetPictures: 'Öffnen Sie zuerst ein Modell; nicht jedes sieht Bilder.',
  looking: 'Sieht sich das Bild an',
  foundInPicture: (labels) => `Das Bild mit dem, was darin gefunden wurde: ${labels}`,
  outlined: (label) => `${label} (umrissen)`,
  noOutlines:
    'Die Antwort umreißt, was sie fand, aber diesem Modell fehlt, was Umrisse zeichnet; die Rahmen zeigen, wo es ist.',
  outlinesFailed: 'Die Umrisse der Antwort ließen sich nicht zeichnen; die Rahmen zeigen, wo es ist.',

  // turns
  edit: 'Bearbeiten',
  retry: 'Neu versuchen',
  copy: 'Kopieren',
  copied: 'Kopiert',
  copyFailed: 'Strg+C drücken',
  cancel: 'Abbrechen',
  resend: 'Erneut senden',
  editLabel: 'Ihre Nachricht bearbeiten',
  previousVersion: 'Frühere Fassung',
  nextVersion: 'Spätere Fassung',
  version: (i, n) => `${i} / ${n}`,
  waiting: 'Wartet auf das Modell',
  waitingClosed: 'Wartet: Das Modell ist nicht geöffnet.',
  reading: (done, total) => `Liest ${done} von ${total} Tokens`,
  thinking: 'Beginnt',
  stopped: 'Angehalten.',
  emptyAnswer: 'Das Modell hat seine Antwort ohne ein Wort beendet.',
  limitReached: (tokens) => `Nach ${tokens} beendet, der Grenze in den Einstellungen.`,
  contextEnded: 'Beendet: Der Kontext ist voll.',
  dropped: (n) =>
    plural(n, {
      one: 'Die Nachricht darüber passt nicht mehr; das Modell sieht sie nicht.',
      other: 'Die Nachrichten über dieser Linie passen nicht mehr; das Modell sieht sie nicht.',
    }),
  jump: 'Zum neuesten Wort springen',
  said: (who, text) => `${who}: ${text}`,
  answering: (who) => `${who} antwortet`,
  tokens: (n, shown) => plural(n, { one: `${shown} Token`, other: `${shown} Tokens` }),
  perSecond: (n) => `${n} Tokens/s`,
  promptPerSecond: (n) => `Frage ${n}/s`,
  codeLabel: (lang) => `Code, ${lang}`,
  plainText: 'Text',
  copyUrl: (url) => `Die Adresse ${url} kopieren`,
  linkNote: 'Links öffnen sich von dieser Seite aus nicht; dies kopiert die Adresse',
  image: (alt) => (alt === '' ? 'Bild' : `Bild: ${alt}`),
  footnote: (label) => `Fußnote ${label}`,
  toText: (label) => `Fußnote ${label}, zurück zum Text`,
  showAll: 'Alles zeigen',
  showLess: 'Weniger zeigen',
  unfold: 'Mehr',

  // first screen
  headline: 'Ein kleines Modell, auf Ihrem Gerät.',
  pitch: (title) =>
    `${title} antwortet genau hier, ohne Server. Es ist schnell und irrt sich oft: Prüfen Sie, worauf es ankommt.`,
  basePitch: (title) =>
    `${title} ist ein Basismodell: Es führt kein Gespräch, es setzt den Text fort, den Sie beginnen.`,
  examplesLabel: 'Zum Ausprobieren',
  examples: [
    'Warum ist der Himmel blau? Zwei Sätze, bitte.',
    'Gib mir fünf Ideen für einen verregneten Nachmittag.',
    'Schreibe ein kurzes Gedicht über das Meer bei Nacht.',
    'Schreibe eine Python-Funktion, die eine Zeichenkette umdreht.',
  ],
  baseExamples: [
    'Der Leuchtturmwärter öffnete die Tür und',
    'Drei Dinge, die jeder Seemann weiß:',
    'Wasser kocht auf einem Berg bei niedrigerer Temperatur, weil',
  ],

  // amounts of time
  seconds: (n) => `${n} s`,
  minutes: (n) => `${n} min`,
  hours: (n) => `${n} h`,

  // opening a model
  choose: 'Modell wählen',
  chooseNote: 'Es wird einmal von dieser Website geholt, geprüft und auf diesem Gerät behalten.',
  download: (size) => `${size} herunterladen`,
  open: 'Öffnen',
  storedHere: 'auf diesem Gerät',
  opening: (title) => `${title} wird geöffnet`,
  phase: {
    check: 'Sieht nach, was gespeichert ist',
    wait: 'Wartet auf einen anderen Tab, der es herunterlädt',
    download: 'Lädt herunter',
    lost: 'Verbindung verloren, versucht es erneut',
    compile: 'Bereitet das Rechenwerk vor',
    load: 'Lädt in den Arbeitsspeicher',
  },
  amount: (loaded, total) => `${loaded} von ${total}`,
  rate: (rate) => `${rate}/s`,
  left: (time) => `noch ${time}`,
  need: (size) => `etwa ${size} Arbeitsspeicher`,
  halted: (title) => `${title} ist nicht geöffnet.`,
  kept: (loaded, total) => `${loaded} von ${total} sind hier und bleiben erhalten.`,
  ask: {
    large: (title, size) =>
      `${title} ist ein Download von ${size}. Er geschieht einmal; danach ist das Modell auf diesem Gerät.`,
    metered: (title, size) =>
      `${title} ist ein Download von ${size}, und Sie scheinen in einem Mobilfunknetz zu sein. Er geschieht einmal; auf WLAN zu warten, kann Geld sparen.`,
    saveData: (title, size) =>
      `${title} ist ein Download von ${size}, und Ihr Browser soll Daten sparen. Er geschieht einmal.`,
  },
  resume: 'Fortfahren',

  // versions
  update: 'Aktualisieren',
  later: 'Später',
  newVersion: (title, version, cost) =>
    `Von ${title} gibt es eine neue Version (${version === null ? '' : `${version}, `}${cost}).`,
  toFetch: (size) => `${size} zu holen`,
  nothingToFetch: 'schon auf diesem Gerät',
  fetching: 'Holt die neue Version',
  fetched: 'Die neue Version ist da. Sie öffnet sich, wenn diese Antwort zu Ende ist.',
  updated: (title, version) =>
    version === null ? `${title} ist auf dem neuesten Stand.` : `${title} läuft jetzt in Version ${version}.`,
  refused: 'Die neue Version ließ sich nicht prüfen und wird nicht verwendet. Die vorhandene läuft weiter.',
  versionFact: 'Version',
  versions: 'Andere Versionen',
  aNewVersion: 'Neue Version',
  theVersionBefore: 'Version davor',
  namedVersion: (version) => `Version ${version}`,
  goBack: (version) => (version === null ? 'Zu ihr zurückkehren' : `Zu ${version} zurückkehren`),
  keptSize: (size) => `auf diesem Gerät, ${size}`,

  // conversations
  conversations: 'Gespräche',
  thisConversation: 'Dieses Gespräch',
  inThisTab: 'In diesem Tab',
  noConversations: 'Noch wurde nichts gesagt.',
  saveMarkdown: 'Als Text speichern (Markdown)',
  saveJson: 'Mit allen Fassungen speichern (JSON)',
  openFile: 'Datei öffnen',
  openNamed: (title) => `Öffnen: ${title}`,
  delete: 'Löschen',
  deleteNamed: (title) => `Löschen: ${title}`,
  deleted: 'Das Gespräch ist gelöscht.',
  undo: 'Rückgängig',
  isShown: 'gerade zu sehen',
  messages: (n, shown) => plural(n, { one: `${shown} Nachricht`, other: `${shown} Nachrichten` }),
  keptFormer: 'Ein neuer Chat. Der vorige steht noch unter Gespräche.',
  fileNoConversation:
    'Diese Datei ist kein hier gespeichertes Gespräch; wählen Sie eine, die auf .json oder .md endet.',
  saveTooLong: (most, turns) =>
    `Das Gespräch braucht mit seinen Bildern mehr als ${most} oder hat mehr als ${turns} Nachrichten und ließe sich nicht wieder öffnen; sichern Sie es als Text.`,
  savePictureGone:
    'Ein Bild dieses Gesprächs lässt sich nicht mehr lesen, weil seine Datei verschoben oder geändert wurde; sichern Sie das Gespräch als Text.',
  fileTooLong: (most) => `Ein Gespräch darf höchstens ${most} Zeichen haben; diese Datei hat mehr.`,
  fileTooLarge: (name, size, most) =>
    `${name} hat ${size}, und höchstens ${most} werden gelesen; nehmen Sie den Teil, den Sie brauchen.`,
  fileNoText: (name) => `${name} ist keine Textdatei; nur Text kann in eine Frage gelesen werden.`,

  // going on, and room for it
  goOn: 'Fortsetzen',
  useAndAnswer: (n) => `${n} Tokens nehmen und antworten`,
  useAndGoOn: (n) => `${n} Tokens nehmen und fortsetzen`,
  dropAndGoOn: 'Die ältesten Nachrichten weglassen und fortsetzen',
  useTokens: (n) => `${n} Tokens nehmen`,
  nearlyFull: (percent) =>
    `Der Kontext ist zu ${percent} % voll. Ist er voll, sieht das Modell nicht mehr das ganze Gespräch.`,
  willNotFit: (all, n_ctx) =>
    `Mit dieser Nachricht wären es etwa ${all} Tokens, und der Kontext fasst ${n_ctx}.`,
  queued: 'Wird gesendet, sobald die Antwort zu Ende ist.',
  notYet: 'Noch nicht',
  ready: (who) => `${who} ist bereit.`,
  promptCached: 'Frage im Cache',
  contextWith: (used, draft, all) => `Kontext ${used} + etwa ${draft} / ${all}`,

  // errors
  noStart: 'Der Chat konnte nicht starten.',
  dropOldest: 'Die ältesten Nachrichten weglassen',
  tryAgain: 'Noch einmal versuchen',
  tryAnyway: 'Trotzdem versuchen',
  reloadModel: 'Das Modell neu laden und noch einmal versuchen',
  contextFull: (prompt, nCtx) =>
    `Dieses Gespräch hat ${prompt} Tokens, und der Kontext des Modells fasst ${nCtx}.`,
  unforeseen: 'Etwas ist fehlgeschlagen, das nicht vorgesehen war.',
  details: 'Einzelheiten',
  triesAgain: 'Es wird von selbst wieder versucht.',
  failures: {
    invalid_argument: 'Das ging so nicht. Ändern Sie die Einstellungen, oder laden Sie die Seite neu.',
    bad_file:
      'Das Modell auf diesem Gerät lässt sich nicht lesen. Versuchen Sie es erneut, dann wird Beschädigtes neu geholt.',
    unsupported:
      'Das Modell läuft nicht in diesem Browser, oder nicht so, wie diese Seite geöffnet wurde. Meist hilft ein aktueller Browser in einem gewöhnlichen Fenster.',
    out_of_memory:
      'Der Arbeitsspeicher reichte nicht. Schließen Sie andere Tabs, oder wählen Sie einen kürzeren Kontext oder ein kleineres Modell.',
    context_full: 'Dieses Gespräch ist länger, als das Modell zurückblicken kann.',
    wrong_state: 'Das Modell war mit etwas anderem beschäftigt. Versuchen Sie es gleich noch einmal.',
    bad_manifest:
      'Was diese Website über das Modell angibt, ist nicht verwendbar. Wer sie betreibt, muss es beheben.',
    bad_signature:
      'Das Modell trägt nicht die Unterschrift, die diese Seite verlangt, und wird deshalb nicht geöffnet. Wer die Website betreibt, muss es beheben.',
    no_room:
      'Dieser Browser hat keinen Platz mehr, um das Modell zu behalten. Schaffen Sie Platz, und versuchen Sie es erneut.',
    too_large:
      'Das Modell braucht mehr Arbeitsspeicher, als dieses Gerät geben kann. Wählen Sie ein kleineres.',
    network: 'Die Website ist nicht erreichbar. Prüfen Sie Ihre Verbindung.',
    corrupt:
      'Was von dieser Website ankommt, ist beschädigt. Versuchen Sie es später; vielleicht muss es beheben, wer sie betreibt.',
    bad_template: 'Dieses Gespräch ließ sich dem Modell nicht geben. Beginnen Sie ein neues.',
    crashed: 'Das Modell ist stehen geblieben. Laden Sie es neu, und versuchen Sie es noch einmal.',
    disposed: 'Das Modell wurde geschlossen. Laden Sie es neu, und versuchen Sie es noch einmal.',
  },
  incompleteSite: 'Diese Website hat nicht das ganze Modell. Wer sie betreibt, muss es beheben.',
  tooLarge: (needed, available) =>
    `Das Modell braucht ${needed} Arbeitsspeicher, und eine Seite kann hier ${available} haben. Wählen Sie ein kleineres Modell, oder einen Browser, der Seiten den Grafikchip leiht (WebGPU).`,
  tooLargeEstimate: (needed, available) =>
    `Das Modell braucht ${needed} Arbeitsspeicher, und mehr als ${available} sollte eine Seite auf diesem Gerät nicht nehmen. Sonst könnte der Tab geschlossen werden: Wählen Sie ein kleineres Modell, oder versuchen Sie es trotzdem.`,
  noModels: 'Diese Website bietet noch kein Modell an. Wer sie betreibt, muss eines hinzufügen.',

  // how it runs
  notices: {
    relaxed_simd: 'Das Rechenwerk läuft mit Relaxed SIMD.',
    plain_simd: 'Das Rechenwerk läuft ohne Relaxed SIMD, das diesem Browser fehlt: Das ist langsamer.',
    variant_asked: (variant) => `Das Rechenwerk läuft in der Bauart ${variant}, wie verlangt.`,
    one_thread: 'Es hat einen Thread.',
    threads: (n, cores) =>
      `Es hat ${plural(n, { one: 'einen Thread', other: `${n} Threads` })}; logische Prozessoren hier: ${cores}.`,
    no_threads: 'Es hat einen Thread, weil dieser Browser keine Threads für WebAssembly hat.',
    not_isolated:
      'Es hat einen Thread, weil diese Seite nicht isoliert ist: Ihr Server sendet die Kopfzeilen dafür nicht (COOP und COEP).',
    few_addresses: (size) => `Auf diesem Gerät ließen sich nur ${size} Speicheradressen reservieren.`,
    context_by_browser: (n_ctx, wanted, needed, available) =>
      `Der Kontext fasst ${n_ctx} Tokens statt ${wanted}, die ${needed} Arbeitsspeicher brauchten; dieser Browser gibt einer Seite höchstens ${available}.`,
    context_by_device: (n_ctx, wanted, needed, available, reported) =>
      `Der Kontext fasst ${n_ctx} Tokens statt ${wanted}, die ${needed} Arbeitsspeicher brauchten; von den ${reported}, die dieses Gerät angibt, sollte eine Seite höchstens ${available} nehmen.`,
    keeps_no_files:
      'Dieser Browser behält keine Dateien dieser Seite (ein privates Fenster?). Das Modell bleibt im Arbeitsspeicher und wird beim nächsten Mal neu geladen.',
    not_stored: (error) =>
      `Dieser Browser konnte das Modell nicht speichern (${error}). Es bleibt im Arbeitsspeicher und wird beim nächsten Mal neu geladen.`,
    storage_full:
      'Dieser Browser hat zu wenig Platz für das Modell. Es bleibt im Arbeitsspeicher und wird beim nächsten Mal neu geladen; schaffen Sie Platz, um es zu behalten.',
  },
  storageNeeds: (size) => `Es belegt ${size}.`,
  storageUsed: (used, quota) => `Von den ${quota} für diese Website sind ${used} belegt.`,

  // meter
  contextUse: 'Belegter Kontext',
  contextOf: (used, all) => `Kontext ${used} / ${all}`,
  memory: (size) => `${size} Speicher`,

  // settings
  systemPrompt: 'Systemanweisung',
  systemHint: 'Anweisungen, die vor dem Gespräch stehen. Leer: die des Modells.',
  sampling: 'Wortwahl',
  reset: 'Auf die Werte des Modells zurücksetzen',
  seedLabel: 'Startwert',
  seedHint: 'Derselbe Startwert gibt dieselbe Antwort. Leer: jedes Mal ein neuer.',
  seedAny: 'beliebig',
  keepSeed: (n) => `Den letzten behalten, ${n}`,
  sliders: {
    temperature: {
      label: 'Temperatur',
      hint: '0 nimmt immer das wahrscheinlichste Wort; mehr ist freier.',
    },
    top_p: { label: 'Top p', hint: 'Behält die wahrscheinlichsten Wörter bis zu diesem Anteil. 1 ist aus.' },
    top_k: { label: 'Top k', hint: 'Behält so viele Wörter. 0 ist aus.' },
    min_p: {
      label: 'Min p',
      hint: 'Lässt Wörter weg, die weit unwahrscheinlicher sind als das beste. 0 ist aus.',
    },
    repeat_penalty: {
      label: 'Wiederholungsabzug',
      hint: 'Über 1 wiederholt sich das Modell weniger. 1 ist aus.',
    },
    max_tokens: { label: 'Längste Antwort', hint: 'In Tokens, je etwa ein halbes bis drei Viertel Wort.' },
    strength: {
      label: 'Stärke',
      hint: '1 ist wie trainiert. Weniger behält mehr vom Modell selbst, mehr übertreibt.',
    },
  },
  overflowLabel: 'Wenn der Kontext voll ist, die ältesten Nachrichten weglassen',
  overflowHint: 'Sonst fragt der Chat zuerst.',
  engine: 'Rechenwerk',
  contextLength: 'Kontextlänge',
  contextHint: 'Tokens, auf die das Modell zurückblicken kann. Mehr braucht mehr Speicher.',
  threadsLabel: 'Threads',
  threadsHint: 'Rechen-Threads auf diesem Prozessor.',
  threadsOne: 'Diese Seite ist nicht isoliert, daher hat das Rechenwerk einen Thread.',
  auto: 'automatisch',
  applyReload: 'Damit neu laden',
  close: 'Schließen',

  domain: 'Fachgebiet',
  domainNone: 'Keines, nur das Modell',
  domainHint: 'Was das Modell dazugelernt hat. Gilt ab der nächsten Antwort.',
  inDomain: (who, domain) => `${who} · ${domain}`,

  // model card
  model: 'Modell',
  name: 'Name',
  licence: 'Lizenz',
  licenceUnknown: 'nicht angegeben',
  source: 'Quelle',
  architecture: 'Architektur',
  parameters: 'Parameter',
  weights: 'Gewichte',
  trainedContext: 'Trainierter Kontext',
  vocabulary: 'Wortschatz',
  picturesFact: 'Bilder',
  seesPictures: (tokens) => `Es sieht sie; jedes nimmt ${tokens} Tokens ein.`,
  languages: 'Sprachen',
  tokensUnit: (n) => `${n} Tokens`,
  layers: (layers, width) => `${layers} Schichten, ${width} breit`,
  here: 'Wie es hier läuft',
  variant: 'Bauart',
  kernel: 'Kernel',
  context: 'Kontext',
  memoryLabel: 'Speicher',
  stored: 'Gespeichert',
  storedOpfs: 'In diesem Browser, mit dem SHA-256 geprüft',
  storedMemory: 'Nur im Arbeitsspeicher',
  where: 'Was wo läuft',
  whereModel: (title, size) => `${title} (${size}) kam von dieser Website und wurde bei der Ankunft geprüft.`,
  whereCompute: (threads) => `Es rechnet in diesem Tab, auf Ihrem Prozessor: WebAssembly, ${threads}.`,
  threadCount: (n) => plural(n, { one: 'ein Thread', other: `${n} Threads` }),
  whereFrame:
    'Sie schreiben in einem versiegelten Rahmen. Seine Sicherheitsregeln verbieten ihm jede Anfrage ans Netz, und er hat keinen Speicher. Die Seite um ihn herum holt das Modell und erfährt nie, was Sie schreiben.',
  whereMemory:
    'Gespräche leben in diesem Tab: Wenn Sie ihn neu laden oder schließen, sind sie weg. Speichern Sie in einer Datei, was Sie behalten wollen.',
  siteInstructions: 'Anweisungen dieser Website',
  siteInstructionsNote:
    'Jedes Gespräch hier beginnt mit diesen Worten. Sie können sie in den Einstellungen ändern.',
  others: 'Modelle auf dieser Website',
  removeStored: 'Von diesem Gerät entfernen',
  keptPartly: (size) => `teilweise auf diesem Gerät, ${size}`,
  notHere: 'nicht auf diesem Gerät',
  keptInAll: (size) => `Alle Modelle hier belegen ${size} auf diesem Gerät.`,
  removeNamed: (title, size) => `${title} von diesem Gerät entfernen (${size})`,
  removeSure: (size) => `Entfernen und ${size} freigeben?`,
  pressAgain: 'Noch einmal drücken entfernt es; wer weitergeht, behält es.',
  removed: (title) => `${title} ist nicht mehr auf diesem Gerät.`,
  isOpen: 'geöffnet',
  keys: 'Tastatur',
  keyList: [
    ['Eingabe', 'senden'],
    ['Umschalt Eingabe', 'neue Zeile'],
    ['Esc', 'anhalten'],
    ['↑', 'die letzte Nachricht bearbeiten, wenn das Feld leer ist'],
    ['Strg Umschalt Eingabe', 'neu versuchen'],
    ['Strg Umschalt O', 'neuer Chat'],
    ['/', 'zum Nachrichtenfeld'],
  ],
};
