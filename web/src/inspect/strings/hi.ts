// Hindi: see en.ts.

import type { InspectStrings } from './shape';

export const hi: InspectStrings = {
  title: 'मॉडल के भीतर',
  intro:
    'अपनी हर परत के बाद मॉडल का एक अनुमान होता है कि आगे क्या आएगा। हर पंक्ति एक परत है, आख़िरी सबसे ऊपर; हर स्तंभ आपके टेक्स्ट का एक टोकन; हर ख़ाना उसके बाद का अनुमान। रंग जितना गहरा, मॉडल उतना निश्चित।',
  text: 'टेक्स्ट',
  sample: 'फ़्रांस की राजधानी है',
  look: 'भीतर देखें',
  stop: 'रोकें',
  model: 'मॉडल',
  toChoose: 'मॉडल चुनें',
  every: 'परतें',
  all: 'सभी परतें',
  nth: (n) => `${n} में से एक परत`,
  closed: 'मॉडल खुला नहीं है',
  ready: 'तैयार',
  looking: (done, all) => `${all} में से परत ${done}`,
  done: (tokens, layers) => `${tokens} टोकन, ${layers} परतें`,
  failed: 'यह नहीं हो सका',
  stopped: 'रोका गया',
  table: 'हर परत आगे क्या कहती',
  layer: 'परत',
  cell: (token, layer) => `“${token}” के बाद, परत ${layer} के पीछे`,
  pick: 'क्लिक या तीर कुंजियों से एक ख़ाना चुनें: उसके सबसे संभावित टोकन यहाँ दिखेंगे।',
};
