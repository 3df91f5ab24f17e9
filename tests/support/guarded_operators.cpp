// What the guarded device computes with: LibTorch's operators for the CPU, called on CPU tensors over the
// same bytes. One boxed fallback serves all but a few: at::native::cpu_fallback would copy, could make no
// views, and would hide what overlaps.
#include <cstring>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <torch/library.h>

#include "support/guarded_counts.hpp"
#include "support/guarded_memory.hpp"

namespace guarded {
namespace {

using Names = std::set<std::string>;

const c10::DispatchKeySet kKeys(c10::DispatchKey::PrivateUse1);

c10::Allocator* allocator() {
  return c10::GetAllocator(c10::DeviceType::PrivateUse1);
}

bool on_device(const at::Tensor& tensor) {
  return tensor.defined() && tensor.device() == device();
}

/// A tensor of the shape of `like` on the CPU or the device, made for inference exactly where `like` is, as
/// views have to be.
at::Tensor tensor_over(const c10::Storage& storage, bool on_cpu, const at::Tensor& like) {
  c10::DispatchKeySet keys = on_cpu ? c10::DispatchKeySet(c10::DispatchKey::CPU) : kKeys;
  const auto backend = on_cpu ? c10::BackendComponent::CPUBit : c10::BackendComponent::PrivateUse1Bit;
  // The constructor for views adds no keys of autograd.
  if (!like.is_inference()) keys = keys | c10::getAutogradRelatedKeySetFromBackend(backend);
  at::Tensor made = at::detail::make_tensor<c10::TensorImpl>(c10::TensorImpl::VIEW, c10::Storage(storage),
                                                             keys, like.dtype());
  made.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(), like.storage_offset());
  made._set_conj(like.is_conj());
  made._set_neg(like.is_neg());
  return made;
}

/// One call's tensors as the CPU's operator gets them. Equal tensors and storages stay equal, so that it sees
/// overlaps.
class HostView {
 public:
  /// `opened`: for an operator that looks at values.
  explicit HostView(bool opened) : opens_(opened) {}
  ~HostView() { close(); }
  HostView(const HostView&) = delete;
  HostView& operator=(const HostView&) = delete;

  c10::Storage storage(const c10::Storage& of_device) {
    StoragePair& pair = storages_[of_device.unsafeGetStorageImpl()];
    if (!pair.host) {
      void* const data = of_device.mutable_data();
      if (opens_ && Memory::instance().open(data)) open_.push_back(data);
      pair = {of_device, c10::Storage(c10::Storage::use_byte_size_t(), of_device.nbytes(),
                                      c10::DataPtr(data, at::kCPU), c10::GetAllocator(at::kCPU), true)};
    }
    return pair.host;
  }

  at::Tensor tensor(const at::Tensor& given) {
    if (!on_device(given)) return given;
    auto& [of_device, host] = tensors_[given.unsafeGetTensorImpl()];
    if (!host.defined()) {
      of_device = given;
      host = tensor_over(storage(given.storage()), true, given);
    }
    return host;
  }

  /// After the call: closes the pages, and follows where it has resized or set an argument.
  void finish() {
    close();
    for (auto& [impl, pair] : storages_) {
      if (pair.host.data() == pair.of_device.data()) continue;
      pair.of_device.set_data_ptr_noswap(copied(pair.host));
      pair.of_device.set_nbytes(pair.host.nbytes());
    }
    for (auto& [impl, pair] : tensors_) {
      const auto& [of_device, host] = pair;
      const c10::Storage own = device_storage(host.storage());
      if (own.unsafeGetStorageImpl() != of_device.storage().unsafeGetStorageImpl())
        impl->set_storage_keep_dtype(own);
      if (host.sizes() != of_device.sizes() || host.strides() != of_device.strides() ||
          host.storage_offset() != of_device.storage_offset())
        impl->set_sizes_and_strides(host.sizes(), host.strides(), host.storage_offset());
    }
  }

  /// A result on the device: the argument itself, a view of one, or a copy of what is new.
  at::Tensor result(const at::Tensor& made) {
    if (!made.defined() || !made.is_cpu()) return made;
    for (const auto& [impl, pair] : tensors_)
      if (pair.second.is_same(made)) return pair.first;
    return tensor_over(device_storage(made.storage()), false, made);
  }

 private:
  struct StoragePair {
    c10::Storage of_device, host;
  };

  void close() {
    for (const void* address : open_) Memory::instance().close(address);
    open_.clear();
  }

  static c10::DataPtr copied(const c10::Storage& host) {
    c10::DataPtr data = allocator()->allocate(host.nbytes());
    const Opened opened({data.get()});
    if (data) std::memcpy(data.get(), host.data(), host.nbytes());
    return data;
  }

  c10::Storage device_storage(const c10::Storage& host) {
    for (const auto& [impl, pair] : storages_)
      if (pair.host.unsafeGetStorageImpl() == host.unsafeGetStorageImpl()) return pair.of_device;
    const c10::Storage fresh(c10::Storage::use_byte_size_t(), host.nbytes(), copied(host), allocator(), true);
    storages_[fresh.unsafeGetStorageImpl()] = {fresh, host};
    return fresh;
  }

  const bool opens_;
  std::vector<const void*> open_;
  std::unordered_map<c10::StorageImpl*, StoragePair> storages_;
  std::unordered_map<c10::TensorImpl*, std::pair<at::Tensor, at::Tensor>> tensors_;  // device, host
};

/// Throws unless the tensor is on the device, or is one that CUDA takes from the host too.
void require_on_device(const c10::OperatorHandle& op, const c10::Argument& argument,
                       const at::Tensor& tensor) {
  if (!tensor.defined() || on_device(tensor)) return;
  static const Names take_number{"aten::where", "aten::fill_", "aten::masked_fill_", "aten::index_put_",
                                 "aten::_index_put_impl_"};
  const std::string& name = op.operator_name().name;
  const bool number = tensor.dim() == 0 && (op.hasTag(at::Tag::pointwise) || take_number.contains(name));
  const bool written = argument.alias_info() && argument.alias_info()->isWrite();
  const bool index = argument.name() == "indices";
  TORCH_CHECK(!written && tensor.is_cpu() && (index || number), "guarded device: ", op.operator_name(), ": '",
              argument.name(), "' ", tensor.sizes(), " is on ", tensor.device(), ", not on ", device());
  if (index) count_upload();
}

/// Counts a call; true where it only looks, and opens no memory.
bool counted_as_view(const c10::OperatorHandle& op) {
  static const Names sized_by_values{"aten::nonzero", "aten::masked_select", "aten::_unique2",
                                     "aten::unique_dim", "aten::bincount"};
  const auto& returns = op.schema().returns();
  bool views = !returns.empty(), numbers = !returns.empty();  // all results are
  for (const c10::Argument& result : returns) {
    views = views && result.alias_info() && !result.alias_info()->isWrite();
    const auto kind = result.type()->kind();
    numbers = numbers && kind != c10::TypeKind::TensorType && kind != c10::TypeKind::ListType;
  }
  const std::string name = c10::toString(op.operator_name());
  if (views) {
    count_view();
  } else if (op.operator_name().name != "aten::_local_scalar_dense") {  // that is item(): a copy to the host
    count_operator(name);
  }
  if (numbers || sized_by_values.contains(op.operator_name().name)) count_sync(name);
  return views;
}

/// The argument as the CPU's operator gets it.
c10::IValue on_host(HostView& host, const c10::OperatorHandle& op, const c10::Argument& argument,
                    const c10::IValue& value) {
  const auto seen = [&](const at::Tensor& tensor) {
    require_on_device(op, argument, tensor);
    return host.tensor(tensor);
  };
  if (value.isTensor()) return seen(value.toTensor());
  if (value.isTensorList()) {
    c10::List<at::Tensor> list;
    for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(seen(tensor));
    return list;
  }
  if (value.isOptionalTensorList()) {
    c10::List<std::optional<at::Tensor>> list;
    for (const auto& tensor : value.toOptionalTensorVector())
      list.push_back(tensor ? std::optional(seen(*tensor)) : std::nullopt);
    return list;
  }
  if (value.isStorage() && value.toStorage().device() == device()) return host.storage(value.toStorage());
  if (value.isDevice()) return c10::Device(at::kCPU);
  return value;
}

c10::IValue on_device(HostView& host, const c10::IValue& value) {
  if (value.isTensor()) return host.result(value.toTensor());
  if (!value.isTensorList()) return value;
  c10::List<at::Tensor> list;
  for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(host.result(tensor));
  return list;
}

void fallback(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  const std::vector<c10::Argument>& arguments = op.schema().arguments();
  HostView host(!counted_as_view(op));
  auto value = stack->end() - static_cast<std::ptrdiff_t>(arguments.size());
  for (const c10::Argument& argument : arguments) {
    *value = on_host(host, op, argument, *value);
    ++value;
  }
  {
    const at::AutoDispatchBelowADInplaceOrView below;
    op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), stack);
  }
  host.finish();
  const auto results = static_cast<std::ptrdiff_t>(op.schema().returns().size());
  for (auto result = stack->end() - results; result != stack->end(); ++result)
    *result = on_device(host, *result);
}

at::Tensor empty(c10::IntArrayRef size, std::optional<c10::ScalarType> type, std::optional<c10::Layout>,
                 std::optional<c10::Device>, std::optional<bool>, std::optional<c10::MemoryFormat> format) {
  return at::detail::empty_generic(size, allocator(), kKeys, c10::dtype_or_default(type), format);
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride, std::optional<c10::ScalarType> type,
                         std::optional<c10::Layout>, std::optional<c10::Device>, std::optional<bool>) {
  return at::detail::empty_strided_generic(size, stride, allocator(), kKeys, c10::dtype_or_default(type));
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  if (!on_device(to)) {
    count_sync("device to host");
  } else if (on_device(from)) {
    count_operator("aten::copy_");
  } else {
    count_upload();
  }
  HostView host(true);
  const at::AutoDispatchBelowADInplaceOrView below;
  host.tensor(to).copy_(host.tensor(from));
  return to;
}

at::Tensor copy_from_and_resize(const at::Tensor& from, const at::Tensor& to) {
  return copy_from(from, to.resize_(from.sizes()), false);
}

void record_stream(at::Tensor&, c10::Stream) {}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&fallback>());
}
TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", &empty);
  m.impl("empty_strided", &empty_strided);
  m.impl("_copy_from", &copy_from);
  m.impl("_copy_from_and_resize", &copy_from_and_resize);
  m.impl("record_stream", &record_stream);
  // For other devices, LibTorch throws at the first two and takes the others apart, as it does not on GPUs.
  for (const char* name : {"convolution", "convolution_backward", "native_group_norm",
                           "native_group_norm_backward", "native_layer_norm", "native_layer_norm_backward"})
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&fallback>());
}
// Without these, copying a conjugated view calls itself without end.
TORCH_LIBRARY_IMPL(aten, Conjugate, m) {
  m.impl("_copy_from", torch::CppFunction::makeFallthrough());
}
TORCH_LIBRARY_IMPL(aten, Negative, m) {
  m.impl("_copy_from", torch::CppFunction::makeFallthrough());
}

}  // namespace
}  // namespace guarded
