// A device of type CUDA in host memory: tensors on it are of their own kind, and kernels run on the CPU.
//
// torch built for the CPU has the dispatch keys of CUDA but no kernel, allocator or guard behind them. These are
// added here: allocation with a limit, views, copies, and for every other operator the CPU's kernel. What a GPU would
// refuse is refused: operands on different devices, memory beyond the limit, use of the device after a fork.
#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/native/Resize.h>
#include <ATen/native/TensorFactories.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using c10::Device;
using c10::DeviceType;

std::atomic<int64_t> limit{0}, used{0}, peak{0};  // bytes
std::atomic<int64_t> waiting{0}, done{0};  // kernels, which nobody has waited for or somebody has
std::atomic<pid_t> user{0};

const Device place{DeviceType::CUDA, 0};

void claim() {
  pid_t nobody = 0;
  user.compare_exchange_strong(nobody, getpid());
  TORCH_CHECK(user == getpid(), "Cannot re-initialize CUDA in forked subprocess. To use CUDA with multiprocessing, "
                                "you must use the 'spawn' start method");
}

thread_local bool in_kernel = false;  // whose own copies nobody waits for

void wait() {
  if (!in_kernel) done += waiting.exchange(0);
}

struct Guard final : c10::impl::DeviceGuardImplInterface {
  DeviceType type() const override { return DeviceType::CUDA; }
  Device exchangeDevice(Device) const override { return place; }
  Device getDevice() const override { return place; }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  c10::Stream getStream(Device) const override { return c10::Stream(c10::Stream::DEFAULT, place); }
  c10::Stream getDefaultStream(Device) const override { return c10::Stream(c10::Stream::DEFAULT, place); }
  c10::Stream exchangeStream(c10::Stream) const override { return c10::Stream(c10::Stream::DEFAULT, place); }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const c10::Stream&, const c10::DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const c10::Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
};

struct CUDAHooks final : at::CUDAHooksInterface {
  explicit CUDAHooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasCUDA() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return 1; }
  int getNumGPUs() const override { return 1; }
  c10::DeviceIndex current_device() const override { return 0; }
  c10::DeviceIndex getCurrentDevice() const override { return 0; }
  void setCurrentDevice(c10::DeviceIndex) const override {}
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex) const override { return 0; }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetCPUAllocator(); }
  Device getDeviceFromPtr(void*) const override { return place; }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override { return at::detail::getDefaultCPUGenerator(); }
  at::Generator getNewGenerator(c10::DeviceIndex) const override { return at::detail::createCPUGenerator(); }
  void deviceSynchronize(c10::DeviceIndex) const override {}
};

struct Block {
  void* bytes;
  int64_t size;
};

void give_back(void* raw) {
  auto* block = static_cast<Block*>(raw);
  used -= block->size;
  std::free(block->bytes);
  delete block;
}

struct Memory final : c10::Allocator {
  c10::DataPtr allocate(size_t wanted) override {
    claim();
    const auto size = static_cast<int64_t>(wanted);
    if (size == 0) return {nullptr, place};
    if (limit > 0 && used + size > limit) {
      TORCH_CHECK_WITH(OutOfMemoryError, false, "CUDA out of memory. Tried to allocate ", size / 1024, " KiB. GPU 0 has ",
                       "a total capacity of ", limit / 1024, " KiB of which ", (limit - used) / 1024, " KiB is free.");
    }
    used += size;
    int64_t most = peak;
    while (used > most && !peak.compare_exchange_weak(most, used)) {
    }
    void* bytes = nullptr;
    TORCH_CHECK(posix_memalign(&bytes, 64, wanted) == 0, "no host memory");
    return {bytes, new Block{bytes, size}, &give_back, place};
  }
  c10::DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t count) const override { default_copy_data(to, from, count); }
};

Memory memory;
constexpr c10::DispatchKeySet keys{c10::DispatchKey::CUDA};

at::Tensor empty(c10::IntArrayRef size, std::optional<c10::ScalarType> dtype, std::optional<c10::Layout>,
                 std::optional<Device>, std::optional<bool>, std::optional<c10::MemoryFormat> format) {
  return at::detail::empty_generic(size, &memory, keys, c10::dtype_or_default(dtype), format);
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<c10::ScalarType> dtype,
                         std::optional<c10::Layout>, std::optional<Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, &memory, keys, c10::dtype_or_default(dtype));
}

// The same bytes seen from the host.
at::Tensor on_host(const at::Tensor& tensor) {
  if (!tensor.is_cuda()) return tensor;
  return at::from_blob(tensor.data_ptr(), tensor.sizes(), tensor.strides(), [kept = tensor](void*) {},
                       tensor.options().device(DeviceType::CPU));
}

at::Tensor& copy_(at::Tensor& to, const at::Tensor& from, bool) {
  claim();
  if (from.is_cuda() && !to.is_cuda()) wait();
  on_host(to).copy_(on_host(from));
  return to;
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  auto whole = to;
  copy_(whole, from, false);
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  auto whole = to;
  whole.resize_(from.sizes());
  copy_(whole, from, false);
  return to;
}

at::Scalar local_scalar(const at::Tensor& tensor) {
  wait();
  return at::_local_scalar_dense(on_host(tensor));
}

at::Tensor& set_storage(at::Tensor& to, c10::Storage storage, int64_t offset, c10::IntArrayRef size,
                        c10::IntArrayRef stride) {
  at::native::checkSetStorage(to, storage, offset, size, stride);
  to.unsafeGetTensorImpl()->set_storage_offset(offset);
  at::native::resize_impl_cpu_(to.unsafeGetTensorImpl(), size, stride.data() ? std::optional(stride) : std::nullopt);
  return to;
}

at::Tensor& set_whole_storage(at::Tensor& to, c10::Storage storage) {
  const auto count = static_cast<int64_t>(storage.nbytes() / to.dtype().itemsize());
  return set_storage(to, std::move(storage), 0, {count}, {});
}

at::Tensor& set_tensor(at::Tensor& to, const at::Tensor& from) {
  return set_storage(to, from.storage(), from.storage_offset(), from.sizes(), from.strides());
}

at::Tensor attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                     const std::optional<at::Tensor>& mask, double dropout, bool causal, std::optional<double> scale,
                     bool grouped) {
  auto added = mask;
  if (mask && mask->scalar_type() == at::kBool) {
    added = at::zeros_like(*mask, query.dtype()).masked_fill_(mask->logical_not(), -INFINITY);
  }
  return std::get<0>(at::_scaled_dot_product_attention_math(query, key, value, added, dropout, causal, {}, scale, grouped));
}

bool may_index_from_host(const std::string& name) {
  return name == "aten::index" || name == "aten::index_put_" || name == "aten::_index_put_impl_" || name == "aten::index_put";
}

void look_over(const std::string& name, const at::Tensor& tensor) {
  if (!tensor.defined() || tensor.is_cuda() || tensor.dim() == 0) return;
  TORCH_CHECK(false, "Expected all tensors to be on the same device, but found at least two devices, cuda:0 and ",
              tensor.device(), " (in ", name, ")");
}

// The CPU's kernel for everything else, once the operands are known to lie where a GPU's kernel would want them.
void on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  claim();
  const auto& name = op.schema().name();
  const auto count = op.schema().arguments().size();
  const auto begin = stack->size() - count;
  const bool indexing = may_index_from_host(name);
  for (size_t at = begin; at < stack->size(); ++at) {
    const auto& value = (*stack)[at];
    if (value.isTensor()) look_over(name, value.toTensor());
    if (indexing && at > begin) continue;
    if (value.isTensorList())
      for (const at::Tensor& each : value.toTensorList()) look_over(name, each);
    if (value.isOptionalTensorList())
      for (const std::optional<at::Tensor>& each : value.toOptionalTensorList())
        if (each) look_over(name, *each);
  }
  in_kernel = true;
  struct Leave {
    ~Leave() { in_kernel = false; }
  } leave;
  at::native::cpu_fallback(op, stack);
  ++waiting;
}

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&on_cpu>()); }

TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", empty);
  m.impl("empty_strided", empty_strided);
  m.impl("as_strided", at::native::as_strided_tensorimpl);
  m.impl("view", at::native::view);
  m.impl("_reshape_alias", at::native::_reshape_alias);
  m.impl("resize_", at::native::resize_);
  m.impl("copy_", copy_);
  m.impl("_copy_from", copy_from);
  m.impl("_copy_from_and_resize", copy_from_and_resize);
  m.impl("_local_scalar_dense", local_scalar);
  m.impl("set_.source_Storage_storage_offset", set_storage);
  m.impl("set_.source_Storage", set_whole_storage);
  m.impl("set_.source_Tensor", set_tensor);
}

TORCH_LIBRARY_IMPL(aten, AutogradCUDA, m) { m.impl("scaled_dot_product_attention", attention); }
TORCH_LIBRARY_IMPL(aten, CUDA, m) { m.impl("scaled_dot_product_attention", attention); }

C10_REGISTER_GUARD_IMPL(CUDA, Guard)

}  // namespace

namespace at {
using ::CUDAHooks;
REGISTER_CUDA_HOOKS(CUDAHooks)
}  // namespace at

// All in bytes, 0 for no limit; then how many kernels were waited for, the last ones now.
extern "C" void pretended_limit(int64_t bytes) { limit = bytes; }
extern "C" int64_t pretended_used() { return used; }
extern "C" int64_t pretended_peak() { return peak; }
extern "C" void pretended_forget_peak() { peak = used.load(); }
extern "C" int64_t pretended_synchronize() {
  wait();
  return done;
}
extern "C" int64_t pretended_clock() { return done; }
