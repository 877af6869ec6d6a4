/* Runs the model files of edge-lstm; edge_lstm.h says how, docs/file-format.md what the bytes mean.
 *
 * From top to bottom: bytes and JSON, SHA-256, text, the model file, arithmetic, the calls of edge_lstm.h. */
#include "edge_lstm.h"

#include <float.h>
#include <math.h>
#include <string.h>
#ifdef __AVX2__
#include <immintrin.h>
#endif

#ifdef __clang__
#pragma STDC FP_CONTRACT OFF /* gcc -std=c99 does so by itself; where rounding happens is part of the answer */
#endif

/* --- Bytes: a slice of the file, and protocol buffer messages in it ------------------------------------------ */

typedef struct {
    const unsigned char *at, *end;
} slice;

static size_t length_of(slice s) { return (size_t)(s.end - s.at); }

static int same(slice s, const char *text) { return length_of(s) == strlen(text) && !memcmp(s.at, text, strlen(text)); }

static int varint(slice *s, uint64_t *value) {
    unsigned shift = 0;
    *value = 0;
    while (s->at < s->end && shift < 64) {
        unsigned char byte = *s->at++;
        *value |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) return 1;
        shift += 7;
    }
    return 0;
}

typedef struct {
    unsigned number;
    int is_bytes;
    uint64_t value;
    slice bytes;
} field;

/* The message's next field: 1, or 0 at its end, or -1 where it is no message. */
static int next_field(slice *message, field *f) {
    uint64_t key, size;
    if (message->at == message->end) return 0;
    if (!varint(message, &key) || key >> 3 == 0 || key >> 3 > 0x1FFFFFFF) return -1;
    f->number = (unsigned)(key >> 3);
    f->is_bytes = (key & 7) != 0, f->value = 0;
    f->bytes.at = f->bytes.end = message->at;
    switch (key & 7) {
    case 0: return varint(message, &f->value) ? 1 : -1;
    case 1: size = 8; break;
    case 5: size = 4; break;
    case 2:
        if (!varint(message, &size)) return -1;
        break;
    default: return -1;
    }
    if (size > length_of(*message)) return -1;
    f->bytes.at = message->at;
    f->bytes.end = message->at += size;
    return 1;
}

/* --- Characters: UTF-8, or a JSON string's content ------------------------------------------------------------ */

typedef struct {
    slice left;
    int json; /* 1: backslashes are escapes, and a quotation mark ends it */
} reader;

#define END_OF_TEXT 0xFFFFFFFFu
#define REPLACEMENT 0xFFFDu

/* What is no UTF-8 is one U+FFFD for each part that could not be continued, as Python and browsers have it. */
static uint32_t utf8(slice *s) {
    uint32_t c = *s->at++, low = 0x80, high = 0xBF;
    int more;
    if (c < 0x80) return c;
    if (c >= 0xC2 && c <= 0xDF) more = 1, c &= 0x1F;
    else if ((c & 0xF0) == 0xE0) {
        more = 2;
        if (c == 0xE0) low = 0xA0;
        if (c == 0xED) high = 0x9F;
        c &= 0x0F;
    } else if (c >= 0xF0 && c <= 0xF4) {
        more = 3;
        if (c == 0xF0) low = 0x90;
        if (c == 0xF4) high = 0x8F;
        c &= 0x07;
    } else return REPLACEMENT;
    for (; more; more--) {
        if (s->at == s->end || *s->at < low || *s->at > high) return REPLACEMENT;
        c = c << 6 | (*s->at++ & 0x3F);
        low = 0x80, high = 0xBF;
    }
    return c;
}

static int hex4(slice *s, uint32_t *value) {
    int i;
    *value = 0;
    if (length_of(*s) < 4) return 0;
    for (i = 0; i < 4; i++) {
        unsigned char c = *s->at++;
        *value = *value << 4 | (uint32_t)(c >= '0' && c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
        if (!((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'f'))) return 0;
    }
    return 1;
}

static uint32_t next_character(reader *r) {
    static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
    const char *name;
    uint32_t c, low;
    if (r->left.at == r->left.end || (r->json && *r->left.at == '"')) return END_OF_TEXT;
    if (!r->json || *r->left.at != '\\') return utf8(&r->left);
    if (++r->left.at == r->left.end) return END_OF_TEXT;
    c = *r->left.at++;
    if (c != 'u') return (name = strchr(names, (int)c)) && *name ? (uint32_t)values[name - names] : REPLACEMENT;
    if (!hex4(&r->left, &c)) return REPLACEMENT;
    if (c >= 0xD800 && c < 0xDC00 && length_of(r->left) >= 6 && r->left.at[0] == '\\' && r->left.at[1] == 'u') {
        slice ahead = r->left;
        ahead.at += 2;
        if (hex4(&ahead, &low) && low >= 0xDC00 && low < 0xE000) {
            r->left = ahead;
            return 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
        }
    }
    return c >= 0xD800 && c < 0xE000 ? REPLACEMENT : c;
}

/* Writes a code point as UTF-8 → how many bytes. */
static size_t put_utf8(uint32_t c, unsigned char *out) {
    if (c < 0x80) return out[0] = (unsigned char)c, 1;
    if (c < 0x800) return out[0] = (unsigned char)(0xC0 | c >> 6), out[1] = (unsigned char)(0x80 | (c & 63)), 2;
    if (c < 0x10000) {
        out[0] = (unsigned char)(0xE0 | c >> 12), out[1] = (unsigned char)(0x80 | (c >> 6 & 63));
        return out[2] = (unsigned char)(0x80 | (c & 63)), 3;
    }
    out[0] = (unsigned char)(0xF0 | c >> 18), out[1] = (unsigned char)(0x80 | (c >> 12 & 63));
    return out[2] = (unsigned char)(0x80 | (c >> 6 & 63)), out[3] = (unsigned char)(0x80 | (c & 63)), 4;
}

/* --- JSON, as far as the metadata needs it: values are slices ------------------------------------------------- */

static void skip_space(slice *s) {
    while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r')) s->at++;
}

/* Takes the value that s begins with. 0 where there is none. Brackets are counted, so nesting needs no stack. */
static int json_value(slice *s, slice *value) {
    size_t depth = 0;
    skip_space(s);
    value->at = s->at;
    do {
        if (s->at == s->end) return 0;
        if (*s->at == '"') {
            for (s->at++; s->at < s->end && *s->at != '"'; s->at++)
                if (*s->at == '\\' && ++s->at == s->end) return 0;
            if (s->at++ == s->end) return 0;
        } else if (*s->at == '[' || *s->at == '{') depth++, s->at++;
        else if (*s->at == ']' || *s->at == '}') {
            if (!depth) return 0;
            depth--, s->at++;
        } else if (depth && (*s->at == ',' || *s->at == ':' || *s->at == ' ')) s->at++;
        else {
            const unsigned char *start = s->at;
            while (s->at < s->end && !strchr(",:]}[{\" \n\t\r", *s->at)) s->at++;
            if (s->at < s->end && *s->at == 0) return 0;
            if (s->at == start) s->at++;
        }
    } while (depth);
    value->end = s->at;
    skip_space(s);
    return value->end > value->at;
}

/* Steps into an array or object. */
static int json_enter(slice *value, char bracket) {
    if (value->at == value->end || *value->at != (unsigned char)bracket) return 0;
    value->at++, value->end--;
    skip_space(value);
    return 1;
}

/* The next value of an array that was entered. */
static int json_next(slice *array, slice *value) {
    if (array->at == array->end || !json_value(array, value)) return 0;
    if (array->at < array->end && *array->at == ',') array->at++;
    return 1;
}

static int json_get(slice object, const char *key, slice *value) {
    slice name;
    if (!json_enter(&object, '{')) return 0;
    while (json_value(&object, &name)) {
        if (object.at == object.end || *object.at++ != ':' || !json_value(&object, value)) return 0;
        name.at++, name.end--; /* the quotation marks */
        if (name.at <= name.end && same(name, key)) return 1;
        if (object.at == object.end || *object.at++ != ',') return 0;
    }
    return 0;
}

static reader json_string(slice value) {
    reader r;
    r.left = value, r.json = 1;
    if (value.at == value.end || *value.at != '"') r.left.at = r.left.end;
    else r.left.at++;
    return r;
}

static reader plain(const char *text, size_t size) {
    reader r;
    r.left.at = (const unsigned char *)text, r.left.end = r.left.at + size, r.json = 0;
    return r;
}

static int json_is(slice object, const char *key, const char *text) {
    slice value;
    reader r;
    uint32_t c;
    if (!json_get(object, key, &value) || value.at == value.end || *value.at != '"') return 0;
    for (r = json_string(value); (c = next_character(&r)) != END_OF_TEXT; text++)
        if (c != (unsigned char)*text || !c) return 0;
    return !*text;
}

static double json_number(slice value, int *valid) {
    double number = 0, power = 1;
    int exponent = 0, sign = 1, digits = 0, written = 0, negative = 0;
    *valid = 0;
    if (value.at < value.end && *value.at == '-') sign = -1, value.at++;
    for (; value.at < value.end && *value.at >= '0' && *value.at <= '9'; value.at++, digits++)
        number = number * 10 + (*value.at - '0');
    if (value.at < value.end && *value.at == '.')
        for (value.at++; value.at < value.end && *value.at >= '0' && *value.at <= '9'; value.at++, digits++, exponent--)
            number = number * 10 + (*value.at - '0');
    if (digits && value.at < value.end && (*value.at | 32) == 'e') {
        value.at++;
        if (value.at < value.end && (*value.at == '-' || *value.at == '+')) negative = *value.at++ == '-';
        for (; value.at < value.end && *value.at >= '0' && *value.at <= '9' && written < 1000; value.at++)
            written = written * 10 + (*value.at - '0');
        exponent += negative ? -written : written;
    }
    if (!digits || value.at != value.end) return 0;
    *valid = 1;
    for (; exponent > 0; exponent--) power *= 10;
    for (; exponent < 0; exponent++) power /= 10;
    return sign * number * power;
}

/* A whole number from low to high: 1, or 0 where it is none. */
static int json_int(slice object, const char *key, int32_t low, int32_t high, int32_t *number) {
    slice value;
    int valid;
    double d;
    if (!json_get(object, key, &value)) return 0;
    d = json_number(value, &valid);
    if (!valid || !(d >= low && d <= high) || d != (double)(int32_t)d) return 0;
    *number = (int32_t)d;
    return 1;
}

/* --- SHA-256 (FIPS 180-4) ------------------------------------------------------------------------------------- */

typedef struct {
    uint32_t state[8];
    uint64_t count;
    unsigned char block[64];
} sha256;

static uint32_t turn(uint32_t x, int by) { return x >> by | x << (32 - by); }

static void sha256_block(sha256 *s, const unsigned char *p) {
    static const uint32_t K[64] = {
        0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
        0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
        0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
        0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
        0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
        0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
        0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
        0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
    uint32_t w[16], a, b, c, d, e, f, g, h, t;
    int i, k;
    a = s->state[0], b = s->state[1], c = s->state[2], d = s->state[3];
    e = s->state[4], f = s->state[5], g = s->state[6], h = s->state[7];
#define ROUND(a, b, c, d, e, f, g, h, k) \
    t = h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i + (k)] + w[(i + (k)) & 15]; \
    d += t; \
    h = t + (turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))
    for (i = 0; i < 64; i += 8) {
        for (k = i; k < i + 8; k++) {
            if (k < 16) {
                w[k] = (uint32_t)p[4 * k] << 24 | (uint32_t)p[4 * k + 1] << 16 | (uint32_t)p[4 * k + 2] << 8 | p[4 * k + 3];
            } else {
                uint32_t x = w[(k - 15) & 15], y = w[(k - 2) & 15];
                w[k & 15] += w[(k - 7) & 15] + (turn(x, 7) ^ turn(x, 18) ^ x >> 3) + (turn(y, 17) ^ turn(y, 19) ^ y >> 10);
            }
        }
        ROUND(a, b, c, d, e, f, g, h, 0);
        ROUND(h, a, b, c, d, e, f, g, 1);
        ROUND(g, h, a, b, c, d, e, f, 2);
        ROUND(f, g, h, a, b, c, d, e, 3);
        ROUND(e, f, g, h, a, b, c, d, 4);
        ROUND(d, e, f, g, h, a, b, c, 5);
        ROUND(c, d, e, f, g, h, a, b, 6);
        ROUND(b, c, d, e, f, g, h, a, 7);
    }
#undef ROUND
    s->state[0] += a, s->state[1] += b, s->state[2] += c, s->state[3] += d;
    s->state[4] += e, s->state[5] += f, s->state[6] += g, s->state[7] += h;
}

static void sha256_add(sha256 *s, const unsigned char *data, size_t size) {
    size_t filled = (size_t)(s->count & 63);
    s->count += size;
    if (filled) {
        size_t part = size < 64 - filled ? size : 64 - filled;
        memcpy(s->block + filled, data, part);
        data += part, size -= part;
        if (filled + part < 64) return;
        sha256_block(s, s->block);
    }
    for (; size >= 64; data += 64, size -= 64) sha256_block(s, data);
    memcpy(s->block, data, size);
}

/* 1 where the 64 hexadecimal digits are the digest. */
static int sha256_is(slice data, const unsigned char *digits) {
    static const uint32_t first[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                      0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    static const unsigned char padding[64] = {0x80};
    sha256 s;
    unsigned char bits[8];
    uint64_t count;
    int i;
    memcpy(s.state, first, sizeof first);
    s.count = 0;
    sha256_add(&s, data.at, length_of(data));
    count = s.count * 8;
    for (i = 0; i < 8; i++) bits[i] = (unsigned char)(count >> (56 - 8 * i));
    sha256_add(&s, padding, 1 + (size_t)((55 - s.count) & 63));
    sha256_add(&s, bits, 8);
    for (i = 0; i < 64; i++)
        if (digits[i] != "0123456789abcdef"[s.state[i / 8] >> (28 - 4 * (i & 7)) & 15]) return 0;
    return 1;
}

/* --- Lower case, as Unicode has it ---------------------------------------------------------------------------- */

/* tools/unicode_table.py writes from here */
/* Of Unicode 14.0.0. First code point, step - 1 (1 bit), count - 1 (10 bits). */
static const struct { uint32_t range; int32_t distance; } LOWER[] = {
    {65u << 11 | 0u << 10 | 25u, 32}, {192u << 11 | 0u << 10 | 22u, 32}, {216u << 11 | 0u << 10 | 6u, 32},
    {256u << 11 | 1u << 10 | 23u, 1}, {306u << 11 | 1u << 10 | 2u, 1}, {313u << 11 | 1u << 10 | 7u, 1},
    {330u << 11 | 1u << 10 | 22u, 1}, {376u << 11 | 1u << 10 | 0u, -121}, {377u << 11 | 1u << 10 | 2u, 1},
    {385u << 11 | 1u << 10 | 0u, 210}, {386u << 11 | 1u << 10 | 1u, 1}, {390u << 11 | 1u << 10 | 0u, 206},
    {391u << 11 | 1u << 10 | 0u, 1}, {393u << 11 | 0u << 10 | 1u, 205}, {395u << 11 | 1u << 10 | 0u, 1},
    {398u << 11 | 1u << 10 | 0u, 79}, {399u << 11 | 1u << 10 | 0u, 202}, {400u << 11 | 1u << 10 | 0u, 203},
    {401u << 11 | 1u << 10 | 0u, 1}, {403u << 11 | 1u << 10 | 0u, 205}, {404u << 11 | 1u << 10 | 0u, 207},
    {406u << 11 | 1u << 10 | 0u, 211}, {407u << 11 | 1u << 10 | 0u, 209}, {408u << 11 | 1u << 10 | 0u, 1},
    {412u << 11 | 1u << 10 | 0u, 211}, {413u << 11 | 1u << 10 | 0u, 213}, {415u << 11 | 1u << 10 | 0u, 214},
    {416u << 11 | 1u << 10 | 2u, 1}, {422u << 11 | 1u << 10 | 0u, 218}, {423u << 11 | 1u << 10 | 0u, 1},
    {425u << 11 | 1u << 10 | 0u, 218}, {428u << 11 | 1u << 10 | 0u, 1}, {430u << 11 | 1u << 10 | 0u, 218},
    {431u << 11 | 1u << 10 | 0u, 1}, {433u << 11 | 0u << 10 | 1u, 217}, {435u << 11 | 1u << 10 | 1u, 1},
    {439u << 11 | 1u << 10 | 0u, 219}, {440u << 11 | 1u << 10 | 0u, 1}, {444u << 11 | 1u << 10 | 0u, 1},
    {452u << 11 | 1u << 10 | 0u, 2}, {453u << 11 | 1u << 10 | 0u, 1}, {455u << 11 | 1u << 10 | 0u, 2},
    {456u << 11 | 1u << 10 | 0u, 1}, {458u << 11 | 1u << 10 | 0u, 2}, {459u << 11 | 1u << 10 | 8u, 1},
    {478u << 11 | 1u << 10 | 8u, 1}, {497u << 11 | 1u << 10 | 0u, 2}, {498u << 11 | 1u << 10 | 1u, 1},
    {502u << 11 | 1u << 10 | 0u, -97}, {503u << 11 | 1u << 10 | 0u, -56}, {504u << 11 | 1u << 10 | 19u, 1},
    {544u << 11 | 1u << 10 | 0u, -130}, {546u << 11 | 1u << 10 | 8u, 1}, {570u << 11 | 1u << 10 | 0u, 10795},
    {571u << 11 | 1u << 10 | 0u, 1}, {573u << 11 | 1u << 10 | 0u, -163}, {574u << 11 | 1u << 10 | 0u, 10792},
    {577u << 11 | 1u << 10 | 0u, 1}, {579u << 11 | 1u << 10 | 0u, -195}, {580u << 11 | 1u << 10 | 0u, 69},
    {581u << 11 | 1u << 10 | 0u, 71}, {582u << 11 | 1u << 10 | 4u, 1}, {880u << 11 | 1u << 10 | 1u, 1},
    {886u << 11 | 1u << 10 | 0u, 1}, {895u << 11 | 1u << 10 | 0u, 116}, {902u << 11 | 1u << 10 | 0u, 38},
    {904u << 11 | 0u << 10 | 2u, 37}, {908u << 11 | 1u << 10 | 0u, 64}, {910u << 11 | 0u << 10 | 1u, 63},
    {913u << 11 | 0u << 10 | 16u, 32}, {931u << 11 | 0u << 10 | 8u, 32}, {975u << 11 | 1u << 10 | 0u, 8},
    {984u << 11 | 1u << 10 | 11u, 1}, {1012u << 11 | 1u << 10 | 0u, -60}, {1015u << 11 | 1u << 10 | 0u, 1},
    {1017u << 11 | 1u << 10 | 0u, -7}, {1018u << 11 | 1u << 10 | 0u, 1}, {1021u << 11 | 0u << 10 | 2u, -130},
    {1024u << 11 | 0u << 10 | 15u, 80}, {1040u << 11 | 0u << 10 | 31u, 32}, {1120u << 11 | 1u << 10 | 16u, 1},
    {1162u << 11 | 1u << 10 | 26u, 1}, {1216u << 11 | 1u << 10 | 0u, 15}, {1217u << 11 | 1u << 10 | 6u, 1},
    {1232u << 11 | 1u << 10 | 47u, 1}, {1329u << 11 | 0u << 10 | 37u, 48}, {4256u << 11 | 0u << 10 | 37u, 7264},
    {4295u << 11 | 1u << 10 | 0u, 7264}, {4301u << 11 | 1u << 10 | 0u, 7264}, {5024u << 11 | 0u << 10 | 79u, 38864},
    {5104u << 11 | 0u << 10 | 5u, 8}, {7312u << 11 | 0u << 10 | 42u, -3008}, {7357u << 11 | 0u << 10 | 2u, -3008},
    {7680u << 11 | 1u << 10 | 74u, 1}, {7838u << 11 | 1u << 10 | 0u, -7615}, {7840u << 11 | 1u << 10 | 47u, 1},
    {7944u << 11 | 0u << 10 | 7u, -8}, {7960u << 11 | 0u << 10 | 5u, -8}, {7976u << 11 | 0u << 10 | 7u, -8},
    {7992u << 11 | 0u << 10 | 7u, -8}, {8008u << 11 | 0u << 10 | 5u, -8}, {8025u << 11 | 1u << 10 | 3u, -8},
    {8040u << 11 | 0u << 10 | 7u, -8}, {8072u << 11 | 0u << 10 | 7u, -8}, {8088u << 11 | 0u << 10 | 7u, -8},
    {8104u << 11 | 0u << 10 | 7u, -8}, {8120u << 11 | 0u << 10 | 1u, -8}, {8122u << 11 | 0u << 10 | 1u, -74},
    {8124u << 11 | 1u << 10 | 0u, -9}, {8136u << 11 | 0u << 10 | 3u, -86}, {8140u << 11 | 1u << 10 | 0u, -9},
    {8152u << 11 | 0u << 10 | 1u, -8}, {8154u << 11 | 0u << 10 | 1u, -100}, {8168u << 11 | 0u << 10 | 1u, -8},
    {8170u << 11 | 0u << 10 | 1u, -112}, {8172u << 11 | 1u << 10 | 0u, -7}, {8184u << 11 | 0u << 10 | 1u, -128},
    {8186u << 11 | 0u << 10 | 1u, -126}, {8188u << 11 | 1u << 10 | 0u, -9}, {8486u << 11 | 1u << 10 | 0u, -7517},
    {8490u << 11 | 1u << 10 | 0u, -8383}, {8491u << 11 | 1u << 10 | 0u, -8262}, {8498u << 11 | 1u << 10 | 0u, 28},
    {8544u << 11 | 0u << 10 | 15u, 16}, {8579u << 11 | 1u << 10 | 0u, 1}, {9398u << 11 | 0u << 10 | 25u, 26},
    {11264u << 11 | 0u << 10 | 47u, 48}, {11360u << 11 | 1u << 10 | 0u, 1}, {11362u << 11 | 1u << 10 | 0u, -10743},
    {11363u << 11 | 1u << 10 | 0u, -3814}, {11364u << 11 | 1u << 10 | 0u, -10727}, {11367u << 11 | 1u << 10 | 2u, 1},
    {11373u << 11 | 1u << 10 | 0u, -10780}, {11374u << 11 | 1u << 10 | 0u, -10749},
    {11375u << 11 | 1u << 10 | 0u, -10783}, {11376u << 11 | 1u << 10 | 0u, -10782}, {11378u << 11 | 1u << 10 | 0u, 1},
    {11381u << 11 | 1u << 10 | 0u, 1}, {11390u << 11 | 0u << 10 | 1u, -10815}, {11392u << 11 | 1u << 10 | 49u, 1},
    {11499u << 11 | 1u << 10 | 1u, 1}, {11506u << 11 | 1u << 10 | 0u, 1}, {42560u << 11 | 1u << 10 | 22u, 1},
    {42624u << 11 | 1u << 10 | 13u, 1}, {42786u << 11 | 1u << 10 | 6u, 1}, {42802u << 11 | 1u << 10 | 30u, 1},
    {42873u << 11 | 1u << 10 | 1u, 1}, {42877u << 11 | 1u << 10 | 0u, -35332}, {42878u << 11 | 1u << 10 | 4u, 1},
    {42891u << 11 | 1u << 10 | 0u, 1}, {42893u << 11 | 1u << 10 | 0u, -42280}, {42896u << 11 | 1u << 10 | 1u, 1},
    {42902u << 11 | 1u << 10 | 9u, 1}, {42922u << 11 | 1u << 10 | 0u, -42308}, {42923u << 11 | 1u << 10 | 0u, -42319},
    {42924u << 11 | 1u << 10 | 0u, -42315}, {42925u << 11 | 1u << 10 | 0u, -42305},
    {42926u << 11 | 1u << 10 | 0u, -42308}, {42928u << 11 | 1u << 10 | 0u, -42258},
    {42929u << 11 | 1u << 10 | 0u, -42282}, {42930u << 11 | 1u << 10 | 0u, -42261},
    {42931u << 11 | 1u << 10 | 0u, 928}, {42932u << 11 | 1u << 10 | 7u, 1}, {42948u << 11 | 1u << 10 | 0u, -48},
    {42949u << 11 | 1u << 10 | 0u, -42307}, {42950u << 11 | 1u << 10 | 0u, -35384}, {42951u << 11 | 1u << 10 | 1u, 1},
    {42960u << 11 | 1u << 10 | 0u, 1}, {42966u << 11 | 1u << 10 | 1u, 1}, {42997u << 11 | 1u << 10 | 0u, 1},
    {65313u << 11 | 0u << 10 | 25u, 32}, {66560u << 11 | 0u << 10 | 39u, 40}, {66736u << 11 | 0u << 10 | 35u, 40},
    {66928u << 11 | 0u << 10 | 10u, 39}, {66940u << 11 | 0u << 10 | 14u, 39}, {66956u << 11 | 0u << 10 | 6u, 39},
    {66964u << 11 | 0u << 10 | 1u, 39}, {68736u << 11 | 0u << 10 | 50u, 64}, {71840u << 11 | 0u << 10 | 31u, 32},
    {93760u << 11 | 0u << 10 | 31u, 32}, {125184u << 11 | 0u << 10 | 33u, 34},
};
/* First code point, 0 a cased letter or 1 passed over (1 bit), count - 1 (10 bits). */
static const uint32_t AROUND_SIGMA[] = {
    39u << 11 | 1u << 10 | 0u, 46u << 11 | 1u << 10 | 0u, 58u << 11 | 1u << 10 | 0u, 65u << 11 | 0u << 10 | 25u,
    94u << 11 | 1u << 10 | 0u, 96u << 11 | 1u << 10 | 0u, 97u << 11 | 0u << 10 | 25u, 168u << 11 | 1u << 10 | 0u,
    170u << 11 | 0u << 10 | 0u, 173u << 11 | 1u << 10 | 0u, 175u << 11 | 1u << 10 | 0u, 180u << 11 | 1u << 10 | 0u,
    181u << 11 | 0u << 10 | 0u, 183u << 11 | 1u << 10 | 1u, 186u << 11 | 0u << 10 | 0u, 192u << 11 | 0u << 10 | 22u,
    216u << 11 | 0u << 10 | 30u, 248u << 11 | 0u << 10 | 194u, 444u << 11 | 0u << 10 | 3u,
    452u << 11 | 0u << 10 | 207u, 661u << 11 | 0u << 10 | 26u, 688u << 11 | 1u << 10 | 191u,
    880u << 11 | 0u << 10 | 3u, 884u << 11 | 1u << 10 | 1u, 886u << 11 | 0u << 10 | 1u, 890u << 11 | 1u << 10 | 0u,
    891u << 11 | 0u << 10 | 2u, 895u << 11 | 0u << 10 | 0u, 900u << 11 | 1u << 10 | 1u, 902u << 11 | 0u << 10 | 0u,
    903u << 11 | 1u << 10 | 0u, 904u << 11 | 0u << 10 | 2u, 908u << 11 | 0u << 10 | 0u, 910u << 11 | 0u << 10 | 19u,
    931u << 11 | 0u << 10 | 82u, 1015u << 11 | 0u << 10 | 138u, 1155u << 11 | 1u << 10 | 6u,
    1162u << 11 | 0u << 10 | 165u, 1329u << 11 | 0u << 10 | 37u, 1369u << 11 | 1u << 10 | 0u,
    1375u << 11 | 1u << 10 | 0u, 1376u << 11 | 0u << 10 | 40u, 1425u << 11 | 1u << 10 | 44u,
    1471u << 11 | 1u << 10 | 0u, 1473u << 11 | 1u << 10 | 1u, 1476u << 11 | 1u << 10 | 1u,
    1479u << 11 | 1u << 10 | 0u, 1524u << 11 | 1u << 10 | 0u, 1536u << 11 | 1u << 10 | 5u,
    1552u << 11 | 1u << 10 | 10u, 1564u << 11 | 1u << 10 | 0u, 1600u << 11 | 1u << 10 | 0u,
    1611u << 11 | 1u << 10 | 20u, 1648u << 11 | 1u << 10 | 0u, 1750u << 11 | 1u << 10 | 7u,
    1759u << 11 | 1u << 10 | 9u, 1770u << 11 | 1u << 10 | 3u, 1807u << 11 | 1u << 10 | 0u,
    1809u << 11 | 1u << 10 | 0u, 1840u << 11 | 1u << 10 | 26u, 1958u << 11 | 1u << 10 | 10u,
    2027u << 11 | 1u << 10 | 10u, 2042u << 11 | 1u << 10 | 0u, 2045u << 11 | 1u << 10 | 0u,
    2070u << 11 | 1u << 10 | 23u, 2137u << 11 | 1u << 10 | 2u, 2184u << 11 | 1u << 10 | 0u,
    2192u << 11 | 1u << 10 | 1u, 2200u << 11 | 1u << 10 | 7u, 2249u << 11 | 1u << 10 | 57u,
    2362u << 11 | 1u << 10 | 0u, 2364u << 11 | 1u << 10 | 0u, 2369u << 11 | 1u << 10 | 7u,
    2381u << 11 | 1u << 10 | 0u, 2385u << 11 | 1u << 10 | 6u, 2402u << 11 | 1u << 10 | 1u,
    2417u << 11 | 1u << 10 | 0u, 2433u << 11 | 1u << 10 | 0u, 2492u << 11 | 1u << 10 | 0u,
    2497u << 11 | 1u << 10 | 3u, 2509u << 11 | 1u << 10 | 0u, 2530u << 11 | 1u << 10 | 1u,
    2558u << 11 | 1u << 10 | 0u, 2561u << 11 | 1u << 10 | 1u, 2620u << 11 | 1u << 10 | 0u,
    2625u << 11 | 1u << 10 | 1u, 2631u << 11 | 1u << 10 | 1u, 2635u << 11 | 1u << 10 | 2u,
    2641u << 11 | 1u << 10 | 0u, 2672u << 11 | 1u << 10 | 1u, 2677u << 11 | 1u << 10 | 0u,
    2689u << 11 | 1u << 10 | 1u, 2748u << 11 | 1u << 10 | 0u, 2753u << 11 | 1u << 10 | 4u,
    2759u << 11 | 1u << 10 | 1u, 2765u << 11 | 1u << 10 | 0u, 2786u << 11 | 1u << 10 | 1u,
    2810u << 11 | 1u << 10 | 5u, 2817u << 11 | 1u << 10 | 0u, 2876u << 11 | 1u << 10 | 0u,
    2879u << 11 | 1u << 10 | 0u, 2881u << 11 | 1u << 10 | 3u, 2893u << 11 | 1u << 10 | 0u,
    2901u << 11 | 1u << 10 | 1u, 2914u << 11 | 1u << 10 | 1u, 2946u << 11 | 1u << 10 | 0u,
    3008u << 11 | 1u << 10 | 0u, 3021u << 11 | 1u << 10 | 0u, 3072u << 11 | 1u << 10 | 0u,
    3076u << 11 | 1u << 10 | 0u, 3132u << 11 | 1u << 10 | 0u, 3134u << 11 | 1u << 10 | 2u,
    3142u << 11 | 1u << 10 | 2u, 3146u << 11 | 1u << 10 | 3u, 3157u << 11 | 1u << 10 | 1u,
    3170u << 11 | 1u << 10 | 1u, 3201u << 11 | 1u << 10 | 0u, 3260u << 11 | 1u << 10 | 0u,
    3263u << 11 | 1u << 10 | 0u, 3270u << 11 | 1u << 10 | 0u, 3276u << 11 | 1u << 10 | 1u,
    3298u << 11 | 1u << 10 | 1u, 3328u << 11 | 1u << 10 | 1u, 3387u << 11 | 1u << 10 | 1u,
    3393u << 11 | 1u << 10 | 3u, 3405u << 11 | 1u << 10 | 0u, 3426u << 11 | 1u << 10 | 1u,
    3457u << 11 | 1u << 10 | 0u, 3530u << 11 | 1u << 10 | 0u, 3538u << 11 | 1u << 10 | 2u,
    3542u << 11 | 1u << 10 | 0u, 3633u << 11 | 1u << 10 | 0u, 3636u << 11 | 1u << 10 | 6u,
    3654u << 11 | 1u << 10 | 8u, 3761u << 11 | 1u << 10 | 0u, 3764u << 11 | 1u << 10 | 8u,
    3782u << 11 | 1u << 10 | 0u, 3784u << 11 | 1u << 10 | 5u, 3864u << 11 | 1u << 10 | 1u,
    3893u << 11 | 1u << 10 | 0u, 3895u << 11 | 1u << 10 | 0u, 3897u << 11 | 1u << 10 | 0u,
    3953u << 11 | 1u << 10 | 13u, 3968u << 11 | 1u << 10 | 4u, 3974u << 11 | 1u << 10 | 1u,
    3981u << 11 | 1u << 10 | 10u, 3993u << 11 | 1u << 10 | 35u, 4038u << 11 | 1u << 10 | 0u,
    4141u << 11 | 1u << 10 | 3u, 4146u << 11 | 1u << 10 | 5u, 4153u << 11 | 1u << 10 | 1u,
    4157u << 11 | 1u << 10 | 1u, 4184u << 11 | 1u << 10 | 1u, 4190u << 11 | 1u << 10 | 2u,
    4209u << 11 | 1u << 10 | 3u, 4226u << 11 | 1u << 10 | 0u, 4229u << 11 | 1u << 10 | 1u,
    4237u << 11 | 1u << 10 | 0u, 4253u << 11 | 1u << 10 | 0u, 4256u << 11 | 0u << 10 | 37u,
    4295u << 11 | 0u << 10 | 0u, 4301u << 11 | 0u << 10 | 0u, 4304u << 11 | 0u << 10 | 42u,
    4348u << 11 | 1u << 10 | 0u, 4349u << 11 | 0u << 10 | 2u, 4957u << 11 | 1u << 10 | 2u,
    5024u << 11 | 0u << 10 | 85u, 5112u << 11 | 0u << 10 | 5u, 5906u << 11 | 1u << 10 | 2u,
    5938u << 11 | 1u << 10 | 1u, 5970u << 11 | 1u << 10 | 1u, 6002u << 11 | 1u << 10 | 1u,
    6068u << 11 | 1u << 10 | 1u, 6071u << 11 | 1u << 10 | 6u, 6086u << 11 | 1u << 10 | 0u,
    6089u << 11 | 1u << 10 | 10u, 6103u << 11 | 1u << 10 | 0u, 6109u << 11 | 1u << 10 | 0u,
    6155u << 11 | 1u << 10 | 4u, 6211u << 11 | 1u << 10 | 0u, 6277u << 11 | 1u << 10 | 1u,
    6313u << 11 | 1u << 10 | 0u, 6432u << 11 | 1u << 10 | 2u, 6439u << 11 | 1u << 10 | 1u,
    6450u << 11 | 1u << 10 | 0u, 6457u << 11 | 1u << 10 | 2u, 6679u << 11 | 1u << 10 | 1u,
    6683u << 11 | 1u << 10 | 0u, 6742u << 11 | 1u << 10 | 0u, 6744u << 11 | 1u << 10 | 6u,
    6752u << 11 | 1u << 10 | 0u, 6754u << 11 | 1u << 10 | 0u, 6757u << 11 | 1u << 10 | 7u,
    6771u << 11 | 1u << 10 | 9u, 6783u << 11 | 1u << 10 | 0u, 6823u << 11 | 1u << 10 | 0u,
    6832u << 11 | 1u << 10 | 30u, 6912u << 11 | 1u << 10 | 3u, 6964u << 11 | 1u << 10 | 0u,
    6966u << 11 | 1u << 10 | 4u, 6972u << 11 | 1u << 10 | 0u, 6978u << 11 | 1u << 10 | 0u,
    7019u << 11 | 1u << 10 | 8u, 7040u << 11 | 1u << 10 | 1u, 7074u << 11 | 1u << 10 | 3u,
    7080u << 11 | 1u << 10 | 1u, 7083u << 11 | 1u << 10 | 2u, 7142u << 11 | 1u << 10 | 0u,
    7144u << 11 | 1u << 10 | 1u, 7149u << 11 | 1u << 10 | 0u, 7151u << 11 | 1u << 10 | 2u,
    7212u << 11 | 1u << 10 | 7u, 7222u << 11 | 1u << 10 | 1u, 7288u << 11 | 1u << 10 | 5u,
    7296u << 11 | 0u << 10 | 8u, 7312u << 11 | 0u << 10 | 42u, 7357u << 11 | 0u << 10 | 2u,
    7376u << 11 | 1u << 10 | 2u, 7380u << 11 | 1u << 10 | 12u, 7394u << 11 | 1u << 10 | 6u,
    7405u << 11 | 1u << 10 | 0u, 7412u << 11 | 1u << 10 | 0u, 7416u << 11 | 1u << 10 | 1u,
    7424u << 11 | 0u << 10 | 43u, 7468u << 11 | 1u << 10 | 62u, 7531u << 11 | 0u << 10 | 12u,
    7544u << 11 | 1u << 10 | 0u, 7545u << 11 | 0u << 10 | 33u, 7579u << 11 | 1u << 10 | 100u,
    7680u << 11 | 0u << 10 | 277u, 7960u << 11 | 0u << 10 | 5u, 7968u << 11 | 0u << 10 | 37u,
    8008u << 11 | 0u << 10 | 5u, 8016u << 11 | 0u << 10 | 7u, 8025u << 11 | 0u << 10 | 0u,
    8027u << 11 | 0u << 10 | 0u, 8029u << 11 | 0u << 10 | 0u, 8031u << 11 | 0u << 10 | 30u,
    8064u << 11 | 0u << 10 | 52u, 8118u << 11 | 0u << 10 | 6u, 8125u << 11 | 1u << 10 | 0u,
    8126u << 11 | 0u << 10 | 0u, 8127u << 11 | 1u << 10 | 2u, 8130u << 11 | 0u << 10 | 2u,
    8134u << 11 | 0u << 10 | 6u, 8141u << 11 | 1u << 10 | 2u, 8144u << 11 | 0u << 10 | 3u,
    8150u << 11 | 0u << 10 | 5u, 8157u << 11 | 1u << 10 | 2u, 8160u << 11 | 0u << 10 | 12u,
    8173u << 11 | 1u << 10 | 2u, 8178u << 11 | 0u << 10 | 2u, 8182u << 11 | 0u << 10 | 6u,
    8189u << 11 | 1u << 10 | 1u, 8203u << 11 | 1u << 10 | 4u, 8216u << 11 | 1u << 10 | 1u,
    8228u << 11 | 1u << 10 | 0u, 8231u << 11 | 1u << 10 | 0u, 8234u << 11 | 1u << 10 | 4u,
    8288u << 11 | 1u << 10 | 4u, 8294u << 11 | 1u << 10 | 9u, 8305u << 11 | 1u << 10 | 0u,
    8319u << 11 | 1u << 10 | 0u, 8336u << 11 | 1u << 10 | 12u, 8400u << 11 | 1u << 10 | 32u,
    8450u << 11 | 0u << 10 | 0u, 8455u << 11 | 0u << 10 | 0u, 8458u << 11 | 0u << 10 | 9u,
    8469u << 11 | 0u << 10 | 0u, 8473u << 11 | 0u << 10 | 4u, 8484u << 11 | 0u << 10 | 0u,
    8486u << 11 | 0u << 10 | 0u, 8488u << 11 | 0u << 10 | 0u, 8490u << 11 | 0u << 10 | 3u,
    8495u << 11 | 0u << 10 | 5u, 8505u << 11 | 0u << 10 | 0u, 8508u << 11 | 0u << 10 | 3u,
    8517u << 11 | 0u << 10 | 4u, 8526u << 11 | 0u << 10 | 0u, 8544u << 11 | 0u << 10 | 31u,
    8579u << 11 | 0u << 10 | 1u, 9398u << 11 | 0u << 10 | 51u, 11264u << 11 | 0u << 10 | 123u,
    11388u << 11 | 1u << 10 | 1u, 11390u << 11 | 0u << 10 | 102u, 11499u << 11 | 0u << 10 | 3u,
    11503u << 11 | 1u << 10 | 2u, 11506u << 11 | 0u << 10 | 1u, 11520u << 11 | 0u << 10 | 37u,
    11559u << 11 | 0u << 10 | 0u, 11565u << 11 | 0u << 10 | 0u, 11631u << 11 | 1u << 10 | 0u,
    11647u << 11 | 1u << 10 | 0u, 11744u << 11 | 1u << 10 | 31u, 11823u << 11 | 1u << 10 | 0u,
    12293u << 11 | 1u << 10 | 0u, 12330u << 11 | 1u << 10 | 3u, 12337u << 11 | 1u << 10 | 4u,
    12347u << 11 | 1u << 10 | 0u, 12441u << 11 | 1u << 10 | 5u, 12540u << 11 | 1u << 10 | 2u,
    40981u << 11 | 1u << 10 | 0u, 42232u << 11 | 1u << 10 | 5u, 42508u << 11 | 1u << 10 | 0u,
    42560u << 11 | 0u << 10 | 45u, 42607u << 11 | 1u << 10 | 3u, 42612u << 11 | 1u << 10 | 9u,
    42623u << 11 | 1u << 10 | 0u, 42624u << 11 | 0u << 10 | 27u, 42652u << 11 | 1u << 10 | 3u,
    42736u << 11 | 1u << 10 | 1u, 42752u << 11 | 1u << 10 | 33u, 42786u << 11 | 0u << 10 | 77u,
    42864u << 11 | 1u << 10 | 0u, 42865u << 11 | 0u << 10 | 22u, 42888u << 11 | 1u << 10 | 2u,
    42891u << 11 | 0u << 10 | 3u, 42896u << 11 | 0u << 10 | 58u, 42960u << 11 | 0u << 10 | 1u,
    42963u << 11 | 0u << 10 | 0u, 42965u << 11 | 0u << 10 | 4u, 42994u << 11 | 1u << 10 | 2u,
    42997u << 11 | 0u << 10 | 1u, 43000u << 11 | 1u << 10 | 1u, 43002u << 11 | 0u << 10 | 0u,
    43010u << 11 | 1u << 10 | 0u, 43014u << 11 | 1u << 10 | 0u, 43019u << 11 | 1u << 10 | 0u,
    43045u << 11 | 1u << 10 | 1u, 43052u << 11 | 1u << 10 | 0u, 43204u << 11 | 1u << 10 | 1u,
    43232u << 11 | 1u << 10 | 17u, 43263u << 11 | 1u << 10 | 0u, 43302u << 11 | 1u << 10 | 7u,
    43335u << 11 | 1u << 10 | 10u, 43392u << 11 | 1u << 10 | 2u, 43443u << 11 | 1u << 10 | 0u,
    43446u << 11 | 1u << 10 | 3u, 43452u << 11 | 1u << 10 | 1u, 43471u << 11 | 1u << 10 | 0u,
    43493u << 11 | 1u << 10 | 1u, 43561u << 11 | 1u << 10 | 5u, 43569u << 11 | 1u << 10 | 1u,
    43573u << 11 | 1u << 10 | 1u, 43587u << 11 | 1u << 10 | 0u, 43596u << 11 | 1u << 10 | 0u,
    43632u << 11 | 1u << 10 | 0u, 43644u << 11 | 1u << 10 | 0u, 43696u << 11 | 1u << 10 | 0u,
    43698u << 11 | 1u << 10 | 2u, 43703u << 11 | 1u << 10 | 1u, 43710u << 11 | 1u << 10 | 1u,
    43713u << 11 | 1u << 10 | 0u, 43741u << 11 | 1u << 10 | 0u, 43756u << 11 | 1u << 10 | 1u,
    43763u << 11 | 1u << 10 | 1u, 43766u << 11 | 1u << 10 | 0u, 43824u << 11 | 0u << 10 | 42u,
    43867u << 11 | 1u << 10 | 4u, 43872u << 11 | 0u << 10 | 8u, 43881u << 11 | 1u << 10 | 2u,
    43888u << 11 | 0u << 10 | 79u, 44005u << 11 | 1u << 10 | 0u, 44008u << 11 | 1u << 10 | 0u,
    44013u << 11 | 1u << 10 | 0u, 64256u << 11 | 0u << 10 | 6u, 64275u << 11 | 0u << 10 | 4u,
    64286u << 11 | 1u << 10 | 0u, 64434u << 11 | 1u << 10 | 16u, 65024u << 11 | 1u << 10 | 15u,
    65043u << 11 | 1u << 10 | 0u, 65056u << 11 | 1u << 10 | 15u, 65106u << 11 | 1u << 10 | 0u,
    65109u << 11 | 1u << 10 | 0u, 65279u << 11 | 1u << 10 | 0u, 65287u << 11 | 1u << 10 | 0u,
    65294u << 11 | 1u << 10 | 0u, 65306u << 11 | 1u << 10 | 0u, 65313u << 11 | 0u << 10 | 25u,
    65342u << 11 | 1u << 10 | 0u, 65344u << 11 | 1u << 10 | 0u, 65345u << 11 | 0u << 10 | 25u,
    65392u << 11 | 1u << 10 | 0u, 65438u << 11 | 1u << 10 | 1u, 65507u << 11 | 1u << 10 | 0u,
    65529u << 11 | 1u << 10 | 2u, 66045u << 11 | 1u << 10 | 0u, 66272u << 11 | 1u << 10 | 0u,
    66422u << 11 | 1u << 10 | 4u, 66560u << 11 | 0u << 10 | 79u, 66736u << 11 | 0u << 10 | 35u,
    66776u << 11 | 0u << 10 | 35u, 66928u << 11 | 0u << 10 | 10u, 66940u << 11 | 0u << 10 | 14u,
    66956u << 11 | 0u << 10 | 6u, 66964u << 11 | 0u << 10 | 1u, 66967u << 11 | 0u << 10 | 10u,
    66979u << 11 | 0u << 10 | 14u, 66995u << 11 | 0u << 10 | 6u, 67003u << 11 | 0u << 10 | 1u,
    67456u << 11 | 1u << 10 | 5u, 67463u << 11 | 1u << 10 | 41u, 67506u << 11 | 1u << 10 | 8u,
    68097u << 11 | 1u << 10 | 2u, 68101u << 11 | 1u << 10 | 1u, 68108u << 11 | 1u << 10 | 3u,
    68152u << 11 | 1u << 10 | 2u, 68159u << 11 | 1u << 10 | 0u, 68325u << 11 | 1u << 10 | 1u,
    68736u << 11 | 0u << 10 | 50u, 68800u << 11 | 0u << 10 | 50u, 68900u << 11 | 1u << 10 | 3u,
    69291u << 11 | 1u << 10 | 1u, 69446u << 11 | 1u << 10 | 10u, 69506u << 11 | 1u << 10 | 3u,
    69633u << 11 | 1u << 10 | 0u, 69688u << 11 | 1u << 10 | 14u, 69744u << 11 | 1u << 10 | 0u,
    69747u << 11 | 1u << 10 | 1u, 69759u << 11 | 1u << 10 | 2u, 69811u << 11 | 1u << 10 | 3u,
    69817u << 11 | 1u << 10 | 1u, 69821u << 11 | 1u << 10 | 0u, 69826u << 11 | 1u << 10 | 0u,
    69837u << 11 | 1u << 10 | 0u, 69888u << 11 | 1u << 10 | 2u, 69927u << 11 | 1u << 10 | 4u,
    69933u << 11 | 1u << 10 | 7u, 70003u << 11 | 1u << 10 | 0u, 70016u << 11 | 1u << 10 | 1u,
    70070u << 11 | 1u << 10 | 8u, 70089u << 11 | 1u << 10 | 3u, 70095u << 11 | 1u << 10 | 0u,
    70191u << 11 | 1u << 10 | 2u, 70196u << 11 | 1u << 10 | 0u, 70198u << 11 | 1u << 10 | 1u,
    70206u << 11 | 1u << 10 | 0u, 70367u << 11 | 1u << 10 | 0u, 70371u << 11 | 1u << 10 | 7u,
    70400u << 11 | 1u << 10 | 1u, 70459u << 11 | 1u << 10 | 1u, 70464u << 11 | 1u << 10 | 0u,
    70502u << 11 | 1u << 10 | 6u, 70512u << 11 | 1u << 10 | 4u, 70712u << 11 | 1u << 10 | 7u,
    70722u << 11 | 1u << 10 | 2u, 70726u << 11 | 1u << 10 | 0u, 70750u << 11 | 1u << 10 | 0u,
    70835u << 11 | 1u << 10 | 5u, 70842u << 11 | 1u << 10 | 0u, 70847u << 11 | 1u << 10 | 1u,
    70850u << 11 | 1u << 10 | 1u, 71090u << 11 | 1u << 10 | 3u, 71100u << 11 | 1u << 10 | 1u,
    71103u << 11 | 1u << 10 | 1u, 71132u << 11 | 1u << 10 | 1u, 71219u << 11 | 1u << 10 | 7u,
    71229u << 11 | 1u << 10 | 0u, 71231u << 11 | 1u << 10 | 1u, 71339u << 11 | 1u << 10 | 0u,
    71341u << 11 | 1u << 10 | 0u, 71344u << 11 | 1u << 10 | 5u, 71351u << 11 | 1u << 10 | 0u,
    71453u << 11 | 1u << 10 | 2u, 71458u << 11 | 1u << 10 | 3u, 71463u << 11 | 1u << 10 | 4u,
    71727u << 11 | 1u << 10 | 8u, 71737u << 11 | 1u << 10 | 1u, 71840u << 11 | 0u << 10 | 63u,
    71995u << 11 | 1u << 10 | 1u, 71998u << 11 | 1u << 10 | 0u, 72003u << 11 | 1u << 10 | 0u,
    72148u << 11 | 1u << 10 | 3u, 72154u << 11 | 1u << 10 | 1u, 72160u << 11 | 1u << 10 | 0u,
    72193u << 11 | 1u << 10 | 9u, 72243u << 11 | 1u << 10 | 5u, 72251u << 11 | 1u << 10 | 3u,
    72263u << 11 | 1u << 10 | 0u, 72273u << 11 | 1u << 10 | 5u, 72281u << 11 | 1u << 10 | 2u,
    72330u << 11 | 1u << 10 | 12u, 72344u << 11 | 1u << 10 | 1u, 72752u << 11 | 1u << 10 | 6u,
    72760u << 11 | 1u << 10 | 5u, 72767u << 11 | 1u << 10 | 0u, 72850u << 11 | 1u << 10 | 21u,
    72874u << 11 | 1u << 10 | 6u, 72882u << 11 | 1u << 10 | 1u, 72885u << 11 | 1u << 10 | 1u,
    73009u << 11 | 1u << 10 | 5u, 73018u << 11 | 1u << 10 | 0u, 73020u << 11 | 1u << 10 | 1u,
    73023u << 11 | 1u << 10 | 6u, 73031u << 11 | 1u << 10 | 0u, 73104u << 11 | 1u << 10 | 1u,
    73109u << 11 | 1u << 10 | 0u, 73111u << 11 | 1u << 10 | 0u, 73459u << 11 | 1u << 10 | 1u,
    78896u << 11 | 1u << 10 | 8u, 92912u << 11 | 1u << 10 | 4u, 92976u << 11 | 1u << 10 | 6u,
    92992u << 11 | 1u << 10 | 3u, 93760u << 11 | 0u << 10 | 63u, 94031u << 11 | 1u << 10 | 0u,
    94095u << 11 | 1u << 10 | 16u, 94176u << 11 | 1u << 10 | 1u, 94179u << 11 | 1u << 10 | 1u,
    110576u << 11 | 1u << 10 | 3u, 110581u << 11 | 1u << 10 | 6u, 110589u << 11 | 1u << 10 | 1u,
    113821u << 11 | 1u << 10 | 1u, 113824u << 11 | 1u << 10 | 3u, 118528u << 11 | 1u << 10 | 45u,
    118576u << 11 | 1u << 10 | 22u, 119143u << 11 | 1u << 10 | 2u, 119155u << 11 | 1u << 10 | 15u,
    119173u << 11 | 1u << 10 | 6u, 119210u << 11 | 1u << 10 | 3u, 119362u << 11 | 1u << 10 | 2u,
    119808u << 11 | 0u << 10 | 84u, 119894u << 11 | 0u << 10 | 70u, 119966u << 11 | 0u << 10 | 1u,
    119970u << 11 | 0u << 10 | 0u, 119973u << 11 | 0u << 10 | 1u, 119977u << 11 | 0u << 10 | 3u,
    119982u << 11 | 0u << 10 | 11u, 119995u << 11 | 0u << 10 | 0u, 119997u << 11 | 0u << 10 | 6u,
    120005u << 11 | 0u << 10 | 64u, 120071u << 11 | 0u << 10 | 3u, 120077u << 11 | 0u << 10 | 7u,
    120086u << 11 | 0u << 10 | 6u, 120094u << 11 | 0u << 10 | 27u, 120123u << 11 | 0u << 10 | 3u,
    120128u << 11 | 0u << 10 | 4u, 120134u << 11 | 0u << 10 | 0u, 120138u << 11 | 0u << 10 | 6u,
    120146u << 11 | 0u << 10 | 339u, 120488u << 11 | 0u << 10 | 24u, 120514u << 11 | 0u << 10 | 24u,
    120540u << 11 | 0u << 10 | 30u, 120572u << 11 | 0u << 10 | 24u, 120598u << 11 | 0u << 10 | 30u,
    120630u << 11 | 0u << 10 | 24u, 120656u << 11 | 0u << 10 | 30u, 120688u << 11 | 0u << 10 | 24u,
    120714u << 11 | 0u << 10 | 30u, 120746u << 11 | 0u << 10 | 24u, 120772u << 11 | 0u << 10 | 7u,
    121344u << 11 | 1u << 10 | 54u, 121403u << 11 | 1u << 10 | 49u, 121461u << 11 | 1u << 10 | 0u,
    121476u << 11 | 1u << 10 | 0u, 121499u << 11 | 1u << 10 | 4u, 121505u << 11 | 1u << 10 | 14u,
    122624u << 11 | 0u << 10 | 9u, 122635u << 11 | 0u << 10 | 19u, 122880u << 11 | 1u << 10 | 6u,
    122888u << 11 | 1u << 10 | 16u, 122907u << 11 | 1u << 10 | 6u, 122915u << 11 | 1u << 10 | 1u,
    122918u << 11 | 1u << 10 | 4u, 123184u << 11 | 1u << 10 | 13u, 123566u << 11 | 1u << 10 | 0u,
    123628u << 11 | 1u << 10 | 3u, 125136u << 11 | 1u << 10 | 6u, 125184u << 11 | 0u << 10 | 67u,
    125252u << 11 | 1u << 10 | 7u, 127280u << 11 | 0u << 10 | 25u, 127312u << 11 | 0u << 10 | 25u,
    127344u << 11 | 0u << 10 | 25u, 127995u << 11 | 1u << 10 | 4u, 917505u << 11 | 1u << 10 | 0u,
    917536u << 11 | 1u << 10 | 95u, 917760u << 11 | 1u << 10 | 239u,
};
/* to here */

static uint32_t lower(uint32_t c) {
    size_t low = 0, high = sizeof LOWER / sizeof *LOWER;
    while (low < high) { /* the last entry that begins at or before c */
        size_t middle = (low + high) / 2;
        if (LOWER[middle].range >> 11 <= c) low = middle + 1;
        else high = middle;
    }
    if (low--) {
        uint32_t range = LOWER[low].range, away = c - (range >> 11), step = (range >> 10 & 1) + 1;
        if (away % step == 0 && away / step <= (range & 1023)) return c + (uint32_t)LOWER[low].distance;
    }
    return c;
}

/* What c is to a capital sigma beside it: 0 a letter with case, 1 passed over, 2 neither. */
static int around_sigma(uint32_t c) {
    size_t low = 0, high = sizeof AROUND_SIGMA / sizeof *AROUND_SIGMA;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (AROUND_SIGMA[middle] >> 11 <= c) low = middle + 1;
        else high = middle;
    }
    if (!low || c - (AROUND_SIGMA[low - 1] >> 11) > (AROUND_SIGMA[low - 1] & 1023)) return 2;
    return (int)(AROUND_SIGMA[low - 1] >> 10 & 1);
}

/* --- The model file ------------------------------------------------------------------------------------------- */

#define START_ID 1
#define OOV_ID 2
#define FIRST_WORD_ID 4
#define MAX_LENGTH 100000

/* Entries of the metadata, by their names behind "edge_lstm." */
enum { FORMAT, TOKENIZER, VOCABULARY, LABELS, NETWORK, GOLDEN, SEVERAL, KEYS };
static const char *const NAMES[KEYS] = {"format", "tokenizer", "vocabulary", "labels", "network", "golden", "several"};

struct edge_lstm {
    slice graph, metadata[KEYS], vocabulary;
    int32_t length, lines, words;                  /* text; the vocabulary's lines behind words are pieces */
    int32_t longest_word, longest_piece, specials; /* bytes; characters beyond ASCII that are no letters */
    int32_t ids, embedding_dim, hidden, directions, ngrams, ngram_dim; /* network; with the sentinels of int8 */
    int32_t labels, logits, several, int8, last; /* a text may have several labels; pooling last, else mean+max */
    const unsigned char *embedding, *embedding_scale, *w, *r, *b, *w_scale, *r_scale; /* in the file, unaligned */
    const unsigned char *vectors, *vector_scales, *head_weight, *head_scales, *head_bias;
    int group; /* int8: so many products fit in 16 bits where activations are within ±128: 1, 2 or GROUP */
    unsigned char kind[128]; /* of ASCII: LETTER, SEPARATOR or MARK */
    /* In the arena: */
    char **names;
    double *thresholds;
    unsigned char *packed; /* with AVX2: w and r of each direction again, as pack() lays them */
    unsigned char *word, *slots, *starts; /* the vocabulary's index: see find_line */
    uint32_t slot_mask, gram_mask;
    int slot_bytes, start_bytes;
    struct special { uint32_t character, becomes, kind; } *special;
    uint32_t *gram_slots;
    int32_t *grams; /* [ngrams, 2]: an id and -1, or two ids */
    unsigned char *held;
    int32_t *id, *sums; /* a text's ids; products of integers */
    size_t count;
    int16_t *quantized;
    unsigned char *bytes; /* with AVX2 */
    float *gates, *h, *c, *x, *pooled, *answer;
};

static const char NOT_A_MODEL[] = "not a model file of edge-lstm, or cut short; copy it again";
static const char CHANGED[] = "the file was cut short or changed after it was written; copy it again";
static const char OTHER[] = "this format version is not supported; export the model again, or use a newer edge_lstm.c";
static const char RULE_UNKNOWN[] = "this text rule is not supported; use a newer edge_lstm.c";
static const char UNUSABLE[] = "the file's metadata is unusable or does not fit together; export it again";
static const char POOLING[] = "this pooling is not supported; use last or mean+max";
static const char GRAPH[] = "this network is not supported: its graph has not the constants that its metadata needs";

enum { FLOAT32 = 1, INT8 = 3 };
enum { LETTER, SEPARATOR, MARK };

/* The first submessage `number` whose field `title` is this text. */
static int find_named(slice message, unsigned number, unsigned title, const char *text, slice *content) {
    field f, part;
    while (next_field(&message, &f) > 0) {
        slice rest = f.bytes;
        if (f.number != number || !f.is_bytes) continue;
        while (next_field(&rest, &part) > 0)
            if (part.number == title && part.is_bytes && same(part.bytes, text)) return *content = f.bytes, 1;
    }
    return 0;
}

/* A repeated number's next value: one a field, or packed in one. rest: the packed ones to come. */
static int next_integer(slice *message, unsigned number, slice *rest, uint64_t *value) {
    field f;
    while (rest->at == rest->end) {
        if (next_field(message, &f) <= 0) return 0;
        if (f.number != number) continue;
        if (!f.is_bytes) return *value = f.value, 1;
        *rest = f.bytes;
    }
    return varint(rest, value);
}

/* A constant of the graph by name, type and shape: its bytes, or NULL. */
static const unsigned char *constant(const edge_lstm *m, const char *name, int type, int axes, int32_t a, int32_t b,
                                     int32_t c) {
    slice tensor, rest, raw = {NULL, NULL}, packed = {NULL, NULL};
    uint64_t value, held = 0, size = type == FLOAT32 ? 4 : 1, shape[3];
    field f;
    int more, i;
    shape[0] = (uint64_t)a, shape[1] = (uint64_t)b, shape[2] = (uint64_t)c;
    if (!find_named(m->graph, 5, 8, name, &tensor)) return NULL;
    for (rest = tensor; (more = next_field(&rest, &f)) > 0;) {
        if (f.number == 2 && !f.is_bytes) held = f.value;
        if (f.number == 9 && f.is_bytes) raw = f.bytes;
    }
    for (i = 0; i < axes; i++, size *= value)
        if (!next_integer(&tensor, 1, &packed, &value) || value != shape[i]) return NULL;
    if (more || next_integer(&tensor, 1, &packed, &value) || held != (uint64_t)type) return NULL;
    return length_of(raw) == size ? raw.at : NULL;
}

static int32_t pooled_values(const edge_lstm *m) { return m->directions * m->hidden * (m->last ? 1 : 2); }

/* The n-grams that have a vector: single ids first, then pairs. grams: [ngrams, 2], or NULL only to check them. */
static int read_ngrams(const edge_lstm *m, int32_t *grams) {
    slice node, counts, pool, rest = {NULL, NULL};
    uint64_t value, pairs_start = UINT64_MAX;
    int32_t n, i;
    if (!find_named(m->graph, 1, 4, "TfIdfVectorizer", &node) || !find_named(node, 5, 1, "ngram_counts", &counts) ||
        !find_named(node, 5, 1, "pool_int64s", &pool) || !next_integer(&counts, 8, &rest, &value) || value)
        return 0;
    if (next_integer(&counts, 8, &rest, &value)) pairs_start = value;
    rest.at = rest.end = NULL;
    for (n = 0; n < m->ngrams; n++)
        for (i = 0; i < 2; i++) {
            if (i && (uint64_t)n < pairs_start) value = UINT64_MAX;
            else if (!next_integer(&pool, 8, &rest, &value) || value > (uint64_t)m->ids) return 0;
            if (grams) grams[2 * n + i] = value == UINT64_MAX ? -1 : (int32_t)value;
        }
    return !next_integer(&pool, 8, &rest, &value);
}

static void note(edge_lstm *m, uint32_t c, uint32_t becomes, uint32_t kind) {
    if (m->special) m->special[m->specials].character = c, m->special[m->specials].becomes = becomes, m->special[m->specials].kind = kind;
    m->specials++;
}

/* The characters of pieces-1 that are no letters, or become others: into kind[], and special where there is room. */
static int read_rule(edge_lstm *m) {
    slice tokenizer = m->metadata[TOKENIZER], value, name;
    reader r;
    uint32_t c, to;
    m->specials = 0;
    if (!json_get(tokenizer, "separators", &value)) return 0;
    for (r = json_string(value); (c = next_character(&r)) != END_OF_TEXT;)
        if (c < 128) m->kind[c] = SEPARATOR;
        else note(m, c, c, SEPARATOR);
    if (!json_get(tokenizer, "marks", &value)) return 0;
    for (r = json_string(value); (c = next_character(&r)) != END_OF_TEXT; m->kind[c] = MARK)
        if (c >= 128) return 0;
    if (!json_get(tokenizer, "replacements", &value) || !json_enter(&value, '{')) return 0;
    while (json_value(&value, &name)) {
        slice text;
        if (value.at == value.end || *value.at++ != ':' || !json_value(&value, &text)) return 0;
        r = json_string(name), c = next_character(&r);
        r = json_string(text), to = next_character(&r);
        if (c < 128 || c == END_OF_TEXT || to >= 128 || next_character(&r) != END_OF_TEXT) return 0;
        note(m, c, to, m->kind[to]);
        if (value.at < value.end && *value.at == ',') value.at++;
    }
    return 1;
}

/* The file's bytes → its graph and metadata, once its format and digest are right. */
static const char *read_file(edge_lstm *m, slice file, int digest_counts) {
    static const unsigned char nothing[1];
    slice rest = file;
    field f, e;
    int more, i;
    memset(m, 0, sizeof *m);
    while ((more = next_field(&rest, &f)) > 0) {
        slice key = {NULL, NULL}, content = {nothing, nothing};
        if (f.number == 7 && f.is_bytes) m->graph = f.bytes;
        if (f.number != 14 || !f.is_bytes) continue;
        while ((more = next_field(&f.bytes, &e)) > 0) {
            if (e.number == 1) key = e.bytes;
            else if (e.number == 2) content = e.bytes;
        }
        if (more < 0 || !key.at) return NOT_A_MODEL;
        if (length_of(key) < 10 || memcmp(key.at, "edge_lstm.", 10)) continue;
        key.at += 10;
        for (i = 0; i < KEYS; i++)
            if (same(key, NAMES[i])) m->metadata[i] = content;
    }
    if (more < 0 || !m->metadata[FORMAT].at) return NOT_A_MODEL;
    if (!same(m->metadata[FORMAT], "10")) return OTHER;
    if (length_of(file) < 64) return CHANGED;
    file.end -= 64; /* the digest of all before it */
    if (digest_counts && !sha256_is(file, file.end)) return CHANGED;
    for (rest = m->graph; (more = next_field(&rest, &f)) != 0;)
        if (more < 0) return CHANGED;
    return NULL;
}

/* How texts become ids: the tokenizer's settings and the vocabulary. */
static const char *read_tokenizer(edge_lstm *m) {
    static const char filters[] = "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n\r";
    static const char keras_rule[] = "lower-case; each filter character becomes a space; split on spaces; drop empty pieces";
    static const char *const texts[][2] = {
        {"lowercase", "unicode"}, {"padding", "right"}, {"truncation", "keep the last ids"}};
    static const struct { const char *key; int32_t value; } numbers[] = {
        {"pad_id", 0}, {"start_id", START_ID}, {"oov_id", OOV_ID}, {"first_word_id", FIRST_WORD_ID}};
    slice tokenizer = m->metadata[TOKENIZER];
    const unsigned char *at, *end;
    int keras = json_is(tokenizer, "rule", keras_rule);
    int32_t n, value;
    if (!tokenizer.at || !m->metadata[VOCABULARY].at) return UNUSABLE;
    for (n = 0; n < (int32_t)(sizeof texts / sizeof *texts); n++)
        if (!json_is(tokenizer, texts[n][0], texts[n][1])) return RULE_UNKNOWN;
    for (n = 0; n < (int32_t)(sizeof numbers / sizeof *numbers); n++)
        if (!json_int(tokenizer, numbers[n].key, numbers[n].value, numbers[n].value, &value)) return RULE_UNKNOWN;
    if (keras ? !json_is(tokenizer, "filters", filters) : !json_is(tokenizer, "rule", "pieces-1") || !read_rule(m))
        return RULE_UNKNOWN;
    m->kind[' '] = SEPARATOR;
    for (n = 0; keras && filters[n]; n++) m->kind[(unsigned char)filters[n]] = SEPARATOR;
    m->words = INT32_MAX;
    if (!json_int(tokenizer, "length", 1, MAX_LENGTH, &m->length)) return UNUSABLE;
    if (!keras && !json_int(tokenizer, "words", 0, 1 << 24, &m->words)) return UNUSABLE;
    m->vocabulary = m->metadata[VOCABULARY];
    for (at = m->vocabulary.at; at < m->vocabulary.end; m->lines++, at = end + 1) {
        int32_t *longest = m->lines < m->words ? &m->longest_word : &m->longest_piece;
        if (m->lines >= 1 << 24) return UNUSABLE;
        end = memchr(at, '\n', (size_t)(m->vocabulary.end - at));
        if (!end) end = m->vocabulary.end;
        if (end - at > *longest) *longest = (int32_t)(end - at);
        if (end + 1 == m->vocabulary.end) m->lines++; /* it ends with an empty word */
    }
    if (keras) m->words = m->lines;
    return m->words <= m->lines ? NULL : UNUSABLE;
}

static int json_flag(slice object, const char *key, int32_t *flag) {
    slice value;
    if (!json_get(object, key, &value)) return 0;
    *flag = same(value, "true");
    return *flag || same(value, "false");
}

/* The network's shape, and that the vocabulary and the thresholds are its own. */
static const char *read_network(edge_lstm *m) {
    slice network = m->metadata[NETWORK];
    int32_t bidirectional;
    if (!json_int(network, "num_words", 1, 1 << 24, &m->ids) || m->ids != m->lines + FIRST_WORD_ID ||
        !json_int(network, "embedding_dim", 1, 1 << 16, &m->embedding_dim) ||
        !json_int(network, "hidden", 1, 1 << 14, &m->hidden) || !json_int(network, "labels", 2, 1 << 20, &m->labels) ||
        !json_flag(network, "bidirectional", &bidirectional) || !json_flag(network, "several", &m->several) ||
        !json_int(network, "ngrams", 0, 1 << 24, &m->ngrams) ||
        !json_int(network, "ngram_dim", m->ngrams ? 1 : 0, 1 << 16, &m->ngram_dim))
        return UNUSABLE;
    if (m->several != (m->metadata[SEVERAL].at != NULL)) return UNUSABLE;
    if (!m->ngrams) m->ngram_dim = 0;
    m->last = json_is(network, "pooling", "last");
    if (!m->last && !json_is(network, "pooling", "mean+max")) return POOLING;
    m->directions = 1 + bidirectional;
    m->logits = m->labels == 2 && !m->several ? 1 : m->labels;
    return NULL;
}

/* Where the weights lie in the file. int8: two sentinel columns in the embedding, two sentinel units a direction. */
static const char *find_weights(edge_lstm *m) {
    int type;
    int32_t d = m->directions, n, gates, inputs;
    m->embedding = constant(m, "embedding", FLOAT32, 2, m->ids + 1, m->embedding_dim, 0);
    m->int8 = !m->embedding;
    type = m->int8 ? INT8 : FLOAT32;
    if (m->int8) {
        m->embedding_dim += 2, m->hidden += 2;
        m->embedding = constant(m, "embedding", INT8, 2, m->ids + 1, m->embedding_dim, 0);
        m->embedding_scale = constant(m, "embedding_scale", FLOAT32, 1, 1, 0, 0);
        m->w_scale = constant(m, "lstm_w_scale", FLOAT32, 1, d, 0, 0);
        m->r_scale = constant(m, "lstm_r_scale", FLOAT32, 1, d, 0, 0);
        if (!m->embedding_scale || !m->w_scale || !m->r_scale) return GRAPH;
    }
    gates = 4 * m->hidden, n = m->embedding_dim; /* int8: [D, inputs, gates], fp32: [D, gates, inputs] */
    m->w = constant(m, "lstm_w", type, 3, d, m->int8 ? n : gates, m->int8 ? gates : n);
    n = m->hidden;
    m->r = constant(m, "lstm_r", type, 3, d, m->int8 ? n : gates, m->int8 ? gates : n);
    m->b = constant(m, "lstm_b", FLOAT32, 2, d, 2 * gates, 0);
    inputs = pooled_values(m) + m->ngram_dim;
    m->head_weight = constant(m, "head_w", type, 2, inputs, m->logits, 0);
    m->head_bias = constant(m, "head_b", FLOAT32, 1, m->logits, 0, 0);
    m->head_scales = m->int8 ? constant(m, "head_w_scales", FLOAT32, 2, inputs, 1, 0) : NULL;
    if (!m->embedding || !m->w || !m->r || !m->b || !m->head_weight || !m->head_bias || (m->int8 && !m->head_scales))
        return GRAPH;
    if (m->ngrams) {
        m->vectors = constant(m, "ngram_vectors", type, 2, m->ngrams, m->ngram_dim, 0);
        m->vector_scales = m->int8 ? constant(m, "ngram_scales", FLOAT32, 1, m->ngram_dim, 0, 0) : m->vectors;
        if (!m->vectors || !m->vector_scales || !read_ngrams(m, NULL)) return GRAPH;
    }
    return NULL;
}

/* The list of labels, or of thresholds, once it was entered. */
static int enter_labels(const edge_lstm *m, slice *list) { return *list = m->metadata[LABELS], json_enter(list, '['); }

static int enter_thresholds(const edge_lstm *m, slice *list) {
    return m->several && json_get(m->metadata[SEVERAL], "thresholds", list) && json_enter(list, '[');
}

static const char *check_labels(const edge_lstm *m) {
    slice list, value;
    reader r;
    uint32_t c;
    int32_t n;
    int valid;
    if (!enter_labels(m, &list)) return UNUSABLE;
    for (n = 0; json_next(&list, &value); n++) {
        if (*value.at != '"') return UNUSABLE;
        for (r = json_string(value); (c = next_character(&r)) != END_OF_TEXT;)
            if (c < 0x20 || (c >= 0x7F && c < 0xA0)) return UNUSABLE;
    }
    if (n != m->labels) return UNUSABLE;
    if (!m->several) return NULL;
    if (!enter_thresholds(m, &list)) return UNUSABLE;
    for (n = 0; json_next(&list, &value); n++) {
        double threshold = json_number(value, &valid);
        if (!valid || !(threshold > 0 && threshold <= 1)) return UNUSABLE;
    }
    return n == m->labels ? NULL : UNUSABLE;
}

/* Everything that needs no arena: the file's bytes are whole, and describe a network that can be run here. */
static const char *parse(edge_lstm *m, slice file, int digest_counts) {
    const char *error = read_file(m, file, digest_counts);
    if (!error) error = read_tokenizer(m);
    if (!error) error = read_network(m);
    if (!error) error = find_weights(m);
    return error ? error : check_labels(m);
}

/* --- The arena ------------------------------------------------------------------------------------------------ */

static size_t take(uint64_t *used, uint64_t count, size_t size) {
    uint64_t at = *used;
    *used += (count * size + 15) & ~(uint64_t)15;
    return (size_t)at;
}

/* Of what is known of a word while it is read: enough to tell whether it is one of the vocabulary, and a piece more. */
static size_t word_room(const edge_lstm *m) { return (size_t)m->longest_word + (size_t)m->longest_piece + 4; }

enum { BLOCK = 64, GROUP = 8 }; /* sums that are kept at hand while the inputs pass; inputs that are added in 16 bits */

/* Of weights as pack() lays them, in bytes; 0 where the compiler has no AVX2. */
static size_t packed_size(int32_t inputs, int32_t outputs) {
#ifdef __AVX2__
    return ((size_t)outputs + BLOCK - 1) / BLOCK * BLOCK * (sizeof(int32_t) + ((size_t)inputs + 3) / 4 * 4);
#else
    return (void)inputs, (void)outputs, 0;
#endif
}

/* Where everything lies behind the arena's first byte, which is aligned → how much there is. base: NULL to count. */
static size_t lay_out(edge_lstm *m, unsigned char *base) {
    size_t hidden = (size_t)m->hidden, inputs = (size_t)m->embedding_dim, widest = inputs > hidden ? inputs : hidden;
    size_t slots = 1, gram_slots = 1, at, both;
    uint64_t used = 0;
    while (slots * 2 < (size_t)m->lines * 3 || slots < 2) slots *= 2;
    while (gram_slots * 2 < (size_t)m->ngrams * 3) gram_slots *= 2;
    m->slot_mask = (uint32_t)(slots - 1), m->gram_mask = (uint32_t)(gram_slots - 1);
    m->slot_bytes = m->lines < 0xFFFF ? 2 : 4;
    m->start_bytes = length_of(m->vocabulary) < 0xFFFF ? 2 : 4;
#define TAKE(member, type, count) \
    at = take(&used, count, sizeof(type)); \
    if (base) m->member = (type *)(void *)(base + at)
    at = take(&used, 1, sizeof *m);
    both = packed_size(m->embedding_dim, 4 * m->hidden) + packed_size(m->hidden, 4 * m->hidden);
    TAKE(packed, unsigned char, m->int8 ? (size_t)m->directions * both : 0);
    TAKE(names, char *, (size_t)m->labels);
    TAKE(names[0], char, length_of(m->metadata[LABELS]) * 2 + (size_t)m->labels); /* an escape gives at most three bytes */
    TAKE(thresholds, double, m->several ? (size_t)m->labels : 0);
    TAKE(word, unsigned char, word_room(m));
    TAKE(special, struct special, (size_t)m->specials);
    TAKE(grams, int32_t, (size_t)m->ngrams * 2);
    TAKE(gram_slots, uint32_t, m->ngrams ? gram_slots : 0);
    TAKE(held, unsigned char, m->ngrams ? (size_t)m->ngrams / 8 + 1 : 0);
    TAKE(slots, unsigned char, slots * (size_t)m->slot_bytes);
    TAKE(starts, unsigned char, ((size_t)m->lines + 1) * (size_t)m->start_bytes);
    TAKE(id, int32_t, (size_t)m->length);
    TAKE(sums, int32_t, (size_t)m->ngram_dim);
    TAKE(quantized, int16_t, widest + 256);
    TAKE(bytes, unsigned char, packed_size(1, 1) ? widest + 3 : 0);
    TAKE(gates, float, 4 * hidden);
    TAKE(h, float, hidden);
    TAKE(c, float, hidden);
    TAKE(x, float, inputs);
    TAKE(pooled, float, (size_t)pooled_values(m) + (size_t)m->ngram_dim);
    TAKE(answer, float, (size_t)m->labels);
#undef TAKE
    return used < SIZE_MAX / 2 ? (size_t)used : SIZE_MAX / 2; /* more than any arena has */
}

static uint32_t load(const unsigned char *array, int bytes, size_t i) {
    uint16_t small;
    uint32_t large;
    if (bytes == 2) return memcpy(&small, array + 2 * i, 2), small;
    return memcpy(&large, array + 4 * i, 4), large;
}

static void store(unsigned char *array, int bytes, size_t i, uint32_t value) {
    uint16_t small = (uint16_t)value;
    if (bytes == 2) memcpy(array + 2 * i, &small, 2);
    else memcpy(array + 4 * i, &value, 4);
}

#define HASH_START 2166136261u
static uint32_t hash_more(uint32_t hash, const unsigned char *bytes, size_t size) { /* FNV-1a */
    while (size--) hash = (hash ^ *bytes++) * 16777619u;
    return hash;
}

/* The slot that holds the word or piece, or the empty one where it would be. A slot is a line's number and 1, or 0. */
static uint32_t find_line(const edge_lstm *m, const unsigned char *text, size_t size, uint32_t hash, int is_piece) {
    uint32_t slot = (hash ^ hash >> 15) & m->slot_mask, number;
    for (; (number = load(m->slots, m->slot_bytes, slot)) != 0; slot = (slot + 1) & m->slot_mask) {
        uint32_t start = load(m->starts, m->start_bytes, number - 1), end = load(m->starts, m->start_bytes, number);
        if (is_piece == (number > (uint32_t)m->words) && end - start - 1 == size &&
            !memcmp(m->vocabulary.at + start, text, size))
            break;
    }
    return slot;
}

static void index_words(edge_lstm *m) {
    const unsigned char *at = m->vocabulary.at, *end;
    int32_t n;
    memset(m->slots, 0, ((size_t)m->slot_mask + 1) * (size_t)m->slot_bytes);
    for (n = 0; n < m->lines; n++, at = end + 1) {
        uint32_t slot;
        end = memchr(at, '\n', (size_t)(m->vocabulary.end - at));
        if (!end) end = m->vocabulary.end;
        store(m->starts, m->start_bytes, (size_t)n, (uint32_t)(at - m->vocabulary.at));
        store(m->starts, m->start_bytes, (size_t)n + 1, (uint32_t)(end + 1 - m->vocabulary.at));
        slot = find_line(m, at, (size_t)(end - at), hash_more(HASH_START, at, (size_t)(end - at)), n >= m->words);
        store(m->slots, m->slot_bytes, slot, (uint32_t)n + 1); /* the last one counts */
    }
}

/* The slot of the n-gram left, right (-1: left alone), or the empty one where it would be: a row and 1, or 0. */
static uint32_t *find_gram(const edge_lstm *m, int32_t left, int32_t right) {
    uint32_t hash = (uint32_t)left * 2654435761u + (uint32_t)right * 40503u, slot = (hash ^ hash >> 15) & m->gram_mask, row;
    for (; (row = m->gram_slots[slot]) != 0; slot = (slot + 1) & m->gram_mask)
        if (m->grams[2 * (row - 1)] == left && m->grams[2 * (row - 1) + 1] == right) break;
    return m->gram_slots + slot;
}

static void index_grams(edge_lstm *m) {
    int32_t n;
    if (!m->ngrams) return;
    read_ngrams(m, m->grams);
    memset(m->gram_slots, 0, ((size_t)m->gram_mask + 1) * sizeof *m->gram_slots);
    for (n = 0; n < m->ngrams; n++) *find_gram(m, m->grams[2 * n], m->grams[2 * n + 1]) = (uint32_t)n + 1;
}

static void read_labels(edge_lstm *m) {
    slice list, value;
    unsigned char *out = (unsigned char *)m->names[0];
    uint32_t c;
    int32_t n;
    int valid;
    enter_labels(m, &list);
    for (n = 0; n < m->labels && json_next(&list, &value); n++) {
        reader r = json_string(value);
        m->names[n] = (char *)out;
        while ((c = next_character(&r)) != END_OF_TEXT) out += put_utf8(c, out);
        *out++ = 0;
    }
    if (enter_thresholds(m, &list))
        for (n = 0; n < m->labels && json_next(&list, &value); n++) m->thresholds[n] = json_number(value, &valid);
}

/* --- Text → ids ----------------------------------------------------------------------------------------------- */

static int around(uint32_t c) {
    if (c >= 0x80) return around_sigma(c);
    if ((c | 32) >= 'a' && (c | 32) <= 'z') return 0;
    return c == '\'' || c == '.' || c == ':' || c == '^' || c == '`' ? 1 : 2;
}

/* A text while it is read: its ids so far; the word that is being read, as far as it is not given to pieces yet. */
typedef struct {
    size_t words, count, size;
    int known, in_pieces; /* known: it had an id of a word; in_pieces: the word is too long for the vocabulary */
    int32_t last;         /* the word's last piece: unknown characters in a row are one id */
} reading;

static void push(edge_lstm *m, reading *r, int32_t id) {
    m->id[r->count++ % (size_t)m->length] = id; /* a ring of the last ones */
    r->known |= id >= FIRST_WORD_ID;
}

/* Gives the word's beginning to pieces, at each place the longest that starts there, until less than `keep` is left. */
static void push_pieces(edge_lstm *m, reading *r, size_t keep) {
    size_t at = 0;
    while (r->size - at >= keep && at < r->size) {
        size_t room = r->size - at, n = 0, found = 0;
        uint32_t hash = HASH_START, number = 0, got;
        const unsigned char *word = m->word + at;
        do { /* one character more */
            size_t before = n++;
            while (n < room && (word[n] & 0xC0) == 0x80) n++;
            hash = hash_more(hash, word + before, n - before);
            if (n > (size_t)m->longest_piece) break;
            got = load(m->slots, m->slot_bytes, find_line(m, word, n, hash, 1));
            if (got) number = got, found = n;
        } while (n < room);
        if (number) {
            r->last = (int32_t)number - 1 + FIRST_WORD_ID;
            push(m, r, r->last);
        } else {
            if (r->last != OOV_ID) push(m, r, OOV_ID);
            r->last = OOV_ID;
            for (found = 1; found < room && (word[found] & 0xC0) == 0x80;) found++;
        }
        at += found;
    }
    memmove(m->word, m->word + at, r->size - at);
    r->size -= at;
}

static void push_word(edge_lstm *m, reading *r) {
    uint32_t number = 0;
    if (!r->size && !r->in_pieces) return;
    if (!r->in_pieces)
        number = load(m->slots, m->slot_bytes, find_line(m, m->word, r->size, hash_more(HASH_START, m->word, r->size), 0));
    if (number) push(m, r, (int32_t)number - 1 + FIRST_WORD_ID);
    else if (m->lines > m->words) push_pieces(m, r, 0);
    else push(m, r, OOV_ID);
    r->words++;
    r->size = 0, r->in_pieces = 0, r->last = 0;
}

static void push_character(edge_lstm *m, reading *r, uint32_t c) {
    unsigned char bytes[4];
    size_t n = put_utf8(c, bytes);
    if (r->size + n > word_room(m)) {
        r->in_pieces = 1;
        if (m->lines > m->words) push_pieces(m, r, (size_t)m->longest_piece);
        else r->size = 0;
    }
    memcpy(m->word + r->size, bytes, n);
    r->size += n;
}

static edge_lstm_status encode(edge_lstm *m, reader text) {
    size_t length = (size_t)m->length, count, words, i;
    int after_cased = 0, known;
    uint32_t c;
    int32_t k;
    reading r = {0, 0, 0, 0, 0, 0};
    push(m, &r, START_ID);
    while ((c = next_character(&text)) != END_OF_TEXT) {
        uint32_t small = c < 0x80 ? (c >= 'A' && c <= 'Z' ? c | 32 : c) : c == 0x130 ? 'i' : lower(c), more;
        unsigned kind = small < 0x80 ? m->kind[small] : LETTER;
        if (c == 0x3A3 && after_cased) { /* a capital sigma is final behind a letter and before none */
            reader ahead = text;
            while ((more = next_character(&ahead)) != END_OF_TEXT && around(more) == 1) continue;
            if (more == END_OF_TEXT || around(more) != 0) small = 0x3C2;
        }
        for (k = 0; small >= 0x80 && k < m->specials; k++)
            if (m->special[k].character == small) {
                kind = m->special[k].kind, small = m->special[k].becomes;
                break;
            }
        if (kind != LETTER) push_word(m, &r);
        if (kind != SEPARATOR) push_character(m, &r, small);
        if (kind == MARK) push_word(m, &r);
        if (c == 0x130) push_character(m, &r, 0x307); /* a capital I with a dot is two */
        if (around(c) != 1) after_cased = around(c) == 0;
    }
    push_word(m, &r);
    count = r.count, words = r.words, known = r.known;
    m->count = count < length ? count : length;
    if (count > length && count % length) { /* turn the ring so that it begins at its oldest */
        size_t oldest = count % length, low, high, part;
        for (part = 0; part < 3; part++) {
            low = part == 1 ? oldest : 0, high = part == 0 ? oldest : length;
            for (i = low; i + 1 < high; i++, high--) {
                int32_t swapped = m->id[i];
                m->id[i] = m->id[high - 1], m->id[high - 1] = swapped;
            }
        }
    }
    if (!known) return words ? EDGE_LSTM_UNKNOWN_WORDS : EDGE_LSTM_EMPTY;
    return count > length ? EDGE_LSTM_TRUNCATED : EDGE_LSTM_OK;
}

/* --- Arithmetic ----------------------------------------------------------------------------------------------- */

#if defined FP_FAST_FMAF || defined __FMA__ || defined __ARM_FEATURE_FMA
#define MULTIPLY_ADD(a, b, c) fmaf(a, b, c)
#else /* the product is exact in double; of the sum hardly a bit is lost before it becomes a float */
#define MULTIPLY_ADD(a, b, c) ((float)((double)(a) * (double)(b) + (double)(c)))
#endif

static float number(const unsigned char *at, size_t i) {
    float value;
    memcpy(&value, at + 4 * i, 4);
    return value;
}

/* Apart from the rest, of which gcc makes SIMD only so. */
static void clip(float *values, int32_t n, float low, float high) {
    int32_t i;
    for (i = 0; i < n; i++) {
        float x = values[i] < low ? low : values[i];
        values[i] = x > high ? high : x;
    }
}

/* The rational functions (Eigen's) that ONNX Runtime computes: with a fused multiply-add they give its bits. */
static void sigmoid(float *restrict values, int32_t n) {
    int32_t i;
    clip(values, n, -18, 18);
    for (i = 0; i < n; i++) {
        float x = values[i], s = x * x, p, q;
        p = MULTIPLY_ADD(s, 4.37031012579801e-11f, 1.15627324459942e-07f);
        p = MULTIPLY_ADD(p, s, 6.08574864600143e-05f);
        p = MULTIPLY_ADD(p, s, 8.51377133304701e-03f);
        p = MULTIPLY_ADD(p, s, 2.48287947061529e-01f) * x;
        q = MULTIPLY_ADD(s, 6.10247389755681e-13f, 5.76102136993427e-09f);
        q = MULTIPLY_ADD(q, s, 6.29106785017040e-06f);
        q = MULTIPLY_ADD(q, s, 1.70198817374094e-03f);
        q = MULTIPLY_ADD(q, s, 1.16817656904453e-01f);
        q = MULTIPLY_ADD(q, s, 9.93151921023180e-01f);
        values[i] = p / q + 0.5f;
    }
    clip(values, n, 0, 1);
}

static void hyperbolic_tangent(float *restrict values, int32_t n) {
    int32_t i;
    clip(values, n, -9, 9);
    for (i = 0; i < n; i++) {
        float x = values[i], s = x * x, p, q;
        p = MULTIPLY_ADD(s, -2.76076847742355e-16f, 2.00018790482477e-13f);
        p = MULTIPLY_ADD(p, s, -8.60467152213735e-11f);
        p = MULTIPLY_ADD(p, s, 5.12229709037114e-08f);
        p = MULTIPLY_ADD(p, s, 1.48572235717979e-05f);
        p = MULTIPLY_ADD(p, s, 6.37261928875436e-04f);
        p = MULTIPLY_ADD(p, s, 4.89352455891786e-03f) * x;
        q = MULTIPLY_ADD(s, 1.19825839466702e-06f, 1.18534705686654e-04f);
        q = MULTIPLY_ADD(q, s, 2.26843463243900e-03f);
        q = MULTIPLY_ADD(q, s, 4.89352518554385e-03f);
        values[i] = p / q;
    }
}

static float nearest(float x) { /* to an integer, halves to the even one; |x| is far below 2^22 */
#if defined FLT_EVAL_METHOD && FLT_EVAL_METHOD == 0
    return (x + 12582912.0f) - 12582912.0f;
#else
    return rintf(x);
#endif
}

typedef struct {
    float step, zero;
} scale;

/* The 8-bit scale of values from low to high, which include 0. */
static scale scale_of(float low, float high) {
    scale s;
    s.step = low == high ? 1.0f : (high - low) / 255.0f;
    s.zero = -low / s.step;
    s.zero = nearest(s.zero > 0.0f ? (s.zero < 255.0f ? s.zero : 255.0f) : 0.0f);
    return s;
}

/* x / step, rounded to 0 … 255 and less its zero. */
static void quantize(const float *restrict x, int16_t *restrict out, int32_t n, scale s) {
    int32_t i;
    for (i = 0; i < n; i++) {
        float q = nearest(x[i] / s.step) + s.zero;
        q = q > 0.0f ? q : 0.0f; /* a NaN too */
        q = q < 255.0f ? q : 255.0f;
        out[i] = (int16_t)(q - s.zero);
    }
}

enum { LANES = 8 };

static scale scale_of_all(const float *x, size_t n) {
    float low[LANES] = {0}, high[LANES] = {0};
    size_t i;
    int k;
    for (i = 0; i + LANES <= n; i += LANES)
        for (k = 0; k < LANES; k++) {
            low[k] = x[i + (size_t)k] < low[k] ? x[i + (size_t)k] : low[k];
            high[k] = x[i + (size_t)k] > high[k] ? x[i + (size_t)k] : high[k];
        }
    for (; i < n; i++) low[0] = x[i] < low[0] ? x[i] : low[0], high[0] = x[i] > high[0] ? x[i] : high[0];
    for (k = 1; k < LANES; k++) {
        low[0] = low[k] < low[0] ? low[k] : low[0];
        high[0] = high[k] > high[0] ? high[k] : high[0];
    }
    return scale_of(low[0], high[0]);
}

#ifdef __AVX2__
/* int8 weights [inputs, outputs] as AVX2 multiplies them: for each BLOCK of outputs the sums of their columns, int32, and
 * then four inputs at a time: [inputs / 4, BLOCK, 4]. Zeros fill up. → where they end */
static unsigned char *pack(const signed char *w, int32_t inputs, int32_t outputs, unsigned char *out) {
    int32_t first, j, k;
    memset(out, 0, packed_size(inputs, outputs));
    for (first = 0; first < outputs; first += BLOCK) {
        int32_t sums[BLOCK] = {0}, n = outputs - first < BLOCK ? outputs - first : BLOCK;
        unsigned char *fours = out + sizeof sums;
        for (k = 0; k < inputs; k++)
            for (j = 0; j < n; j++) {
                signed char weight = w[(size_t)k * (size_t)outputs + (size_t)(first + j)];
                fours[(k / 4 * BLOCK + j) * 4 + k % 4] = (unsigned char)weight;
                sums[j] += weight;
            }
        memcpy(out, sums, sizeof sums);
        out = fours + (inputs + 3) / 4 * 4 * BLOCK;
    }
    return out;
}

/* sums[j] = sum of (q[k] - zero) · w[k][j] over a BLOCK of packed outputs. Two products of 255 and 64 fit in 16 bits. */
static void multiply_packed(const unsigned char *packed, const unsigned char *q, int32_t inputs, int32_t zero, int32_t *sums) {
    const __m256i *w = (const __m256i *)(const void *)packed;
    __m256i total[BLOCK / 8];
    int32_t i, k, four;
    for (i = 0; i < BLOCK / 8; i++) total[i] = _mm256_mullo_epi32(_mm256_loadu_si256(w++), _mm256_set1_epi32(-zero));
    for (k = 0; k < inputs; k += 4, w += BLOCK / 8) {
        __m256i x;
        memcpy(&four, q + k, 4);
        x = _mm256_set1_epi32(four);
        for (i = 0; i < BLOCK / 8; i++) {
#if defined __AVX512VNNI__ && defined __AVX512VL__
            total[i] = _mm256_dpbusd_epi32(total[i], x, _mm256_loadu_si256(w + i));
#else
            __m256i pairs = _mm256_maddubs_epi16(x, _mm256_loadu_si256(w + i));
            total[i] = _mm256_add_epi32(total[i], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
        }
    }
    for (i = 0; i < BLOCK / 8; i++) _mm256_storeu_si256((__m256i *)(void *)sums + i, total[i]);
}
#endif

/* A BLOCK of sums of x[k] · w[k][j], or n of them. Compilers make SIMD of it: so many products are added in 16 bits as
 * are known to fit there. */
static void multiply_plain(const signed char *row, const int16_t *x, int32_t inputs, int32_t outputs, int32_t n, int group,
                           int32_t *restrict sums) {
    int32_t j, k = 0;
    memset(sums, 0, sizeof *sums * BLOCK);
    if (group == GROUP && n == BLOCK)
        for (; k + GROUP <= inputs; k += GROUP, row += GROUP * outputs) {
            const signed char *b = row + outputs, *c = b + outputs, *d = c + outputs, *e = d + outputs, *f = e + outputs,
                              *g = f + outputs, *h = g + outputs;
            const int16_t *p = x + k;
            for (j = 0; j < BLOCK; j++)
                sums[j] += (int16_t)(p[0] * row[j] + p[1] * b[j] + p[2] * c[j] + p[3] * d[j] + p[4] * e[j] + p[5] * f[j] +
                                     p[6] * g[j] + p[7] * h[j]);
        }
    if (group >= 2 && n == BLOCK)
        for (; k + 2 <= inputs; k += 2, row += 2 * outputs) {
            const signed char *next = row + outputs;
            int16_t a = x[k], b = x[k + 1];
            for (j = 0; j < BLOCK; j++) sums[j] += (int16_t)(a * row[j] + b * next[j]);
        }
    for (; k < inputs; k++, row += outputs)
        for (j = 0; j < n; j++) sums[j] += x[k] * row[j];
}

/* Activations are within ±128 where their zero is in the middle, and within ±255 always: then two products fit. */
static int group_with(const edge_lstm *m, scale s) {
    return m->group > 2 && !(s.zero >= 127.0f && s.zero <= 128.0f) ? 2 : m->group;
}

/* out[j] (+)= scales · sum of x[k] · w[k][j]. The sums are of integers: exact, in any order. packed: w, where AVX2 is. */
static void multiply_int8(edge_lstm *m, const unsigned char *w, const unsigned char *packed, const int16_t *x,
                          int32_t inputs, scale s, float weight_scale, int add) {
    int32_t outputs = 4 * m->hidden, first, j, sums[BLOCK];
    int group = group_with(m, s);
    float *gates = m->gates, by = s.step * weight_scale;
#ifdef __AVX2__
    for (j = 0; j < inputs; j++) m->bytes[j] = (unsigned char)(x[j] + (int)s.zero);
#endif
    for (first = 0; first < outputs; first += BLOCK) {
        int32_t n = outputs - first < BLOCK ? outputs - first : BLOCK;
#ifdef __AVX2__
        if (group > 1) multiply_packed(packed + packed_size(inputs, first), m->bytes, inputs, (int32_t)s.zero, sums);
        else
#endif
            multiply_plain((const signed char *)w + first, x, inputs, outputs, n, group, sums);
        if (add)
            for (j = 0; j < n; j++) gates[first + j] += (float)sums[j] * by;
        else
            for (j = 0; j < n; j++) gates[first + j] = (float)sums[j] * by;
    }
    (void)packed;
}

/* out[j] (+)= sum of x[k] · w[j][k]; w: float32 in the file. */
static void multiply_float(edge_lstm *m, const unsigned char *w, const float *x, int32_t inputs, int add) {
    int32_t outputs = 4 * m->hidden, j, k, i;
    for (j = 0; j < outputs; j++, w += 4 * (size_t)inputs) {
        float lanes[LANES] = {0}, sum = 0;
        for (k = 0; k + LANES <= inputs; k += LANES)
            for (i = 0; i < LANES; i++) lanes[i] += x[k + i] * number(w, (size_t)(k + i));
        for (; k < inputs; k++) sum += x[k] * number(w, (size_t)k);
        for (i = 0; i < LANES; i++) sum += lanes[i];
        m->gates[j] = add ? m->gates[j] + sum : sum;
    }
}

/* One direction over the text; its outputs go where the head reads them. */
static void run_lstm(edge_lstm *m, int32_t d) {
    int32_t hidden = m->hidden, gates = 4 * hidden, inputs = m->embedding_dim, steps = (int32_t)m->count, i, j, k;
    size_t weight = m->int8 ? 1 : 4, packed_w = packed_size(inputs, gates), packed_r = packed_size(hidden, gates);
    const unsigned char *w = m->w + weight * (size_t)(d * inputs) * (size_t)gates;
    const unsigned char *r = m->r + weight * (size_t)(d * hidden) * (size_t)gates;
    const unsigned char *b = m->b + 4 * (size_t)(d * 2 * gates);
    const unsigned char *packed = m->int8 ? m->packed + (size_t)d * (packed_w + packed_r) : NULL;
    const signed char *table = (const signed char *)m->embedding, *row;
    float *h = m->h, *c = m->c, *g = m->gates, *sum = m->pooled + d * hidden, *most = sum + m->directions * hidden;
    int16_t *rounded = m->quantized, *q = m->quantized + 256; /* the embedding's values; a step's input */
    scale s = {1, 0}, own;
    memset(h, 0, sizeof *h * (size_t)hidden);
    memset(c, 0, sizeof *c * (size_t)hidden);
    memset(sum, 0, sizeof *sum * (size_t)hidden);
    if (!m->last) memset(most, 0, sizeof *most * (size_t)hidden);
    if (m->int8) {
        int low = 0, high = 0;
        float by = number(m->embedding_scale, 0);
        for (i = 0; i < steps; i++)
            for (row = table + (size_t)m->id[i] * (size_t)inputs, k = 0; k < inputs; k++)
                low = row[k] < low ? row[k] : low, high = row[k] > high ? row[k] : high;
        s = scale_of((float)low * by, (float)high * by);
        for (k = 0; k < 256; k++) {
            float value = (float)(k - 128) * by;
            quantize(&value, rounded + k, 1, s);
        }
    }
    for (i = 0; i < steps; i++) {
        size_t at = (size_t)m->id[d ? steps - 1 - i : i] * (size_t)inputs;
        if (m->int8) {
            for (row = table + at, k = 0; k < inputs; k++) q[k] = rounded[row[k] + 128];
            multiply_int8(m, w, packed, q, inputs, s, number(m->w_scale, (size_t)d), 0);
            own = scale_of_all(h, (size_t)hidden);
            quantize(h, q, hidden, own);
            multiply_int8(m, r, packed + packed_w, q, hidden, own, number(m->r_scale, (size_t)d), 1);
        } else {
            memcpy(m->x, m->embedding + 4 * at, 4 * (size_t)inputs);
            multiply_float(m, w, m->x, inputs, 0);
            multiply_float(m, r, h, hidden, 1);
        }
        for (j = 0; j < gates; j++) g[j] += number(b, (size_t)j) + number(b, (size_t)(gates + j));
        sigmoid(g, 3 * hidden); /* input, output, forget; then the cell */
        hyperbolic_tangent(g + 3 * hidden, hidden);
        for (j = 0; j < hidden; j++) {
            float kept = g[2 * hidden + j] * c[j], fresh = g[j] * g[3 * hidden + j];
            h[j] = c[j] = kept + fresh;
        }
        hyperbolic_tangent(h, hidden);
        for (j = 0; j < hidden; j++) h[j] *= g[hidden + j];
        if (m->last) continue;
        for (j = 0; j < hidden; j++) sum[j] += h[j];
        for (j = 0; j < hidden; j++) most[j] = h[j] > most[j] ? h[j] : most[j]; /* of the outputs and 0 */
    }
    if (m->last) memcpy(sum, h, sizeof *h * (size_t)hidden);
    else
        for (j = 0; j < hidden; j++) sum[j] /= (float)steps;
}

/* The vectors of the n-grams that the text holds, each once, added up, over the square root of its length. */
static void add_ngrams(edge_lstm *m, float *out) {
    int32_t t, j, k, width = m->ngram_dim;
    float root = sqrtf((float)m->count);
    memset(m->held, 0, (size_t)m->ngrams / 8 + 1);
    memset(m->sums, 0, sizeof *m->sums * (size_t)width);
    memset(out, 0, sizeof *out * (size_t)width);
    for (t = 0; t < (int32_t)m->count; t++)
        for (k = t ? 0 : 1; k < 2; k++) { /* the pair that ends here, the id alone */
            uint32_t row = k ? *find_gram(m, m->id[t], -1) : *find_gram(m, m->id[t - 1], m->id[t]);
            if (!row-- || (m->held[row / 8] >> (row & 7) & 1)) continue;
            m->held[row / 8] |= (unsigned char)(1 << (row & 7));
            for (j = 0; j < width; j++) {
                size_t i = (size_t)row * (size_t)width + (size_t)j;
                if (m->int8) m->sums[j] += ((const signed char *)m->vectors)[i];
                else out[j] += number(m->vectors, i);
            }
        }
    for (j = 0; j < width; j++)
        out[j] = (m->int8 ? (float)m->sums[j] * number(m->vector_scales, (size_t)j) : out[j]) / root;
}

static float head_weight(const edge_lstm *m, size_t row, size_t i) {
    return m->head_scales ? (float)((const signed char *)m->head_weight)[i] * number(m->head_scales, row) : number(m->head_weight, i);
}

static void run(edge_lstm *m, float *probabilities) {
    int32_t d, l, j, pooled = pooled_values(m);
    for (d = 0; d < m->directions; d++) run_lstm(m, d);
    if (m->ngrams) add_ngrams(m, m->pooled + pooled);
    for (l = 0; l < m->logits; l++) {
        float sum = 0;
        for (j = 0; j < pooled + m->ngram_dim; j++)
            sum += m->pooled[j] * head_weight(m, (size_t)j, (size_t)j * (size_t)m->logits + (size_t)l);
        m->answer[l] = sum + number(m->head_bias, (size_t)l);
    }
    if (m->several) {
        memcpy(probabilities, m->answer, sizeof *probabilities * (size_t)m->logits);
        sigmoid(probabilities, m->logits);
    } else if (m->logits == 1) {
        sigmoid(m->answer, 1);
        probabilities[1] = m->answer[0];
        probabilities[0] = 1.0f - m->answer[0];
    } else {
        float most = m->answer[0], total = 0;
        for (l = 1; l < m->logits; l++) most = m->answer[l] > most ? m->answer[l] : most;
        for (l = 0; l < m->logits; l++) total += m->answer[l] = expf(m->answer[l] - most);
        for (l = 0; l < m->logits; l++) probabilities[l] = m->answer[l] / total;
    }
}

/* --- The calls of edge_lstm.h --------------------------------------------------------------------------------- */

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
enum { DIGEST_COUNTS = 0 }; /* so that a fuzzer reaches what is behind it */
#else
enum { DIGEST_COUNTS = 1 };
#endif

static const char *examine(edge_lstm *m, const void *file, size_t size, int digest_counts) {
    static const uint16_t one = 1;
    slice bytes;
    if (!*(const unsigned char *)&one || sizeof(float) != 4) return "a machine of this byte order is not supported";
    if (!file || !size) return NOT_A_MODEL;
    bytes.at = file, bytes.end = bytes.at + size;
    return parse(m, bytes, digest_counts);
}

size_t edge_lstm_needs(const void *file, size_t size, const char **error) {
    edge_lstm m;
    *error = examine(&m, file, size, 0);
    return *error ? 0 : lay_out(&m, NULL) + 15;
}

/* How many products with activations up to ±128 can be added in 16 bits, whatever these are. */
static int group_of(const unsigned char *weights, int32_t directions, int32_t inputs, int32_t outputs) {
    int group = GROUP;
    int32_t d, j, k, i;
    for (d = 0; d < directions; d++, weights += (size_t)inputs * (size_t)outputs)
        for (k = 0; k < inputs; k += GROUP)
            for (j = 0; j < outputs; j++) {
                int sum = 0, most = 0;
                for (i = k; i < k + GROUP && i < inputs; i++) {
                    int weight = ((const signed char *)weights)[(size_t)i * (size_t)outputs + (size_t)j];
                    if (weight < 0) weight = -weight;
                    sum += weight;
                    if (weight > most) most = weight;
                }
                if (most > 64) return 1;
                if (sum > 255) group = 2;
            }
    return group;
}

edge_lstm *edge_lstm_open(const void *file, size_t size, void *arena, size_t arena_size, const char **error) {
    edge_lstm m, *model;
    unsigned char *base = arena;
    size_t skip = (size_t)(-(uintptr_t)arena & 15);
    int32_t inputs, hidden, gates;
    *error = examine(&m, file, size, DIGEST_COUNTS);
    if (*error) return NULL;
    if (!arena || arena_size < skip || arena_size - skip < lay_out(&m, NULL)) {
        *error = "the arena is too small; edge_lstm_needs says how large it must be";
        return NULL;
    }
    model = (edge_lstm *)(void *)(base + skip);
    *model = m;
    lay_out(model, base + skip);
    inputs = model->embedding_dim, hidden = model->hidden, gates = 4 * hidden;
    if (model->int8) {
        int w = group_of(model->w, model->directions, inputs, gates), r = group_of(model->r, model->directions, hidden, gates);
#ifdef __AVX2__
        unsigned char *packed = model->packed;
        int32_t d;
        for (d = 0; d < model->directions; d++) {
            packed = pack((const signed char *)model->w + (size_t)(d * inputs) * (size_t)gates, inputs, gates, packed);
            packed = pack((const signed char *)model->r + (size_t)(d * hidden) * (size_t)gates, hidden, gates, packed);
        }
#endif
        model->group = w < r ? w : r;
    }
    if (m.specials) read_rule(model);
    index_words(model);
    index_grams(model);
    read_labels(model);
    return model;
}

size_t edge_lstm_labels(const edge_lstm *model) { return (size_t)model->labels; }

const char *edge_lstm_label(const edge_lstm *model, size_t i) {
    return i < (size_t)model->labels ? model->names[i] : "";
}

double edge_lstm_threshold(const edge_lstm *model, size_t i) {
    return model->several && i < (size_t)model->labels ? model->thresholds[i] : 0;
}

const char *edge_lstm_status_name(edge_lstm_status status) {
    static const char *const names[] = {"ok", "empty", "unknown_words", "truncated"};
    return names[status];
}

edge_lstm_status edge_lstm_encode(edge_lstm *model, const char *text, size_t size, const int32_t **ids, size_t *count) {
    edge_lstm_status status = encode(model, plain(text, size));
    *ids = model->id, *count = model->count;
    return status;
}

int edge_lstm_run(edge_lstm *model, const int32_t *ids, size_t count, float *probabilities) {
    size_t i;
    if (!count || count > (size_t)model->length) return 0;
    for (i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] > model->ids) return 0;
    if (ids != model->id) memmove(model->id, ids, count * sizeof *ids);
    model->count = count;
    run(model, probabilities);
    return 1;
}

edge_lstm_status edge_lstm_predict(edge_lstm *model, const char *text, size_t size, float *probabilities) {
    edge_lstm_status status = encode(model, plain(text, size));
    run(model, probabilities);
    return status;
}

size_t edge_lstm_check(edge_lstm *model, size_t *rows, float *worst) {
    slice all = model->metadata[GOLDEN], row, text, ids, values, value;
    size_t count = 0, wrong = 0, i;
    float largest = 0;
    if (all.at && json_enter(&all, '['))
        for (; json_next(&all, &row); count++) {
            int right = json_get(row, "text", &text) && json_get(row, "ids", &ids) && json_enter(&ids, '[') &&
                        json_get(row, "probabilities", &values) && json_enter(&values, '['), valid;
            if (right) {
                encode(model, json_string(text));
                for (i = 0; i < model->count && right; i++)
                    right = json_next(&ids, &value) && json_number(value, &valid) == model->id[i] && valid;
                right &= !json_next(&ids, &value);
                run(model, model->answer);
                for (i = 0; i < (size_t)model->labels && json_next(&values, &value); i++) {
                    float apart = (float)fabs(json_number(value, &valid) - (double)model->answer[i]);
                    if (!valid || !(apart <= 1e-3f)) right = 0;
                    if (apart > largest) largest = apart;
                }
                right &= i == (size_t)model->labels;
            }
            wrong += !right;
        }
    if (rows) *rows = count;
    if (worst) *worst = largest;
    return wrong;
}
