import { LIMITS } from '@outrigger/protocol';
import { type WebSocket } from 'ws';

/** Looks per deadline: how late silence may be noticed, as a fraction of it. */
const LOOKS = 8;
const LOOK_MS = LIMITS.inboundDeadlineMs / LOOKS;

/**
 * Pings a peer and terminates the connection when no byte has come in for too long: a polite close would wait for an
 * answer of a peer that gives none.
 *
 * Time is counted in looks and not by the clock: after this process was stopped, or its loop blocked, what has arrived
 * meanwhile must be read before anybody is called silent.
 *
 * @param bytesRead How many bytes have come in; a peer that is busy sending a large frame is alive.
 */
export function keepAlive(socket: WebSocket, bytesRead: () => number, onSilent: () => void): void {
  let seenBytes = bytesRead();
  let silentMs = 0;
  let sincePingMs = 0;
  const timer = setInterval(() => {
    silentMs = bytesRead() === seenBytes ? silentMs + LOOK_MS : 0;
    seenBytes = bytesRead();
    sincePingMs += LOOK_MS;
    if (silentMs >= LIMITS.inboundDeadlineMs) {
      onSilent();
      socket.terminate();
    } else if (sincePingMs >= LIMITS.pingIntervalMs) {
      sincePingMs = 0;
      socket.ping();
    }
  }, LOOK_MS);
  socket.on('close', () => clearInterval(timer));
}
