/* The data of a model and of a worker. */
#ifndef EDGE_LSTM_MODEL_H
#define EDGE_LSTM_MODEL_H

#include "../edge_lstm.h"
#include "slice.h"

/* Texts that edge_lstm_predict_many runs side by side: 1 if memory is scarce. */
#ifndef EDGE_LSTM_TEXTS
#define EDGE_LSTM_TEXTS 4
#endif

enum { PAD_ID = 0, START_ID = 1, NO_ID = -1 };

/* The n-gram vector of an id has the row id - FIRST_NGRAM_ID. */
enum { FIRST_NGRAM_ID = 2 };

/* The largest model. A pair of ids has 17 bits for each. */
enum {
    MAX_LENGTH = 100000, /* ids of a text */
    MAX_IDS = (1 << 17) - 1,
    MAX_LABELS = 100000,
    MAX_OCCURRENCES = 15, /* of an n-gram, that are told apart: four bits */
    MAX_NGRAM_COUNT = 64,
    MAX_SLOTS = 1000000, /* of pairs, and of their displacements */
    MAX_EMBEDDING_DIM = 1 << 16,
    MAX_LSTMS = 3,
    MAX_HIDDEN = 1 << 14,
    MAX_HIDDEN_DENSE = 2,
    MAX_DENSE_UNITS = 1 << 16,
    MAX_NGRAM_DIM = 1 << 16
};

/* The entries of the file's metadata. */
enum {
    FORMAT,
    TOKENIZER,
    VOCABULARY,
    LABELS,
    NETWORK,
    GOLDEN,
    MULTI_LABEL,
    ABSTENTION,
    FIELDS,
    NUM_ENTRIES
};

/* Kinds of characters. A mark is a word of its own; removed ones vanish. */
enum { LETTER, SEPARATOR, MARK, REMOVED };

/* What a character beyond ASCII becomes that vanishes. */
#define NO_CHARACTER 0xFFFFFFFEu

/* The characters that become lower case: all, A to Z, none. */
enum { LOWER_UNICODE, LOWER_ASCII, LOWER_NONE };

/* The padding that the network reads: none, before the ids, or behind them. */
enum { PADDING_NONE, PADDING_FRONT, PADDING_BEHIND };

/* What a dense layer does with its sums. */
enum { LINEAR, RELU, TANH, SIGMOID };

/* The type in which a kernel takes 8-bit inputs q, of a range with a zero point: unsigned bytes q,
 * signed bytes q - 128, or 16 bits, q - zero point. */
enum { INPUTS_U8, INPUTS_S8, INPUTS_S16 };

/* The columns 127 and -128 behind the embedding give every text the same range, of this zero point,
 * so that the embedding's values are a text's 8-bit inputs as they stand. */
enum { HIGH_SENTINEL = 127, LOW_SENTINEL = -128, EMBEDDING_ZERO_POINT = 128 };

/* int8 with tables of first states: the last two units of a direction are at these ends all the
 * time, so that the range of h is -1 to 1. */
#define END_OF_H 1.0f
#define END_OF_C 20.0f

typedef struct lstm_layer lstm_layer;

/* One direction of an LSTM while it reads a text. units: hidden, up to full blocks. */
typedef struct {
    float *c;           /* [units] */
    float *h;           /* [units] */
    float *h_sum;       /* [units], of the steps so far */
    float *h_max;       /* [units], of the steps so far and the least maximum */
    float *gates;       /* [block, gate, lane] */
    unsigned char *x;   /* the step's inputs, as the kernel multiplies them; fp32: floats */
    unsigned char *h_q; /* h, as the kernel multiplies it; fp32: h itself */
    float h_low;        /* the range of h, with 0 */
    float h_high;
    float h_scale; /* of its 8 bits */
    int32_t h_zero_point;
} lstm_state;

/* The code for one instruction set. */
typedef struct {
    const char *name;
    int lanes;          /* units side by side */
    int input_type;     /* INPUTS_U8, INPUTS_S8 or INPUTS_S16 */
    int max_abs_weight; /* it adds the products of larger weights not exactly, so it refuses them */
    void (*step)(const edge_lstm *m, const lstm_layer *layer, int direction,
                 lstm_state *const *states, int count);
    void (*round_h)(const edge_lstm *m, const lstm_layer *layer, lstm_state *state);
} kernel;

/* The weights of one direction in the kernel's order, by blocks of `lanes` units: see packing.h. */
typedef struct {
    unsigned char *w; /* of the inputs */
    unsigned char *r; /* of h */
    float *bias;      /* [block, gate, lane] */
    float w_scale;    /* int8: of w times that of the inputs */
    float r_scale;    /* int8: of r, without that of h */
} packed_weights;

/* A character beyond ASCII that becomes one of ASCII, or NO_CHARACTER. */
typedef struct {
    uint32_t from;
    uint32_t to;
} special_char;

/* A table of the file, at any address: see table.h. */
typedef struct {
    size_t columns;
    const unsigned char *values;
    const unsigned char *multipliers; /* of rows, two in a byte; NULL if there are none */
    const unsigned char *book; /* what codes stand for, CODED numbers each; NULL without codes */
} table;
enum { ROW_PADDING = 7 }; /* bytes behind a row that reading it may write */

/* An LSTM. Constants lie in the file, at any address. int8: dimensions include the sentinels. */
struct lstm_layer {
    int32_t inputs;
    int32_t hidden; /* units of a direction */
    int32_t units;  /* hidden, up to full blocks of the kernel */
    int32_t num_directions;
    int gives_steps; /* the next LSTM reads each step's h */
    int gives_mean;  /* of h; without mean and maximum, the last h is read */
    int gives_max;
    float least_max;
    float hard_slope;  /* of gates clip(slope * x + 0.5, 0, 1); 0: the logistic function */
    float input_scale; /* int8 */
    int32_t input_zero_point;
    int32_t start_rows; /* of first states; 0 if all texts begin with zeros */
    const unsigned char *w;
    const unsigned char *r;
    const unsigned char *b;
    const unsigned char *w_scales;
    const unsigned char *r_scales;
    const unsigned char *start_h; /* [num_directions, start_rows, hidden] */
    const unsigned char *start_c;
    packed_weights packed[2]; /* of each direction, in memory */
};

/* A dense layer. The last one is the head. */
typedef struct {
    int32_t inputs;
    int32_t units;
    int activation;
    table w;
    const unsigned char *w_scales; /* int8: one an input */
    const unsigned char *b;
} dense_layer;

struct edge_lstm {
    const kernel *kernel;
    slice file;
    slice graph;
    slice metadata[NUM_ENTRIES];

    /* The tokenizer. */
    int32_t max_length;  /* ids of a text */
    int32_t num_entries; /* of the vocabulary: first words, then pieces of words */
    int32_t num_words;
    size_t entry_bytes;    /* of all entries */
    int32_t longest_word;  /* bytes */
    int32_t longest_piece; /* bytes */
    int32_t num_special;
    int lower_case;   /* LOWER_UNICODE, LOWER_ASCII or LOWER_NONE */
    int keeps_first;  /* of a long text the first ids are kept, not the last */
    int32_t start_id; /* NO_ID if the ids of a text begin with that of its first word */
    int32_t oov_id;   /* NO_ID if unknown words are left out */
    int32_t first_word_id;
    unsigned char char_kind[128];   /* of ASCII: LETTER, SEPARATOR, MARK or REMOVED */
    unsigned char lower_ascii[256]; /* the letter in lower case; 0 for every other byte */

    /* The network. Dimensions of int8 include the sentinels. */
    int32_t max_id;
    int32_t embedding_dim;
    int32_t num_lstms;
    int32_t num_dense;  /* with the head */
    int padding;        /* PADDING_NONE, PADDING_FRONT or PADDING_BEHIND */
    int32_t num_ngrams; /* rows of their vectors: words, then slots of pairs */
    int32_t ngram_words;
    int32_t ngram_slots;  /* of the hash table of pairs, see ngrams.h */
    int32_t pair_buckets; /* of slots that share a displacement */
    int32_t ngram_dim;
    int32_t ngram_most;                   /* occurrences of an n-gram in a text that count */
    unsigned ngram_bits;                  /* in which they are counted: 2 or 4 */
    int32_t ngram_gains[MAX_OCCURRENCES]; /* what each adds: a weight, whose sums the file has */
    int32_t num_labels;
    int32_t num_logits;
    int is_multi_label; /* a text may have several labels, or none */
    int is_int8;
    int32_t max_abs_weight; /* int8: of the LSTMs */
    lstm_layer lstms[MAX_LSTMS];
    dense_layer dense[MAX_HIDDEN_DENSE + 1];

    /* Constants in the file, at any address. */
    table embedding;
    const unsigned char *embedding_scales;
    table ngram_vectors;
    const unsigned char *ngram_scales;
    const unsigned char *pair_displacements; /* [pair_buckets] */
    const unsigned char *pair_fingerprints;  /* [ngram_slots] */

    /* In the memory that the caller gives. */
    char **label_names;         /* [num_labels] */
    unsigned char *label_bytes; /* the names, one behind another */
    double *thresholds;         /* [num_labels], of a model with several labels */
    special_char *special;      /* [num_special] */
    int32_t *longest_from;      /* [256]: bytes of the longest piece that begins with this byte */
    unsigned char *entries;     /* [entry_bytes]: the vocabulary, one entry behind another */
    uint32_t *block_starts;     /* of blocks of 2^block_bits entries */
    uint16_t *entry_starts;     /* [num_entries + 1], from the start of the block */
    int block_bits;
    unsigned char *slot_tags; /* [num_slots]: the vocabulary's index, see vocabulary.h */
    uint16_t *slot_numbers;   /* [num_slots] */
    uint32_t num_slots;
};

/* The ids of a text, and how far an LSTM has read them. */
typedef struct {
    int32_t *ids;            /* [2 * max_length], the text's from the front */
    size_t count;            /* of them, with the padding that is read */
    size_t padding;          /* columns that the text leaves free */
    int32_t layer;           /* the LSTM that reads */
    size_t at;               /* its next step */
    size_t text;             /* the number of the text */
    int is_unreadable;       /* it is no row, and the file reads rows */
    unsigned char *steps[2]; /* outputs of the LSTM before and of this one: even layers write [0] */
    lstm_state states[2];    /* of each direction */
} sequence;

struct edge_lstm_worker {
    const edge_lstm *model;
    sequence sequences[EDGE_LSTM_TEXTS];
    unsigned char *word;        /* [word_capacity]: the word that is being read */
    unsigned char *ngrams_seen; /* how often each n-gram occurs, in ngram_bits */
    unsigned char *row;         /* of a table, as bytes */
    float *features[2];         /* what a dense layer reads, and what it writes */
    float *logits;              /* [num_labels] */
};

static void raise_to(int32_t *largest, int32_t size) {
    if (size > *largest)
        *largest = size;
}

/* Return the bytes that hold how often each n-gram occurs. */
static size_t seen_bytes(const edge_lstm *m) {
    return (size_t)m->num_ngrams * m->ngram_bits / 8 + 1;
}

/* Return the number of values that the next layer reads of an LSTM. */
static int32_t num_outputs(const lstm_layer *layer) {
    int32_t parts = layer->gives_mean && layer->gives_max ? 2 : 1;
    return layer->num_directions * layer->hidden * parts;
}

/* Return the number of values that are read of the last LSTM; 0 without one. */
static int32_t pooled_dim(const edge_lstm *m) {
    return m->num_lstms ? num_outputs(&m->lstms[m->num_lstms - 1]) : 0;
}

/* Return the bytes of a weight that is not packed. */
static size_t weight_size(const edge_lstm *m) {
    return m->is_int8 ? 1 : sizeof(float);
}

/* Return the bytes of a word that are kept while it is read: as many as the vocabulary's longest
 * word has, and a piece more. */
static size_t word_capacity(const edge_lstm *m) {
    return (size_t)m->longest_word + (size_t)m->longest_piece + 4;
}

#endif
