// NVIDIA's driver library, as far as cuda.core needs it, for a GPU that is emulated on the processor.
//
// Memory of the device is memory of the process, work is done when it is asked for, and captured work when its graph is
// launched. Kernels are those of emulated_set_kernels. What is missing here is reported by cuda.bindings by
// name. Signatures: https://docs.nvidia.com/cuda/cuda-driver-api/

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

enum Status { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_FOUND = 500, LAUNCH_FAILED = 719 };

using Launcher = const char *(*)(const char *name, unsigned gx, unsigned gy, unsigned gz, unsigned block, void **args);
using Counter = int (*)(const char *name);  // arguments of a kernel, -1 for none of this name
using Work = std::function<int()>;

struct Kernel {
  std::string name;
  int num_arguments;
};
struct Library {
  std::string code;
  std::map<std::string, Kernel> kernels;
};
struct Graph {
  std::vector<Work> work;
};
struct Stream {
  Graph *recording = nullptr;
};
struct Event {
  std::chrono::steady_clock::time_point when;
};
struct LaunchConfig {  // CUlaunchConfig
  unsigned grid_x, grid_y, grid_z, block_x, block_y, block_z, shared_bytes;
  Stream *stream;
  struct Attribute {  // CUlaunchAttribute
    int id;
    char padding[4];
    char value[64];
  } *attributes;
  unsigned num_attributes;
};

int context, pool;
void *current = nullptr;
Launcher launcher = nullptr;
Counter count_arguments = nullptr;
std::string last_failure;
size_t memory_bytes = size_t{1} << 32, allocated_bytes = 0;
unsigned num_overlapping = 0;
int is_integrated = 0;
std::map<void *, size_t> sizes;

int allocate(void **pointer, size_t num_bytes) {
  if (allocated_bytes + num_bytes > memory_bytes) return OUT_OF_MEMORY;
  *pointer = std::aligned_alloc(256, (num_bytes + 255) / 256 * 256);
  std::memset(*pointer, 0xA5, num_bytes);  // memory of a GPU holds what was there before
  sizes[*pointer] = num_bytes;
  allocated_bytes += num_bytes;
  return SUCCESS;
}

int release(void *pointer) {
  if (!sizes.count(pointer)) return INVALID_VALUE;
  allocated_bytes -= sizes[pointer];
  sizes.erase(pointer);
  std::free(pointer);
  return SUCCESS;
}

Graph *recording(Stream *stream) {  // handles up to 2 stand for the default streams
  return reinterpret_cast<uintptr_t>(stream) > 2 ? stream->recording : nullptr;
}

int run(Stream *stream, Work work) {
  if (Graph *graph = recording(stream)) return graph->work.push_back(std::move(work)), SUCCESS;
  return work();
}

}  // namespace

extern "C" {

void emulated_set_kernels(Launcher launch, Counter count) { launcher = launch, count_arguments = count; }
void emulated_set_memory(size_t num_bytes) { memory_bytes = num_bytes; }
void emulated_set_integrated(int shares_memory) { is_integrated = shares_memory; }
size_t emulated_allocated() { return allocated_bytes; }
unsigned emulated_overlapping() { return num_overlapping; }

int cuInit(unsigned) { return SUCCESS; }
int cuDriverGetVersion(int *version) { return *version = 12090, SUCCESS; }

int cuGetErrorName(int status, const char **text) {
  *text = status == OUT_OF_MEMORY ? "CUDA_ERROR_OUT_OF_MEMORY" : "CUDA_ERROR_EMULATED";
  return SUCCESS;
}
int cuGetErrorString(int status, const char **text) {
  *text = status == OUT_OF_MEMORY ? "out of memory" : last_failure.c_str();
  return SUCCESS;
}

int cuDeviceGetCount(int *count) { return *count = 1, SUCCESS; }
int cuDeviceGet(int *device, int ordinal) { return *device = ordinal, SUCCESS; }
int cuDeviceGetName(char *name, int size, int) {
  std::strncpy(name, "Emulated GPU", static_cast<size_t>(size));
  return SUCCESS;
}
int cuDeviceTotalMem_v2(size_t *num_bytes, int) { return *num_bytes = memory_bytes, SUCCESS; }
int cuDeviceGetAttribute(int *value, int attribute, int) {
  const std::map<int, int> known = {{16, 2}, {18, is_integrated}, {75, 9}, {76, 0}, {115, 1}};  // enum CUdevice_attribute
  auto found = known.find(attribute);
  *value = found == known.end() ? 0 : found->second;
  return SUCCESS;
}

int cuDevicePrimaryCtxRetain(void **made, int) { return *made = &context, SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
int cuCtxGetCurrent(void **found) { return *found = current, SUCCESS; }
int cuCtxSetCurrent(void *made) { return current = made, SUCCESS; }
int cuCtxGetDevice(int *device) { return *device = 0, SUCCESS; }
int cuCtxGetStreamPriorityRange(int *least, int *greatest) { return *least = 0, *greatest = -5, SUCCESS; }

int cuStreamCreateWithPriority(Stream **made, unsigned, int) { return *made = new Stream, SUCCESS; }
int cuStreamDestroy_v2(Stream *stream) { return delete stream, SUCCESS; }
int cuStreamSynchronize(Stream *stream) { return recording(stream) ? INVALID_VALUE : SUCCESS; }
int cuStreamGetCtx(Stream *, void **found) { return *found = &context, SUCCESS; }
int cuStreamGetDevice(Stream *, int *device) { return *device = 0, SUCCESS; }
int cuStreamIsCapturing(Stream *stream, int *status) { return *status = recording(stream) != nullptr, SUCCESS; }
int cuStreamGetCaptureInfo_v2(
    Stream *stream, int *status, uint64_t *id, Graph **graph, const void **dependencies, size_t *count) {
  *status = recording(stream) != nullptr;
  if (id != nullptr) *id = 1;
  if (graph != nullptr) *graph = recording(stream);
  if (dependencies != nullptr) *dependencies = nullptr;
  if (count != nullptr) *count = 0;
  return SUCCESS;
}

int cuDeviceGetMemPool(void **found, int) { return *found = &pool, SUCCESS; }
int cuDeviceGetDefaultMemPool(void **found, int) { return *found = &pool, SUCCESS; }
int cuMemPoolGetAttribute(void *, int, void *value) { return *static_cast<uint64_t *>(value) = 0, SUCCESS; }
int cuMemPoolSetAttribute(void *, int, void *) { return SUCCESS; }
int cuMemAllocFromPoolAsync(void **made, size_t num_bytes, void *, Stream *) { return allocate(made, num_bytes); }
int cuMemAllocAsync(void **made, size_t num_bytes, Stream *) { return allocate(made, num_bytes); }
int cuMemAlloc_v2(void **made, size_t num_bytes) { return allocate(made, num_bytes); }
int cuMemFreeAsync(void *pointer, Stream *) { return release(pointer); }
int cuMemFree_v2(void *pointer) { return release(pointer); }
int cuMemAllocHost_v2(void **made, size_t num_bytes) { return allocate(made, num_bytes); }
int cuMemFreeHost(void *pointer) { return release(pointer); }
int cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
  return *free_bytes = memory_bytes - allocated_bytes, *total_bytes = memory_bytes, SUCCESS;
}

int cuMemcpyAsync(void *destination, const void *source, size_t num_bytes, Stream *stream) {
  return run(stream, [=] { return std::memcpy(destination, source, num_bytes), SUCCESS; });
}
int cuMemsetD8Async(void *destination, unsigned char value, size_t count, Stream *stream) {
  return run(stream, [=] { return std::memset(destination, value, count), SUCCESS; });
}

int cuLibraryLoadData(Library **made, const void *code, void *, void *, unsigned, void *, void *, unsigned) {
  if (std::memcmp(code, "\177ELF", 4) != 0) return last_failure = "no ELF file", INVALID_VALUE;
  return *made = new Library{static_cast<const char *>(code), {}}, SUCCESS;
}
int cuLibraryUnload(Library *library) { return delete library, SUCCESS; }
int cuLibraryGetKernel(Kernel **found, Library *library, const char *name) {
  const int num_arguments = count_arguments(name);
  if (num_arguments < 0) return last_failure = std::string("no kernel ") + name, NOT_FOUND;
  library->kernels[name] = Kernel{name, num_arguments};
  return *found = &library->kernels[name], SUCCESS;
}

int cuLaunchKernelEx(const LaunchConfig *config, Kernel *kernel, void **arguments, void **) {
  LaunchConfig at = *config;
  for (unsigned i = 0; i < config->num_attributes; ++i) {
    if (config->attributes[i].id == 6) ++num_overlapping;  // PROGRAMMATIC_STREAM_SERIALIZATION
  }
  if (at.block_y != 1 || at.block_z != 1 || at.shared_bytes != 0) return INVALID_VALUE;
  auto values = std::make_shared<std::vector<uint64_t>>();  // an argument has 4 or 8 bytes, in an allocation of 8 or more
  for (int i = 0; i < kernel->num_arguments; ++i) {
    uint64_t value;
    std::memcpy(&value, arguments[i], sizeof value);
    values->push_back(value);
  }
  return run(config->stream, [=] {
    std::vector<void *> pointers;
    for (uint64_t &value : *values) pointers.push_back(&value);
    const char *failure =
        launcher(kernel->name.c_str(), at.grid_x, at.grid_y, at.grid_z, at.block_x, pointers.data());
    if (failure == nullptr) return SUCCESS;
    last_failure = failure;
    return LAUNCH_FAILED;
  });
}
int cuLaunchKernel(Kernel *kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared_bytes, Stream *stream, void **arguments, void **extra) {
  LaunchConfig config{gx, gy, gz, bx, by, bz, shared_bytes, stream, nullptr, 0};
  return cuLaunchKernelEx(&config, kernel, arguments, extra);
}

int cuStreamBeginCapture_v2(Stream *stream, int) { return stream->recording = new Graph, SUCCESS; }
int cuStreamEndCapture(Stream *stream, Graph **made) {
  *made = stream->recording;
  stream->recording = nullptr;
  return SUCCESS;
}
int cuGraphInstantiateWithParams(Graph **made, Graph *graph, void *) { return *made = new Graph(*graph), SUCCESS; }
int cuGraphInstantiateWithFlags(Graph **made, Graph *graph, uint64_t) { return *made = new Graph(*graph), SUCCESS; }
int cuUserObjectCreate(void **made, void *, void (*)(void *), unsigned, unsigned) { return *made = &context, SUCCESS; }
int cuUserObjectRelease(void *, unsigned) { return SUCCESS; }
int cuGraphRetainUserObject(Graph *, void *, unsigned, unsigned) { return SUCCESS; }
int cuGraphReleaseUserObject(Graph *, void *, unsigned) { return SUCCESS; }
int cuGraphUpload(Graph *, Stream *) { return SUCCESS; }
int cuGraphDestroy(Graph *graph) { return delete graph, SUCCESS; }
int cuGraphExecDestroy(Graph *graph) { return delete graph, SUCCESS; }
int cuGraphLaunch(Graph *graph, Stream *) {
  for (const Work &work : graph->work) {
    if (int status = work()) return status;
  }
  return SUCCESS;
}

int cuEventCreate(Event **made, unsigned) { return *made = new Event, SUCCESS; }
int cuEventRecord(Event *event, Stream *) { return event->when = std::chrono::steady_clock::now(), SUCCESS; }
int cuEventSynchronize(Event *) { return SUCCESS; }
int cuEventQuery(Event *) { return SUCCESS; }
int cuEventDestroy_v2(Event *event) { return delete event, SUCCESS; }
int cuEventElapsedTime(float *milliseconds, Event *began, Event *ended) {
  return *milliseconds = std::chrono::duration<float, std::milli>(ended->when - began->when).count(), SUCCESS;
}

int cuGetProcAddress_v2(const char *symbol, void **found, int, uint64_t, int *status) {
  static void *self = nullptr;
  if (self == nullptr) {
    Dl_info info;
    dladdr(reinterpret_cast<void *>(&cuInit), &info);
    self = dlopen(info.dli_fname, RTLD_NOW | RTLD_NOLOAD);
  }
  *found = dlsym(self, (std::string(symbol) + "_v2").c_str());
  if (*found == nullptr) *found = dlsym(self, symbol);
  if (status != nullptr) *status = *found == nullptr;
  return *found == nullptr ? NOT_FOUND : SUCCESS;
}

}  // extern "C"
