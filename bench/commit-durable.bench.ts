// A commit that is on the device when it returns.

import { commitWorkloads } from "./commits.js";

export default commitWorkloads("commit-durable", true, { ofRaw: 0.85, ofLmdb: 1.9, ofSqlite: 1.4 });
