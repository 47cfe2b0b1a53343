// A commit that is atomic but left to the system to write: it survives the end of the process, not that of the machine.

import { commitWorkloads } from "./commits.js";

export default commitWorkloads("commit-unflushed", false, { ofRaw: 0.5, ofLmdb: 1.2, ofSqlite: 1.5 });
