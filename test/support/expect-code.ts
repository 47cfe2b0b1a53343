import assert from "node:assert/strict";
import { type ErrorCode, PerdureError } from "../../bindings/base/errors.js";

/** Runs `body`, which must throw a PerdureError of this code, and returns the error. */
export function expectCode(code: ErrorCode, body: () => unknown): PerdureError {
  try {
    body();
  } catch (error) {
    return checkCode(code, error);
  }
  return assert.fail(`expected ${code}, but nothing was thrown`);
}

/** The same for a promise that must be rejected. */
export async function expectCodeAsync(code: ErrorCode, promise: Promise<unknown>): Promise<PerdureError> {
  try {
    await promise;
  } catch (error) {
    return checkCode(code, error);
  }
  return assert.fail(`expected ${code}, but the promise was fulfilled`);
}

function checkCode(code: ErrorCode, error: unknown): PerdureError {
  if (!(error instanceof PerdureError)) throw error;
  assert.equal(error.code, code, error.message);
  assert.notEqual(error.message, "");
  return error;
}
