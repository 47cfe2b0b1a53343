import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Child, untilState } from "./support/child-run.js";
import { expectCode } from "./support/expect-code.js";
import { States } from "./support/memory-states.js";

const program = fileURLToPath(new URL("support/child-memory.js", import.meta.url));

describe("memory: the end of a process", function () {
  this.timeout(60_000);
  const states = States.forEachTest();

  /** Runs a scene in a process of its own; what is then in the file, and the exit code. */
  function play(scene: string): { code: number | null; value: number | undefined } {
    const path = states.path(`${scene}.state`);
    const { status } = spawnSync(process.execPath, [program, path, scene], { stdio: "ignore" });
    const memory = states.open({}, `${scene}.state`);
    return { code: status, value: memory.roots.get("p")?.u32 };
  }

  for (const [scene, code, value] of [
    ["end", 0, 1],
    ["exit 0", 0, 1],
    ["exit with a view", 0, 50],
    ["exit 1", 1, undefined],
    ["throws", 1, undefined],
    ["rejects", 1, undefined],
    ["no auto-commit", 0, undefined],
    ["exit inside a transaction", 0, 1],
    ["exit while held", 0, 1],
    ["exit suspended", 0, 1],
    ["exit without room", 1, undefined],
  ] as const) {
    it(`${scene}: ${value === undefined ? "the last commit" : "what was written"} is in the file`, () => {
      assert.deepEqual(play(scene), { code, value });
    });
  }

  it("every memory that is open is committed", () => {
    assert.deepEqual(play("exit of two"), { code: 0, value: 1 });
    assert.equal(states.open({}, "exit of two.state-2").roots.get("p")!.u32, 2);
  });

  (process.platform === "win32" ? it.skip : it)(
    "a stopped owner is LOCKED out by a takeover: FENCED",
    async () => {
      const child = new Child("memory", [states.path(), "writer"]);
      try {
        await child.expect("ready");
        child.send("write");
        await child.expect("committed");
        const locked = expectCode("LOCKED", () => states.open());
        assert.match(locked.message, new RegExp(`process ${child.pid}\\b`));
        child.kill("SIGSTOP");
        await untilState(child.pid, "T");
        expectCode("LOCKED", () => states.open());
        const memory = states.open({ takeover: true });
        const p = memory.roots.get("p")!;
        assert.equal(p.u32, 2);
        p.u32 = 100;
        memory.commit();
        child.kill("SIGCONT");
        child.send("write");
        await child.expect("FENCED");
        child.send("write");
        await child.expect("FENCED");
        p.u32++;
        memory.commit();
        memory.close();
        assert.equal(states.open().roots.get("p")!.u32, 101);
      } finally {
        await child.killed();
      }
    },
  );

  it("one process has it open for writing once", () => {
    const memory = states.open();
    const error = expectCode("LOCKED", () => states.open());
    assert.match(error.message, /this process/);
    memory.close();
    states.open();
  });
});
