// Arabic: see en.ts.

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
};
