/** Where pipes can read from beside tables. */
import { csv } from "./csv.js";
import { iterable, stream } from "./iterable.js";
import { json, jsonLines, lines } from "./lines.js";

export const sources = { lines, jsonLines, json, csv, iterable, stream };
