/** The enumerations of ternary memory. Their numbers are those that the engine uses. */

/** Where a frame lies: below 16 MiB, below 4 GiB, or from there on. */
export enum Zone {
  DMA,
  Normal,
  High,
}

/** Who uses the memory, from the most to the least privileged. */
export enum Mode {
  Hypervisor,
  Kernel,
  Supervisor,
  User,
}

/** What a page may be used for, a set of bits. */
export enum PageFlags {
  /** What is mapped is present: this one changes nothing. */
  PRESENT = 1,
  WRITABLE = 2,
  EXECUTE = 4,
  USER = 8,
  SUPERVISOR = 16,
  KERNEL_ONLY = 32,
  GLOBAL = 64,
  LARGE = 128,
}

/** What a range of promised pages may be used for, a set of bits. */
export enum MappingFlags {
  READ = 1,
  WRITE = 2,
  EXECUTE = 4,
  STACK = 8,
}
