/* The plain C interface to what measures a machine's limits, called from meter.py through ctypes.
 *
 * Every function does its work once, on all threads of the meter, and returns; the caller holds the
 * clock and checks its arguments. Those that return int give 0 when memory cannot be had. */
#ifndef EPOCHMARK_NATIVE_METER_H
#define EPOCHMARK_NATIVE_METER_H

#include "api.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct em_meter em_meter;

/* Names separated by commas, best first, "" for none; a static string. */
EM_EXPORT const char* em_bfloat16_instruction_sets(void);

/* As em_create. */
EM_EXPORT em_meter* em_meter_create(const char* instruction_set, int threads, char* error,
                                    size_t error_size);
EM_EXPORT void em_meter_destroy(em_meter* meter);

/* Independent multiply-adds in registers; returns the floating-point operations of all threads. */
EM_EXPORT double em_meter_multiply_adds(em_meter* meter, int64_t rounds);
/* The same in bfloat16; `which` counts the names above. */
EM_EXPORT double em_meter_bfloat16(em_meter* meter, int which, int64_t rounds);

/* Rows of the square matrices that em_meter_product takes. */
EM_EXPORT int em_product_size(void);
/* c = a b, row-major. */
EM_EXPORT int em_meter_product(em_meter* meter, const float* a, const float* b, float* c);

/* Three arrays of `count` floats, each thread's part touched by itself first. */
EM_EXPORT int em_meter_triad_allocate(em_meter* meter, int64_t count);
/* STREAM's triad: a[i] = b[i] + factor * c[i]. */
EM_EXPORT void em_meter_triad(em_meter* meter, float factor);
/* The largest difference between a and what it should be; any thread count, not for timing. */
EM_EXPORT float em_meter_triad_error(em_meter* meter, float factor);

/* mnist-cnn's second layer as a step does it forward, ReLU and pooling included: input
 * (count,26,26,32), kernel (3,3,32,64), bias (64) to pooled (count,12,12,64). */
EM_EXPORT int em_meter_convolution(em_meter* meter, const float* input, const float* kernel,
                                   const float* bias, int count, float* pooled);

/* Hands nothing to all threads and waits for them. */
EM_EXPORT void em_meter_dispatch(em_meter* meter);

#ifdef __cplusplus
}
#endif

#endif
