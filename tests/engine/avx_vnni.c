/* The engine with its AVX-VNNI kernel on a machine that has AVX-512's VNNI instead: the same products, another encoding. */
#include <cpuid.h>
#include <immintrin.h>

static int with_avx_vnni(unsigned leaf, unsigned part, unsigned *a, unsigned *b, unsigned *c, unsigned *d) {
    int there = __get_cpuid_count(leaf, part, a, b, c, d);
    if (leaf == 7 && part == 0 && !*a) *a = 1;
    if (leaf == 7 && part == 1) *a |= 1u << 4;
    return there;
}

static inline __attribute__((always_inline)) __m256i evex_dot(__m256i sum, __m256i x, __m256i w) {
    __asm__("%{evex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w));
    return sum;
}

#define __get_cpuid_count with_avx_vnni
#define _mm256_dpbusd_avx_epi32 evex_dot
#include "edge_lstm.c"
