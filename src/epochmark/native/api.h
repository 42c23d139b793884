/* The plain C interface of libepochmark_native, called from binding.py through ctypes.
 *
 * Arrays are contiguous. Parameters are one vector of floats: conv_1.kernel (3,3,1,32),
 * conv_1.bias (32), conv_2.kernel (3,3,32,64), conv_2.bias (64), dense_1.kernel (9216,128),
 * dense_1.bias (128), dense_2.kernel (128,10), dense_2.bias (10).
 * The caller checks shapes, labels (0 to 9) and that every order[i] is inside the arrays. */
#ifndef EPOCHMARK_NATIVE_API_H
#define EPOCHMARK_NATIVE_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EM_EXPORT __attribute__((visibility("default")))

typedef struct em_network em_network;

/* Raised with every change of the kernels that can change a time or a result. */
EM_EXPORT int em_kernel_version(void);

/* "Release" when everything was compiled as it is released, else the build type and what differs;
 * and the compiler with its version. Static strings. */
EM_EXPORT const char* em_build(void);
EM_EXPORT const char* em_compiler(void);

/* Names separated by commas, best first; a static string. */
EM_EXPORT const char* em_instruction_sets(void);

EM_EXPORT int64_t em_parameter_count(void);

/* instruction_set NULL or "": the best one. Returns NULL and fills `error` when the instruction
 * set is not there, or threads or memory cannot be had. */
EM_EXPORT em_network* em_create(const char* instruction_set, int threads, int batch,
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

/* One step on images[order[0]] .. images[order[count - 1]] (28 x 28 bytes each), count at most
 * the network's batch. Gives the sum of the cross-entropies before the update and how many images
 * were classified rightly. */
EM_EXPORT void em_train_step(em_network* network, const uint8_t* images, const uint8_t* labels,
                             const uint32_t* order, int count, double* loss_sum, int64_t* correct);

/* The same without the update: the gradient of the mean loss goes to `gradient`. */
EM_EXPORT void em_gradients(em_network* network, const uint8_t* images, const uint8_t* labels,
                            const uint32_t* order, int count, double* loss_sum, int64_t* correct,
                            float* gradient);

EM_EXPORT void em_evaluate(em_network* network, const uint8_t* images, const uint8_t* labels,
                           const uint32_t* order, int count, double* loss_sum, int64_t* correct);

/* A random permutation of 0 .. count - 1, a function of seed and epoch alone. */
EM_EXPORT void em_shuffle(uint64_t seed, uint64_t epoch, uint32_t* order, int64_t count);

#ifdef __cplusplus
}
#endif

#endif
