// A bank: accounts in many blocks whose sum never changes, and in block 0 the number of transfers. Each commit moves money between a few
// accounts of several blocks. Says "o <transfers>" when it has opened the file, "a <transfer>" and "k <transfer>" around each commit.
//
//     child-bank.js <directory> <seed> <chain slots> <kill at call, or 0>

import { WasmHasher } from "../../bindings/hash/wasm-hasher.js";
import { openPager } from "../../bindings/pager/open.js";
import { NodePlace } from "../../bindings/storage/node.js";
import { NodeProcesses } from "../../bindings/storage/node-processes.js";
import { ACCOUNT_BLOCKS, ACCOUNTS_PER_BLOCK, OPENING_BALANCE, readBank } from "./child-ledger.js";
import { BLOCK_BYTES } from "./child-model.js";
import { WatchedPlace } from "./child-place.js";
import { say } from "./child-talk.js";
import { Random } from "./random.js";

const directory = process.argv[2];
const [seed, chainSlots, killAt] = process.argv.slice(3).map(Number);
let calls = 0;
const place = new WatchedPlace(new NodePlace(directory), () => {
  if (++calls === killAt) process.kill(process.pid, "SIGKILL");
});
const limits = { chainSlots, chainCommits: 50 };
const pager = openPager(place, "bank", WasmHasher.create(), new NodeProcesses(directory), { limits });

if (!pager.has(0)) {
  const blocks = new Float64Array(((1 + ACCOUNT_BLOCKS) * BLOCK_BYTES) / 8).fill(OPENING_BALANCE);
  blocks.fill(0, 0, BLOCK_BYTES / 8);
  pager.commit([{ block: 0, count: 1 + ACCOUNT_BLOCKS, bytes: new Uint8Array(blocks.buffer) }]);
}
const { bytes, balances, transfers } = readBank(pager);
say(`o ${transfers}`);

const random = new Random(seed);
for (let transfer = transfers + 1; ; transfer++) {
  say(`a ${transfer}`);
  const changed = new Set([0]);
  for (let moves = 1 + random.below(4); moves > 0; moves--) {
    const amount = random.below(100);
    for (const signed of [-amount, amount]) {
      const account = random.below(ACCOUNT_BLOCKS * ACCOUNTS_PER_BLOCK);
      balances[ACCOUNTS_PER_BLOCK + account] += signed;
      changed.add(1 + Math.floor(account / ACCOUNTS_PER_BLOCK));
    }
  }
  balances[0] = transfer;
  const changes = [...changed].map((block) => ({
    block,
    count: 1,
    bytes: bytes.subarray(block * BLOCK_BYTES, (block + 1) * BLOCK_BYTES),
  }));
  pager.commit(changes, random.oneIn(3));
  say(`k ${transfer}`);
}
