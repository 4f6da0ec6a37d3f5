import { CLOSE_CODES, type CloseReason, encodeFrame, type SidecarFrame } from '@outrigger/protocol';
import { type WebSocket } from 'ws';

/** Output waits while a connection has this much queued. */
const QUEUED_BYTES_HIGH = 1024 * 1024;
/** A connection that lets more than this pile up, output aside, is closed. */
const QUEUED_BYTES_MAX = 64 * 1024 * 1024;

/** The way out of one connection: frames, and the close that ends them. */
export class Channel {
  readonly #socket: WebSocket;
  readonly #onRoom: () => void;

  /** @param onRoom Called when the queue has run low: what waited for room can go on. */
  constructor(socket: WebSocket, onRoom: () => void) {
    this.#socket = socket;
    this.#onRoom = onRoom;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** False while the connection has enough queued. */
  get hasRoom(): boolean {
    return this.#socket.bufferedAmount < QUEUED_BYTES_HIGH;
  }

  send(frame: SidecarFrame): void {
    if (!this.isOpen) return;
    this.#socket.send(encodeFrame(frame), () => {
      if (this.hasRoom) this.#onRoom();
    });
    if (this.#socket.bufferedAmount > QUEUED_BYTES_MAX) this.close('slowReader');
  }

  close(reason: CloseReason): void {
    const { code, meaning } = CLOSE_CODES[reason];
    this.#socket.close(code, meaning.slice(0, 120));
  }

  /** Closes because of what the client sent, and says what was wrong. */
  reject(reason: CloseReason, code: string, message: string): void {
    this.send({ type: 'error', code, message });
    this.close(reason);
  }
}
