# AOT ID: ['0_backward']
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


cpp_fused__log_softmax__log_softmax_backward_data_add_arange_eq_expand_nll_loss_backward_nll_loss_forward_scalar_tensor_view_0 = async_compile.cpp_pybinding(['const int64_t*', 'const float*', 'const float*', 'const float*', 'const float*', 'const float*', 'const float*', 'float*', 'float*'], r'''
#include <torch/csrc/inductor/cpp_prefix.h>
extern "C"  void  kernel(const int64_t* in_ptr0,
                       const float* in_ptr1,
                       const float* in_ptr2,
                       const float* in_ptr3,
                       const float* in_ptr4,
                       const float* in_ptr5,
                       const float* in_ptr6,
                       float* out_ptr0,
                       float* out_ptr1)
{
    std::atomic<int> inductor_cpu_integer_div_error{0};
    inductor_cpu_integer_div_error_flag = &inductor_cpu_integer_div_error;
    {
        for(int64_t x0=static_cast<int64_t>(0L); x0<static_cast<int64_t>(8L); x0+=static_cast<int64_t>(16L))
        {
            {
                float tmp_acc0_arr[16];
                for (int i = 0; i < 16; i++)
                {
                    tmp_acc0_arr[i] = 0;
                }
                float tmp_acc0 = 0;
                at::vec::Vectorized<float> tmp_acc0_vec = at::vec::Vectorized<float>(0);
                for(int64_t x1=static_cast<int64_t>(0L); x1<static_cast<int64_t>(10L); x1+=static_cast<int64_t>(1L))
                {
                    {
                        if(C10_LIKELY(x0 >= static_cast<int64_t>(0L) && x0 < static_cast<int64_t>(8L)))
                        {
                            for (int64_t x0_tail = static_cast<int64_t>(0L);x0_tail < static_cast<int64_t>(8L); x0_tail++)
                            {
                                auto tmp0 = in_ptr0[static_cast<int64_t>(x0_tail)];
                                auto tmp11 = in_ptr1[static_cast<int64_t>(0L)];
                                auto tmp12 = in_ptr2[static_cast<int64_t>(0L)];
                                auto tmp1 = static_cast<int64_t>(-100);
                                auto tmp2 = tmp0 != tmp1;
                                auto tmp3 = static_cast<int64_t>(0);
                                auto tmp4 = tmp2 ? tmp0 : tmp3;
                                auto tmp5 = x1;
                                auto tmp6 = c10::convert<int64_t>(tmp5);
                                auto tmp7 = tmp4 == tmp6;
                                auto tmp8 = static_cast<float>(-1.0);
                                auto tmp9 = static_cast<float>(0.0);
                                auto tmp10 = tmp7 ? tmp8 : tmp9;
                                auto tmp13 = tmp11 / tmp12;
                                auto tmp14 = tmp2 ? tmp13 : tmp9;
                                auto tmp15 = float(tmp10 * tmp14);
                                tmp_acc0_arr[x0_tail - static_cast<int64_t>(0L)] = tmp_acc0_arr[x0_tail - static_cast<int64_t>(0L)] + tmp15;
                            }
                        }
                    }
                }
                if(C10_UNLIKELY(x0 >= static_cast<int64_t>(0L) && x0 < static_cast<int64_t>(8L)))
                {
                    for (int64_t x0_tail = static_cast<int64_t>(0L);x0_tail < static_cast<int64_t>(8L); x0_tail++)
                    {
                        out_ptr0[static_cast<int64_t>(x0_tail)] = tmp_acc0_arr[x0_tail - static_cast<int64_t>(0L)];
                    }
                }
            }
        }
    }
    {
        #pragma GCC ivdep
        for(int64_t x0=static_cast<int64_t>(0L); x0<static_cast<int64_t>(8L); x0+=static_cast<int64_t>(1L))
        {
            for(int64_t x1=static_cast<int64_t>(0L); x1<static_cast<int64_t>(10L); x1+=static_cast<int64_t>(16L))
            {
                {
                    if(C10_LIKELY(x1 >= static_cast<int64_t>(0L) && x1 < static_cast<int64_t>(10L)))
                    {
                        auto tmp0 = at::vec::Vectorized<float>::loadu(in_ptr3 + static_cast<int64_t>(x1 + 10L*x0), static_cast<int64_t>(10L));
                        auto tmp1 = in_ptr0[static_cast<int64_t>(x0)];
                        auto tmp16 = in_ptr1[static_cast<int64_t>(0L)];
                        auto tmp17 = in_ptr2[static_cast<int64_t>(0L)];
                        auto tmp22 = at::vec::Vectorized<float>::loadu(in_ptr4 + static_cast<int64_t>(x1 + 10L*x0), static_cast<int64_t>(10L));
                        auto tmp23 = in_ptr5[static_cast<int64_t>(x0)];
                        auto tmp26 = in_ptr6[static_cast<int64_t>(x0)];
                        auto tmp30 = out_ptr0[static_cast<int64_t>(x0)];
                        auto tmp2 = static_cast<int64_t>(-100);
                        auto tmp3 = tmp1 != tmp2;
                        auto tmp4 = static_cast<int64_t>(0);
                        auto tmp5 = tmp3 ? tmp1 : tmp4;
                        auto tmp6 = x1;
                        auto tmp7 = c10::convert<int64_t>(tmp6);
                        auto tmp8 = at::vec::VectorizedN<int64_t,2>::arange(tmp7, 1);
                        auto tmp9 = at::vec::VectorizedN<int64_t,2>(tmp5);
                        auto tmp10 = at::vec::VecMask<int64_t,2>(tmp9 == tmp8);
                        auto tmp11 = static_cast<float>(-1.0);
                        auto tmp12 = static_cast<float>(0.0);
                        auto tmp13 = at::vec::Vectorized<float>(tmp11);
                        auto tmp14 = at::vec::Vectorized<float>(tmp12);
                        auto tmp15 = decltype(tmp13)::blendv(tmp14, tmp13, tmp10.template cast<float,1>());
                        auto tmp18 = tmp16 / tmp17;
                        auto tmp19 = tmp3 ? tmp18 : tmp12;
                        auto tmp20 = at::vec::Vectorized<float>(tmp19);
                        auto tmp21 = tmp15 * tmp20;
                        auto tmp24 = at::vec::Vectorized<float>(tmp23);
                        auto tmp25 = tmp22 - tmp24;
                        auto tmp27 = at::vec::Vectorized<float>(tmp26);
                        auto tmp28 = tmp25 - tmp27;
                        auto tmp29 = tmp28.exp();
                        auto tmp31 = at::vec::Vectorized<float>(tmp30);
                        auto tmp32 = tmp29 * tmp31;
                        auto tmp33 = tmp21 - tmp32;
                        auto tmp34 = tmp0 + tmp33;
                        tmp34.store(out_ptr1 + static_cast<int64_t>(x1 + 10L*x0), static_cast<int64_t>(10L));
                    }
                }
            }
        }
    }
    inductor_cpu_integer_div_error_flag = nullptr;
    inductor_cpu_throw_if_integer_div_error(inductor_cpu_integer_div_error);
}
''')


cpp_fused_nll_loss_forward_sum_threshold_backward_1 = async_compile.cpp_pybinding(['float*', 'const float*', 'const float*', 'float*'], r'''
#include <torch/csrc/inductor/cpp_prefix.h>
extern "C"  void  kernel(float* in_out_ptr0,
                       const float* in_ptr0,
                       const float* in_ptr1,
                       float* out_ptr0)
{
    std::atomic<int> inductor_cpu_integer_div_error{0};
    inductor_cpu_integer_div_error_flag = &inductor_cpu_integer_div_error;
    {
        for(int64_t x0=static_cast<int64_t>(0L); x0<static_cast<int64_t>(10L); x0+=static_cast<int64_t>(16L))
        {
            {
                float tmp_acc0 = 0;
                at::vec::Vectorized<float> tmp_acc0_vec = at::vec::Vectorized<float>(0);
                for(int64_t x1=static_cast<int64_t>(0L); x1<static_cast<int64_t>(8L); x1+=static_cast<int64_t>(1L))
                {
                    {
                        if(C10_LIKELY(x0 >= static_cast<int64_t>(0L) && x0 < static_cast<int64_t>(10L)))
                        {
                            auto tmp0 = at::vec::Vectorized<float>::loadu(in_ptr0 + static_cast<int64_t>(x0 + 10L*x1), static_cast<int64_t>(10L));
                            tmp_acc0_vec = sum_masked_reduce(tmp_acc0_vec, tmp0, static_cast<int64_t>(10L));
                        }
                    }
                }
                if(C10_UNLIKELY(x0 >= static_cast<int64_t>(0L) && x0 < static_cast<int64_t>(10L)))
                {
                    tmp_acc0_vec.store(out_ptr0 + static_cast<int64_t>(x0), static_cast<int64_t>(10L));
                }
            }
        }
    }
    {
        for(int64_t x0=static_cast<int64_t>(0L); x0<static_cast<int64_t>(16384L); x0+=static_cast<int64_t>(16L))
        {
            {
                if(C10_LIKELY(x0 >= static_cast<int64_t>(0) && x0 < static_cast<int64_t>(16384L)))
                {
                    auto tmp0 = at::vec::Vectorized<float>::loadu(in_out_ptr0 + static_cast<int64_t>(x0), static_cast<int64_t>(16));
                    auto tmp4 = at::vec::Vectorized<float>::loadu(in_ptr1 + static_cast<int64_t>(x0), static_cast<int64_t>(16));
                    auto tmp1 = static_cast<float>(0.0);
                    auto tmp2 = at::vec::Vectorized<float>(tmp1);
                    auto tmp3 = at::vec::VecMask<float,1>(tmp0 <= tmp2);
                    auto tmp5 = decltype(tmp2)::blendv(tmp4, tmp2, tmp3.template cast<float,1>());
                    tmp5.store(in_out_ptr0 + static_cast<int64_t>(x0));
                }
            }
        }
    }
    inductor_cpu_integer_div_error_flag = nullptr;
    inductor_cpu_throw_if_integer_div_error(inductor_cpu_integer_div_error);
}
''')


cpp_fused_nll_loss_forward_sum_threshold_backward_2 = async_compile.cpp_pybinding(['float*', 'const float*', 'const float*', 'float*'], r'''
#include <torch/csrc/inductor/cpp_prefix.h>
extern "C"  void  kernel(float* in_out_ptr0,
                       const float* in_ptr0,
                       const float* in_ptr1,
                       float* out_ptr0)
{
    std::atomic<int> inductor_cpu_integer_div_error{0};
    inductor_cpu_integer_div_error_flag = &inductor_cpu_integer_div_error;
    {
        for(int64_t x0=static_cast<int64_t>(0L); x0<static_cast<int64_t>(2048L); x0+=static_cast<int64_t>(16L))
        {
            {
                float tmp_acc0 = 0;
                at::vec::Vectorized<float> tmp_acc0_vec = at::vec::Vectorized<float>(0);
                for(int64_t x1=static_cast<int64_t>(0L); x1<static_cast<int64_t>(8L); x1+=static_cast<int64_t>(1L))
                {
                    {
                        if(C10_LIKELY(x0 >= static_cast<int64_t>(0) && x0 < static_cast<int64_t>(2048L)))
                        {
                            auto tmp0 = at::vec::Vectorized<float>::loadu(in_ptr0 + static_cast<int64_t>(x0 + 2048L*x1), static_cast<int64_t>(16));
                            tmp_acc0_vec = tmp_acc0_vec + tmp0;
                        }
                    }
                }
                if(C10_LIKELY(x0 >= static_cast<int64_t>(0) && x0 < static_cast<int64_t>(2048L)))
                {
                    tmp_acc0_vec.store(out_ptr0 + static_cast<int64_t>(x0));
                }
            }
        }
    }
    {
        for(int64_t x0=static_cast<int64_t>(0L); x0<static_cast<int64_t>(16384L); x0+=static_cast<int64_t>(16L))
        {
            {
                if(C10_LIKELY(x0 >= static_cast<int64_t>(0) && x0 < static_cast<int64_t>(16384L)))
                {
                    auto tmp0 = at::vec::Vectorized<float>::loadu(in_out_ptr0 + static_cast<int64_t>(x0), static_cast<int64_t>(16));
                    auto tmp4 = at::vec::Vectorized<float>::loadu(in_ptr1 + static_cast<int64_t>(x0), static_cast<int64_t>(16));
                    auto tmp1 = static_cast<float>(0.0);
                    auto tmp2 = at::vec::Vectorized<float>(tmp1);
                    auto tmp3 = at::vec::VecMask<float,1>(tmp0 <= tmp2);
                    auto tmp5 = decltype(tmp2)::blendv(tmp4, tmp2, tmp3.template cast<float,1>());
                    tmp5.store(in_out_ptr0 + static_cast<int64_t>(x0));
                }
            }
        }
    }
    inductor_cpu_integer_div_error_flag = nullptr;
    inductor_cpu_throw_if_integer_div_error(inductor_cpu_integer_div_error);
}
''')


cpp_fused_sum_3 = async_compile.cpp_pybinding(['const float*', 'float*'], r'''
#include <torch/csrc/inductor/cpp_prefix.h>
extern "C"  void  kernel(const float* in_ptr0,
                       float* out_ptr0)
{
    std::atomic<int> inductor_cpu_integer_div_error{0};
    inductor_cpu_integer_div_error_flag = &inductor_cpu_integer_div_error;
    {
        for(int64_t x0=static_cast<int64_t>(0L); x0<static_cast<int64_t>(2048L); x0+=static_cast<int64_t>(16L))
        {
            {
                float tmp_acc0 = 0;
                at::vec::Vectorized<float> tmp_acc0_vec = at::vec::Vectorized<float>(0);
                for(int64_t x1=static_cast<int64_t>(0L); x1<static_cast<int64_t>(8L); x1+=static_cast<int64_t>(1L))
                {
                    {
                        if(C10_LIKELY(x0 >= static_cast<int64_t>(0) && x0 < static_cast<int64_t>(2048L)))
                        {
                            auto tmp0 = at::vec::Vectorized<float>::loadu(in_ptr0 + static_cast<int64_t>(x0 + 2048L*x1), static_cast<int64_t>(16));
                            tmp_acc0_vec = tmp_acc0_vec + tmp0;
                        }
                    }
                }
                if(C10_LIKELY(x0 >= static_cast<int64_t>(0) && x0 < static_cast<int64_t>(2048L)))
                {
                    tmp_acc0_vec.store(out_ptr0 + static_cast<int64_t>(x0));
                }
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
        primals_4, primals_6, primals_8, view, relu, relu_1, addmm_2, amax, log, convert_element_type, tangents_1, tangents_2 = args
        args.clear()
        assert_size_stride(primals_8, (8, ), (1, ), 'input')
        assert_size_stride(tangents_2, (), (), 'input')
        assert_size_stride(convert_element_type, (), (), 'input')
        assert_size_stride(tangents_1, (8, 10), (10, 1), 'input')
        assert_size_stride(addmm_2, (8, 10), (10, 1), 'input')
        assert_size_stride(amax, (8, 1), (1, 1), 'input')
        assert_size_stride(log, (8, 1), (1, 1), 'input')
        buf0 = empty_strided_cpu((8, 1), (1, 8), torch.float32)
        buf1 = empty_strided_cpu((8, 10), (10, 1), torch.float32)
        assert_size_stride(primals_6, (10, 2048), (2048, 1), 'input')
        cpp_fused__log_softmax__log_softmax_backward_data_add_arange_eq_expand_nll_loss_backward_nll_loss_forward_scalar_tensor_view_0(primals_8, tangents_2, convert_element_type, tangents_1, addmm_2, amax, log, buf0, buf1)
        del addmm_2
        del amax
        del buf0
        del convert_element_type
        del log
        del primals_8
        del tangents_1
        del tangents_2
        buf2 = empty_strided_cpu((8, 2048), (2048, 1), torch.float32)
        # Topologically Sorted Source Nodes: [input_6, permute_3, mm], Original ATen: [aten.t, aten.mm]
        extern_kernels.mm(buf1, primals_6, out=buf2)
        del primals_6
        assert_size_stride(relu_1, (8, 2048), (2048, 1), 'input')
        buf3 = empty_strided_cpu((10, 2048), (2048, 1), torch.float32)
        # Topologically Sorted Source Nodes: [permute_4, mm_1], Original ATen: [aten.t, aten.mm]
        extern_kernels.mm(reinterpret_tensor(buf1, (10, 8), (1, 10), 0), relu_1, out=buf3)
        buf4 = empty_strided_cpu((1, 10), (10, 1), torch.float32)
        buf5 = relu_1; del relu_1  # reuse
        assert_size_stride(primals_4, (2048, 2048), (2048, 1), 'input')
        cpp_fused_nll_loss_forward_sum_threshold_backward_1(buf5, buf1, buf2, buf4)
        del buf1
        buf6 = buf2; del buf2  # reuse
        # Topologically Sorted Source Nodes: [input_4, permute_7, mm_2], Original ATen: [aten.t, aten.mm]
        extern_kernels.mm(buf5, primals_4, out=buf6)
        del primals_4
        assert_size_stride(relu, (8, 2048), (2048, 1), 'input')
        buf7 = empty_strided_cpu((2048, 2048), (2048, 1), torch.float32)
        # Topologically Sorted Source Nodes: [permute_8, mm_3], Original ATen: [aten.t, aten.mm]
        extern_kernels.mm(reinterpret_tensor(buf5, (2048, 8), (1, 2048), 0), relu, out=buf7)
        buf8 = empty_strided_cpu((1, 2048), (2048, 1), torch.float32)
        buf9 = relu; del relu  # reuse
        assert_size_stride(view, (8, 784), (784, 1), 'input')
        cpp_fused_nll_loss_forward_sum_threshold_backward_2(buf9, buf5, buf6, buf8)
        del buf5
        del buf6
        buf10 = empty_strided_cpu((2048, 784), (784, 1), torch.float32)
        # Topologically Sorted Source Nodes: [cross_entropy, le_1, where_5, permute_11, mm_4], Original ATen: [aten.nll_loss_forward, aten.threshold_backward, aten.t, aten.mm]
        extern_kernels.mm(reinterpret_tensor(buf9, (2048, 8), (1, 2048), 0), view, out=buf10)
        del view
        buf11 = empty_strided_cpu((1, 2048), (2048, 1), torch.float32)
        cpp_fused_sum_3(buf9, buf11)
        return (None, buf10, reinterpret_tensor(buf11, (2048, ), (1, ), 0), buf7, reinterpret_tensor(buf8, (2048, ), (1, ), 0), buf3, reinterpret_tensor(buf4, (10, ), (1, ), 0), None, )

runner = Runner(partitions=[])
call = runner.call
recursively_apply_fns = runner.recursively_apply_fns


def get_args():
    from torch._dynamo.testing import rand_strided
    primals_4 = rand_strided((2048, 2048), (2048, 1), device='cpu', dtype=torch.float32)
    primals_6 = rand_strided((10, 2048), (2048, 1), device='cpu', dtype=torch.float32)
    primals_8 = rand_strided((8, ), (1, ), device='cpu', dtype=torch.int64)
    view = rand_strided((8, 784), (784, 1), device='cpu', dtype=torch.float32)
    relu = rand_strided((8, 2048), (2048, 1), device='cpu', dtype=torch.float32)
    relu_1 = rand_strided((8, 2048), (2048, 1), device='cpu', dtype=torch.float32)
    addmm_2 = rand_strided((8, 10), (10, 1), device='cpu', dtype=torch.float32)
    amax = rand_strided((8, 1), (1, 1), device='cpu', dtype=torch.float32)
    log = rand_strided((8, 1), (1, 1), device='cpu', dtype=torch.float32)
    convert_element_type = rand_strided((), (), device='cpu', dtype=torch.float32)
    tangents_1 = rand_strided((8, 10), (10, 1), device='cpu', dtype=torch.float32)
    tangents_2 = rand_strided((), (), device='cpu', dtype=torch.float32)
    return [primals_4, primals_6, primals_8, view, relu, relu_1, addmm_2, amax, log, convert_element_type, tangents_1, tangents_2]


def benchmark_compiled_module(args, times=10, repeat=10):
    from torch._inductor.utils import print_performance
    fn = lambda: call(list(args))
    return print_performance(fn, times=times, repeat=repeat, device='cpu')


if __name__ == "__main__":
    from torch._inductor.wrapper_benchmark import compiled_module_main
    args = get_args()
    compiled_module_main('None', lambda times, repeat: benchmark_compiled_module(args, times=times, repeat=repeat))
