// The entry for Node, Bun and Deno.

export { type ErrorCode, type ErrorDescription, errorTable, PerdureError } from "./base/errors.js";
