// English: every word that the chat says. The other languages have the same keys,
// which the compiler holds them to. A file of words knows no markup and no state:
// plain sentences, or functions from numbers (already formatted) and names to
// sentences. Where a number changes the words, it comes along as a number.

import type { Notice } from '../../api/notices';
import type { LoadPhase, SlmErrorCode } from '../../api/types';
import type { AskReason } from '../begin';
import { pluralOf } from '../language';
import { computing } from './computing/en';

const plural = pluralOf<'one' | 'other'>('en');

export const en = {
  ...computing,
  you: 'You',
  conversation: 'Conversation',
  statement: 'Runs on this device. Nothing you type leaves this page.',
  statementShort: 'Stays on this device.',

  // header
  newChat: 'New chat',
  copyAll: 'Copy chat',
  settings: 'Settings',
  toDark: 'Switch to dark colours',
  toLight: 'Switch to light colours',
  aboutModel: (title: string) => `About ${title}`,
  aboutInDomain: (title: string, domain: string) => `About ${title}, answering in the domain ${domain}`,
  aboutShort: 'About',

  // a guard
  ofGuard: (doing: string) => `The guard: ${doing}`,
  refusedPrompt: (rules: string) =>
    `Not answered. The guard found that your message breaks the rule ${rules}.`,
  refusedAnswer: (rules: string) => `Not shown. The guard found that the answer breaks the rule ${rules}.`,
  guardErrs: 'It is a small model on this device and can be wrong. Nobody else has read this.',
  rewrite: 'Change the message',
  guardsHere: 'Checks what is asked and answered here.',
  whereGuard: (title: string) => `${title} checks messages by the rules of this site, on this device, too.`,
  quote: (words: string) => `“${words}”`,
  rules: {
    dangerous: 'No dangerous content',
    harassment: 'No harassment',
    hate: 'No hate speech',
    sexual: 'No sexually explicit content',
  },

  // composer
  message: 'Message',
  placeholder: (who: string) => `Ask ${who}`,
  placeholderBase: 'Begin a text; the model goes on',
  placeholderLoading: 'Write while it loads',
  placeholderClosed: 'The model is not open',
  placeholderNone: 'Choose a model first',
  send: 'Send',
  stop: 'Stop',

  // pictures
  picturesOfMessage: 'Pictures of this message',
  addPicture: 'Add a picture',
  takePicture: 'Take a picture',
  picture: (n: string, all: string) => `Picture ${n} of ${all}`,
  pictures: (n: number) => plural(n, { one: 'One picture', other: `${n} pictures` }),
  removePicture: (n: string) => `Remove picture ${n}`,
  pictureAdded: (n: string) => `Picture ${n} is added.`,
  pictureRemoved: 'The picture is removed.',
  tooManyPictures: (most: string) => `A message may have at most ${most} pictures.`,
  noPicture: (name: string) => `${name} is no picture that this browser can show; use JPEG, PNG or WebP.`,
  seesNoPictures: (who: string) => `${who} sees no pictures; choose a model that does.`,
  notYetPictures: 'Open a model first; not every model sees pictures.',
  looking: 'Looking at the picture',
  foundInPicture: (labels: string) => `The picture with what was found in it: ${labels}`,
  outlined: (label: string) => `${label} (outlined)`,
  noOutlines:
    'The answer outlines what it found, but this model came without what draws outlines; the boxes show where it is.',
  outlinesFailed: 'What the answer outlines could not be drawn; the boxes show where it is.',

  // turns
  edit: 'Edit',
  retry: 'Retry',
  copy: 'Copy',
  copied: 'Copied',
  copyFailed: 'Press Ctrl+C',
  cancel: 'Cancel',
  resend: 'Send again',
  editLabel: 'Edit your message',
  previousVersion: 'Earlier version',
  nextVersion: 'Later version',
  version: (i: number, n: number) => `${i} / ${n}`,
  waiting: 'Waiting for the model',
  waitingClosed: 'Waiting: the model is not open.',
  reading: (done: string, total: string) => `Reading ${done} of ${total} tokens`,
  thinking: 'Starting',
  stopped: 'Stopped.',
  emptyAnswer: 'The model ended its answer without a word.',
  limitReached: (tokens: string) => `Stopped after ${tokens}, the limit in Settings.`,
  contextEnded: 'Stopped: the context is full.',
  dropped: (n: number) =>
    plural(n, {
      one: 'The message above no longer fits; the model does not see it.',
      other: 'Messages above this line no longer fit; the model does not see them.',
    }),
  jump: 'Jump to the latest',
  said: (who: string, text: string) => `${who}: ${text}`,
  answering: (who: string) => `${who} is answering`,
  tokens: (n: number, shown: string) => plural(n, { one: `${shown} token`, other: `${shown} tokens` }),
  perSecond: (n: string) => `${n} tokens/s`,
  promptPerSecond: (n: string) => `prompt ${n}/s`,
  codeLabel: (lang: string) => `Code, ${lang}`,
  plainText: 'text',
  copyUrl: (url: string) => `Copy the address ${url}`,
  linkNote: 'Links do not open from this page; this copies the address',
  image: (alt: string) => (alt === '' ? 'Image' : `Image: ${alt}`),
  footnote: (label: string) => `Footnote ${label}`,
  toText: (label: string) => `Footnote ${label}, back to the text`,
  showAll: 'Show all',
  showLess: 'Show less',
  unfold: 'More',

  // first screen
  headline: 'A small model, on your device.',
  pitch: (title: string) =>
    `${title} answers right here, without a server. It is quick and often wrong: check what matters.`,
  basePitch: (title: string) =>
    `${title} is a base model: it does not chat, it continues the text that you begin.`,
  examplesLabel: 'Things to try',
  examples: [
    'Why is the sky blue? Two sentences, please.',
    'Give me five ideas for a rainy afternoon.',
    'Write a short poem about the sea at night.',
    'Write a Python function that reverses a string.',
  ],
  baseExamples: [
    'The lighthouse keeper opened the door and',
    'Three things that every sailor knows:',
    'Water boils at a lower temperature on a mountain because',
  ],

  // amounts of time
  seconds: (n: string) => `${n} s`,
  minutes: (n: string) => `${n} min`,
  hours: (n: string) => `${n} h`,

  // opening a model
  choose: 'Choose a model',
  chooseNote: 'It is fetched once from this site, checked, and kept on this device.',
  download: (size: string) => `Download ${size}`,
  open: 'Open',
  storedHere: 'on this device',
  opening: (title: string) => `Opening ${title}`,
  phase: {
    check: 'Looking at what is stored',
    wait: 'Waiting for another tab that is downloading it',
    download: 'Downloading',
    lost: 'Connection lost, trying again',
    compile: 'Preparing the engine',
    load: 'Loading into memory',
  } satisfies Record<LoadPhase, string>,
  amount: (loaded: string, total: string) => `${loaded} of ${total}`,
  rate: (rate: string) => `${rate}/s`,
  left: (time: string) => `${time} left`,
  need: (size: string) => `about ${size} of memory`,
  halted: (title: string) => `${title} is not open.`,
  kept: (loaded: string, total: string) => `${loaded} of ${total} are here and kept.`,
  ask: {
    large: (title: string, size: string) =>
      `${title} is a download of ${size}. It happens once; after that the model is on this device.`,
    metered: (title: string, size: string) =>
      `${title} is a download of ${size}, and you seem to be on a mobile network. It happens once; waiting for Wi-Fi may save you money.`,
    saveData: (title: string, size: string) =>
      `${title} is a download of ${size}, and your browser is set to save data. It happens once.`,
  } satisfies Record<AskReason, (title: string, size: string) => string>,
  resume: 'Continue',

  // versions
  update: 'Update',
  later: 'Later',
  newVersion: (title: string, version: string | null, cost: string) =>
    `A new version of ${title} is there (${version === null ? '' : `${version}, `}${cost}).`,
  toFetch: (size: string) => `${size} to fetch`,
  nothingToFetch: 'already on this device',
  fetching: 'Fetching the new version',
  fetched: 'The new version is here. It opens when this answer has ended.',
  updated: (title: string, version: string | null) =>
    version === null ? `${title} is up to date.` : `${title} now runs version ${version}.`,
  refused: 'The new version could not be verified and is not used. The one you have goes on.',
  versionFact: 'Version',
  versions: 'Other versions',
  aNewVersion: 'New version',
  theVersionBefore: 'Version before',
  namedVersion: (version: string) => `Version ${version}`,
  goBack: (version: string | null) => `Go back to ${version ?? 'it'}`,
  keptSize: (size: string) => `on this device, ${size}`,

  // conversations
  conversations: 'Conversations',
  thisConversation: 'This conversation',
  inThisTab: 'In this tab',
  noConversations: 'Nothing has been said yet.',
  saveMarkdown: 'Save as text (Markdown)',
  saveJson: 'Save with all versions (JSON)',
  openFile: 'Open a file',
  openNamed: (title: string) => `Open: ${title}`,
  delete: 'Delete',
  deleteNamed: (title: string) => `Delete: ${title}`,
  deleted: 'The conversation is deleted.',
  undo: 'Undo',
  isShown: 'shown now',
  messages: (n: number, shown: string) => plural(n, { one: `${shown} message`, other: `${shown} messages` }),
  keptFormer: 'A new chat. The one before is kept in Conversations.',
  fileNoConversation:
    'This file is no conversation that was saved here; choose one that ends in .json or .md.',
  saveTooLong: (most: string, turns: string) =>
    `The conversation takes more than ${most}, its pictures included, or has more than ${turns} messages, and could not be opened again; save it as text.`,
  savePictureGone:
    'A picture of this conversation cannot be read any more, because its file was moved or changed; save the conversation as text.',
  fileTooLong: (most: string) => `A conversation may have at most ${most} characters; this file has more.`,
  fileTooLarge: (name: string, size: string, most: string) =>
    `${name} has ${size}, and at most ${most} are read; take the part that you need.`,
  fileNoText: (name: string) => `${name} is no text file; only text can be read into a question.`,

  // going on, and room for it
  goOn: 'Continue',
  useAndAnswer: (n: string) => `Use ${n} tokens and answer`,
  useAndGoOn: (n: string) => `Use ${n} tokens and continue`,
  dropAndGoOn: 'Drop the oldest turns and continue',
  useTokens: (n: string) => `Use ${n} tokens`,
  nearlyFull: (percent: string) =>
    `The context is ${percent}% full. When it is full, the model cannot see the whole conversation any more.`,
  willNotFit: (all: string, n_ctx: string) =>
    `With this message it would be about ${all} tokens, and the context holds ${n_ctx}.`,
  queued: 'It will be sent when the answer has ended.',
  notYet: 'Not yet',
  ready: (who: string) => `${who} is ready.`,
  promptCached: 'prompt cached',
  contextWith: (used: string, draft: string, all: string) => `${used} + about ${draft} / ${all} context`,

  // errors
  noStart: 'The chat could not start.',
  dropOldest: 'Drop the oldest turns',
  tryAgain: 'Try again',
  tryAnyway: 'Try anyway',
  reloadModel: 'Reload the model and try again',
  contextFull: (prompt: string, nCtx: string) =>
    `This conversation takes ${prompt} tokens and the model's context holds ${nCtx}.`,
  unforeseen: 'Something failed that was not foreseen.',
  details: 'Details',
  triesAgain: 'It is tried again by itself.',
  /** One for each code of SlmError; the error's own words stand behind "Details". */
  failures: {
    invalid_argument: 'That could not be done as asked. Change the settings, or reload the page.',
    bad_file: 'The model on this device cannot be read. Try again, and what is damaged is fetched anew.',
    unsupported:
      'The model cannot run in this browser, or not in the way this page was opened. A current browser in an ordinary window helps most often.',
    out_of_memory:
      'There was not enough memory. Close other tabs, or choose a shorter context or a smaller model.',
    context_full: 'This conversation is longer than what the model can look back on.',
    wrong_state: 'The model was busy with something else. Try again in a moment.',
    bad_manifest: 'What this site says about the model cannot be used. Whoever runs the site has to mend it.',
    bad_signature:
      'The model does not carry the signature that this page asks for, so it is not opened. Whoever runs the site has to mend it.',
    no_room: 'This browser has no room left to keep the model. Free some space and try again.',
    too_large: 'The model needs more memory than this device can give. Choose a smaller one.',
    network: 'The site cannot be reached. Check your connection.',
    corrupt:
      'What arrives from this site is damaged. Try again later; whoever runs the site may have to mend it.',
    bad_template: 'The model could not be given this conversation. Start a new chat.',
    crashed: 'The model has stopped. Reload it and try again.',
    disposed: 'The model was closed. Reload it and try again.',
  } satisfies Record<SlmErrorCode, string>,
  incompleteSite: 'This site does not have all of the model. Whoever runs the site has to mend it.',
  tooLarge: (needed: string, available: string) =>
    `The model needs ${needed} of memory, and a page can have ${available} here. Choose a smaller model, or a browser that lends pages the graphics chip (WebGPU).`,
  tooLargeEstimate: (needed: string, available: string) =>
    `The model needs ${needed} of memory, and ${available} is what a page should take of this device. More could close the tab: choose a smaller model, or try anyway.`,
  noModels: 'This site offers no model yet. Whoever runs it has to add one.',

  // how it runs
  /** One for each code of Notice: what is worth saying about how the model runs here. */
  notices: {
    relaxed_simd: 'The engine runs with relaxed SIMD.',
    plain_simd: 'The engine runs without relaxed SIMD, which this browser lacks: it is slower.',
    variant_asked: (variant: string) => `The engine runs in the build ${variant}, as was asked.`,
    one_thread: 'It has one thread.',
    threads: (n: number, cores: string) =>
      `It has ${plural(n, { one: 'one thread', other: `${n} threads` })}; logical processors here: ${cores}.`,
    no_threads: 'It has one thread, because this browser has no WebAssembly threads.',
    not_isolated:
      'It has one thread, because this page is not isolated: its server does not send the headers for that (COOP and COEP).',
    few_addresses: (size: string) => `This device let it reserve only ${size} of memory addresses.`,
    context_by_browser: (n_ctx: string, wanted: string, needed: string, available: string) =>
      `The context is ${n_ctx} tokens instead of ${wanted}, which would need ${needed} of memory; this browser gives a page at most ${available}.`,
    context_by_device: (n_ctx: string, wanted: string, needed: string, available: string, reported: string) =>
      `The context is ${n_ctx} tokens instead of ${wanted}, which would need ${needed} of memory; a page should take at most ${available} of the ${reported} that this device reports.`,
    keeps_no_files:
      'This browser keeps no files for this page (a private window?). The model stays in memory and will be downloaded again next time.',
    not_stored: (error: string) =>
      `This browser could not store the model (${error}). It stays in memory and will be downloaded again next time.`,
    storage_full:
      'This browser has too little room for the model. It stays in memory and will be downloaded again next time; free some space to keep it.',
  } satisfies Record<Notice['code'], string | ((...given: never[]) => string)>,
  storageNeeds: (size: string) => `It takes ${size}.`,
  storageUsed: (used: string, quota: string) => `Of the ${quota} for this site, ${used} are in use.`,

  // meter
  contextUse: 'Context in use',
  contextOf: (used: string, all: string) => `${used} / ${all} context`,
  memory: (size: string) => `${size} memory`,

  // settings
  systemPrompt: 'System prompt',
  systemHint: 'Instructions that come before the conversation. Empty: the model’s own.',
  sampling: 'Sampling',
  reset: 'Reset to the model’s own',
  seedLabel: 'Seed',
  seedHint: 'The same seed gives the same answer. Empty: a new one each time.',
  seedAny: 'any',
  keepSeed: (n: number) => `Keep the last one, ${n}`,
  sliders: {
    temperature: { label: 'Temperature', hint: '0 always takes the likeliest word; more is freer.' },
    top_p: { label: 'Top p', hint: 'Keeps the likeliest words up to this share. 1 is off.' },
    top_k: { label: 'Top k', hint: 'Keeps this many words. 0 is off.' },
    min_p: { label: 'Min p', hint: 'Drops words far less likely than the best. 0 is off.' },
    repeat_penalty: {
      label: 'Repeat penalty',
      hint: 'Above 1 the model repeats itself less. 1 is off.',
    },
    max_tokens: { label: 'Longest answer', hint: 'In tokens, about three quarters of a word each.' },
    strength: {
      label: 'Strength',
      hint: '1 is as trained. Less keeps more of the model itself, more exaggerates.',
    },
  },
  overflowLabel: 'When the context is full, drop the oldest turns',
  overflowHint: 'Otherwise the chat asks first.',
  engine: 'Engine',
  contextLength: 'Context length',
  contextHint: 'Tokens that the model can look back on. More takes more memory.',
  threadsLabel: 'Threads',
  threadsHint: 'Compute threads on this processor.',
  threadsOne: 'This page is not isolated, so the engine has one thread.',
  auto: 'automatic',
  applyReload: 'Reload with these',
  close: 'Close',

  domain: 'Domain',
  domainNone: 'None, the model alone',
  domainHint: 'What the model has learnt on top. Takes effect with the next answer.',
  inDomain: (who: string, domain: string) => `${who} · ${domain}`,

  // model card
  model: 'Model',
  name: 'Name',
  licence: 'Licence',
  licenceUnknown: 'not stated',
  source: 'Source',
  architecture: 'Architecture',
  parameters: 'Parameters',
  weights: 'Weights',
  trainedContext: 'Trained context',
  vocabulary: 'Vocabulary',
  picturesFact: 'Pictures',
  seesPictures: (tokens: string) => `It sees them; each takes ${tokens} tokens.`,
  languages: 'Languages',
  tokensUnit: (n: string) => `${n} tokens`,
  layers: (layers: string, width: string) => `${layers} layers, ${width} wide`,
  here: 'How it runs here',
  variant: 'Build',
  kernel: 'Kernel',
  context: 'Context',
  memoryLabel: 'Memory',
  stored: 'Stored',
  storedOpfs: 'In this browser, checked against its SHA-256',
  storedMemory: 'In memory only',
  where: 'What runs where',
  whereModel: (title: string, size: string) =>
    `${title} (${size}) came from this site and was checked on arrival.`,
  whereCompute: (threads: string) => `It computes in this tab, on your processor: WebAssembly, ${threads}.`,
  threadCount: (n: number) => plural(n, { one: 'one thread', other: `${n} threads` }),
  whereFrame:
    'You type into a sealed frame. Its security policy forbids it every network request, and it has no storage. The page around it fetches the model and is never told what you write.',
  whereMemory:
    'Conversations live in this tab: reload or close it and they are gone. Save to a file what you want to keep.',
  siteInstructions: 'Instructions of this site',
  siteInstructionsNote: 'Every conversation here begins with these words. You can change them in Settings.',
  others: 'Models on this site',
  removeStored: 'Remove from this device',
  keptPartly: (size: string) => `partly on this device, ${size}`,
  notHere: 'not on this device',
  keptInAll: (size: string) => `All models here take ${size} of this device.`,
  removeNamed: (title: string, size: string) => `Remove ${title} from this device (${size})`,
  removeSure: (size: string) => `Remove and free ${size}?`,
  pressAgain: 'Press again to remove it, or move on to keep it.',
  removed: (title: string) => `${title} is no longer on this device.`,
  isOpen: 'open',
  keys: 'Keyboard',
  keyList: [
    ['Enter', 'send'],
    ['Shift Enter', 'new line'],
    ['Esc', 'stop'],
    ['↑', 'edit the last message, when the field is empty'],
    ['Ctrl Shift Enter', 'retry'],
    ['Ctrl Shift O', 'new chat'],
    ['/', 'go to the message field'],
  ] as const,
} as const;
