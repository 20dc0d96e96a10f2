// Arabic: the words of strings/en.ts. A name in another script is isolated, so
// that it keeps its own direction and the marks around it keep theirs.

import { pluralOf } from '../language';
import { computing } from './computing/ar';
import { isolated as name } from './isolated';
import type { Strings } from './shape';

const plural = pluralOf<Intl.LDMLPluralRule>('ar');

export const ar: Strings = {
  ...computing,
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

  // a guard
  ofGuard: (doing) => `نموذج الفحص: ${doing}`,
  refusedPrompt: (rules) => `لم يُجَب عنها. وجد نموذج الفحص أن رسالتك تخالف القاعدة ${rules}.`,
  refusedAnswer: (rules) => `لم يُعرَض. وجد نموذج الفحص أن الجواب يخالف القاعدة ${rules}.`,
  guardErrs: 'إنه نموذج صغير على هذا الجهاز وقد يخطئ. لم يقرأ هذا أحد سواه.',
  rewrite: 'تعديل الرسالة',
  guardsHere: 'يفحص ما يُسأل وما يُجاب هنا.',
  whereGuard: (title) => `يفحص ${name(title)} الرسائل وفق قواعد هذا الموقع، على هذا الجهاز أيضًا.`,
  quote: (words) => `«${words}»`,
  rules: {
    dangerous: 'لا محتوى خطيرًا',
    harassment: 'لا تحرّش ولا تنمّر',
    hate: 'لا خطاب كراهية',
    sexual: 'لا محتوى جنسيًا صريحًا',
  },

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
  waitingClosed: 'في الانتظار: النموذج غير مفتوح.',
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
  footnote: (label) => `حاشية ${name(label)}`,
  toText: (label) => `حاشية ${name(label)}، العودة إلى النص`,
  showAll: 'عرض الكل',
  showLess: 'عرض أقل',
  unfold: 'المزيد',

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
    lost: 'انقطع الاتصال، تُعاد المحاولة',
    compile: 'يجهّز المحرك',
    load: 'يحمّل إلى الذاكرة',
  },
  amount: (loaded, total) => `${loaded} من ${total}`,
  rate: (rate) => `${rate}/ث`,
  left: (time) => `بقي ${time}`,
  need: (size) => `نحو ${size} من الذاكرة`,
  halted: (title) => `${name(title)} غير مفتوح.`,
  kept: (loaded, total) => `وصل ${loaded} من ${total} وهو محفوظ هنا.`,
  ask: {
    large: (title, size) =>
      `حجم تنزيل ${name(title)} هو ${size}. يحدث ذلك مرة واحدة، ثم يبقى النموذج على هذا الجهاز.`,
    metered: (title, size) =>
      `حجم تنزيل ${name(title)} هو ${size}، ويبدو أنك على شبكة جوال. يحدث ذلك مرة واحدة؛ وقد يوفّر انتظار الواي فاي بعض المال.`,
    saveData: (title, size) =>
      `حجم تنزيل ${name(title)} هو ${size}، ومتصفحك مضبوط على توفير البيانات. يحدث ذلك مرة واحدة.`,
  },
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
  refused: 'تعذّر التحقق من الإصدار الجديد فلم يُستعمل. يستمر الإصدار الموجود.',
  versionFact: 'الإصدار',
  versions: 'إصدارات أخرى',
  aNewVersion: 'إصدار جديد',
  theVersionBefore: 'الإصدار السابق',
  namedVersion: (version) => `الإصدار ${name(version)}`,
  goBack: (version) => (version === null ? 'العودة إليه' : `العودة إلى ${name(version)}`),
  keptSize: (size) => `على هذا الجهاز، ${size}`,

  // conversations
  conversations: 'المحادثات',
  thisConversation: 'هذه المحادثة',
  inThisTab: 'في علامة التبويب هذه',
  noConversations: 'لم يُقل شيء بعد.',
  saveMarkdown: 'حفظ كنص (Markdown)',
  saveJson: 'حفظ مع كل النسخ (JSON)',
  openFile: 'فتح ملف',
  openNamed: (title) => `فتح: ${name(title)}`,
  delete: 'حذف',
  deleteNamed: (title) => `حذف: ${name(title)}`,
  deleted: 'حُذفت المحادثة.',
  undo: 'تراجع',
  isShown: 'معروضة الآن',
  messages: (n, shown) =>
    plural(n, {
      zero: `${shown} رسالة`,
      one: 'رسالة واحدة',
      two: 'رسالتان',
      few: `${shown} رسائل`,
      many: `${shown} رسالة`,
      other: `${shown} رسالة`,
    }),
  keptFormer: 'محادثة جديدة. السابقة محفوظة في المحادثات.',
  fileNoConversation: 'هذا الملف ليس محادثة حُفظت هنا؛ اختر ملفًا ينتهي بـ .json أو .md.',
  fileTooLong: (most) => `لا تزيد المحادثة على ${most} حرفًا؛ وفي هذا الملف أكثر.`,
  fileTooLarge: (file, size, most) =>
    `حجم ${name(file)} هو ${size}، ولا يُقرأ أكثر من ${most}؛ خذ الجزء الذي تحتاج إليه.`,
  fileNoText: (file) => `${name(file)} ليس ملفًا نصيًا؛ لا يُقرأ في السؤال إلا النص.`,

  // going on, and room for it
  goOn: 'متابعة',
  useAndAnswer: (n) => `استخدام ${n} رمز والإجابة`,
  useAndGoOn: (n) => `استخدام ${n} رمز والمتابعة`,
  dropAndGoOn: 'ترك أقدم الرسائل والمتابعة',
  useTokens: (n) => `استخدام ${n} رمز`,
  nearlyFull: (percent) => `امتلأ ${percent}% من السياق. إذا امتلأ كله لم يعد النموذج يرى المحادثة كاملة.`,
  willNotFit: (all, n_ctx) => `مع هذه الرسالة يصير المجموع نحو ${all} رمز، والسياق يتسع لـ ${n_ctx}.`,
  queued: 'ستُرسل حين ينتهي الجواب.',
  notYet: 'ليس بعد',
  ready: (who) => `${name(who)} جاهز.`,
  promptCached: 'السؤال مقروء من قبل',
  contextWith: (used, draft, all) => `السياق ${used} + نحو ${draft} / ${all}`,

  // errors
  noStart: 'تعذّر بدء المحادثة.',
  dropOldest: 'ترك أقدم الرسائل',
  tryAgain: 'المحاولة من جديد',
  tryAnyway: 'المحاولة على أي حال',
  reloadModel: 'إعادة تحميل النموذج والمحاولة من جديد',
  contextFull: (prompt, nCtx) => `تأخذ هذه المحادثة ${prompt} رمز، وسياق النموذج يتسع لـ ${nCtx}.`,
  unforeseen: 'حدث خلل غير متوقع.',
  details: 'التفاصيل',
  triesAgain: 'تُعاد المحاولة تلقائيًا.',
  failures: {
    invalid_argument: 'تعذّر ذلك بهذه الصورة. غيّر الإعدادات أو أعد تحميل الصفحة.',
    bad_file: 'تعذّرت قراءة النموذج على هذا الجهاز. أعد المحاولة فيُجلب التالف من جديد.',
    unsupported:
      'لا يعمل النموذج في هذا المتصفح، أو ليس بالطريقة التي فُتحت بها هذه الصفحة. غالبًا ما يفيد متصفح حديث في نافذة عادية.',
    out_of_memory: 'لم تكفِ الذاكرة. أغلق علامات تبويب أخرى، أو اختر سياقًا أقصر أو نموذجًا أصغر.',
    context_full: 'هذه المحادثة أطول مما يستطيع النموذج الرجوع إليه.',
    wrong_state: 'كان النموذج مشغولًا بشيء آخر. أعد المحاولة بعد لحظة.',
    bad_manifest: 'ما يذكره هذا الموقع عن النموذج غير صالح. على من يدير الموقع إصلاحه.',
    bad_signature: 'لا يحمل النموذج التوقيع الذي تطلبه هذه الصفحة، فلم يُفتح. على من يدير الموقع إصلاحه.',
    no_room: 'لم يبقَ في هذا المتصفح متّسع لحفظ النموذج. أفرغ بعض المساحة ثم أعد المحاولة.',
    too_large: 'يحتاج النموذج إلى ذاكرة أكثر مما يتيحه هذا الجهاز. اختر نموذجًا أصغر.',
    network: 'تعذّر الوصول إلى الموقع. تحقق من اتصالك.',
    corrupt: 'ما يصل من هذا الموقع تالف. أعد المحاولة لاحقًا؛ وقد يكون على من يدير الموقع إصلاحه.',
    bad_template: 'تعذّر إعطاء النموذج هذه المحادثة. ابدأ محادثة جديدة.',
    crashed: 'توقف النموذج. أعد تحميله ثم حاول من جديد.',
    disposed: 'أُغلق النموذج. أعد تحميله ثم حاول من جديد.',
  },
  incompleteSite: 'ليس لدى هذا الموقع النموذج كاملًا. على من يدير الموقع إصلاحه.',
  tooLarge: (needed, available) =>
    `يحتاج النموذج إلى ${needed} من الذاكرة، وللصفحة هنا ${available} على الأكثر. اختر نموذجًا أصغر، أو متصفحًا يعير الصفحات شريحة الرسوم (WebGPU).`,
  tooLargeEstimate: (needed, available) =>
    `يحتاج النموذج إلى ${needed} من الذاكرة، وينبغي ألا تأخذ صفحة أكثر من ${available} على هذا الجهاز. قد تُغلق علامة التبويب: اختر نموذجًا أصغر، أو حاول على أي حال.`,
  noModels: 'لا يقدّم هذا الموقع أي نموذج بعد. على من يديره أن يضيف واحدًا.',

  // how it runs
  notices: {
    relaxed_simd: 'يعمل المحرك بتعليمات SIMD المرنة.',
    plain_simd: 'يعمل المحرك دون تعليمات SIMD المرنة، فهي غير متاحة في هذا المتصفح: هذا أبطأ.',
    variant_asked: (variant) => `يعمل المحرك بالبناء ${name(variant)} كما طُلب.`,
    one_thread: 'له خيط واحد.',
    threads: (n, cores) => `عدد خيوطه: ${n}؛ المعالجات المنطقية هنا: ${cores}.`,
    no_threads: 'له خيط واحد، لأن هذا المتصفح ليس فيه خيوط WebAssembly.',
    not_isolated: 'له خيط واحد، لأن هذه الصفحة غير معزولة: خادمها لا يرسل الترويسات اللازمة (COOP وCOEP).',
    few_addresses: (size) => `لم يسمح له هذا الجهاز بحجز أكثر من ${size} من عناوين الذاكرة.`,
    context_by_browser: (n_ctx, wanted, needed, available) =>
      `يتسع السياق لعدد ${n_ctx} من الرموز بدلًا من ${wanted}، وكانت ستحتاج إلى ${needed} من الذاكرة؛ هذا المتصفح يعطي الصفحة ${available} على الأكثر.`,
    context_by_device: (n_ctx, wanted, needed, available, reported) =>
      `يتسع السياق لعدد ${n_ctx} من الرموز بدلًا من ${wanted}، وكانت ستحتاج إلى ${needed} من الذاكرة؛ وينبغي ألا تأخذ صفحة أكثر من ${available} من ${reported} التي يذكرها هذا الجهاز.`,
    keeps_no_files:
      'لا يحفظ هذا المتصفح ملفات لهذه الصفحة (نافذة خاصة؟). يبقى النموذج في الذاكرة ويُنزَّل من جديد في المرة القادمة.',
    not_stored: (error) =>
      `تعذّر على هذا المتصفح حفظ النموذج (${name(error)}). يبقى في الذاكرة ويُنزَّل من جديد في المرة القادمة.`,
    storage_full:
      'ليس في هذا المتصفح متّسع كافٍ للنموذج. يبقى في الذاكرة ويُنزَّل من جديد في المرة القادمة؛ أفرغ بعض المساحة لحفظه.',
  },
  storageNeeds: (size) => `يأخذ ${size}.`,
  storageUsed: (used, quota) => `من ${quota} لهذا الموقع ${used} مستعملة.`,

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
  whereMemory:
    'المحادثات في علامة التبويب هذه: إن أعدت تحميلها أو أغلقتها ذهبت. احفظ في ملف ما تريد الاحتفاظ به.',
  siteInstructions: 'تعليمات هذا الموقع',
  siteInstructionsNote: 'كل محادثة هنا تبدأ بهذه الكلمات. يمكنك تغييرها في الإعدادات.',
  others: 'نماذج هذا الموقع',
  removeStored: 'إزالة من هذا الجهاز',
  keptPartly: (size) => `جزء منه على هذا الجهاز، ${size}`,
  notHere: 'ليس على هذا الجهاز',
  keptInAll: (size) => `تأخذ كل النماذج هنا ${size} من هذا الجهاز.`,
  removeNamed: (title, size) => `إزالة ${name(title)} من هذا الجهاز (${size})`,
  removeSure: (size) => `إزالته وتحرير ${size}؟`,
  pressAgain: 'اضغط مرة أخرى لإزالته، أو انتقل إلى غيره للإبقاء عليه.',
  removed: (title) => `لم يعد ${name(title)} على هذا الجهاز.`,
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
