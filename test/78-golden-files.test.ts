// State files that earlier versions have written are read, written and accounted for. The files are never written again: their digests are here.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gunzipSync } from "node:zlib";
import { openSync } from "../bindings/index.js";
import { checkContent } from "./support/golden-content.js";
import { independentReader } from "./support/independent-reader.js";
import { type TemporaryDirectory, temporaryDirectory } from "./support/temporary-directory.js";

const golden = fileURLToPath(new URL("../../test/golden/", import.meta.url));

/** SHA-256 of the state file itself. */
const files: Record<string, string> = {
  "format-1.0-closed": "c42a531c4d9740718bb659ccd92230b11fa945aa870a2155a22589bdee498760",
  "format-1.0-running": "e9f7f9f5d8855636c7ae42ad1f59537c4fc0f39174567953c811bc2bed4f5f4f",
};

const readState = await independentReader();

const stateOf = (name: string): Buffer => gunzipSync(readFileSync(join(golden, `${name}.state.gz`)));

describe("golden files", () => {
  let directory: TemporaryDirectory;
  let path: string;

  beforeEach(() => {
    directory = temporaryDirectory();
    path = join(directory.path, "golden.state");
  });
  afterEach(() => directory.remove());

  it("are those that are listed, and as they were written", () => {
    assert.deepEqual(
      readdirSync(golden).sort(),
      Object.keys(files)
        .map((name) => `${name}.state.gz`)
        .sort(),
    );
    for (const [name, digest] of Object.entries(files))
      assert.equal(createHash("sha256").update(stateOf(name)).digest("hex"), digest, name);
  });

  for (const name of Object.keys(files)) {
    describe(name, () => {
      beforeEach(() => writeFileSync(path, stateOf(name)));

      it("is read without being changed", () => {
        const before = readFileSync(path);
        const memory = openSync(path, { readOnly: true });
        checkContent(memory, 3);
        const first = memory.snapshots.open("first");
        checkContent(first, 1);
        first.close();
        memory.close();
        assert.ok(readFileSync(path).equals(before));
      });

      it("is opened, changed, and opened again", () => {
        const memory = openSync(path);
        checkContent(memory, 3);
        assert.deepEqual(
          memory.snapshots.list().map(({ name }) => name),
          ["first"],
        );
        const counter = memory.roots.get("counter");
        assert.ok(counter);
        counter.u64 = 4n;
        memory.commit();
        memory.snapshots.restore("first");
        memory.close();
        const again = openSync(path);
        checkContent(again, 1);
        assert.deepEqual(again.check({ all: true }).problems, []);
        again.close();
      });

      it("is what the format document says", () => {
        const state = readState(Uint8Array.from(stateOf(name)));
        assert.deepEqual(state.misaccounted, []);
        const memory = openSync(path, { readOnly: true });
        assert.equal(state.sequence, memory.sequence);
        assert.deepEqual([...state.snapshots.keys()], ["first"]);
        const bytes = new Uint8Array(4096);
        for (const [block, expected] of state.blocks) {
          memory.origin.source.read(block, 1, bytes);
          assert.ok(Buffer.compare(bytes, expected) === 0, `block ${block}`);
        }
        memory.close();
      });
    });
  }
});
