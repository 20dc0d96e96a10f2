// Arabic: the words of computing/en.ts.

import { pluralOf } from '../../language';
import { isolated as name } from '../isolated';
import type { Computing } from '../shape';

const plural = pluralOf<Intl.LDMLPluralRule>('ar');

export const computing: Computing = {
  // settings
  place: 'أين يجري الحساب',
  computeOn: 'الحساب على',
  computeHint: 'التلقائي يأخذ شريحة الرسوم إن وُجدت واجتازت كل الفحوص، وإلا فالمعالج.',
  chip: 'شريحة الرسوم',
  processor: 'المعالج',
  chipMemory: 'الذاكرة عليها',
  chipPrepared: 'جُهّزت خلال',
  preparing: (done, total) => `تجهيز شريحة الرسوم، ${done} من ${total}`,
  whereGpu: (device) => `يحسب في علامة التبويب هذه، على شريحة الرسوم لديك: WebGPU، ${name(device)}.`,

  // checks
  checks: { kernels: 'خطوات الحساب', weights: 'أوزان النموذج', known_answer: 'الجواب المعلوم' },
  checkStates: { passed: 'صحيح', failed: 'خطأ', absent: 'لم يُفحص' },
  checkNotes: {
    kernels: 'تُجرَّب أكبر خطوات الحساب على أعداد صغيرة، إلى جانب حساب بسيط.',
    weights: 'يُقارَن ما على الشريحة بما أُرسل إليها.',
    known_answer: 'يحمل النموذج معه ما يجب أن يجيب به عن بضعة رموز.',
  },
  unchecked: 'لم يكن هناك ما يُقارَن به.',
  checkFigures: (error, bound) => `الفرق ${error}، والمسموح ${bound} على الأكثر`,

  // what happens to it
  interrupted: 'تعطلت شريحة الرسوم أثناء كتابة هذا؛ والكتابة تتابع من حيث توقفت.',
  gpuNotices: {
    gpu_used: (device) => `شريحة الرسوم تحسب: ${name(device)}.`,
    cpu_asked: 'المعالج يحسب، كما اختير.',
    gpu_missing: 'المعالج يحسب، لأن هذا المتصفح لا يعير الصفحة شريحة رسوم (WebGPU).',
    gpu_none_found: 'المعالج يحسب، لأن هذا المتصفح لم يجد شريحة رسوم يعيرها للصفحة.',
    gpu_software: (device) =>
      `المعالج يحسب: شريحة الرسوم الوحيدة هنا محاكاة بالبرمجيات (${name(device)})، وهي أبطأ.`,
    gpu_limit: (limit, needed, available) =>
      `المعالج يحسب، لأن شريحة الرسوم أصغر من هذا النموذج (${name(limit)}: المطلوب ${needed}، والموجود ${available}).`,
    gpu_out_of_memory: (needed, given) =>
      `المعالج يحسب، لأن ذاكرة شريحة الرسوم نفدت: أعطت ${given} ولم يبقَ فيها ${needed} أخرى. السياق الأقصر أو النموذج الأصغر يحتاج إلى أقل.`,
    gpu_wrong: (check) => `المعالج يحسب، لأن شريحة الرسوم لم تجتز فحصًا فلا تُستعمل: ${check}.`,
    gpu_senseless: 'المعالج يتابع، لأن شريحة الرسوم حسبت فجأة ما لا معنى له.',
    gpu_failed: (error) => `المعالج يحسب، لأن شريحة الرسوم لم تعمل: ${name(error)}.`,
    gpu_lost: 'فُقدت شريحة الرسوم. يُحمَّل النموذج من جديد ويتابع تلقائيًا.',
    gpu_given_up: (n, shown) =>
      `المعالج يتابع، لأن شريحة الرسوم فُقدت ${plural(n, {
        zero: `${shown} مرة`,
        one: `مرة واحدة (${shown})`,
        two: `مرتين (${shown})`,
        few: `${shown} مرات`,
        many: `${shown} مرة`,
        other: `${shown} مرة`,
      })}.`,
  },

  // how fast this device is
  howFast: 'ما سرعة هذا الجهاز؟',
  howFastNote: (read, written) =>
    `يقرأ النموذج ${read} رمز ويكتب ${written}، على المعالج أولًا ثم على شريحة الرسوم. يستغرق ذلك نحو دقيقة لا يجيب فيها عن شيء آخر. تبقى النتيجة على هذا الجهاز.`,
  howFastClosed: 'يمكن القياس حين يكون نموذج مفتوحًا ولا يُكتب جواب.',
  measure: 'قياس',
  measureAgain: 'قياس من جديد',
  measuring: {
    cpu: 'قياس المعالج',
    webgpu: 'قياس شريحة الرسوم',
    memory: 'قياس ذاكرة شريحة الرسوم',
    back: 'فتح النموذج من جديد',
  },
  readingRate: 'القراءة',
  writingRate: 'الكتابة',
  openingTime: 'الفتح خلال',
  notMeasured: 'لم يُقَس',
  gpuMemoryRate: 'ذاكرة شريحة الرسوم',
  gpuArithmetic: 'حساب شريحة الرسوم',
  gpuShare: (percent) => `تستعمل الكتابة نحو ${percent} مما تقدر عليه ذاكرتها.`,
  faster: {
    cpu: 'هذا النموذج أسرع على معالج هذا الجهاز.',
    webgpu: 'هذا النموذج أسرع على شريحة الرسوم في هذا الجهاز.',
  },
  copyResult: 'نسخ النتيجة',
};
