# AOT ID: ['1_forward']
from ctypes import c_void_p, c_long, c_int
import torch
import math
import random
import os
import tempfile
from math import inf, nan
from cmath import nanj
from torch._inductor.hooks import run_intermediate_hooks
from torch._inductor.utils import maybe_profile
from torch._inductor.codegen.memory_planning import _align as align
from torch import device, empty_strided
from torch._inductor.async_compile import AsyncCompile
from torch._inductor.select_algorithm import extern_kernels

aten = torch.ops.aten
inductor_ops = torch.ops.inductor
_quantized = torch.ops._quantized
assert_size_stride = torch._C._dynamo.guards.assert_size_stride
assert_alignment = torch._C._dynamo.guards.assert_alignment
empty_strided_cpu = torch._C._dynamo.guards._empty_strided_cpu
empty_strided_cpu_pinned = torch._C._dynamo.guards._empty_strided_cpu_pinned
empty_strided_cuda = torch._C._dynamo.guards._empty_strided_cuda
empty_strided_xpu = torch._C._dynamo.guards._empty_strided_xpu
empty_strided_mtia = torch._C._dynamo.guards._empty_strided_mtia
reinterpret_tensor = torch._C._dynamo.guards._reinterpret_tensor
alloc_from_pool = torch.ops.inductor._alloc_from_pool
async_compile = AsyncCompile()
empty_strided_p2p = torch._C._distributed_c10d._SymmetricMemory.empty_strided_p2p


cpp_fused_relu_0 = async_compile.cpp_pybinding(['float*'], r'''
#include <torch/csrc/inductor/cpp_prefix.h>
extern "C"  void  kernel(float* in_out_ptr0)
{
    std::atomic<int> inductor_cpu_integer_div_error{0};
    inductor_cpu_integer_div_error_flag = &inductor_cpu_integer_div_error;
    {
        for(int64_t x0=static_cast<int64_t>(0L); x0<static_cast<int64_t>(8192L); x0+=static_cast<int64_t>(16L))
        {
            {
                if(C10_LIKELY(x0 >= static_cast<int64_t>(0) && x0 < static_cast<int64_t>(8192L)))
                {
                    auto tmp0 = at::vec::Vectorized<float>::loadu(in_out_ptr0 + static_cast<int64_t>(x0), static_cast<int64_t>(16));
                    auto tmp1 = at::vec::clamp_min(tmp0, decltype(tmp0)(0));
                    tmp1.store(in_out_ptr0 + static_cast<int64_t>(x0));
                }
            }
        }
    }
    inductor_cpu_integer_div_error_flag = nullptr;
    inductor_cpu_throw_if_integer_div_error(inductor_cpu_integer_div_error);
}
''')


cpp_fused__log_softmax_nll_loss_forward_1 = async_compile.cpp_pybinding(['float*', 'float*', 'const float*', 'const int64_t*', 'float*', 'int64_t*', 'float*'], r'''
#include <torch/csrc/inductor/cpp_prefix.h>
extern "C"  void  kernel(float* in_out_ptr0,
                       float* in_out_ptr1,
                       const float* in_ptr0,
                       const int64_t* in_ptr1,
                       float* out_ptr0,
                       int64_t* out_ptr2,
                       float* out_ptr4)
{
    std::atomic<int> inductor_cpu_integer_div_error{0};
    inductor_cpu_integer_div_error_flag = &inductor_cpu_integer_div_error;
    auto out_ptr1 = in_out_ptr0;
    auto out_ptr3 = in_out_ptr1;
    {
        #pragma GCC ivdep
        for(int64_t x0=static_cast<int64_t>(0L); x0<static_cast<int64_t>(4L); x0+=static_cast<int64_t>(1L))
        {
            {
                float tmp_acc0 = -std::numeric_limits<float>::infinity();
                at::vec::Vectorized<float> tmp_acc0_vec = at::vec::Vectorized<float>(-std::numeric_limits<float>::infinity());
                for(int64_t x1=static_cast<int64_t>(0L); x1<static_cast<int64_t>(10L); x1+=static_cast<int64_t>(16L))
                {
                    {
                        if(C10_LIKELY(x1 >= static_cast<int64_t>(0L) && x1 < static_cast<int64_t>(10L)))
                        {
                            auto tmp0 = at::vec::Vectorized<float>::loadu(in_ptr0 + static_cast<int64_t>(x1 + 10L*x0), static_cast<int64_t>(10L));
                            tmp_acc0_vec = max_masked_reduce(tmp_acc0_vec, tmp0, static_cast<int64_t>(10L));
                        }
                    }
                }
                tmp_acc0 = max_propagate_nan(tmp_acc0, at::vec::vec_reduce_all<float, 1>([](at::vec::Vectorized<float>& x, at::vec::Vectorized<float>& y) { return at::vec::maximum(x, y); }, tmp_acc0_vec));
                out_ptr0[static_cast<int64_t>(x0)] = static_cast<float>(tmp_acc0);
            }
            {
                float tmp_acc0 = 0;
                at::vec::Vectorized<float> tmp_acc0_vec = at::vec::Vectorized<float>(0);
                for(int64_t x1=static_cast<int64_t>(0L); x1<static_cast<int64_t>(10L); x1+=static_cast<int64_t>(16L))
                {
                    {
                        if(C10_LIKELY(x1 >= static_cast<int64_t>(0L) && x1 < static_cast<int64_t>(10L)))
                        {
                            auto tmp0 = at::vec::Vectorized<float>::loadu(in_ptr0 + static_cast<int64_t>(x1 + 10L*x0), static_cast<int64_t>(10L));
                            auto tmp1 = out_ptr0[static_cast<int64_t>(x0)];
                            auto tmp2 = at::vec::Vectorized<float>(tmp1);
                            auto tmp3 = tmp0 - tmp2;
                            auto tmp4 = tmp3.exp();
                            tmp_acc0_vec = sum_masked_reduce(tmp_acc0_vec, tmp4, static_cast<int64_t>(10L));
                        }
                    }
                }
                tmp_acc0 = tmp_acc0 + at::vec::vec_reduce_all<float, 1>([](at::vec::Vectorized<float>& x, at::vec::Vectorized<float>& y) { return x + y; }, tmp_acc0_vec);
                out_ptr1[static_cast<int64_t>(x0)] = static_cast<float>(tmp_acc0);
            }
        }
    }
    {
        {
            int64_t tmp_acc0 = 0;
            at::vec::VectorizedN<int64_t,2> tmp_acc0_vec = at::vec::VectorizedN<int64_t,2>(0);
            float tmp_acc1 = 0;
            at::vec::Vectorized<float> tmp_acc1_vec = at::vec::Vectorized<float>(0);
            for(int64_t x0=static_cast<int64_t>(0L); x0<static_cast<int64_t>(4L); x0+=static_cast<int64_t>(16L))
            {
                {
                    if(C10_LIKELY(x0 >= static_cast<int64_t>(0L) && x0 < static_cast<int64_t>(4L)))
                    {
                        for (int64_t x0_tail = static_cast<int64_t>(0L);x0_tail < static_cast<int64_t>(4L); x0_tail++)
                        {
                            auto tmp0 = out_ptr1[static_cast<int64_t>(x0_tail)];
                            auto tmp2 = in_ptr1[static_cast<int64_t>(x0_tail)];
                            auto tmp12 = out_ptr0[static_cast<int64_t>(x0_tail)];
                            auto tmp1 = std::log(tmp0);
                            auto tmp3 = static_cast<int64_t>(-100);
                            auto tmp4 = tmp2 != tmp3;
                            auto tmp5 = c10::convert<int64_t>(tmp4);
                            auto tmp6 = static_cast<int64_t>(0);
                            auto tmp7 = tmp4 ? tmp2 : tmp6;
                            auto tmp8 = tmp7;
                            auto tmp9 = c10::convert<int64_t>(tmp8);
                            TORCH_CHECK((0 <= tmp9) & (tmp9 < 10L), "index out of bounds: 0 <= tmp9 < 10L");
                            auto tmp11 = in_ptr0[static_cast<int64_t>(tmp7 + 10L*x0_tail)];
                            auto tmp13 = float(tmp11 - tmp12);
                            auto tmp14 = float(tmp13 - tmp1);
                            auto tmp15 = decltype(tmp14)(-tmp14);
                            auto tmp16 = static_cast<float>(0.0);
                            auto tmp17 = tmp4 ? tmp15 : tmp16;
                            in_out_ptr0[static_cast<int64_t>(x0_tail)] = tmp1;
                            tmp_acc0 = tmp_acc0 + tmp5;
                            tmp_acc1 = tmp_acc1 + tmp17;
                        }
                    }
                }
            }
            tmp_acc0 = tmp_acc0 + at::vec::vec_reduce_all<int64_t, 2>([](at::vec::Vectorized<int64_t>& x, at::vec::Vectorized<int64_t>& y) { return x + y; }, tmp_acc0_vec);
            out_ptr2[static_cast<int64_t>(0L)] = static_cast<int64_t>(tmp_acc0);
            tmp_acc1 = tmp_acc1 + at::vec::vec_reduce_all<float, 1>([](at::vec::Vectorized<float>& x, at::vec::Vectorized<float>& y) { return x + y; }, tmp_acc1_vec);
            out_ptr3[static_cast<int64_t>(0L)] = static_cast<float>(tmp_acc1);
        }
    }
    {
        {
            {
                auto tmp0 = out_ptr2[static_cast<int64_t>(0L)];
                auto tmp2 = out_ptr3[static_cast<int64_t>(0L)];
                auto tmp1 = c10::convert<float>(tmp0);
                auto tmp3 = tmp2 / tmp1;
                out_ptr4[static_cast<int64_t>(0L)] = tmp1;
                in_out_ptr1[static_cast<int64_t>(0L)] = tmp3;
            }
        }
    }
    inductor_cpu_integer_div_error_flag = nullptr;
    inductor_cpu_throw_if_integer_div_error(inductor_cpu_integer_div_error);
}
''')


async_compile.wait(globals())
del async_compile

class Runner:
    def __init__(self, partitions):
        self.partitions = partitions

    def recursively_apply_fns(self, fns):
        new_callables = []
        for fn, c in zip(fns, self.partitions):
            new_callables.append(fn(c))
        self.partitions = new_callables

    def call(self, args):
        primals_1, primals_2, primals_3, primals_4, primals_5, primals_6, primals_7, primals_8 = args
        args.clear()
        assert_size_stride(primals_3, (2048, ), (1, ), 'input')
        assert_size_stride(primals_1, (4, 1, 28, 28), (784, 1, 28, 1), 'input')
        assert_size_stride(primals_2, (2048, 784), (784, 1), 'input')
        buf0 = empty_strided_cpu((4, 2048), (2048, 1), torch.float32)
        # Topologically Sorted Source Nodes: [input_1, input_2], Original ATen: [aten.view, aten.t, aten.addmm]
        extern_kernels.addmm(primals_3, reinterpret_tensor(primals_1, (4, 784), (784, 1), 0), reinterpret_tensor(primals_2, (784, 2048), (1, 784), 0), alpha=1, beta=1, out=buf0)
        del primals_2
        del primals_3
        buf1 = buf0; del buf0  # reuse
        assert_size_stride(primals_5, (2048, ), (1, ), 'input')
        assert_size_stride(primals_4, (2048, 2048), (2048, 1), 'input')
        cpp_fused_relu_0(buf1)
        buf2 = empty_strided_cpu((4, 2048), (2048, 1), torch.float32)
        # Topologically Sorted Source Nodes: [input_4], Original ATen: [aten.t, aten.addmm]
        extern_kernels.addmm(primals_5, buf1, reinterpret_tensor(primals_4, (2048, 2048), (1, 2048), 0), alpha=1, beta=1, out=buf2)
        del primals_5
        buf3 = buf2; del buf2  # reuse
        assert_size_stride(primals_7, (10, ), (1, ), 'input')
        assert_size_stride(primals_6, (10, 2048), (2048, 1), 'input')
        cpp_fused_relu_0(buf3)
        buf4 = empty_strided_cpu((4, 10), (10, 1), torch.float32)
        # Topologically Sorted Source Nodes: [input_6], Original ATen: [aten.t, aten.addmm]
        extern_kernels.addmm(primals_7, buf3, reinterpret_tensor(primals_6, (2048, 10), (1, 2048), 0), alpha=1, beta=1, out=buf4)
        del primals_7
        buf5 = empty_strided_cpu((4, 1), (1, 1), torch.float32)
        buf6 = empty_strided_cpu((4, 1), (1, 4), torch.float32)
        assert_size_stride(primals_8, (4, ), (1, ), 'input')
        buf7 = reinterpret_tensor(buf6, (4, 1), (1, 1), 0); del buf6  # reuse
        buf8 = empty_strided_cpu((), (), torch.int64)
        buf10 = empty_strided_cpu((), (), torch.float32)
        buf9 = empty_strided_cpu((), (), torch.float32)
        buf11 = buf10; del buf10  # reuse
        cpp_fused__log_softmax_nll_loss_forward_1(buf7, buf11, buf4, primals_8, buf5, buf8, buf9)
        return (buf4, buf11, primals_4, primals_6, primals_8, reinterpret_tensor(primals_1, (4, 784), (784, 1), 0), buf1, buf3, buf4, buf5, buf7, buf9, )

runner = Runner(partitions=[])
call = runner.call
recursively_apply_fns = runner.recursively_apply_fns


def get_args():
    from torch._dynamo.testing import rand_strided
    primals_1 = rand_strided((4, 1, 28, 28), (784, 1, 28, 1), device='cpu', dtype=torch.float32)
    primals_2 = rand_strided((2048, 784), (784, 1), device='cpu', dtype=torch.float32)
    primals_3 = rand_strided((2048, ), (1, ), device='cpu', dtype=torch.float32)
    primals_4 = rand_strided((2048, 2048), (2048, 1), device='cpu', dtype=torch.float32)
    primals_5 = rand_strided((2048, ), (1, ), device='cpu', dtype=torch.float32)
    primals_6 = rand_strided((10, 2048), (2048, 1), device='cpu', dtype=torch.float32)
    primals_7 = rand_strided((10, ), (1, ), device='cpu', dtype=torch.float32)
    primals_8 = rand_strided((4, ), (1, ), device='cpu', dtype=torch.int64)
    return [primals_1, primals_2, primals_3, primals_4, primals_5, primals_6, primals_7, primals_8]


def benchmark_compiled_module(args, times=10, repeat=10):
    from torch._inductor.utils import print_performance
    fn = lambda: call(list(args))
    return print_performance(fn, times=times, repeat=repeat, device='cpu')


if __name__ == "__main__":
    from torch._inductor.wrapper_benchmark import compiled_module_main
    args = get_args()
    compiled_module_main('None', lambda times, repeat: benchmark_compiled_module(args, times=times, repeat=repeat))
