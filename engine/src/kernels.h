/* The kernels: the step of an LSTM in the operations of each instruction set.
 *
 * lstm_step.h has the step once, in vectors of LANES floats or integers. Here each kernel names its
 * operations and includes it. The step needs
 *
 *     KERNEL              the first part of its functions' names
 *     TARGET              FOR_TARGET of its instructions, or nothing
 *     VECTOR_OF(t, name)  declares a vector of LANES values of the type t
 *     CONVERT(v, t)       each value of v as the type of the vector t
 *     MIN(a, b), MAX(a, b)  of floats; b if a is not a number
 *     FMA(a, b, c)        a * b + c, rounded once
 *     DOT(sum, w, x)      sum + the dot product of the four bytes, or two shorts, in each lane
 *
 * Every operation is exact or rounds as plain C does, so all kernels give the same bits. */
#ifndef EDGE_LSTM_KERNELS_H
#define EDGE_LSTM_KERNELS_H

#include "arithmetic.h"
#include "compiler.h"
#include "model.h"
#include "packing.h"

#define JOIN(a, b) a##_##b
#define JOINED(a, b) JOIN(a, b)
#define NAME(name) JOINED(KERNEL, name)

/* Declares a kernel: its name; the lanes of its vectors, one for a unit; the number of blocks of
 * one text, and of texts, that it multiplies at a time; its type of inputs; and the largest
 * |weight| whose products it adds exactly. */
#define DECLARE_KERNEL(name, lanes_, blocks, texts, input_type_, max_weight)             \
    enum {                                                                               \
        NAME(lanes) = lanes_,                                                            \
        NAME(blocks_at_once) = blocks,                                                   \
        NAME(texts_at_once) = texts,                                                     \
        NAME(input_type) = input_type_                                                   \
    };                                                                                   \
    static void NAME(step)(const edge_lstm *m, const lstm_layer *layer, int direction,   \
                           lstm_state *const *states, int count);                        \
    ALWAYS_INLINE void NAME(round_h)(const edge_lstm *m, const lstm_layer *layer,        \
                                     lstm_state *s);                                     \
    static const kernel NAME(kernel) = {name,       lanes_,     input_type_,             \
                                        max_weight, NAME(step), NAME(round_h)};

/* Plain C: one unit at a time. */
#define KERNEL plain
#define TARGET
#define VECTOR_OF(type, name) typedef type name
#define CONVERT(v, type) ((type)(v))
DECLARE_KERNEL("plain", 1, 1, 1, INPUTS_U8, 128)
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#ifdef __FP_FAST_FMAF
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define FMA(a, b, c) multiply_add(a, b, c)
#endif
#if defined __ARM_FEATURE_DSP && defined __ARM_FEATURE_SIMD32
/* ARMv7 and Cortex-M4: two products at a time, of the even bytes and of the odd ones. */
#include <arm_acle.h>
#define DOT_EVEN(sum, w, x) \
    __smlad(__sxtb16((int8x4_t)(w)), (int16x2_t)__uxtb16((uint8x4_t)(x)), sum)
#define DOT_ODD(sum, w, x) DOT_EVEN(sum, rotr32((uint32_t)(w), 8), rotr32((uint32_t)(x), 8))
#define DOT(sum, w, x) DOT_ODD(DOT_EVEN(sum, w, x), w, x)
#else
#define SIGNED_BYTE(w, bit) ((signed char)((uint32_t)(w) >> (bit) & 255))
#define UNSIGNED_BYTE(x, bit) ((int32_t)((uint32_t)(x) >> (bit) & 255))
#define PRODUCT(w, x, bit) (SIGNED_BYTE(w, bit) * UNSIGNED_BYTE(x, bit))
#define DOT(sum, w, x) \
    ((sum) + PRODUCT(w, x, 0) + PRODUCT(w, x, 8) + PRODUCT(w, x, 16) + PRODUCT(w, x, 24))
#endif
#include "lstm_step.h"
#undef MIN
#undef MAX
#undef FMA
#undef VECTOR_OF
#undef CONVERT

/* The others use the vectors of GCC and clang. */
#define VECTOR_OF(type, name) typedef type name __attribute__((vector_size(LANES * sizeof(type))))
#define CONVERT(v, type) __builtin_convertvector(v, type)

#if defined __GNUC__ && defined __SSE2__
#define HAS_X86_KERNELS
#include <cpuid.h>
#include <immintrin.h>
#elif defined __wasm_simd128__
#include <wasm_simd128.h>
#endif

#if defined HAS_X86_KERNELS || defined __wasm_simd128__
/* multiply_add in four lanes, for machines without a fused one. If a double lies in the middle of
 * two floats, each lane alone. */
typedef float four_floats __attribute__((vector_size(16)));
typedef int32_t four_ints __attribute__((vector_size(16)));
typedef int64_t four_longs __attribute__((vector_size(32)));
typedef double four_doubles __attribute__((vector_size(32)));

/* FOUR_TO_FLOATS: four doubles as floats. IS_ANY_SET: whether a lane has a bit that is set. */
#ifdef HAS_X86_KERNELS
#define FOUR_TO_FLOATS(d) CONVERT(d, four_floats)
#define IS_ANY_SET(v) _mm_movemask_epi8((__m128i)(v))
#else /* clang's conversion is slow */
#define HALF(d, i) \
    wasm_f32x4_demote_f64x2_zero((v128_t)__builtin_shufflevector(d, d, 2 * i, 2 * i + 1))
#define FOUR_TO_FLOATS(d) ((four_floats)wasm_i64x2_shuffle(HALF(d, 0), HALF(d, 1), 0, 2))
#define IS_ANY_SET(v) wasm_v128_any_true((v128_t)(v))
#endif

ALWAYS_INLINE four_floats fma_in_double(four_floats a, four_floats b, four_floats c) {
    four_doubles product = CONVERT(a, four_doubles) * CONVERT(b, four_doubles);
    four_doubles sum = product + CONVERT(c, four_doubles);
    four_floats rounded = FOUR_TO_FLOATS(sum);
    four_ints low_bits = CONVERT((four_longs)sum, four_ints);
    if (IS_ANY_SET(IS_MIDDLE(low_bits))) {
        for (int i = 0; i < 4; i++)
            rounded[i] = multiply_add(a[i], b[i], c[i]);
    }
    return rounded;
}
#endif

#ifdef HAS_X86_KERNELS
/* The intrinsics of 4, 8 and 16 floats differ in their first part, X86_VECTOR. */
#define MIN JOINED(X86_VECTOR, min_ps)
#define MAX JOINED(X86_VECTOR, max_ps)

/* SSE2: products of 16 bits. */
#define KERNEL sse2
#define TARGET
#define X86_VECTOR _mm
DECLARE_KERNEL("sse2", 4, 2, 2, INPUTS_S16, 128)
#define FMA(a, b, c) fma_in_double(a, b, c)
#define DOT(sum, w, x) ((sum) + (ints)_mm_madd_epi16((__m128i)(w), (__m128i)(x)))
#include "lstm_step.h"
#undef X86_VECTOR
#undef FMA

/* The others have fused multiply-adds. */
#define FMA JOINED(X86_VECTOR, fmadd_ps)

/* AVX2: the sum of two products of 255 and 64 fits in 16 bits. */
#define KERNEL avx2
#define TARGET FOR_TARGET("avx2,fma")
#define X86_VECTOR _mm256
DECLARE_KERNEL("avx2", 8, 2, 2, INPUTS_U8, 64)
#define PAIRS(w, x) _mm256_maddubs_epi16((__m256i)(x), (__m256i)(w))
#define DOT(sum, w, x) ((sum) + (ints)_mm256_madd_epi16(PAIRS(w, x), _mm256_set1_epi16(1)))
#include "lstm_step.h"

/* AVX-VNNI: dot products of four bytes. */
#if (defined __clang__ && __clang_major__ >= 12) || (!defined __clang__ && __GNUC__ >= 11)
#define HAS_AVX_VNNI_KERNEL
#define KERNEL avx_vnni
#define TARGET FOR_TARGET("avx2,fma,avxvnni")
DECLARE_KERNEL("avx-vnni", 8, 2, 2, INPUTS_U8, 128)
#define DOT(sum, w, x) ((ints)_mm256_dpbusd_avx_epi32((__m256i)(sum), (__m256i)(x), (__m256i)(w)))
#include "lstm_step.h"
#endif
#undef X86_VECTOR

/* AVX-512 with VNNI. */
#define KERNEL avx512_vnni
#define TARGET FOR_TARGET("avx2,fma,avx512f,avx512bw,avx512vl,avx512vnni")
#define X86_VECTOR _mm512
DECLARE_KERNEL("avx512-vnni", 16, 3, 4, INPUTS_U8, 128)
#define DOT(sum, w, x) ((ints)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(x), (__m512i)(w)))
#include "lstm_step.h"

/* Bits of CPUID and of the register XCR0, which XGETBV reads. */
#define CPUID_1_ECX_FMA (1u << 12)
#define CPUID_1_ECX_OSXSAVE (1u << 27) /* XGETBV is there */
#define CPUID_7_EBX_AVX2 (1u << 5)
#define CPUID_7_EBX_AVX512F (1u << 16)
#define CPUID_7_EBX_AVX512BW (1u << 30)
#define CPUID_7_EBX_AVX512VL (1u << 31)
#define CPUID_7_ECX_AVX512_VNNI (1u << 11)
#define CPUID_7_1_EAX_AVX_VNNI (1u << 4)
#define XCR0_AVX 0x06u     /* the system saves XMM and YMM */
#define XCR0_AVX_512 0xE6u /* and the masks and ZMM too */

typedef struct {
    uint32_t xcr0;
    uint32_t cpuid_7_ebx;
    uint32_t cpuid_7_ecx;
    uint32_t cpuid_7_1_eax;
} x86_features;

/* Return this machine's bits; all are 0 if it has no FMA. */
static x86_features find_x86_features(void) {
    const uint32_t needed = CPUID_1_ECX_FMA | CPUID_1_ECX_OSXSAVE;
    const x86_features none = {0, 0, 0, 0};
    x86_features found = none;
    uint32_t eax, ebx, ecx, edx, subleaves;
    if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || (ecx & needed) != needed)
        return none;
    __asm__ volatile("xgetbv" : "=a"(found.xcr0), "=d"(edx) : "c"(0));
    if (!__get_cpuid_count(7, 0, &subleaves, &ebx, &ecx, &edx))
        return none;
    found.cpuid_7_ebx = ebx;
    found.cpuid_7_ecx = ecx;
    if (subleaves > 0 && __get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx))
        found.cpuid_7_1_eax = eax;
    return found;
}

static int has_bits(uint32_t value, uint32_t bits) {
    return (value & bits) == bits;
}

static int has_avx2(const x86_features *f) {
    return has_bits(f->xcr0, XCR0_AVX) && has_bits(f->cpuid_7_ebx, CPUID_7_EBX_AVX2);
}

#ifdef HAS_AVX_VNNI_KERNEL
static int has_avx_vnni(const x86_features *f) {
    return has_avx2(f) && has_bits(f->cpuid_7_1_eax, CPUID_7_1_EAX_AVX_VNNI);
}
#endif

static int has_avx512_vnni(const x86_features *f) {
    const uint32_t ebx = CPUID_7_EBX_AVX512F | CPUID_7_EBX_AVX512BW | CPUID_7_EBX_AVX512VL;
    return has_avx2(f) && has_bits(f->xcr0, XCR0_AVX_512) && has_bits(f->cpuid_7_ebx, ebx) &&
           has_bits(f->cpuid_7_ecx, CPUID_7_ECX_AVX512_VNNI);
}
#endif

#ifdef __aarch64__
#include <arm_neon.h>

/* NEON: pairs of products fit in 16 bits. */
#define KERNEL neon
#define TARGET
DECLARE_KERNEL("neon", 4, 4, 4, INPUTS_S8, 127)
#define MIN vminnmq_f32
#define MAX vmaxnmq_f32
#define FMA(a, b, c) vfmaq_f32(c, a, b)
ALWAYS_INLINE int32x4_t neon_dot_product(int32x4_t sum, int8x16_t w, int8x16_t x) {
    int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
    int16x8_t high = vmull_high_s8(w, x);
    return vpadalq_s16(sum, vpaddq_s16(low, high));
}
#define DOT(sum, w, x) neon_dot_product(sum, (int8x16_t)(w), (int8x16_t)(x))
#include "lstm_step.h"

/* NEON with dot products of four bytes. */
#if defined __ARM_FEATURE_DOTPROD || !defined __clang__ || __clang_major__ >= 16
#define KERNEL neon_dot
#define TARGET FOR_TARGET("arch=armv8.2-a+dotprod")
DECLARE_KERNEL("neon-dot", 4, 4, 4, INPUTS_S8, 128)
#define DOT(sum, w, x) vdotq_s32(sum, (int8x16_t)(w), (int8x16_t)(x))
#include "lstm_step.h"
#ifdef __linux__
#include <sys/auxv.h>
#define AUXV_HWCAP 16
#define HWCAP_DOT_PRODUCTS (1u << 20)
#define HAS_DOT_PRODUCTS ((getauxval(AUXV_HWCAP) & HWCAP_DOT_PRODUCTS) != 0)
#elif defined __ARM_FEATURE_DOTPROD || defined __APPLE__
#define HAS_DOT_PRODUCTS 1
#endif
#endif
#endif

#ifdef __wasm_simd128__
/* WebAssembly: as SSE2. */
#define KERNEL wasm
#define TARGET
DECLARE_KERNEL("wasm-simd", 4, 2, 2, INPUTS_S16, 128)
#define MIN(a, b) ((floats)wasm_f32x4_pmin((v128_t)(b), (v128_t)(a)))
#define MAX(a, b) ((floats)wasm_f32x4_pmax((v128_t)(b), (v128_t)(a)))
#define FMA(a, b, c) fma_in_double(a, b, c)
#define DOT(sum, w, x) ((sum) + (ints)wasm_i32x4_dot_i16x8((v128_t)(w), (v128_t)(x)))
#include "lstm_step.h"
#endif

enum { MAX_KERNELS = 5 }; /* that one machine runs */

/* Put a kernel behind a list, if this machine runs it. Return how many the list has. */
static size_t add_kernel(const kernel **list, size_t count, const kernel *added, int runs_here) {
    if (!runs_here)
        return count;
    list[count] = added;
    return count + 1;
}

/* List the kernels that this machine runs, the best first. Return how many. */
static size_t list_kernels(const kernel **list) {
    size_t count = 0;
#ifdef HAS_X86_KERNELS
    x86_features features = find_x86_features();
    count = add_kernel(list, count, &avx512_vnni_kernel, has_avx512_vnni(&features));
#ifdef HAS_AVX_VNNI_KERNEL
    count = add_kernel(list, count, &avx_vnni_kernel, has_avx_vnni(&features));
#endif
    count = add_kernel(list, count, &avx2_kernel, has_avx2(&features));
    count = add_kernel(list, count, &sse2_kernel, 1);
#endif
#ifdef HAS_DOT_PRODUCTS
    count = add_kernel(list, count, &neon_dot_kernel, HAS_DOT_PRODUCTS);
#endif
#ifdef __aarch64__
    count = add_kernel(list, count, &neon_kernel, 1);
#endif
#ifdef __wasm_simd128__
    return add_kernel(list, count, &wasm_kernel, 1); /* a module without SIMD is another build */
#else
    return add_kernel(list, count, &plain_kernel, 1);
#endif
}

/* Return the best kernel that runs here and takes weights up to this one, or NULL.
 * name: the only one to choose from, or NULL for all. */
static const kernel *find_kernel(const char *name, int32_t max_abs_weight) {
    const kernel *list[MAX_KERNELS];
    size_t count = list_kernels(list);
    for (size_t i = 0; i < count; i++) {
        int is_meant = !name || strcmp(name, list[i]->name) == 0;
        if (is_meant && list[i]->max_abs_weight >= max_abs_weight)
            return list[i];
    }
    return NULL;
}

#endif
