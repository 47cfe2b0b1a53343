// Memories in several processes: a writer that is killed again and again, and readers that look all the while. Whatever is seen is one whole
// commit, and no transfer that was acknowledged is missing.

import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Memory, openSync, PerdureError } from "../bindings/index.js";
import { Child } from "./support/child-run.js";
import { type Random, withSeed } from "./support/random.js";
import { temporaryDirectory } from "./support/temporary-directory.js";
import { openVault, vaultError } from "./support/vault.js";

const DEEP = process.env.PERDURE_DEEP === "1";

interface Counts {
  transfers: number;
  looks: number;
  unacknowledged: number;
}

/** Looks at the newest commit; returns its transfers. */
function look(reader: Memory): number {
  reader.refresh();
  const vault = openVault(reader);
  const { transfers } = vault;
  assert.equal(vaultError(vault), 0n, `the books do not balance after transfer ${transfers}`);
  assert.equal(vault.transfers, transfers);
  return transfers;
}

async function killVault(random: Random, mode: "turns" | "transactions", kills: number): Promise<Counts> {
  const directory = temporaryDirectory();
  const path = join(directory.path, "vault");
  const counts: Counts = { transfers: 0, looks: 0, unacknowledged: 0 };
  let acknowledged = 0;
  let attempted = 0;
  const hear = (line: string) => {
    const [word, number] = line.split(" ");
    if (word === "a") attempted = Number(number);
    else {
      assert.ok(Number(number) >= acknowledged && Number(number) <= Math.max(attempted, acknowledged), line);
      counts.transfers += Number(number) - acknowledged;
      acknowledged = Number(number);
    }
  };
  for (let kill = 0; kill < kills; kill++) {
    const child = new Child("vault", [path, random.bits(32), mode]);
    const first = await child.line();
    assert.ok(first !== null, "the writer has ended by itself");
    hear(first);
    const readers = [openSync(path, { readOnly: true }), openSync(path, { readOnly: true, reserve: 0 })];
    const until = performance.now() + 50 + random.below(150);
    while (performance.now() < until) {
      for (const line of child.takeLines()) hear(line);
      const known = acknowledged;
      for (const reader of readers) {
        if (random.oneIn(3)) continue;
        assert.ok(look(reader) >= known);
        counts.looks++;
      }
      await sleep(1);
    }
    for (const line of await child.killed()) hear(line);
    for (const reader of readers) {
      assert.ok(look(reader) >= acknowledged);
      reader.close();
    }
    if (random.oneIn(3)) continue;
    const memory = openSync(path, { autoCommit: false });
    const vault = openVault(memory);
    const { transfers } = vault;
    assert.equal(vaultError(vault), 0n);
    assert.ok(transfers >= acknowledged && transfers <= Math.max(attempted, acknowledged));
    if (transfers > acknowledged) counts.unacknowledged++;
    acknowledged = transfers;
    attempted = transfers;
    assert.deepEqual(memory.check({ all: true }).problems, []);
    memory.close();
  }
  assert.ok(existsSync(path));
  directory.remove();
  return counts;
}

describe("memories in several processes", function () {
  this.timeout(DEEP ? 3_600_000 : 60_000);

  for (const mode of ["transactions", "turns"] as const) {
    it(`a bank that is killed, with ${mode}`, () =>
      withSeed(`memory kill ${mode}`, async (random) => {
        const counts = await killVault(random, mode, DEEP ? 150 : 3);
        assert.ok(counts.transfers > 0 && counts.looks > 0);
        if (DEEP) console.log(`      ${mode}: ${JSON.stringify(counts)}`);
      }));
  }

  it("one writes, all others are refused", async () => {
    const directory = temporaryDirectory();
    const path = join(directory.path, "vault");
    const child = new Child("vault", [path, 1, "transactions"]);
    await child.expect("o");
    assert.throws(
      () => openSync(path),
      (error) => error instanceof PerdureError && error.code === "LOCKED",
    );
    const taken = openSync(path, { takeover: true, autoCommit: false });
    assert.equal(vaultError(openVault(taken)), 0n);
    const { code } = await child.ended;
    assert.equal(code, 3);
    taken.close();
    directory.remove();
  });
});
