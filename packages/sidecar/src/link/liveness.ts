import { LIMITS } from '@outrigger/protocol';
import { type WebSocket } from 'ws';
import { monotonicMs } from '../clock.js';

/**
 * Pings a peer and terminates the connection when no byte has come in for too long: a polite close would wait for an
 * answer of a peer that gives none.
 *
 * @param bytesRead How many bytes have come in; a peer that is busy sending a large frame is alive.
 */
export function keepAlive(socket: WebSocket, bytesRead: () => number, onSilent: () => void): void {
  let seenBytes = bytesRead();
  let aliveAt = monotonicMs();
  const timer = setInterval(() => {
    const now = monotonicMs();
    if (bytesRead() !== seenBytes) {
      seenBytes = bytesRead();
      aliveAt = now;
    }
    if (now - aliveAt < LIMITS.inboundDeadlineMs) {
      socket.ping();
      return;
    }
    onSilent();
    socket.terminate();
  }, LIMITS.pingIntervalMs);
  socket.on('close', () => clearInterval(timer));
}
