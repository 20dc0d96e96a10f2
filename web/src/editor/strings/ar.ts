// Arabic: see en.ts.

import type { EditorStrings } from './shape';

export const ar: EditorStrings = {
  title: 'محرر الشفرة',
  editor: 'الشفرة',
  language: 'لغة الشفرة',
  languages: { python: 'Python', javascript: 'JavaScript', text: 'نص عادي' },
  model: 'النموذج',
  toChoose: 'اختر نموذجًا',
  help: 'اكتب ثم توقف قليلًا فيقترح النموذج. يقبل Tab الاقتراح، ويقبل Ctrl+يمين (وعلى Mac‏ Alt+يمين) كلمة، ويصرفه Esc، ويطلبه Ctrl+Space.',
  plain: 'لم يتعلم هذا النموذج ملء الفراغ: فهو يكمل ما قبل المؤشر ولا يرى ما بعده.',
  ready: 'جاهز',
  closed: 'النموذج غير مفتوح',
  asking: 'يفكر',
  suggested: 'يقبله Tab ويصرفه Esc',
  nothing: 'لا اقتراح',
  failed: 'تعذر الاقتراح',
  dropped: (n) => `لم يتسع المكان لعدد ${n} من الرموز البعيدة عن المؤشر`,
  deleted: 'حُذف التحديد',
  announced: (text) => `اقتراح: ${text}`,
};
