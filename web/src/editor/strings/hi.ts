// Hindi: see en.ts.

import type { EditorStrings } from './shape';

export const hi: EditorStrings = {
  title: 'कोड एडिटर',
  editor: 'कोड',
  language: 'कोड की भाषा',
  languages: { python: 'Python', javascript: 'JavaScript', text: 'सादा टेक्स्ट' },
  model: 'मॉडल',
  toChoose: 'मॉडल चुनें',
  help: 'लिखें और रुकें, तब मॉडल सुझाव देता है। Tab से स्वीकार करें, Ctrl+दायाँ (Mac पर Alt+दायाँ) से एक शब्द लें, Esc से हटाएँ, Ctrl+Space से पूछें।',
  plain: 'इस मॉडल ने बीच में भरना नहीं सीखा है: यह कर्सर से पहले के टेक्स्ट को आगे बढ़ाता है और उसके बाद का नहीं देखता।',
  ready: 'तैयार',
  closed: 'मॉडल खुला नहीं है',
  asking: 'सोच रहा है',
  suggested: 'Tab से स्वीकार करें, Esc से हटाएँ',
  nothing: 'कोई सुझाव नहीं',
  failed: 'सुझाव नहीं बन सका',
  dropped: (n) => `कर्सर से दूर के ${n} टोकन इसमें नहीं समाए`,
  deleted: 'चुना हुआ हटाया गया',
  announced: (text) => `सुझाव: ${text}`,
};
