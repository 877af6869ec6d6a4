/* The engine with its AVX-VNNI kernel on a machine that has AVX-512's VNNI instead: the same products, another encoding. */
#include <immintrin.h>

static inline __attribute__((always_inline)) __m256i evex_dot(__m256i sum, __m256i x, __m256i w) {
    __asm__("%{evex%} vpdpbusd %2, %1, %0" : "+x"(sum) : "x"(x), "x"(w));
    return sum;
}

#define __builtin_cpu_supports(feature) (feature[3] == 'v' || __builtin_cpu_supports(feature)) /* "avxvnni" */
#define _mm256_dpbusd_avx_epi32 evex_dot
#include "edge_lstm.c"
