// Tells states of a simulated disk apart that came from the same one, by the sectors in which they can differ.

import { type SimulatedFile, sectorBytes } from "./simulated-file.js";

/**
 * Equal for equal states; for different ones equal with a chance of about 2⁻⁶⁴. `sectors` lists, by the identity of
 * a file, those of its sectors that are not the same in all the states compared.
 */
export function fingerprint(
  names: ReadonlyMap<string, SimulatedFile>,
  sectors: ReadonlyMap<number, readonly number[]>,
): string {
  const parts: string[] = [];
  for (const name of [...names.keys()].sort()) {
    const file = names.get(name) as SimulatedFile;
    let a = 0x243f6a88;
    let b = 0x85a308d3;
    for (const sector of sectors.get(file.id) ?? []) {
      const words = file.cache.words(sector * sectorBytes, sectorBytes);
      for (let i = 0; i < sectorBytes / 4; i++) {
        // Two rows of MurmurHash3's mixing (Austin Appleby, public domain), with different multipliers.
        const word = words?.[i] ?? 0;
        const first = Math.imul(word, 0xcc9e2d51);
        a ^= Math.imul((first << 15) | (first >>> 17), 0x1b873593);
        a = (Math.imul((a << 13) | (a >>> 19), 5) + 0xe6546b64) | 0;
        const second = Math.imul(word, 0x239b961b);
        b ^= Math.imul((second << 17) | (second >>> 15), 0xab0e9789);
        b = (Math.imul((b << 19) | (b >>> 13), 5) + 0x561ccd1b) | 0;
      }
    }
    parts.push(`${name}:${file.id}:${file.cache.size}:${a >>> 0}:${b >>> 0}`);
  }
  return parts.join("|");
}
