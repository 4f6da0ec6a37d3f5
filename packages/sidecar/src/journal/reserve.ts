import { rmSync, writeFileSync } from 'node:fs';

/** Enough for the verdicts and outcomes of all that may run when the disk becomes full, long results aside. */
const RESERVE_BYTES = 1024 * 1024;
const PRIVATE_FILE = 0o600;

/** Room on the disk that is kept for what has to be written when there is no other. */
export class Reserve {
  readonly #path: string;
  #isFull = false;

  constructor(path: string) {
    this.#path = path;
    this.fill();
  }

  /** Whether it is there. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Takes the room, where there is any. */
  fill(): void {
    if (this.#isFull) return;
    try {
      writeFileSync(this.#path, Buffer.alloc(RESERVE_BYTES), { mode: PRIVATE_FILE });
      this.#isFull = true;
    } catch {
      // Half of it would be missing from those who need it now.
      rmSync(this.#path, { force: true });
    }
  }

  /** Gives it up. Returns whether there was any. */
  release(): boolean {
    const wasFull = this.#isFull;
    this.#isFull = false;
    rmSync(this.#path, { force: true });
    return wasFull;
  }
}
