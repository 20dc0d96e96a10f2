// Arabic: see en.ts.

import { isolated as name } from '../../chat/strings/isolated';
import type { InspectStrings } from './shape';

export const ar: InspectStrings = {
  title: 'نظرة داخل النموذج',
  intro:
    'بعد كل طبقة من طبقاته يكون لدى النموذج تخمين لما سيأتي. كل صف طبقة، والأخيرة في الأعلى؛ وكل عمود رمز من نصك؛ وكل خانة هي التخمين بعده. كلما اشتد اللون كان النموذج أوثق.',
  text: 'النص',
  sample: 'عاصمة فرنسا هي',
  look: 'انظر في الداخل',
  stop: 'أوقف',
  model: 'النموذج',
  toChoose: 'اختر نموذجًا',
  every: 'الطبقات',
  all: 'كل الطبقات',
  nth: (n) => `طبقة من كل ${n}`,
  closed: 'النموذج غير مفتوح',
  ready: 'جاهز',
  looking: (done, all) => `الطبقة ${done} من ${all}`,
  done: (tokens, layers) => `الرموز: ${tokens}، الطبقات: ${layers}`,
  failed: 'لم ينجح ذلك',
  stopped: 'أُوقف',
  table: 'ما كانت كل طبقة ستقوله بعد ذلك',
  layer: 'الطبقة',
  cell: (token, layer) => `بعد «${token}»، خلف الطبقة ${layer}`,
  pick: 'اختر خانة بنقرة أو بمفاتيح الأسهم: تظهر هنا أرجح رموزها.',

  // features
  views: 'ما يُعرض',
  byLayer: 'الرموز التالية بحسب الطبقة',
  byFeature: 'السمات',
  introFeatures:
    'يفكّك المرمّز التلقائي المتناثر ما يحمله النموذج عند رمز إلى سمات لا ينشط منها في كل مرة إلا القليل. اختر رمزًا لترى أقوى سماته، أو سمة لترى أين تنشط في نصك.',
  sae: 'المرمّز التلقائي',
  openSae: 'افتح ملفًا',
  openingSae: 'يُفتح',
  noSaes:
    'لا يأتي مع هذا النموذج مرمّز تلقائي. افتح ملف واحد (‎.gguf من «slmweb sae»)، أو أفلته هنا؛ يبقى على هذا الجهاز.',
  noSae: (file) => `${name(file)} ليس مرمّزًا تلقائيًا لهذا النموذج.`,
  sites: { residual: 'المسار المتبقي', mlp: 'شبكة التغذية الأمامية', heads: 'رؤوس الانتباه' },
  saeFacts: (layer, site, features, labels) =>
    `الطبقة ${layer}، ${site}؛ السمات: ${features}، منها بوصف: ${labels}`,
  reading: 'يُقرأ النص',
  writing: 'يُكمَل النص',
  doneTokens: (tokens) => `الرموز: ${tokens}`,
  tokens: 'رموز النص',
  pickToken: 'اختر رمزًا بنقرة أو بمفاتيح الأسهم: تظهر هنا أقوى سماته.',
  strongest: (token) => `أقوى السمات عند «${name(token)}»`,
  first: 'ما ينشط عند الرمز الأول قليل المعنى: فأرقامه لا تشبه غيرها.',
  none: 'لا سمة نشطة هنا.',
  feature: (n) => `السمة ${n}`,
  noLabel: 'بلا وصف',
  active: (n, all, most) => `نشطة عند ${n} من ${all} من الرموز، وأقصاها ${most}`,
  inactive: 'غير نشطة في هذا النص',
  unpick: 'إلغاء',
  find: 'ابحث عن سمة',
  findWords: 'كلمة من وصفها، أو رقمها',
  findNumber: (last) => `رقمها، من 0 إلى ${last}`,
  found: (n) => `النتائج: ${n}`,
  foundFirst: (n, all) => `النتائج: ${all}، وهذه أول ${n} منها`,
  steer: 'وجّه بهذه السمة',
  strength: 'الشدة',
  steerNote: (layer) =>
    `يُضاف اتجاهها بهذا القدر خلف الطبقة ${layer} عند كل رمز، بوحدة نشاطها. وما دون الصفر يُطرح.`,
  noSteer: 'ليس لسمة من رؤوس الانتباه اتجاه في المسار المتبقي يمكن التوجيه به.',
  goOn: 'أكمل بها وبدونها',
  without: 'بدونها',
  with: (feature, strength) => `مع السمة ${feature}، ${strength}`,
  nothing: '(ينتهي النص هنا.)',
  continued: 'كلا الإكمالين جاهز.',
};
