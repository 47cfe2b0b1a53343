// Mocha's spec reporter, closed by one line that a person or a script can rely on: `N passed, N failed`, with
// `, N skipped` when something was. Failed hooks count as failures, as mocha counts them.

import Mocha from "mocha";

export default class ClosingCountReporter extends Mocha.reporters.Spec {
  static description = "spec, closed by a line of counts";

  epilogue() {
    super.epilogue();
    const { passes = 0, failures = 0, pending = 0 } = this.stats;
    console.log(`${passes} passed, ${failures} failed${pending > 0 ? `, ${pending} skipped` : ""}`);
  }
}
