/*
 * What the ternary module exports to the host: a flat list, no logic.
 */

export { PAGE_TRYTES } from "./trit/constants";
