// Ternary memory, broken on purpose: as in pager.ts. Those of assembly/ are compiled anew.

import type { Mutant } from "./pager.js";

const FRAMES = "16-ternary-frames";
const SURFACE = "75-ternary-frames";

export const ternaryMutants: readonly Mutant[] = [
  {
    name: "frame-not-cleared",
    broken: "a frame that was in use before is cleared",
    file: "assembly/page/physical.ts",
    find: "index < min(end, first + count); index++",
    replace: "index < min(end, first + count - 1); index++",
    killedBy: FRAMES,
    title: "few windows",
  },
  {
    name: "frame-freed-while-mapped",
    broken: "a frame is free when nobody needs it, holder or entry",
    file: "assembly/frame/owners.ts",
    find: "  return mappings == 0;",
    replace: "  return mappings < 2;",
    killedBy: FRAMES,
    title: "few windows",
  },
  {
    name: "frame-high-owner-words",
    broken: "owner words of high frames pass from cluster to cluster",
    file: "assembly/page/region-record.ts",
    find: "((index - cluster * CLUSTER_WORDS) << 2)",
    replace: "((index & 8191) << 2)",
    killedBy: "75-ternary-frames",
    title: "owners of their own",
  },
  {
    name: "frame-unaligned",
    broken: "a large page begins at a multiple of three, of frame numbers",
    file: "assembly/page/physical.ts",
    find: "<u32>(place.first % align)",
    replace: "<u32>(place.first % 1)",
    killedBy: FRAMES,
    title: "small region",
  },
  {
    name: "frame-guard-of-another",
    broken: "a guard whose frame a rollback took away gives nothing back",
    file: "bindings/engine.ts",
    find: "      for (const call of this.resumed) call();\n",
    replace: "",
    killedBy: SURFACE,
    title: "guard",
  },
  {
    name: "frame-across-zones",
    broken: "a region is cut where zones meet",
    file: "bindings/api/ternary/regions.ts",
    find: "const DMA_END = Math.floor(DMA_BYTES / FRAME_BYTES);",
    replace: "const DMA_END = Math.ceil(DMA_BYTES / FRAME_BYTES);",
    killedBy: SURFACE,
    title: "zones meet",
  },
];
