// Hindi: the words of strings/en.ts.

import { pluralOf } from '../language';
import { computing } from './computing/hi';
import type { Strings } from './shape';

const plural = pluralOf<'one' | 'other'>('hi');

export const hi: Strings = {
  ...computing,
  you: 'आप',
  conversation: 'बातचीत',
  statement: 'इसी डिवाइस पर चलता है। आप जो लिखते हैं, वह इस पेज से बाहर नहीं जाता।',
  statementShort: 'इसी डिवाइस पर रहता है।',

  // header
  newChat: 'नई चैट',
  copyAll: 'चैट कॉपी करें',
  settings: 'सेटिंग',
  toDark: 'गहरे रंग चुनें',
  toLight: 'हल्के रंग चुनें',
  aboutModel: (title) => `${title} के बारे में`,
  aboutInDomain: (title, domain) => `${title} के बारे में, जो ${domain} विषय में जवाब देता है`,
  aboutShort: 'मॉडल के बारे में',

  // a guard
  ofGuard: (doing) => `जाँच करने वाला मॉडल: ${doing}`,
  refusedPrompt: (rules) =>
    `जवाब नहीं दिया गया। जाँच करने वाले मॉडल के अनुसार आपका संदेश इस नियम को तोड़ता है: ${rules}।`,
  refusedAnswer: (rules) => `दिखाया नहीं गया। जाँच करने वाले मॉडल के अनुसार जवाब इस नियम को तोड़ता है: ${rules}।`,
  guardErrs: 'यह इसी डिवाइस पर एक छोटा मॉडल है और ग़लत हो सकता है। इसे किसी और ने नहीं पढ़ा।',
  rewrite: 'संदेश बदलें',
  guardsHere: 'यहाँ के सवालों और जवाबों की जाँच करता है।',
  whereGuard: (title) => `${title} इस साइट के नियमों के अनुसार संदेशों की जाँच करता है, वह भी इसी डिवाइस पर।`,
  quote: (words) => `“${words}”`,
  rules: {
    dangerous: 'ख़तरनाक सामग्री नहीं',
    harassment: 'उत्पीड़न नहीं',
    hate: 'नफ़रत भरी बातें नहीं',
    sexual: 'अश्लील सामग्री नहीं',
  },

  // composer
  message: 'संदेश',
  placeholder: (who) => `${who} से पूछें`,
  placeholderBase: 'कोई पाठ शुरू करें; मॉडल उसे आगे बढ़ाएगा',
  placeholderLoading: 'लोड होने तक लिखें',
  placeholderClosed: 'मॉडल खुला नहीं है',
  placeholderNone: 'पहले कोई मॉडल चुनें',
  send: 'भेजें',
  stop: 'रोकें',

  // pictures
  picturesOfMessage: 'इस संदेश के चित्र',
  addPicture: 'चित्र जोड़ें',
  takePicture: 'तस्वीर खींचें',
  picture: (n, all) => `${all} में से चित्र ${n}`,
  pictures: (n) => plural(n, { one: `${n} चित्र`, other: `${n} चित्र` }),
  removePicture: (n) => `चित्र ${n} हटाएँ`,
  pictureAdded: (n) => `चित्र ${n} जोड़ा गया।`,
  pictureRemoved: 'चित्र हटा दिया गया।',
  tooManyPictures: (most) => `एक संदेश में ज़्यादा से ज़्यादा ${most} चित्र हो सकते हैं।`,
  noPicture: (name) => `${name} ऐसा चित्र नहीं है जिसे यह ब्राउज़र दिखा सके; JPEG, PNG या WebP लें।`,
  seesNoPictures: (who) => `${who} चित्र नहीं देखता; ऐसा मॉडल चुनें जो देखता हो।`,
  notYetPictures: 'पहले कोई मॉडल खोलें; हर मॉडल चित्र नहीं देखता।',
  looking: 'चित्र देख रहा है',
  foundInPicture: (labels) => `चित्र, और उसमें जो मिला: ${labels}`,
  outlined: (label) => `${label} (रूपरेखा सहित)`,
  noOutlines:
    'उत्तर ने जो पाया उसकी रूपरेखा दी है, पर इस मॉडल के साथ रूपरेखा बनाने वाला भाग नहीं आया; चौखटे दिखाते हैं कि वह कहाँ है।',
  outlinesFailed: 'उत्तर में दी गई रूपरेखा बनाई नहीं जा सकी; चौखटे दिखाते हैं कि वह कहाँ है।',

  // turns
  edit: 'बदलें',
  retry: 'दोबारा पूछें',
  copy: 'कॉपी करें',
  copied: 'कॉपी हो गया',
  copyFailed: 'Ctrl+C दबाएँ',
  cancel: 'रद्द करें',
  resend: 'फिर से भेजें',
  editLabel: 'अपना संदेश बदलें',
  previousVersion: 'पिछला रूप',
  nextVersion: 'अगला रूप',
  version: (i, n) => `${i} / ${n}`,
  waiting: 'मॉडल का इंतज़ार है',
  waitingClosed: 'इंतज़ार: मॉडल खुला नहीं है।',
  reading: (done, total) => `${total} में से ${done} टोकन पढ़े`,
  thinking: 'शुरू हो रहा है',
  stopped: 'रोक दिया गया।',
  emptyAnswer: 'मॉडल ने एक भी शब्द लिखे बिना जवाब ख़त्म कर दिया।',
  limitReached: (tokens) => `${tokens} के बाद रुका, जो सेटिंग में तय सीमा है।`,
  contextEnded: 'रुक गया: संदर्भ भर गया है।',
  dropped: (n) =>
    plural(n, {
      one: 'ऊपर का संदेश अब नहीं समाता; मॉडल उसे नहीं देखता।',
      other: 'इस रेखा से ऊपर के संदेश अब नहीं समाते; मॉडल उन्हें नहीं देखता।',
    }),
  jump: 'सबसे नए शब्दों पर जाएँ',
  said: (who, text) => `${who}: ${text}`,
  answering: (who) => `${who} जवाब दे रहा है`,
  tokens: (n, shown) => plural(n, { one: `${shown} टोकन`, other: `${shown} टोकन` }),
  perSecond: (n) => `${n} टोकन/से॰`,
  promptPerSecond: (n) => `सवाल ${n}/से॰`,
  codeLabel: (lang) => `कोड, ${lang}`,
  plainText: 'पाठ',
  copyUrl: (url) => `पता ${url} कॉपी करें`,
  linkNote: 'इस पेज से लिंक नहीं खुलते; इससे पता कॉपी होता है',
  image: (alt) => (alt === '' ? 'चित्र' : `चित्र: ${alt}`),
  footnote: (label) => `पाद टिप्पणी ${label}`,
  toText: (label) => `पाद टिप्पणी ${label}, पाठ पर वापस`,
  showAll: 'पूरा दिखाएँ',
  showLess: 'कम दिखाएँ',
  unfold: 'और',

  // first screen
  headline: 'एक छोटा मॉडल, आपके डिवाइस पर।',
  pitch: (title) =>
    `${title} यहीं जवाब देता है, बिना किसी सर्वर के। यह तेज़ है और अक्सर ग़लत होता है: जो मायने रखता है उसे जाँच लें।`,
  basePitch: (title) => `${title} एक आधार मॉडल है: यह बातचीत नहीं करता, आपके शुरू किए पाठ को आगे बढ़ाता है।`,
  examplesLabel: 'इन्हें आज़माएँ',
  examples: [
    'आसमान नीला क्यों होता है? दो वाक्यों में बताओ।',
    'बारिश की दोपहर के लिए पाँच सुझाव दो।',
    'रात के समुद्र पर एक छोटी कविता लिखो।',
    'ऐसा Python फ़ंक्शन लिखो जो स्ट्रिंग को उलट दे।',
  ],
  baseExamples: [
    'दीपस्तंभ के रखवाले ने दरवाज़ा खोला और',
    'तीन बातें जो हर नाविक जानता है:',
    'पहाड़ पर पानी कम तापमान पर उबलता है, क्योंकि',
  ],

  // amounts of time
  seconds: (n) => `${n} से॰`,
  minutes: (n) => `${n} मि॰`,
  hours: (n) => `${n} घं॰`,

  // opening a model
  choose: 'मॉडल चुनें',
  chooseNote: 'यह इस साइट से एक बार लाया जाता है, जाँचा जाता है और इस डिवाइस पर रखा जाता है।',
  download: (size) => `${size} डाउनलोड करें`,
  open: 'खोलें',
  storedHere: 'इस डिवाइस पर',
  opening: (title) => `${title} खुल रहा है`,
  phase: {
    check: 'देख रहा है कि क्या रखा हुआ है',
    wait: 'दूसरे टैब का इंतज़ार है, जो इसे डाउनलोड कर रहा है',
    download: 'डाउनलोड हो रहा है',
    lost: 'कनेक्शन टूट गया, फिर कोशिश हो रही है',
    compile: 'इंजन तैयार हो रहा है',
    load: 'मेमोरी में लोड हो रहा है',
  },
  amount: (loaded, total) => `${total} में से ${loaded}`,
  rate: (rate) => `${rate}/से॰`,
  left: (time) => `${time} बाकी`,
  need: (size) => `करीब ${size} मेमोरी`,
  halted: (title) => `${title} खुला नहीं है।`,
  kept: (loaded, total) => `${total} में से ${loaded} यहाँ है और रखा रहेगा।`,
  ask: {
    large: (title, size) =>
      `${title} का डाउनलोड ${size} का है। यह एक ही बार होता है; उसके बाद मॉडल इसी डिवाइस पर रहता है।`,
    metered: (title, size) =>
      `${title} का डाउनलोड ${size} का है, और लगता है कि आप मोबाइल नेटवर्क पर हैं। यह एक ही बार होता है; वाई-फ़ाई का इंतज़ार करने से पैसे बच सकते हैं।`,
    saveData: (title, size) =>
      `${title} का डाउनलोड ${size} का है, और आपका ब्राउज़र डेटा बचाने पर लगा है। यह एक ही बार होता है।`,
  },
  resume: 'जारी रखें',

  // versions
  update: 'अपडेट करें',
  later: 'बाद में',
  newVersion: (title, version, cost) =>
    `${title} का नया संस्करण आ गया है (${version === null ? '' : `${version}, `}${cost})।`,
  toFetch: (size) => `${size} लाना होगा`,
  nothingToFetch: 'पहले से इस डिवाइस पर',
  fetching: 'नया संस्करण आ रहा है',
  fetched: 'नया संस्करण आ गया है। यह जवाब पूरा होते ही खुलेगा।',
  updated: (title, version) =>
    version === null ? `${title} अप-टू-डेट है।` : `${title} का संस्करण ${version} अब चल रहा है।`,
  refused: 'नया संस्करण जाँचा नहीं जा सका, इसलिए काम में नहीं लिया गया। जो है, वह चलता रहेगा।',
  versionFact: 'संस्करण',
  versions: 'दूसरे संस्करण',
  aNewVersion: 'नया संस्करण',
  theVersionBefore: 'पहले का संस्करण',
  namedVersion: (version) => `संस्करण ${version}`,
  goBack: (version) => (version === null ? 'इस पर लौटें' : `${version} पर लौटें`),
  keptSize: (size) => `इस डिवाइस पर, ${size}`,

  // conversations
  conversations: 'बातचीत की सूची',
  thisConversation: 'यह बातचीत',
  inThisTab: 'इस टैब में',
  noConversations: 'अभी तक कुछ नहीं कहा गया।',
  saveMarkdown: 'पाठ के रूप में सहेजें (Markdown)',
  saveJson: 'सभी रूपों के साथ सहेजें (JSON)',
  openFile: 'फ़ाइल खोलें',
  openNamed: (title) => `खोलें: ${title}`,
  delete: 'मिटाएँ',
  deleteNamed: (title) => `मिटाएँ: ${title}`,
  deleted: 'बातचीत मिटा दी गई।',
  undo: 'वापस लाएँ',
  isShown: 'अभी दिख रही है',
  messages: (n, shown) => plural(n, { one: `${shown} संदेश`, other: `${shown} संदेश` }),
  keptFormer: 'नई चैट। पिछली चैट बातचीत की सूची में है।',
  fileNoConversation: 'यह फ़ाइल यहाँ सहेजी गई बातचीत नहीं है; .json या .md पर ख़त्म होने वाली फ़ाइल चुनें।',
  saveTooLong: (most, turns) =>
    `चित्रों समेत यह बातचीत ${most} से ज़्यादा जगह लेती है या इसमें ${turns} से ज़्यादा संदेश हैं, और यह फिर खोली नहीं जा सकेगी; इसे टेक्स्ट के रूप में सहेजें।`,
  savePictureGone:
    'इस बातचीत का एक चित्र अब पढ़ा नहीं जा सकता, क्योंकि उसकी फ़ाइल हटा या बदल दी गई; बातचीत को टेक्स्ट के रूप में सहेजें।',
  fileTooLong: (most) => `बातचीत में ज़्यादा से ज़्यादा ${most} अक्षर हो सकते हैं; इस फ़ाइल में उससे ज़्यादा हैं।`,
  fileTooLarge: (name, size, most) =>
    `${name} का आकार ${size} है, और ज़्यादा से ज़्यादा ${most} पढ़े जाते हैं; केवल ज़रूरी हिस्सा लें।`,
  fileNoText: (name) => `${name} पाठ की फ़ाइल नहीं है; सवाल में केवल पाठ पढ़ा जा सकता है।`,

  // going on, and room for it
  goOn: 'आगे लिखें',
  useAndAnswer: (n) => `${n} टोकन लेकर जवाब दें`,
  useAndGoOn: (n) => `${n} टोकन लेकर आगे लिखें`,
  dropAndGoOn: 'सबसे पुराने संदेश छोड़कर आगे लिखें',
  useTokens: (n) => `${n} टोकन लें`,
  nearlyFull: (percent) => `संदर्भ ${percent}% भर गया है। भर जाने पर मॉडल पूरी बातचीत नहीं देख पाएगा।`,
  willNotFit: (all, n_ctx) => `इस संदेश के साथ लगभग ${all} टोकन होंगे, और संदर्भ में ${n_ctx} ही समाते हैं।`,
  queued: 'जवाब ख़त्म होते ही भेजा जाएगा।',
  notYet: 'अभी नहीं',
  ready: (who) => `${who} तैयार है।`,
  promptCached: 'सवाल पहले से पढ़ा हुआ',
  contextWith: (used, draft, all) => `संदर्भ ${used} + लगभग ${draft} / ${all}`,

  // errors
  noStart: 'चैट शुरू नहीं हो सकी।',
  dropOldest: 'सबसे पुराने संदेश छोड़ दें',
  tryAgain: 'फिर कोशिश करें',
  tryAnyway: 'फिर भी कोशिश करें',
  reloadModel: 'मॉडल दोबारा लोड करके फिर कोशिश करें',
  contextFull: (prompt, nCtx) => `इस बातचीत में ${prompt} टोकन हैं, और मॉडल के संदर्भ में ${nCtx} ही समाते हैं।`,
  unforeseen: 'कुछ ऐसा बिगड़ा जिसका अंदाज़ा नहीं था।',
  details: 'ब्योरा',
  triesAgain: 'अपने आप फिर कोशिश होगी।',
  failures: {
    invalid_argument: 'यह इस तरह नहीं हो सका। सेटिंग बदलें या पेज फिर से लोड करें।',
    bad_file: 'इस डिवाइस पर रखा मॉडल पढ़ा नहीं जा सकता। फिर कोशिश करें; जो ख़राब है, वह दोबारा लाया जाएगा।',
    unsupported:
      'मॉडल इस ब्राउज़र में, या जिस तरह यह पेज खोला गया है उसमें, नहीं चल सकता। अक्सर नया ब्राउज़र और साधारण विंडो काम आते हैं।',
    out_of_memory: 'मेमोरी कम पड़ गई। दूसरे टैब बंद करें, या छोटा संदर्भ या छोटा मॉडल चुनें।',
    context_full: 'यह बातचीत उससे लंबी है जितना मॉडल पीछे देख सकता है।',
    wrong_state: 'मॉडल किसी और काम में लगा था। थोड़ी देर में फिर कोशिश करें।',
    bad_manifest: 'यह साइट मॉडल के बारे में जो बताती है, वह काम का नहीं है। साइट चलाने वाले को इसे ठीक करना होगा।',
    bad_signature:
      'मॉडल पर वह हस्ताक्षर नहीं है जो यह पेज माँगता है, इसलिए उसे नहीं खोला गया। साइट चलाने वाले को इसे ठीक करना होगा।',
    no_room: 'मॉडल रखने के लिए इस ब्राउज़र में जगह नहीं बची। कुछ जगह ख़ाली करें और फिर कोशिश करें।',
    too_large: 'मॉडल को इस डिवाइस से ज़्यादा मेमोरी चाहिए। कोई छोटा मॉडल चुनें।',
    network: 'साइट तक पहुँच नहीं हो रही। अपना कनेक्शन देखें।',
    corrupt: 'इस साइट से जो आ रहा है, वह ख़राब है। बाद में कोशिश करें; शायद साइट चलाने वाले को इसे ठीक करना पड़े।',
    bad_template: 'यह बातचीत मॉडल को दी नहीं जा सकी। नई बातचीत शुरू करें।',
    crashed: 'मॉडल रुक गया है। उसे फिर से लोड करें और दोबारा कोशिश करें।',
    disposed: 'मॉडल बंद कर दिया गया था। उसे फिर से लोड करें और दोबारा कोशिश करें।',
  },
  incompleteSite: 'इस साइट के पास पूरा मॉडल नहीं है। साइट चलाने वाले को इसे ठीक करना होगा।',
  tooLarge: (needed, available) =>
    `मॉडल को ${needed} मेमोरी चाहिए, और यहाँ एक पेज को ${available} मिल सकती है। कोई छोटा मॉडल चुनें, या ऐसा ब्राउज़र जो पेजों को ग्राफ़िक्स चिप (WebGPU) देता हो।`,
  tooLargeEstimate: (needed, available) =>
    `मॉडल को ${needed} मेमोरी चाहिए, और इस डिवाइस पर एक पेज को ${available} से ज़्यादा नहीं लेनी चाहिए। ज़्यादा लेने से टैब बंद हो सकता है: छोटा मॉडल चुनें, या फिर भी कोशिश करें।`,
  noModels: 'इस साइट पर अभी कोई मॉडल नहीं है। इसे चलाने वाले को एक जोड़ना होगा।',

  // how it runs
  notices: {
    relaxed_simd: 'इंजन रिलैक्स्ड SIMD के साथ चलता है।',
    plain_simd: 'इंजन रिलैक्स्ड SIMD के बिना चलता है, जो इस ब्राउज़र में नहीं है: यह धीमा है।',
    variant_asked: (variant) => `इंजन ${variant} बिल्ड में चलता है, जैसा माँगा गया।`,
    one_thread: 'उसके पास एक थ्रेड है।',
    threads: (n, cores) =>
      `उसके पास ${plural(n, { one: 'एक थ्रेड है', other: `${n} थ्रेड हैं` })}; यहाँ के तार्किक प्रोसेसर: ${cores}।`,
    no_threads: 'उसके पास एक थ्रेड है, क्योंकि इस ब्राउज़र में WebAssembly के थ्रेड नहीं हैं।',
    not_isolated: 'उसके पास एक थ्रेड है, क्योंकि यह पेज अलग-थलग नहीं है: इसका सर्वर उसके हेडर (COOP और COEP) नहीं भेजता।',
    few_addresses: (size) => `इस डिवाइस ने उसे सिर्फ़ ${size} के मेमोरी पते आरक्षित करने दिए।`,
    context_by_browser: (n_ctx, wanted, needed, available) =>
      `संदर्भ ${wanted} के बजाय ${n_ctx} टोकन का है, क्योंकि पूरे को ${needed} मेमोरी चाहिए; यह ब्राउज़र एक पेज को ज़्यादा से ज़्यादा ${available} देता है।`,
    context_by_device: (n_ctx, wanted, needed, available, reported) =>
      `संदर्भ ${wanted} के बजाय ${n_ctx} टोकन का है, क्योंकि पूरे को ${needed} मेमोरी चाहिए; यह डिवाइस ${reported} बताता है, जिसमें से एक पेज को ज़्यादा से ज़्यादा ${available} लेनी चाहिए।`,
    keeps_no_files:
      'यह ब्राउज़र इस पेज की फ़ाइलें नहीं रखता (निजी विंडो?)। मॉडल मेमोरी में रहता है और अगली बार फिर डाउनलोड होगा।',
    not_stored: (error) =>
      `यह ब्राउज़र मॉडल को सहेज नहीं सका (${error})। वह मेमोरी में रहता है और अगली बार फिर डाउनलोड होगा।`,
    storage_full:
      'इस ब्राउज़र में मॉडल के लिए जगह कम है। वह मेमोरी में रहता है और अगली बार फिर डाउनलोड होगा; उसे रखने के लिए कुछ जगह ख़ाली करें।',
  },
  storageNeeds: (size) => `वह ${size} लेता है।`,
  storageUsed: (used, quota) => `इस साइट के ${quota} में से ${used} भरे हैं।`,

  // meter
  contextUse: 'कितना संदर्भ भरा है',
  contextOf: (used, all) => `संदर्भ ${used} / ${all}`,
  memory: (size) => `${size} मेमोरी`,

  // settings
  systemPrompt: 'सिस्टम निर्देश',
  systemHint: 'बातचीत से पहले दिए जाने वाले निर्देश। ख़ाली: मॉडल के अपने।',
  sampling: 'शब्दों का चुनाव',
  reset: 'मॉडल के अपने मान लौटाएँ',
  seedLabel: 'बीज',
  seedHint: 'एक ही बीज से एक ही जवाब आता है। ख़ाली: हर बार नया।',
  seedAny: 'कोई भी',
  keepSeed: (n) => `पिछला रखें, ${n}`,
  sliders: {
    temperature: {
      label: 'तापमान',
      hint: '0 पर हमेशा सबसे संभावित शब्द; ज़्यादा पर ज़्यादा खुलापन।',
    },
    top_p: { label: 'Top p', hint: 'सबसे संभावित शब्द इस हिस्से तक रखता है। 1 यानी बंद।' },
    top_k: { label: 'Top k', hint: 'इतने ही शब्द रखता है। 0 यानी बंद।' },
    min_p: { label: 'Min p', hint: 'सबसे अच्छे से बहुत कम संभावित शब्द छोड़ता है। 0 यानी बंद।' },
    repeat_penalty: {
      label: 'दोहराव पर रोक',
      hint: '1 से ऊपर मॉडल ख़ुद को कम दोहराता है। 1 यानी बंद।',
    },
    max_tokens: { label: 'सबसे लंबा जवाब', hint: 'टोकन में; एक शब्द में अक्सर कई टोकन होते हैं।' },
    strength: {
      label: 'असर',
      hint: '1 यानी जैसा सिखाया गया। कम पर मॉडल ज़्यादा अपने जैसा, ज़्यादा पर बढ़ा-चढ़ा।',
    },
  },
  overflowLabel: 'संदर्भ भर जाए तो सबसे पुराने संदेश छोड़ दें',
  overflowHint: 'नहीं तो चैट पहले पूछती है।',
  engine: 'इंजन',
  contextLength: 'संदर्भ की लंबाई',
  contextHint: 'जितने टोकन मॉडल पीछे देख सकता है। ज़्यादा में ज़्यादा मेमोरी लगती है।',
  threadsLabel: 'थ्रेड',
  threadsHint: 'इस प्रोसेसर पर गणना के थ्रेड।',
  threadsOne: 'यह पेज अलग-थलग नहीं है, इसलिए इंजन के पास एक ही थ्रेड है।',
  auto: 'अपने-आप',
  applyReload: 'इनके साथ दोबारा लोड करें',
  close: 'बंद करें',

  domain: 'विषय',
  domainNone: 'कोई नहीं, सिर्फ़ मॉडल',
  domainHint: 'जो मॉडल ने अलग से सीखा है। अगले जवाब से लागू होगा।',
  inDomain: (who, domain) => `${who} · ${domain}`,

  // model card
  model: 'मॉडल',
  name: 'नाम',
  licence: 'लाइसेंस',
  licenceUnknown: 'बताया नहीं गया',
  source: 'स्रोत',
  architecture: 'बनावट',
  parameters: 'पैरामीटर',
  weights: 'भार',
  trainedContext: 'सीखा हुआ संदर्भ',
  vocabulary: 'शब्द-भंडार',
  picturesFact: 'चित्र',
  seesPictures: (tokens) => `इन्हें देखता है; हर चित्र ${tokens} टोकन लेता है।`,
  languages: 'भाषाएँ',
  tokensUnit: (n) => `${n} टोकन`,
  layers: (layers, width) => `${layers} परतें, चौड़ाई ${width}`,
  here: 'यहाँ कैसे चलता है',
  variant: 'बिल्ड',
  kernel: 'कर्नेल',
  context: 'संदर्भ',
  memoryLabel: 'मेमोरी',
  stored: 'रखा है',
  storedOpfs: 'इस ब्राउज़र में, SHA-256 से जाँचा हुआ',
  storedMemory: 'सिर्फ़ मेमोरी में',
  where: 'क्या कहाँ चलता है',
  whereModel: (title, size) => `${title} (${size}) इस साइट से आया और आते ही जाँचा गया।`,
  whereCompute: (threads) => `यह इसी टैब में, आपके प्रोसेसर पर गणना करता है: WebAssembly, ${threads}।`,
  threadCount: (n) => plural(n, { one: 'एक थ्रेड', other: `${n} थ्रेड` }),
  whereFrame:
    'आप एक सीलबंद फ़्रेम में लिखते हैं। उसकी सुरक्षा नीति उसे कोई भी नेटवर्क अनुरोध नहीं करने देती, और उसके पास कोई भंडार नहीं है। उसके आसपास का पेज मॉडल लाता है और उसे कभी नहीं बताया जाता कि आप क्या लिखते हैं।',
  whereMemory:
    'बातचीत इसी टैब में रहती है: टैब दोबारा लोड करें या बंद करें, तो वह चली जाती है। जो रखना हो, उसे फ़ाइल में सहेजें।',
  siteInstructions: 'इस साइट के निर्देश',
  siteInstructionsNote: 'यहाँ हर बातचीत इन शब्दों से शुरू होती है। आप इन्हें सेटिंग में बदल सकते हैं।',
  others: 'इस साइट के मॉडल',
  removeStored: 'इस डिवाइस से हटाएँ',
  keptPartly: (size) => `कुछ हिस्सा इस डिवाइस पर, ${size}`,
  notHere: 'इस डिवाइस पर नहीं',
  keptInAll: (size) => `यहाँ के सभी मॉडल इस डिवाइस पर ${size} लेते हैं।`,
  removeNamed: (title, size) => `${title} को इस डिवाइस से हटाएँ (${size})`,
  removeSure: (size) => `हटाकर ${size} खाली करें?`,
  pressAgain: 'हटाने के लिए फिर दबाएँ; रखने के लिए आगे बढ़ें।',
  removed: (title) => `${title} अब इस डिवाइस पर नहीं है।`,
  isOpen: 'खुला है',
  keys: 'कीबोर्ड',
  keyList: [
    ['Enter', 'भेजें'],
    ['Shift Enter', 'नई पंक्ति'],
    ['Esc', 'रोकें'],
    ['↑', 'पिछला संदेश बदलें, जब खाना ख़ाली हो'],
    ['Ctrl Shift Enter', 'दोबारा पूछें'],
    ['Ctrl Shift O', 'नई चैट'],
    ['/', 'संदेश के खाने पर जाएँ'],
  ],
};
