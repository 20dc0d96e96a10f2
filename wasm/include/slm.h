/* slm.h: the whole C ABI of the inference core.
 *
 * Every function marked SLM_API, and nothing else, is exported from the wasm
 * module; build/generate.py reads this file and writes the export list, the
 * TypeScript interface and the Python bindings from it, so keep one declaration
 * to a statement and one statement to a function.
 *
 * The core does no I/O and knows no clock: the host (web/src/core in a worker,
 * py/slmweb/core under wasmtime) hands it bytes and takes tokens. Pointers are
 * offsets into the module's linear memory. Text is UTF-8 with explicit lengths,
 * except for strings that the core returns, which end in NUL, belong to the
 * core and live until the next call on the same object.
 *
 * A function that can fail returns a negative slm_status (or NULL), and
 * slm_error() then gives one sentence: what was expected, what was found, what
 * to do. Unless it says otherwise a function may be called only from the main
 * thread, and not while another call is running.
 */
#ifndef SLM_H
#define SLM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SLM_API __attribute__((visibility("default")))

typedef enum slm_status {
  SLM_OK = 0,
  SLM_ERR_INVALID_ARGUMENT = -1, /* the host broke a rule of this file */
  SLM_ERR_BAD_FILE = -2,         /* the GGUF is damaged or lies about itself */
  SLM_ERR_UNSUPPORTED = -3,      /* well-formed, but not a model that we run */
  SLM_ERR_OUT_OF_MEMORY = -4,    /* linear memory cannot grow that far */
  SLM_ERR_CONTEXT_FULL = -5,     /* the tokens do not fit n_ctx */
  SLM_ERR_NEED_MORE = -6,        /* the header goes on past the given bytes */
  SLM_ERR_WRONG_STATE = -7       /* right call, wrong moment */
} slm_status;

typedef struct slm_model slm_model;
typedef struct slm_session slm_session;
typedef struct slm_adapter slm_adapter;
typedef struct slm_vision slm_vision;
typedef struct slm_picture slm_picture;
typedef struct slm_sae slm_sae;

/* ---- the module ------------------------------------------------------- */

/* JSON: {"version", "simd": "simd128"|"relaxed"|"scalar", "threads": bool,
 * "dot": "<kernel in use>" or "none", "backend": "cpu"|"webgpu"}. */
SLM_API const char *slm_build_info(void);

/* The sentence that belongs to the last error of this thread ("" at first). */
SLM_API const char *slm_error(void);

/* `n` bytes aligned to 64, or NULL. */
SLM_API void *slm_alloc(uint32_t n);
SLM_API void slm_free(void *p);

/* Integer dot-product forms: on some machines one is twice the other, and only
 * the host has a clock. Whenever nothing is evaluated, it times
 * slm_dot_bench(i, n) for every i below slm_dot_count() and calls
 * slm_dot_select() with the fastest; results do not depend on it. The bench runs
 * `n` rounds of the prefill kernel on scratch data and returns the number of
 * multiply-accumulates done, in millions, or a negative status. On the GPU these
 * are the forms of all products, the bench only encodes, and the choice comes
 * before slm_model_prepare. */
SLM_API int32_t slm_dot_count(void);
SLM_API const char *slm_dot_name(int32_t i);
/* 1 when it rounds activations to bytes, outside of exact sessions. */
SLM_API int32_t slm_dot_rounds(int32_t i);
SLM_API int32_t slm_dot_bench(int32_t i, uint32_t n);
SLM_API int32_t slm_dot_select(int32_t i);

/* ---- threads (the -mt variants) ---------------------------------------- */

/* Sets the number of compute threads, the caller included (1 at first). The
 * host then starts n-1 further instances of the module on the same memory,
 * gives each its own __stack_pointer and TLS block, and calls slm_thread_main
 * with 1, 2, ... n-1 in them. */
SLM_API int32_t slm_threads_start(uint32_t n);

/* Serves as compute thread `index` until slm_threads_stop(). Blocks. Threads are
 * started again only when all of these calls have returned. */
SLM_API void slm_thread_main(uint32_t index);

SLM_API void slm_threads_stop(void);

/* ---- loading ----------------------------------------------------------- */

SLM_API slm_model *slm_model_new(void);
SLM_API void slm_model_free(slm_model *m);

/* Parses the header of the next file of the model (a split set has several;
 * hand them over in order) from its first `n` bytes and copies what it needs.
 * `file_size` is the whole file's size in bytes: tensors are checked to lie
 * inside it. SLM_ERR_NEED_MORE asks for the same call with more bytes (double
 * them). Returns the number of files still missing: 0 when the set is whole. */
SLM_API int32_t slm_model_header(slm_model *m, const uint8_t *bytes, uint32_t n, double file_size);

/* Checks every tensor against the architecture and allocates the packed
 * weights. Call after the last header. After an error the model can still be
 * described and its tokenizer used. */
SLM_API int32_t slm_model_layout(slm_model *m);

/* Makes the model consist of its layers [first, end) alone, between its embedding
 * and its head: at first these are all. Before slm_model_layout, no others are
 * loaded (their tensors have no granule, and are not fed), so that a model which
 * is too large can be evaluated a few layers at a time; after it, the layers must
 * be some of those that are loaded, and sessions evaluate these from now on. What
 * their caches hold is then of other layers: see slm_session_reuse. */
SLM_API int32_t slm_model_layers(slm_model *m, uint32_t first, uint32_t end);

/* JSON: {"architecture", "name", "license", "parameters", "n_ctx_train",
 * "n_vocab", "n_embd", "n_embedding", "encoder_decoder", "n_layer", "n_head", "n_head_kv",
 * "bos", "eos", "eot", "add_bos", "eog": [ids], "fim": {"prefix", "suffix", "middle", "separator",
 * "repo", "pad"} or null (what a text to be filled in the middle is put together
 * with), "tokenizer", "chat_template", "languages", "packed_bytes",
 * "types": {"Q4_1": bytes, ...}, "files": n,
 * "tensors": [{"name", "file", "type", "shape", "offset", "size", "granule"}]}
 * "offset" counts from the start of the tensor's own file. Absent facts are
 * null. "granule" is there after slm_model_layout, for tensors that are loaded, and so
 * is "n_embedding", for models that embed texts and generate none, and "encoder_decoder",
 * whether an encoder reads a prompt whole before a decoder answers; see slm_session_eval. */
SLM_API const char *slm_model_describe(slm_model *m);

/* Hands over bytes [offset, offset + n) of tensor `tensor` (its index in
 * "tensors"); they are repacked into the kernel's layout at once, so the buffer
 * can be reused. A tensor's pieces come once each, in any order, from any thread
 * and several at the same time; each begins at a multiple of its granule, and
 * every piece but the last is as long as a multiple of it. */
SLM_API int32_t slm_model_feed(slm_model *m, uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n);

/* The variant webgpu: goes through every kind of evaluation that a session of
 * this shape can ask for, once the model is laid out, so that a host which only
 * notes what is encoded knows all pipelines before the weights are there; those
 * of adapters and of pictures come with the first that is used. */
SLM_API int32_t slm_model_prepare(slm_model *m, uint32_t n_ctx, uint32_t n_batch);

/* Checks that every tensor has arrived whole; the model can then be evaluated. */
SLM_API int32_t slm_model_ready(slm_model *m);

/* ---- self-tests ---------------------------------------------------------- */

/* How many proofs there are that the kernels which this model, laid out, needs
 * compute what they should: none on the CPU, whose kernels run on no driver. */
SLM_API int32_t slm_check_count(slm_model *m);

/* "matvec Q4_K", or NULL. */
SLM_API const char *slm_check_name(slm_model *m, uint32_t i);

/* Hands self-test `i` to the device. When the host has waited for it,
 * slm_check_error gives its largest error over the norm of the right values
 * (infinite where there is no number), to be compared with slm_check_bound. */
SLM_API int32_t slm_check_start(slm_model *m, uint32_t i);
SLM_API double slm_check_error(slm_model *m);
SLM_API double slm_check_bound(void);

/* ---- importance matrices ------------------------------------------------ */

/* From now on every evaluation of the model adds up, for each matrix, the
 * squares of each column of its inputs over the tokens, in float32. Starts from
 * zero, also the second time. Call when the model is ready. */
SLM_API int32_t slm_imatrix_start(slm_model *m);

/* Writes the sums of matrix `tensor` (its index in "tensors"), as many as it has
 * columns, which `capacity` must be, and returns over how many tokens they are:
 * 0 if it took part in no product. A tied embedding counts as the head. */
SLM_API int32_t slm_imatrix_read(slm_model *m, uint32_t tensor, float *sums, uint32_t capacity);

/* ---- adapters ---------------------------------------------------------- */

/* A LoRA adapter of a model that is laid out and outlives it. Sessions share
 * it: one that is in use may be freed, and goes when the last session drops it. */
SLM_API slm_adapter *slm_adapter_new(slm_model *m);
SLM_API void slm_adapter_free(slm_adapter *a);

/* Parses the header of a GGUF adapter (llama.cpp's conventions: general.type
 * "adapter", adapter.type "lora", tensors NAME.lora_a and NAME.lora_b), checks
 * it against the model and allocates. SLM_ERR_NEED_MORE as slm_model_header. */
SLM_API int32_t slm_adapter_header(slm_adapter *a, const uint8_t *bytes, uint32_t n, double file_size);

/* JSON: {"name", "rank": the largest, "packed_bytes", "tensors": as those of
 * slm_model_describe}. */
SLM_API const char *slm_adapter_describe(slm_adapter *a);

/* As slm_model_feed, but one piece at a time. */
SLM_API int32_t slm_adapter_feed(slm_adapter *a, uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n);

/* Checks that every tensor has arrived whole; sessions can then use it. */
SLM_API int32_t slm_adapter_ready(slm_adapter *a);

/* ---- pictures ----------------------------------------------------------- */

/* The encoder of pictures that belongs to a model which is laid out and outlives
 * it. Its file is a second one (llama.cpp's "mmproj"). */
SLM_API slm_vision *slm_vision_new(slm_model *m);
SLM_API void slm_vision_free(slm_vision *v);

/* Parses the header of the encoder's file, checks it against the model and
 * allocates. SLM_ERR_NEED_MORE as slm_model_header. */
SLM_API int32_t slm_vision_header(slm_vision *v, const uint8_t *bytes, uint32_t n, double file_size);

/* JSON: {"name", "projector": "gemma3"|"gemma4v"|"paligemma"|"idefics3", "image_size": the
 * side in pixels of the square that a picture is, or 0 where it keeps its shape; its sides
 * are then multiples of "patch_size" * "factor", "patch_size", "factor": as many rows and
 * columns of patches make one position, "n_tokens": positions that a picture takes, or at
 * most where nobody asks for more, "max_tokens": at most in any case, "whole_picture": whether
 * a picture is evaluated by one call, "whole_prompt": whether a prompt with pictures is,
 * "parameters", "packed_bytes", "types", "tensors": as those of slm_model_describe}.
 * Those named "masks.…" have no granule and are not fed: they decode what an answer outlines,
 * which is the host's business. */
SLM_API const char *slm_vision_describe(slm_vision *v);

/* As slm_model_feed. */
SLM_API int32_t slm_vision_feed(slm_vision *v, uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n);

/* Checks that every tensor has arrived whole; pictures can then be encoded. */
SLM_API int32_t slm_vision_ready(slm_vision *v);

/* The self-tests of an encoder whose header has come, in place of its model's until
 * those are counted again: slm_check_name, slm_check_start and slm_check_error of the
 * model are then about these. */
SLM_API int32_t slm_vision_check_count(slm_vision *v);

/* Bytes that encoding a picture of these sides takes beside the weights, or a negative
 * status. */
SLM_API double slm_vision_bytes(slm_vision *v, uint32_t width, uint32_t height);

/* Encodes a picture of width * height pixels, row by row, red, green and blue of 0 to
 * 255 each; it takes (width / patch_size / factor) * (height / patch_size / factor)
 * positions, rounded down at each division. NULL on error. On the GPU this only hands
 * the work over. */
SLM_API slm_picture *slm_vision_encode(slm_vision *v, const uint8_t *rgb, uint32_t width, uint32_t height);

/* A picture may be freed while sessions use it: it goes when the last drops it. */
SLM_API void slm_picture_free(slm_picture *p);

/* Copies what stands in place of embeddings, float32 [its positions, n_embd], if `capacity`
 * numbers are as many, and returns how many there are. On the GPU they are there when the
 * host has waited. */
SLM_API int32_t slm_picture_read(slm_picture *p, float *rows, uint32_t capacity);

/* The pictures of the following prompts, in place of those before: from position
 * at[i] on, rising, the rows of picture i stand in place of embeddings, whatever
 * ids are there. Call before slm_session_reuse, which compares pictures too. Where
 * "whole_picture" says so, an evaluation has a picture whole or not at all (so that
 * n_batch is at least as large). On error nothing changes. */
SLM_API int32_t slm_session_pictures(slm_session *s, slm_picture *const *pictures, const uint32_t *at, uint32_t n);

/* ---- text -------------------------------------------------------------- */

typedef enum slm_text_flag {
  SLM_TEXT_SPECIAL = 1, /* special tokens in the text are parsed / are rendered */
  SLM_TEXT_BOS = 2      /* add BOS (and EOS) where the model's metadata asks for it */
} slm_text_flag;

/* Tokenizes `n` bytes of text (any bytes). `plain` holds `n_plain` pairs of byte
 * offsets [begin, end), rising: what came from a stranger. A control token of
 * which a byte lies there is text, whatever the flags; merges go on across the
 * borders. Writes at most `capacity` ids and returns how many there are in all
 * (call again with room for them), or a negative status. Works as soon as the
 * last header is in. */
SLM_API int32_t slm_tokenize(slm_model *m, const char *text, uint32_t n, uint32_t flags, const uint32_t *plain,
                             uint32_t n_plain, int32_t *ids, uint32_t capacity);

/* The bytes of `n` ids, which may end inside a UTF-8 sequence. Writes at most
 * `capacity` bytes and returns how many there are in all. */
SLM_API int32_t slm_detokenize(slm_model *m, const int32_t *ids, uint32_t n, uint32_t flags, char *text,
                               uint32_t capacity);

/* ---- sessions ---------------------------------------------------------- */

/* A session is one KV cache of n_ctx positions (f16; sliding-window layers
 * keep a ring, recurrent layers a state of constant size) and one sampler. At most n_batch tokens are evaluated by one
 * call. NULL on error. */
SLM_API slm_session *slm_session_new(slm_model *m, uint32_t n_ctx, uint32_t n_batch);
SLM_API void slm_session_free(slm_session *s);

/* Bytes that a session of this shape would take (cache and activations), or a
 * negative status. Works after slm_model_layout, before any weight is there. */
SLM_API double slm_session_bytes(slm_model *m, uint32_t n_ctx, uint32_t n_batch);

/* The adapters of the following evaluations, in place of those before: a matrix
 * W becomes W + sum over i of scales[i] * (alpha / rank) * B_i A_i. n = 0 is the
 * base alone, and so is a scale of 0. On error nothing changes. */
SLM_API int32_t slm_session_adapters(slm_session *s, slm_adapter *const *adapters, const float *scales, uint32_t n);

/* `on` is 1: the following evaluations round nothing: float32 activations meet
 * the weights as they are stored, and the cache is float32. Slow on the CPU, and
 * for checks: devices that are right differ by the rounding of float32 alone. 0
 * turns it off. A change empties the cache; on error nothing changes. */
SLM_API int32_t slm_session_exact(slm_session *s, int32_t on);

/* Keeps the longest prefix of `ids` that the cache already holds, computed with
 * the adapters, the steering and the pictures of now, forgets what follows, and returns its length (at most
 * n - 1, so that there is always a token to evaluate). 0 forgets everything.
 * Where layers recur, the prefix ends where an evaluation of several tokens, or
 * the first one after a reuse, was asked for logits, or where the cache ends:
 * there the session has copies of the state, of which the last few are kept.
 * Where an encoder reads prompts, it is always 0: each is read anew. */
SLM_API int32_t slm_session_reuse(slm_session *s, const int32_t *ids, uint32_t n);

/* Positions in the cache. */
SLM_API int32_t slm_session_n_past(slm_session *s);

typedef enum slm_eval_flag {
  SLM_EVAL_NO_LOGITS = 0,   /* a prefill chunk that more chunks follow */
  SLM_EVAL_LAST_LOGITS = 1, /* logits of the last token */
  SLM_EVAL_ALL_LOGITS = 2,  /* logits of every token */
  SLM_EVAL_SAMPLE = 3,      /* what slm_session_sample needs of the last token */
  SLM_EVAL_SAMPLE_ON = 4,   /* the same, where the sampled token will be evaluated next */
  SLM_EVAL_EMBEDDING = 5    /* the embedding of a text, of a model that embeds and knows no other flag */
} slm_eval_flag;

/* Appends `n` tokens (1 to n_batch) to the cache and computes what
 * `flag` asks for; an embedding is that of these tokens alone (1 to n_ctx). On error the cache is as before. On the GPU
 * this only hands the work over: logits and samples are there when the host has waited for it. With SLM_EVAL_SAMPLE a
 * GPU draws the token itself where it can, by what the sampler is set to now, and with SLM_EVAL_SAMPLE_ON it goes on
 * with that token at once; a call with another token is right, too, but begins anew. Where an encoder reads
 * prompts, all tokens up to and with the first call for logits are one, whose calls before only collect it; its
 * logits are those of the answer's first token, the answer comes one token a call, and SLM_EVAL_ALL_LOGITS and
 * what looks inside are refused. */
SLM_API int32_t slm_session_eval(slm_session *s, const int32_t *ids, uint32_t n, uint32_t flag);

/* float32 [1 or n, n_vocab], as the last slm_session_eval asked, or an embedding
 * as the model puts it out; else NULL (for SLM_EVAL_SAMPLE too, where a device
 * keeps them). */
SLM_API const float *slm_session_logits(slm_session *s);

/* Writes the first `n` numbers (1 to n_embedding) of the last text's embedding, scaled
 * to the length 1: of a model trained for it, a shorter embedding that is nearly
 * as good (Kusupati et al. 2022). */
SLM_API int32_t slm_session_embedding(slm_session *s, float *out, uint32_t n);

/* ---- sampling ---------------------------------------------------------- */

typedef enum slm_param {
  SLM_PARAM_TEMPERATURE = 0,       /* 0 is greedy; default 0.8 */
  SLM_PARAM_TOP_K = 1,             /* 0 is off; default 40 */
  SLM_PARAM_TOP_P = 2,             /* 1 is off; default 0.95 */
  SLM_PARAM_MIN_P = 3,             /* 0 is off; default 0.05 */
  SLM_PARAM_REPEAT_PENALTY = 4,    /* 1 is off; default 1 */
  SLM_PARAM_PRESENCE_PENALTY = 5,  /* 0 is off; default 0 */
  SLM_PARAM_FREQUENCY_PENALTY = 6, /* 0 is off; default 0 */
  SLM_PARAM_PENALTY_LAST_N = 7,    /* tokens that penalties look at; default 64 */
  SLM_PARAM_SEED = 8,              /* 0 to 2^53; default 0 */
  SLM_PARAM_IGNORE_EOG = 9         /* 1: end-of-generation tokens do not stop */
} slm_param;

/* Forgets sampling parameters, biases, stop strings, shown tokens, penalties' history,
 * pending text and the finish reason; the cache stays. */
SLM_API int32_t slm_session_reset(slm_session *s);
SLM_API int32_t slm_session_set(slm_session *s, int32_t param, double value);

/* Adds `bias` to a token's logit; -INFINITY forbids it. */
SLM_API int32_t slm_session_bias(slm_session *s, int32_t token, float bias);

/* Ends generation before the first occurrence of this text (1 to 256 bytes).
 * Special tokens count with their text here, although they give none. */
SLM_API int32_t slm_session_stop(slm_session *s, const char *text, uint32_t n);

/* This special token gives its text, which by default none of them does: for
 * those that an answer has its form from, such as the call of a tool. */
SLM_API int32_t slm_session_show(slm_session *s, int32_t token);

/* Samples the next token from the last row of logits and takes it into the
 * text stream; returns its id. The host evaluates it to go on. */
SLM_API int32_t slm_session_sample(slm_session *s);

/* Takes a token into the text stream that another session has sampled with the
 * same parameters, so that an answer goes on here where it stopped there. Needs
 * no logits; the host evaluates the token. */
SLM_API int32_t slm_session_accept(slm_session *s, int32_t token);

typedef enum slm_finish {
  SLM_FINISH_NONE = 0,
  SLM_FINISH_EOG = 1, /* an end-of-generation token was sampled */
  SLM_FINISH_STOP = 2 /* a stop string was completed */
} slm_finish;

SLM_API int32_t slm_session_finish(slm_session *s);

/* Takes generated text that is whole UTF-8 and cannot become part of a stop
 * string. Writes at most `capacity` bytes, returns how many it wrote; call
 * until it returns 0. `flush` gives out what is still held back as well (at
 * the end; broken sequences become U+FFFD). */
SLM_API int32_t slm_session_text(slm_session *s, int32_t flush, char *text, uint32_t capacity);

/* Natural-log probabilities before temperature, penalties and truncation:
 * that of the sampled token, then those of the `n` most likely ones. Writes n+1
 * ids and n+1 values. Call after slm_session_sample and before the next eval. */
SLM_API int32_t slm_session_logprobs(slm_session *s, uint32_t n, int32_t *ids, float *logprobs);

/* ---- looking inside ------------------------------------------------------ */

typedef enum slm_site {
  SLM_SITE_RESIDUAL = 0, /* what layer L hands on to layer L + 1 (n_embd) */
  SLM_SITE_MLP = 1,      /* what its feed-forward network adds to that, after its norm if it has one (n_embd) */
  SLM_SITE_HEADS = 2     /* the outputs of its attention heads, one behind the other, before their matrix */
} slm_site;

/* The following evaluations copy the rows of all of their tokens at `n` places, in
 * place of those before: `taps` holds pairs of a slm_site and a layer. n = 0 copies
 * nothing and costs nothing. Models that embed have no taps, and layers that recur no
 * heads. On error nothing changes. */
SLM_API int32_t slm_session_tap(slm_session *s, const uint32_t *taps, uint32_t n);

/* Numbers of a row of tap `i` (its index in `taps`). */
SLM_API int32_t slm_session_tap_width(slm_session *s, uint32_t i);

/* float32 [tokens of the last slm_session_eval, width] of tap `i`, or NULL before one; on
 * a GPU once the host has waited for it. Lives until the next call on the session. */
SLM_API const float *slm_session_tapped(slm_session *s, uint32_t i);

/* From now on adds scale * direction (`n` is n_embd) to the residual behind layer `layer`,
 * of every token that is evaluated, beside what other calls add; taps of this residual and
 * all that follows see the sum. n = 0 (`direction` and the rest are not looked at) ends all
 * steering. What the cache holds was made with the steering of its time: see
 * slm_session_reuse. On error nothing changes. */
SLM_API int32_t slm_session_steer(slm_session *s, uint32_t layer, const float *direction, uint32_t n, float scale);

/* The logit lens (nostalgebraist 2020): the model's last norm and its head on `n` rows (1 to
 * n_batch) of n_embd numbers, such as those of a tap of a residual. As slm_session_eval with
 * SLM_EVAL_ALL_LOGITS: slm_session_logits has them, on a GPU once the host has waited; the
 * cache stays as it is, and what was evaluated before can be sampled no more. */
SLM_API int32_t slm_session_lens(slm_session *s, const float *rows, uint32_t n);

/* The `n` most likely tokens of row `row` of slm_session_logits and the natural logarithms
 * of their probabilities, falling. Returns how many it wrote. */
SLM_API int32_t slm_session_top(slm_session *s, uint32_t row, uint32_t n, int32_t *ids, float *logprobs);

/* A sparse autoencoder (Bricken et al. 2023) of one site of a model that is laid out and
 * outlives it; JumpReLU (Rajamanoharan et al. 2024). Its file is docs/inspect.md's. The
 * functions are as those of adapters; on the GPU its encoder lies there. Sessions that have
 * encoded with it keep it. */
SLM_API slm_sae *slm_sae_new(slm_model *m);
SLM_API void slm_sae_free(slm_sae *a);
SLM_API int32_t slm_sae_header(slm_sae *a, const uint8_t *bytes, uint32_t n, double file_size);

/* JSON: {"name", "base", "license": text or null, "site": slm_site, "layer", "width": of a row,
 * "features": how many, "labels": how many have one, "packed_bytes", "tensors": as those of
 * slm_model_describe, "decoder": {"offset": from the file's start, "row": bytes of a feature's row}}.
 * Tensors without a granule are not fed. */
SLM_API const char *slm_sae_describe(slm_sae *a);
SLM_API int32_t slm_sae_feed(slm_sae *a, uint32_t tensor, uint32_t offset, const uint8_t *bytes, uint32_t n);
SLM_API int32_t slm_sae_ready(slm_sae *a);

/* The label of a feature, or NULL where it has none. */
SLM_API const char *slm_sae_label(slm_sae *a, uint32_t feature);

/* The direction of a feature, to steer by: widens its row of the decoder, `n` bytes of the
 * file from decoder.offset + feature * decoder.row on, to `capacity` (width) numbers. The
 * decoder is never loaded. Works after the header. */
SLM_API int32_t slm_sae_direction(slm_sae *a, const uint8_t *row, uint32_t n, float *out, uint32_t capacity);

/* Hands `n` rows (1 to n_batch) of the SAE's width to its encoder. The two functions below read what
 * comes of it; on a GPU the host waits in between. Nothing is rounded but the weights. */
SLM_API int32_t slm_session_encode(slm_session *s, slm_sae *a, const float *rows, uint32_t n);

/* The strongest features of row `row` and their activations, falling: at most `n` of those that
 * are above their threshold. Returns how many it wrote. */
SLM_API int32_t slm_session_features(slm_session *s, uint32_t row, uint32_t n, int32_t *features, float *activations);

/* The activation of one feature in row `row`: 0 at or below its threshold; negative on error. */
SLM_API double slm_session_feature(slm_session *s, uint32_t row, uint32_t feature);

#ifdef __cplusplus
}
#endif
#endif
