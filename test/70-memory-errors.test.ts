import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ErrorCode, errorTable, PerdureError } from "../bindings/index.js";
import { ERRORS_PATH, errorReference } from "../scripts/error-reference.js";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** A test file that expects the code, for each. */
const THROWN_IN: { readonly [code in ErrorCode]: string } = {
  OUT_OF_MEMORY: "70-memory-alloc",
  INVALID_ALIGNMENT: "70-memory-alloc",
  INVALID_ADDRESS: "70-memory-access",
  INVALID_ARGUMENT: "70-memory-alloc",
  DOUBLE_FREE: "70-memory-alloc",
  ADDRESS_NOT_MAPPED: "77-ternary-spaces",
  ALREADY_MAPPED: "77-ternary-spaces",
  PERMISSION_DENIED: "75-ternary-frames",
  LOCKED: "70-memory-exit",
  FENCED: "70-memory-exit",
  STALE: "40-pager-readers",
  SUSPENDED: "70-memory-commits",
  CORRUPT: "70-memory-readers",
  VERSION: "70-memory-files",
  NO_SPACE: "70-memory-commits",
  IO: "70-memory-commits",
  READ_ONLY: "70-memory-readers",
  NOT_FOUND: "70-memory-regions",
  LAYOUT: "70-memory-struct",
  LIMIT: "70-memory-struct",
  STAGE: "79-pipes",
  DUPLICATE: "71-table-trees",
  BUSY: "70-memory-transactions",
  UNSUPPORTED: "70-memory-readers",
  CLOSED: "70-memory-files",
};

describe("memory: errors", () => {
  it("every code has a test that expects it", () => {
    for (const [code, file] of Object.entries(THROWN_IN)) {
      const source = readFileSync(join(root, "test", `${file}.test.ts`), "utf8");
      // As an argument or the word of a child: nothing but an expectation names a code in quotes there.
      assert.ok(source.includes(`"${code}"`), `${file} expects no ${code}`);
    }
  });

  it("every code is documented, with what to do about it", () => {
    assert.deepEqual(Object.keys(errorTable).sort(), Object.keys(THROWN_IN).sort());
    for (const [code, { meaning, remedy }] of Object.entries(errorTable)) {
      assert.match(code, /^[A-Z]+(_[A-Z]+)*$/);
      assert.match(meaning, /^[A-Z].*\.$/, code);
      assert.match(remedy, /^[A-Z].*\.$/, code);
    }
  });

  it("docs/ERRORS.md is what the table says, each code once", () => {
    const text = readFileSync(ERRORS_PATH, "utf8");
    assert.equal(text, errorReference(), "write it anew: node build/scripts/error-reference.js");
    for (const code of Object.keys(errorTable)) assert.equal(text.split(`| \`${code}\` |`).length, 2);
  });

  it("a PerdureError is an Error with a code, and a cause where there is one", () => {
    const cause = new Error("below");
    const error = new PerdureError("IO", "above", { cause });
    assert.ok(error instanceof Error);
    assert.deepEqual(
      [error.name, error.code, error.message, error.cause],
      ["PerdureError", "IO", "above", cause],
    );
    assert.match(String(error), /PerdureError: above/);
  });
});
