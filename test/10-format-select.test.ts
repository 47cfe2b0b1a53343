// Which superblock a file is read from: every combination of what two slots can hold.

import assert from "node:assert/strict";
import type { Decoded } from "../bindings/format/decoded.js";
import { selectSuperblock } from "../bindings/format/select.js";
import type { Superblock } from "../bindings/format/superblock.js";
import { expectCode } from "./support/expect-code.js";
import { sampleSuperblock } from "./support/format-samples.js";

type Slot = Decoded<Superblock>;

const generation = (value: number, uuid?: Uint8Array): Slot => ({
  ok: true,
  value: sampleSuperblock({ generation: value, ...(uuid && { uuid }) }),
});
const failed = (reason: "foreign" | "version" | "damaged"): Slot => ({
  ok: false,
  reason,
  message: `a message: ${reason}`,
});
const foreign = failed("foreign");
const version = failed("version");
const damaged = failed("damaged");

/** Generations of newest and fallback, or the code. */
function select(slot0: Slot, slot1: Slot): string {
  try {
    const { newest, fallback } = selectSuperblock(slot0, slot1);
    return `${newest.generation}/${fallback?.generation ?? "none"}`;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

describe("format: selection of the superblock", () => {
  it("every pair of states of the slots", () => {
    // Slot 0 belongs to even generations, slot 1 to odd ones; "misplaced" is whole but in the other's slot.
    const slot0s: Record<string, Slot> = {
      whole: generation(4),
      misplaced: generation(5),
      damaged,
      foreign,
      version,
    };
    const slot1s: Record<string, Slot> = {
      whole: generation(5),
      misplaced: generation(4),
      damaged,
      foreign,
      version,
    };
    const found = Object.entries(slot0s).map(([state, slot0]) => [
      state,
      ...Object.values(slot1s).map((slot1) => select(slot0, slot1)),
    ]);
    assert.deepEqual(found, [
      //             whole      misplaced  damaged    foreign    version
      ["whole", "5/4", "4/none", "4/none", "4/none", "VERSION"],
      ["misplaced", "5/none", "CORRUPT", "CORRUPT", "CORRUPT", "VERSION"],
      ["damaged", "5/none", "CORRUPT", "CORRUPT", "CORRUPT", "VERSION"],
      ["foreign", "5/none", "CORRUPT", "CORRUPT", "CORRUPT", "VERSION"],
      ["version", "VERSION", "VERSION", "VERSION", "VERSION", "VERSION"],
    ]);
  });

  it("the greater generation is the newest, in either slot", () => {
    assert.equal(select(generation(4), generation(5)), "5/4");
    assert.equal(select(generation(6), generation(5)), "6/5");
    assert.equal(select(generation(2), generation(1)), "2/1");
    assert.equal(select(generation(2 ** 52), generation(2 ** 52 - 1)), `${2 ** 52}/${2 ** 52 - 1}`);
  });

  it("an older one than the generation before is no fallback", () => {
    assert.equal(select(generation(4), generation(7)), "7/none");
    assert.equal(select(generation(8), generation(5)), "8/none");
  });

  it("superblocks of different files are CORRUPT", () => {
    const other = new Uint8Array(16);
    const error = expectCode("CORRUPT", () => selectSuperblock(generation(4), generation(5, other)));
    assert.match(error.message, /different files/);
  });

  it("messages tell a file that is something else from one that is damaged", () => {
    const message = (slot0: Slot, slot1: Slot, code: "CORRUPT" | "VERSION" = "CORRUPT") =>
      expectCode(code, () => selectSuperblock(slot0, slot1)).message;
    assert.match(message(foreign, foreign), /^not a perdure state file/);
    assert.match(message(damaged, foreign), /slot 0: a message: damaged; slot 1: a message: foreign/);
    assert.match(message(generation(5), damaged), /generation 5 does not belong here/);
    assert.equal(message(generation(4), version, "VERSION"), "a message: version");
  });
});
