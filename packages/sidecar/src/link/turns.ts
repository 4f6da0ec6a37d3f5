/** Log bytes that are looked at, by all readers together, before timers and sockets get a turn. */
export const TURN_BYTES = 1024 * 1024;
/** What a look into a log counts as at least: thousands of readers with nothing to send take their time as well. */
const LOOK_BYTES = 16 * 1024;

/** Does a share of its work, of about {@link TURN_BYTES} at most, and returns the bytes it looked at. */
export type Work = () => number;

/** Lets readers of logs work in turns, so that however many there are nobody else waits for long. */
class Turns {
  /** In the order in which they asked. */
  readonly #waiting = new Set<Work>();
  #isNextSet = false;

  /** Calls `work` once, in a turn to come; asking again before that changes nothing. */
  ask(work: Work): void {
    this.#waiting.add(work);
    this.#setNext();
  }

  withdraw(work: Work): void {
    this.#waiting.delete(work);
  }

  #turn(): void {
    this.#isNextSet = false;
    let bytes = 0;
    for (const work of [...this.#waiting]) {
      if (bytes >= TURN_BYTES) break;
      // One that was called can withdraw another.
      if (this.#waiting.delete(work)) bytes += Math.max(LOOK_BYTES, work());
    }
    if (this.#waiting.size > 0) this.#setNext();
  }

  #setNext(): void {
    if (this.#isNextSet) return;
    this.#isNextSet = true;
    setImmediate(() => this.#turn());
  }
}

/** The turns of this process: its event loop is one, however many connections there are. */
export const turns = new Turns();
