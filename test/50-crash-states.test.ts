// Crashes at every boundary of seeded workloads: what is left opens as exactly one commit.

import { CrashCounts, Explorer, explain } from "./support/crash-explorer.js";
import { History } from "./support/crash-oracle.js";
import { Workload } from "./support/crash-workloads.js";
import { withSeed } from "./support/random.js";
import { SimulatedDisk } from "./support/simulated-disk.js";

describe("crash states of the pager", () => {
  it("every boundary of a workload", () =>
    withSeed("crash at every boundary", async (random) => {
      const counts = new CrashCounts();
      const begin = performance.now();
      while (performance.now() - begin < 6000) {
        const disk = new SimulatedDisk();
        const history = new History();
        const workload = new Workload(disk, history, random);
        const explorer = new Explorer(disk, history, { random }, counts);
        explorer.watch();
        const steps: string[] = [];
        try {
          workload.open();
          for (let i = 0; i < 40; i++) {
            await workload.step((name) => steps.push(name));
            explorer.explore();
          }
        } catch (error) {
          explain(error, steps.join(", "));
        }
      }
      console.log(counts.line(), performance.now() - begin);
    })).timeout(100000);
});
