// Address spaces against their model, through all that can be done to a memory as a whole, kills and power cuts included.

import assert from "node:assert/strict";
import type { Memory } from "../bindings/index.js";
import { MemoryPlace } from "../bindings/storage/memory.js";
import { CrashProcess } from "./support/crash-processes.js";
import { Recorder } from "./support/crash-recorder.js";
import { FakeMachine } from "./support/fake-processes.js";
import { fewWindows, openIn, smallLimits } from "./support/memory-site.js";
import type { PagesModel } from "./support/pages-model.js";
import { withSeed } from "./support/random.js";
import { SimulatedDisk } from "./support/simulated-disk.js";
import { emptyModel, SpacesWork, spacesDifference } from "./support/spaces-work.js";

const DEEP = process.env.PERDURE_DEEP === "1";

describe("ternary memory: spaces and their model", function () {
  this.timeout(DEEP ? 3_600_000 : 60_000);

  it("through commits, rollbacks, transactions, snapshots, readers, closing and killing", () =>
    withSeed("ternary spaces model", (random) => {
      const machine = new FakeMachine();
      const place = new MemoryPlace();
      let process = machine.start();
      const open = (readOnly = false): Memory =>
        openIn(place, "state", readOnly ? machine.start() : process, {
          readOnly,
          limits: smallLimits,
          windowBytes: fewWindows,
        });
      const work = new SpacesWork(open(), random);
      work.memory.commit();
      let committed = emptyModel();
      let snapshot: PagesModel | null = null;
      const reader = open(true);
      const check = (memory: Memory, model: PagesModel) => {
        assert.equal(spacesDifference(memory, model), null);
        assert.deepEqual(memory.check().problems, []);
      };
      for (let batch = 0; batch < (DEEP ? 20_000 : 110); batch++) {
        const { memory } = work;
        for (let i = random.below(30); i > 0; i--) work.step();
        const choice = random.below(12);
        if (choice < 4) {
          memory.commit();
          committed = work.model.clone();
          reader.refresh();
          assert.equal(spacesDifference(reader, committed), null);
        } else if (choice < 6) {
          memory.rollback();
          work.continueWith(committed);
        } else if (choice < 8) {
          committed = work.model.clone();
          try {
            memory.transaction(() => {
              for (let i = random.below(10); i > 0; i--) work.step();
              if (random.oneIn(2)) throw new RangeError();
            });
            committed = work.model.clone();
          } catch (error) {
            if (!(error instanceof RangeError)) throw error;
            work.continueWith(committed);
          }
        } else if (choice < 9) {
          if (snapshot === null || random.oneIn(2)) {
            if (snapshot !== null) memory.snapshots.delete("s");
            memory.snapshots.create("s");
            snapshot = committed = work.model.clone();
          } else {
            memory.snapshots.restore("s");
            committed = snapshot;
            work.continueWith(committed);
          }
        } else if (choice < 10) {
          committed = work.model.clone();
          memory.close();
          work.continueWith(committed, open());
        } else if (choice < 11) {
          memory.auto.stop();
          machine.kill(process);
          process = machine.start();
          work.continueWith(committed, open());
        }
        check(work.memory, work.model);
      }
      assert.ok(work.model.spaces.size > 0);
      reader.close();
      work.memory.close();
    }));

  it("through power cuts and kills at every call: one of the commits, whole", () =>
    withSeed("ternary spaces crashes", (random) => {
      const disk = new SimulatedDisk();
      const limits = { chainSlots: 80, chainCommits: 5, mapNodes: 8 };
      const open = (from: SimulatedDisk) =>
        openIn(from, "state", new CrashProcess(), { limits, windowBytes: fewWindows });
      const work = new SpacesWork(open(disk), random);
      work.memory.commit();
      const points = [emptyModel()];
      let acknowledged = 0;
      let durable = 0;
      const found = () => ({ durable, acknowledged, last: points.length - 1, created: true });
      const recorder = new Recorder(disk, found, random, 3);
      recorder.watch();
      let looked = 0;
      for (let round = 0; round < (DEEP ? 2000 : 8); round++) {
        for (let i = random.below(25); i > 0; i--) work.step();
        points.push(work.model.clone());
        const isFlushed = random.oneIn(2);
        work.memory.commit({ durability: isFlushed ? "flush" : "none" });
        acknowledged = points.length - 1;
        if (isFlushed) durable = acknowledged;
        const { instants, cutWrites } = recorder.take();
        for (const instant of cutWrites)
          look(instant.disk, instant.expectation.acknowledged, instant.expectation.last);
        for (const { disk: left, expectation } of instants) {
          for (const state of left.crashStates({ random, samples: 2, exhaustiveLimit: 2 }))
            look(state, expectation.durable, expectation.last);
          look(left, expectation.acknowledged, expectation.last);
        }
      }
      function look(left: SimulatedDisk, from: number, last: number): void {
        looked++;
        const memory = open(left);
        const differences: (string | null)[] = [];
        for (let point = last; point >= from; point--)
          differences.push(spacesDifference(memory, points[point]!));
        assert.ok(differences.includes(null), differences.join("; "));
        assert.deepEqual(memory.check().problems, []);
        memory.close();
      }
      assert.ok(looked > 5, `${looked} states`);
    }));
});
