// The frames of a ternary memory against a map, through all that can be done to a memory as a whole, kills and power cuts included.

import assert from "node:assert/strict";
import type { Memory } from "../bindings/index.js";
import { MemoryPlace } from "../bindings/storage/memory.js";
import { CrashProcess } from "./support/crash-processes.js";
import { Recorder } from "./support/crash-recorder.js";
import { FakeMachine } from "./support/fake-processes.js";
import { fewWindows, openIn, smallLimits } from "./support/memory-site.js";
import { withSeed } from "./support/random.js";
import { SimulatedDisk } from "./support/simulated-disk.js";
import {
  assertFrames,
  type FramesState,
  FramesWork,
  framesDifference,
} from "./support/ternary-memory-model.js";

describe("ternary memory: frames and their model", function () {
  this.timeout(60_000);

  it("through commits, rollbacks, transactions, snapshots, readers, closing and killing", () =>
    withSeed("ternary memory model", (random) => {
      const machine = new FakeMachine();
      const place = new MemoryPlace();
      let process = machine.start();
      const open = (readOnly = false): Memory =>
        openIn(place, "state", readOnly ? machine.start() : process, {
          readOnly,
          limits: smallLimits,
          windowBytes: fewWindows,
        });
      const work = new FramesWork(open(), random);
      work.memory.commit();
      let committed: FramesState = new Map();
      let snapshot: FramesState | null = null;
      const reader = open(true);
      for (let batch = 0; batch < 80; batch++) {
        const { memory } = work;
        for (let i = random.below(25); i > 0; i--) work.step();
        const choice = random.below(12);
        if (choice < 4) {
          memory.commit();
          committed = new Map(work.state);
          reader.refresh();
          assert.equal(framesDifference(reader, committed), null);
        } else if (choice < 6) {
          memory.rollback();
          work.continueWith(committed);
        } else if (choice < 8) {
          committed = new Map(work.state);
          try {
            memory.transaction(() => {
              for (let i = random.below(10); i > 0; i--) work.step();
              if (random.oneIn(2)) throw new RangeError();
            });
            committed = new Map(work.state);
          } catch (error) {
            if (!(error instanceof RangeError)) throw error;
            work.continueWith(committed);
          }
        } else if (choice < 9) {
          if (snapshot === null || random.oneIn(2)) {
            if (snapshot !== null) memory.snapshots.delete("s");
            memory.snapshots.create("s");
            snapshot = committed = new Map(work.state);
          } else {
            memory.snapshots.restore("s");
            committed = snapshot;
            work.continueWith(committed);
          }
        } else if (choice < 10) {
          committed = new Map(work.state);
          memory.close();
          work.continueWith(committed, open());
        } else if (choice < 11) {
          memory.auto.stop();
          machine.kill(process);
          process = machine.start();
          work.continueWith(committed, open());
        }
        if (random.oneIn(3)) assertFrames(work.memory, work.state);
      }
      assertFrames(work.memory, work.state);
      reader.close();
      work.memory.close();
    }));

  it("through power cuts and kills at every call: one of the commits, whole", () =>
    withSeed("ternary memory crashes", (random) => {
      const disk = new SimulatedDisk();
      const limits = { chainSlots: 80, chainCommits: 5, mapNodes: 8 };
      const open = (from: SimulatedDisk) =>
        openIn(from, "state", new CrashProcess(), { limits, windowBytes: fewWindows });
      const work = new FramesWork(open(disk), random);
      work.memory.commit();
      const points: FramesState[] = [new Map()];
      let acknowledged = 0;
      let durable = 0;
      const found = () => ({ durable, acknowledged, last: points.length - 1, created: true });
      const recorder = new Recorder(disk, found, random, 3);
      recorder.watch();
      let looked = 0;
      for (let round = 0; round < 6; round++) {
        for (let i = random.below(20); i > 0; i--) work.step();
        points.push(new Map(work.state));
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
          differences.push(framesDifference(memory, points[point]!));
        assert.ok(differences.includes(null), differences.join("; "));
        assert.deepEqual(memory.check().problems, []);
        memory.close();
      }
      assert.ok(looked > 5, `${looked} states`);
    }));
});
