// Arabic: the words of strings/en.ts. A name in another script is isolated, so
// that it keeps its own direction and the marks around it keep theirs.

import { pluralOf } from '../language';
import type { Strings } from './shape';

const plural = pluralOf<Intl.LDMLPluralRule>('ar');

/** Between the marks "first strong isolate" and "pop directional isolate". */
const name = (text: string): string => `\u2068${text}\u2069`;

export const ar: Strings = {
  you: 'أنت',
  conversation: 'المحادثة',
  statement: 'يعمل على هذا الجهاز. ما تكتبه لا يغادر هذه الصفحة.',
  statementShort: 'يبقى على هذا الجهاز.',

  // header
  newChat: 'محادثة جديدة',
  copyAll: 'نسخ المحادثة',
  settings: 'الإعدادات',
  toDark: 'التبديل إلى الألوان الداكنة',
  toLight: 'التبديل إلى الألوان الفاتحة',
  aboutModel: (title) => `عن ${name(title)}`,
  aboutInDomain: (title, domain) => `عن ${name(title)}، وهو يجيب في مجال ${name(domain)}`,
  aboutShort: 'عن النموذج',

  // composer
  message: 'الرسالة',
  placeholder: (who) => `اسأل ${name(who)}`,
  placeholderBase: 'ابدأ نصًا، والنموذج يكمله',
  placeholderLoading: 'اكتب بينما يجري التحميل',
  placeholderClosed: 'النموذج غير مفتوح',
  placeholderNone: 'اختر نموذجًا أولًا',
  send: 'إرسال',
  stop: 'إيقاف',

  // turns
  edit: 'تعديل',
  retry: 'إعادة المحاولة',
  copy: 'نسخ',
  copied: 'تم النسخ',
  copyFailed: 'اضغط Ctrl+C',
  cancel: 'إلغاء',
  resend: 'إرسال من جديد',
  editLabel: 'تعديل رسالتك',
  previousVersion: 'النسخة السابقة',
  nextVersion: 'النسخة التالية',
  version: (i, n) => `${i} / ${n}`,
  waiting: 'في انتظار النموذج',
  reading: (done, total) => `قُرئ ${done} من ${total} رمز`,
  thinking: 'يبدأ',
  stopped: 'أُوقف.',
  emptyAnswer: 'أنهى النموذج جوابه دون أي كلمة.',
  limitReached: (tokens) => `توقف بعد ${tokens}، وهو الحد في الإعدادات.`,
  contextEnded: 'توقف: السياق ممتلئ.',
  dropped: (n) =>
    plural(n, {
      zero: 'لم يعد النموذج يرى ما فوق هذا الخط.',
      one: 'لم تعد الرسالة أعلاه تتسع، فالنموذج لا يراها.',
      two: 'لم تعد الرسالتان أعلاه تتسعان، فالنموذج لا يراهما.',
      few: 'لم تعد الرسائل فوق هذا الخط تتسع، فالنموذج لا يراها.',
      many: 'لم تعد الرسائل فوق هذا الخط تتسع، فالنموذج لا يراها.',
      other: 'لم تعد الرسائل فوق هذا الخط تتسع، فالنموذج لا يراها.',
    }),
  jump: 'الانتقال إلى الأحدث',
  said: (who, text) => `${name(who)}: ${text}`,
  answering: (who) => `${name(who)} يجيب`,
  tokens: (n, shown) =>
    plural(n, {
      zero: `${shown} رمز`,
      one: 'رمز واحد',
      two: 'رمزان',
      few: `${shown} رموز`,
      many: `${shown} رمزًا`,
      other: `${shown} رمز`,
    }),
  perSecond: (n) => `${n} رمز/ث`,
  promptPerSecond: (n) => `السؤال ${n}/ث`,
  codeLabel: (lang) => `شيفرة، ${name(lang)}`,
  plainText: 'نص',
  copyUrl: (url) => `نسخ العنوان ${name(url)}`,
  linkNote: 'لا تُفتح الروابط من هذه الصفحة؛ هذا ينسخ العنوان',
  image: (alt) => (alt === '' ? 'صورة' : `صورة: ${alt}`),

  // first screen
  headline: 'نموذج صغير، على جهازك.',
  pitch: (title) => `${name(title)} يجيب هنا مباشرة، دون خادم. إنه سريع وكثيرًا ما يخطئ: تحقق مما يهمك.`,
  basePitch: (title) => `${name(title)} نموذج أساسي: لا يحادث، بل يكمل النص الذي تبدؤه.`,
  examplesLabel: 'أشياء للتجربة',
  examples: [
    'لماذا السماء زرقاء؟ في جملتين من فضلك.',
    'أعطني خمس أفكار لعصر ممطر.',
    'اكتب قصيدة قصيرة عن البحر ليلًا.',
    'اكتب دالة Python تعكس سلسلة نصية.',
  ],
  baseExamples: [
    'فتح حارس المنارة الباب و',
    'ثلاثة أشياء يعرفها كل بحار:',
    'يغلي الماء على الجبل عند حرارة أقل لأن',
  ],

  // amounts of time
  seconds: (n) => `${n} ث`,
  minutes: (n) => `${n} د`,
  hours: (n) => `${n} س`,

  // opening a model
  choose: 'اختر نموذجًا',
  chooseNote: 'يُجلب مرة واحدة من هذا الموقع، ويُفحص، ويُحفظ على هذا الجهاز.',
  download: (size) => `تنزيل ${size}`,
  open: 'فتح',
  storedHere: 'على هذا الجهاز',
  opening: (title) => `يُفتح ${name(title)}`,
  phase: {
    check: 'ينظر فيما هو محفوظ',
    wait: 'في انتظار علامة تبويب أخرى تنزّله',
    download: 'جارٍ التنزيل',
    compile: 'يجهّز المحرك',
    load: 'يحمّل إلى الذاكرة',
  },
  amount: (loaded, total) => `${loaded} من ${total}`,
  rate: (rate) => `${rate}/ث`,
  left: (time) => `بقي ${time}`,
  need: (size) => `نحو ${size} من الذاكرة`,
  halted: (title) => `${name(title)} غير مفتوح. ما وصل محفوظ.`,
  resume: 'متابعة',

  // versions
  update: 'تحديث',
  later: 'لاحقًا',
  newVersion: (title, version, cost) =>
    `هناك إصدار جديد من ${name(title)} (${version === null ? '' : `${name(version)}، `}${cost}).`,
  toFetch: (size) => `${size} للجلب`,
  nothingToFetch: 'موجود على هذا الجهاز',
  fetching: 'يُجلب الإصدار الجديد',
  fetched: 'وصل الإصدار الجديد. يُفتح حين ينتهي هذا الجواب.',
  updated: (title, version) =>
    version === null ? `${name(title)} محدَّث.` : `يعمل ${name(title)} الآن بالإصدار ${name(version)}.`,
  refused: (sentence) => `لم يُستعمل الإصدار الجديد. ${name(sentence)}`,
  versionFact: 'الإصدار',
  versions: 'إصدارات أخرى',
  aNewVersion: 'إصدار جديد',
  theVersionBefore: 'الإصدار السابق',
  namedVersion: (version) => `الإصدار ${name(version)}`,
  goBack: (version) => (version === null ? 'العودة إليه' : `العودة إلى ${name(version)}`),
  keptSize: (size) => `على هذا الجهاز، ${size}`,

  // errors
  noStart: 'تعذّر بدء المحادثة.',
  dropOldest: 'ترك أقدم الرسائل',
  longerContext: 'استعمال سياق أطول',
  tryAgain: 'المحاولة من جديد',
  tryAnyway: 'المحاولة على أي حال',
  reloadModel: 'إعادة تحميل النموذج والمحاولة من جديد',
  contextFull: (prompt, nCtx) => `تأخذ هذه المحادثة ${prompt} رمز، وسياق النموذج يتسع لـ ${nCtx}.`,
  unforeseen: (message) => `حدث خلل غير متوقع (${name(message)}).`,
  noModels: 'لا يقدّم هذا الموقع أي نموذج؛ يمكن لمن يديره إضافة واحد بالأمر `make model`.',

  // meter
  contextUse: 'السياق المستعمل',
  contextOf: (used, all) => `السياق ${used} / ${all}`,
  memory: (size) => `${size} ذاكرة`,

  // settings
  systemPrompt: 'تعليمات النظام',
  systemHint: 'تعليمات تسبق المحادثة. فارغ: تعليمات النموذج نفسه.',
  sampling: 'اختيار الكلمات',
  reset: 'العودة إلى قيم النموذج',
  seedLabel: 'البذرة',
  seedHint: 'البذرة نفسها تعطي الجواب نفسه. فارغ: بذرة جديدة كل مرة.',
  seedAny: 'أي قيمة',
  keepSeed: (n) => `إبقاء الأخيرة، ${n}`,
  sliders: {
    temperature: { label: 'الحرارة', hint: '0 يأخذ دائمًا الكلمة الأرجح؛ والأكثر أكثر حرية.' },
    top_p: { label: 'Top p', hint: 'يُبقي الكلمات الأرجح حتى هذه النسبة. 1 يعني معطّل.' },
    top_k: { label: 'Top k', hint: 'يُبقي هذا العدد من الكلمات. 0 يعني معطّل.' },
    min_p: { label: 'Min p', hint: 'يترك الكلمات الأقل احتمالًا بكثير من الأفضل. 0 يعني معطّل.' },
    repeat_penalty: { label: 'جزاء التكرار', hint: 'فوق 1 يقل تكرار النموذج لنفسه. 1 يعني معطّل.' },
    max_tokens: { label: 'أطول جواب', hint: 'بالرموز؛ وفي الكلمة الواحدة غالبًا أكثر من رمز.' },
    strength: {
      label: 'القوة',
      hint: '1 كما دُرّب. الأقل يُبقي أكثر من النموذج نفسه، والأكثر يبالغ.',
    },
  },
  overflowLabel: 'إذا امتلأ السياق فاترك أقدم الرسائل',
  overflowHint: 'وإلا فالمحادثة تسأل أولًا.',
  engine: 'المحرك',
  contextLength: 'طول السياق',
  contextHint: 'الرموز التي يستطيع النموذج الرجوع إليها. الأكثر يأخذ ذاكرة أكثر.',
  threadsLabel: 'الخيوط',
  threadsHint: 'خيوط الحساب على هذا المعالج.',
  threadsOne: 'هذه الصفحة غير معزولة، فللمحرك خيط واحد.',
  auto: 'تلقائي',
  applyReload: 'إعادة التحميل بهذه القيم',
  close: 'إغلاق',

  domain: 'المجال',
  domainNone: 'لا شيء، النموذج وحده',
  domainHint: 'ما تعلّمه النموذج زيادة. يسري من الجواب التالي.',
  inDomain: (who, domain) => `${name(who)} · ${name(domain)}`,

  // model card
  model: 'النموذج',
  name: 'الاسم',
  licence: 'الرخصة',
  licenceUnknown: 'غير مذكورة',
  source: 'المصدر',
  architecture: 'البنية',
  parameters: 'المعاملات',
  weights: 'الأوزان',
  trainedContext: 'السياق المدرَّب عليه',
  vocabulary: 'المفردات',
  languages: 'اللغات',
  tokensUnit: (n) => `${n} رمز`,
  layers: (layers, width) => `${layers} طبقة، بعرض ${width}`,
  here: 'كيف يعمل هنا',
  variant: 'البناء',
  kernel: 'النواة',
  context: 'السياق',
  memoryLabel: 'الذاكرة',
  stored: 'محفوظ',
  storedOpfs: 'في هذا المتصفح، مفحوص بمقارنة SHA-256',
  storedMemory: 'في الذاكرة فقط',
  where: 'ماذا يعمل وأين',
  whereModel: (title, size) => `${name(title)} (${size}) جاء من هذا الموقع وفُحص عند وصوله.`,
  whereCompute: (threads) => `يحسب في علامة التبويب هذه، على معالجك: WebAssembly، ${threads}.`,
  threadCount: (n) =>
    plural(n, {
      zero: 'بلا خيوط',
      one: 'خيط واحد',
      two: 'خيطان',
      few: `${n} خيوط`,
      many: `${n} خيطًا`,
      other: `${n} خيط`,
    }),
  whereFrame:
    'تكتب داخل إطار مختوم. سياسته الأمنية تمنعه من كل طلب عبر الشبكة، وليس له مكان حفظ. الصفحة المحيطة به تجلب النموذج ولا تُخبَر أبدًا بما تكتب.',
  whereMemory: 'المحادثة في الذاكرة: إن أعدت تحميل علامة التبويب أو أغلقتها ذهبت.',
  siteInstructions: 'تعليمات هذا الموقع',
  siteInstructionsNote: 'كل محادثة هنا تبدأ بهذه الكلمات. يمكنك تغييرها في الإعدادات.',
  others: 'نماذج هذا الموقع',
  removeStored: 'إزالة من هذا الجهاز',
  keptPartly: (size) => `جزء منه على هذا الجهاز، ${size}`,
  notHere: 'ليس على هذا الجهاز',
  keptInAll: (size) => `تأخذ كل النماذج هنا ${size} من هذا الجهاز.`,
  removeNamed: (title, size) => `إزالة ${name(title)} من هذا الجهاز (${size})`,
  isOpen: 'مفتوح',
  keys: 'لوحة المفاتيح',
  keyList: [
    ['Enter', 'إرسال'],
    ['Shift Enter', 'سطر جديد'],
    ['Esc', 'إيقاف'],
    ['↑', 'تعديل آخر رسالة، حين يكون الحقل فارغًا'],
    ['Ctrl Shift Enter', 'إعادة المحاولة'],
    ['Ctrl Shift O', 'محادثة جديدة'],
    ['/', 'الانتقال إلى حقل الرسالة'],
  ],
};
