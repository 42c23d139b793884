/* Stands in for NVIDIA's driver library: one GPU, seen by the real binding (nvidia-ml-py).
   Only what the sensor and the doctor ask; the structures are those of nvml.h. Energy grows by 50 J a call. */

#include <string.h>
#include <unistd.h>

enum { SUCCESS = 0, NOT_SUPPORTED = 3, INSUFFICIENT_SIZE = 7, GPU_IS_LOST = 15 };

struct utilisation { unsigned gpu, memory; };
struct memory { unsigned long long total, free, used; };
struct process { unsigned pid; unsigned long long used; unsigned instance, compute; };

static int energy_lost = 0, lost = 0;
static unsigned other_process = 0;
static char gpu;

void lose_energy(void) { energy_lost = 1; }
void lose_gpu(void) { lost = 1; }
void let_compute(unsigned pid) { other_process = pid; }

int nvmlInitWithFlags(unsigned flags) { return SUCCESS; }
int nvmlInit_v2(void) { return SUCCESS; }
int nvmlShutdown(void) { return SUCCESS; }
const char *nvmlErrorString(int result) { return "stand-in error"; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 1; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = &gpu; return SUCCESS; }
int nvmlDeviceGetName(void *device, char *name, unsigned length) {
  strncpy(name, "Stand-In 3000", length);
  return SUCCESS;
}
int nvmlSystemGetDriverVersion(char *version, unsigned length) {
  strncpy(version, "580.82.07", length);
  return SUCCESS;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 13000; return SUCCESS; }
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) {
  *major = 8;
  *minor = 9;
  return SUCCESS;
}
int nvmlDeviceGetMemoryInfo(void *device, struct memory *found) {
  found->total = 24ull << 30;
  return SUCCESS;
}
int nvmlDeviceGetPowerManagementLimit(void *device, unsigned *milliwatts) { *milliwatts = 300000; return SUCCESS; }
int nvmlDeviceGetEnforcedPowerLimit(void *device, unsigned *milliwatts) { *milliwatts = 80000; return SUCCESS; } /* as a hot notebook's */
int nvmlDeviceGetMaxPcieLinkGeneration(void *device, unsigned *generation) { *generation = 4; return SUCCESS; }
int nvmlDeviceGetCurrPcieLinkWidth(void *device, unsigned *width) { return NOT_SUPPORTED; } /* as a virtual one */
int nvmlDeviceGetTotalEnergyConsumption(void *device, unsigned long long *millijoules) {
  static unsigned long long total = 7000000;
  *millijoules = total += 50000;
  return energy_lost || lost ? GPU_IS_LOST : SUCCESS;
}
int nvmlDeviceGetPowerUsage(void *device, unsigned *milliwatts) {
  *milliwatts = 215500;
  return lost ? GPU_IS_LOST : SUCCESS;
}
int nvmlDeviceGetTemperature(void *device, int sensor, unsigned *celsius) {
  *celsius = 71;
  return lost ? GPU_IS_LOST : SUCCESS;
}
int nvmlDeviceGetClockInfo(void *device, int type, unsigned *mhz) {
  return NOT_SUPPORTED;
}
int nvmlDeviceGetUtilizationRates(void *device, struct utilisation *rates) {
  rates->gpu = 93;
  rates->memory = 40;
  return lost ? GPU_IS_LOST : SUCCESS;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *device, unsigned long long *reasons) {
  *reasons = 0x4 | 0x20; /* power limit, and software slowdown because of heat */
  return lost ? GPU_IS_LOST : SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v3(void *device, unsigned *count, struct process *found) {
  if (lost) return GPU_IS_LOST;
  if (*count < 2) {
    *count = 2;
    return INSUFFICIENT_SIZE;
  }
  *count = 2;
  found[0] = (struct process){(unsigned)getpid(), 512ull << 20, 0, 0};
  found[1] = (struct process){other_process, 1ull << 30, 0, 0};
  return SUCCESS;
}
