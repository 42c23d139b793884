/* The plain C interface of libepochmark_native, called from binding.py through ctypes.
 *
 * Arrays are contiguous. Parameters are one vector of floats: those of the workload one after the
 * other, in the order of its layers. The caller checks shapes, that inputs and targets hold what
 * em_describe says, and that every order[i] is inside the arrays. */
#ifndef EPOCHMARK_NATIVE_API_H
#define EPOCHMARK_NATIVE_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EM_EXPORT __attribute__((visibility("default")))

typedef struct em_network em_network;

/* "Release" when everything was compiled as it is released, else the build type and what differs;
 * and the compiler with its version. Static strings. */
EM_EXPORT const char* em_build(void);
EM_EXPORT const char* em_compiler(void);

/* A precision is "float32" or "bfloat16": what products multiply; they sum in float32, and all else is
 * float32 in either. */

/* Names separated by commas, best first, "" for none; a static string. */
EM_EXPORT const char* em_instruction_sets(const char* precision);

/* Why there are none of them on this machine; "" where there are. A static string. */
EM_EXPORT const char* em_missing(const char* precision);

/* The workloads that the library trains, on whichever machine: names separated by commas, a static
 * string. */
EM_EXPORT const char* em_workloads(const char* precision);

/* A sample has `inputs` numbers of `input_bytes` bytes each, unsigned, and `targets` right answers of
 * `target_bytes`, each smaller than `classes`. The kernel version is raised with every change of the
 * kernels that can change a time or a result. */
typedef struct {
    int64_t parameters;
    int64_t inputs, input_bytes;
    int64_t targets, target_bytes;
    int64_t classes;
    int64_t largest_batch;
    int64_t kernel_version;
} em_description;

/* 1, or 0 when there is no such workload. */
EM_EXPORT int em_describe(const char* workload, em_description* description);

/* instruction_set NULL or "": the best one. `context`: symbols of a sequence where those are to be
 * shorter than em_describe says, a multiple of 32; 0: as it says. Returns NULL and fills `error` when
 * the workload, the precision or the instruction set is not there, or threads or memory cannot be had. */
EM_EXPORT em_network* em_create(const char* workload, const char* precision,
                                const char* instruction_set, int threads, int batch, int context,
                                double learning_rate, double beta_1, double beta_2, double epsilon,
                                char* error, size_t error_size);
EM_EXPORT void em_destroy(em_network* network);
EM_EXPORT const char* em_instruction_set(const em_network* network);

/* Also resets the optimizer. */
EM_EXPORT void em_set_parameters(em_network* network, const float* parameters);
EM_EXPORT void em_get_parameters(const em_network* network, float* parameters);

/* Adam's moments, of the gradients and of their squares, in the parameters' layout. Returns the
 * optimizer's steps so far. */
EM_EXPORT int64_t em_get_moments(const em_network* network, float* first, float* second);

/* One step on samples order[0] .. order[count - 1], count at most the network's batch. Gives the sum
 * of the cross-entropies of their targets before the update, and how many were found rightly. */
EM_EXPORT void em_train_step(em_network* network, const void* inputs, const void* targets,
                             const uint32_t* order, int count, double* loss_sum, int64_t* correct);

/* The same without the update: the gradient of the mean loss goes to `gradient`. `stored` is room for
 * as many numbers, all zero: nothing is allocated here, since no exception may leave C. */
EM_EXPORT void em_gradients(em_network* network, const void* inputs, const void* targets,
                            const uint32_t* order, int count, double* loss_sum, int64_t* correct,
                            float* gradient, float* stored);

EM_EXPORT void em_evaluate(em_network* network, const void* inputs, const void* targets,
                           const uint32_t* order, int count, double* loss_sum, int64_t* correct);

/* A random permutation of 0 .. count - 1, a function of seed and epoch alone. */
EM_EXPORT void em_shuffle(uint64_t seed, uint64_t epoch, uint32_t* order, int64_t count);

#ifdef __cplusplus
}
#endif

#endif
