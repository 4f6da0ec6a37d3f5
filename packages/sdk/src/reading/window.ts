/**
 * The credit of one subscription: what may be on its way or waiting here, in log bytes.
 *
 * Every byte that came is granted anew once it has been consumed, in portions of half a window, as one request for
 * each line would cost more than the line.
 */
export class CreditWindow {
  readonly #windowBytes: number;
  #bufferedBytes = 0;
  #toGrantBytes = 0;

  constructor(windowBytes: number) {
    this.#windowBytes = windowBytes;
  }

  /** Bytes have come. */
  receive(bytes: number): void {
    this.#bufferedBytes += bytes;
  }

  /** Bytes were consumed. @returns what to grant now, or 0 */
  release(bytes: number): number {
    this.#bufferedBytes -= bytes;
    this.#toGrantBytes += bytes;
    if (this.#toGrantBytes * 2 < this.#windowBytes) return 0;
    const granted = this.#toGrantBytes;
    this.#toGrantBytes = 0;
    return granted;
  }

  /** A new connection begins without credit. @returns what to begin with; what waits here is granted as it goes */
  restart(): number {
    this.#toGrantBytes = 0;
    return Math.max(0, this.#windowBytes - this.#bufferedBytes);
  }
}
