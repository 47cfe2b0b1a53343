// A bank in a memory: accounts in many blocks and in a region, whose sum never changes, and the number of transfers. A mode decides how transfers are
// committed: "turns" by the end of the event-loop turn (several make one turn), "transactions" each by itself, some of which throw half way.
// Says "o <transfers>" when it has opened the file, "a <transfer>" before a transfer is made and "k <transfer>" when it is committed.
//
//     child-vault.js <path> <seed> <mode>

import { setImmediate as turn } from "node:timers/promises";
import { openSync, PerdureError } from "../../bindings/index.js";
import { say } from "./child-talk.js";
import { Random } from "./random.js";
import { ACCOUNTS, move, openVault } from "./vault.js";

const [path, seed, mode] = process.argv.slice(2);
const random = new Random(Number(seed));
const memory = openSync(path!, { windowBytes: 8 * 40_960, autoCommit: mode === "turns" });
const vault = openVault(memory);
if (mode !== "turns") memory.commit();
else await turn();
say(`o ${vault.transfers}`);

class Refused extends Error {}

for (let transfer = vault.transfers + 1; ; ) {
  const one = () => {
    const [from, to] = [random.below(ACCOUNTS), random.below(ACCOUNTS)];
    move(vault, from, to, random.below(100));
    vault.transfers = transfer;
  };
  say(`a ${transfer}`);
  if (mode === "turns") {
    for (let i = random.below(3); i >= 0; i--) {
      one();
      if (i > 0) say(`a ${++transfer}`);
    }
    const { sequence } = memory;
    while (memory.sequence === sequence) await turn();
  } else {
    try {
      const refuses = random.oneIn(5);
      memory.transaction(
        () => {
          one();
          if (refuses) throw new Refused();
        },
        { durability: random.oneIn(3) ? "flush" : "none" },
      );
    } catch (error) {
      if (error instanceof PerdureError && error.code === "FENCED") process.exit(3);
      if (!(error instanceof Refused)) throw error;
      continue;
    }
  }
  say(`k ${transfer}`);
  transfer++;
  if (random.oneIn(40)) memory.snapshots.create(`s${transfer}`);
  else if (random.oneIn(60)) for (const { name } of memory.snapshots.list()) memory.snapshots.delete(name);
}
