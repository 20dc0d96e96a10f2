// abi.cpp: the C functions of slm.h over the classes of the core. Owns the
// checks of what a host may get wrong; has no logic of its own.
#include <limits>
#include <span>

#include "backend.h"
#include "checks.h"
#include "session.h"

struct slm_model {
  slm::LoadedModel loaded;
  std::unique_ptr<slm::Checks> checks; // once they were asked for
};
struct slm_session {
  std::unique_ptr<slm::Session> session;
};
struct slm_adapter {
  std::shared_ptr<slm::Adapter> adapter; // shared with the sessions that use it
};
struct slm_vision {
  slm_model *model;
  slm::Vision vision;
};
struct slm_picture {
  std::shared_ptr<const slm::Picture> picture; // shared with the sessions that show it
};

struct slm_sae {
  std::shared_ptr<slm::Sae> sae; // shared with the sessions that have encoded with it
};

using namespace slm;

namespace {

#ifdef __wasm_relaxed_simd__
constexpr std::string_view kSimd = "relaxed";
#elif defined(__wasm_simd128__)
constexpr std::string_view kSimd = "simd128";
#else
constexpr std::string_view kSimd = "scalar";
#endif
#ifdef __wasm_atomics__
constexpr std::string_view kThreads = "true";
#else
constexpr std::string_view kThreads = "false";
#endif

Status check_size(double file_size, uint32_t n) {
  if (file_size >= n && file_size < 9e15) return SLM_OK;
  return fail(SLM_ERR_INVALID_ARGUMENT, "the file's size should be at least the ", n, " bytes given");
}

Status check_form(int32_t i) {
  if (i >= 0 && i < form_count()) return SLM_OK;
  return fail(SLM_ERR_INVALID_ARGUMENT, "there is no dot product form ", i, "; this build has ", form_count());
}

Status check_check(const slm_model *m, uint32_t i) {
  if (m->checks != nullptr && i < m->checks->count()) return SLM_OK;
  return fail(SLM_ERR_INVALID_ARGUMENT, "there is no self-test ", i, "; ask how many there are first");
}

Status need_tokenizer(const slm_model *m) {
  if (m->loaded.tokenizer() != nullptr) return SLM_OK;
  return fail(SLM_ERR_WRONG_STATE, "the model's header is not complete yet");
}

} // namespace

extern "C" {

const char *slm_build_info(void) {
  static std::string json;
  json.assign("{\"version\":\"0.1.0\",\"simd\":\"").append(kSimd).append("\",\"threads\":").append(kThreads);
  const char *form = form_name(form_selected());
  json.append(",\"dot\":\"").append(form == nullptr ? "none" : form);
  json.append("\",\"backend\":\"").append(kBackend).append("\"}");
  return json.c_str();
}

const char *slm_error(void) { return error_text(); }

void *slm_alloc(uint32_t n) { return allocate(n); }
void slm_free(void *p) { release(p); }

int32_t slm_dot_count(void) { return form_count(); }

const char *slm_dot_name(int32_t i) { return i < 0 || i >= form_count() ? nullptr : form_name(i); }

int32_t slm_dot_rounds(int32_t i) { return i >= 0 && i < form_count() && form_rounds(i); }

int32_t slm_dot_bench(int32_t i, uint32_t n) {
  SLM_TRY(check_form(i));
  if (n < 1 || n > 1u << 16) return fail(SLM_ERR_INVALID_ARGUMENT, "expected 1 to 65536 rounds, not ", n);
  const double macs = form_bench(i, n);
  return macs > 0 ? static_cast<int32_t>(macs / 1e6)
                  : fail(SLM_ERR_OUT_OF_MEMORY, "no memory for the kernel benchmark");
}

int32_t slm_dot_select(int32_t i) {
  SLM_TRY(check_form(i));
  form_select(i);
  return SLM_OK;
}

int32_t slm_threads_start(uint32_t n) { return start_threads(n); }
void slm_thread_main(uint32_t index) { serve_thread(index); }
void slm_threads_stop(void) { stop_threads(); }

slm_model *slm_model_new(void) { return new slm_model; }
void slm_model_free(slm_model *m) {
  settle();
  delete m;
}

int32_t slm_model_header(slm_model *m, const uint8_t *bytes, uint32_t n, double file_size) {
  SLM_TRY(check_size(file_size, n));
  uint32_t missing = 0;
  const Status status = m->loaded.header({bytes, n}, static_cast<uint64_t>(file_size), missing);
  return status == SLM_OK ? static_cast<int32_t>(missing) : status;
}

int32_t slm_model_layers(slm_model *m, uint32_t first, uint32_t end) { return m->loaded.layers({first, end}); }
int32_t slm_model_layout(slm_model *m) { return m->loaded.layout(); }
const char *slm_model_describe(slm_model *m) { return m->loaded.describe(); }

int32_t slm_model_feed(slm_model *m, uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n) {
  return m->loaded.feed(tensor, offset, bytes, n);
}

int32_t slm_model_ready(slm_model *m) { return m->loaded.ready(); }

int32_t slm_model_prepare(slm_model *m, uint32_t n_ctx, uint32_t n_batch) {
  return Compute::prepare(m->loaded, n_ctx, n_batch);
}

int32_t slm_imatrix_start(slm_model *m) {
  settle();
  return m->loaded.start_imatrix();
}

int32_t slm_imatrix_read(slm_model *m, uint32_t tensor, float *sums, uint32_t capacity) {
  uint32_t tokens = 0;
  const Status status = m->loaded.read_imatrix(tensor, sums, capacity, tokens);
  return status == SLM_OK ? static_cast<int32_t>(tokens) : status;
}

int32_t slm_check_count(slm_model *m) {
  if (!m->loaded.is_laid_out()) return fail(SLM_ERR_WRONG_STATE, "the model is not laid out yet");
  m->checks = std::make_unique<Checks>(m->loaded);
  return static_cast<int32_t>(m->checks->count());
}

const char *slm_check_name(slm_model *m, uint32_t i) {
  return check_check(m, i) == SLM_OK ? m->checks->name(i) : nullptr;
}

int32_t slm_check_start(slm_model *m, uint32_t i) {
  SLM_TRY(check_check(m, i));
  return m->checks->start(i);
}

double slm_check_error(slm_model *m) {
  return m->checks == nullptr ? std::numeric_limits<double>::infinity() : m->checks->error();
}
double slm_check_bound(void) { return Checks::bound(); }

slm_adapter *slm_adapter_new(slm_model *m) { return new slm_adapter{std::make_shared<Adapter>(m->loaded)}; }
void slm_adapter_free(slm_adapter *a) { delete a; }

int32_t slm_adapter_header(slm_adapter *a, const uint8_t *bytes, uint32_t n, double file_size) {
  SLM_TRY(check_size(file_size, n));
  return a->adapter->header({bytes, n}, static_cast<uint64_t>(file_size));
}

const char *slm_adapter_describe(slm_adapter *a) { return a->adapter->describe(); }

int32_t slm_adapter_feed(slm_adapter *a, uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n) {
  return a->adapter->feed(tensor, offset, bytes, n);
}

int32_t slm_adapter_ready(slm_adapter *a) { return a->adapter->ready(); }

slm_vision *slm_vision_new(slm_model *m) { return new slm_vision{m, Vision(m->loaded)}; }
void slm_vision_free(slm_vision *v) {
  settle();
  v->model->checks = nullptr; // they may be of this encoder
  delete v;
}

int32_t slm_vision_check_count(slm_vision *v) {
  if (v->vision.describe() == nullptr) return SLM_ERR_WRONG_STATE;
  v->model->checks = std::make_unique<Checks>(v->vision);
  return static_cast<int32_t>(v->model->checks->count());
}

int32_t slm_vision_header(slm_vision *v, const uint8_t *bytes, uint32_t n, double file_size) {
  SLM_TRY(check_size(file_size, n));
  return v->vision.header({bytes, n}, static_cast<uint64_t>(file_size));
}

const char *slm_vision_describe(slm_vision *v) { return v->vision.describe(); }

int32_t slm_vision_feed(slm_vision *v, uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n) {
  return v->vision.feed(tensor, offset, bytes, n);
}

int32_t slm_vision_ready(slm_vision *v) { return v->vision.ready(); }

double slm_vision_bytes(slm_vision *v, uint32_t width, uint32_t height) {
  uint64_t bytes = 0;
  const Status status = v->vision.measure({width, height}, bytes);
  return status == SLM_OK ? double(bytes) : double(status);
}

slm_picture *slm_vision_encode(slm_vision *v, const uint8_t *rgb, uint32_t width, uint32_t height) {
  std::unique_ptr<Picture> picture;
  return v->vision.encode(rgb, {width, height}, picture) == SLM_OK ? new slm_picture{std::move(picture)} : nullptr;
}
void slm_picture_free(slm_picture *p) {
  settle();
  delete p;
}

int32_t slm_picture_read(slm_picture *p, float *rows, uint32_t capacity) {
  const uint32_t n = p->picture->n * p->picture->rows.width;
  if (capacity == n) p->picture->read(rows);
  return static_cast<int32_t>(n);
}

int32_t slm_session_pictures(slm_session *s, slm_picture *const *pictures, const uint32_t *at, uint32_t n) {
  std::vector<Pictures::Shown> shown(n);
  for (uint32_t i = 0; i < n; i++)
    shown[i] = {pictures[i]->picture, at[i]};
  return s->session->show(std::move(shown));
}

int32_t slm_tokenize(slm_model *m, const char *text, uint32_t n, uint32_t flags, const uint32_t *plain,
                     uint32_t n_plain, int32_t *ids, uint32_t capacity) {
  SLM_TRY(need_tokenizer(m));
  constexpr uint32_t kMaxText = 64u << 20; // bytes; far past any context
  if (n > kMaxText)
    return fail(SLM_ERR_INVALID_ARGUMENT, "a text of ", n, " bytes; at most ", kMaxText, " can be tokenized at once");
  std::vector<int32_t> all;
  m->loaded.tokenizer()->encode({text, n}, (flags & SLM_TEXT_SPECIAL) != 0, (flags & SLM_TEXT_BOS) != 0, all,
                                {plain, size_t(n_plain) * 2});
  for (uint32_t i = 0; i < capacity && i < all.size(); i++)
    ids[i] = all[i];
  return static_cast<int32_t>(all.size());
}

int32_t slm_detokenize(slm_model *m, const int32_t *ids, uint32_t n, uint32_t flags, char *text, uint32_t capacity) {
  SLM_TRY(need_tokenizer(m));
  std::string all;
  m->loaded.tokenizer()->decode(ids, n, (flags & SLM_TEXT_SPECIAL) != 0, all);
  for (uint32_t i = 0; i < capacity && i < all.size(); i++)
    text[i] = all[i];
  return static_cast<int32_t>(all.size());
}

slm_session *slm_session_new(slm_model *m, uint32_t n_ctx, uint32_t n_batch) {
  std::unique_ptr<Session> session;
  if (Session::create(m->loaded, n_ctx, n_batch, session) != SLM_OK) return nullptr;
  return new slm_session{std::move(session)};
}
void slm_session_free(slm_session *s) {
  settle();
  delete s;
}

double slm_session_bytes(slm_model *m, uint32_t n_ctx, uint32_t n_batch) {
  uint64_t bytes = 0;
  const Status status = Compute::measure(m->loaded, n_ctx, n_batch, bytes);
  return status == SLM_OK ? double(bytes) : double(status);
}

int32_t slm_session_reuse(slm_session *s, const int32_t *ids, uint32_t n) {
  return static_cast<int32_t>(s->session->reuse(ids, n));
}

int32_t slm_session_adapters(slm_session *s, slm_adapter *const *adapters, const float *scales, uint32_t n) {
  std::vector<Adaptation::Use> uses(n);
  for (uint32_t i = 0; i < n; i++)
    uses[i] = {adapters[i]->adapter, scales[i]};
  return s->session->use(std::move(uses));
}

int32_t slm_session_exact(slm_session *s, int32_t on) { return s->session->exact(on != 0); }

int32_t slm_session_n_past(slm_session *s) { return static_cast<int32_t>(s->session->n_past()); }

int32_t slm_session_eval(slm_session *s, const int32_t *ids, uint32_t n, uint32_t flag) {
  if (flag > SLM_EVAL_EMBEDDING) return fail(SLM_ERR_INVALID_ARGUMENT, "there is no eval flag ", flag);
  return s->session->eval(ids, n, static_cast<slm_eval_flag>(flag));
}

const float *slm_session_logits(slm_session *s) { return s->session->logits(); }

int32_t slm_session_embedding(slm_session *s, float *out, uint32_t n) { return s->session->embedding(out, n); }

int32_t slm_session_tap(slm_session *s, const uint32_t *taps, uint32_t n) {
  return s->session->tap({taps, size_t(n) * 2});
}

int32_t slm_session_tap_width(slm_session *s, uint32_t i) {
  Rows rows;
  const Status status = s->session->tapped(i, rows);
  return status == SLM_OK ? static_cast<int32_t>(rows.width) : status;
}

const float *slm_session_tapped(slm_session *s, uint32_t i) {
  Rows rows;
  return s->session->tapped(i, rows) == SLM_OK ? rows.data : nullptr;
}

int32_t slm_session_steer(slm_session *s, uint32_t layer, const float *direction, uint32_t n, float scale) {
  return s->session->steer(layer, {direction, n}, scale);
}

int32_t slm_session_lens(slm_session *s, const float *rows, uint32_t n) { return s->session->lens(rows, n); }

int32_t slm_session_top(slm_session *s, uint32_t row, uint32_t n, int32_t *ids, float *logprobs) {
  const Status status = s->session->top(row, n, ids, logprobs);
  return status == SLM_OK ? static_cast<int32_t>(n) : status;
}

slm_sae *slm_sae_new(slm_model *m) { return new slm_sae{std::make_shared<Sae>(m->loaded)}; }
void slm_sae_free(slm_sae *a) { delete a; }

int32_t slm_sae_header(slm_sae *a, const uint8_t *bytes, uint32_t n, double file_size) {
  SLM_TRY(check_size(file_size, n));
  return a->sae->header({bytes, n}, static_cast<uint64_t>(file_size));
}

const char *slm_sae_describe(slm_sae *a) { return a->sae->describe(); }

int32_t slm_sae_feed(slm_sae *a, uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n) {
  return a->sae->feed(tensor, offset, bytes, n);
}

int32_t slm_sae_ready(slm_sae *a) { return a->sae->ready(); }
const char *slm_sae_label(slm_sae *a, uint32_t feature) { return a->sae->label(feature); }

int32_t slm_sae_direction(slm_sae *a, const uint8_t *row, uint32_t n, float *out, uint32_t capacity) {
  return a->sae->direction({row, n}, {out, capacity});
}

int32_t slm_session_encode(slm_session *s, slm_sae *a, const float *rows, uint32_t n) {
  return s->session->encode(a->sae, rows, n);
}

int32_t slm_session_features(slm_session *s, uint32_t row, uint32_t n, int32_t *features, float *activations) {
  uint32_t found = 0;
  const Status status = s->session->features(row, n, features, activations, found);
  return status == SLM_OK ? static_cast<int32_t>(found) : status;
}

double slm_session_feature(slm_session *s, uint32_t row, uint32_t feature) {
  float activation = 0;
  const Status status = s->session->feature(row, feature, activation);
  return status == SLM_OK ? double(activation) : double(status);
}

int32_t slm_session_reset(slm_session *s) {
  s->session->reset();
  return SLM_OK;
}

int32_t slm_session_set(slm_session *s, int32_t param, double value) {
  return s->session->sampler().set(static_cast<slm_param>(param), value);
}

int32_t slm_session_bias(slm_session *s, int32_t token, float bias) {
  SLM_TRY(s->session->check_token(token));
  if (!(bias < std::numeric_limits<float>::infinity()))
    return fail(SLM_ERR_INVALID_ARGUMENT, "the bias of token ", token, " is not a number below infinity");
  s->session->sampler().bias(token, bias);
  return SLM_OK;
}

int32_t slm_session_stop(slm_session *s, const char *text, uint32_t n) {
  if (n < 1 || n > 256) return fail(SLM_ERR_INVALID_ARGUMENT, "a stop string of ", n, " bytes; expected 1 to 256");
  s->session->text().add_stop({text, n});
  return SLM_OK;
}

int32_t slm_session_show(slm_session *s, int32_t token) {
  SLM_TRY(s->session->check_token(token));
  s->session->show(token);
  return SLM_OK;
}

int32_t slm_session_sample(slm_session *s) {
  int32_t token = 0;
  const Status status = s->session->sample(token);
  return status == SLM_OK ? token : status;
}

int32_t slm_session_accept(slm_session *s, int32_t token) {
  SLM_TRY(s->session->check_token(token));
  s->session->accept(token);
  return SLM_OK;
}

int32_t slm_session_finish(slm_session *s) { return s->session->finish(); }

int32_t slm_session_text(slm_session *s, int32_t flush, char *text, uint32_t capacity) {
  if (capacity < 4) return fail(SLM_ERR_INVALID_ARGUMENT, "room for ", capacity, " bytes; a character may need 4");
  return static_cast<int32_t>(s->session->text().take(flush != 0, text, capacity));
}

int32_t slm_session_logprobs(slm_session *s, uint32_t n, int32_t *ids, float *logprobs) {
  return s->session->logprobs(n, ids, logprobs);
}

} // extern "C"
