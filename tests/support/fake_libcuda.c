/* The few functions of NVIDIA's driver library that detection asks, with the answers in environment variables. */
#include <stdlib.h>
#include <string.h>

static int answer(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text ? atoi(text) : otherwise;
}

int cuInit(unsigned flags) { return flags ? 1 : answer("FAKE_CUINIT", 0); }

int cuGetErrorString(int status, const char **text) {
  *text = status == 999 ? "unknown error" : "no CUDA-capable device is detected";
  return 0;
}

int cuDriverGetVersion(int *version) { return *version = answer("FAKE_CUDA", 12060), 0; }
int cuDeviceGetCount(int *count) { return *count = answer("FAKE_COUNT", 1), 0; }
int cuDeviceGet(int *device, int ordinal) { return *device = ordinal, 0; }

int cuDeviceGetName(char *name, int size, int device) {
  (void)device;
  return strncpy(name, "Orin", (size_t)size), 0;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device) {
  (void)device;
  return *bytes = (size_t)7990 << 20, 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  switch (attribute) {
    case 16: return *value = 8, 0;
    case 18: return *value = answer("FAKE_INTEGRATED", 1), 0;
    case 75: return *value = answer("FAKE_MAJOR", 8), 0;
    case 76: return *value = answer("FAKE_MINOR", 7), 0;
    default: return 1;
  }
}
