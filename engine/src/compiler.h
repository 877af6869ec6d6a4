/* Refuses machines that the engine is not for, keeps compilers from changing the arithmetic, and
 * tells them what to inline and unroll. */
#ifndef EDGE_LSTM_COMPILER_H
#define EDGE_LSTM_COMPILER_H

#include <float.h>
#include <limits.h>

#if INT_MAX < 2147483647 || DBL_MANT_DIG < 53
#error "edge-lstm needs an int of 32 bits and a double of 64, which an AVR, say, does not have"
#endif

/* Other compilers find it out when a model is opened. */
#if defined __BYTE_ORDER__ && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "edge-lstm reads little-endian numbers in place; this processor is big-endian"
#endif

/* The answer depends on where rounding happens. */
#if defined __FAST_MATH__ || FLT_EVAL_METHOD == 1 || FLT_EVAL_METHOD == 2
#error "compile without -ffast-math, and for SSE rather than x87 (-msse2 -mfpmath=sse)"
#endif

/* Keep a * b + c from becoming one fused operation. GCC's -std=c99 does so by itself. */
#ifdef __clang__
#pragma STDC FP_CONTRACT OFF
#elif defined __GNUC__ && !defined __STRICT_ANSI__
#pragma GCC optimize("-ffp-contract=off")
#elif defined _MSC_VER
#pragma fp_contract(off)
#endif

/* ALWAYS_INLINE: a function of a kernel, or a small one of a loop that runs often. The WebAssembly
 * build inlines no others.
 * UNROLL: the loop behind it has few steps, and its variables belong in registers.
 * FOR_TARGET: the function uses these instruction sets. clang defines __GNUC__ too. */
#ifdef __GNUC__
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#define FOR_TARGET(names) __attribute__((target(names)))
#ifdef __clang__
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif
#else
#define ALWAYS_INLINE static inline
#define UNROLL
#endif

#endif
