/*
 * What the engine exports to the host: a flat list, no logic.
 */

export { HASH_DIGESTS, HASH_DIGESTS_BYTES, HASH_STAGING, HASH_STAGING_BYTES, MAP_END } from "./base/memory-map";
export { hash, hashAbsorb, hashBegin, hashBlocks, hashFinish, hashTo } from "./block/hash-blocks";
