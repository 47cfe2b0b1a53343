/** What is shown while the demonstration runs: a progress bar with lines above it on a terminal, lines alone elsewhere. On standard error. */
import { Presets, SingleBar } from "cli-progress";

/** Where there is no bar, one line for so much of the work. */
const LINE_PERCENT = 25;

export class Screen {
  private bar: SingleBar | null = null;
  private done = { percent: 0, records: "0" };
  private percentTold = 0;

  constructor(
    private readonly stream: NodeJS.WriteStream,
    /** False: nothing is shown at all. */
    private readonly isVisible: boolean,
  ) {}

  line(text = ""): void {
    if (!this.isVisible) return;
    const hadBar = this.bar !== null;
    this.end();
    this.stream.write(`${text}\n`);
    if (hadBar) this.show();
  }

  progress(part: number, records: number): void {
    if (!this.isVisible) return;
    this.done = { percent: Math.floor(part * 100), records: records.toLocaleString("en-US") };
    if (this.stream.isTTY) {
      this.show();
    } else if (this.done.percent >= this.percentTold + LINE_PERCENT) {
      this.percentTold = this.done.percent - (this.done.percent % LINE_PERCENT);
      this.line(`  ${this.done.percent} % of the file: ${this.done.records} committed`);
    }
  }

  end(): void {
    this.bar?.stop();
    this.bar = null;
  }

  private show(): void {
    const { percent, records } = this.done;
    if (this.bar === null) {
      this.bar = new SingleBar(
        {
          format: "  {bar} {percentage} % | {records} records committed",
          stream: this.stream,
          clearOnComplete: true,
          hideCursor: true,
          gracefulExit: false,
        },
        Presets.shades_classic,
      );
      this.bar.start(100, percent, { records });
    } else {
      this.bar.update(percent, { records });
    }
  }
}
